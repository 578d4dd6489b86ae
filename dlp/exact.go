package dlp

import (
	"cmp"
	"errors"
	"fmt"
	"io/fs"
	"slices"
	"strings"

	"weir/edm"
	"weir/rules"
)

// exact is what a rule on exact data asks for.
type exact struct {
	set     *edm.Set
	columns uint32 // bits, by index: those that count
	need    int    // columns of one row
	within  int    // bytes from the end of the first value to the beginning of the last
}

// exactClass is a set, and the rules of a class that ask for it.
type exactClass struct {
	set    *edm.Set
	rules  []*rule
	within int // the most of theirs
}

// exactState is how far an open value is looked through for a set. Offsets are in the value.
type exactState struct {
	from, done int64
	recent     []edm.Value // in order of their ends; Start and End are offsets in the value
}

// ours
const (
	maxRecent    = 64                // values near each other that are compared
	exactSize    = 64 + 32*maxRecent // bytes that an exactState is counted for
	exactKeep    = 2*edm.MaxRaw + 16 // bytes of an open value that are kept beside what lies between two values
	whyExact     = "dlp.edm_budget"  // so many values of a set stand together that not all could be compared
	whyExactFile = "dlp.edm_file"    // a set's file was changed while it was in use
)

// openSet maps the set of a rule, once for all rules that name it.
func (db *Database) openSet(e *rules.EDM) (*edm.Set, error) {
	path := cmp.Or(e.Key, edm.DefaultKey())
	name := e.Set + "\x00" + path
	if s := db.sets[name]; s != nil {
		return s, nil
	}
	key, err := edm.ReadKey(path)
	if err != nil {
		if errors.Is(err, fs.ErrNotExist) && e.Key == "" {
			return nil, fmt.Errorf("edm: no key: %w (name it: key = ..., or put it there)", err)
		}
		return nil, fmt.Errorf("edm: key: %w", err)
	}
	s, err := edm.Open(e.Set, key)
	switch {
	case errors.Is(err, edm.ErrKey):
		return nil, fmt.Errorf("edm: %w than %s", err, path)
	case errors.Is(err, edm.ErrCorrupt):
		return nil, fmt.Errorf("edm: %w (build it anew)", err)
	case err != nil:
		return nil, fmt.Errorf("edm: %w", err)
	}
	if db.sets == nil {
		db.sets = map[string]*edm.Set{}
	}
	db.sets[name] = s
	return s, nil
}

// prepareExact makes a rule on exact data ready.
func (db *Database) prepareExact(r *rules.Rule) (*rule, error) {
	c := &rule{Rule: r, keywords: len(r.Keywords) > 0}
	if err := c.prepareTelling(); err != nil {
		return nil, err
	}
	set, err := db.openSet(r.EDM)
	if err != nil {
		return nil, err
	}
	e := &exact{set: set, need: r.EDM.MinColumns, within: r.EDM.Within}
	names := r.EDM.Columns
	if len(names) == 0 {
		names = set.Columns()
	}
	if len(names) < e.need {
		return nil, fmt.Errorf("edm: min_columns is %d, but the set has %d (%s)", e.need, len(names), strings.Join(names, ", "))
	}
	for _, n := range names {
		i := set.Column(n)
		if i < 0 {
			hint := "there are " + strings.Join(set.Columns(), ", ")
			if near := rules.Nearest(n, set.Columns()); near != "" {
				hint = fmt.Sprintf("did you mean %q?", near)
			}
			return nil, fmt.Errorf("edm: the set has no column %q (%s)", n, hint)
		}
		e.columns |= 1 << i
	}
	c.exact = e
	return c, nil
}

// addExact adds a class's rules on exact data, by set.
func (c *class) addExact(r *rule) {
	i := slices.IndexFunc(c.exact, func(e exactClass) bool { return e.set == r.exact.set })
	if i < 0 {
		i = len(c.exact)
		c.exact = append(c.exact, exactClass{set: r.exact.set})
	}
	e := &c.exact[i]
	e.rules = append(e.rules, r)
	e.within = max(e.within, r.exact.within)
	c.keep = max(c.keep, min(e.within+exactKeep, maxKeep))
}

// startExact makes states ready for a value that begins at an offset.
func (c *class) startExact(states []exactState, at int64) []exactState {
	for len(states) < len(c.exact) {
		states = append(states, exactState{recent: make([]edm.Value, 0, maxRecent)})
	}
	states = states[:len(c.exact)]
	for i := range states {
		states[i] = exactState{from: at, done: at, recent: states[i].recent[:0]}
	}
	return states
}

// exactly looks for the values of sets in what of a value has come. What it finds is told by evaluate, which comes after it.
func (s *Scanner) exactly(at *site, t *text, states []exactState, hits []Hit) []Hit {
	for i := range states {
		e, st := &at.class.exact[i], &states[i]
		err := edm.Guard(func() error {
			hits = s.lookFor(at, t, e, st, hits)
			return nil
		})
		if err != nil {
			s.giveUp(int64(len(t.b)), whyExactFile)
			end := t.base + int64(len(t.b))
			*st = exactState{from: end, done: end, recent: st.recent[:0]}
		}
	}
	return hits
}

func (s *Scanner) lookFor(at *site, t *text, e *exactClass, st *exactState, hits []Hit) []Hit {
	from, done := e.set.Find(&s.finder, t.b, int(max(st.from, t.base)-t.base), int(st.done-t.base), t.final)
	st.from, st.done = t.base+int64(from), t.base+int64(done)
	for i := range s.finder.Values {
		v := s.finder.Values[i]
		v.Start, v.End = v.Start+int(t.base), v.End+int(t.base)
		n := 0
		for n < len(st.recent) && v.Start-st.recent[n].End > e.within {
			n++
		}
		st.recent = slices.Delete(st.recent, 0, n)
		for _, r := range e.rules {
			if r.exact.columns>>v.Column&1 != 0 && !r.misplaced(s.file) {
				hits = s.relate(at, t, r, st.recent, &v, hits)
			}
		}
		if len(st.recent) == maxRecent {
			s.giveUp(int64(st.recent[0].End-st.recent[0].Start), whyExact)
			st.recent = slices.Delete(st.recent, 0, 1)
		}
		st.recent = append(st.recent, v)
	}
	return hits
}

// relate tells of a value that stands in one row with others before it.
func (s *Scanner) relate(at *site, t *text, r *rule, recent []edm.Value, v *edm.Value, hits []Hit) []Hit {
	if a := s.valueAllowed(t, r, v); a != nil {
		s.refuseValue(at, t, r, v, a)
		return hits
	}
	e := r.exact
	var room [maxRecent + 1]edm.Value
	values := room[:0]
	for i := range recent {
		p := &recent[i]
		if p.End > v.Start || v.Start-p.End > e.within || e.columns>>p.Column&1 == 0 || p.Start < int(t.base) {
			continue
		}
		if s.valueAllowed(t, r, p) == nil {
			values = append(values, *p)
		}
	}
	s.members = s.members[:0]
	if e.need > 1 {
		have := min(int(at.st.steps)+stepsStart, stepsStart) / ruleShare
		steps := edm.Steps(max(0, have))
		s.members = e.set.Shared(values, v, e.need, s.members, &steps)
		at.st.steps -= int32(have - int(steps))
		if steps < 0 {
			s.giveUp(int64(v.End-v.Start), whySteps)
		}
		if len(s.members) == 0 {
			return hits
		}
	}
	slices.SortFunc(s.members, func(a, b edm.Member) int { return a.Index - b.Index })
	return s.tellRow(at, t, r, values, v, hits)
}

// valueAllowed returns the allow-list that drops a value, nil if none does.
func (s *Scanner) valueAllowed(t *text, r *rule, v *edm.Value) *allowlist {
	if len(r.allow) == 0 {
		return nil
	}
	f := t.value(v, s.file)
	return allowing(r.allow, &f)
}

func (s *Scanner) refuseValue(at *site, t *text, r *rule, v *edm.Value, a *allowlist) {
	f := t.value(v, s.file)
	s.refuse(at, r, &f, whyAllowed, a.about, nil)
}

// value makes a value of a set what other matches are.
func (t *text) value(v *edm.Value, file string) found {
	f := found{t: t, start: v.Start - int(t.base), end: v.End - int(t.base), complete: true, file: file}
	f.mStart, f.mEnd = f.start, f.end
	f.secret = t.b[f.start:f.end]
	f.match = f.secret
	return f
}

// tellRow tells of the values in s.members, which are of one row with last, and of last.
func (s *Scanner) tellRow(at *site, t *text, r *rule, values []edm.Value, last *edm.Value, hits []Hit) []Hit {
	row := r.exact.set.Row(last.Rows, 0)
	if len(s.members) > 0 {
		row = s.members[0].Row
	}
	s.members = append(s.members, edm.Member{Index: len(values), Row: row})
	values = append(values, *last)
	excerpt := ""
	if !s.Silent {
		excerpt = s.rowExcerpt(t, r, values)
	}
	for _, m := range s.members {
		hits = s.tellValue(at, t, r, &values[m.Index], m.Row, excerpt, hits)
	}
	return hits
}

// rowExcerpt shows the columns of what was found and their masks. What stands around them is not shown: it may be further columns.
func (s *Scanner) rowExcerpt(t *text, r *rule, values []edm.Value) string {
	const most = 4 // values that are shown
	var b strings.Builder
	for i, m := range s.members[:min(len(s.members), most)] {
		if i > 0 {
			b.WriteString(", ")
		}
		v := &values[m.Index]
		f := t.value(v, s.file)
		b.WriteString(escape([]byte(r.exact.set.Columns()[v.Column])) + ": " + s.masked(r, &f))
	}
	return b.String()
}

// tellValue tells of one value of a row. It counts as a finding; different ones are different rows.
func (s *Scanner) tellValue(at *site, t *text, r *rule, v *edm.Value, row uint32, excerpt string, hits []Hit) []Hit {
	f := t.value(v, s.file)
	f.row, f.shown = uint64(row)+1, excerpt
	s.passed = append(s.passed, passed{rule: r, found: f, confidence: sureMost}) // nothing but the row itself looks like it
	if len(s.passed) == maxPassed {
		hits = s.resolve(at, t, hits)
	}
	return hits
}
