package rules

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/BurntSushi/toml"
)

type size int64

func (s *size) UnmarshalText(b []byte) error {
	n, ok := strings.CutSuffix(string(b), "MiB")
	if !ok {
		return errors.New("a size needs a unit")
	}
	_, err := fmt.Sscan(n, s)
	*s <<= 20
	return err
}

func TestDecode(t *testing.T) {
	type config struct {
		Paths struct {
			State string   `toml:"state"`
			Rules []string `toml:"rules"`
		} `toml:"paths"`
		Pcap struct {
			Pre   size          `toml:"pre"`
			Post  time.Duration `toml:"post"`
			Flows uint16        `toml:"flows"`
		} `toml:"pcap"`
		Modes  map[string]string `toml:"modes"`
		Hidden int
	}
	var c config
	c.Paths.State = "default"
	c.Pcap.Flows = 7
	text := "[paths]\nrules = ['a']\n[pcap]\npre = '64MiB'\npost = '1m5s'\n[modes]\n\"a b\" = 'x'\n"
	if problems := Decode("f", []byte(text), &c); problems != nil {
		t.Fatalf("got %v", problems)
	}
	if c.Paths.State != "default" || c.Pcap.Pre != 64<<20 || c.Pcap.Post != 65*time.Second || c.Modes["a b"] != "x" || c.Pcap.Flows != 7 {
		t.Errorf("got %+v", c)
	}
	text = "[paths]\nstat = 'x'\n[pcap]\npre = '64'\npost = 5\nflows = 70000\nHidden = 1\n[modes]\na = 1\n[pacp]\n"
	var got []string
	for _, p := range Decode("f", []byte(text), &c) {
		got = append(got, p.String())
	}
	want := []string{
		`f:2:1: unknown key "stat" in paths (did you mean "state"?)`,
		`f:4:7: pcap.pre: a size needs a unit`,
		`f:5:8: pcap.post must be a string with a unit, as "5s", not a whole number`,
		`f:6:9: pcap.flows is 70000, out of range (0 to 65535)`,
		`f:7:1: unknown key "Hidden" in pcap (known are pre, post, flows)`,
		`f:9:5: modes.a must be a string, not a whole number`,
		`f:10:2: unknown key "pacp" (did you mean "pcap"?)`,
	}
	if !slices.Equal(got, want) {
		t.Errorf("got:\n%s\nwant:\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
}

func TestPlaces(t *testing.T) {
	text := "\xef\xbb\xbf# [[rules]]\r\n" +
		"a = '''\n[[rules]]\nid = 1\n'''''\n" + // ends with two quotes of its own
		"b = \"\"\"x\\\"\"\"\n[[rules]] # no\n\"\"\"\n" +
		"[[rules]] # one\n  id = \"[[rules]]\"\n" +
		"  list = [ 'x', # ]\n    'y', ]\n" +
		"[[rules]]\n[[rules.allow]]\n[[rules.allow]]\n x . \"y.z\" = { p = 1, q = [{r = '}'}] }\n" +
		"[rules.old]\nk = 1\n" +
		"[other.sub]\nk = 1979-05-27 07:32:00 # c\n"
	var raw map[string]any
	if _, err := toml.Decode(text, &raw); err != nil {
		t.Fatal(err)
	}
	out, deep, _ := scan(text)
	if deep != "" {
		t.Errorf("too deep: %s", deep)
	}
	var got []string
	for _, path := range slices.Sorted(maps.Keys(out.at)) {
		p := out.at[path]
		got = append(got, fmt.Sprintf("%s %d:%d %d:%d", path, p.line, p.col, p.valueLine, p.valueCol))
	}
	want := []string{
		"a 2:1 2:5", "b 6:1 6:5", "other 19:2 0:0", "other.sub 19:8 0:0", "other.sub.k 20:1 20:5",
		"rules 9:3 0:0", "rules[0] 9:3 0:0", "rules[0].id 10:3 10:8",
		"rules[0].list 11:3 11:10", "rules[0].list[0] 11:12 11:12", "rules[0].list[1] 12:5 12:5",
		"rules[1] 13:3 0:0", "rules[1].allow 14:9 0:0", "rules[1].allow[0] 14:9 0:0",
		"rules[1].allow[1] 15:9 0:0", "rules[1].allow[1].x 16:2 0:0",
		`rules[1].allow[1].x."y.z" 16:6 16:14`, `rules[1].allow[1].x."y.z".p 16:16 16:20`,
		`rules[1].allow[1].x."y.z".q 16:23 16:27`, `rules[1].allow[1].x."y.z".q[0] 16:28 16:28`,
		`rules[1].allow[1].x."y.z".q[0].r 16:29 16:33`,
		"rules[1].old 17:8 0:0", "rules[1].old.k 18:1 18:5",
	}
	if !slices.Equal(got, want) {
		t.Errorf("got:\n%s\nwant:\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
}

// FuzzPlaces: what the decoder takes, the scanner goes through to the end.
func FuzzPlaces(f *testing.F) {
	for _, s := range []string{"a=1", "[a]\nb.c='x'", "[[a]]\n[[a.b]]\nc=[{d=1},[2,],]#x", "a='''\n'''''", "\"\\u00e9\"=\"\"\"\"\"\"\"", "a={b=1,\n#c\n}", "[ a . 'b' ]\nd=+1_0", "'''a'''=1"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, text string) {
		s := newScanner(text)
		s.file()
		if s.deep != "" {
			return
		}
		var raw map[string]any
		md, err := toml.Decode(text, &raw)
		if err != nil {
			return
		}
		if !s.done {
			t.Fatalf("stopped at %d:%d of %q", s.line, s.off-s.start+1, text)
		}
		for _, k := range md.Keys() {
			if len(k) == 1 && s.out.find(member("", k[0])) == (place{}) && !strings.Contains(text, `\`) {
				t.Errorf("%q has no place in %q", k[0], text)
			}
		}
	})
}

// FuzzLoad: whatever a file says, Load comes back with a set or with errors that have a place.
func FuzzLoad(f *testing.F) {
	f.Add(head + "[[rules.allowlists]]\nregexes=['a']\nexpires=2026-01-01\n[[rules.required]]\nid='y'\n")
	f.Add("[extend]\nuseDefault=true\ndisabledRules=['secret.jwt']\n[[rules]]\nid='pci.pan'\nwithin=3\n")
	f.Add("title=1\n[allowlist]\ncommits=['a']\n[[allowlists]]\nstopwords=['','x']\ntargetRules=['q']\n")
	f.Fuzz(func(t *testing.T, text string) {
		defer func(start time.Time) {
			if d := time.Since(start); d > 2*time.Second {
				t.Errorf("took %s", d)
			}
		}(time.Now())
		l := loader{opt: testOptions, byID: map[string]*Rule{}, seen: map[string]bool{}}
		l.opt.Fields = nil
		if strings.Contains(text, "path") { // it must not read the host's files
			return
		}
		l.file("a.toml", []byte(text))
		l.finish()
		for _, p := range l.problems {
			if p.What == "" || strings.Contains(p.String(), "\n") {
				t.Errorf("problem %q", p.String())
			}
		}
		if l.problems.Failed() {
			return
		}
		for _, r := range l.rules {
			if r.ID == "" || r.SID == 0 || Explain(r, nil, Words{}) == "" || l.byID[r.ID] != r {
				t.Errorf("rule %+v", r)
			}
		}
	})
}
