package rules

import (
	"cmp"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"
)

// Options say what Load takes for granted. Names are given by the caller, since this package knows no protocol and no
// validator; an empty list is not checked against.
type Options struct {
	Builtin    bool                    // begin with the rules that are built in
	Fields     []string                // what rules may name under fields
	Validators []string                // ... under validate
	Masks      []string                // ... under mask
	Own        []string                // ids of rules that are part of Weir: what follows from them can be said
	Peer       func(text string) error // what is wrong with somebody whom quarantine_allow names; nil: nobody knows
	Now        time.Time               // the day on which allowlists may have expired; zero: none has
}

// Limits of a set, ours.
const (
	maxRules  = 20000 // rules of one set
	maxExtend = 8     // files that extend each other in a row
)

// Load reads rule files, and of folders the files named *.toml that do not begin with a dot, in name order. Of two
// rules with one id the later one wins. All problems of all files are returned; the Set is nil iff one of them is an
// error. A path that does not exist is an error: whoever asks for rules is not served by none.
func Load(paths []string, opt Options) (*Set, Problems) {
	l := newLoader(opt)
	if opt.Builtin {
		l.builtin()
	}
	for _, p := range paths {
		if p == Wide {
			l.embedded("wide")
			continue
		}
		l.path(p)
	}
	l.finish()
	if l.problems.Failed() {
		return nil, l.problems
	}
	return l.set(), l.problems
}

// Parse is Load for the text of one file, of which nothing but the form is known.
func Parse(name string, data []byte) (*Set, Problems) {
	l := newLoader(Options{})
	l.file(name, data)
	l.finish()
	if l.problems.Failed() {
		return nil, l.problems
	}
	return l.set(), l.problems
}

// loader gathers a Set. Files come in order; a file that extends another is read after it.
type loader struct {
	opt      Options
	rules    []*Rule
	byID     map[string]*Rule
	allow    []Allowlist
	files    []string
	ownByID  map[string]*Rule // of what is part of Weir
	seen     map[string]bool  // files read, by absolute path
	stack    []string         // files being read, each extended by the one before
	problems Problems

	inBuiltin bool // what is read now came with Weir
}

func newLoader(opt Options) *loader {
	return &loader{opt: opt, byID: map[string]*Rule{}, ownByID: map[string]*Rule{}, seen: map[string]bool{}}
}

func (l *loader) set() *Set {
	return &Set{Rules: l.rules, Allow: l.allow, Files: l.files, Own: l.ownByID, byID: l.byID}
}

func (l *loader) complain(pos Pos, what, hint string) {
	l.problems = append(l.problems, Problem{pos, Error, what, hint})
}

// path reads a file or a folder.
func (l *loader) path(path string) {
	files, err := filesOf(path)
	if err != nil {
		l.complain(Pos{File: path}, reason(err), "")
	}
	for _, f := range files {
		l.read(f)
	}
}

// read reads one file, once.
func (l *loader) read(path string) {
	abs, err := filepath.Abs(path)
	if err != nil {
		abs = path
	}
	if l.seen[abs] {
		return
	}
	l.seen[abs] = true
	data, problem := ReadFile(path)
	if problem != nil {
		l.problems = append(l.problems, *problem)
		return
	}
	l.stack = append(l.stack, path)
	l.file(path, data)
	l.stack = l.stack[:len(l.stack)-1]
}

// file takes in one file's text.
func (l *loader) file(name string, data []byte) {
	var raw rawFile
	where, problems := decode(name, data, &raw)
	src := &source{name: name, places: where, opt: &l.opt, builtin: l.inBuiltin, broken: problems.Failed(), problems: problems}
	if raw.Extend != nil && !src.broken {
		l.extend(src, raw.Extend)
	}
	l.files = append(l.files, name)
	first := map[string]Pos{} // ids of this file
	for i := range raw.Rules {
		l.rule(src, &raw, i, first)
	}
	if raw.Allowlist != nil {
		l.global(src, raw.Allowlist, "allowlist")
	}
	for i := range raw.Allowlists {
		l.global(src, &raw.Allowlists[i], element("allowlists", i))
	}
	src.problems.sortByPlace()
	l.problems = append(l.problems, src.problems...)
}

// rule takes in the i-th rule of a file.
func (l *loader) rule(src *source, file *rawFile, i int, first map[string]Pos) {
	raw, path := &file.Rules[i], element("rules", i)
	if !src.checkID(raw.ID, path) {
		return
	}
	pos := src.pos(path)
	if at, ok := first[raw.ID]; ok {
		src.fail(member(path, "id"), Error, fmt.Sprintf("rule %q is already at line %d", raw.ID, at.Line), "one id, one rule")
		return
	}
	first[raw.ID] = pos
	if slices.Contains(l.opt.Own, raw.ID) {
		l.own(src, raw, path)
		return
	}
	old := l.byID[raw.ID]
	var base *Rule
	if file.Extend != nil {
		base = old
	}
	if base == nil && raw.Regex == "" && raw.Path == "" && raw.EDM == nil && amends(file) {
		l.amendsNothing(src, raw.ID, path)
		return
	}
	rule := src.rule(base, raw, path)
	if old != nil {
		if base == nil && !(rule.Builtin && old.Builtin) { // the wide packs hold some of the others in a wider form
			src.fail(path, Warning, fmt.Sprintf("rule %q replaces the one at %s", raw.ID, old.Pos), "")
		}
		l.rules = slices.DeleteFunc(l.rules, func(r *Rule) bool { return r == old })
	} else if len(l.rules) == maxRules {
		src.fail(path, Error, fmt.Sprintf("more than %d rules", maxRules), "")
		return
	}
	l.rules = append(l.rules, rule)
	l.byID[raw.ID] = rule
}

// amends reports whether rules of this file may change rules of another.
func amends(f *rawFile) bool {
	return f.Extend != nil && (f.Extend.UseDefault || f.Extend.Path != "")
}

// amendsNothing tells of a rule that changes one which is not there. A gitleaks file that changes one of gitleaks' own
// default rules comes here; as Weir does not have that rule, leaving the change out loses nothing.
func (l *loader) amendsNothing(src *source, id, path string) {
	hint := "a rule of its own needs a regex or a path"
	if len(src.problems) < maxProblems {
		if n := Nearest(id, l.ids()); n != "" {
			hint = fmt.Sprintf("did you mean %q?", n)
		}
	}
	src.fail(member(path, "id"), Warning, fmt.Sprintf("rule %q changes a rule that is in no file extended here: left out", id), hint)
}

func (l *loader) ids() []string {
	out := make([]string, len(l.rules))
	for i, r := range l.rules {
		out[i] = r.ID
	}
	return out
}

// extend reads what a file builds upon, and takes out the rules that it does not want.
func (l *loader) extend(src *source, e *rawExtend) {
	if e.UseDefault {
		l.builtin()
	}
	if e.URL != "" {
		src.fail("extend.url", Warning, "extend.url is not fetched", "save it as a file and name that in extend.path")
	}
	if e.Path != "" {
		l.extendPath(src, e.Path)
	}
	for i, id := range e.DisabledRules {
		rule := l.byID[id]
		if rule == nil {
			hint := src.problems.meant(id, l.ids())
			src.fail(element("extend.disabledRules", i), Warning, fmt.Sprintf("there is no rule %q to disable", id), hint)
			continue
		}
		delete(l.byID, id)
		l.rules = slices.DeleteFunc(l.rules, func(r *Rule) bool { return r == rule })
	}
}

func (l *loader) extendPath(src *source, path string) {
	const at = "extend.path"
	if !filepath.IsAbs(path) {
		path = filepath.Join(filepath.Dir(src.name), path)
	}
	if slices.Contains(l.stack, path) {
		src.fail(at, Error, "the file extends itself: "+strings.Join(append(l.stack, path), " -> "), "")
		return
	}
	if len(l.stack) >= maxExtend {
		src.fail(at, Error, fmt.Sprintf("more than %d files extend each other", maxExtend), "")
		return
	}
	if info, err := os.Stat(path); err != nil {
		src.fail(at, Error, fmt.Sprintf("cannot extend %s: %s", path, reason(err)), "the path is relative to this file")
	} else if info.IsDir() {
		src.fail(at, Error, fmt.Sprintf("cannot extend %s: it is a folder", path), "name a file")
	} else {
		l.read(path)
	}
}

// global takes in an allowlist that stands outside of rules.
func (l *loader) global(src *source, raw *rawAllow, path string) {
	a, ok := src.allowlist(&raw.rawRuleAllow, path)
	if !ok {
		return
	}
	a.TargetRules = raw.TargetRules
	targets := src.places.find(member(path, "targetRules"))
	if len(raw.TargetRules) > 0 {
		a.pos = Pos{src.name, targets.line, targets.col}
	}
	l.allow = append(l.allow, a)
}

// finish checks what only the whole set can tell.
func (l *loader) finish() {
	ids := l.ids()
	var late Problems
	for _, r := range l.rules {
		for _, q := range r.Required {
			if l.byID[q.ID] == nil {
				late = late.add(Problem{r.Pos, Error, fmt.Sprintf("rule %q requires rule %q, which there is not", r.ID, q.ID), late.meant(q.ID, ids)})
			}
		}
	}
	for _, a := range l.allow {
		for _, id := range a.TargetRules {
			if l.byID[id] == nil {
				late = late.add(Problem{a.pos, Warning, fmt.Sprintf("targetRules: there is no rule %q", id), late.meant(id, ids)})
			}
		}
	}
	late = append(late, l.signatureIDs()...)
	slices.SortStableFunc(late, func(a, b Problem) int { return cmp.Compare(a.File, b.File) })
	l.problems = append(l.problems, late...)
}

// signatureIDs gives each rule without a sid its own, and tells of those that share one.
func (l *loader) signatureIDs() Problems {
	var out Problems
	taken := map[uint32]*Rule{}
	for _, r := range l.rules {
		if r.SID == 0 {
			r.SID = SIDOf(r.ID)
		}
		if other := taken[r.SID]; other != nil {
			what := fmt.Sprintf("rule %q has the same sid %d as rule %q at %s", r.ID, r.SID, other.ID, other.Pos)
			out = out.add(Problem{r.Pos, Error, what, "give it another sid"})
			continue
		}
		taken[r.SID] = r
	}
	return out
}

// SIDOf is the signature id of a rule that gives none: the low 31 bits of FNV-1a over its id, 1 for 0.
func SIDOf(id string) uint32 {
	const offset, prime = 2166136261, 16777619 // FNV-1a, 32 bits
	h := uint32(offset)
	for i := range len(id) {
		h = (h ^ uint32(id[i])) * prime
	}
	return max(1, h&0x7fffffff)
}
