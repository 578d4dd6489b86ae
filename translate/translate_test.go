package translate

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"weir/dissect"
	"weir/dlp"
	"weir/rules"
)

// raised translates rules of Suricata, and returns whether a text in a field raises one of them, and what was not translated.
func raised(t *testing.T, line, field, text string) (bool, []Left) {
	t.Helper()
	result, err := Read("suricata", "x.rules", []byte(line))
	if err != nil {
		t.Fatal(err)
	}
	set, problems := rules.Parse("x.toml", result.TOML)
	if len(problems) > 0 {
		t.Fatalf("%s\n%v", result.TOML, problems)
	}
	if len(set.Rules) == 0 {
		return false, result.Left
	}
	db, err := dlp.Compile(set, dlp.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	s, err := db.NewScanner()
	if err != nil {
		t.Fatal(err)
	}
	defer s.Free()
	m := dissect.Message{Protocol: &dissect.Raw, ID: 1, End: true}
	for _, p := range dissect.Protocols {
		for i, f := range p.Fields {
			if f.Name == field {
				m.Protocol, m.Parts = p, []dissect.Part{{Field: dissect.Field(i), Value: 1, Bytes: []byte(text)}}
			}
		}
	}
	if m.Parts == nil {
		m.Parts = []dissect.Part{{Field: dissect.RawBytes, Value: 1, Bytes: []byte(text)}}
	}
	var st dlp.State
	for _, h := range s.Close(&st, s.Inspect(&st, &m, nil)) {
		if h.Raise {
			return true, result.Left
		}
	}
	return false, result.Left
}

func TestSuricata(t *testing.T) {
	for _, c := range []struct {
		rule, field, text string
		want              bool
	}{
		{`tcp content:"abcd"`, "", "xabcdx", true},
		{`tcp content:"abcd"`, "", "xABCDx", false},
		{`tcp content:"abcd"; nocase`, "", "xABCDx", true},
		{`tcp content:"a|3a 3B|d"`, "", "a:;d", true},
		{`tcp content:"a\:\;\"\\d"`, "", `a:;"\d`, true},
		{`tcp content:"abcd"; content:"efgh"`, "", "efgh abcd", true},
		{`tcp content:"abcd"; content:"efgh"`, "", "abcd", false},
		{`tcp content:"abcd"; content:"efgh"; distance:2`, "", "abcd--efgh", true},
		{`tcp content:"abcd"; content:"efgh"; distance:2`, "", "abcd-efgh", false},
		{`tcp content:"abcd"; content:"efgh"; within:6`, "", "abcd--efgh", true},
		{`tcp content:"abcd"; content:"efgh"; within:6`, "", "abcd---efgh", false},
		{`tcp content:"abcd"; content:"efgh"; distance:1; within:5`, "", "abcd--efgh", true},
		{`http http.uri; content:"/abcd"; startswith`, "http.uri", "/abcd/e", true},
		{`http http.uri; content:"/abcd"; startswith`, "http.uri", "/x/abcd", false},
		{`http http.uri; content:"abcd"; endswith`, "http.uri", "/x/abcd", true},
		{`http http.uri; content:"abcd"; endswith`, "http.uri", "/x/abcd/", false},
		{`http http.uri; content:"abcd"; offset:2; depth:5`, "http.uri", "123abcd", true},
		{`http http.uri; content:"abcd"; offset:2; depth:5`, "http.uri", "1abcd", false},
		{`http http.uri; content:"abcd"; offset:2; depth:5`, "http.uri", "1234abcd", false},
		{`http content:"abcd"; http_uri`, "http.uri", "/abcd", true},
		{`http content:"abcd"; http_uri`, "http.user_agent", "/abcd", false},
		{`http pcre:"/ab\d+\/x/iU"`, "http.uri", "/AB12/x", true},
		{`http http.uri; content:"/a"; pcre:"/^\d{4}/R"`, "http.uri", "/a1234", true}, // right behind
		{`http http.uri; content:"/a"; pcre:"/^\d{4}/R"`, "http.uri", "/a-1234", false},
		{`http pcre:"/^\/a[^b]/U"`, "http.uri", "/ac", true},
		{`http http.uri; content:"/a"; pcre:"/\d{4}/R"`, "http.uri", "/a--1234", true},
		{`http file_data; content:"abcd"`, "http.response.body", "abcd", true},
		{`dns dns.query; content:"evil.example"`, "dns.query", "www.evil.example", true},
		{`tls tls.sni; content:"evil.example"`, "tls.sni", "evil.example", true},
	} {
		proto, options, _ := strings.Cut(c.rule, " ")
		got, left := raised(t, `alert `+proto+` any any -> any any (msg:"m"; `+options+`; sid:7;)`, c.field, c.text)
		if len(left) > 0 {
			t.Errorf("%s: not translated: %v", c.rule, left)
		} else if got != c.want {
			t.Errorf("%s on %q: %v, want %v", c.rule, c.text, got, c.want)
		}
	}
}

// TestSuricataLeft: what cannot be said is named, and nothing else comes of it.
func TestSuricataLeft(t *testing.T) {
	for _, c := range []struct{ rule, want string }{
		{`alert tcp any any -> any any (content:!"abcd"; sid:7;)`, "is not there"},
		{`alert tcp any any -> any 80 (content:"abcd"; sid:7;)`, "certain addresses or ports"},
		{`alert tcp 10.0.0.0/8 any -> any any (content:"abcd"; sid:7;)`, "certain addresses or ports"},
		{`alert http any any -> any any (content:"abcd"; sid:7;)`, "not at a buffer"},
		{`alert tcp any any -> any any (content:"abcd"; offset:3; sid:7;)`, "another"},
		{`alert tcp any any -> any any (content:"|ff fe|"; sid:7;)`, "beyond ASCII"},
		{`alert tcp any any -> any any (content:"|ff"; sid:7;)`, "not closed"},
		{`alert tcp any any -> any any (content:"abcd"; byte_test:1,>,3,0; sid:7;)`, "byte_test has no counterpart"},
		{`alert tcp any any -> any any (pcre:"/a(?=b)/"; sid:7;)`, "looks around"},
		{`alert tcp any any -> any any (pcre:"/(a)\1/"; sid:7;)`, "none of RE2"},
		{`alert tcp any any -> any any (pcre:"/a*/"; sid:7;)`, "empty string"},
		{`alert tcp any any -> any any (flow:established; sid:7;)`, "neither content nor pcre"},
		{`alert tcp any any -> any any (content:"abcd"; threshold: type threshold, track by_src, count 5, seconds 60; sid:7;)`, "it counts"},
		{`alert smb any any -> any any (content:"abcd"; sid:7;)`, "protocol smb"},
		{`pass tcp any any -> any any (content:"abcd"; sid:7;)`, "action pass"},
		{`alert tcp any any -> any any (content:"abcd";)`, "no sid"},
		{`alert tcp any any (content:"abcd"; sid:7;)`, "this is no rule"},
		{`alert http any any -> any any (flow:to_client; http.uri; content:"abcd"; sid:7;)`, "not there in this direction"},
		{`alert tcp any any -> any any (content:"abcd"; content:"e"; distance:-4; sid:7;)`, "overlap"},
	} {
		result, err := Read("suricata", "x.rules", []byte("# a comment\n\n"+c.rule+"\n"+`alert tcp any any -> any any (content:"good"; sid:8;)`+"\n"))
		if err != nil {
			t.Fatal(err)
		}
		if result.Rules != 1 || len(result.Left) != 1 || result.Left[0].Line != 3 || !strings.Contains(result.Left[0].Why, c.want) {
			t.Errorf("%s: %d rules, left %v, want %s", c.rule, result.Rules, result.Left, c.want)
		} else if !strings.Contains(string(result.TOML), "# not translated: line 3: ") {
			t.Errorf("%s: no comment in the result", c.rule)
		}
	}
}

func TestSuricataMeta(t *testing.T) {
	result, err := Read("suricata", "x.rules", []byte(`drop http $HOME_NET any -> any any (msg:"A \"b\" 'c'"; http.uri; content:"/abc"; reference:cve,2026-1; reference:url,a.example/x; classtype:web-application-attack; priority:1; \`+"\n"+`sid:42; rev:7;)`))
	if err != nil || len(result.Left) > 0 {
		t.Fatal(err, result.Left)
	}
	set, problems := rules.Parse("x.toml", result.TOML)
	if len(problems) > 0 || len(set.Rules) != 1 {
		t.Fatal(problems)
	}
	r := set.Rules[0]
	if r.ID != "suricata.42" || r.SID != 42 || r.Rev != 7 || r.Description != `A "b" 'c'` || r.Category != "web-application-attack" || r.Severity != rules.High ||
		strings.Join(r.Tags, " ") != "classtype.web-application-attack reference.cve:2026-1 reference.url:a.example/x" || r.Engine != rules.Signature {
		t.Errorf("%+v", r)
	}
	for _, note := range []string{"# action drop is an alert here", "# addresses and ports are not looked at: $HOME_NET any -> any any"} {
		if !strings.Contains(string(result.TOML), note) {
			t.Errorf("no note %q", note)
		}
	}
}

func TestQuote(t *testing.T) {
	for _, v := range []string{``, `plain`, `a\d"b`, `it's \d`, `'''`, `\d'`, "tab\tand\x00", `"""\`, "ünïcode", `'a\`} {
		set, problems := rules.Parse("x.toml", []byte("[[rules]]\nid = 'x'\nregex = 'abc'\ndescription = "+quote(v)+"\n"))
		if len(problems) > 0 || set.Rules[0].Description != v {
			t.Errorf("%q: %v", v, problems)
		}
	}
}

// TestGitleaks: gitleaks' own file is a rules file as it is.
func TestGitleaks(t *testing.T) {
	dir := os.Getenv("CORPUS")
	if dir == "" {
		t.Skip("CORPUS names no folder of public test suites")
	}
	text, err := os.ReadFile(filepath.Join(dir, "secrets", "gitleaks.toml"))
	if err != nil {
		t.Fatal(err)
	}
	result, err := Read("gitleaks", "gitleaks.toml", text)
	if err != nil || result.Rules != 222 {
		t.Fatal(err, result)
	}
	if set, problems := rules.Parse("x.toml", result.TOML); problems.Failed() || len(set.Rules) != 222 {
		t.Error(problems)
	}
}

func FuzzRead(f *testing.F) {
	f.Add(2, `alert tcp any any -> any any (msg:"m"; content:"a|20|b"; nocase; pcre:"/x/i"; sid:7;)`)
	f.Add(1, "kind: NvDlpSecurityRule\nspec: {sensor: {name: a, rules: [{name: b, patterns: [{key: pattern, op: regex, value: abc, context: url}]}]}}")
	f.Fuzz(func(t *testing.T, format int, text string) {
		result, err := Read(Formats[uint(format)%3], "f", []byte(text))
		if err != nil || result.Rules == 0 {
			return
		}
		if _, problems := rules.Parse("x.toml", result.TOML); problems.Failed() {
			t.Errorf("%s\n%v", result.TOML, problems)
		}
	})
}
