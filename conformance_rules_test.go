package weir_test

import (
	"testing"
	"time"

	"weir/rules"
)

// TestGitleaksRules: gitleaks' own rule file loads as it is, at once.
func TestConformanceGitleaksRules(t *testing.T) {
	path := corpus(t) + "/secrets/gitleaks.toml"
	start := time.Now()
	set, problems := rules.Load([]string{path}, rules.Options{Now: start})
	took := time.Since(start)
	for _, p := range problems {
		t.Errorf("%s", p)
	}
	if set == nil {
		t.FailNow()
	}
	if got, want := len(set.Rules), 222; got != want {
		t.Errorf("rules: got %d, want %d", got, want)
	}
	if got, want := len(set.Allow), 1; got != want {
		t.Errorf("global allowlists: got %d, want %d", got, want)
	}
	for _, r := range set.Rules {
		if r.Severity != rules.High || r.Mask != "secret" || r.SID == 0 || r.Pos.Line == 0 {
			t.Errorf("%s: severity %s, mask %s, sid %d, at %s", r.ID, r.Severity, r.Mask, r.SID, r.Pos)
		}
	}
	if limit := 300 * time.Millisecond; took > limit {
		t.Errorf("loading took %s, more than %s", took, limit)
	}
	t.Logf("loading took %s", took)

	both, problems := rules.Load([]string{path}, rules.Options{Builtin: true})
	for _, p := range problems {
		t.Errorf("with the built-in rules: %s", p)
	}
	if both != nil && len(both.Rules) <= len(set.Rules) {
		t.Errorf("with the built-in rules: %d rules", len(both.Rules))
	}
}
