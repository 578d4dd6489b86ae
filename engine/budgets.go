package engine

import (
	"cmp"

	"weir/budget"
	"weir/dissect"
	"weir/flow"
	"weir/pcapstore"
)

// Budgets are what taps share; each takes of them what it needs, and an equal part in any case. They may be made less or more at any time:
// taps learn of it with their next block or tick.
type Budgets struct {
	Flows     *budget.Budget // flows
	Held      *budget.Budget // bytes that flows hold, out of order or unfinished
	Fragments *budget.Budget // bytes of incomplete IP datagrams
	Inspect   *budget.Budget // bytes of what is open at layer 7: parsers, decoders, matches, exchanges
	Recent    *budget.Budget // bytes of recent packets
	// RecentMost is the bytes of one tap's recent packets at most; 0: 16 MiB, since moving more takes longer than a ring waits.
	RecentMost int64
}

// Ours.
const (
	flowsLeast   = 128
	flowsChunk   = 256
	bytesLeast   = 64 << 10 // bytes that a tap has in any case, of each kind
	bytesChunk   = 64 << 10
	inspectAlone = 256 << 20 // bytes of what may be open where nobody says
	recentMost   = 16 << 20  // bytes of one tap's recent packets
)

// DefaultBudgets are for one tap that has all for itself.
func DefaultBudgets(l flow.Limits) Budgets {
	return Budgets{
		Flows: budget.New(int64(l.Flows)), Held: budget.New(int64(l.HeldPerTable)), Fragments: budget.New(int64(l.Fragments)),
		Inspect: budget.New(inspectAlone), Recent: budget.New(recentMost),
	}
}

// shares are a tap's, beside that of what is open.
type shares struct {
	flows, held, fragments *budget.Share
	recent                 *budget.Share // nil: none are kept
}

// take gives t its shares.
func (b *Budgets) take(t *Tap) {
	s := &t.shares
	s.flows = b.Flows.Open(min(flowsLeast, b.Flows.Total()), flowsChunk)
	s.held, s.fragments = openBytes(b.Held), openBytes(b.Fragments)
	t.table.Within(s.flows, s.held)
	t.defrag.Within(s.fragments)
	t.opens.share(b.Inspect)
	t.env = dissect.Env{Limits: t.e.cfg.Dissect, Share: t.opens.bytes}
	if b.Recent.Total() > 0 && t.e.cfg.Store != nil {
		s.recent = openBytes(b.Recent)
		t.recent = pcapstore.NewRecent(bytesLeast)
		s.recent.Use(bytesLeast)
	}
}

func openBytes(b *budget.Budget) *budget.Share {
	return b.Open(min(bytesLeast, b.Total()), bytesChunk)
}

// settle gives other taps what they lack, and takes what there is to be had. Those of flows and bytes held the table settles.
func (t *Tap) settle() {
	t.opens.bytes.Settle()
	if t.shares.recent != nil {
		t.settleRecent()
	}
}

// settleRecent makes the ring of recent packets larger if it is full and others do not need the memory, and smaller if they do.
func (t *Tap) settleRecent() {
	s := t.shares.recent
	size := s.Used()
	s.Settle()
	switch {
	case s.Over() && size > bytesLeast:
		t.resizeRecent(max(min(size+s.Room(), size*3/4)&^(bytesLeast-1), bytesLeast)) // more than is asked now, so that it is seldom
	case t.recent.Full() && 2*size <= cmp.Or(t.e.budgets.RecentMost, recentMost) && s.Fits(size):
		t.resizeRecent(2 * size)
	}
}

func (t *Tap) resizeRecent(bytes int64) {
	t.recent.Resize(int(bytes))
	t.shares.recent.Use(bytes - t.shares.recent.Used())
}

// close gives all back.
func (s *shares) close() {
	for _, s := range []*budget.Share{s.flows, s.held, s.fragments, s.recent} {
		if s != nil {
			s.Close()
		}
	}
}
