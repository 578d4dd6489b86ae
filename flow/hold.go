package flow

import (
	"bytes"
	"slices"

	"weir/wire"
)

// Ours.
const (
	smallPieces = 64       // room for pieces that a free extra keeps
	manyPieces  = 1024     // pieces of a direction, from which on small ones that join up are copied together, as receivers do
	maxPieces   = 8192     // pieces of a direction; then the oldest hole is told as a gap
	joinBytes   = 16 << 10 // bytes up to which they are
)

// piece is bytes held of one segment. Where segments overlap, only one piece has the bytes; which one, the policy decides by the
// bounds of the whole segments, as a receiver does that keeps both.
type piece struct {
	seq      wire.Seq // of its first byte
	from, to wire.Seq // bounds of the segment that it came in
	off, n   uint32   // block[off:off+n] are its bytes
	doubt    bool
	told     bool // as refused, when it lost bytes that it shared: once, so that what is told is linear in what came
	block    []byte
}

func (p *piece) end() wire.Seq { return p.seq + wire.Seq(p.n) }
func (p *piece) len() int      { return int(p.n) }
func (p *piece) data() []byte  { return p.block[p.off : p.off+p.n] }

// slice returns the bytes from..to, which p has.
func (p *piece) slice(from, to wire.Seq) []byte {
	return p.data()[from.Sub(p.seq):to.Sub(p.seq)]
}

// wins reports whether a new segment [from,to) takes the bytes that it shares with p.
func (o Overlap) wins(p *piece, from, to wire.Seq, doubt bool) bool {
	if p.doubt != doubt {
		return p.doubt
	}
	begins, ends := from.Sub(p.from), to.Sub(p.to)
	switch o {
	case Linux:
		return begins < 0 || begins == 0 && ends > 0
	case BSD:
		return begins < 0
	case BSDRight:
		return begins < 0 || begins == 0 && ends >= 0
	case Windows:
		return begins < 0 && ends > 0
	case Solaris:
		return begins <= 0 && ends >= 0 || begins > 0 && ends > 0
	case Last:
		return true
	}
	return false
}

// pop removes the first piece.
func (c *core) pop(h *hold) {
	p := &h.pieces[h.head]
	h.bytes -= p.len()
	if p.doubt {
		h.doubt -= p.len()
	}
	if next := h.head + 1; next < len(h.pieces) && h.pieces[next].seq != p.end() {
		h.holes--
	}
	*p = piece{}
	h.head++
	if h.head == len(h.pieces) {
		h.pieces, h.head = h.pieces[:0], 0
		if cap(h.pieces) > manyPieces {
			h.pieces = nil
		}
	}
}

// clear gives up all that is held of direction d, but for what Keep keeps: it turned out not to be the receiver's.
func (c *core) clear(f *Info, d wire.Dir) {
	h := &f.x.hold[d]
	for h.head < len(h.pieces) {
		p := &h.pieces[h.head]
		block := p.block
		if !p.told {
			c.refused(f, d, p.seq, p.data())
		}
		c.pop(h)
		c.release(f, block)
	}
	h.nfin = 0
}

// find returns the first piece, from head on, that ends after seq.
func (h *hold) find(seq wire.Seq) int {
	if n := len(h.pieces); n > h.head && !seq.Before(h.pieces[n-1].end()) {
		return n
	}
	lo, hi := h.head, len(h.pieces)
	for lo < hi {
		mid := (lo + hi) / 2
		if seq.Before(h.pieces[mid].end()) {
			hi = mid
		} else {
			lo = mid + 1
		}
	}
	return lo
}

// count returns the holes between pieces i-1..j-1.
func (h *hold) count(i, j int) int {
	n := 0
	for i = max(i, h.head+1); i < j; i++ {
		if h.pieces[i-1].end() != h.pieces[i].seq {
			n++
		}
	}
	return n
}

// compare notes an overlap of data, which begins at seq, with p: which numbers they share, and whether their bytes differ.
func (c *core) compare(f *Info, p *piece, seq wire.Seq, data []byte) (from, to wire.Seq, differ bool) {
	end := seq.Add(len(data))
	from, to = later(seq, p.seq), earlier(end, p.end())
	c.n.Overlaps++
	if !bytes.Equal(p.slice(from, to), data[from.Sub(seq):to.Sub(seq)]) {
		c.n.OverlapsDiffer++
		f.note(OverlapDiffers)
		differ = true
	}
	return from, to, differ
}

func later(a, b wire.Seq) wire.Seq {
	if a.Before(b) {
		return b
	}
	return a
}

func earlier(a, b wire.Seq) wire.Seq {
	if a.Before(b) {
		return a
	}
	return b
}

// clearAhead makes way for data, which comes next, if the policy gives it all the bytes that it shares with held pieces. first is where
// its segment begins. False: the pieces are as before, and data is to be inserted among them.
func (c *core) clearAhead(f *Info, d wire.Dir, first, seq wire.Seq, data []byte) bool {
	h := &f.x.hold[d]
	end := seq.Add(len(data))
	if h.head == len(h.pieces) || !h.pieces[h.head].seq.Before(end) {
		return true
	}
	j := h.head
	for ; j < len(h.pieces) && h.pieces[j].seq.Before(end); j++ {
		if !c.overlap.wins(&h.pieces[j], first, end, false) {
			return false
		}
	}
	n := segment{first: first, seq: seq, data: data, gone: true}
	c.merge(f, d, h.head, j, &n)
	return true
}

// segment is what is being inserted among pieces.
type segment struct {
	first wire.Seq // where it began before what is old was cut off
	seq   wire.Seq // of data[0]
	data  []byte
	doubt bool
	gone  bool // data is delivered at once, and not inserted
}

func (n *segment) end() wire.Seq { return n.seq.Add(len(n.data)) }

// insert holds data, whose segment began at first, among the pieces.
func (c *core) insert(f *Info, d wire.Dir, first, seq wire.Seq, data []byte, doubt bool) {
	n := segment{first: first, seq: seq, data: data, doubt: doubt}
	h := &f.x.hold[d]
	i := h.find(seq)
	j := i
	for j < len(h.pieces) && h.pieces[j].seq.Before(n.end()) {
		j++
	}
	if i == j && len(h.pieces)-h.head >= manyPieces && (i > h.head && c.extend(f, h, i-1, &n) || i < len(h.pieces) && c.prepend(f, h, i, &n)) {
		return
	}
	c.merge(f, d, i, j, &n)
}

// merge puts n in place of pieces i..j-1, those that it overlaps, keeping of them what the policy keeps.
func (c *core) merge(f *Info, d wire.Dir, i, j int, n *segment) {
	h := &f.x.hold[d]
	holes := h.count(i, min(j+1, len(h.pieces)))
	out, at := c.splice[:0], n.seq // at: from here on n is still to be put in
	lost := false                  // some of n is not taken, and that was told
	for k := i; k < j; k++ {
		p := h.pieces[k]
		from, to, differ := c.compare(f, &p, n.seq, n.data)
		if !c.overlap.wins(&p, n.first, n.end(), n.doubt) {
			if differ && !lost {
				lost = true
				c.refused(f, d, n.seq, n.data)
			}
			out = append(c.put(f, h, out, n, at, from), p)
			at = to
			continue
		}
		if differ && !p.told {
			p.told = true
			c.refused(f, d, p.seq, p.data())
		}
		if differ && p.doubt && !n.doubt { // the doubt was right
			h.take(&p, p.len())
			c.release(f, p.block)
			continue
		}
		h.take(&p, to.Sub(from))
		right := p
		if p.seq.Before(from) {
			left := p
			left.n = uint32(from.Sub(p.seq))
			out = append(out, left)
			right.block = nil
		}
		if !to.Before(p.end()) {
			if right.block != nil {
				c.release(f, right.block)
			}
			continue
		}
		out = c.put(f, h, out, n, at, to)
		at = to
		out = append(out, c.cut(f, &right, p.slice(to, p.end())))
	}
	out = c.put(f, h, out, n, at, n.end())
	h.pieces = slices.Replace(h.pieces, i, j, out...)
	h.holes += h.count(i, min(i+len(out)+1, len(h.pieces))) - holes
	clear(out)
	c.splice = out[:0]
	if h.head == len(h.pieces) {
		h.pieces, h.head, h.holes = h.pieces[:0], 0, 0
	}
}

// put appends the bytes from..to of n as a piece of their own.
func (c *core) put(f *Info, h *hold, out []piece, n *segment, from, to wire.Seq) []piece {
	size := to.Sub(from)
	if size <= 0 || n.gone {
		return out
	}
	b := c.hold(f, n.data[from.Sub(n.seq):to.Sub(n.seq)])
	h.bytes += size
	if n.doubt {
		h.doubt += size
	}
	return append(out, piece{seq: from, from: n.first, to: n.end(), n: uint32(size), doubt: n.doubt, block: b})
}

// cut leaves data, its last bytes, of p. Without a block, which the bytes before keep, p gets its own.
func (c *core) cut(f *Info, p *piece, data []byte) piece {
	q := *p
	q.seq = p.end().Add(-len(data))
	q.off, q.n = p.off+p.n-uint32(len(data)), uint32(len(data))
	if q.block == nil {
		q.block, q.off = c.hold(f, data), 0
	}
	return q
}

// extend copies n to the end of piece i if it follows there and that stays small. So the number of pieces is bounded by what is held, not by how
// small it comes; overlaps are then decided as for one segment, as receivers do that copy small segments together.
func (c *core) extend(f *Info, h *hold, i int, n *segment) bool {
	p := &h.pieces[i]
	size := p.len() + len(n.data)
	if p.end() != n.seq || p.doubt != n.doubt || p.told || size > joinBytes {
		return false
	}
	if int(p.off)+size > len(p.block) {
		b := c.pool.take(f, min(2*size, joinBytes))
		copy(b, p.data())
		c.pool.give(f, p.block)
		p.block, p.off = b, 0
	}
	copy(p.block[p.off+p.n:], n.data)
	p.n, p.to = uint32(size), n.end()
	h.bytes += len(n.data)
	if n.doubt {
		h.doubt += len(n.data)
	}
	next := i + 1
	if next < len(h.pieces) && h.pieces[next].seq == p.end() {
		h.holes--
	}
	return true
}

// prepend copies n before piece i if that follows it and stays small: segments may come in reverse.
func (c *core) prepend(f *Info, h *hold, i int, n *segment) bool {
	p := &h.pieces[i]
	size := p.len() + len(n.data)
	if p.seq != n.end() || p.doubt != n.doubt || p.told || size > joinBytes {
		return false
	}
	if int(p.off) < len(n.data) {
		b := c.pool.take(f, min(2*size, joinBytes))
		off := len(b) - p.len()
		copy(b[off:], p.data())
		c.pool.give(f, p.block)
		p.block, p.off = b, uint32(off)
	}
	p.off -= uint32(len(n.data))
	copy(p.block[p.off:], n.data)
	p.seq, p.from, p.n = n.seq, n.first, uint32(size)
	h.bytes += len(n.data)
	if n.doubt {
		h.doubt += len(n.data)
	}
	if i > h.head && h.pieces[i-1].end() == p.seq {
		h.holes--
	}
	return true
}

// hold copies data into a block of its own.
func (c *core) hold(f *Info, data []byte) []byte {
	c.pool.charge(f, pieceCost)
	b := c.pool.take(f, len(data))
	copy(b, data)
	return b
}

// release gives back what hold took.
func (c *core) release(f *Info, block []byte) {
	c.pool.give(f, block)
	c.pool.charge(f, -pieceCost)
}

// take takes n bytes of p off the books.
func (h *hold) take(p *piece, n int) {
	h.bytes -= n
	if p.doubt {
		h.doubt -= n
	}
}

// believe lifts all doubts.
func (h *hold) believe() {
	for i := h.head; i < len(h.pieces); i++ {
		h.pieces[i].doubt = false
	}
	h.doubt = 0
}

// disbelieve drops all that is in doubt.
func (c *core) disbelieve(f *Info, d wire.Dir) {
	h := &f.x.hold[d]
	f.note(Unaccepted)
	n := h.head
	for i := h.head; i < len(h.pieces); i++ {
		p := h.pieces[i]
		if p.doubt {
			if !p.told {
				c.refused(f, d, p.seq, p.data())
			}
			h.take(&p, p.len())
			c.release(f, p.block)
			continue
		}
		h.pieces[n] = p
		n++
	}
	clear(h.pieces[n:])
	h.pieces = h.pieces[:n]
	h.holes = h.count(h.head, n)
	if h.head == n {
		h.pieces, h.head = h.pieces[:0], 0
	}
}
