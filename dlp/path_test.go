package dlp

import (
	"testing"

	"weir/rules"
)

// TestInFile: paths of rules and allow-lists are asked where a file's name is known, and not where there is none.
func TestInFile(t *testing.T) {
	set := &rules.Set{
		Rules: []*rules.Rule{
			{ID: "key", Path: `(?i)\.p12$`, Allow: []rules.Allowlist{{Paths: []string{`^test/`}}}},
			{ID: "word", Regex: "TOKEN-[0-9]{4}", Path: `\.ini$`, MinDistinct: 1, Mask: "secret"},
			{ID: "any", Regex: "VALUE-[0-9]{4}", MinDistinct: 1, Mask: "secret", Allow: []rules.Allowlist{
				{And: true, Paths: []string{`^doc/`}, Stopwords: []string{"1111"}},
			}},
		},
		Allow: []rules.Allowlist{{Paths: []string{`^vendor/`}}},
	}
	_, s := compileSet(t, set, Options{})
	for _, c := range []struct{ file, text, want string }{
		{"", "TOKEN-1234 VALUE-1111", "word any "},
		{"a.ini", "TOKEN-1234 VALUE-1111", "word any "},
		{"a.txt", "TOKEN-1234 VALUE-1111", "any "},
		{"doc/a", "VALUE-1111", ""},
		{"doc/a", "VALUE-1112", "any "},
		{"vendor/a.ini", "TOKEN-1234 VALUE-1112", ""},
		{"keys/shop.P12", "", "key "},
		{"keys/shop.p12.txt", "", ""},
		{"test/shop.p12", "", ""},
		{"vendor/shop.p12", "", ""},
	} {
		got := ""
		for _, h := range s.ScanBytes([]byte(c.text), s.InFile(c.file, nil)) {
			if !h.Raise {
				t.Errorf("%q: %s is not raised", c.file, h.Rule.ID)
			}
			got += h.Rule.ID + " "
		}
		if got != c.want {
			t.Errorf("%q in %q: got %q, want %q", c.text, c.file, got, c.want)
		}
	}
}
