package dlp

import (
	"regexp/syntax"
	"slices"
)

// A sifting is what the sieve needs to know of an expression: rows, one of which fits at the beginning of what must be scanned to see where a
// match ends, and again at least every reach bytes until there.
type sifting struct {
	rows  []row
	num   *numeral // the rows are of its digits; nil: they are of what a match begins with
	reach int      // bytes; unbounded if there is no bound
	least int      // bytes of what fits a row, to the end of the match
	need  int      // how often the row fits in every match; 0: it is not known to fit more than once
}

// ours
const siftParts = 512 // parts of an expression that are looked at for a recurrence

// siftedBy returns the sifting of an expression.
func siftedBy(e *expression) (s *sifting, err error) {
	n := numeralOf(e)
	if n == nil {
		return beginningOf(e)
	}
	s = &sifting{num: n}
	if s.least, s.reach = width(n.rest); s.reach > sieveNear { // a list of numbers is of interest where one follows another
		if list, err := beginningOf(e); err != nil || list.need >= chainLeast {
			return list, err
		}
	}
	s.rows, err = beginnings(n.rest)
	for i := range s.rows {
		s.rows[i].behind = &n.behind
	}
	return s, err
}

// beginningOf returns what is known of how an expression's matches begin.
func beginningOf(e *expression) (s *sifting, err error) {
	short := shortest(e.tree)
	s = &sifting{}
	s.least, s.reach = width(short)
	if s.rows, err = beginnings(short); err != nil || len(s.rows) != 1 {
		return s, err
	}
	if parts := flatten(short, nil); len(parts) > 1 && len(parts) <= siftParts {
		return s, s.recur(parts)
	}
	return s, nil
}

// recur finds where in the parts of a long expression the row recurs: a list of addresses is only of interest as long as one follows another.
func (s *sifting) recur(parts []*syntax.Regexp) error {
	first := s.rows[0]
	if first.likely() > chainLikely || s.reach <= sieveNear {
		return nil
	}
	all, reach, since := first, 0, 0
	_, since = width(parts[0])
	last, need := 0, 1
	for i := 1; i < len(parts); i++ {
		if b := byteOf(parts[i]); b != nil && *b == first.at[0] {
			rows, err := beginnings(&syntax.Regexp{Op: syntax.OpConcat, Sub: parts[i:]})
			if err != nil {
				return err
			}
			if len(rows) == 1 && rows[0].outside == first.outside && rows[0].line == first.line {
				if u := all.union(&rows[0]); u.likely() <= chainLikely {
					all, reach, since, last = u, max(reach, since), 0, i
					need++
				}
			}
		}
		_, w := width(parts[i])
		since = min(since+w, unbounded)
	}
	if last > 0 {
		s.rows[0], s.reach, s.need = all, max(reach, since), need
		s.least, _ = width(&syntax.Regexp{Op: syntax.OpConcat, Sub: parts[last:]})
	}
	return nil
}

// byteOf returns the set of what matches one byte only, nil if it is something else.
func byteOf(re *syntax.Regexp) *byteSet {
	var set byteSet
	switch {
	case re.Op == syntax.OpLiteral && len(re.Rune) == 1:
		set.add(byte(re.Rune[0]))
	case re.Op == syntax.OpCharClass:
		for i := 0; i < len(re.Rune); i += 2 {
			for c := re.Rune[i]; c <= min(re.Rune[i+1], 0xff); c++ {
				set.add(byte(c))
			}
		}
	default:
		return nil
	}
	return &set
}

// flatten appends the parts of an expression, one after the other; a byte that is repeated is its optional part first, then single ones.
func flatten(re *syntax.Regexp, parts []*syntax.Regexp) []*syntax.Regexp {
	if len(parts) > siftParts {
		return parts
	}
	switch re.Op {
	case syntax.OpEmptyMatch:
		return parts
	case syntax.OpCapture:
		return flatten(re.Sub[0], parts)
	case syntax.OpConcat:
		for _, s := range re.Sub {
			parts = flatten(s, parts)
		}
		return parts
	case syntax.OpLiteral:
		for _, r := range re.Rune {
			parts = append(parts, &syntax.Regexp{Op: syntax.OpLiteral, Rune: []rune{r}})
		}
		return parts
	case syntax.OpRepeat:
		if re.Max < 0 || re.Max*len(re.Sub) > siftParts {
			break
		}
		if byteOf(re.Sub[0]) != nil {
			if re.Max > re.Min {
				parts = append(parts, &syntax.Regexp{Op: syntax.OpRepeat, Max: re.Max - re.Min, Sub: re.Sub})
			}
			for range re.Min {
				parts = append(parts, re.Sub[0])
			}
			return parts
		}
		if re.Max == re.Min {
			for range re.Min {
				parts = flatten(re.Sub[0], parts)
			}
			return parts
		}
	}
	return append(parts, re)
}

// beginnings returns the rows of an expression.
func beginnings(re *syntax.Regexp) ([]row, error) {
	prog, err := syntax.Compile(re.Simplify())
	if err != nil {
		return nil, err
	}
	p := &program{begin: uint32(prog.Start)}
	known := map[byteSet]uint16{}
	for i := range prog.Inst {
		p.code = append(p.code, p.translate(&prog.Inst[i], 0, known))
	}
	return rowsOf(p), nil
}

// shortest returns an expression whose matches are the ends of re's matches, and that no end lacks: "a*b" becomes "b", "\w{2,9}@" "\w{2}@".
// Where an assertion comes first nothing may be left out.
func shortest(re *syntax.Regexp) *syntax.Regexp {
	switch re.Op {
	case syntax.OpStar, syntax.OpQuest:
		return &syntax.Regexp{Op: syntax.OpEmptyMatch}
	case syntax.OpPlus, syntax.OpCapture:
		return shortest(re.Sub[0])
	case syntax.OpRepeat:
		if re.Min == 0 {
			return &syntax.Regexp{Op: syntax.OpEmptyMatch}
		}
		rest := &syntax.Regexp{Op: syntax.OpRepeat, Min: re.Min - 1, Max: re.Min - 1, Sub: re.Sub}
		return &syntax.Regexp{Op: syntax.OpConcat, Sub: []*syntax.Regexp{shortest(re.Sub[0]), rest}}
	case syntax.OpConcat:
		sub := slices.Clone(re.Sub)
		for i := range sub {
			if sub[i] = shortest(sub[i]); sub[i].Op != syntax.OpEmptyMatch {
				break
			}
		}
		return &syntax.Regexp{Op: syntax.OpConcat, Sub: sub}
	case syntax.OpAlternate:
		sub := make([]*syntax.Regexp, len(re.Sub))
		for i := range sub {
			sub[i] = shortest(re.Sub[i])
		}
		return &syntax.Regexp{Op: syntax.OpAlternate, Sub: sub}
	}
	return re
}
