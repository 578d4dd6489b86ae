package dlp

import (
	"regexp"

	"weir/dissect"
	"weir/rules"
)

// A named rule has a path and no expression: the name of a file is all that it looks at.
type named struct {
	*rules.Rule
	path  *regexp.Regexp
	allow []allowlist
}

// InFile says that what is inspected from now on stands in a file of this name, "" in none, and appends what the name alone is a finding of.
// Rules with a path look only into files whose names match it, and allow-lists with paths leave files out. Where there is no name, paths
// ask for nothing.
func (s *Scanner) InFile(name string, hits []Hit) []Hit {
	s.file = name
	if name == "" {
		return hits
	}
	for i := range s.db.named {
		n := &s.db.named[i]
		f := found{secret: []byte(name), file: name}
		f.match = f.secret
		if !n.path.MatchString(name) || allowing(n.allow, &f) != nil {
			continue
		}
		s.Count.Hits++
		shown := maskText(&f)
		hits = append(hits, Hit{
			Rule: n.Rule, Field: dissect.OnDisk.Fields[dissect.OnDiskName].Name, Masked: shown, Excerpt: shown, Confidence: surePattern, Count: 1, Distinct: 1, Raise: !n.SkipReport,
		})
	}
	return hits
}

// Named reports whether some rule looks at the names of files alone.
func (db *Database) Named() bool { return len(db.named) > 0 }

// prepareNamed makes a rule that has a path only ready.
func (db *Database) prepareNamed(r *rules.Rule) error {
	re, err := regexp.Compile(r.Path)
	if err != nil {
		return err
	}
	allow, err := compileAllows(r.Allow)
	if err != nil {
		return err
	}
	db.named = append(db.named, named{Rule: r, path: re, allow: allow})
	return nil
}

// misplaced reports whether r looks into other files only.
func (r *rule) misplaced(file string) bool {
	return file != "" && r.path != nil && !r.path.MatchString(file)
}
