package rules

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// write puts files into a folder of the test's own and returns it.
func write(t testing.TB, files map[string]string) string {
	t.Helper()
	dir := t.TempDir()
	for name, text := range files {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

// told is what Load says about files, one problem a line, without the folder.
func told(t testing.TB, files map[string]string, opt Options) (*Set, string) {
	t.Helper()
	dir := write(t, files)
	set, problems := Load([]string{dir}, opt)
	if (set == nil) != problems.Failed() {
		t.Errorf("set is nil: %v, failed: %v", set == nil, problems.Failed())
	}
	var lines []string
	for _, p := range problems {
		lines = append(lines, strings.ReplaceAll(p.String(), dir+string(filepath.Separator), ""))
	}
	return set, strings.Join(lines, "\n")
}

var testOptions = Options{
	Fields:     []string{"http.uri", "http.request.body", "http.response.body", "raw"},
	Validators: []string{"luhn", "iin", "ssn", "iban"},
	Masks:      []string{"pan", "secret", "ssn"},
	Now:        time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC),
}

// head begins a rule that is right as far as it goes.
const head = "[[rules]]\nid = \"x\"\nregex = 'abc'\n"

func TestBadFiles(t *testing.T) {
	for _, c := range []struct{ name, text, want string }{
		{"right", head, ""},
		{"syntax", "[[rules]\nid = 1", `a.toml:1:8: expected end of table array name delimiter ']', but got '\n' instead`},
		{"value", "title = \n", `a.toml:1:9: expected value but found '\n' instead`},
		{"duplicate key", "title = 'a'\ntitle = 'b'\n", `a.toml:2:1: Key 'title' has already been defined.`},
		{"table twice", "[extend]\n[allowlist]\n[extend]\n", `a.toml:3:2: Key 'extend' has already been defined.`},
		{"unknown key", head + "feilds = []\n", `a.toml:4:1: unknown key "feilds" in rules (did you mean "fields"?)`},
		{"unknown top key", "rulez = 1\n", `a.toml:1:1: unknown key "rulez" (did you mean "rules"?)`},
		{"unknown sub key", head + "  [[rules.allowlists]]\n  regexs = ['a']\n", `a.toml:5:3: unknown key "regexs" in rules.allowlists (did you mean "regexes"?)`},
		{"unknown quoted key", head + "\"a.b]\" = 1\n", `a.toml:4:1: unknown key "a.b]" in rules`},
		{"unknown key in an inline table", head + "test = { match = ['abc'], nomatch = [] }\n", `a.toml:4:27: unknown key "nomatch" in rules.test (did you mean "no_match"?)`},
		{"key twice in other letters", head + "Regex = 'd'\n", `a.toml:4:1: regex is given twice, as "regex" and as "Regex"`},
		{"type", head + "tags = 'a'\nentropy = 'high'\nwithin = 1.5\ncontext_required = 1\nmask = 1\n", `a.toml:4:8: rules.tags must be an array, not a string
a.toml:5:11: rules.entropy must be a number, not a string
a.toml:6:10: rules.within must be a whole number, not a number
a.toml:7:20: rules.context_required must be true or false, not a whole number
a.toml:8:8: rules.mask must be a string, not a whole number`},
		{"type in an array", head + "tags = ['a', 2]\n", `a.toml:4:14: rules.tags must be a string, not a whole number`},
		{"rules is no array", "rules = 3\n", `a.toml:1:9: rules must be an array, not a whole number`},
		{"no id", "[[rules]]\nregex = 'a'\n", `a.toml:1:3: the rule has no id`},
		{"bad id", "[[rules]]\nid = \" x\"\nregex = 'a'\n", `a.toml:2:6: this cannot be an id (up to 200 bytes, no control characters, no spaces around)`},
		{"id twice", head + head, `a.toml:5:6: rule "x" is already at line 1 (one id, one rule)`},
		{"neither", "[[rules]]\nid = 'x'\n", `a.toml:1:3: rule "x" has neither regex, path nor edm (to change a built-in rule, the file needs [extend] useDefault = true)`},
		{"paren", "[[rules]]\nid = 'x'\nregex = 'a(b'\n", `a.toml:3:9: the regex is wrong: missing closing ) (write \( for a parenthesis itself)`},
		{"look-ahead", "[[rules]]\nid = 'x'\nregex = 'ab(?!c)'\n", `a.toml:3:9: the regex is wrong: invalid or unsupported Perl syntax: "(?!" at character 3 (RE2 has no look-around: use validate, context or an allowlist)`},
		{"back-reference", "[[rules]]\nid = 'x'\nregex = '(a)\\1'\n", `a.toml:3:9: the regex is wrong: invalid escape sequence: "\\1" at character 4 (RE2 has no back-references)`},
		{"empty match", "[[rules]]\nid = 'x'\nregex = '(?:a*|\\b)b?'\n", `a.toml:3:9: the regex matches the empty string: it would match everywhere`},
		{"group", head + "secretGroup = 1\n", `a.toml:4:15: secretGroup is 1, but the regex has 0`},
		{"names", head + "severity = 'hihg'\ndirection = 'requests'\naction = 'drop'\nengine = 'waf'\nvalidate = ['luhn', 'ibann']\nmask = 'pam'\nfields = ['raw', 'http.request.bdy']\n",
			`a.toml:4:12: unknown severity "hihg" (did you mean "high"?)
a.toml:5:13: unknown direction "requests" (did you mean "request"?)
a.toml:6:10: unknown action "drop" (known are alert, block, quarantine)
a.toml:7:10: unknown engine "waf" (known are dlp, signature)
a.toml:8:21: unknown validator "ibann" (did you mean "iban"?)
a.toml:9:8: unknown mask "pam" (did you mean "pan"?)
a.toml:10:18: unknown field "http.request.bdy" (did you mean "http.request.body"?)`},
		{"ranges", head + "within = 4097\nmin_distinct = 0\nentropy = 8.5\nsecretGroup = -1\nsid = 0\nrev = 0\n",
			`a.toml:4:10: within is 4097, out of range (0 to 4096)
a.toml:5:16: min_distinct is 0, out of range (1 to 1048576)
a.toml:6:11: entropy is 8.5, out of range (0 to 8 bits per byte)
a.toml:7:15: secretGroup is -1, out of range (0 to 32767)
a.toml:8:7: sid is 0, out of range (1 to 2147483647)
a.toml:9:7: rev is 0, out of range (1 to 2147483647)`},
		{"confidence", head + "min_confidence = 'hi'\n", `a.toml:4:18: unknown min_confidence "hi" (did you mean "high"?)`},
		{"per", head + "per = 'windows'\n", `a.toml:4:7: unknown per "windows" (did you mean "window"?)`},
		{"per window", head + "per = 'window'\n", `a.toml:4:7: per = "window" without a window (window = "10m")`},
		{"window", head + "window = '1ms'\n", `a.toml:4:10: window is 1ms, out of range (1s to 24h0m0s)`},
		{"window of a flow", head + "per = 'flow'\nwindow = '1m'\nmin_distinct = 5000\n", `a.toml:5:10: a window, but different values are counted per flow (per = "window")
a.toml:6:16: min_distinct is 5000, out of range (1 to 4096 per flow or window)`},
		{"ends", head + "from = ['nmae=x', 'external=y', 'name', 'label=x']\nto = ['address=10.0.0.0/33', 'name=']\n",
			`a.toml:4:9: unknown condition "nmae" (did you mean "name"?)
a.toml:4:19: external stands alone ("external" or "!external")
a.toml:4:33: name without a value (name=PATTERN)
a.toml:4:41: a label is named behind a colon (label:NAME=PATTERN)
a.toml:5:7: this is no address: "10.0.0.0/33" (10.0.0.0/8, or one address)
a.toml:5:30: name without a value (name=PATTERN)`},
		{"nan", head + "entropy = nan\n", `a.toml:4:11: entropy is NaN, out of range (0 to 8 bits per byte)`},
		{"context", head + "context_required = true\n", `a.toml:4:20: context_required without context: the rule would find nothing (list the words under context)`},
		{"empty keyword", head + "keywords = ['', 'A']\n", `a.toml:4:13: warning: an empty word occurs everywhere: left out`},
		{"allowlist empty", head + "[[rules.allowlists]]\ndescription = 'x'\n", `a.toml:4:9: the allowlist is empty (it needs regexes, stopwords or paths)`},
		{"allowlist of commits", head + "[rules.allowlist]\ncommits = ['abc']\n", `a.toml:5:11: warning: commits mean nothing here: the allowlist is left out`},
		{"allowlist of everything", head + "[rules.allowlist]\nregexes = ['a', '.*']\n", `a.toml:5:17: warning: the regex matches everything: nothing would be found any more`},
		{"allowlist", "[[allowlists]]\ncondition = 'XOR'\nregexTarget = 'lines'\nregexes = ['a', '(']\ntargetRules = ['y']\n",
			`a.toml:2:13: unknown condition "XOR" (did you mean "OR"?)
a.toml:3:15: unknown regexTarget "lines" (did you mean "line"?)
a.toml:4:17: the regex is wrong: missing closing ) (write \( for a parenthesis itself)
a.toml:5:1: warning: targetRules: there is no rule "y"`},
		{"expired", head + "[[rules.allowlists]]\nregexes = ['a']\nexpires = 2026-02-28\n[[rules.allowlists]]\nregexes = ['a']\nexpires = '2026-03-01'\n",
			`a.toml:6:11: warning: the allowlist expired on 2026-02-28: left out (remove it, or give it a later date)`},
		{"no date", head + "[[rules.allowlists]]\nregexes = ['a']\nexpires = 'soon'\n", `a.toml:6:11: this is no date: "soon" (YYYY-MM-DD)`},
		{"required", head + "[[rules.required]]\nid = 'y'\n[[rules.required]]\nid = 'x'\n[[rules.required]]\nwithinLines = -2\n",
			`a.toml:7:6: rule "x" requires itself
a.toml:8:9: required has no id (name the rule that must be found too)
a.toml:1:3: rule "x" requires rule "y", which there is not (known are x)`},
		{"sid twice", head + "sid = 7\n[[rules]]\nid = 'y'\npath = 'b'\nsid = 7\n", `a.toml:5:3: rule "y" has the same sid 7 as rule "x" at a.toml:1:3 (give it another sid)`},
		{"deep", "a = " + strings.Repeat("[", 100000), `a.toml:1:38: nested more than 32 deep`},
		{"deep key", strings.Repeat("a.", 100) + "a = 1", `a.toml:1:66: the key has more than 32 parts`},
		{"disabled", "[extend]\nuseDefault = true\ndisabledRules = ['pci.pann']\n", `a.toml:3:18: warning: there is no rule "pci.pann" to disable (did you mean "pci.pan"?)`},
		{"url", "[extend]\nurl = 'https://example.test'\n", `a.toml:2:7: warning: extend.url is not fetched (save it as a file and name that in extend.path)`},
		{"extend itself", "[extend]\npath = 'a.toml'\n", `a.toml:2:8: the file extends itself: a.toml -> a.toml`},
		{"extend nothing", "[extend]\npath = 'b.toml'\n", `a.toml:2:8: cannot extend b.toml: no such file or directory (the path is relative to this file)`},
		{"change nothing", "[extend]\nuseDefault = true\n[[rules]]\nid = 'aws-access-token'\n", `a.toml:4:6: warning: rule "aws-access-token" changes a rule that is in no file extended here: left out (a rule of its own needs a regex or a path)`},
	} {
		t.Run(c.name, func(t *testing.T) {
			opt := testOptions
			if strings.Contains(c.text, "useDefault") { // the built-in rules have fields of all kinds
				opt = Options{}
			}
			_, got := told(t, map[string]string{"a.toml": c.text}, opt)
			if got != c.want {
				t.Errorf("got:\n%s\nwant:\n%s", got, c.want)
			}
		})
	}
}

// TestAllProblems: one wrong file does not hide another.
func TestAllProblems(t *testing.T) {
	_, got := told(t, map[string]string{
		"a.toml":  "x = 1\n[[rules]]\nid = 'a'\nregex = '('\n",
		"b.toml":  "= 1\n",
		"c.toml":  head + "mask = 'pam'\n",
		".d.toml": "=",
		"e.txt":   "=",
	}, testOptions)
	want := `a.toml:1:1: unknown key "x" (known are title, description, minVersion, extend, rules, allowlist, allowlists)
a.toml:4:9: the regex is wrong: missing closing ) (write \( for a parenthesis itself)
b.toml:1:1: unexpected '='; expected a key name
c.toml:4:8: unknown mask "pam" (did you mean "pan"?)`
	if i := strings.Index(got, "b.toml"); i >= 0 { // the decoder's own words may change
		rest := got[i:]
		if _, after, ok := strings.Cut(rest, "\n"); ok {
			got = got[:i] + "b.toml:1:1: unexpected '='; expected a key name\n" + after
		}
	}
	if got != want {
		t.Errorf("got:\n%s\nwant:\n%s", got, want)
	}
}

// TestManyProblems: a list has an end, and an error beyond it is still one.
func TestManyProblems(t *testing.T) {
	text := "[extend]\nuseDefault = true\ndisabledRules = [" + strings.Repeat("'pci.pann',\n", 200000) + "]\n"
	for tail, want := range map[string]bool{"": false, "[[rules]]\nid = 'x'\nregex = '('\n": true} {
		_, problems := Load([]string{write(t, map[string]string{"a.toml": text + tail})}, Options{})
		if len(problems) != maxProblems+1 || problems.Failed() != want {
			t.Errorf("got %d problems, failed %v; want %d, %v", len(problems), problems.Failed(), maxProblems+1, want)
		}
	}
}

func TestMissing(t *testing.T) {
	set, problems := Load([]string{"/nonexistent/x.toml"}, Options{})
	if got, want := problems.Err(), "/nonexistent/x.toml: no such file or directory"; set != nil || got == nil || got.Error() != want {
		t.Errorf("got %v, want %s", got, want)
	}
}

// TestFull reads every key and looks at what became of it.
func TestFull(t *testing.T) {
	set, got := told(t, map[string]string{"a.toml": `
title = "t"
description = "d"
minVersion = "v8.25.0"
[[rules]]
id = "x"
description = "what it is"
regex = '''a(b)c'''
secretGroup = 1
entropy = 3
keywords = ["KEY"]
path = '\.env$'
tags = ["t"]
sid = 77
rev = 2
engine = "signature"
category = "c"
validate = ["luhn"]
context = ["Card"]
context_required = true
within = 0
fields = ["raw"]
direction = "response"
min_distinct = 5
min_confidence = "high"
per = "window"
window = "10m"
from = ["namespace=shop,label:tier!=test"]
to = ["external", "address=192.0.2.0/24"]
severity = "low"
mask = "pan"
action = "block"
skipReport = true
test = { match = ["abc"], no_match = ["b"] }
[rules.allowlist]
stopwords = ["STOP"]
[[rules.required]]
id = "y"
withinLines = 3
[[rules.allowlists]]
description = "why"
condition = "and"
regexTarget = "line"
regexes = ['a']
paths = ['p']
owner = "o"
reason = "r"
expires = 2027-01-01
[[rules]]
id = "y"
regex = 'abc'
[allowlist]
regexes = ['old']
[[allowlists]]
regexes = ['new']
targetRules = ["x"]
`}, testOptions)
	if got != "" || set == nil {
		t.Fatalf("got %s", got)
	}
	want := `rule        x
is          what it is
finds       a(b)c
            of which group 1 is the value
in files    whose name matches \.env$
looks at    raw of responses
only if     the message has key
only if     valid by luhn
only if     its entropy is above 3 bits per byte
only if     rule y finds something within 3 lines
only if     there are 5 different values from one workload or address within 10m0s
only if     high confidence, or more
only from   namespace=shop,label:tier!=test
only to     external or address=192.0.2.0/24
only with   card within 0 bytes
ignores     a value with stop
ignores     a line that matches a; and a file name that matches p (why r), by o, until 2027-01-01
ignores     a secret that matches old
ignores     a secret that matches new
raises      nothing by itself: other rules require it
mask        pan
tags        t
examples    1 that it finds, 1 that it does not
sid         77, revision 2
`
	got, at, _ := strings.Cut(Explain(set.Rule("x"), set.Allow, Words{Validator: func(name string) string { return name[:0] }}), "defined at  ")
	if got != want || !strings.HasSuffix(at, "a.toml:5:3\n") {
		t.Errorf("got:\n%s%s\nwant:\n%s", got, at, want)
	}
	y := set.Rule("y")
	if y.Severity != High || y.Mask != "secret" || y.Within != 300 || y.MinDistinct != 1 || y.Rev != 1 || y.SID != SIDOf("y") || y.Category != "sensitive-data" {
		t.Errorf("defaults: got %+v", y)
	}
	if len(set.Allow) != 2 || set.Allow[0].Regexes[0] != "old" || set.Allow[1].TargetRules[0] != "x" {
		t.Errorf("global allowlists: got %+v", set.Allow)
	}
}

// TestLater: of two rules with one id the later file wins, and it is said.
func TestLater(t *testing.T) {
	set, got := told(t, map[string]string{"a.toml": head + "severity = 'low'\n", "b.toml": "\n" + head}, Options{})
	if want := `b.toml:2:3: warning: rule "x" replaces the one at a.toml:1:3`; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
	if set == nil || len(set.Rules) != 1 || set.Rules[0].Severity != High {
		t.Errorf("got %+v", set)
	}
}

// TestExtend: a file takes over another's rules, changes one, and leaves one out.
func TestExtend(t *testing.T) {
	set, got := told(t, map[string]string{
		"a.toml": "[extend]\npath = 'z.toml'\ndisabledRules = ['gone']\n[[rules]]\nid = 'x'\nseverity = 'low'\ntags = ['new']\n[[rules.allowlists]]\nregexes = ['b']\n",
		"z.toml": head + "tags = ['old']\n[[rules]]\nid = 'gone'\nregex = 'd'\n[[rules]]\nid = 'kept'\nregex = 'e'\n",
	}, Options{})
	if got != "" || set == nil {
		t.Fatalf("got %s", got)
	}
	x := set.Rule("x")
	if x.Regex != "abc" || x.Severity != Low || strings.Join(x.Tags, " ") != "old new" || len(x.Allow) != 1 {
		t.Errorf("changed rule: got %+v", x)
	}
	if len(set.Rules) != 2 || set.Rule("gone") != nil || set.Rule("kept") == nil {
		t.Errorf("got %d rules", len(set.Rules))
	}
}

func TestExtendBuiltin(t *testing.T) {
	set, got := told(t, map[string]string{"a.toml": "[extend]\nuseDefault = true\ndisabledRules = ['secret.jwt']\n[[rules]]\nid = 'pci.pan'\nseverity = 'low'\n"}, Options{})
	all, _ := Load(nil, Options{Builtin: true})
	if got != "" || set == nil {
		t.Fatalf("got %s", got)
	}
	if got, want := len(set.Rules), len(all.Rules)-1; got != want {
		t.Errorf("got %d rules, want %d", got, want)
	}
	if r := set.Rule("pci.pan"); r.Severity != Low || r.Regex != all.Rule("pci.pan").Regex || all.Rule("pci.pan").Severity != Critical {
		t.Errorf("got %+v", r)
	}
}

func TestNearest(t *testing.T) {
	known := []string{"severity", "secretGroup", "description", "tags", "raw"}
	for word, want := range map[string]string{
		"sevrity": "severity", "secret_group": "secretGroup", "desc": "description", "tag": "tags", "Severity": "severity",
		"": "", "zzzzzz": "", "x": "", "wra": "raw",
	} {
		if got := Nearest(word, known); got != want {
			t.Errorf("%q: got %q, want %q", word, got, want)
		}
	}
}
