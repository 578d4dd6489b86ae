package flow

import (
	"math/bits"

	"weir/wire"
)

// Ours.
const (
	blockMin   = 64      // bytes, the smallest block
	blockMax   = 1 << 20 // bytes; larger ones are made when needed and left to the collector
	blockSteps = 4       // block sizes per doubling: a block is at most a quarter larger than asked for
	classes    = 14*blockSteps + 1
	poolShare  = 16   // free blocks are kept up to this fraction of Limits.HeldPerTable
	freeExtras = 4096 // free extras kept
	extraCost  = 512  // bytes that a flow with an extra is charged for it
	pieceCost  = 64   // bytes that a held piece is charged beside its block
)

// pool keeps blocks in size classes. What it hands out is counted in held, against the table's budget.
type pool struct {
	free   [classes][][]byte
	pooled int      // bytes in free
	most   int      // of pooled
	held   int      // bytes handed out, with their costs
	later  [][]byte // given back, but chunks may still point into them
	extras []*extra
}

// sizeClass returns the smallest class that holds n bytes, and its block size; classes if none does.
func sizeClass(n int) (class, size int) {
	if n <= blockMin {
		return 0, blockMin
	}
	if n > blockMax {
		return classes, n
	}
	shift := bits.Len(uint(n-1)) - 3
	q := (n - 1) >> shift // 4..7: the leading three bits
	return (shift-4)*blockSteps + q - 3, (q + 1) << shift
}

// take returns a block of at least n bytes and charges f for it.
func (p *pool) take(f *Info, n int) []byte {
	c, size := sizeClass(n)
	p.charge(f, size)
	if c < classes {
		if l := p.free[c]; len(l) > 0 {
			b := l[len(l)-1]
			p.free[c] = l[:len(l)-1]
			p.pooled -= size
			return b
		}
	}
	return make([]byte, size)
}

// give takes b back. It stays as it is until the next recycle, since chunks may point into it.
func (p *pool) give(f *Info, b []byte) {
	p.charge(f, -len(b))
	p.later = append(p.later, b)
}

func (p *pool) charge(f *Info, n int) {
	p.held += n
	f.x.held += n
}

// recycle makes blocks that were given back usable again.
func (p *pool) recycle() {
	for i, b := range p.later {
		if c, size := sizeClass(len(b)); c < classes && size == len(b) && p.pooled+size <= p.most {
			p.free[c] = append(p.free[c], b)
			p.pooled += size
		}
		p.later[i] = nil
	}
	p.later = p.later[:0]
}

// extra is what a flow needs only while something is out of order, in doubt or kept.
type extra struct {
	held int // bytes charged to the flow, its extra included
	hold [2]hold
	alts []offer // other handshakes seen, see handshake.go
}

// hold is what is held of one direction.
type hold struct {
	pieces []piece     // by sequence number, not overlapping; the first ones may be used up: see head
	head   int         // index of the first piece in use
	holes  int         // holes between pieces; the one before the first is not counted
	bytes  int         // in pieces
	doubt  int         // of bytes, those in doubt
	peer   uint64      // packets of the other end when the first doubt was held
	since  int64       // when the bytes before the first piece were missed
	quiet  uint64      // packets of the other end then
	fins   [4]wire.Seq // FINs out of order
	nfin   int
	proof  proof
	kept   []byte // block of Keep
	from   int    // kept[from:to] is what is kept
	to     int
	joined int      // kept[:joined] holds what Join returned last
	gapEnd wire.Seq // where the latest gap told ended
	gapLen int
}

// empty reports whether no piece is held.
func (h *hold) empty() bool { return h.head == len(h.pieces) }

// need returns f's extra, making it if there is none; nil if the table's budget is used up.
func (c *core) need(f *Info) *extra {
	if f.x != nil {
		return f.x
	}
	if c.pool.held+extraCost > c.limits.HeldPerTable {
		return nil
	}
	p := &c.pool
	if n := len(p.extras); n > 0 {
		f.x, p.extras = p.extras[n-1], p.extras[:n-1]
	} else {
		f.x = new(extra)
	}
	p.charge(f, extraCost)
	return f.x
}

// drop frees f's extra with all that it holds.
func (c *core) drop(f *Info) {
	x := f.x
	if x == nil {
		return
	}
	for d := range x.hold {
		c.clear(f, wire.Dir(d))
		c.unkeep(f, wire.Dir(d))
	}
	for i := range x.alts {
		c.forget(f, &x.alts[i])
	}
	c.pool.charge(f, -extraCost)
	f.x = nil
	if len(c.pool.extras) < freeExtras {
		for d := range x.hold {
			h := &x.hold[d]
			*h = hold{pieces: h.pieces[:0]}
			if cap(h.pieces) > smallPieces {
				h.pieces = nil
			}
		}
		*x = extra{hold: x.hold, alts: x.alts[:0]}
		c.pool.extras = append(c.pool.extras, x)
	}
}

// settle frees f's extra if it holds nothing any more.
func (c *core) settle(f *Info) {
	x := f.x
	if x == nil || len(x.alts) > 0 {
		return
	}
	for d := range x.hold {
		h := &x.hold[d]
		if h.head < len(h.pieces) || h.nfin > 0 || h.proof.n+h.proof.lone > 0 || h.kept != nil || h.gapLen > 0 {
			return
		}
	}
	c.drop(f)
}
