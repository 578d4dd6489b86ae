package flow

import "weir/wire"

// Short reports whether little is left of what the table may hold, so that its owner should let it Shed. It costs next to nothing.
func (t *Table[S]) Short() bool {
	p := &t.c.pool
	return p.share.Room() < int64(p.spare) && !p.fits(p.spare) && p.oldest != nil
}

// Shed gives up what is held of the flow that has held something longest: of a flood of segments that nothing joins up with, or of
// messages that never end, it takes the oldest, and not what came last, which may be honest. It returns what was held behind holes as Push
// would, told as gaps and data. What Keep keeps stays for the Join that is to follow; what Join is not asked for is still held. nil:
// nothing is held.
func (t *Table[S]) Shed() (*Flow[S], []Chunk) {
	c := &t.c
	c.begin(c.now)
	x := c.pool.oldest
	if x == nil {
		return nil, nil
	}
	f := t.Find(&x.flow.Key)
	c.pool.delist(x)
	c.pool.enlist(x)
	for d := range wire.Dir(2) {
		h := &x.hold[d]
		if !h.empty() || h.to > h.from {
			c.overBudget(&f.Info)
		}
		c.deliverHeld(&f.Info, d)
		h.nfin, h.proof, h.gapLen = 0, proof{}, 0
	}
	c.forgetOffers(&f.Info)
	c.settle(&f.Info)
	return f, c.out
}
