package scan

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"weir/dissect"
	"weir/dlp"
	"weir/rules"
)

const (
	card  = "4556737586899855"
	token = "tok_" + "k3v9x2m7q4w8"
)

func database(t testing.TB, text string) (*dlp.Database, *rules.Set) {
	t.Helper()
	file := filepath.Join(t.TempDir(), "mine.toml")
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	set, problems := rules.Load([]string{file}, rules.Options{Fields: dissect.FieldNames, Validators: dlp.Validators(), Masks: dlp.Masks()})
	if problems.Failed() {
		t.Fatal(problems)
	}
	db, err := dlp.Compile(set, dlp.Options{FingerprintKey: []byte("k"), Files: true})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(db.Close)
	return db, set
}

const someRules = `
[[rules]]
id = "card"
description = "Card number"
regex = '''\b\d{16}\b'''
validate = ["luhn", "iin"]
mask = "pan"
severity = "critical"
context = ["card"]
tags = ["pci"]

[[rules]]
id = "token"
description = "Token"
regex = '''\btok_[a-z0-9]{12}\b'''
[[rules.allowlists]]
paths = ['''/fixtures/''']

[[rules]]
id = "two"
description = "Two customers"
regex = '''\bKD-\d{8}\b'''
min_distinct = 2

[[rules]]
id = "p12"
description = "Key store"
path = '''\.p12$'''

[[allowlists]]
paths = ['''/vendor/''']
`

// tree writes files, by name.
func tree(t testing.TB, files map[string]string) string {
	t.Helper()
	dir := t.TempDir()
	for name, text := range files {
		path := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

// gather is a Reporter that keeps all.
type gather struct{ results []*Result }

func (g *gather) Result(r *Result) error { g.results = append(g.results, r); return nil }
func (g *gather) End(*Summary) error     { return nil }

func (g *gather) lines(dir string) string {
	var b strings.Builder
	for _, r := range g.results {
		path := strings.TrimPrefix(r.Path, dir+"/")
		for i := range r.Findings {
			f := &r.Findings[i]
			test := ""
			if f.Test {
				test = " test"
			}
			fmt.Fprintf(&b, "%s %s %d+%d %s%s\n", where(path, f), f.Rule.ID, f.Place.Off, f.Length, f.Masked, test)
		}
		for _, m := range r.More {
			fmt.Fprintf(&b, "%s %s more %d\n", path, m.Rule.ID, m.Count)
		}
		if r.Skipped != "" {
			fmt.Fprintf(&b, "%s skipped: %s\n", path, r.Skipped)
		}
		if r.Err != nil {
			fmt.Fprintf(&b, "%s error: %v\n", path, r.Err)
		}
	}
	return b.String()
}

func runOn(t testing.TB, db *dlp.Database, opt Options) (*gather, *Summary) {
	t.Helper()
	g := &gather{}
	sum, err := Run(db, opt, g)
	if err != nil {
		t.Fatal(err)
	}
	return g, sum
}

func compare(t *testing.T, got, want string) {
	t.Helper()
	if got != want {
		t.Errorf("got:\n%swant:\n%s", got, want)
	}
}

func TestTree(t *testing.T) {
	db, _ := database(t, someRules)
	dir := tree(t, map[string]string{
		"a.txt":                "nothing\ncard: " + card + "\n\tx " + token + "\n",
		".env":                 "T=" + token,
		"bin":                  "\x00\x01" + token,
		"b/fixtures/x":         token + " " + card,
		"b/vendor/x":           token,
		"c.p12":                "",
		"keys/" + token + "/x": "no",
		"one":                  "KD-10000001 KD-10000001",
		"both":                 "KD-10000001\nKD-10000002\nKD-10000003",
		"test":                 "card 4111111111111111",
		".git/config":          "url=" + token,
		".git/objects/00/x":    token,
		"ö.txt":                "ä " + token,
	})
	outside := tree(t, map[string]string{"x": token})
	for name, to := range map[string]string{"in": dir + "/a.txt", "out": outside, "gone": "/nonexistent/x", "out2": outside + "/x"} {
		if err := os.Symlink(to, filepath.Join(dir, name)); err != nil {
			t.Fatal(err)
		}
	}
	if err := unix.Mkfifo(filepath.Join(dir, "pipe"), 0o600); err != nil {
		t.Fatal(err)
	}
	const want = `.env:1:3 token 2+16 tok_…(16)
.git/config:1:5 token 4+16 tok_…(16)
.git/objects skipped: object stores of git (their content is compressed history)
a.txt:2:7 card 14+16 455673******9855
a.txt:3:4 token 34+16 tok_…(16)
b/fixtures/x:1:18 card 17+16 455673******9855
b/vendor/x skipped: files that an allow-list leaves out
bin@2 token 2+16 tok_…(16)
both:1:1 two 0+11 KD…(11)
both:2:1 two 12+11 KD…(11)
both:3:1 two 24+11 KD…(11)
c.p12 (its name) p12 0+0 
keys/tok_…(16)/x (its name) token 0+0 tok_…(16)
out skipped: symbolic links that lead out of the tree
out2 skipped: symbolic links that lead out of the tree
pipe skipped: devices, pipes and sockets
test:1:6 card 5+16 411111******1111 test
ö.txt:1:4 token 3+16 tok_…(16)
`
	for _, jobs := range []int{1, 4} {
		g, sum := runOn(t, db, Options{Paths: []string{dir}, Jobs: jobs})
		compare(t, strings.ReplaceAll(g.lines(dir), dir, "DIR"), want)
		if sum.Files != 11 || sum.Found != 12 || sum.Tests != 1 || sum.With != 9 || sum.Failed+sum.Blind != 0 || !sum.Whole() {
			t.Errorf("got %+v", sum)
		}
	}
}

// TestBoundaries: a match is found, and its place is right, wherever pieces are cut.
func TestBoundaries(t *testing.T) {
	db, _ := database(t, someRules)
	for _, at := range []int{0, 1, piece - 17, piece - 16, piece - 15, piece - 1, piece, piece + 1, 2*piece - 8, 3*piece - 1, 5*piece + 7} {
		for _, line := range []string{"", "ab\n", strings.Repeat("x", 99) + "\n"} {
			var b []byte
			for len(b) < at {
				b = append(b, line...)
				if line == "" {
					b = append(b, ' ')
				}
			}
			b = append(b[:at], ' ')
			lines, begin := bytes.Count(b, newline), bytes.LastIndexByte(b, '\n')+1
			b = append(append(b, token...), "\nend"...)
			dir := tree(t, map[string]string{"f": string(b)})
			want := fmt.Sprintf("f:%d:%d token %d+16 tok_…(16)\n", lines+1, at+2-begin, at+1)
			g, _ := runOn(t, db, Options{Paths: []string{dir}})
			compare(t, g.lines(dir), want)
			f, err := os.Open(filepath.Join(dir, "f"))
			if err != nil {
				t.Fatal(err)
			}
			g, _ = runOn(t, db, Options{Paths: []string{"-"}, Stdin: f})
			f.Close()
			compare(t, g.lines(""), strings.Replace(want, "f:", "-:", 1))
		}
	}
}

// TestLate: a finding that waits for a keyword to the end of a long file is told where it stands.
func TestLate(t *testing.T) {
	db, _ := database(t, "[[rules]]\nid = 'k'\nregex = '''\\bkey-\\d{6}\\b'''\nkeywords = ['acme']\n")
	text := "one\ntwo key-123456\n" + strings.Repeat("filler of some length\n", 6*piece/22) + "ACME"
	g, _ := runOn(t, db, Options{Paths: []string{tree(t, map[string]string{"f": text})}})
	if got := g.lines(""); !strings.HasSuffix(got, "/f:2:5 k 8+10 ke…(10)\n") {
		t.Errorf("got %s", got)
	}
	// What cannot be read again has its offset only.
	g, _ = runOn(t, db, Options{Paths: []string{"-"}, Stdin: struct{ io.Reader }{strings.NewReader(text)}})
	if p := g.results[0].Findings[0].Place; p.Off != 8 || p.Line != 0 {
		t.Errorf("got %+v", p)
	}
}

func TestMany(t *testing.T) {
	db, _ := database(t, someRules)
	text := strings.Repeat(token+"\n", 1000)
	g, sum := runOn(t, db, Options{Paths: []string{tree(t, map[string]string{"f": text})}})
	if r := g.results[0]; len(r.Findings) != dlp.MaxHits || len(r.More) != 1 || r.More[0].Count != 1000-dlp.MaxHits || sum.Found != 1000 {
		t.Errorf("%d findings, %+v, %d in all", len(r.Findings), r.More, sum.Found)
	}
}

func TestUnreadable(t *testing.T) {
	db, _ := database(t, someRules)
	dir := tree(t, map[string]string{"small": token, "large": token + strings.Repeat(" ", 200)})
	g, sum := runOn(t, db, Options{Paths: []string{dir + "/none", dir}, MaxFile: 100})
	compare(t, g.lines(dir), "none error: no such file or directory\nlarge skipped: files larger than --max-file\nsmall:1:1 token 0+16 tok_…(16)\n")
	if sum.Failed != 1 || sum.Whole() || sum.Files != 1 {
		t.Errorf("got %+v", sum)
	}
	g, sum = runOn(t, db, Options{Paths: []string{"-"}, Stdin: failing{strings.NewReader(token + " ")}})
	compare(t, g.lines(dir), "-:1:1 token 0+16 tok_…(16)\n- error: the line is dead\n")
	if sum.Failed != 1 || sum.Found != 1 {
		t.Errorf("got %+v", sum)
	}
}

// failing yields an error at its end.
type failing struct{ r *strings.Reader }

func (f failing) Read(b []byte) (int, error) {
	n, err := f.r.Read(b)
	if err != nil {
		err = fmt.Errorf("the line is dead")
	}
	return n, err
}

// TestNothingShown: no output has what was found, or what only seemed to be something.
func TestNothingShown(t *testing.T) {
	db, set := database(t, someRules)
	dir := tree(t, map[string]string{
		"a": token + " " + card + "\n" + card + " card " + token, "x-" + token + "-" + card: "card " + card,
		"b": strings.Repeat("card "+card+"\n", 300),
	})
	for name, make := range map[string]func(*bytes.Buffer) Reporter{
		"table":     func(b *bytes.Buffer) Reporter { return NewTable(b, false) },
		"terminal":  func(b *bytes.Buffer) Reporter { return NewTable(b, true) },
		"json":      func(b *bytes.Buffer) Reporter { return NewJSON(b) },
		"sarif":     func(b *bytes.Buffer) Reporter { return NewSARIF(b, set, "1") },
		"complaint": func(b *bytes.Buffer) Reporter { return &Complaints{Reporter: NewJSON(b), W: b} },
	} {
		var b, bar bytes.Buffer
		sum, err := Run(db, Options{Paths: []string{dir}, Progress: &bar}, make(&b))
		if err != nil || sum.Found < 300 {
			t.Fatalf("%s: %+v, %v", name, sum, err)
		}
		fmt.Fprint(&b, sum, bar.String())
		for _, secret := range []string{token, card, token[4:], card[6:12]} {
			if strings.Contains(b.String(), secret) {
				t.Errorf("%s: shows what was found", name)
			}
		}
	}
}

// TestSARIF holds the log to what the schema of SARIF 2.1.0 requires, and to what readers of it rely on.
func TestSARIF(t *testing.T) {
	db, set := database(t, someRules)
	dir := tree(t, map[string]string{
		"a b.txt": "ä card " + card + " " + token + "\n" + token, "bin": "\x00" + token, "t": "card 4111111111111111", "c.p12": "",
		"m": strings.Repeat(token+"\n", 300),
	})
	var b bytes.Buffer
	if _, err := Run(db, Options{Paths: []string{dir, dir + "/none"}}, NewSARIF(&b, set, "1.2")); err != nil {
		t.Fatal(err)
	}
	checkSARIF(t, b.Bytes())
	var log struct {
		Runs []struct {
			Results []sarifResult
			Tool    struct{ Driver struct{ Rules []sarifRule } }
		}
	}
	if err := json.Unmarshal(b.Bytes(), &log); err != nil {
		t.Fatal(err)
	}
	results := log.Runs[0].Results
	var got strings.Builder
	for i := range results[:5] {
		r := &results[i]
		at := r.Locations[0].Physical
		fmt.Fprintf(&got, "%s %s %s", strings.TrimPrefix(at.Artifact.URI, "file://"+dir+"/"), r.RuleID, r.Level)
		if p := at.Region; p != nil {
			fmt.Fprintf(&got, " %d:%d-%d:%d %d+%d", p.StartLine, p.StartColumn, p.EndLine, p.EndColumn, p.ByteOffset, p.ByteLength)
		}
		fmt.Fprintln(&got)
	}
	compare(t, got.String(), `a%20b.txt card error 1:8-1:24 8+16
a%20b.txt token error 1:25-1:41 25+16
a%20b.txt token error 2:1-2:17 42+16
bin token error 0:0-0:0 1+16
c.p12 p12 error
`)
	last := results[len(results)-1]
	if last.Kind != "informational" || last.Level != "none" {
		t.Errorf("a test value: got kind %q, level %q", last.Kind, last.Level)
	}
	b.Reset()
	if _, err := Run(db, Options{Paths: []string{tree(t, nil)}}, NewSARIF(&b, set, "1.2")); err != nil {
		t.Fatal(err)
	}
	checkSARIF(t, b.Bytes())
}

// checkSARIF checks what the schema requires of the objects that Weir writes.
func checkSARIF(t *testing.T, text []byte) {
	t.Helper()
	var log map[string]any
	if err := json.Unmarshal(text, &log); err != nil {
		t.Fatal(err)
	}
	fail := func(at, what string) { t.Helper(); t.Errorf("%s: %s", at, what) }
	object := func(at string, v any, keys string, required ...string) map[string]any {
		m, ok := v.(map[string]any)
		if !ok {
			fail(at, "no object")
			return nil
		}
		for k := range m {
			if !strings.Contains(" "+keys+" ", " "+k+" ") {
				fail(at, "the schema has no property "+k)
			}
		}
		for _, k := range required {
			if m[k] == nil {
				fail(at, "without "+k)
			}
		}
		return m
	}
	list := func(at string, v any) []any {
		l, ok := v.([]any)
		if !ok {
			fail(at, "no array")
		}
		return l
	}
	oneOf := func(at string, v any, words ...string) {
		for _, w := range words {
			if v == w {
				return
			}
		}
		fail(at, fmt.Sprintf("%v is none of %v", v, words))
	}
	message := func(at string, v any) {
		if m := object(at, v, "text markdown id arguments properties"); m["text"] == "" || m["text"] == nil {
			fail(at, "a message without text")
		}
	}
	locations := func(at string, v any) {
		for _, l := range list(at, v) {
			p := object(at, object(at, l, "id physicalLocation logicalLocations message")["physicalLocation"], "artifactLocation region contextRegion", "artifactLocation")
			object(at, p["artifactLocation"], "uri uriBaseId index description", "uri")
			if p["region"] == nil {
				continue
			}
			r := object(at, p["region"], "startLine startColumn endLine endColumn charOffset charLength byteOffset byteLength snippet")
			for k, least := range map[string]float64{"startLine": 1, "startColumn": 1, "endLine": 1, "endColumn": 1, "byteOffset": 0, "byteLength": 0} {
				if n, ok := r[k].(float64); r[k] != nil && (!ok || n < least || n != float64(int64(n))) {
					fail(at, fmt.Sprintf("%s is %v", k, r[k]))
				}
			}
		}
	}
	object("log", log, "$schema version runs inlineExternalProperties properties", "version", "runs")
	oneOf("version", log["version"], "2.1.0")
	for _, v := range list("runs", log["runs"]) {
		run := object("run", v, "tool invocations results artifacts columnKind properties originalUriBaseIds", "tool", "results")
		oneOf("columnKind", run["columnKind"], "utf16CodeUnits", "unicodeCodePoints")
		driver := object("driver", object("tool", run["tool"], "driver extensions", "driver")["driver"], "name version semanticVersion informationUri rules", "name")
		ids := map[string]bool{}
		rs := list("rules", driver["rules"])
		for _, r := range rs {
			rule := object("rule", r, "id name shortDescription fullDescription help helpUri defaultConfiguration properties", "id", "help")
			if id := rule["id"].(string); ids[id] {
				fail("rule", id+" twice")
			} else {
				ids[id] = true
			}
			message("shortDescription", rule["shortDescription"])
			message("help", rule["help"])
			oneOf("level", object("configuration", rule["defaultConfiguration"], "enabled level rank parameters")["level"], "none", "note", "warning", "error")
		}
		prints := map[string]bool{}
		for _, v := range list("results", run["results"]) {
			r := object("result", v, "ruleId ruleIndex kind level message locations partialFingerprints fingerprints properties", "message", "ruleId", "locations")
			message("message", r["message"])
			oneOf("level", r["level"], "none", "note", "warning", "error")
			if r["kind"] != nil {
				oneOf("kind", r["kind"], "informational")
				oneOf("level of what did not fail", r["level"], "none")
			}
			i := int(r["ruleIndex"].(float64))
			if i < 0 || i >= len(rs) || rs[i].(map[string]any)["id"] != r["ruleId"] {
				fail("result", "ruleIndex is not that of ruleId")
			}
			locations("result", r["locations"])
			for k, p := range r["partialFingerprints"].(map[string]any) {
				if s, ok := p.(string); !ok || s == "" || k == "weirPlace/v1" && prints[s] {
					fail("result", "fingerprint "+k+" is empty or there twice")
				} else {
					prints[s] = true
				}
			}
		}
		for _, v := range list("invocations", run["invocations"]) {
			inv := object("invocation", v, "executionSuccessful toolExecutionNotifications", "executionSuccessful")
			for _, n := range list("notifications", inv["toolExecutionNotifications"]) {
				notice := object("notification", n, "level message locations descriptor", "message")
				message("notification", notice["message"])
				oneOf("level", notice["level"], "none", "note", "warning", "error")
				locations("notification", notice["locations"])
			}
		}
	}
}

// TestSteady: files in which nothing is found cost a few small things each.
func TestSteady(t *testing.T) {
	db, _ := database(t, someRules)
	dir := tree(t, map[string]string{"f": strings.Repeat("func main() { return nothing } // 12345\n", 20000)})
	w, err := newWorker(db, &Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer w.free()
	j := &job{path: dir + "/f"}
	w.file(j)
	if n := testing.AllocsPerRun(20, func() { w.file(j) }); n > 16 {
		t.Errorf("%g allocations for a file in which nothing is", n)
	}
}
