package dlp

import (
	"encoding/binary"
	"errors"
	"fmt"
	"slices"

	"weir/dissect"
	"weir/rules"
	"weir/wire"
)

// A class is a set of rules that look at the same fields and direction.
type class struct {
	db        *Database
	matcher   *matcher
	brief     *matcher // what looks at whole values of up to briefMost bytes besides; nil: nothing
	has       []bool   // by rule: whether it is of the class; the matcher may know more
	size      int64    // bytes of an open value
	keep      int      // bytes of an open value that are kept
	least     int      // bytes of a whole value in which something may be found
	briefMost int
	lines     bool // some rule asks how many lines lie between findings
	exact     []exactClass
}

// classify gives each field and direction its class.
func (db *Database) classify() error {
	var specs []dissect.FieldSpec
	for _, p := range append([]*dissect.Protocol{&dissect.Raw, &dissect.OnDisk}, dissect.Protocols...) {
		specs = append(specs, p.Fields...)
	}
	used := map[string]bool{}
	known := map[string]*class{}
	for dir := range db.of {
		db.of[dir] = make([]*class, len(specs))
		for f, spec := range specs {
			if onDisk(f) != db.files {
				continue
			}
			rs := db.applicable(spec, wire.Dir(dir), used)
			if len(rs) == 0 {
				continue
			}
			key := indexes(rs)
			if known[key] == nil {
				known[key] = db.newClass(rs)
			}
			db.of[dir][f] = known[key]
		}
	}
	var errs []error
	for _, r := range db.rules {
		for _, name := range r.Fields {
			if !slices.Contains(dissect.FieldNames, name) {
				errs = append(errs, ruleError(r.Rule, fmt.Errorf("fields: there is no field %q", name)))
			}
		}
	}
	return errors.Join(errs...)
}

// indexes names a set of rules.
func indexes(rs []*rule) string {
	b := make([]byte, 0, 4*len(rs))
	for _, r := range rs {
		b = binary.LittleEndian.AppendUint32(b, uint32(r.index))
	}
	return string(b)
}

func (db *Database) applicable(f dissect.FieldSpec, dir wire.Dir, used map[string]bool) []*rule {
	var out []*rule
	for _, r := range db.rules {
		switch {
		case db.files:
			if ForFiles(r.Rule, f.Name) {
				out = append(out, r)
			}
		case r.Direction == rules.Request && dir != wire.ToServer, r.Direction == rules.Response && dir != wire.ToClient:
		case len(r.Fields) == 0 && f.Derived:
		case len(r.Fields) > 0 && !slices.Contains(r.Fields, f.Name):
		default:
			out = append(out, r)
		}
	}
	return out
}

func (db *Database) newClass(rs []*rule) *class {
	c := &class{db: db, has: make([]bool, len(db.rules)), least: unbounded}
	var by, words, brief []*rule
	for _, r := range rs {
		c.least = min(c.least, r.least())
		c.has[r.index] = true
		if r.brief() {
			brief = append(brief, r)
			c.briefMost = max(c.briefMost, r.expr.max)
		} else if r.exact == nil {
			by = append(by, r)
		} else if c.addExact(r); r.keywords {
			words = append(words, r)
		}
		c.keep = max(c.keep, int(min(r.look+2*r.within, maxKeep)))
		for _, q := range r.needs {
			c.lines = c.lines || q.lines >= 0
		}
	}
	c.keep = max(c.keep, nativeKeep)
	db.classes++
	c.matcher = db.matcherOf(by, false)
	if len(brief) > 0 {
		c.brief = db.matcherOf(brief, true)
	}
	for _, r := range words {
		if !slices.Contains(c.matcher.words, r) {
			c.matcher.words = append(c.matcher.words, r)
		}
	}
	return c
}

// least returns the bytes of the shortest value in which r, or a keyword that it asks for, may be found.
func (r *rule) least() int {
	n := unbounded // of exact data
	if r.expr != nil {
		n = r.expr.min
	}
	if r.keywords {
		for _, w := range r.Keywords {
			n = min(n, len(w))
		}
	}
	return n
}

// maxKeep is the most that is kept of an open value: a match that starts further back is told without its start.
const maxKeep = maxMatch + 1024 // bytes

// Wants returns the fields that some rule looks at, in any direction.
func (db *Database) Wants() dissect.Wants {
	w := make(dissect.Wants, len(dissect.FieldNames))
	for dir := range db.of {
		for f, c := range db.of[dir] {
			w[f] = w[f] || c != nil
		}
	}
	return w
}

// class returns the class of a field, nil if no rule looks at it.
func (db *Database) class(m *dissect.Message, f dissect.Field) *class {
	of := db.of[m.Dir&1]
	i := m.Protocol.Base + int(f)
	if i >= len(of) {
		return nil
	}
	return of[i]
}
