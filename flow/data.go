package flow

import "weir/wire"

// data takes the payload and FIN of a segment in direction d.
func (c *core) data(f *Info, d wire.Dir, p *wire.Packet, t trust) {
	s := &f.side[d]
	seq, data := p.TCP.Seq, p.Payload
	fin := p.TCP.Flags&wire.FIN != 0
	lost := 0
	if p.Cut {
		if p.Frame.Len <= uint32(len(p.Frame.Data)) {
			c.n.Rejected++ // its sender cut it: no stack takes it
			return
		}
		lost, fin = int(p.Frame.Len)-len(p.Frame.Data), false
	}
	if p.TCP.Flags&wire.URG != 0 && len(data) > 0 {
		f.note(UrgentData)
	}
	if old := s.next.Sub(seq); old > 0 {
		c.late(f, d, seq, min(old, len(data)))
		if old > len(data) || old == len(data) && !fin {
			return // a duplicate, or a keep-alive
		}
		seq, data = s.next, data[old:]
	}
	end := seq.Add(len(data))
	if fin && s.has(finished) && end == s.next {
		fin = false // again
		if len(data) == 0 {
			return
		}
	}
	if seq == s.next && t == good && (f.x == nil || c.clearAhead(f, d, p.TCP.Seq, seq, data)) {
		c.inOrder(f, d, c.skipUrgent(f, d, p, seq, data), lost, fin)
		return
	}
	c.outOfOrder(f, d, p, seq, data, fin, t)
}

// skipUrgent delivers what is before the urgent byte of a segment and returns what is after it. The byte itself is not
// in the stream that an application reads unless it has set SO_OOBINLINE, which hardly any does: delivered in its
// place, it would hide what stands around it. The pointer is read as every stack reads it: to the byte after the urgent
// one (RFC 6093). Of a segment that comes out of order the byte stays in.
func (c *core) skipUrgent(f *Info, d wire.Dir, p *wire.Packet, seq wire.Seq, data []byte) []byte {
	at := int(p.TCP.Urgent) - 1 - seq.Sub(p.TCP.Seq)
	if p.TCP.Flags&wire.URG == 0 || at < 0 || at >= len(data) {
		return data
	}
	if at > 0 {
		c.deliver(f, d, data[:at])
	}
	s := &f.side[d]
	s.next = s.next.Add(1)
	return data[at+1:]
}

// inOrder delivers data, which comes next and overlaps nothing that stays held, and what it joins up with.
func (c *core) inOrder(f *Info, d wire.Dir, data []byte, lost int, fin bool) {
	if len(data) > 0 {
		if f.x != nil {
			if pr := &f.x.hold[d].proof; pr.lone > 0 && pr.top == f.side[d].next {
				f.note(ForgedACK) // acknowledged before it was sent
			}
		}
		c.deliver(f, d, data)
	}
	if f.x != nil && lost > 0 {
		if h := &f.x.hold[d]; h.head < len(h.pieces) {
			lost = min(lost, h.pieces[h.head].seq.Sub(f.side[d].next))
		}
	}
	if lost > 0 {
		c.gap(f, d, lost) // it was on the wire, and the capture cut it off
	}
	if f.x != nil {
		c.drain(f, d)
	}
	if fin {
		c.finish(f, d)
	}
}

// deliver tells data, which comes next.
func (c *core) deliver(f *Info, d wire.Dir, data []byte) {
	s := &f.side[d]
	seq := s.next
	s.next = seq.Add(len(data))
	s.bits &^= finished
	f.Dirs[d].Payload += uint64(len(data))
	if f.x != nil {
		f.x.hold[d].proof = proof{}
	}
	if n := len(c.out); n > 0 && c.out[n-1].Dir == d && c.out[n-1].Data == nil && !c.out[n-1].End {
		c.out[n-1].Seq, c.out[n-1].Data = seq, data // after its gap
		return
	}
	c.out = append(c.out, Chunk{Dir: d, Seq: seq, Data: data})
}

// finish takes a FIN that comes next.
func (c *core) finish(f *Info, d wire.Dir) {
	s := &f.side[d]
	if s.has(finished) {
		return
	}
	s.bits |= finished
	f.State = max(f.State, StateClosing)
	if f.side[d.Other()].has(finished) {
		f.State = StateClosed
	}
	if n := len(c.out); n > 0 && c.out[n-1].Dir == d && !c.out[n-1].Refused {
		c.out[n-1].End = true
		return
	}
	c.out = append(c.out, Chunk{Dir: d, Seq: s.next, End: true})
}

// late counts bytes that come after they were told as a gap.
func (c *core) late(f *Info, d wire.Dir, seq wire.Seq, n int) {
	if f.x == nil {
		return
	}
	h := &f.x.hold[d]
	if h.gapLen == 0 {
		return
	}
	from, to := max(seq.Sub(h.gapEnd), -h.gapLen), min(seq.Add(n).Sub(h.gapEnd), 0)
	if to > from {
		c.n.Late += uint64(to - from)
	}
}

// outOfOrder holds a segment that cannot be delivered yet.
func (c *core) outOfOrder(f *Info, d wire.Dir, p *wire.Packet, seq wire.Seq, data []byte, fin bool, t trust) {
	x := c.need(f)
	if x == nil { // no memory to hold anything: go on after it
		c.overBudget(f)
		if t == good {
			c.gap(f, d, seq.Sub(f.side[d].next))
			c.inOrder(f, d, data, 0, fin)
		}
		return
	}
	h := &x.hold[d]
	if h.empty() {
		h.since, h.quiet = c.now, f.Dirs[d.Other()].Packets
		h.proof = proof{} // ACKs from before there was a hole say nothing of it
	}
	if len(data) > 0 {
		if t == doubtful && h.doubt == 0 {
			h.peer = f.Dirs[d.Other()].Packets
		}
		c.insert(f, d, p.TCP.Seq, seq, data, t == doubtful)
	}
	if fin && t == good {
		h.addFIN(seq.Add(len(data)))
	}
	if h.doubt >= loneDoubt && h.peer == f.Dirs[d.Other()].Packets {
		f.side[d].bits |= unseen
		h.believe()
	}
	c.drain(f, d)
	c.giveUpProven(f, d)
	c.keepBudget(f, d)
}

// addFIN remembers a FIN at seq, which is out of order.
func (h *hold) addFIN(seq wire.Seq) {
	for _, s := range h.fins[:h.nfin] {
		if s == seq {
			return
		}
	}
	if h.nfin == len(h.fins) {
		copy(h.fins[:], h.fins[1:])
		h.nfin--
	}
	h.fins[h.nfin] = seq
	h.nfin++
}

// takeFIN reports whether a FIN stands at next, and forgets those that do not stand after it.
func (h *hold) takeFIN(next wire.Seq) bool {
	found, n := false, 0
	for _, s := range h.fins[:h.nfin] {
		if s == next {
			found = true
		} else if next.Before(s) {
			h.fins[n] = s
			n++
		}
	}
	h.nfin = n
	return found
}

// drain delivers the held pieces that come next.
func (c *core) drain(f *Info, d wire.Dir) {
	s, h := &f.side[d], &f.x.hold[d]
	for h.head < len(h.pieces) {
		p := &h.pieces[h.head]
		if p.seq != s.next {
			break
		}
		if p.doubt && !s.has(unseen) {
			n := 0
			if s.has(acked) {
				n = min(s.acked.Sub(s.next), p.len())
			}
			if n <= s.fin() { // one more than a FIN's own number
				break
			}
			c.confirm(f, d, h, n)
			continue
		}
		data, block := p.data(), p.block
		c.pop(h)
		c.deliver(f, d, data)
		c.release(f, block)
	}
	if h.nfin > 0 && h.takeFIN(s.next) && (h.head == len(h.pieces) || h.pieces[h.head].seq != s.next || h.pieces[h.head].doubt) {
		c.finish(f, d)
	}
}

// confirm takes the first n bytes of the first piece, which was in doubt, as accepted by the receiver, and delivers
// them.
func (c *core) confirm(f *Info, d wire.Dir, h *hold, n int) {
	s := &f.side[d]
	s.bits &^= stamped // what was taken for the sender's clock may be why it was doubted
	if f.State >= StateClosing {
		c.revive(f)
	}
	p := &h.pieces[h.head]
	data := p.data()[:n]
	h.bytes -= n
	h.doubt -= n
	if n == p.len() {
		block := p.block
		h.bytes += n // pop takes them off
		p.doubt = false
		c.pop(h)
		c.release(f, block)
	} else {
		p.seq, p.off, p.n = p.seq.Add(n), p.off+uint32(n), p.n-uint32(n)
	}
	c.deliver(f, d, data)
}

// revive takes back what a FIN or RST said that the receiver evidently did not heed.
func (c *core) revive(f *Info) {
	f.side[0].bits &^= reset
	f.side[1].bits &^= reset
	f.State = StateEstablished
	if f.side[0].has(finished) || f.side[1].has(finished) {
		f.State = StateClosing
	}
}
