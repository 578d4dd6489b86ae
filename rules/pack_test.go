package rules

import (
	"strings"
	"testing"
)

func TestOnly(t *testing.T) {
	rule := func(id, file string, tags ...string) *Rule {
		return &Rule{ID: id, Tags: tags, Pos: Pos{File: file}}
	}
	set := &Set{byID: map[string]*Rule{}}
	set.Rules = []*Rule{
		rule("card", "builtin/pci.toml", "pci"),
		rule("key", "builtin/secrets.toml", "secret", "aws"),
		rule("token", "builtin/secrets-more.toml", "secret"),
		rule("near", "mine.toml"),
		rule("nearer", "mine.toml"),
	}
	set.Rules[1].Required = []Required{{ID: "near"}}
	set.Rules[3].Required = []Required{{ID: "nearer"}}
	for _, c := range []struct{ packs, tags, want string }{
		{"", "", "card key token near nearer"},
		{"secrets", "", "key token (near) (nearer)"},
		{"secrets,pci", "", "card key token (near) (nearer)"},
		{"secrets-more", "", "token"},
		{"", "aws", "key (near) (nearer)"},
		{"secrets", "pci", ""},
		{"mine", "", "near nearer"},
	} {
		got, err := set.Only(list(c.packs), list(c.tags))
		if err != nil {
			t.Fatal(err)
		}
		var ids []string
		for _, r := range got.Rules {
			id := r.ID
			if r.SkipReport {
				id = "(" + id + ")"
			}
			ids = append(ids, id)
			if got.Rule(r.ID) != r {
				t.Errorf("%s is not found by its id", r.ID)
			}
		}
		if s := strings.Join(ids, " "); s != c.want {
			t.Errorf("packs %q, tags %q: got %q, want %q", c.packs, c.tags, s, c.want)
		}
	}
	for _, c := range []struct{ packs, tags, want string }{
		{"secret", "", "pci, secrets, secrets-more, mine"}, {"", "pic", `did you mean "pci"`},
	} {
		if _, err := set.Only(list(c.packs), list(c.tags)); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("packs %q, tags %q: got %v, want %q", c.packs, c.tags, err, c.want)
		}
	}
}

func list(s string) []string {
	if s == "" {
		return nil
	}
	return strings.Split(s, ",")
}
