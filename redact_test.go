package weir_test

import (
	"bytes"
	"compress/gzip"
	"context"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"testing"

	"weir/alert"
	"weir/capture"
	"weir/daemon"
	"weir/dissect"
	"weir/dlp"
	"weir/engine"
	"weir/flow"
	"weir/pcapstore"
	"weir/redact"
	"weir/rules"
	"weir/wire"
)

// asCapture reads a capture and writes it as the store does.
func asCapture(t testing.TB, path string) *bytes.Reader {
	t.Helper()
	src, err := capture.OpenFile(path)
	if err != nil {
		t.Fatal(err)
	}
	defer src.Close()
	var out bytes.Buffer
	w := pcapstore.NewWriter(&out, pcapstore.PcapNG, "weir test", "weir pcap pull: test")
	for {
		frames, err := src.Next()
		for i := range frames {
			n, err := w.Interface(src.Interfaces()[frames[i].Iface])
			if err != nil {
				t.Fatal(err)
			}
			if err := w.Packet(n, &frames[i], pcapstore.Note{}); err != nil {
				t.Fatal(err)
			}
		}
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return bytes.NewReader(out.Bytes())
}

// redacted redacts a capture.
func redacted(t testing.TB, in *bytes.Reader, set *rules.Set, db *dlp.Database) ([]byte, redact.Counters) {
	t.Helper()
	var out bytes.Buffer
	n, err := redact.Capture(context.Background(), &pcapstore.Capture{File: in, Size: in.Size()}, &out, redact.Options{
		Set: set, DB: db, App: "weir test", Engine: engine.Config{Flow: flow.DefaultLimits, Dissect: dissect.DefaultLimits},
	})
	if err != nil {
		t.Fatal(err)
	}
	return out.Bytes(), n
}

// foundTexts plays a capture, and returns what rules for data found in it, as it is written and as it was meant, and how often.
func foundTexts(t testing.TB, file []byte, db *dlp.Database) (texts map[string]bool, hits int) {
	t.Helper()
	src, err := capture.NewFile(bytes.NewReader(file), "test")
	if err != nil {
		t.Fatal(err)
	}
	defer src.Close()
	texts = map[string]bool{}
	e := engine.New(engine.Config{Flow: flow.DefaultLimits, Dissect: dissect.DefaultLimits, Events: map[string]bool{"alert": true}, Emit: func(*alert.Event) {}})
	e.SetRules(db)
	lane := e.NewLane()
	defer lane.Free()
	lane.Trace = &engine.Trace{
		Packet: func(*wire.Packet, *flow.Info) {}, Chunk: func(uint64, *flow.Chunk) {}, Joined: func(uint64, wire.Dir, []byte) {}, Inside: func(uint64, *dissect.Message) {}, Passed: func(uint64, wire.Dir) {},
		Message: func(uint64, *dissect.Message) {}, Ended: func(*flow.Info, bool) {},
		Found: func(_ uint64, h *dlp.Hit, f engine.Finding) {
			if h.Rule.Engine == rules.DLP && h.Rule.Mask != "text" && !bytes.Contains(f.Text, []byte("XXXXXXX")) {
				hits++
				texts[string(f.Text)], texts[string(f.Source)] = true, true
			}
		},
	}
	tap := e.NewTap(engine.TapConfig{Interfaces: src.Interfaces})
	for {
		frames, err := src.Next()
		lane.Block(tap, frames)
		if err != nil {
			break
		}
	}
	lane.Close(tap)
	delete(texts, "")
	return texts, hits
}

// TestRedactWire: of what rules find in dlp_wire nothing stands in the redacted capture, in any encoding, and nothing is found in it again; the requests
// themselves are still there, their checksums right.
func TestRedactWire(t *testing.T) {
	dir := corpus(t)
	set, problems := rules.Load([]string{rules.Wide, dir + "/secrets/gitleaks.toml"}, rules.Options{Builtin: true})
	if problems.Failed() {
		t.Fatal(problems.Err())
	}
	db, err := dlp.Compile(set, dlp.Options{FingerprintKey: make([]byte, 32)})
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	in := asCapture(t, dir+"/dlp_wire/wire.pcap")
	all := make([]byte, in.Size())
	in.ReadAt(all, 0)
	texts, hits := foundTexts(t, all, db)
	if hits < 500 {
		t.Fatalf("only %d findings in the capture", hits)
	}
	out, n := redacted(t, in, set, db)
	t.Logf("%d findings, %d texts; redacted: %d bytes in %d packets; whole: %v", hits, len(texts), n.Bytes, n.Packets, n.Blanked)
	if _, again := foundTexts(t, out, db); again != 0 {
		t.Errorf("%d findings in what was redacted", again)
	}
	haystacks := append([][]byte{out}, inflated(out)...)
	for text := range texts {
		if len(text) < 8 {
			continue
		}
		b := []byte(text)
		for _, form := range [][]byte{b, []byte(hex.EncodeToString(b)), []byte(base64.RawStdEncoding.EncodeToString(b[:len(b)/3*3]))} {
			for _, h := range haystacks {
				if bytes.Contains(h, form) {
					t.Errorf("a value of %d bytes stands in the redacted capture", len(text))
					break
				}
			}
		}
	}
	posts := bytes.Count(out, []byte("POST /"))
	if was := bytes.Count(all, []byte("POST /")); posts < was*95/100 {
		t.Errorf("%d of %d requests are left", posts, was)
	}
	checkSums(t, out)
}

// inflated returns what gzip members in b hold.
func inflated(b []byte) (out [][]byte) {
	for i := 0; i+3 < len(b); i++ {
		if b[i] == 0x1f && b[i+1] == 0x8b && b[i+2] == 8 {
			if z, err := gzip.NewReader(bytes.NewReader(b[i:])); err == nil {
				text, _ := io.ReadAll(io.LimitReader(z, 1<<20))
				out = append(out, text)
			}
		}
	}
	return out
}

// checkSums fails if the checksum of a packet is wrong.
func checkSums(t *testing.T, file []byte) {
	t.Helper()
	src, err := capture.NewFile(bytes.NewReader(file), "test")
	if err != nil {
		t.Fatal(err)
	}
	defer src.Close()
	var d wire.Decoder
	var p wire.Packet
	bad, all := 0, 0
	for {
		frames, err := src.Next()
		for i := range frames {
			d.Decode(&frames[i], &p)
			if all++; p.Sum() == wire.SumWrong {
				bad++
			}
		}
		if err != nil {
			break
		}
	}
	if bad > 0 || all == 0 {
		t.Errorf("of %d packets %d have a wrong checksum", all, bad)
	}
}

// said plays a capture without rules, and returns all that its conversations say: frames, bytes in order, fields, and what stands inside of them.
func said(t testing.TB, file []byte) []byte {
	t.Helper()
	src, err := capture.NewFile(bytes.NewReader(file), "test")
	if err != nil {
		t.Fatal(err)
	}
	defer src.Close()
	out := bytes.Clone(file)
	streams := map[[2]uint64][]byte{}
	e := engine.New(engine.Config{Flow: flow.DefaultLimits, Dissect: dissect.DefaultLimits})
	e.SetRules(everyField(t))
	lane := e.NewLane()
	defer lane.Free()
	add := func(_ uint64, m *dissect.Message) {
		for i := range m.Parts {
			if i == 0 || !m.Parts[i-1].More {
				out = append(out, 0)
			}
			out = append(out, m.Parts[i].Bytes...)
		}
	}
	lane.Trace = &engine.Trace{
		Packet: func(*wire.Packet, *flow.Info) {}, Joined: func(uint64, wire.Dir, []byte) {}, Passed: func(uint64, wire.Dir) {},
		Chunk: func(id uint64, c *flow.Chunk) {
			k := [2]uint64{id, uint64(c.Dir)}
			streams[k] = append(streams[k], c.Data...)
		},
		Message: add, Inside: add, Ended: func(*flow.Info, bool) {}, Found: func(uint64, *dlp.Hit, engine.Finding) {},
	}
	tap := e.NewTap(engine.TapConfig{Interfaces: src.Interfaces})
	for {
		frames, err := src.Next()
		lane.Block(tap, frames)
		if err != nil {
			break
		}
	}
	lane.Close(tap)
	for _, s := range streams {
		out = append(append(out, 0), s...)
	}
	return out
}

// everyField returns rules that ask for every field, and find nothing.
var everyField = func() func(t testing.TB) *dlp.Database {
	var once sync.Once
	var db *dlp.Database
	return func(t testing.TB) *dlp.Database {
		once.Do(func() { db = compileText(t, strings.Replace(tokenRule, "WEIRTOKEN", "NOSUCHTOKEN", 1)) })
		return db
	}
}()

func compileText(t testing.TB, text string) *dlp.Database {
	t.Helper()
	set := ruleSet(t, text)
	db, err := dlp.Compile(set, dlp.Options{FingerprintKey: make([]byte, 32)})
	if err != nil {
		t.Fatal(err)
	}
	return db
}

func ruleSet(t testing.TB, text string) *rules.Set {
	t.Helper()
	path := filepath.Join(t.TempDir(), "rules.toml")
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	set, problems := rules.Load([]string{path}, rules.Options{})
	if problems.Failed() {
		t.Fatal(problems.Err())
	}
	return set
}

// TestRedactCases redacts every case: whatever the protocol, the field and the way the packets took, no token is left, nor in what is encoded.
func TestRedactCases(t *testing.T) {
	set := ruleSet(t, tokenRule)
	db, err := dlp.Compile(set, dlp.Options{FingerprintKey: make([]byte, 32)})
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	token := regexp.MustCompile(`(?i)WEIRTOKEN-[0-9a-f]{6}`)
	path := filepath.Join(t.TempDir(), "case.pcap")
	kept, all, blank, met := 0, 0, 0, 0
	for i, c := range loadCases(t) {
		for k, w := range ways {
			if k > 0 && (k+i)%len(ways) != 0 || c.dialogue.udp && k > 0 || c.dialogue.not == w.name || c.dialogue.onlyWhole && k > 0 {
				continue
			}
			wrap := wrappings()[(i+k)%len(wrappings())]
			writePcap(t, path, play(t, c.dialogue, w, wrap))
			in := asCapture(t, path)
			was := make([]byte, in.Size())
			in.ReadAt(was, 0)
			out, n := redacted(t, in, set, db)
			if token.Match(said(t, was)) {
				met++
			}
			if text := said(t, out); token.Match(text) {
				at := token.FindIndex(text)
				t.Errorf("%s, %s, %s: a token is left: %q", c.name, w.name, wrap.name, text[max(0, at[0]-100):min(len(text), at[1]+20)])
			}
			kept, all, blank = kept+len(was)-n.Bytes, all+len(was), blank+len(n.Blanked)
		}
	}
	t.Logf("%d captures with a token: %.1f %% of the bytes are left; %d conversations without their payload", met, 100*float64(kept)/float64(all), blank)
	if met < 200 || kept < all/2 {
		t.Errorf("%d captures with a token, %d of %d bytes are left", met, kept, all)
	}
}

// TestRedactLeaks redacts all that outputs were looked at for, in one capture: no form of a card's number is left.
func TestRedactLeaks(t *testing.T) {
	set, problems := daemon.LoadRules(nil, true)
	if problems.Failed() {
		t.Fatal(problems.Err())
	}
	db, err := dlp.Compile(set, dlp.Options{FingerprintKey: make([]byte, 32)})
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	var frames [][]byte
	cases := leakCases(t)
	for i, c := range cases {
		d := &dialogue{udp: c.udp, client: uint16(20000 + i), srv: c.port}
		for _, u := range c.turns {
			d.actions = append(d.actions, action{kind: "data", client: u.client, data: string(u.data)})
		}
		frames = append(frames, play(t, d, ways[i%3], wrappings()[0])...)
	}
	path := filepath.Join(t.TempDir(), "leaks.pcap")
	writePcap(t, path, frames)
	in := asCapture(t, path)
	out, n := redacted(t, in, set, db)
	text := said(t, out)
	for _, c := range cases {
		for _, form := range c.forms {
			if bytes.Contains(text, []byte(form)) && !c.part {
				t.Errorf("%s: it is left", c.name)
			}
		}
	}
	t.Logf("%d of %d bytes in %d packets; whole: %v", n.Bytes, in.Size(), n.Packets, n.Blanked)
}

// TestRedactUnseen: of what nobody can be sure of nothing is left: beside a hole and before an end that cut a value, before a conversation was understood, and
// where rules of today no longer find what was found.
func TestRedactUnseen(t *testing.T) {
	db := compileText(t, tokenRule)
	defer db.Close()
	post := "POST /a HTTP/1.1\r\nHost: x\r\nContent-Length: 4096\r\n\r\n" + strings.Repeat("harmless ", 200) + "WEIRTOKEN-0123ab" + strings.Repeat(" harmless", 200)
	d := &dialogue{client: 40000, srv: 80, actions: []action{{kind: "data", client: true, data: post}}}
	frames := play(t, d, way{name: "pieces", size: 7, isn: 1000}, wrappings()[0])
	part := regexp.MustCompile(`WEIRTOK|N-0123a|3ab `)
	for name, keep := range map[string]func(i int, f []byte) bool{
		"a hole": func(i int, f []byte) bool {
			return !bytes.Contains(f, []byte("EIRTOKE")) && !bytes.Contains(f, []byte("TOKEN-0")) && i != len(frames)/2
		},
		"no beginning":     func(i int, _ []byte) bool { return i > 20 },
		"cut in the value": func(i int, _ []byte) bool { return i <= cutAt(frames, "0123") },
		"only its rest":    func(i int, _ []byte) bool { return i > cutAt(frames, "WEIR") },
	} {
		var some [][]byte
		for i, f := range frames {
			if keep(i, f) {
				some = append(some, f)
			}
		}
		path := filepath.Join(t.TempDir(), "some.pcap")
		writePcap(t, path, some)
		out, _ := redacted(t, asCapture(t, path), ruleSet(t, tokenRule), db)
		if m := part.Find(out); m != nil {
			t.Errorf("%s: %q is left", name, m)
		}
	}
	other := strings.NewReplacer("test.token", "test.other", "WEIRTOKEN", "OTHER").Replace(tokenRule)
	odb := compileText(t, other)
	defer odb.Close()
	var out bytes.Buffer
	w := pcapstore.NewWriter(&out, pcapstore.PcapNG, "weir test", `{"weir":1,"slice":"0123456789abcdef","time":1}`)
	iface, _ := w.Interface(capture.Interface{Name: "eth0", Link: wire.LinkEthernet})
	for i, f := range frames {
		note := pcapstore.Note{}
		if i == 30 {
			note.Comment = "test.token: http.request.body WEIR…(16)"
		}
		w.Packet(iface, &wire.Frame{Data: f, Len: uint32(len(f)), Time: int64(i), Link: wire.LinkEthernet}, note)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	text, n := redacted(t, bytes.NewReader(out.Bytes()), ruleSet(t, other), odb)
	if bytes.Contains(text, []byte("POST /a")) || len(n.Blanked) != 1 {
		t.Errorf("what another rule found is left: %v", n.Blanked)
	}
	if !bytes.Contains(text, []byte(`{"weir":1,"redacted":true,"slice":"0123456789abcdef","time":1}`)) {
		t.Error("the section does not say that it is redacted")
	}
}

// cutAt returns the first frame that has text.
func cutAt(frames [][]byte, text string) int {
	for i, f := range frames {
		if bytes.Contains(f, []byte(text)) {
			return i
		}
	}
	return len(frames)
}

// TestRedactNames: of a value that several queries carried in their names, none of the queries is left.
func TestRedactNames(t *testing.T) {
	set := ruleSet(t, tokenRule)
	db := compileText(t, tokenRule)
	defer db.Close()
	token := "WEIRTOKEN-0a1b2c"
	var frames [][]byte
	for i, p := range pieces(hex.EncodeToString([]byte(token)), 12) {
		d := &dialogue{udp: true, client: uint16(20000 + i), srv: 53, actions: []action{{kind: "data", client: true, data: question(uint16(i), 1, p+".evil.example")}}}
		frames = append(frames, play(t, d, ways[0], wrappings()[0])...)
	}
	path := filepath.Join(t.TempDir(), "names.pcap")
	writePcap(t, path, frames)
	out, n := redacted(t, asCapture(t, path), set, db)
	for _, p := range pieces(hex.EncodeToString([]byte(token)), 12) {
		if bytes.Contains(out, []byte(p)) {
			t.Errorf("a piece is left; %v", n)
		}
	}
}

// TestRedactOverlap: of values that lie one in the other nothing is left in a datagram, whichever was found first.
func TestRedactOverlap(t *testing.T) {
	const rule = "[[rules]]\nid = \"test.%s\"\ndescription = \"x\"\nregex = '''%s'''\nseverity = \"high\"\n"
	for _, c := range []struct{ one, two, text, left string }{
		{`PAN\d{8}`, `PAN\d{8}=\d{12}`, "hello PAN12345678=251210112233 world", "25121011"},
		{`KEY[0-9]{8}`, `[0-9]{8}-[a-z]{12}`, "hello KEY12345678-abcdefghijkl world", "abcdefgh"},
	} {
		text := fmt.Sprintf(rule, "one", c.one) + fmt.Sprintf(rule, "two", c.two)
		db := compileText(t, text)
		defer db.Close()
		d := &dialogue{udp: true, client: 40000, srv: 9999, actions: []action{{kind: "data", client: true, data: c.text}}}
		path := filepath.Join(t.TempDir(), "datagram.pcap")
		writePcap(t, path, play(t, d, ways[0], wrappings()[0]))
		out, n := redacted(t, asCapture(t, path), ruleSet(t, text), db)
		if bytes.Contains(out, []byte(c.left)) || n.Packets != 1 {
			t.Errorf("%q is left of %q; %v", c.left, c.text, n)
		}
	}
}
