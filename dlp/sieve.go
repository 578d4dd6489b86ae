package dlp

import "regexp/syntax"

// A sieve tells where a match of some patterns may begin: where as many bytes as sieveDeep fit, each at its place, what the first bytes of a
// match can be. It is for patterns that Hyperscan finds dear, having no literal, and that hardly ever seem to begin; see sieve.c.
type sieve struct {
	low, high [sieveWide][16]uint8   // by position and half of the byte: groups of rows that it fits
	outside   uint8                  // groups that begin only where no word goes on
	words     uint8                  // groups whose first sieveWide bytes are of words
	fits      [sieveDeep][256]uint64 // by position and byte: rows
	before    [256]uint64            // by the byte before: patterns
	past      [sieveDeep + 1]uint64  // rows whose patterns may have matched whole after so many bytes
	reach     [sieveMost]int         // by row: bytes from where a match begins to the one after its end
	scalar    bool                   // no vector instructions, for tests
}

// ours
const (
	sieveDeep    = 32         // bytes; as WEIR_DEEP
	sieveWide    = 16         // bytes; as WEIR_WIDE
	sieveMost    = 64         // rows; as WEIR_ROWS
	sieveGroups  = 8          // of rows
	sieveReach   = 256        // bytes of the longest match: behind what seems to be a beginning, so much is scanned
	sieveLiteral = 4          // bytes of a literal that Hyperscan finds fast
	sieveLikely  = 1.0 / 8192 // beginnings per byte of text; what is likelier would not be worth it
)

// sievable reports whether the sieve is better at r than Hyperscan alone.
func (r *rule) sievable() bool {
	e := r.expr
	if e.start || e.max > sieveReach || literals(e.tree).best >= sieveLiteral {
		return false
	}
	sum := 0.0
	for i := range r.prog.rows {
		sum += r.prog.rows[i].likely()
	}
	return sum <= sieveLikely
}

// sift returns the rules of rs that are sieved, and their sieve; nil if there are none.
func sift(rs []*rule) (sieved []*rule, v *sieve) {
	v = &sieve{}
	var all []row
	for _, r := range rs {
		if !r.sievable() || len(all)+len(r.prog.rows) > sieveMost {
			continue
		}
		sieved = append(sieved, r)
		for i := range r.prog.rows {
			v.add(len(all), &r.prog.rows[i], r.expr)
			all = append(all, r.prog.rows[i])
		}
	}
	if len(sieved) == 0 {
		return nil, nil
	}
	for g, of := range fewer(all, sieveGroups, (*row).crude) {
		v.halves(uint8(1)<<g, &of)
	}
	return sieved, v
}

func (v *sieve) add(i int, first *row, e *expression) {
	bit := uint64(1) << i
	v.reach[i] = e.max + 1
	for c := range 256 {
		if first.follows(byte(c)) {
			v.before[c] |= bit
		}
	}
	for j := range first.at {
		for c := range 256 {
			if first.at[j].has(byte(c)) {
				v.fits[j][c] |= bit
			}
		}
	}
	for n := min(e.min, sieveDeep); n <= sieveDeep; n++ {
		v.past[n] |= bit
	}
}

func (v *sieve) halves(bit uint8, first *row) {
	if first.outside || first.line {
		v.outside |= bit
	}
	if first.words(sieveWide) {
		v.words |= bit
	}
	for j := range sieveWide {
		for c := range 256 {
			if first.at[j].has(byte(c)) {
				v.low[j][c&15] |= bit
				v.high[j][c>>4] |= bit
			}
		}
	}
}

// literalRun says how long the literals are that all matches of an expression have: at the start, at the end, anywhere. exact: it is nothing but one.
type literalRun struct {
	pre, suf, best int
	exact          bool
}

// literals finds them. A class of two, as of a letter in both cases, counts as a byte.
func literals(re *syntax.Regexp) literalRun {
	switch re.Op {
	case syntax.OpLiteral:
		return literalRun{len(re.Rune), len(re.Rune), len(re.Rune), true}
	case syntax.OpCharClass:
		n := 0
		for i := 0; i < len(re.Rune); i += 2 {
			n += int(re.Rune[i+1]-re.Rune[i]) + 1
		}
		if n <= 2 {
			return literalRun{1, 1, 1, true}
		}
	case syntax.OpEmptyMatch, syntax.OpBeginLine, syntax.OpEndLine, syntax.OpBeginText, syntax.OpEndText, syntax.OpWordBoundary, syntax.OpNoWordBoundary:
		return literalRun{exact: true}
	case syntax.OpCapture:
		return literals(re.Sub[0])
	case syntax.OpPlus:
		l := literals(re.Sub[0])
		l.exact = false
		return l
	case syntax.OpRepeat:
		l := literals(re.Sub[0])
		out := literalRun{exact: true}
		for range min(re.Min, sieveLiteral) {
			out = out.then(l)
		}
		out.exact = out.exact && re.Min == re.Max
		return out
	case syntax.OpConcat:
		out := literalRun{exact: true}
		for _, s := range re.Sub {
			out = out.then(literals(s))
		}
		return out
	case syntax.OpAlternate:
		out := literals(re.Sub[0])
		for _, s := range re.Sub[1:] {
			l := literals(s)
			out = literalRun{min(out.pre, l.pre), min(out.suf, l.suf), min(out.best, l.best), out.exact && l.exact && out.best == l.best}
		}
		return out
	}
	return literalRun{}
}

func (a literalRun) then(b literalRun) literalRun {
	out := literalRun{a.pre, b.suf, max(a.best, b.best, a.suf+b.pre), a.exact && b.exact}
	if a.exact {
		out.pre += b.pre
	}
	if b.exact {
		out.suf += a.suf
	}
	return out
}
