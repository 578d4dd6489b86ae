package dlp

import (
	"regexp/syntax"
	"slices"
)

// A sieve tells where a match of some patterns may begin: where as many bytes as sieveDeep fit, each at its place, what the first bytes of a
// match can be. It is for patterns that Hyperscan finds dear, having no literal, and that hardly ever seem to begin; see sieve.c.
type sieve struct {
	low, high [sieveWide][16]uint8   // by position and half of the byte: groups of patterns that it fits
	outside   uint8                  // groups that begin only where no word goes on
	words     uint8                  // groups whose first sieveWide bytes are of words
	fits      [sieveDeep][256]uint64 // by position and byte: patterns
	before    [256]uint64            // by the byte before: patterns
	past      [sieveDeep + 1]uint64  // patterns that may have matched whole after so many bytes
	reach     int                    // bytes
	scalar    bool                   // no vector instructions, for tests
}

// ours
const (
	sieveDeep    = 32         // bytes; as WEIR_DEEP
	sieveWide    = 16         // bytes; as WEIR_WIDE
	sieveMost    = 64         // patterns
	sieveGroups  = 8          // of patterns
	sieveReach   = 256        // bytes of the longest match: behind a beginning, so much is scanned
	sieveLiteral = 4          // bytes of a literal that Hyperscan finds fast
	sieveLikely  = 1.0 / 8192 // beginnings per byte of text; what is likelier would not be worth it
)

// row is what the first bytes of a pattern's matches can be.
type row struct {
	at      [sieveDeep]byteSet
	n       int  // from here on, any byte will do
	outside bool // they begin only where no word goes on
}

// rowOf follows the program without its assertions. From where a match may be over on, any byte will do.
func rowOf(p *program) row {
	now := map[uint32]bool{}
	over := p.reach(p.begin, now)
	out := row{outside: p.outside(now)}
	for j := range out.at {
		if over {
			out.at[j] = byteSet{^uint64(0), ^uint64(0), ^uint64(0), ^uint64(0)}
			continue
		}
		next := map[uint32]bool{}
		for pc := range now {
			c := &p.code[pc]
			out.at[j].unite(&p.sets[c.set])
			over = p.reach(c.out, next) || over
		}
		now = next
		out.n = j + 1
	}
	return out
}

func (s *byteSet) unite(o *byteSet) {
	for i := range s {
		s[i] |= o[i]
	}
}

// outside reports whether a match begins with a \b and a letter, digit or '_', whichever of the instructions in first is its first.
func (p *program) outside(first map[uint32]bool) bool {
	for pc := range first {
		if !p.sets[p.code[pc].set].words() {
			return false
		}
	}
	in := &p.code[p.begin]
	for in.op == opCapture || in.op == opNop {
		in = &p.code[in.out]
	}
	return in.op == opAssert && syntax.EmptyOp(in.assert)&syntax.EmptyWordBoundary != 0
}

// words reports whether the set holds nothing but letters, digits and '_'.
func (s *byteSet) words() bool {
	for c := range 256 {
		if s.has(byte(c)) && !isWordByte(byte(c)) {
			return false
		}
	}
	return true
}

func (r *row) words(n int) bool {
	for j := range n {
		if !r.at[j].words() {
			return false
		}
	}
	return true
}

func isWordByte(c byte) bool { return isLetter(c) || isDigit(c) || c == '_' }

// reach adds the bytes' instructions that follow pc to to, and reports whether the end does too.
func (p *program) reach(pc uint32, to map[uint32]bool) (over bool) {
	seen := map[uint32]bool{}
	stack := []uint32{pc}
	for len(stack) > 0 {
		pc := stack[len(stack)-1]
		stack = stack[:len(stack)-1]
		if seen[pc] {
			continue
		}
		seen[pc] = true
		switch c := &p.code[pc]; c.op {
		case opByte:
			to[pc] = true
		case opMatch:
			over = true
		case opAlt:
			stack = append(stack, c.out, c.alt)
		case opCapture, opAssert, opNop:
			stack = append(stack, c.out)
		}
	}
	return over
}

// likely is how often, per byte of text, something fits the first n sets.
func (r *row) likely(n int) float64 {
	f := 1.0
	if r.outside {
		f = likelyOutside
	}
	for j := range n {
		f *= r.at[j].likely()
	}
	return f
}

const likelyOutside = 0.25 // bytes behind which no word goes on

// likely is the part that a set's bytes have in text.
func (s *byteSet) likely() float64 {
	sum := 0.0
	for c := range 256 {
		if s.has(byte(c)) {
			sum += likelyByte(byte(c))
		}
	}
	return sum
}

// likelyByte is roughly what logs, JSON and HTML have.
func likelyByte(c byte) float64 {
	switch {
	case isLower(c):
		return 0.60 / 26
	case isDigit(c):
		return 0.12 / 10
	case isUpper(c):
		return 0.08 / 26
	case c == ' ':
		return 0.06
	case c > ' ' && c < 0x7f:
		return 0.10 / 32
	}
	return 0.04 / 161
}

// sievable reports whether the sieve is better at r than Hyperscan alone.
func (r *rule) sievable() bool {
	e := r.expr
	if e.start || e.max > sieveReach || literals(e.tree).best >= sieveLiteral {
		return false
	}
	first := rowOf(r.prog)
	return first.likely(sieveDeep) <= sieveLikely
}

// sift returns the rules of rs that are sieved, at most sieveMost, and their sieve; nil if there are none.
func sift(rs []*rule) (sieved []*rule, v *sieve) {
	for _, r := range rs {
		if len(sieved) < sieveMost && r.sievable() {
			sieved = append(sieved, r)
		}
	}
	if len(sieved) == 0 {
		return nil, nil
	}
	v = &sieve{reach: sieveDeep}
	rows := make([]row, len(sieved))
	for i, r := range sieved {
		rows[i] = rowOf(r.prog)
		v.reach = max(v.reach, r.expr.max+1)
		v.add(uint64(1)<<i, &rows[i], r.expr.min)
	}
	for g, of := range group(rows) {
		v.halves(uint8(1)<<g, &of)
	}
	return sieved, v
}

func (v *sieve) add(bit uint64, first *row, shortest int) {
	for c := range 256 {
		if !first.outside || !isWordByte(byte(c)) {
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
	for n := min(shortest, sieveDeep); n <= sieveDeep; n++ {
		v.past[n] |= bit
	}
}

func (v *sieve) halves(bit uint8, first *row) {
	if first.outside {
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

// group puts rows together into sieveGroups at most, always the two that are least harmed by it.
func group(rows []row) []row {
	groups := slices.Clone(rows)
	cost := make([][]float64, len(groups))
	for i := range groups {
		cost[i] = make([]float64, len(groups))
		for j := range i {
			cost[i][j] = groups[i].harm(&groups[j])
		}
	}
	for len(groups) > sieveGroups {
		a, b := 1, 0
		for i := range groups {
			for j := range i {
				if cost[i][j] < cost[a][b] {
					a, b = i, j
				}
			}
		}
		last := len(groups) - 1
		groups[b] = groups[b].union(&groups[a])
		groups[a] = groups[last]
		groups = groups[:last]
		for i := range groups {
			for j := range i {
				if i == a || i == b || j == a || j == b {
					cost[i][j] = groups[i].harm(&groups[j])
				}
			}
		}
	}
	return groups
}

// harm is how much oftener something fits the two rows as one group than as two.
func (r *row) harm(o *row) float64 {
	u := r.union(o)
	return u.crude() - r.crude() - o.crude()
}

// crude is how likely the vector instructions let something pass: they know sets as products of low and high halves.
func (r *row) crude() float64 {
	f := 1.0
	if r.outside {
		f = likelyOutside
	}
	for j := range sieveWide {
		var low, high [16]bool
		for c := range 256 {
			if r.at[j].has(byte(c)) {
				low[c&15], high[c>>4] = true, true
			}
		}
		sum := 0.0
		for c := range 256 {
			if low[c&15] && high[c>>4] {
				sum += likelyByte(byte(c))
			}
		}
		f *= sum
	}
	return f
}

func (r *row) union(o *row) row {
	out := row{at: r.at, n: max(r.n, o.n), outside: r.outside && o.outside}
	for j := range out.at {
		out.at[j].unite(&o.at[j])
	}
	return out
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
