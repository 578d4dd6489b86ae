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
	reach     [sieveMost]int         // by row: bytes from where it fits to where it does again, or to the one after a match's end
	need      [sieveMost]int         // by row: how often it fits in every match; 0: what is of interest begins where it fits once
	scalar    bool                   // no vector instructions, for tests
}

// ours
const (
	sieveDeep    = 32         // bytes; as WEIR_DEEP
	sieveWide    = 16         // bytes; as WEIR_WIDE
	sieveMost    = 64         // rows; as WEIR_ROWS
	sieveGroups  = 8          // of rows
	sieveReach   = 2048       // bytes of the longest match: behind what seems to be a beginning, so much is scanned
	sieveNear    = 64         // bytes of a match in which nothing that recurs is looked for
	chainMost    = 8          // patterns in whose matches something recurs; as WEIR_CHAINS
	chainLeast   = 3          // times that it must
	chainLikely  = 1.0 / 1024 // likewise for what recurs
	sievePart    = 1.0 / 8    // of all bytes, that are scanned for that
	sieveLiteral = 4          // bytes of a literal that Hyperscan finds fast
	sieveLikely  = 1.0 / 8192 // beginnings per byte of text; what is likelier would not be worth it
)

// kindOf returns how a rule is looked for best.
func (r *rule) kindOf() kind {
	e, by := r.expr, r.prog.sifted
	if e.start || by.reach > sieveReach || literals(e.tree).best >= sieveLiteral {
		return always
	}
	sum := 0.0
	for i := range by.rows {
		sum += by.rows[i].likely()
	}
	switch {
	case by.need >= chainLeast && sum <= chainLikely:
		return chained
	case sum <= sieveLikely && sum*float64(by.reach) <= sievePart:
		return single
	}
	return always
}

// sift returns the kinds of those rules that are sieved, and their sieve; nil if there are none.
func sift(rs []*rule) (kinds map[*rule]kind, v *sieve) {
	v = &sieve{}
	kinds = map[*rule]kind{}
	var all []row
	chains := 0
	for _, r := range rs {
		k, by := r.kindOf(), r.prog.sifted
		if k == always || len(all)+len(by.rows) > sieveMost || k == chained && chains == chainMost {
			continue
		}
		kinds[r] = k
		if k == chained {
			chains++
		}
		for i := range by.rows {
			v.add(len(all), &by.rows[i], by)
			if k == chained {
				v.need[len(all)] = by.need
			}
			all = append(all, by.rows[i])
		}
	}
	if len(kinds) == 0 {
		return nil, nil
	}
	for g, of := range fewer(all, sieveGroups, (*row).crude) {
		v.halves(uint8(1)<<g, &of)
	}
	return kinds, v
}

func (v *sieve) add(i int, first *row, by *sifting) {
	bit := uint64(1) << i
	v.reach[i] = by.reach + 1
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
	for n := min(by.least, sieveDeep); n <= sieveDeep; n++ {
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
