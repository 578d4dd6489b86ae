package flow

// backMost is how far time may go back without anything being made of it: packets of several sources come a little out of order. Further back
// the clock was set, or another recording has begun. No timeout is shorter.
const backMost = IdleClosing

// setBack reports whether the clock was set back. Not before as many packets have come as there are flows, so that a recording whose time goes
// to and fro costs no more than its packets.
func (t *Table[S]) setBack(now int64) bool {
	return t.c.now-now > int64(backMost) && t.c.now != noTime && t.sinceBack >= t.c.n.Active
}

// goBack has every flow that seems to be of the time to come be of now: else it would not end before that has come, and those that begin now
// would be too old already.
func (t *Table[S]) goBack(now int64) {
	t.sinceBack = 0
	t.c.now = now
	for _, f := range t.flows {
		if f == nil {
			continue
		}
		f.Last = min(f.Last, now)
		if f.place.queued.since(now) < 0 {
			f.place.queued = at(now)
		}
		if f.x == nil {
			continue
		}
		for d := range f.x.hold {
			f.x.hold[d].since = min(f.x.hold[d].since, now)
		}
	}
}
