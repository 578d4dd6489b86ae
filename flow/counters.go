package flow

// Counters count what a Table did; read by its owner.
type Counters struct {
	Flows, Evicted           uint64
	Active                   int
	Held                     int // bytes held now
	Gaps, GapBytes           uint64
	BudgetGaps               uint64 // of Gaps, those told because a limit was reached
	Late                     uint64 // bytes that came after they were told as a gap
	BadChecksums             uint64
	UnjudgedChecksums        uint64 // wrong, but accepted because the direction never showed a valid one
	Rejected                 uint64 // segments that did not fit: window, PAWS, flags
	RefusedBytes             uint64 // see Direction.Refused
	Doubted                  uint64 // segments that a receiver is likely to refuse: kept until it acknowledges them
	Overlaps, OverlapsDiffer uint64
	Midstream                uint64
}

// Add adds d to c.
func (c *Counters) Add(d *Counters) {
	c.Flows += d.Flows
	c.Evicted += d.Evicted
	c.Active += d.Active
	c.Held += d.Held
	c.Gaps += d.Gaps
	c.GapBytes += d.GapBytes
	c.BudgetGaps += d.BudgetGaps
	c.Late += d.Late
	c.BadChecksums += d.BadChecksums
	c.UnjudgedChecksums += d.UnjudgedChecksums
	c.Rejected += d.Rejected
	c.RefusedBytes += d.RefusedBytes
	c.Doubted += d.Doubted
	c.Overlaps += d.Overlaps
	c.OverlapsDiffer += d.OverlapsDiffer
	c.Midstream += d.Midstream
}

// Add adds d to c.
func (c *DefragCounters) Add(d *DefragCounters) {
	c.Fragments += d.Fragments
	c.Datagrams += d.Datagrams
	c.Refused += d.Refused
	c.Overlaps += d.Overlaps
	c.Discarded += d.Discarded
	c.Dropped += d.Dropped
	c.Expired += d.Expired
}
