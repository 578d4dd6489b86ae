package flow

import (
	"time"

	"weir/wire"
)

// Ours: when a hole is given up. The receiver's ACK beyond it says that the bytes arrived and were not captured; one
// such ACK may be forged.
const (
	proofs     = 2                     // ACKs beyond the hole
	proofTime  = 50 * time.Millisecond // between the first and the last of them,
	proofBytes = 64 << 10              // bytes sent meanwhile: either will do
	holeAge    = 5 * time.Second       // a hole this old needs one ACK only
	loneAge    = 2 * time.Second       // a hole this old needs none if the other end was never seen
	loneBytes  = 256 << 10             // bytes held: as well
	quietBytes = 4 << 20               // bytes held while the other end was silent, who should have asked for the missing ones
)

// proof collects ACKs for bytes that were not seen. One for bytes before others that were seen is to be believed:
// whoever lies there is never sent them again. One for bytes beyond all that was seen costs a liar nothing: the sender
// ignores it.
type proof struct {
	n, lone  int      // ACKs: to be believed, and beyond what was seen
	ack, far wire.Seq // the highest of each
	edge     wire.Seq // highest end of the windows that they offered
	top      wire.Seq // end of what was sent when the first came
	at       int64    // time of the first to be believed, ns
}

// add takes an ACK that offers a window up to edge.
func (p *proof) add(a, edge wire.Seq, known bool, top wire.Seq, now int64) {
	if p.n+p.lone == 0 {
		p.edge = edge
	}
	p.edge = later(p.edge, edge)
	if !known {
		if p.lone++; p.lone == 1 || p.far.Before(a) {
			p.far = a
		}
		if p.n+p.lone == 1 {
			p.top = top
		}
		return
	}
	if p.n++; p.n == 1 {
		p.ack, p.top, p.at = a, top, now
	}
	p.ack = later(p.ack, a)
}

// last returns the highest of all ACKs, of which there are some.
func (p *proof) last() wire.Seq {
	switch {
	case p.lone == 0:
		return p.ack
	case p.n == 0:
		return p.far
	}
	return later(p.ack, p.far)
}

// ack takes what p, sent in direction d, says of the other direction.
func (c *core) ack(f *Info, d wire.Dir, p *wire.Packet) {
	r := d.Other()
	o := &f.side[r]
	a := p.TCP.Ack
	if !o.has(based) || o.has(inferred) && f.Dirs[r].Packets == 0 {
		o.next = a
		o.bits |= based | inferred
	}
	edge := a.Add(f.offered(d, p))
	ahead := a.Sub(o.next)
	if ahead > o.fin() {
		if ahead > farAway {
			return
		}
		if ahead == 1 && !o.has(opened) && f.unused(r) && (f.x == nil || f.x.hold[r].empty()) {
			c.rebase(f, r, a) // picked up at a keep-alive
			o.raise(a, edge)
			return
		}
		c.ackAhead(f, r, a, edge)
		return
	}
	if s := &f.side[d]; s.has(acked) && p.TCP.Seq.Add(len(p.Payload)).Before(s.acked) {
		return // its receiver drops it unread
	}
	o.raise(a, edge)
}

// raise takes an ACK that fits.
func (s *side) raise(a, edge wire.Seq) {
	if !s.has(acked) || s.acked.Before(a) {
		s.acked = a
		s.bits |= acked
	}
	if !s.has(window) || s.edge.Before(edge) {
		s.edge = edge
		s.bits |= window
	}
}

// ackAhead takes an ACK of bytes in direction d that have not been delivered: they are in doubt, or a hole is before
// them, or they were never seen.
func (c *core) ackAhead(f *Info, d wire.Dir, a, edge wire.Seq) {
	s := &f.side[d]
	known := c.sent(f, d, a)
	if known {
		s.raise(a, edge)
		c.drain(f, d)
		if a.Sub(s.next) <= s.fin() {
			return
		}
	}
	x := c.need(f)
	if x == nil {
		return
	}
	h := &x.hold[d]
	h.proof.add(a, edge, known, c.top(f, d), c.now)
	c.giveUpProven(f, d)
}

// top returns the end of what was seen in direction d.
func (c *core) top(f *Info, d wire.Dir) wire.Seq {
	s := &f.side[d]
	if f.x != nil {
		if h := &f.x.hold[d]; h.head < len(h.pieces) {
			return h.pieces[len(h.pieces)-1].end()
		}
	}
	return s.next.Add(s.fin())
}

// giveUpProven tells holes as gaps for which there is proof enough that their bytes will not be seen.
func (c *core) giveUpProven(f *Info, d wire.Dir) {
	for f.x != nil {
		h := &f.x.hold[d]
		if h.head == len(h.pieces) || h.pieces[h.head].seq == f.side[d].next {
			return
		}
		if !c.proven(f, d, h) {
			return
		}
		pr := h.proof
		c.giveUp(f, d)
		if pr.n+pr.lone > 0 && f.side[d].next.Before(pr.last()) {
			h.proof = pr // the same ACKs cover the next hole too
		}
	}
}

func (c *core) proven(f *Info, d wire.Dir, h *hold) bool {
	old := time.Duration(c.now - h.since)
	if f.Dirs[d.Other()].Packets == 0 || f.side[d].has(unseen) {
		return old >= loneAge || h.bytes >= loneBytes
	}
	if h.bytes >= quietBytes && h.quiet == f.Dirs[d.Other()].Packets {
		return true // a receiver that is in sight answers what comes out of order
	}
	pr := &h.proof
	if first := h.pieces[h.head].seq; old >= holeAge {
		return pr.n+pr.lone > 0 && !pr.last().Before(first)
	} else if pr.n == 0 || pr.ack.Before(first) {
		return false
	}
	return pr.n >= proofs && (time.Duration(c.now-pr.at) >= proofTime || c.top(f, d).Sub(pr.top) >= proofBytes)
}

// giveUp tells the hole before the first piece as a gap, and delivers what follows it.
func (c *core) giveUp(f *Info, d wire.Dir) {
	s, h := &f.side[d], &f.x.hold[d]
	n := h.pieces[h.head].seq.Sub(s.next)
	c.gap(f, d, n)
	h.gapEnd, h.gapLen = s.next, n
	h.since, h.quiet = c.now, f.Dirs[d.Other()].Packets
	c.drain(f, d)
}

// gap tells n bytes as lost.
func (c *core) gap(f *Info, d wire.Dir, n int) {
	if n <= 0 {
		return
	}
	f.side[d].next = f.side[d].next.Add(n)
	f.side[d].bits &^= finished
	f.Dirs[d].Lost += uint64(n)
	f.Dirs[d].Gaps++
	c.n.Gaps++
	c.n.GapBytes += uint64(n)
	f.note(GapTold)
	if f.x != nil {
		f.x.hold[d].proof = proof{}
	}
	c.out = append(c.out, Chunk{Dir: d, Seq: f.side[d].next, Gap: n})
}

// rst takes a segment with RST: RFC 5961 section 3.2. Data in it is not looked at. What follows a valid one is in doubt
// until it is acknowledged.
func (c *core) rst(f *Info, d wire.Dir, p *wire.Packet) {
	if !c.validRST(f, d, p) {
		c.n.Rejected++
		f.note(ForgedRST)
		return
	}
	f.side[d].bits |= reset
	if f.State < StateClosing {
		f.State = StateClosing
	}
}

func (c *core) validRST(f *Info, d wire.Dir, p *wire.Packet) bool {
	s, o := &f.side[d], &f.side[d.Other()]
	seq := p.TCP.Seq
	switch {
	case !s.has(based) || s.has(inferred):
		if o.has(opened) && f.State == StateNew { // the answer to a SYN must acknowledge it: RFC 9293 section 3.10.7.3
			return p.TCP.Flags.Has(wire.ACK) && (p.TCP.Ack == o.next || c.sent(f, d.Other(), p.TCP.Ack) && o.next.Before(p.TCP.Ack))
		}
		if !s.has(based) {
			return true
		}
	case seq == s.next || seq == s.next.Add(s.fin()) || s.has(acked) && seq == s.acked:
		return true
	case f.x != nil && seq == c.top(f, d):
		return true
	}
	if s.has(opened) && o.has(opened) && f.Dirs[d].Gaps == 0 {
		return false
	}
	// Not all was seen: anywhere in the window will do.
	return s.next.Sub(seq) <= maxWindow && (!s.has(window) || seq.Sub(s.edge) <= 0) && seq.Sub(s.next) < farAway
}
