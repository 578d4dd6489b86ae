package dlp

import (
	"regexp/syntax"
	"slices"
)

// A numeral is what the sieve seeks of a rule whose every match has many digits in a row, with at most one separator between two of them. Where
// such a row stands is seen by bit operations on whole blocks, however many rules there are; what may stand before it is looked at then.
type numeral struct {
	lead   int     // bytes of a match before its first digit, at most
	digits int     // in a row, at least
	most   int     // likewise; 0: the row may go on, or end anywhere
	secret bool    // the value begins with the row and is nothing else
	behind byteSet // what may stand before it
	seps   byteSet
	rest   *syntax.Regexp // of the match, from the row on
}

// ours
const (
	numberLeast = 8  // digits that are worth it
	numberMost  = 32 // digits in a row that are asked for; as WEIR_DEEP
	numberLead  = 64 // bytes before them; as WEIR_LEAD
)

// numeralOf returns the number that every match of an expression has, nil if there is none.
func numeralOf(e *expression) *numeral {
	parts, secret := sequence(e.tree, nil), secretStart(e.tree)
	lead := 0
	for i, p := range parts {
		if lead > numberLead {
			return nil
		}
		if assertion(p) {
			continue
		}
		n := &numeral{lead: lead}
		if d := n.digitsOf(parts[i:]); d.least >= numberLeast && d.first && !d.empty {
			n.digits, n.secret = min(d.least, numberMost), d.all && secret >= 0 && secret <= i && !slices.ContainsFunc(parts[secret:i], notAssertion)
			if d.all && d.most <= numberMost && parts[len(parts)-1].Op == syntax.OpWordBoundary {
				n.most = d.most
			}
			n.behind = lastOf(parts[:i])
			n.rest = &syntax.Regexp{Op: syntax.OpConcat, Sub: parts[i:]}
			return n
		}
		_, w := width(p)
		lead = min(lead+w, unbounded)
	}
	return nil
}

func notAssertion(re *syntax.Regexp) bool { return !assertion(re) }

// sequence appends what an expression consists of, one after the other.
func sequence(re *syntax.Regexp, parts []*syntax.Regexp) []*syntax.Regexp {
	switch re.Op {
	case syntax.OpCapture, syntax.OpConcat:
		for _, s := range re.Sub {
			parts = sequence(s, parts)
		}
		return parts
	case syntax.OpEmptyMatch:
		return parts
	}
	return append(parts, re)
}

// secretStart returns the index in sequence at which the only group begins, or 0 if there is none; -1 if there are several.
func secretStart(re *syntax.Regexp) int {
	switch re.MaxCap() {
	case 0:
		return 0
	case 1:
	default:
		return -1
	}
	at := 0
	for re.Op == syntax.OpConcat {
		for _, s := range re.Sub {
			if s.MaxCap() > 0 {
				re = s
				break
			}
			at += len(sequence(s, nil))
		}
	}
	if re.Op != syntax.OpCapture {
		return -1
	}
	return at
}

// digitRow says what of an expression is digits in a row.
type digitRow struct {
	least, most int  // from its beginning on
	all         bool // it is nothing else
	first, last bool // it begins, ends with a digit where it is not empty
	empty       bool // it may be
}

var noDigits = digitRow{}

// digitsOf looks at parts that follow each other.
func (n *numeral) digitsOf(parts []*syntax.Regexp) digitRow {
	out := digitRow{all: true, first: true, last: true, empty: true}
	for _, p := range parts {
		if out = out.then(n.digitsIn(p)); !out.all {
			break
		}
	}
	return out
}

func (n *numeral) digitsIn(re *syntax.Regexp) digitRow {
	switch re.Op {
	case syntax.OpEmptyMatch, syntax.OpBeginLine, syntax.OpEndLine, syntax.OpBeginText, syntax.OpEndText, syntax.OpWordBoundary, syntax.OpNoWordBoundary:
		return digitRow{all: true, first: true, last: true, empty: true}
	case syntax.OpLiteral:
		parts := make([]*syntax.Regexp, len(re.Rune))
		for i, r := range re.Rune {
			parts[i] = charset(r, r)
		}
		return n.digitsOf(parts)
	case syntax.OpCharClass:
		return n.digitClass(byteOf(re))
	case syntax.OpCapture, syntax.OpConcat:
		return n.digitsOf(re.Sub)
	case syntax.OpAlternate:
		out := n.digitsIn(re.Sub[0])
		for _, s := range re.Sub[1:] {
			d := n.digitsIn(s)
			out = digitRow{min(out.least, d.least), max(out.most, d.most), out.all && d.all, out.first && d.first, out.last && d.last, out.empty || d.empty}
		}
		return out
	case syntax.OpQuest, syntax.OpStar, syntax.OpPlus, syntax.OpRepeat:
		return n.digitsRepeated(re)
	}
	return noDigits
}

func (n *numeral) digitClass(set *byteSet) digitRow {
	digits, seps := true, true
	for c := range 256 {
		if set.has(byte(c)) {
			digits = digits && isDigit(byte(c))
			seps = seps && numberSeps.has(byte(c))
		}
	}
	switch {
	case digits:
		return digitRow{least: 1, most: 1, all: true, first: true, last: true}
	case seps:
		n.seps.unite(set)
		return digitRow{all: true}
	}
	return noDigits
}

// numberSeps are the separators that the vector instructions know at once: no two have the same low half.
var numberSeps = func() (s byteSet) {
	for _, c := range []byte(" -./:") {
		s.add(c)
	}
	return s
}()

func (n *numeral) digitsRepeated(re *syntax.Regexp) digitRow {
	d := n.digitsIn(re.Sub[0])
	from, more := re.Min, re.Max != re.Min
	switch re.Op {
	case syntax.OpPlus:
		from, more = 1, true
	case syntax.OpQuest, syntax.OpStar:
		from, more = 0, true
	}
	out := digitRow{all: true, first: true, last: true, empty: true}
	for range min(from, numberMost+1) {
		out = out.then(d)
	}
	if more {
		many, times := d, 1
		if re.Op != syntax.OpQuest {
			many = d.then(d) // two of it may follow each other
			if times = re.Max - from; re.Op != syntax.OpRepeat || re.Max < 0 {
				times = unbounded
			}
		}
		many.least, many.most, many.empty = 0, min(d.most*times, unbounded), true
		out = out.then(many)
	}
	return out
}

// then puts b behind a. Two separators in a row are the end of it.
func (a digitRow) then(b digitRow) digitRow {
	if !a.all || !a.last && !b.first {
		a.all = false
		return a
	}
	out := digitRow{least: a.least + b.least, most: min(a.most+b.most, unbounded), all: b.all, first: a.first, last: b.last, empty: a.empty && b.empty}
	if a.empty {
		out.first = a.first && b.first
	}
	if b.empty {
		out.last = a.last && b.last
	}
	return out
}

// lastOf returns the bytes that may stand before the place where the parts have matched and digits follow, a line's end among them: it stands
// for a value's beginning, too.
func lastOf(parts []*syntax.Regexp) (set byteSet) {
	set.add('\n')
	if len(parts) == 0 {
		return byteSet{^uint64(0), ^uint64(0), ^uint64(0), ^uint64(0)}
	}
	last, rest := parts[len(parts)-1], parts[:len(parts)-1:len(parts)-1]
	with := func(more ...*syntax.Regexp) {
		of := lastOf(append(rest, more...))
		set.unite(&of)
	}
	switch last.Op {
	case syntax.OpBeginLine, syntax.OpBeginText:
	case syntax.OpWordBoundary, syntax.OpNoWordBoundary:
		of := lastOf(rest)
		for c := range 256 {
			if of.has(byte(c)) && isWordByte(byte(c)) == (last.Op == syntax.OpNoWordBoundary) {
				set.add(byte(c))
			}
		}
	case syntax.OpLiteral:
		set.add(byte(last.Rune[len(last.Rune)-1]))
	case syntax.OpCharClass:
		set.unite(byteOf(last))
	case syntax.OpCapture, syntax.OpConcat:
		with(last.Sub...)
	case syntax.OpAlternate:
		for _, s := range last.Sub {
			with(s)
		}
	case syntax.OpPlus:
		with(last.Sub[0])
	case syntax.OpQuest, syntax.OpStar:
		with()
		with(last.Sub[0])
	case syntax.OpRepeat:
		if last.Min == 0 {
			with()
		}
		with(last.Sub[0])
	default:
		with()
	}
	return set
}
