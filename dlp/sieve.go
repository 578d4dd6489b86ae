package dlp

import (
	"regexp/syntax"
	"slices"
)

// A sieve tells where a match of some patterns may begin: where as many bytes as sieveDeep fit, each at its place, what the first bytes of a
// match can be. It is for patterns that Hyperscan finds dear, having no literal, and that hardly ever seem to begin; see sieve.c.
type sieve struct {
	low, high [sieveWide][16]uint8 // by position and half of the byte: groups of rows that it fits
	groups    bool
	outside   uint8                  // groups that begin only where no word goes on
	words     uint8                  // groups whose first sieveWide bytes are of words
	fits      [sieveDeep][256]uint64 // by position and byte: rows
	before    [256]uint64            // by the byte before: patterns
	past      [sieveDeep + 1]uint64  // rows whose patterns may have matched whole after so many bytes
	reach     [sieveMost]int         // by row: bytes from where it fits to where it does again, or to the one after a match's end
	need      [sieveMost]int         // by row: how often it fits in every match; 0: what is of interest begins where it fits once
	lead      [sieveMost]int         // by row: bytes that a match may begin before it
	numbers   uint64                 // rows of digits, which are in no group
	digits    int                    // in a row, where one of these fits
	inside    bool                   // one of these may fit where a number goes on
	seps      byteSet                // between the digits
	alike     []numerals             // the rows of numbers
	scalar    bool                   // no vector instructions, for tests
}

// numerals are rows of numbers that are alike.
type numerals struct {
	rows        uint64
	least, most int  // digits; most 0: they may go on
	luhn        bool // they have a check digit
}

// ours
const (
	sieveDeep    = 32         // bytes; as WEIR_DEEP
	sieveWide    = 16         // bytes; as WEIR_WIDE
	sieveMost    = 64         // rows; as WEIR_ROWS
	sieveGroups  = 8          // of rows
	sieveReach   = 2048       // bytes of the longest match: behind what seems to be a beginning, so much is scanned
	sieveNear    = 64         // bytes of a match in which nothing that recurs is looked for
	numberRows   = 28         // of all numbers
	numeralsMost = 15         // kinds of numbers that are told apart; WEIR_NUMERALS less one
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
	if by.num != nil {
		return single
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
	v = &sieve{digits: numberMost}
	kinds = map[*rule]kind{}
	n := v.addNumbers(rs, kinds)
	var list []*rule
	chains := 0
	for _, r := range rs {
		k := r.kindOf()
		if k == always || r.prog.sifted.num != nil || n+len(list) == sieveMost || k == chained && chains == chainMost {
			continue
		}
		kinds[r] = k
		list = append(list, r)
		if k == chained {
			chains++
		}
	}
	var grouped []row
	for i, r := range list {
		by, k := r.prog.sifted, kinds[r]
		most := (sieveMost - n) / (len(list) - i) // rows for each of those that are left
		for _, row := range fewer(by.rows, most, (*row).likely) {
			v.add(n, &row, by.least, by.reach)
			if k == chained {
				v.need[n] = by.need
			}
			n++
			grouped = append(grouped, row)
		}
	}
	v.groups = len(grouped) > 0
	for g, of := range fewer(grouped, sieveGroups, (*row).crude) {
		v.halves(uint8(1)<<g, &of)
	}
	return kinds, v
}

// addNumbers adds the rows of numbers: those of rules that are alike are put together. It returns how many rows there are then.
func (v *sieve) addNumbers(rs []*rule, kinds map[*rule]kind) (n int) {
	type key struct {
		numerals
		far bool
	}
	var keys []key
	of := map[key][]*rule{}
	for _, r := range rs {
		num := r.prog.sifted.num
		if num == nil || r.kindOf() != single {
			continue
		}
		kinds[r] = single
		k := key{numerals{least: num.digits, most: num.most, luhn: r.luhn && num.secret}, num.lead > numberNear}
		if of[k] == nil {
			if len(keys) == numeralsMost { // what has no room is looked at with what may be anything
				k = key{numerals{least: numberLeast}, true}
			}
			if of[k] == nil {
				keys = append(keys, k)
			}
		}
		of[k] = append(of[k], r)
	}
	for _, k := range keys {
		var rows []row
		least, reach, lead := unbounded, 0, 0
		for _, r := range of[k] {
			by, num := r.prog.sifted, r.prog.sifted.num
			for j := range by.rows {
				first := &by.rows[j]
				if i := slices.IndexFunc(rows, func(o row) bool { return o.at == first.at }); i >= 0 {
					rows[i] = rows[i].union(first)
				} else {
					rows = append(rows, *first)
				}
			}
			least, reach, lead = min(least, by.least), max(reach, by.reach), max(lead, num.lead)
			v.digits = min(v.digits, num.digits)
			v.seps.unite(&num.seps)
		}
		for i := numberRows; i < len(rows); i++ { // fewer is slow with many
			rows[i%numberRows] = rows[i%numberRows].union(&rows[i])
		}
		for _, r := range fewer(rows[:min(len(rows), numberRows)], max(1, numberRows/len(keys)), (*row).likely) {
			v.add(n, &r, least, reach)
			v.lead[n] = lead
			k.rows |= 1 << n
			v.inside = v.inside || r.follows('0')
			n++
		}
		v.numbers |= k.rows
		v.alike = append(v.alike, k.numerals)
	}
	return n
}

// numberNear is how far before its digits a match begins whose number stands nearly alone.
const numberNear = 8 // bytes

// add adds the row i: least and reach are the bytes from where it fits to a match's end.
func (v *sieve) add(i int, first *row, least, reach int) {
	bit := uint64(1) << i
	v.reach[i] = reach + 1
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
	for n := min(least, sieveDeep); n <= sieveDeep; n++ {
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
