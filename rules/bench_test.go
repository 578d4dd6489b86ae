package rules

import "testing"

// TestBenchRules: the rules to measure with load, all of them, with the signature ids that the peer's have.
func TestBenchRules(t *testing.T) {
	for _, name := range []string{"rules-100.toml", "rules-100-any.toml"} {
		set, problems := Load([]string{"../testdata/bench/" + name}, Options{})
		for _, p := range problems {
			t.Errorf("%s", p)
		}
		if set == nil {
			continue
		}
		if got, want := len(set.Rules), 100; got != want {
			t.Errorf("%s: got %d rules, want %d", name, got, want)
		}
		for i, r := range set.Rules {
			if got, want := r.SID, uint32(9000001+i); got != want {
				t.Errorf("%s: %s: got sid %d, want %d", name, r.ID, got, want)
			}
		}
	}
}
