package dlp

import "regexp/syntax"

// Rules about a value that is nothing but what they describe, as a cell of a table, are not looked for in all that people send: only in whole
// values that are short enough, with databases of their own.

// briefLong is the longest match of such a rule.
const briefLong = 128 // bytes

// brief reports whether r is one.
func (r *rule) brief() bool {
	if r.expr == nil || !r.expr.start || r.expr.max > briefLong || r.keywords {
		return false
	}
	parts := sequence(r.expr.tree, nil)
	return parts[len(parts)-1].Op == syntax.OpEndText
}

// briefly looks for the brief rules in t, a whole value.
func (s *Scanner) briefly(at *site, t *text, hits []Hit) []Hit {
	regions, err := s.native.block(at.class.brief.native, t.b)
	if err != nil {
		s.giveUp(int64(len(t.b)), whyNative)
		return hits
	}
	if len(regions) > 0 {
		s.runs = s.runs[:0]
		s.runs, hits = s.evaluate(at, t, regions, s.runs, hits)
	}
	return hits
}
