package flow

import (
	"math/bits"

	"weir/budget"
	"weir/wire"
)

// Ours.
const (
	blockMin   = 64      // bytes, the smallest block
	blockMax   = 1 << 20 // bytes; larger ones are made when needed and left to the collector
	blockSteps = 4       // block sizes per doubling: a block is at most a quarter larger than asked for
	blockKinds = 14*blockSteps + 1
	pooledMost = 1 << 20   // bytes of free blocks that are kept
	pooledPart = 16        // and this part of what may be held at most
	freeExtras = 64        // free extras kept
	extraCost  = 512       // bytes that a flow with an extra is charged for it
	pieceCost  = 64        // bytes that a held piece is charged beside its block
	spareMost  = 256 << 10 // bytes that Short wants to be left, for what a packet may bring
	sparePart  = 8         // but not more than this part of all
)

// pool keeps blocks in size classes. What it hands out is counted in held, and with what is free in the table's share of the budget.
type pool struct {
	free   [blockKinds][][]byte
	pooled int // bytes in free
	held   int // bytes handed out, with their costs
	share  *budget.Share
	most   int      // of pooled
	spare  int      // bytes that Short wants to be left
	later  [][]byte // given back, but chunks may still point into them
	extras []*extra // free
	oldest *extra   // in use, in the order in which flows began to need one
	newest *extra
}

// within makes the pool hold no more than share allows, which is total at most.
func (p *pool) within(share *budget.Share, total int) {
	p.share = share
	p.most, p.spare = min(pooledMost, total/pooledPart), min(spareMost, total/sparePart)
}

// fits reports whether n bytes more may be held.
func (p *pool) fits(n int) bool {
	if p.share.Fits(int64(n)) {
		return true
	}
	if p.pooled == 0 {
		return false
	}
	p.empty()
	return p.share.Fits(int64(n))
}

// empty lets go of what is kept for reuse.
func (p *pool) empty() {
	p.share.Use(-int64(p.pooled))
	p.free, p.pooled, p.extras = [blockKinds][][]byte{}, 0, nil
}

// sizeClass returns the smallest class that holds n bytes, and its block size; blockKinds if none does.
func sizeClass(n int) (class, size int) {
	if n <= blockMin {
		return 0, blockMin
	}
	if n > blockMax {
		return blockKinds, n
	}
	shift := bits.Len(uint(n-1)) - 3
	q := (n - 1) >> shift // 4..7: the leading three bits
	return (shift-4)*blockSteps + q - 3, (q + 1) << shift
}

// take returns a block of at least n bytes and charges f for it.
func (p *pool) take(f *Info, n int) []byte {
	c, size := sizeClass(n)
	p.charge(f, size)
	if c < blockKinds {
		if l := p.free[c]; len(l) > 0 {
			b := l[len(l)-1]
			p.free[c] = l[:len(l)-1]
			p.pooled -= size
			p.share.Use(-int64(size))
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
	p.share.Use(int64(n))
}

// recycle makes blocks that were given back usable again.
func (p *pool) recycle() {
	for i, b := range p.later {
		if c, size := sizeClass(len(b)); c < blockKinds && size == len(b) && p.pooled+size <= p.most && p.share.Room() >= int64(size) {
			p.free[c] = append(p.free[c], b)
			p.pooled += size
			p.share.Use(int64(size))
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

	flow         *Info  // whose it is
	older, newer *extra // in the pool's order
}

// enlist puts x at the end of the pool's order.
func (p *pool) enlist(x *extra) {
	x.older, x.newer = p.newest, nil
	if p.newest != nil {
		p.newest.newer = x
	} else {
		p.oldest = x
	}
	p.newest = x
}

func (p *pool) delist(x *extra) {
	if x.older != nil {
		x.older.newer = x.newer
	} else {
		p.oldest = x.newer
	}
	if x.newer != nil {
		x.newer.older = x.older
	} else {
		p.newest = x.older
	}
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
	p := &c.pool
	if !p.fits(extraCost) {
		return nil
	}
	if n := len(p.extras); n > 0 {
		f.x, p.extras = p.extras[n-1], p.extras[:n-1]
	} else {
		f.x = new(extra)
	}
	f.x.flow = f
	p.enlist(f.x)
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
	c.forgetOffers(f)
	c.pool.charge(f, -extraCost)
	c.pool.delist(x)
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
