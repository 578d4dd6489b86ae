package weir_test

import (
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"weir/daemon"
	"weir/dissect"
	"weir/policy"
	"weir/rules"
)

// TestDocsPolicy holds docs/policy.md to the words of policy files, and its example to their reader.
func TestDocsPolicy(t *testing.T) {
	rows := docRows(t, "docs/policy.md")
	words := slices.Concat(rules.EndKeys, policy.Builtin, policy.Modes, policy.Failures)
	for _, fields := range policy.Kinds {
		words = append(words, fields...)
		for _, f := range fields {
			if !slices.Contains(dissect.FieldNames, f) {
				t.Errorf("policy.Kinds: there is no field %s", f)
			}
		}
	}
	for _, w := range append(words, policy.PortWords()...) {
		if row := rows[w]; len(row) == 0 || row[0] == "" {
			t.Errorf("docs/policy.md: no row for %s", w)
		}
	}
	file := filepath.Join(t.TempDir(), "policy.toml")
	writeExample(t, file, "docs/policy.md", "[[groups]]")
	set, problems := daemon.LoadPolicy([]string{file})
	if len(problems) > 0 {
		t.Fatalf("docs/policy.md: %v", problems)
	}
	if _, problems := daemon.CompilePolicy(set); len(problems) > 0 || len(set.Rules) != 1 {
		t.Errorf("docs/policy.md: %v", problems)
	}
	if !strings.Contains(strings.Join(set.Files, ""), "policy.toml") || !policy.IsPolicy(file) {
		t.Error("the example is not taken for a policy")
	}
}
