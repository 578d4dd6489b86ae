package dlp

import (
	"regexp/syntax"
	"slices"
	"strings"
)

// row is what the first bytes of a pattern's matches can be. A pattern that begins in different ways has a row for each.
type row struct {
	at      [sieveDeep]byteSet
	n       int      // from here on, any byte will do
	outside bool     // they begin only where no word goes on
	behind  *byteSet // what may stand before, besides; nil: anything
	line    bool     // they begin only where a line or the value does
}

// ours
const (
	rowsMost   = 8  // of a pattern; those that are most alike are put together
	rowsWorked = 24 // of a pattern, before that
)

// start is an instruction that reads a match's first byte, and what must be so before it.
type start struct {
	pc            uint32
	outside, line bool
}

// starts follows the program to all that can read a first byte.
func (p *program) starts() (out []start) {
	seen := map[start]bool{}
	stack := []start{{pc: p.begin}}
	for len(stack) > 0 {
		at := stack[len(stack)-1]
		stack = stack[:len(stack)-1]
		if seen[at] {
			continue
		}
		seen[at] = true
		to := func(pc uint32) start { return start{pc, at.outside, at.line} }
		switch c := &p.code[at.pc]; c.op {
		case opByte:
			at.outside = at.outside && p.sets[c.set].words()
			if !slices.Contains(out, at) {
				out = append(out, at)
			}
		case opAlt:
			stack = append(stack, to(c.alt), to(c.out))
		case opAssert:
			next, op := to(c.out), syntax.EmptyOp(c.assert)
			next.outside = next.outside || op&syntax.EmptyWordBoundary != 0
			next.line = next.line || op&(syntax.EmptyBeginLine|syntax.EmptyBeginText) != 0
			stack = append(stack, next)
		case opCapture, opNop:
			stack = append(stack, to(c.out))
		}
	}
	return out
}

// rowsOf returns the rows of a program, at most rowsMost.
func rowsOf(p *program) []row {
	var rows []row
	for i, s := range p.starts() {
		r := p.row(s)
		if i >= rowsWorked {
			rows[i%rowsWorked] = rows[i%rowsWorked].union(&r)
			continue
		}
		rows = append(rows, r)
	}
	return fewer(rows, rowsMost, (*row).likely)
}

// row follows the program from where a match begins, without its assertions. From where a match may be over on, any byte will do.
func (p *program) row(s start) row {
	w := walk{p: p, seen: make([]uint8, len(p.code))}
	now, next := []uint32{s.pc}, []uint32(nil)
	over := false
	out := row{outside: s.outside, line: s.line}
	for j := range out.at {
		if over {
			out.at[j] = byteSet{^uint64(0), ^uint64(0), ^uint64(0), ^uint64(0)}
			continue
		}
		w.round++
		next = next[:0]
		for _, pc := range now {
			c := &p.code[pc]
			out.at[j].unite(&p.sets[c.set])
			var end bool
			next, end = w.reach(c.out, next)
			over = over || end
		}
		now, next = next, now
		out.n = j + 1
	}
	return out
}

func (s *byteSet) unite(o *byteSet) {
	for i := range s {
		s[i] |= o[i]
	}
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

// walk is a way through a program, a byte at a time; there are fewer than 256.
type walk struct {
	p     *program
	seen  []uint8 // by instruction: the round in which it was
	round uint8
	stack []uint32
}

// reach adds the bytes' instructions that follow pc to to, and reports whether the end does too.
func (w *walk) reach(pc uint32, to []uint32) (_ []uint32, over bool) {
	w.stack = append(w.stack[:0], pc)
	for len(w.stack) > 0 {
		pc := w.stack[len(w.stack)-1]
		w.stack = w.stack[:len(w.stack)-1]
		if w.seen[pc] == w.round {
			continue
		}
		w.seen[pc] = w.round
		switch c := &w.p.code[pc]; c.op {
		case opByte:
			to = append(to, pc)
		case opMatch:
			over = true
		case opAlt:
			w.stack = append(w.stack, c.out, c.alt)
		case opCapture, opAssert, opNop:
			w.stack = append(w.stack, c.out)
		}
	}
	return to, over
}

// follows reports whether r may begin behind a byte.
func (r *row) follows(before byte) bool {
	return !(r.outside && isWordByte(before)) && (r.behind == nil || r.behind.has(before)) && !(r.line && before != '\n')
}

// likely is how often, per byte of text, something fits.
func (r *row) likely() float64 {
	f := r.begins()
	for j := range r.n {
		f *= r.at[j].likely()
	}
	return f
}

// begins is how often, per byte of text, a row may begin by what stands before.
func (r *row) begins() float64 {
	switch {
	case r.line:
		return likelyLine
	case r.outside:
		return likelyOutside
	}
	return 1
}

// ours
const (
	likelyOutside = 0.25 // bytes behind which no word goes on
	likelyLine    = 0.02 // bytes behind which a line begins
)

// likely is the part that a set's bytes have in text.
func (s *byteSet) likely() float64 {
	sum := 0.0
	for i, w := range s {
		for k := 0; w != 0; k, w = k+1, w>>8 {
			sum += likelyBytes[i<<3|k][w&0xff]
		}
	}
	return sum
}

// likelyBytes are the parts that eight bytes have, by which of them are in a set.
var likelyBytes = func() (t [32][256]float64) {
	for i := range t {
		for in := range t[i] {
			for k := range 8 {
				if in>>k&1 != 0 {
					t[i][in] += likelyByte(byte(i<<3 | k))
				}
			}
		}
	}
	return t
}()

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
	case strings.IndexByte("#$%@^`|~", c) >= 0:
		return 0.004 / 8
	case c > ' ' && c < 0x7f:
		return 0.10 / 24
	}
	return 0.04 / 161
}

// fewer puts rows together until there are at most so many, always the two for which the sum of cost grows least.
func fewer(rows []row, most int, cost func(*row) float64) []row {
	if len(rows) <= most {
		return rows
	}
	rows = slices.Clone(rows)
	own := make([]float64, len(rows))
	harm := make([][]float64, len(rows))
	for i := range rows {
		own[i] = cost(&rows[i])
		harm[i] = make([]float64, len(rows))
	}
	set := func(i, j int) {
		u := rows[i].union(&rows[j])
		harm[i][j] = cost(&u) - own[i] - own[j]
	}
	for i := range rows {
		for j := range i {
			set(i, j)
		}
	}
	for len(rows) > most {
		a, b := 1, 0
		for i := range rows {
			for j := range i {
				if harm[i][j] < harm[a][b] {
					a, b = i, j
				}
			}
		}
		last := len(rows) - 1
		rows[b] = rows[b].union(&rows[a])
		rows[a] = rows[last]
		rows = rows[:last]
		for _, k := range []int{a, b} {
			if k < last {
				own[k] = cost(&rows[k])
			}
		}
		for i := range rows {
			for j := range i {
				if i == a || i == b || j == a || j == b {
					set(i, j)
				}
			}
		}
	}
	return rows
}

// crude is how likely the vector instructions let something pass: they know sets as products of low and high halves.
func (r *row) crude() float64 {
	f := r.begins()
	for j := range sieveWide {
		product := r.at[j].product()
		f *= product.likely()
	}
	return f
}

// product returns all bytes whose low and whose high half some byte of s has.
func (s *byteSet) product() (out byteSet) {
	var low uint64 // by low half
	for _, w := range s {
		low |= w | w>>16 | w>>32 | w>>48
	}
	low &= 0xffff
	for i, w := range s {
		for high := range 4 {
			if w>>(16*high)&0xffff != 0 {
				out[i] |= low << (16 * high)
			}
		}
	}
	return out
}

func (r *row) union(o *row) row {
	out := row{at: r.at, n: max(r.n, o.n), line: r.line && o.line}
	if r.behind != nil && o.behind != nil {
		both := *r.behind
		both.unite(o.behind)
		out.behind = &both
	}
	out.outside = !out.line && (r.outside || r.line) && (o.outside || o.line) // a line begins where no word goes on
	for j := range out.at {
		out.at[j].unite(&o.at[j])
	}
	return out
}
