package policy

import (
	"fmt"
	"path/filepath"
	"regexp"
	"slices"

	"weir/rules"
)

// missing is what a problem says of a group that is in none of the files that were read.
var missing = regexp.MustCompile(`^there is no group "(.*)"$`)

// Elsewhere says in problems of reading paths which file beside these has a group that is missing: files of a policy belong together, and a folder is read as a whole.
func Elsewhere(problems rules.Problems, paths []string) {
	for i := range problems {
		p := &problems[i]
		m := missing.FindStringSubmatch(p.What)
		if m == nil {
			continue
		}
		dir := filepath.Dir(p.File)
		beside, _ := rules.Files([]string{dir})
		for _, f := range beside {
			if slices.Contains(paths, f) || filepath.Clean(f) == filepath.Clean(p.File) || !IsPolicy(f) {
				continue
			}
			if data, wrong := rules.ReadFile(f); wrong == nil && regexp.MustCompile(`(?m)^[ \t]*name[ \t]*=[ \t]*["']`+regexp.QuoteMeta(m[1])+`["']`).Match(data) {
				p.Hint = fmt.Sprintf("%s has it: files of a policy belong together, check the folder: weir check %s", f, dir)
				break
			}
		}
	}
}
