package content

// maxLZMAWindow is how far back copies may reach, whatever a header asks for: half a byte of text more often lies nearer, and a header alone
// takes no memory.
const maxLZMAWindow = 8 << 20 // bytes

// from the LZMA specification
const (
	lzmaStates    = 12
	lzmaPosStates = 16
	lzmaTop       = 1 << 24
	lzmaHalf      = 1 << 10 // a probability of one half
	lzmaBits      = 11      // of a probability
	lzmaMove      = 5
	lzmaMinMatch  = 2
	lzmaMaxBits   = 4 // of lc and lp together, as LZMA2 allows
)

// lzma decodes LZMA from an input to an output. It holds the window, which grows as content comes.
type lzma struct {
	in       *input
	out      *output
	err      error // of the input
	rng      uint32
	code     uint32
	lc       uint
	lp       uint32 // mask of the position's bits
	pb       uint32
	state    uint32
	rep      [4]uint32
	win      []byte
	from     int   // beginning of what was not given out
	n        int64 // bytes since the window was emptied
	literal  []uint16
	match    [lzmaStates][lzmaPosStates]uint16
	isRep    [lzmaStates]uint16
	isRep0   [lzmaStates]uint16
	isRep1   [lzmaStates]uint16
	isRep2   [lzmaStates]uint16
	rep0Long [lzmaStates][lzmaPosStates]uint16
	slot     [4][64]uint16
	special  [1 + 128 - 14]uint16
	align    [16]uint16
	length   lzmaLength
	repLen   lzmaLength
}

// lzmaLength decodes the length of a match.
type lzmaLength struct {
	choice, choice2 uint16
	low, mid        [lzmaPosStates][8]uint16
	high            [256]uint16
}

func (l *lzmaLength) reset() {
	l.choice, l.choice2 = lzmaHalf, lzmaHalf
	for i := range l.low {
		halves(l.low[i][:])
		halves(l.mid[i][:])
	}
	halves(l.high[:])
}

func halves(p []uint16) {
	for i := range p {
		p[i] = lzmaHalf
	}
}

// properties sets lc, lp and pb from their byte.
func (l *lzma) properties(b byte) error {
	if b >= 9*5*5 {
		return errBroken
	}
	lc, lp, pb := uint(b%9), uint(b/9%5), uint(b/45)
	if lc+lp > lzmaMaxBits {
		return errMethod
	}
	l.lc, l.lp, l.pb = lc, 1<<lp-1, 1<<pb-1
	if n := 0x300 << (lc + lp); cap(l.literal) < n {
		l.literal = make([]uint16, n)
	} else {
		l.literal = l.literal[:n]
	}
	return nil
}

// resetState begins anew, with the window as it is.
func (l *lzma) resetState() {
	l.state, l.rep = 0, [4]uint32{}
	halves(l.literal)
	for i := range l.match {
		halves(l.match[i][:])
		halves(l.rep0Long[i][:])
	}
	for _, p := range [][]uint16{l.isRep[:], l.isRep0[:], l.isRep1[:], l.isRep2[:], l.special[:], l.align[:]} {
		halves(p)
	}
	for i := range l.slot {
		halves(l.slot[i][:])
	}
	l.length.reset()
	l.repLen.reset()
}

// begin reads the first bytes of the range coder.
func (l *lzma) begin() error {
	var b [5]byte
	if err := l.in.full(b[:]); err != nil {
		return err
	}
	if b[0] != 0 {
		return errBroken
	}
	l.rng, l.code = 0xffffffff, uint32(b[1])<<24|uint32(b[2])<<16|uint32(b[3])<<8|uint32(b[4])
	return nil
}

func (l *lzma) normalize() {
	if l.rng < lzmaTop {
		c, err := l.in.ReadByte()
		if err != nil {
			l.err = err
		}
		l.rng <<= 8
		l.code = l.code<<8 | uint32(c)
	}
}

func (l *lzma) bit(p *uint16) uint32 {
	l.normalize()
	bound := l.rng >> lzmaBits * uint32(*p)
	if l.code < bound {
		l.rng = bound
		*p += (1<<lzmaBits - *p) >> lzmaMove
		return 0
	}
	l.rng -= bound
	l.code -= bound
	*p -= *p >> lzmaMove
	return 1
}

// tree reads n bits, the highest first.
func (l *lzma) tree(p []uint16, n uint) uint32 {
	m := uint32(1)
	for range n {
		m = m<<1 | l.bit(&p[m])
	}
	return m - 1<<n
}

// reversed reads n bits, the lowest first.
func (l *lzma) reversed(p []uint16, n uint) (v uint32) {
	m := uint32(1)
	for i := range n {
		b := l.bit(&p[m])
		m = m<<1 | b
		v |= b << i
	}
	return v
}

func (l *lzma) direct(n uint) (v uint32) {
	for range n {
		l.normalize()
		l.rng >>= 1
		l.code -= l.rng
		t := 0 - l.code>>31
		l.code += l.rng & t
		v = v<<1 + t + 1
	}
	return v
}

func (l *lzma) readLength(t *lzmaLength, pos uint32) uint32 {
	if l.bit(&t.choice) == 0 {
		return l.tree(t.low[pos][:], 3)
	}
	if l.bit(&t.choice2) == 0 {
		return 8 + l.tree(t.mid[pos][:], 3)
	}
	return 16 + l.tree(t.high[:], 8)
}

func (l *lzma) distance(length uint32) uint32 {
	slot := l.tree(l.slot[min(length, 3)][:], 6)
	if slot < 4 {
		return slot
	}
	bits := uint(slot>>1 - 1)
	d := (2 | slot&1) << bits
	if slot < 14 {
		return d + l.reversed(l.special[d-slot:], bits)
	}
	return d + l.direct(bits-4)<<4 + l.reversed(l.align[:], 4)
}

// put appends to the window and gives out what has become enough for a piece.
func (l *lzma) put(c byte) error {
	l.win = append(l.win, c)
	l.n++
	if len(l.win)-l.from >= outputBuffer {
		return l.flush()
	}
	return nil
}

// flush gives out what was not given out yet.
func (l *lzma) flush() error {
	err := l.out.give(l.win[l.from:], -1)
	l.from = len(l.win)
	l.in.cost = cap(l.win) + 2*cap(l.literal)
	if len(l.win) >= 2*maxLZMAWindow {
		n := copy(l.win, l.win[len(l.win)-maxLZMAWindow:])
		l.win, l.from = l.win[:n], n
	}
	return err
}

// decode decodes size bytes; -1: up to the mark that ends them, which may also come before.
func (l *lzma) decode(size int64) (err error) {
	for size != 0 && err == nil {
		if l.err != nil {
			if err = l.flush(); err == nil {
				err = l.err
			}
			return err
		}
		pos := uint32(l.n) & l.pb
		if l.bit(&l.match[l.state][pos]) == 0 {
			err = l.putLiteral()
			size--
			continue
		}
		var length uint32
		if l.bit(&l.isRep[l.state]) != 0 {
			again, e := l.repeated(pos)
			if again {
				err = e
				size--
				continue
			}
			length = l.readLength(&l.repLen, pos)
			l.state = lzmaNext(l.state, 8)
		} else {
			l.rep[3], l.rep[2], l.rep[1] = l.rep[2], l.rep[1], l.rep[0]
			length = l.readLength(&l.length, pos)
			l.state = lzmaNext(l.state, 7)
			l.rep[0] = l.distance(length)
			if l.rep[0] == 0xffffffff {
				l.normalize()
				return l.flush() // the end
			}
		}
		n := int64(length) + lzmaMinMatch
		if size > 0 && n > size {
			return errBroken
		}
		for i := int64(0); i < n && err == nil; i++ {
			err = l.copy()
		}
		if size > 0 {
			size -= n
		}
	}
	if err == nil {
		err = l.flush()
	}
	return err
}

// repeated reads which of the last distances counts. again: it was one byte of the last one, and has been put.
func (l *lzma) repeated(pos uint32) (again bool, err error) {
	switch {
	case l.bit(&l.isRep0[l.state]) == 0:
		if l.bit(&l.rep0Long[l.state][pos]) == 0 {
			l.state = lzmaNext(l.state, 9)
			return true, l.copy()
		}
	case l.bit(&l.isRep1[l.state]) == 0:
		l.rep[1], l.rep[0] = l.rep[0], l.rep[1]
	case l.bit(&l.isRep2[l.state]) == 0:
		l.rep[2], l.rep[1], l.rep[0] = l.rep[1], l.rep[0], l.rep[2]
	default:
		l.rep[3], l.rep[2], l.rep[1], l.rep[0] = l.rep[2], l.rep[1], l.rep[0], l.rep[3]
	}
	return false, nil
}

// lzmaNext is the state after a match (7), a repeated one (8) or one byte of that (9).
func lzmaNext(state, after uint32) uint32 {
	if state < 7 {
		return after
	}
	if after == 7 {
		return 10
	}
	return 11
}

// copy repeats one byte from the last distance.
func (l *lzma) copy() error {
	d := int64(l.rep[0]) + 1
	if d > l.n {
		return errBroken
	}
	if d > int64(len(l.win)) {
		return errBudget
	}
	return l.put(l.win[len(l.win)-int(d)])
}

func (l *lzma) putLiteral() error {
	var last uint32
	if len(l.win) > 0 {
		last = uint32(l.win[len(l.win)-1])
	}
	p := l.literal[0x300*((uint32(l.n)&l.lp)<<l.lc+last>>(8-l.lc)):]
	m := uint32(1)
	if l.state >= 7 {
		d := int(l.rep[0]) + 1
		if d > len(l.win) {
			return errBroken
		}
		match := uint32(l.win[len(l.win)-d])
		for m < 0x100 {
			b := match >> 7 & 1
			match <<= 1
			got := l.bit(&p[(1+b)<<8+m])
			m = m<<1 | got
			if got != b {
				break
			}
		}
	}
	for m < 0x100 {
		m = m<<1 | l.bit(&p[m])
	}
	switch {
	case l.state < 4:
		l.state = 0
	case l.state < 10:
		l.state -= 3
	default:
		l.state -= 6
	}
	return l.put(byte(m))
}
