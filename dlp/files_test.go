package dlp

import (
	"fmt"
	"slices"
	"testing"

	"weir/dissect"
	"weir/rules"
)

// foundIn returns the ids of the rules that find something in the content of a file, "left out" for one that is not looked at.
func foundIn(s *Scanner, name, text string) (ids []string) {
	if s.db.LeavesOut(name) {
		return []string{"left out"}
	}
	var st State
	for _, h := range s.InFile(name, nil) {
		ids = append(ids, h.Rule.ID)
	}
	m := dissect.Message{Protocol: &dissect.OnDisk, ID: 1, Tx: 1, End: true}
	m.Parts = []dissect.Part{{Field: dissect.OnDiskContent, Value: 1, Bytes: []byte(text)}}
	for _, h := range s.Close(&st, s.Inspect(&st, &m, nil)) {
		ids = append(ids, h.Rule.ID)
	}
	slices.Sort(ids)
	return ids
}

func TestForFiles(t *testing.T) {
	const word = `\bword\d{4}\b`
	set := &rules.Set{
		Rules: []*rules.Rule{
			{ID: "any", Regex: word},
			{ID: "attack", Regex: word, Engine: rules.Signature},
			{ID: "answers", Regex: word, Fields: []string{"http.response.body"}, Direction: rules.Response},
			{ID: "uri", Regex: word, Fields: []string{"http.uri"}},
			{ID: "env", Regex: word, Path: `\.env$`},
			{ID: "no-docs", Regex: word, Allow: []rules.Allowlist{{Paths: []string{`^docs/`}}}},
			{ID: "no-0000-in-tests", Regex: word, Allow: []rules.Allowlist{{And: true, Paths: []string{`_test\.`}, Regexes: []string{`0000`}}}},
			{ID: "key", Path: `\.p12$`},
			{ID: "key2", Path: `\.p12$`, Allow: []rules.Allowlist{{Paths: []string{`^docs/`}}}},
		},
		Allow: []rules.Allowlist{
			{Paths: []string{`^vendor/`}},
			{Paths: []string{`^any/`}, TargetRules: []string{"any", "key"}},
		},
	}
	_, s := compileSet(t, set, Options{Files: true})
	for _, c := range []struct{ name, text, want string }{
		{"a.go", "word1234", "[answers any no-0000-in-tests no-docs]"},
		{"a/.env", "word1234", "[answers any env no-0000-in-tests no-docs]"},
		{"docs/a.md", "word1234", "[answers any no-0000-in-tests]"},
		{"a_test.go", "word1234", "[answers any no-0000-in-tests no-docs]"},
		{"a_test.go", "word0000", "[answers any no-docs]"},
		{"a.go", "word0000", "[answers any no-0000-in-tests no-docs]"},
		{"any/a.go", "word1234", "[answers no-0000-in-tests no-docs]"},
		{"vendor/a.go", "word1234", "[left out]"},
		{"a.p12", "", "[key key2]"},
		{"docs/a.p12", "", "[key]"},
		{"any/a.p12", "", "[key2]"},
		{"vendor/a.p12", "", "[left out]"},
		{"", "word1234", "[answers any env no-0000-in-tests no-docs]"},
	} {
		if got := fmt.Sprint(foundIn(s, c.name, c.text)); got != c.want {
			t.Errorf("%s: %s: got %s, want %s", c.name, c.text, got, c.want)
		}
	}
}

// TestFilesAside: rules for traffic make nothing ready for files, and the other way round.
func TestFilesAside(t *testing.T) {
	set := &rules.Set{Rules: []*rules.Rule{{ID: "any", Regex: `\bword\d{4}\b`}}}
	for _, files := range []bool{false, true} {
		db, err := Compile(set, Options{FingerprintKey: []byte("k"), Files: files})
		if err != nil {
			t.Fatal(err)
		}
		for f, want := range db.Wants() {
			if want && onDisk(f) != files {
				t.Errorf("files %v: %s is looked at", files, dissect.FieldNames[f])
			}
		}
		db.Close()
	}
}
