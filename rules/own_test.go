package rules

import (
	"errors"
	"strings"
	"testing"
)

// TestOwn: what follows from what Weir finds by itself can be said, and nothing else of it.
func TestOwn(t *testing.T) {
	opt := testOptions
	opt.Own = []string{"tunnel.dns", "protocol.changed"}
	opt.Peer = func(text string) error {
		if text == "nobody" {
			return errors.New("this is no address")
		}
		return nil
	}
	set, got := told(t, map[string]string{"a.toml": `
[[rules]]
id = "tunnel.dns"
action = "block"
[[rules]]
id = "protocol.changed"
action = "quarantine"
quarantine_allow = ["10.0.0.7"]
[[rules]]
id = "x"
regex = 'abc'
action = "block"
[[rules.required]]
id = "y"
[[rules]]
id = "y"
regex = 'def'
[[rules]]
id = "z"
regex = 'ghi'
`}, opt)
	if got != "" || set == nil {
		t.Fatalf("got %s", got)
	}
	if r := set.Own["tunnel.dns"]; r == nil || r.Action != Block || len(set.Rules) != 3 {
		t.Errorf("got %+v, %d rules", r, len(set.Rules))
	}
	if r := set.Own["protocol.changed"]; r == nil || r.Action != Quarantine || strings.Join(r.QuarantineAllow, " ") != "10.0.0.7" {
		t.Errorf("got %+v", r)
	}
	b := set.Blocking()
	if len(b.Rules) != 2 || b.Rule("x").SkipReport || !b.Rule("y").SkipReport || b.Rule("z") != nil || len(b.Own) != 2 {
		t.Errorf("what blocks: %+v", b)
	}
	for text, want := range map[string]string{
		"[[rules]]\nid = 'tunnel.dns'\nregex = 'a'\n":                     `a.toml:1:3: rule "tunnel.dns" is part of Weir: only action and quarantine_allow can be set (give a rule of your own another id)`,
		"[[rules]]\nid = 'tunnel.dns'\nquarantine_allow = ['10.0.0.1']\n": `a.toml:3:20: quarantine_allow, but nobody is put into quarantine (action = "quarantine")`,
		head + "action = 'quarantine'\nquarantine_allow = ['nobody']\n":   `a.toml:5:21: this is no address`,
	} {
		if _, got := told(t, map[string]string{"a.toml": text}, opt); got != want {
			t.Errorf("%s\ngot  %s\nwant %s", text, got, want)
		}
	}
}
