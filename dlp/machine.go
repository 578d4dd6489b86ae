package dlp

import (
	"fmt"
	"math/bits"
	"regexp/syntax"
)

// ours
const (
	maxGroups = 4    // groups of an expression that are followed
	maxMatch  = 4096 // bytes of a match; a longer one is cut there, and that is told
	noMatch   = int32(-1)
)

type opcode uint8

const (
	opFail opcode = iota
	opAlt
	opCapture
	opAssert
	opNop
	opByte
	opMatch
)

type instruction struct {
	op       opcode
	slot     int8  // opCapture: index into thread.group; -1 is not followed
	assert   uint8 // opAssert: syntax.EmptyOp
	set      uint16
	out, alt uint32
}

type byteSet [4]uint64

func (s *byteSet) has(b byte) bool { return s[b>>6]&(1<<(b&63)) != 0 }
func (s *byteSet) add(b byte)      { s[b>>6] |= 1 << (b & 63) }

// program is an expression as the machine runs it: the instructions of regexp/syntax over bytes. Immutable.
type program struct {
	code   []instruction
	sets   []byteSet
	rows   []row // what a match can begin with
	sifted *sifting
	first  [256]uint8 // by its first byte: which of these
	begin  uint32
	lazy   bool
	start  bool
	groups int
}

// compileProgram makes the machine's program. group is the one that holds the secret; 0 follows the first maxGroups.
func compileProgram(e *expression, group int) (*program, error) {
	re := e.tree.Simplify()
	prog, err := syntax.Compile(re)
	if err != nil {
		return nil, err
	}
	if len(prog.Inst) > maxExpression {
		return nil, fmt.Errorf("the expression is too large: %d instructions, at most %d", len(prog.Inst), maxExpression)
	}
	n := e.tree.MaxCap()
	if group > n {
		return nil, fmt.Errorf("secretGroup is %d, but the expression has %d groups", group, n)
	}
	p := &program{begin: uint32(prog.Start), lazy: e.lazy, start: e.start, groups: min(n, maxGroups)}
	if group > 0 {
		p.groups = 1
	}
	known := map[byteSet]uint16{}
	for i := range prog.Inst {
		p.code = append(p.code, p.translate(&prog.Inst[i], group, known))
	}
	p.rows = rowsOf(p)
	if p.sifted, err = siftedBy(e); err != nil {
		return nil, err
	}
	for i := range p.rows {
		for c := range p.first {
			if p.rows[i].at[0].has(byte(c)) {
				p.first[c] |= 1 << i
			}
		}
	}
	return p, nil
}

func (p *program) translate(in *syntax.Inst, group int, known map[byteSet]uint16) instruction {
	c := instruction{out: in.Out}
	switch in.Op {
	case syntax.InstAlt, syntax.InstAltMatch:
		c.op, c.alt = opAlt, in.Arg
	case syntax.InstCapture:
		c.op, c.slot = opCapture, slotOf(int(in.Arg), group)
	case syntax.InstEmptyWidth:
		c.op, c.assert = opAssert, uint8(in.Arg)
	case syntax.InstMatch:
		c.op = opMatch
	case syntax.InstNop:
		c.op = opNop
	case syntax.InstFail:
		c.op = opFail
	default:
		c.op = opByte
		set := bytesOf(in)
		id, ok := known[set]
		if !ok {
			id = uint16(len(p.sets))
			known[set] = id
			p.sets = append(p.sets, set)
		}
		c.set = id
	}
	return c
}

// bytesOf returns the bytes that an instruction reads.
func bytesOf(in *syntax.Inst) (set byteSet) {
	if in.Op == syntax.InstRune1 {
		if in.Rune[0] <= 0xff {
			set.add(byte(in.Rune[0]))
		}
		return set
	}
	if len(in.Rune) > 1 { // ranges, whatever the case
		for i := 0; i < len(in.Rune); i += 2 {
			for c := in.Rune[i]; c <= min(in.Rune[i+1], 0xff); c++ {
				set.add(byte(c))
			}
		}
		return set
	}
	for c := range 256 {
		if in.MatchRune(rune(c)) {
			set.add(byte(c))
		}
	}
	return set
}

func slotOf(capture, group int) int8 {
	g := capture / 2
	switch {
	case group > 0 && g == group:
		return int8(capture % 2)
	case group > 0 || g == 0 || g > maxGroups:
		return -1
	}
	return int8(2*(g-1) + capture%2)
}

// begins reports whether a match may begin at pos, which is in b, as far as the first bytes and the one before tell.
func (p *program) begins(b []byte, pos int) bool {
	for m := p.first[b[pos]]; m != 0; m &= m - 1 {
		r := &p.rows[bits.TrailingZeros8(m)]
		if (pos == 0 || r.follows(b[pos-1])) && r.fits(b[pos:]) {
			return true
		}
	}
	return false
}

// fits reports whether b begins as the row says, as far as it goes.
func (r *row) fits(b []byte) bool {
	for j, c := range b[:min(len(b), r.n)] {
		if !r.at[j].has(c) {
			return false
		}
	}
	return true
}

// match is what the machine found. Offsets are into the text.
type match struct {
	start, end int32
	group      [2 * maxGroups]int32
	open       bool // with more text it might grow
	cut        bool // it reached maxMatch and may be longer
}

// text is what the machine looks at: a window of a value.
type text struct {
	b     []byte
	base  int64 // offset in the value of b[0]
	first bool  // b[0] is the value's first byte
	fresh bool  // what stood before b[0], if anything did, was never seen
	final bool  // nothing comes after b
}

type thread struct {
	pc    uint32
	start int32
	group [2 * maxGroups]int32
}

// queue is a set of threads, in order of priority. Instructions that read nothing are followed at once, and only noted as seen.
type queue struct {
	seen  []uint32 // by instruction: the round in which it was
	round uint32
	dense []thread
}

func (q *queue) clear() {
	q.dense = q.dense[:0]
	if q.round++; q.round == 0 {
		clear(q.seen)
		q.round = 1
	}
}

// machine runs programs: Thompson's simulation with groups, in time linear in the text. It is scratch; one goroutine
// owns it. Unlike package regexp it is told what stands before the place it starts at, works on bytes, and stops when
// steps are used up.
type machine struct {
	run, next queue
	stack     []frame
	steps     int // what may still be spent; below 0: it gave up
	blocked   bool
	collect   bool    // keep every match of an anchored search
	all       []match // by ascending end
}

// frame is what is still to be done once a branch has been followed: go on at pc, or restore group[slot] to old.
type frame struct {
	pc   uint32
	slot int8 // < 0: go on at pc
	old  int32
}

func (m *machine) grow(n int) {
	if len(m.run.seen) < n {
		m.run = queue{seen: make([]uint32, n), dense: make([]thread, 0, n)}
		m.next = queue{seen: make([]uint32, n), dense: make([]thread, 0, n)}
	}
	m.run.clear()
	m.next.clear()
}

// find looks for the first match of p that starts at or after from and before until, and ends at or before stop. It is
// the leftmost-longest one, or for a lazy program the leftmost-first. If anchored, it starts at from. ok is false if
// there is none, or if the machine gave up.
func (m *machine) find(p *program, t *text, from, until, stop int, anchored bool) (best match, ok bool) {
	m.grow(len(p.code))
	cut := false
	if anchored {
		until = from + 1
	}
	for pos := from; ; pos++ {
		if len(m.run.dense) == 0 {
			if ok || pos >= until {
				break
			}
			for pos < until && pos < len(t.b) && !p.begins(t.b, pos) {
				pos++
				m.steps--
			}
			if pos >= until || m.steps < 0 {
				break
			}
		}
		m.blocked = false
		if !ok && pos < until && (!p.start || (pos == 0 && t.first)) && (pos == len(t.b) || p.begins(t.b, pos)) {
			m.add(&m.run, p, p.begin, t, pos, &thread{start: int32(pos), group: noGroups})
		}
		alive, c := m.step(p, t, pos, stop, &best, &ok)
		cut = cut || c
		m.run, m.next = m.next, m.run
		m.next.clear()
		if m.steps < 0 {
			return best, false
		}
		if pos >= stop || pos >= len(t.b) {
			best.open = alive && !(t.final && stop >= len(t.b))
			break
		}
	}
	best.cut = cut && ok
	return best, ok
}

var noGroups = [2 * maxGroups]int32{noMatch, noMatch, noMatch, noMatch, noMatch, noMatch, noMatch, noMatch}

// step moves all threads over the byte at pos. alive tells that some thread could have gone on were there more text;
// cut that one was too long.
func (m *machine) step(p *program, t *text, pos, stop int, best *match, ok *bool) (alive, cut bool) {
	m.steps -= len(m.run.dense) + 1
	alive = m.blocked
	for i := range m.run.dense {
		th := &m.run.dense[i]
		if *ok && !p.lazy && best.start < th.start {
			continue
		}
		c := &p.code[th.pc]
		if c.op == opMatch {
			if !*ok || p.lazy || th.start < best.start || (th.start == best.start && int32(pos) > best.end) {
				*best = match{start: th.start, end: int32(pos), group: th.group}
				*ok = true
			}
			if m.collect {
				m.all = append(m.all, match{start: th.start, end: int32(pos), group: th.group})
			}
			if p.lazy {
				return alive, cut
			}
			continue
		}
		if pos >= stop || pos >= len(t.b) {
			alive = true
			continue
		}
		if pos-int(th.start) >= maxMatch {
			cut = true
			continue
		}
		if p.sets[c.set].has(t.b[pos]) {
			m.add(&m.next, p, c.out, t, pos+1, th)
		}
	}
	return alive, cut
}

// add puts pc and all that follows from it without a byte into q. The order is that of the expression's preference.
func (m *machine) add(q *queue, p *program, pc uint32, t *text, pos int, from *thread) {
	th := *from
	m.stack = m.stack[:0]
	for {
		for q.seen[pc] != q.round {
			q.seen[pc] = q.round
			m.steps--
			c := &p.code[pc]
			switch c.op {
			case opByte, opMatch:
				th.pc = pc
				q.dense = append(q.dense, th)
				continue
			case opAlt:
				m.stack = append(m.stack, frame{pc: c.alt, slot: -1})
			case opCapture:
				if c.slot >= 0 {
					m.stack = append(m.stack, frame{slot: c.slot, old: th.group[c.slot]})
					th.group[c.slot] = int32(pos)
				}
			case opAssert:
				if !m.holds(syntax.EmptyOp(c.assert), t, pos) {
					continue
				}
			case opFail:
				continue
			}
			pc = c.out
		}
		for {
			n := len(m.stack) - 1
			if n < 0 {
				return
			}
			f := m.stack[n]
			m.stack = m.stack[:n]
			if f.slot < 0 {
				pc = f.pc
				break
			}
			th.group[f.slot] = f.old
		}
	}
}

// holds reports whether an assertion is true at pos. What depends on a byte that has not come is false, and blocks.
func (m *machine) holds(op syntax.EmptyOp, t *text, pos int) bool {
	before, after := rune(-1), rune(-1)
	if pos > 0 {
		before = rune(t.b[pos-1])
	}
	if pos < len(t.b) {
		after = rune(t.b[pos])
	} else if !t.final && op&^(syntax.EmptyBeginText|syntax.EmptyBeginLine) != 0 {
		m.blocked = true
		return false
	}
	have := syntax.EmptyOpContext(before, after)
	if pos == 0 && !t.first {
		have &^= syntax.EmptyBeginText // what stood before was lost: a word or a line may begin here, but the value does not
	}
	return have&op == op
}
