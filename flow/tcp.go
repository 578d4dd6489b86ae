package flow

import "weir/wire"

// From the specification.
const (
	maxShift   = 14    // RFC 7323 section 2.3
	pawsWindow = 1     // ticks that a timestamp may lie back, as in Linux (TCP_PAWS_WINDOW)
	maxWindow  = 65535 // bytes, the largest unscaled window
)

// Ours.
const (
	windowSlack = 1 << 20   // bytes past the offered window within which data is doubted and not refused: an update may have been missed
	farAway     = 1 << 30   // bytes: sequence numbers further apart than this have nothing to do with each other
	loneDoubt   = 256 << 10 // bytes in doubt while the other end is silent; then that end is taken to be out of sight
)

const noTime = -1 << 63

// side is what is known of the end that sends one direction, and of how the other end receives it.
type side struct {
	next  wire.Seq // first byte not delivered yet; valid iff based
	acked wire.Seq // highest ACK by the other end that fits; valid iff has(acked)
	edge  wire.Seq // first byte past the window that the other end offered; valid iff has(window)
	stamp uint32   // TS.Recent of the other end (RFC 7323 section 4.3); valid iff has(stamped)
	shift uint8    // window scale that this end announced; valid iff has(scaled)
	bits  sideBits
}

type sideBits uint16

const (
	based     sideBits = 1 << iota // next is valid
	inferred                       // next was taken from the other end's ACK: nothing was seen yet
	opened                         // a SYN was seen
	scaled                         // it had a window scale
	stamps                         // timestamps were seen: in the SYN if that was seen
	stamped                        // stamp is valid
	acked                          // acked is valid
	window                         // edge is valid
	finished                       // a FIN in order: next is its number, which it uses up
	reset                          // a valid RST
	validCsum                      // a valid checksum was seen
	unseen                         // the other end is taken to be out of sight: nothing waits for its ACK
)

func (s *side) has(b sideBits) bool { return s.bits&b == b }

// fin is 1 if a FIN used up the number at next.
func (s *side) fin() int {
	if s.bits&finished != 0 {
		return 1
	}
	return 0
}

// core is a table's part that does not depend on S.
type core struct {
	limits  Limits
	overlap Overlap
	mode    ChecksumMode
	pool    pool
	out     []Chunk
	n       Counters
	now     int64 // latest packet time, ns
	last    []Chunk
	splice  []piece
	joined  *Info // what Join returned last is this flow's
}

// trust says what is thought of a segment.
type trust uint8

const (
	refused  trust = iota // no receiver takes it
	doubtful              // a receiver that we know all about would refuse it; if it acknowledges it, it did not
	good
)

// outcome says what is to be done with the flow after a packet.
type outcome uint8

const (
	stays     outcome = iota
	beginning         // the packet begins another connection between the same ends
	reopened          // the packet settles a handshake that was seen beside the connection
)

// tcp takes a segment of f, of which so far is thought as much as most. Its chunks are appended to c.out.
func (c *core) tcp(f *Info, d wire.Dir, p *wire.Packet, most trust) outcome {
	flags := p.TCP.Flags
	switch {
	case most != good && (flags&(wire.RST|wire.SYN) != 0 || flags&wire.ACK == 0 || !f.side[d].has(based)):
		c.refuse(f, d, p)
		return stays
	case flags&wire.RST != 0:
		c.refuse(f, d, p)
		c.rst(f, d, p)
		return stays
	case flags&wire.SYN != 0:
		return c.syn(f, d, p)
	case flags&wire.ACK == 0:
		c.n.Rejected++ // RFC 9293 section 3.10.7.4: without ACK a segment is dropped
		f.note(BadFlags)
		c.refuse(f, d, p)
		return stays
	}
	if most == good {
		f.side[d.Other()].bits &^= unseen
	}
	if f.x != nil && len(f.x.alts) > 0 && most == good {
		if o := c.settleOffers(f, d, p); o != stays {
			return o
		}
	}
	s := &f.side[d]
	if most == good && (!s.has(based) || s.has(inferred)) {
		c.base(f, d, p)
	}
	t, fits := c.judge(f, d, p, most)
	if t == good {
		if f.State == StateNew {
			c.establish(f, d, p)
		}
		c.stamp(f, d, p)
	}
	if fits {
		c.ack(f, d, p)
	}
	switch {
	case t == refused:
		c.refuse(f, d, p)
	case len(p.Payload) > 0 || flags&wire.FIN != 0:
		c.data(f, d, p, t)
	}
	if f.x != nil {
		c.settle(f)
	}
	return stays
}

// base sets the first sequence number of d from its first segment without SYN.
func (c *core) base(f *Info, d wire.Dir, p *wire.Packet) {
	s := &f.side[d]
	if s.has(inferred) {
		s.bits &^= inferred
		// What the other end acknowledged is where this one goes on. Bytes before it can be delivered too as long as nothing was.
		if n := s.next.Sub(p.TCP.Seq); n <= 0 && n > -farAway || n > maxWindow && n < farAway {
			return
		}
	} else if !f.side[d.Other()].has(opened) {
		f.note(Midstream)
		c.n.Midstream++
	}
	c.rebase(f, d, p.TCP.Seq)
	s.bits |= based
}

// judge compares a segment with what its receiver accepts: RFC 9293 section 3.10.7.4, RFC 7323 section 5.3, RFC 5961 section 5.2. It fits if nothing
// but its ACK speaks against it.
func (c *core) judge(f *Info, d wire.Dir, p *wire.Packet, most trust) (t trust, fits bool) {
	s, o := &f.side[d], &f.side[d.Other()]
	n := len(p.Payload)
	t = most
	if s.has(stamps|stamped) && o.has(stamps) && p.TCP.HasTS && int32(s.stamp-p.TCP.TSVal) > pawsWindow {
		t = doubtful
		if n > 0 && s.next.Before(p.TCP.Seq.Add(n)) {
			f.note(OldTimestamp)
		}
	}
	if s.has(window) {
		if past := p.TCP.Seq.Sub(s.edge); past > 0 || past == 0 && n > 0 {
			t = min(t, c.pastWindow(f, d, p, past))
		}
	}
	if seq := p.TCP.Seq.Sub(s.next); seq > farAway || seq < -farAway {
		f.note(OutOfWindow)
		t = refused
	}
	if s.bits&(finished|reset)|o.bits&reset != 0 && n > 0 && s.next.Before(p.TCP.Seq.Add(n)) {
		f.note(DataAfterClose)
		t = min(t, doubtful)
	}
	fits = t == good
	if n > 0 && !s.has(unseen) {
		t = min(t, c.judgeACK(f, d, p))
	}
	return c.count(f, d, p, t), fits
}

// count settles what a doubt comes to, and counts it.
func (c *core) count(f *Info, d wire.Dir, p *wire.Packet, t trust) trust {
	switch {
	case t == good:
		return good
	case len(p.Payload) == 0:
		return refused // an ACK that is doubted is worth nothing
	case t == doubtful && (f.Dirs[d.Other()].Packets == 0 || f.side[d].has(unseen)):
		return good // the other end is not seen, so nothing will ever resolve the doubt
	case t == doubtful:
		c.n.Doubted++
		return doubtful
	}
	c.n.Rejected++
	return refused
}

// refuse tells the payload of a segment that is not accepted, unless it is a repetition.
func (c *core) refuse(f *Info, d wire.Dir, p *wire.Packet) {
	if s := &f.side[d]; p.Key.Proto == wire.ProtoTCP && s.has(based) && p.TCP.Seq.Add(len(p.Payload)).Sub(s.next) <= 0 {
		return
	}
	c.refused(f, d, p.TCP.Seq, p.Payload)
}

// refused tells bytes that their receiver did not take.
func (c *core) refused(f *Info, d wire.Dir, seq wire.Seq, data []byte) {
	if n := len(data); n > 0 {
		x := &f.Dirs[d]
		x.Refused += uint32(min(n, int(^x.Refused)))
		c.n.RefusedBytes += uint64(n)
		c.out = append(c.out, Chunk{Dir: d, Seq: seq, Data: data, Refused: true})
	}
}

// pastWindow judges a segment that begins past bytes after the window's end.
func (c *core) pastWindow(f *Info, d wire.Dir, p *wire.Packet, past int) trust {
	if f.x != nil {
		if pr := &f.x.hold[d].proof; pr.n+pr.lone > 0 && p.TCP.Seq.Before(pr.edge) {
			if pr.n+pr.lone > 1 {
				return good // the receiver has more than we have: it went past us
			}
			return doubtful
		}
	}
	if past == 0 && len(p.Payload) == 1 {
		return doubtful // a zero-window probe
	}
	if len(p.Payload) > 0 {
		f.note(OutOfWindow)
	}
	if past <= windowSlack {
		return doubtful
	}
	return refused
}

// judgeACK judges a segment with data by its ACK: receivers drop those that acknowledge what they never sent, or what is far in the past.
func (c *core) judgeACK(f *Info, d wire.Dir, p *wire.Packet) trust {
	o := &f.side[d.Other()]
	if !o.has(based) {
		return good
	}
	ahead := p.TCP.Ack.Sub(o.next)
	if ahead > o.fin() && !c.sent(f, d.Other(), p.TCP.Ack) {
		return doubtful // or what it acknowledges was not captured
	}
	if ahead < 0 && o.has(acked) {
		most := maxWindow
		if s := &f.side[d]; s.has(scaled) {
			most <<= s.shift
		} else if !s.has(opened) {
			most <<= maxShift
		}
		if o.acked.Sub(p.TCP.Ack) > most {
			f.note(ForgedACK)
			return doubtful
		}
	}
	return good
}

// sent reports whether d's end is known to have sent everything before seq.
func (c *core) sent(f *Info, d wire.Dir, seq wire.Seq) bool {
	s := &f.side[d]
	if seq.Sub(s.next) <= s.fin() {
		return true
	}
	if f.Dirs[d].Packets == 0 {
		return true // not seen
	}
	if f.x == nil {
		return false
	}
	h := &f.x.hold[d]
	if n := len(h.pieces); n > h.head && !h.pieces[n-1].end().Before(seq) {
		return true
	}
	for _, fin := range h.fins[:h.nfin] {
		if !fin.Add(1).Before(seq) {
			return true
		}
	}
	return false
}

// stamp keeps TS.Recent as Linux does: only from segments that begin no later than what was last acknowledged.
func (c *core) stamp(f *Info, d wire.Dir, p *wire.Packet) {
	if !p.TCP.HasTS {
		return
	}
	s := &f.side[d]
	if s.bits&stamps == 0 && s.bits&opened == 0 {
		s.bits |= stamps // picked up without the SYN that would tell
	}
	last := s.next
	if s.has(acked) {
		last = s.acked
	}
	if p.TCP.Seq.Sub(last) <= 0 && (!s.has(stamped) || int32(p.TCP.TSVal-s.stamp) >= 0) {
		s.stamp = p.TCP.TSVal
		s.bits |= stamped
	}
}

// offered returns the window in bytes that p, sent in direction d, offers.
func (f *Info) offered(d wire.Dir, p *wire.Packet) int {
	s, o := &f.side[d], &f.side[d.Other()]
	n := int(p.TCP.Window)
	switch {
	case p.TCP.Flags&wire.SYN != 0: // never scaled: RFC 7323 section 2.2
		return n
	case o.has(opened) && !o.has(scaled) || s.has(opened) && !s.has(scaled):
		return n // not agreed on
	case s.has(scaled):
		return n << s.shift
	}
	return n << maxShift // the handshake was not seen: generous
}
