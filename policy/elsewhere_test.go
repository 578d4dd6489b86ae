package policy

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// TestElsewhere: of a file alone whose groups stand in another one beside it, it is said which, and what to do.
func TestElsewhere(t *testing.T) {
	dir := t.TempDir()
	for name, text := range map[string]string{
		"a.toml": "[[groups]]\nname = \"web\"\nmatch = [\"name=web*\"]\n",
		"b.toml": "[[policy]]\nid = \"x\"\nto = [\"web\", \"shop\"]\naction = \"allow\"\n",
	} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	paths := []string{filepath.Join(dir, "b.toml")}
	_, problems := Load(paths, Options{})
	Elsewhere(problems, paths)
	if len(problems) != 2 || !strings.Contains(problems[0].Hint, "a.toml has it") || !strings.Contains(problems[0].Hint, "weir check "+dir) || strings.Contains(problems[1].Hint, "has it") {
		t.Errorf("got %v", problems)
	}
	if _, problems := Load([]string{dir}, Options{}); len(problems) != 1 {
		t.Errorf("the folder: %v", problems)
	}
}
