package flow

import "weir/wire"

// Ours.
const offers = 4 // handshakes beside the first one that are remembered for a flow

// offer is a SYN that was seen beside the one taken. Which of them counts, the ends decide by what they acknowledge; an end that forges knows
// no sequence number of the other one.
type offer struct {
	tcp  wire.TCP
	dir  wire.Dir
	data []byte // block with what the SYN carried
	n    int
}

// syn takes a segment with SYN in direction d.
func (c *core) syn(f *Info, d wire.Dir, p *wire.Packet) outcome {
	if p.TCP.Flags&wire.FIN != 0 {
		c.n.Rejected++ // Linux drops SYN with FIN in every state
		f.note(BadFlags)
		c.refuse(f, d, p)
		return stays
	}
	s := &f.side[d]
	answer := p.TCP.Flags&wire.ACK != 0
	switch {
	case c.sameSYN(f, d, p):
		return stays // again
	case f.State == StateNew && (!s.has(based) || s.has(inferred) || f.unused(d)) && !s.has(opened):
		if answer && f.side[d.Other()].has(opened) && !c.answers(f, d, p) {
			break
		}
		c.adopt(f, d, &p.TCP, p.Payload)
		return stays
	case !answer && (f.State == StateClosed || f.State == StateClosing && f.unused(d) && f.unused(d.Other())):
		return beginning
	}
	f.note(ForgedSYN) // in a connection, or one of several: what the ends acknowledge decides
	c.offer(f, d, p)
	return stays
}

// unused reports whether nothing came in direction d yet.
func (f *Info) unused(d wire.Dir) bool { return f.Dirs[d].Payload == 0 && f.Dirs[d].Lost == 0 }

// isn returns the initial sequence number of d: next has moved by what was told.
func (f *Info) isn(d wire.Dir) wire.Seq {
	return f.side[d].next - wire.Seq(f.Dirs[d].Payload) - wire.Seq(f.Dirs[d].Lost) - 1
}

// sameSYN reports whether p repeats the SYN of d that was taken.
func (c *core) sameSYN(f *Info, d wire.Dir, p *wire.Packet) bool {
	s := &f.side[d]
	if !s.has(opened|based) || p.TCP.Seq != f.isn(d) {
		return false
	}
	if p.TCP.Flags&wire.ACK != 0 && c.answers(f, d, p) && c.sent(f, d.Other(), p.TCP.Ack) {
		f.side[d.Other()].raise(p.TCP.Ack, p.TCP.Ack.Add(int(p.TCP.Window)))
		if f.x != nil {
			c.drain(f, d.Other())
		}
	}
	return true
}

// answers reports whether p, a SYN with ACK in direction d, answers the SYN that was taken of the other one; or, if it answers an offer, takes that instead.
func (c *core) answers(f *Info, d wire.Dir, p *wire.Packet) bool {
	o := d.Other()
	if n := p.TCP.Ack.Sub(f.side[o].next); n == 0 || n > 0 && c.sent(f, o, p.TCP.Ack) {
		return true
	}
	if f.x == nil || !f.unused(o) || f.State != StateNew {
		return false
	}
	for i := range f.x.alts {
		a := &f.x.alts[i]
		if n := p.TCP.Ack.Sub(a.tcp.Seq); a.dir == o && n > 0 && n <= 1+a.n {
			c.choose(f, i)
			return true
		}
	}
	return false
}

// adopt takes a SYN of d as the one that counts.
func (c *core) adopt(f *Info, d wire.Dir, t *wire.TCP, data []byte) {
	s, o := &f.side[d], &f.side[d.Other()]
	c.rebase(f, d, t.Seq.Add(1))
	s.bits = s.bits&(validCsum|unseen) | based | opened
	s.shift = min(t.WScale, maxShift)
	if t.HasWScale {
		s.bits |= scaled
	}
	if t.HasTS {
		s.bits |= stamps | stamped
		s.stamp = t.TSVal
	}
	if len(data) > 0 {
		f.note(SYNData)
	}
	if t.Flags&wire.ACK != 0 {
		if !o.has(based) {
			o.next = t.Ack
			o.bits |= based | inferred
		}
		o.raise(t.Ack, t.Ack.Add(int(t.Window)))
		if f.x != nil {
			c.drain(f, d.Other())
		}
	}
	if len(data) > 0 && c.need(f) != nil { // in doubt until it is acknowledged: RFC 7413 section 4.2
		if f.x.hold[d].doubt == 0 {
			f.x.hold[d].peer = f.Dirs[d.Other()].Packets
		}
		c.insert(f, d, s.next, s.next, data, true)
		c.keepBudget(f, d)
	}
}

// rebase makes seq what comes next in direction d, which has delivered nothing; what is held and does not come after it, is dropped.
func (c *core) rebase(f *Info, d wire.Dir, seq wire.Seq) {
	f.side[d].next = seq
	if f.x == nil {
		return
	}
	h := &f.x.hold[d]
	h.proof = proof{}
	if n := len(h.pieces); n > h.head && (h.pieces[h.head].seq.Before(seq) || h.pieces[n-1].seq.Sub(seq) > farAway) {
		c.clear(f, d)
	}
}

// offer remembers p as a handshake beside the one that was taken.
func (c *core) offer(f *Info, d wire.Dir, p *wire.Packet) {
	x := c.need(f)
	if x == nil {
		c.n.Rejected++
		return
	}
	for i := range x.alts {
		if a := &x.alts[i]; a.dir == d && a.tcp.Seq == p.TCP.Seq && a.tcp.Ack == p.TCP.Ack {
			return
		}
	}
	if len(x.alts) == offers {
		c.forget(f, &x.alts[0])
		copy(x.alts, x.alts[1:])
		x.alts = x.alts[:offers-1]
	}
	a := offer{tcp: p.TCP, dir: d}
	if n := len(p.Payload); n > 0 && n <= maxWindow {
		_, size := sizeClass(n)
		if cost := size + pieceCost; x.held+cost <= c.limits.HeldPerFlow && c.pool.fits(cost) {
			a.data, a.n = c.hold(f, p.Payload), n
		} else {
			f.note(BudgetReached)
		}
	}
	x.alts = append(x.alts, a)
}

// forget drops an offer that was not taken up.
func (c *core) forget(f *Info, a *offer) {
	if a.data != nil {
		c.refused(f, a.dir, a.tcp.Seq.Add(1), a.data[:a.n])
		c.release(f, a.data)
	}
	*a = offer{}
}

func (c *core) forgetOffers(f *Info) {
	for i := range f.x.alts {
		c.forget(f, &f.x.alts[i])
	}
	f.x.alts = f.x.alts[:0]
}

// choose takes offer i instead of what was taken of its direction, which has delivered nothing.
func (c *core) choose(f *Info, i int) {
	a := f.x.alts[i]
	n := len(f.x.alts) - 1
	copy(f.x.alts[i:], f.x.alts[i+1:])
	f.x.alts[n] = offer{}
	f.x.alts = f.x.alts[:n]
	c.clear(f, a.dir)
	c.adopt(f, a.dir, &a.tcp, a.data[:a.n])
	if a.data != nil {
		c.release(f, a.data)
	}
}

// find returns the offer of direction d whose first byte is numbered seq, -1 if there is none.
func (x *extra) find(d wire.Dir, seq wire.Seq) int {
	for i := range x.alts {
		if a := &x.alts[i]; a.dir == d && a.tcp.Seq.Add(1) == seq {
			return i
		}
	}
	return -1
}

// settleOffers decides between handshakes by a segment that follows one: the SYN with ACK that it acknowledges was the true one, and the SYN which that
// acknowledges.
func (c *core) settleOffers(f *Info, d wire.Dir, p *wire.Packet) outcome {
	o := d.Other()
	if f.State == StateClosing {
		c.reconsider(f, d, p)
	}
	if f.State != StateNew {
		return c.settleReuse(f, d, p)
	}
	if f.side[o].next != p.TCP.Ack && f.unused(o) {
		if i := f.x.find(o, p.TCP.Ack); i >= 0 {
			c.choose(f, i)
		}
	}
	if f.side[d].next != p.TCP.Seq && f.unused(d) {
		if i := f.x.find(d, p.TCP.Seq); i >= 0 && (f.Dirs[o].Packets == 0 || c.sent(f, o, p.TCP.Ack)) {
			c.choose(f, i)
		}
	}
	return stays
}

// reconsider takes an RST or FIN back that came in place of the answer to a SYN, if that was answered and p acknowledges the answer: who sent the
// SYN did not heed it.
func (c *core) reconsider(f *Info, d wire.Dir, p *wire.Packet) {
	o := d.Other()
	if !f.unused(d) || !f.unused(o) || f.side[o].has(opened) || !f.side[d].has(opened) || p.TCP.Seq != f.side[d].next {
		return
	}
	if i := f.x.find(o, p.TCP.Ack); i >= 0 && f.x.alts[i].tcp.Ack == p.TCP.Seq {
		f.side[0].bits &^= reset | finished
		f.side[1].bits &^= reset | finished
		f.State = StateNew
	}
}

// settleReuse finds out whether the ends have begun another connection under the same ports: a SYN, a SYN with ACK for it, and now p, for both.
// Data that still fits the old one does not end it.
func (c *core) settleReuse(f *Info, d wire.Dir, p *wire.Packet) outcome {
	o := d.Other()
	i := f.x.find(d, p.TCP.Seq)
	if i < 0 {
		return stays
	}
	j := f.x.find(o, p.TCP.Ack)
	if j >= 0 && f.x.alts[j].tcp.Ack == p.TCP.Seq {
		return reopened
	}
	if f.Dirs[o].Packets == 0 && p.TCP.Seq != f.side[d].next {
		return reopened
	}
	return stays
}

// establish ends the opening of a connection by a segment that fits both ends.
func (c *core) establish(f *Info, d wire.Dir, p *wire.Packet) {
	s, o := &f.side[d], &f.side[d.Other()]
	if f.Dirs[d.Other()].Packets > 0 && o.has(opened) && !c.sent(f, d.Other(), p.TCP.Ack) {
		return // it acknowledges something else
	}
	if o.has(opened) && f.Dirs[d.Other()].Packets > 0 && p.TCP.Ack.Before(o.next) {
		return
	}
	f.State = StateEstablished
	if f.x == nil {
		return
	}
	// An end that goes on after the data of its SYN knows that it was accepted.
	if h := &f.x.hold[d]; h.doubt > 0 && p.TCP.Seq.Sub(s.next) == h.doubt {
		h.believe()
		c.drain(f, d)
	}
	c.forgetOffers(f)
}
