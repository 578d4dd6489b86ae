package daemon

import (
	"fmt"
	"slices"

	"weir/dissect"
	"weir/dlp"
	"weir/rules"
	"weir/wire"
)

// RuleTest is the outcome of the examples that rules carry.
type RuleTest struct {
	Examples int
	Without  int      // rules that have none
	Failures []string // which rule, where, which example; never the example's text
}

// TryRules compiles a set and throws the result away: what Hyperscan refuses is an error that names the rule.
func TryRules(set *rules.Set) error {
	db, err := compileForUser(set, DefaultConfig(), dlp.Options{})
	if err != nil {
		return err
	}
	db.Close()
	return nil
}

// TestRules runs every rule's examples through the detectors.
func TestRules(set *rules.Set) (*RuleTest, error) {
	db, err := compileForUser(set, DefaultConfig(), dlp.Options{})
	if err != nil {
		return nil, err
	}
	defer db.Close()
	scan, err := db.NewScanner()
	if err != nil {
		return nil, err
	}
	defer scan.Free()
	out := &RuleTest{}
	for _, r := range set.Rules {
		if len(r.Test.Match)+len(r.Test.NoMatch) == 0 {
			out.Without++
		}
		for i, text := range r.Test.Match {
			out.check(r, "match", i, true, raises(scan, r, text))
		}
		for i, text := range r.Test.NoMatch {
			out.check(r, "no_match", i, false, raises(scan, r, text))
		}
	}
	return out, nil
}

func (t *RuleTest) check(r *rules.Rule, list string, i int, want, got bool) {
	t.Examples++
	if got == want {
		return
	}
	what := "was not found"
	switch {
	case got:
		what = "was found"
	case r.MinDistinct > 1:
		what = fmt.Sprintf("was not found, or has fewer than %d different ones (min_distinct)", r.MinDistinct)
	}
	t.Failures = append(t.Failures, fmt.Sprintf("%s:%d: rule %s: %s[%d] %s (weir rules explain %s)", r.Pos.File, r.Pos.Line, r.ID, list, i, what, r.ID))
}

// raises reports whether text, as a message with one value, raises r, or would if no other rule were surer of the same bytes. The value stands in the first field that the rule
// names. The text of a rule that has a path only is the name of a file.
func raises(scan *dlp.Scanner, r *rules.Rule, text string) bool {
	if r.Regex == "" && r.Path != "" {
		hits := scan.InFile(text, nil)
		scan.InFile("", nil)
		return slices.ContainsFunc(hits, func(h dlp.Hit) bool { return h.Rule.ID == r.ID && h.Raise })
	}
	p, f := fieldOf(r)
	m := dissect.Message{Protocol: p, ID: 1, Tx: 1, Parts: []dissect.Part{{Field: f, Bytes: []byte(text)}}, End: true}
	if r.Direction == rules.Response {
		m.Dir = wire.ToClient
	}
	var st dlp.State
	hits := scan.Inspect(&st, &m, nil)
	hits = scan.Close(&st, hits)
	for i := range hits {
		if hits[i].Rule.ID == r.ID && (hits[i].Raise || hits[i].Given) {
			return true
		}
	}
	return false
}

// fieldOf returns a field that r looks at: raw bytes, unless it names others.
func fieldOf(r *rules.Rule) (*dissect.Protocol, dissect.Field) {
	for _, p := range dissect.Protocols {
		for i, f := range p.Fields {
			if slices.Contains(r.Fields, f.Name) {
				return p, dissect.Field(i)
			}
		}
	}
	return &dissect.Raw, dissect.RawBytes
}
