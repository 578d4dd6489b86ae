package flow

import "weir/wire"

// Join returns what Keep kept of direction d, followed by data, in one piece; data itself if nothing is kept. Nothing
// is kept any more afterwards. The result is borrowed as a Chunk's Data is; until then, or until Keep, it may be over
// the budget by the length of data.
func (t *Table[S]) Join(f *Flow[S], d wire.Dir, data []byte) []byte {
	return t.c.join(&f.Info, d, data)
}

// Keep keeps rest, which may be part of what Join returned, for the next Join of direction d, in place of what was
// kept. False: the budget of the flow or the table is reached, and nothing is kept (BudgetReached).
func (t *Table[S]) Keep(f *Flow[S], d wire.Dir, rest []byte) bool {
	return t.c.keep(&f.Info, d, rest)
}

func (c *core) join(f *Info, d wire.Dir, data []byte) []byte {
	if f.x == nil {
		return data
	}
	h := &f.x.hold[d]
	n := h.to - h.from
	if n == 0 {
		c.unkeep(f, d)
		return data
	}
	if h.to+len(data) > len(h.kept) {
		if n+len(data) <= len(h.kept) && h.from >= n { // what moves is less than what was used up: linear in all
			copy(h.kept, h.kept[h.from:h.to])
		} else {
			b := c.pool.take(f, n+max(len(data), n/2))
			copy(b, h.kept[h.from:h.to])
			c.pool.give(f, h.kept)
			h.kept = b
		}
		h.from, h.to = 0, n
	}
	c.joined = f
	from := h.from
	h.joined = h.to + copy(h.kept[h.to:], data)
	h.from, h.to = 0, 0
	return h.kept[from:h.joined:h.joined]
}

func (c *core) keep(f *Info, d wire.Dir, rest []byte) bool {
	if len(rest) == 0 {
		c.unkeep(f, d)
		return true
	}
	if c.need(f) == nil {
		f.note(BudgetReached)
		return false
	}
	h := &f.x.hold[d]
	if from := h.within(rest); from >= 0 && len(h.kept) <= 4*len(rest)+blockMin {
		h.from, h.to = from, from+len(rest)
	} else {
		_, size := sizeClass(len(rest))
		free := len(h.kept)
		if f.x.held-free+size <= c.limits.HeldPerFlow && c.pool.fits(size-free) {
			b := c.pool.take(f, len(rest))
			copy(b, rest)
			c.unkeep(f, d)
			h.kept, h.from, h.to = b, 0, len(rest)
			return true
		}
		c.unkeep(f, d)
	}
	if h.kept == nil || f.x.held > c.limits.HeldPerFlow || !c.pool.fits(0) {
		c.unkeep(f, d)
		f.note(BudgetReached)
		return false
	}
	return true
}

// unjoin frees what Join returned and Keep did not keep.
func (c *core) unjoin() {
	f := c.joined
	c.joined = nil
	if f.x == nil {
		return
	}
	for d := range f.x.hold {
		if h := &f.x.hold[d]; h.from == h.to {
			c.unkeep(f, wire.Dir(d))
		}
	}
	c.settle(f)
}

// within returns where in the block rest begins if it is part of what was joined last, else -1. A slice of a slice ends
// its capacity where that one does.
func (h *hold) within(rest []byte) int {
	n := cap(rest)
	if h.joined == 0 || n > h.joined || &rest[:n][n-1] != &h.kept[h.joined-1] {
		return -1
	}
	return h.joined - n
}

// unkeep frees what is kept of direction d.
func (c *core) unkeep(f *Info, d wire.Dir) {
	if f.x == nil {
		return
	}
	h := &f.x.hold[d]
	if h.kept != nil {
		c.pool.give(f, h.kept)
	}
	h.kept, h.from, h.to, h.joined = nil, 0, 0, 0
}
