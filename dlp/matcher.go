package dlp

import "slices"

// A matcher is what Hyperscan looks for in one pass. Classes that differ little share one, and what it finds for a rule that is not of the
// class is dropped: a few literals more cost less than to compile and hold another set of databases.
type matcher struct {
	db     *Database
	rules  []*rule // by index, ascending; those on exact data are none of them
	words  []*rule // those of them, whose keywords are looked for
	native nativeClass
	brief  bool // its rules are about whole values, and short ones
}

// sharedMost is how many rules of a shared matcher a class may lack, and a class may bring.
const sharedMost = 16

// matcherOf returns the matcher for a class of rs: one that is there already, if it is nearly the same.
func (db *Database) matcherOf(rs []*rule, brief bool) *matcher {
	for _, m := range db.matchers {
		if m.brief != brief {
			continue
		}
		if more, ok := m.nearly(rs); ok {
			m.rules = append(m.rules, more...)
			slices.SortFunc(m.rules, func(a, b *rule) int { return int(a.index - b.index) })
			return m
		}
	}
	m := &matcher{db: db, rules: slices.Clone(rs), brief: brief}
	db.matchers = append(db.matchers, m)
	return m
}

// nearly reports whether m can serve rs too, and what it lacks for that. What is looked for in vain must be cheap to look for.
func (m *matcher) nearly(rs []*rule) (more []*rule, ok bool) {
	lacks := 0
	for _, r := range m.rules {
		if slices.Contains(rs, r) {
			continue
		}
		if lacks++; !r.cheap() {
			return nil, false
		}
	}
	for _, r := range rs {
		if slices.Contains(m.rules, r) {
			continue
		}
		if more = append(more, r); !r.cheap() {
			return nil, false
		}
	}
	return more, lacks <= sharedMost && len(more) <= sharedMost
}

// cheap reports whether Hyperscan finds r by a literal.
func (r *rule) cheap() bool { return !r.keywords && literals(r.expr.tree).best >= sieveLiteral-1 }

// wants reports whether some rule of m asks for the keyword.
func (m *matcher) wants(k *keyword) bool {
	of := func(r *rule) bool { return slices.Contains(k.rules, r.index) }
	return slices.ContainsFunc(m.rules, of) || slices.ContainsFunc(m.words, of)
}
