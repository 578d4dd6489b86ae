package flow

import "weir/wire"

// keepBudget gives up what is held beyond the limits: what is in doubt first, then the oldest holes.
func (c *core) keepBudget(f *Info, d wire.Dir) {
	h := &f.x.hold[d]
	if !c.over(f, h) {
		return
	}
	if h.doubt > 0 && f.Dirs[d.Other()].Packets != h.peer {
		c.disbelieve(f, d)
		c.overBudget(f)
	}
	for c.over(f, h) && h.head < len(h.pieces) {
		c.overBudget(f)
		h.doubt -= h.doubted()
		h.pieces[h.head].doubt = false
		if h.pieces[h.head].seq == f.side[d].next {
			c.drain(f, d)
			continue
		}
		c.n.BudgetGaps++
		c.giveUp(f, d)
	}
}

// doubted returns the bytes of the first piece if they are in doubt.
func (h *hold) doubted() int {
	if p := &h.pieces[h.head]; p.doubt {
		return p.len()
	}
	return 0
}

// over reports whether more is held than the limits allow. The hole before the first piece counts, too.
func (c *core) over(f *Info, h *hold) bool {
	return f.x.held > c.limits.HeldPerFlow || !c.pool.fits(0) || (h.holes >= c.limits.Holes || len(h.pieces)-h.head > maxPieces) && h.head < len(h.pieces)
}

func (c *core) overBudget(f *Info) { f.note(BudgetReached) }
