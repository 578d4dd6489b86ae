package weir_test

import (
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"

	"golang.org/x/tools/txtar"

	"weir/alert"
	"weir/daemon"
	"weir/dissect"
	"weir/dlp"
	"weir/edm"
	"weir/engine"
	"weir/flow"
	"weir/policy"
	"weir/rules"
	"weir/wire"
)

var update = flag.Bool("update", false, "rewrite the events.json of testdata/cases from the first way of playing each case")

// expectation is what a case says of one alert.
type expectation struct {
	Type  string `json:"event_type"`
	Rule  string `json:"rule"`
	Field string `json:"field,omitempty"`
	App   string `json:"app_proto,omitempty"`
}

// forgetApp leaves the protocol of raw bytes out: whether it is known by then depends on where segments end.
func (x *expectation) forgetApp() {
	if x.Field == "raw" {
		x.App = ""
	}
}

// testCase is one file of testdata/cases.
type testCase struct {
	name     string
	path     string
	archive  *txtar.Archive
	dialogue *dialogue
	want     []expectation
	policy   *policy.Policy // nil: none
	reaches  *string        // bytes that the server may have, where packets are held until they are judged; nil: not asked
	answers  *string        // likewise the client
	blocks   *dlp.Database  // of the rules that block; nil: none, or not compiled yet
	own      map[string]*rules.Rule
	rules    string // path of a file with the rules; "" for the built-in ones
}

func loadCases(t testing.TB) (out []*testCase) {
	paths, err := filepath.Glob("testdata/cases/*.txtar")
	if err != nil || len(paths) == 0 {
		t.Fatalf("no cases: %v", err)
	}
	for _, path := range paths {
		a, err := txtar.ParseFile(path)
		if err != nil {
			t.Fatal(err)
		}
		c := &testCase{name: strings.TrimSuffix(filepath.Base(path), ".txtar"), path: path, archive: a}
		for _, f := range a.Files {
			switch f.Name {
			case "rules.toml":
				c.rules = filepath.Join(t.TempDir(), "rules.toml")
				if err := os.WriteFile(c.rules, f.Data, 0o600); err != nil {
					t.Fatal(err)
				}
			case "dialogue":
				if c.dialogue, err = parseDialogue(string(f.Data)); err != nil {
					t.Fatalf("%s: dialogue: %v", path, err)
				}
			case "events.json":
				if err := json.Unmarshal(f.Data, &c.want); err != nil {
					t.Fatalf("%s: events.json: %v", path, err)
				}
			case "policy.toml":
				c.policy = compilePolicy(t, caseTunnels+string(f.Data))
			case "reaches", "answers":
				text := ""
				for line := range strings.Lines(string(f.Data)) {
					more, err := unescape(strings.TrimSuffix(line, "\n"))
					if err != nil {
						t.Fatalf("%s: %s: %v", path, f.Name, err)
					}
					text += more
				}
				if f.Name == "reaches" {
					c.reaches = &text
				} else {
					c.answers = &text
				}
			case "set.csv": // exact data: set.edm beside the rules
				buildCaseSet(t, filepath.Dir(c.rules), string(f.Data))
			case "values": // see dissect.TestCasesInPieces
			default:
				t.Fatalf("%s: unknown part %q", path, f.Name)
			}
		}
		if c.dialogue == nil {
			t.Fatalf("%s: no dialogue", path)
		}
		out = append(out, c)
	}
	return out
}

// buildCaseSet makes dir/set.edm of all columns of a table, with the key dir/key.
func buildCaseSet(t testing.TB, dir, table string) {
	t.Helper()
	key := []byte("a key for tests, thirty-two byte")
	if err := os.WriteFile(filepath.Join(dir, "key"), key, 0o600); err != nil {
		t.Fatal(err)
	}
	columns, _, _ := strings.Cut(table, "\n")
	opt := edm.Options{Columns: strings.Split(columns, ","), Key: key}
	if _, err := edm.Build(t.Context(), strings.NewReader(table), filepath.Join(dir, "set.edm"), opt); err != nil {
		t.Fatal(err)
	}
}

// caseTunnels allows what cases are wrapped in.
const caseTunnels = `
[[policy]]
id = "case-gre"
ports = ["gre"]
protocol = "gre"
action = "allow"
[[policy]]
id = "case-vxlan"
ports = ["udp/4789"]
protocol = "vxlan"
action = "allow"
`

// TestCases plays every case in every way and over every wrapping: the same alerts each time.
func TestCases(t *testing.T) {
	dbs := map[string]*dlp.Database{}
	for _, c := range loadCases(t) {
		t.Run(c.name, func(t *testing.T) {
			db := dbs[string(c.rulesText())]
			if db == nil {
				db = compileCase(t, c)
				dbs[string(c.rulesText())] = db
			}
			for _, wrap := range wrappings() {
				for _, w := range ways {
					if c.dialogue.udp && w.name != "whole" || c.dialogue.not == w.name {
						continue
					}
					got := runFrames(t, db, c.policy, play(t, c.dialogue, w, wrap))
					if *update && w.name == "whole" && wrap.name == "plain/v4" {
						c.rewrite(t, got)
					}
					if !reflect.DeepEqual(got, sorted(c.want)) {
						t.Errorf("%s, %s:\n got %s\nwant %s", wrap.name, w.name, text(got), text(sorted(c.want)))
					}
				}
			}
		})
	}
	for _, db := range dbs {
		db.Close()
	}
}

func (c *testCase) rulesText() []byte {
	for _, f := range c.archive.Files {
		if f.Name == "rules.toml" {
			return f.Data
		}
	}
	return nil
}

func compileCase(t testing.TB, c *testCase) *dlp.Database {
	t.Helper()
	var paths []string
	if c.rules != "" {
		paths = []string{c.rules}
	}
	set, problems := daemon.LoadRules(paths, c.rules == "")
	for _, p := range problems {
		t.Fatalf("%s: %s", c.path, p)
	}
	db, err := dlp.Compile(set, dlp.Options{FingerprintKey: []byte("a key for tests, thirty-two byte")})
	if err != nil {
		t.Fatal(err)
	}
	return db
}

// Of the frames of a case, ns.
const caseStart, caseStep = 1_700_000_000_000_000_000, 1_000_000

// runFrames takes frames through an engine and returns the alerts and infos that it told.
func runFrames(t testing.TB, db *dlp.Database, pol *policy.Policy, frames [][]byte) []expectation {
	t.Helper()
	var got []expectation
	e := engine.New(engine.Config{
		Flow: flow.DefaultLimits, Dissect: dissect.DefaultLimits,
		Events: map[string]bool{"alert": true, "info": true},
		Emit: func(ev *alert.Event) {
			x := expectation{Type: ev.Type, Rule: ev.Weir.Rule, App: ev.AppProto}
			if len(ev.Weir.Matches) > 0 {
				x.Field = ev.Weir.Matches[0].Field
				if m := &ev.Weir.Matches[0]; m.Count < 1 || m.Distinct < 1 {
					t.Errorf("%s of %s in %s counts %d findings, %d of them different", ev.Type, x.Rule, m.Field, m.Count, m.Distinct)
				}
			}
			x.forgetApp()
			got = append(got, x)
		},
	})
	e.SetRules(db)
	e.SetPolicy(pol)
	lane := e.NewLane()
	defer lane.Free()
	lane.Poison = true
	lane.OnPanic = func(stack string) { t.Errorf("panic: %s", stack) }
	tap := e.NewTap(engine.TapConfig{})
	const start, step = caseStart, caseStep
	for i, data := range frames {
		data = slices.Clone(data)
		lane.Block(tap, []wire.Frame{{Data: data, Time: start + int64(i)*step, Len: uint32(len(data)), Link: wire.LinkEthernet}})
	}
	lane.Close(tap)
	return sorted(got)
}

func sorted(list []expectation) []expectation {
	out := slices.Clone(list)
	slices.SortFunc(out, func(a, b expectation) int { return strings.Compare(fmt.Sprint(a), fmt.Sprint(b)) })
	if out == nil {
		out = []expectation{}
	}
	return out
}

func text(list []expectation) string {
	b, _ := json.Marshal(list)
	return string(b)
}

func (c *testCase) rewrite(t *testing.T, got []expectation) {
	t.Helper()
	var b strings.Builder
	b.WriteString("[")
	if len(got) > 0 {
		b.WriteString("\n")
	}
	for i, x := range got {
		line, _ := json.Marshal(x)
		b.Write(append([]byte("  "), line...))
		if i < len(got)-1 {
			b.WriteString(",")
		}
		b.WriteString("\n")
	}
	b.WriteString("]\n")
	c.want = got
	i := slices.IndexFunc(c.archive.Files, func(f txtar.File) bool { return f.Name == "events.json" })
	if i < 0 {
		i = len(c.archive.Files)
		c.archive.Files = append(c.archive.Files, txtar.File{Name: "events.json"})
	}
	c.archive.Files[i].Data = []byte(b.String())
	if err := os.WriteFile(c.path, txtar.Format(c.archive), 0o644); err != nil {
		t.Fatal(err)
	}
}
