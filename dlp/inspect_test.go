package dlp

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"weir/dissect"
	"weir/rules"
	"weir/wire"
)

func scan(t *testing.T, text string, rs ...*rules.Rule) []Hit {
	t.Helper()
	_, s := mustCompile(t, rs...)
	return s.ScanBytes([]byte(text), nil)
}

func pan() *rules.Rule {
	return &rules.Rule{ID: "pan", Regex: panRegex, Validate: []string{"luhn", "iin"}, Mask: "pan"}
}

func TestHit(t *testing.T) {
	hits := scan(t, "name=x; card number: 4556 7375 8689 9855 end; other 4532015112830366123", pan())
	if len(hits) != 1 {
		t.Fatalf("%d hits, want 1", len(hits))
	}
	h := hits[0]
	if h.Masked != "4556 73** **** 9855" || !strings.Contains(h.Excerpt, "card number: 4556 73** **** 9855 end;") {
		t.Errorf("masked %q, excerpt %q", h.Masked, h.Excerpt)
	}
	if h.Off != 21 || h.End != 40 || !h.Exact || !h.Raise || h.Test || h.Count != 1 || h.Distinct != 1 || len(h.Fingerprint) != 16 || h.Field != "raw" {
		t.Errorf("got %+v", h)
	}
}

func TestTestValue(t *testing.T) {
	for _, c := range []*rules.Rule{pan(), {ID: "aws", Regex: `\bAKIA[A-Z0-9]{16}\b`}, {ID: "ssn", Regex: `\b\d{3}-\d{2}-\d{4}\b`, Validate: []string{"ssn"}}} {
		for _, h := range scan(t, "4111 1111 1111 1111 AKIAIOSFODNN7EXAMPLE 078-05-1120", c) {
			if !h.Test || h.Raise || h.Count != 0 {
				t.Errorf("%s: test %v, raise %v, count %d", c.ID, h.Test, h.Raise, h.Count)
			}
		}
	}
}

func TestShorterAndInside(t *testing.T) {
	r := func() *rules.Rule {
		return &rules.Rule{ID: "p", Regex: `\d[\d ]{11,22}\d`, Validate: []string{"luhn", "iin"}, Mask: "pan"}
	}
	for _, text := range []string{"x 4556737586899855 12 y", "x 12 4556737586899855 y", "999 4556 7375 8689 9855 9"} {
		hits := scan(t, text, r())
		if len(hits) != 1 || !strings.HasSuffix(hits[0].Masked, "9855") {
			t.Errorf("%d hits, want the one inside a longer match", len(hits))
		}
	}
}

func TestConditions(t *testing.T) {
	secret := func(r rules.Rule) *rules.Rule {
		r.ID, r.Regex = "s", `key-([a-z0-9]{8})`
		return &r
	}
	const text = "a key-abcd1234 b\nkey-zzzzzzzz\n"
	for _, c := range []struct {
		name string
		rule *rules.Rule
		more string
		want int
	}{
		{"plain", secret(rules.Rule{}), "", 2},
		{"entropy", secret(rules.Rule{Entropy: 2}), "", 1},
		{"keyword missing", secret(rules.Rule{Keywords: []string{"vault"}}), "", 0},
		{"keyword later", secret(rules.Rule{Keywords: []string{"vault"}}), "The VAULT", 2},
		{"keyword implied", secret(rules.Rule{Keywords: []string{"key-"}}), "", 2},
		{"stopword", secret(rules.Rule{Allow: []rules.Allowlist{{Stopwords: []string{"zzz"}}}}), "", 1},
		{"regex", secret(rules.Rule{Allow: []rules.Allowlist{{Regexes: []string{`^abcd`}}}}), "", 1},
		{"regex on line", secret(rules.Rule{Allow: []rules.Allowlist{{Target: "line", Regexes: []string{`^a .* b$`}}}}), "", 1},
		{"and", secret(rules.Rule{Allow: []rules.Allowlist{{And: true, Regexes: []string{`^abcd`}, Stopwords: []string{"zzz"}}}}), "", 2},
		{"context missing", secret(rules.Rule{Context: []string{"token"}, ContextRequired: true, Within: 50}), "", 0},
		{"context later", secret(rules.Rule{Context: []string{"token"}, ContextRequired: true, Within: 50}), " its apiToken", 2},
		{"context too far", secret(rules.Rule{Context: []string{"token"}, ContextRequired: true, Within: 10}), strings.Repeat(".", 50) + "token", 0},
		{"context in a word", secret(rules.Rule{Context: []string{"pan"}, ContextRequired: true, Within: 50}), "company", 0},
	} {
		if got := len(scan(t, text+c.more, c.rule)); got != c.want {
			t.Errorf("%s: %d hits, want %d", c.name, got, c.want)
		}
		_, s := mustCompile(t, c.rule)
		if got := len(inPieces(s, text+c.more, []int{3, 9, 15, 20, 30})); got != c.want {
			t.Errorf("%s, in pieces: %d hits, want %d", c.name, got, c.want)
		}
	}
}

func TestRequired(t *testing.T) {
	id := &rules.Rule{ID: "id", Regex: `id-\d{4}`}
	pair := func(lines int) *rules.Rule {
		return &rules.Rule{ID: "pair", Regex: `pw-\d{4}`, Required: []rules.Required{{ID: "id", WithinLines: lines, WithinColumns: -1}}}
	}
	for _, c := range []struct {
		text  string
		lines int
		want  string
	}{
		{"pw-1234 only", -1, ""},
		{"pw-1234 then id-1234", -1, "id[13 20) pair[0 7)"},
		{"id-1234\npw-1234", 1, "id[0 7) pair[8 15)"},
		{"id-1234\n\n\npw-1234", 1, "id[0 7)"},
	} {
		if got := spansOf(scan(t, c.text, id, pair(c.lines))); got != c.want {
			t.Errorf("%q: got %s, want %s", c.text, got, c.want)
		}
	}
}

func TestDistinct(t *testing.T) {
	hits := scan(t, "id-1111 id-1111 id-2222 id-3333 id-4444", &rules.Rule{ID: "d", Regex: `id-\d{4}`, MinDistinct: 3})
	raised := 0
	for i, h := range hits {
		if h.Count != i+1 {
			t.Errorf("hit %d has count %d", i, h.Count)
		}
		if h.Raise {
			raised++
			if h.Distinct != 3 {
				t.Errorf("raised at %d different values, want 3", h.Distinct)
			}
		}
	}
	if len(hits) != 5 || raised != 1 {
		t.Errorf("%d hits, %d raised; want 5, 1", len(hits), raised)
	}
}

// TestOnceOnly: two views of a value that show the same source bytes are one finding.
func TestOnceOnly(t *testing.T) {
	_, s := mustCompile(t, &rules.Rule{ID: "r", Regex: `key=\w{6}`})
	var st State
	m := dissect.Message{Protocol: &dissect.Raw, ID: 7, End: true, Parts: []dissect.Part{
		{Value: 1, Bytes: []byte("a=%41&key=secret")},
		{Value: 1, View: dissect.ViewPercent, Bytes: []byte("a=A&key=secret"), Shifts: []dissect.Shift{{At: 0, Delta: 0}, {At: 3, Delta: 2}}},
	}}
	if got, want := spansOf(s.Inspect(&st, &m, nil)), "r[6 16)"; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
	m.Parts[0].Bytes = []byte("a=%41&k%65y=secret.")
	m.Parts[1].Bytes = []byte("a=A&key=secret.")
	m.Parts[1].Shifts = []dissect.Shift{{At: 0}, {At: 3, Delta: 2}, {At: 6, Delta: 4}}
	hits := s.Inspect(&st, &m, nil)
	if got, want := spansOf(hits), "r[6 18)"; got != want || !hits[0].Exact {
		t.Errorf("got %s, want %s", got, want)
	}
	if !st.Empty() {
		t.Error("the message ended, its state did not")
	}
}

// TestInterleaved: values that come in turns do not mix, and a gap ends a match.
func TestInterleaved(t *testing.T) {
	_, s := mustCompile(t, &rules.Rule{ID: "r", Regex: `abcdefgh`})
	var st State
	part := func(value uint32, off int64, b string, more bool) []Hit {
		m := dissect.Message{Protocol: &dissect.Raw, ID: uint64(value), Parts: []dissect.Part{{Value: value, Off: off, Bytes: []byte(b), More: more}}}
		return s.Inspect(&st, &m, nil)
	}
	part(1, 0, "abcd", true)
	part(2, 0, "abc", true)
	if got := part(1, 4, "efgh", true); len(got) != 1 {
		t.Errorf("cut in two: %d hits, want 1", len(got))
	}
	if got := part(2, 7, "defgh", true); len(got) != 0 {
		t.Errorf("over a gap: %d hits, want 0", len(got))
	}
	s.Close(&st, nil)
}

func TestDirection(t *testing.T) {
	_, s := mustCompile(t, &rules.Rule{ID: "q", Regex: `abcd`, Direction: rules.Request}, &rules.Rule{ID: "a", Regex: `abcd`, Direction: rules.Response})
	var st State
	for dir, want := range []string{"q[0 4)", "a[0 4)"} {
		m := dissect.Message{Protocol: &dissect.Raw, ID: 1, Dir: wire.Dir(dir), End: true, Parts: []dissect.Part{{Value: 1, Bytes: []byte("abcd")}}}
		if got := spansOf(s.Inspect(&st, &m, nil)); got != want {
			t.Errorf("got %s, want %s", got, want)
		}
	}
}

func TestCompileErrors(t *testing.T) {
	for _, c := range []struct {
		rule rules.Rule
		want string
	}{
		{rules.Rule{Regex: `(`}, "r.toml:3:1: rule x: error parsing regexp"},
		{rules.Rule{Regex: `a*`}, "matches the empty string"},
		{rules.Rule{Regex: `ab`, SecretGroup: 1}, "secretGroup is 1"},
		{rules.Rule{Regex: `ab`, Validate: []string{"lun"}}, `no validator is called "lun"`},
		{rules.Rule{Regex: `ab`, Mask: "pin"}, `no mask is called "pin"`},
		{rules.Rule{Regex: `ab`, Fields: []string{"http.bdy"}}, `no field "http.bdy"`},
		{rules.Rule{Regex: `ab`, Required: []rules.Required{{ID: "y"}}}, `no rule "y"`},
	} {
		c.rule.ID, c.rule.Pos = "x", rules.Pos{File: "r.toml", Line: 3, Col: 1}
		_, err := Compile(&rules.Set{Rules: []*rules.Rule{&c.rule}}, Options{})
		if err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("got %v, want %q", err, c.want)
		}
	}
}

// TestCache: a compiled database is kept and used again, and nothing that another could have written is loaded.
func TestCache(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "cache")
	opt := Options{CacheDir: dir, FingerprintKey: []byte("key")}
	compile := func() {
		t.Helper()
		db, err := Compile(&rules.Set{Rules: []*rules.Rule{pan()}}, opt)
		if err != nil {
			t.Fatal(err)
		}
		db.Close()
	}
	compile()
	files, err := filepath.Glob(filepath.Join(dir, "*.hsdb"))
	if err != nil || len(files) != 2 {
		t.Fatalf("%d files, want one for blocks and one for streams (%v)", len(files), err)
	}
	name := filepath.Base(files[0])
	if _, ok := readCache(dir, name, opt.FingerprintKey); !ok {
		t.Error("what was written is not read")
	}
	if _, ok := readCache(dir, name, []byte("other")); ok {
		t.Error("read with another key")
	}
	if err := os.Chmod(files[0], 0o666); err != nil {
		t.Fatal(err)
	}
	if _, ok := readCache(dir, name, opt.FingerprintKey); ok {
		t.Error("read although anybody may write it")
	}
	b, err := os.ReadFile(files[0])
	if err != nil {
		t.Fatal(err)
	}
	b[len(b)-1] ^= 1
	if err := os.WriteFile(files[0], b, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(files[0], 0o600); err != nil {
		t.Fatal(err)
	}
	if _, ok := readCache(dir, name, opt.FingerprintKey); ok {
		t.Error("read although it was changed")
	}
	compile()
}

// TestCacheIsBounded: databases that were used longest ago go, and what crashes left.
func TestCacheIsBounded(t *testing.T) {
	dir := t.TempDir()
	old := time.Now().Add(-2 * partAge)
	for i := range maxCaches + 10 {
		name := filepath.Join(dir, fmt.Sprintf("%02d%s", i, cacheSuffix))
		if err := errors.Join(os.WriteFile(name, nil, 0o600), os.Chtimes(name, old, old.Add(-time.Duration(i)*time.Second))); err != nil {
			t.Fatal(err)
		}
	}
	for name, at := range map[string]time.Time{partPrefix + "dead": old, partPrefix + "alive": time.Now(), "foreign": old} {
		name = filepath.Join(dir, name)
		if err := errors.Join(os.WriteFile(name, nil, 0o600), os.Chtimes(name, at, at)); err != nil {
			t.Fatal(err)
		}
	}
	writeCache(dir, "new"+cacheSuffix, []byte("key"), []byte("x"))
	caches, _ := filepath.Glob(filepath.Join(dir, "*"+cacheSuffix))
	all, _ := os.ReadDir(dir)
	if _, ok := readCache(dir, "new"+cacheSuffix, []byte("key")); !ok || len(caches) != maxCaches || len(all) != maxCaches+2 {
		t.Errorf("%d caches of %d files are left, want %d and two others; the newest is read: %v", len(caches), len(all), maxCaches, ok)
	}
	if filepath.Base(caches[maxCaches-2]) != fmt.Sprintf("%02d%s", maxCaches-2, cacheSuffix) {
		t.Errorf("not the oldest ones have gone: %v", caches)
	}
}

// TestAfterGap finds what begins with the first byte after bytes that were never seen.
func TestAfterGap(t *testing.T) {
	db, err := Compile(&rules.Set{Rules: []*rules.Rule{{ID: "t", Regex: "TOKEN-[0-9]{4}", MinDistinct: 1, Mask: "secret"}}},
		Options{FingerprintKey: make([]byte, 32)})
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	s, err := db.NewScanner()
	if err != nil {
		t.Fatal(err)
	}
	defer s.Free()
	for _, more := range []bool{false, true} {
		var st State
		m := dissect.Message{Protocol: &dissect.Raw, ID: 1, Parts: []dissect.Part{{Bytes: []byte("before"), More: true}}}
		hits := s.Inspect(&st, &m, nil)
		m.Parts = []dissect.Part{{Off: 100, Bytes: []byte("TOKEN-1234 after"), More: more}}
		hits = s.Close(&st, s.Inspect(&st, &m, hits))
		if len(hits) != 1 || hits[0].Off != 100 {
			t.Errorf("more=%v: got %d hits, want 1 at 100", more, len(hits))
		}
	}
}
