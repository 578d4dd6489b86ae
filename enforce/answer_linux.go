package enforce

import (
	"time"

	"weir/engine"
	"weir/wire"
)

// judge asks for rulings on the frames of b.
func (q *queue) judge(b *batch) {
	b.clears = q.clears.Load()
	now := time.Now().UnixNano()
	for i := range b.frames {
		f := &b.frames[i]
		f.Time = now
		if int(f.Len) > len(f.Data) {
			q.count.tooLong.Add(1)
			b.packets[i].long = shorten(f, b.packets[i].hook == hookOutput)
		}
	}
	if len(b.frames) == 0 {
		return
	}
	q.b = b
	q.conf.Judge(b.lane, b.frames, b.rulings[:len(b.frames)], q.onCut)
	q.b = nil
}

// noteCut is told of a conversation that has to end. It is carried out when all frames are judged: until then they are needed.
func (q *queue) noteCut(c *engine.Cut) {
	q.count.denied.Add(1)
	if b := q.b; b != nil && len(b.cuts) < cap(b.cuts) {
		b.cuts = append(b.cuts, *c)
	}
}

// answer gives the kernel the rulings of b.
func (q *queue) answer(s *socket, b *batch) error {
	q.end(b)
	q.clearing.RLock() // until the kernel has the verdicts
	defer q.clearing.RUnlock()
	clear, passed, cleared, dropped := uint32(b.clears), uint64(0), uint64(0), uint64(0)
	if b.clears != q.clears.Load() { // what was judged before Rejudge clears nothing after it
		clear = 0
	}
	open := false // packets since the last verdict are accepted with the next one
	for i := range b.frames {
		p, f, r := &b.packets[i], &b.frames[i], b.rulings[i]
		if r == engine.Clear && (clear == 0 || p.hook == hookOutput && p.mark != 0) {
			// A packet whose mark changes on its way out is routed anew. Where marks are in use that might lead it elsewhere.
			r = engine.Pass
		}
		if r == engine.Pass && p.long == whole {
			passed++
			open = true
			continue
		}
		if open {
			b.acceptUpTo(q.number, b.packets[i-1].id)
			open = false
		}
		switch {
		case r == engine.Drop:
			dropped++
			q.refuse(b, p, f)
		case p.long == unfit:
			dropped++
			b.verdict(q.number, p.id, verdictDrop)
		case p.long == shortened:
			passed++
			b.replaced(q.number, p.id, f.Data)
		default:
			passed++
			cleared++
			b.marked(q.number, p.id, p.mark&^markMask|clear)
		}
		if len(b.verdicts.b) >= piece {
			if err := q.flush(s, b); err != nil {
				return err
			}
		}
	}
	if open {
		b.acceptUpTo(q.number, b.packets[len(b.packets)-1].id)
	}
	q.count.passed.Add(passed)
	q.count.cleared.Add(cleared)
	q.count.dropped.Add(dropped)
	return q.flush(s, b)
}

// flush sends the verdicts that b has so far.
func (q *queue) flush(s *socket, b *batch) error {
	if len(b.verdicts.b) == 0 {
		return nil
	}
	s.out.b, b.verdicts.b = b.verdicts.b, s.out.b
	err := s.sendBy(s.verdicts)
	s.out.b, b.verdicts.b = b.verdicts.b, s.out.b
	return err
}

// shorten makes a packet that the queue did not bring whole one that ends where what was brought ends: that is judged, and passes if anything does. TCP sends the rest once more.
func shorten(f *wire.Frame, out bool) length {
	var h header
	switch {
	case !h.parse(f.Data) || h.proto != wire.ProtoTCP: // a datagram cannot be had in parts
		return whole
	case !h.shorten(f.Data, out):
		return unfit
	}
	f.Len = uint32(len(f.Data))
	f.Flag &^= wire.FlagCsumPartial
	return shortened
}

// refuse adds the verdict on a packet that goes no further, and what tells its sender so.
func (q *queue) refuse(b *batch, p *packet, f *wire.Frame) {
	var h header
	ok := h.parse(f.Data)
	switch {
	case !ok:
		b.verdict(q.number, p.id, verdictDrop)
	case h.proto != wire.ProtoTCP:
		if q.conf.Unreachable {
			b.marked(q.number, p.id, p.mark&^markMask|markReject)
		} else {
			b.verdict(q.number, p.id, verdictDrop)
		}
	case h.flags.Has(wire.RST) && h.empty: // what is refused may end: our own resets come this way
		b.verdict(q.number, p.id, verdictAccept)
	case h.flags.Has(wire.SYN):
		b.marked(q.number, p.id, p.mark&^markMask|markReject)
	default:
		q.refuseSegment(b, p, f, &h)
	}
}
