package policy

import (
	"fmt"
	"regexp"
	"slices"
	"strings"
	"time"

	"weir/rules"
)

// Options say what Load takes for granted. This package knows no protocol: an empty list is not checked against.
type Options struct {
	Protocols []string  // what rules may name under protocol
	Fields    []string  // ... under where
	Now       time.Time // rules that are over by then are told; zero: none is
}

// Limits of a set, ours.
const (
	maxGroups   = 10000
	maxRules    = 50000
	maxLines    = 1000    // conditions of a group
	maxNames    = 1000    // groups or ports that a rule names
	maxPatterns = 10000   // of a rule
	maxPattern  = 1024    // bytes of one
	maxName     = 200     // bytes of a group's name or a rule's id
	maxBytes    = 1 << 20 // that a flow may be undecided for
	maxSeconds  = 3600
)

// A policy file. Keys that are not here are errors.
type rawFile struct {
	Groups  []rawGroup        `toml:"groups"`
	Policy  []rawRule         `toml:"policy"`
	Modes   map[string]string `toml:"modes"`
	Failure map[string]string `toml:"failure"`
}

type rawGroup struct {
	Name    string   `toml:"name"`
	Match   []string `toml:"match"`
	Comment string   `toml:"comment"`
}

type rawRule struct {
	ID        string              `toml:"id"`
	From      []string            `toml:"from"`
	To        []string            `toml:"to"`
	Ports     []string            `toml:"ports"`
	Protocol  string              `toml:"protocol"`
	Where     map[string][]string `toml:"where"`
	Action    string              `toml:"action"`
	Undecided *rawDeadline        `toml:"undecided"`
	Comment   string              `toml:"comment"`
	Owner     string              `toml:"owner"`
	Expires   any                 `toml:"expires"` // a TOML date, or the same as a string
}

type rawDeadline struct {
	Bytes   *int   `toml:"bytes"`
	Seconds *int   `toml:"seconds"`
	Action  string `toml:"action"`
}

// Load reads policy files, and of folders the files named *.toml that do not begin with a dot, in name order. All problems of all files are
// returned; the Set is nil iff one of them is an error. No paths are an empty Set: no groups, no rules, everything in discover.
func Load(paths []string, opt Options) (*Set, rules.Problems) {
	l := newLoader(opt)
	files, problems := rules.Files(paths)
	l.problems = problems
	for _, f := range files {
		data, problem := rules.ReadFile(f)
		if problem != nil {
			l.problems = append(l.problems, *problem)
			continue
		}
		l.file(f, data)
	}
	return l.finish()
}

// Parse is Load for the text of one file; name is for the positions only.
func Parse(name string, data []byte, opt Options) (*Set, rules.Problems) {
	l := newLoader(opt)
	l.file(name, data)
	return l.finish()
}

// IsPolicy reports whether a file, or the first one of a folder, is one of a policy: it has one of its tables.
func IsPolicy(path string) bool {
	files, _ := rules.Files([]string{path})
	if len(files) == 0 {
		return false
	}
	data, problem := rules.ReadFile(files[0])
	return problem == nil && ownTables.Match(data)
}

var ownTables = regexp.MustCompile(`(?m)^[ \t]*(\[\[[ \t]*(groups|policy)[ \t]*\]\]|\[[ \t]*(modes|failure)[ \t]*\])`)

// loader gathers a Set.
type loader struct {
	opt      Options
	set      *Set
	groups   map[string]rules.Pos
	ids      map[string]rules.Pos
	modes    map[string]rules.Pos
	failures map[string]rules.Pos
	used     []use // names of groups that must be there in the end
	problems rules.Problems
}

// use is a place where a group is named.
type use struct {
	pos  rules.Pos
	name string
}

func newLoader(opt Options) *loader {
	return &loader{
		opt: opt, set: &Set{Modes: map[string]Mode{}, Failure: map[string]Failure{}},
		groups: map[string]rules.Pos{}, ids: map[string]rules.Pos{}, modes: map[string]rules.Pos{}, failures: map[string]rules.Pos{},
	}
}

// file takes in one file's text.
func (l *loader) file(name string, data []byte) {
	var raw rawFile
	s := source{rules.Read(name, data, &raw), l}
	l.set.Files = append(l.set.Files, name)
	for i := range raw.Groups {
		s.group(&raw.Groups[i], rules.Element("groups", i))
	}
	for i := range raw.Policy {
		s.rule(&raw.Policy[i], rules.Element("policy", i))
	}
	words(&s, "modes", raw.Modes, Modes, l.modes, l.set.Modes)
	words(&s, "failure", raw.Failure, Failures, l.failures, l.set.Failure)
	l.problems = append(l.problems, s.Problems()...)
}

// finish checks what only the whole set can tell.
func (l *loader) finish() (*Set, rules.Problems) {
	names := slices.Clone(Builtin)
	for _, g := range l.set.Groups {
		names = append(names, g.Name)
	}
	known := map[string]bool{}
	for _, n := range names {
		known[n] = true
	}
	var late rules.Problems
	for _, u := range l.used {
		if known[u.name] {
			continue
		}
		hint := ""
		if len(late) < maxLate {
			hint = meant(u.name, names)
		}
		late = append(late, rules.Problem{Pos: u.pos, Level: rules.Error, What: fmt.Sprintf("there is no group %q", u.name), Hint: hint})
		if len(late) == maxLate {
			break
		}
	}
	l.problems = append(l.problems, late...)
	if l.problems.Failed() {
		return nil, l.problems
	}
	return l.set, l.problems
}

const maxLate = 1000 // unknown groups that are told, ours: nobody reads more

// meant is the hint for a word that is none of known.
func meant(word string, known []string) string {
	if n := rules.Nearest(word, known); n != "" {
		return fmt.Sprintf("did you mean %q?", n)
	}
	return ""
}

// source is the file that is being read.
type source struct {
	*rules.Document
	l *loader
}

func (s *source) err(path, what, hint string) { s.Fail(path, rules.Error, what, hint) }

// words takes in a table of words by group, as [modes].
func words[T ~uint8](s *source, table string, given map[string]string, known []string, at map[string]rules.Pos, into map[string]T) {
	groups := make([]string, 0, len(given))
	for g := range given {
		groups = append(groups, g)
	}
	slices.Sort(groups) // problems are put in order of place later
	for _, g := range groups {
		path := rules.Key(table, g)
		i := slices.Index(known, given[g])
		switch before, twice := at[g]; {
		case i < 0:
			s.err(path, fmt.Sprintf("unknown word %q", given[g]), s.Meant(given[g], known))
		case twice:
			s.err(path, fmt.Sprintf("%s of %q is already given at %s", table, g, before), "give it once")
		default:
			at[g], into[g] = s.Pos(path), T(i)
			if g != Default {
				s.l.used = append(s.l.used, use{s.Pos(path), g})
			}
		}
	}
}

// checkName checks what is to be the name of something.
func (s *source) checkName(name, path, what string) bool {
	switch {
	case name == "":
		if !s.Broken() {
			s.err(path, "there is no "+what, "")
		}
	case !nameable(name):
		s.err(path, fmt.Sprintf("this cannot be a %s", what), fmt.Sprintf("up to %d bytes, no control characters, no spaces around", maxName))
	default:
		return true
	}
	return false
}

// nameable reports whether something may be called so.
func nameable(name string) bool {
	control := strings.ContainsFunc(name, func(r rune) bool { return r < ' ' || r == 0x7f })
	return name != "" && len(name) <= maxName && !control && strings.TrimSpace(name) == name
}

// group takes in one [[groups]] table.
func (s *source) group(raw *rawGroup, path string) {
	at := rules.Key(path, "name")
	if !s.checkName(raw.Name, at, "name") {
		return
	}
	before, twice := s.l.groups[raw.Name]
	switch {
	case raw.Name == Default || raw.Name == "any" || slices.Contains(Builtin, raw.Name):
		s.err(at, fmt.Sprintf("%q has a meaning of its own", raw.Name), "name the group otherwise")
		return
	case twice:
		s.err(at, fmt.Sprintf("group %q is already at %s", raw.Name, before), "one name, one group")
		return
	case len(s.l.set.Groups) == maxGroups:
		s.err(at, fmt.Sprintf("more than %d groups", maxGroups), "")
		return
	case len(raw.Match) > maxLines:
		s.err(rules.Key(path, "match"), fmt.Sprintf("more than %d conditions", maxLines), "use patterns")
		return
	}
	g := Group{Name: raw.Name, Comment: raw.Comment, Pos: s.Pos(path)}
	s.l.groups[g.Name] = g.Pos
	for i, line := range raw.Match {
		e, what, hint := rules.ParseEnds(line)
		if what != "" {
			s.err(rules.Element(rules.Key(path, "match"), i), what, hint)
			continue
		}
		g.Match = append(g.Match, e)
	}
	if len(raw.Match) == 0 && !s.Broken() {
		s.Fail(path, rules.Warning, fmt.Sprintf("group %q has no members", g.Name), `match = ["name=..."]`)
	}
	s.l.set.Groups = append(s.l.set.Groups, g)
}
