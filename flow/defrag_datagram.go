package flow

import "bytes"

// fragment is one to be added: data is what is at off.
type fragment struct {
	off  int // bytes
	last bool
	data []byte
}

func (f *fragment) end() int { return f.off + len(f.data) }

// fragPiece is a fragment held: bytes off to end of the datagram are at buf[at:].
type fragPiece struct {
	off, end, at uint32
	last         bool
	ignored      bool // by the kernel, for it lies within what was there
}

// datagram is an incomplete one: its fragments, in the order they came.
type datagram struct {
	key          fragKey
	older, newer *datagram
	born         int64 // ns since the epoch: the first fragment
	cost         int   // bytes charged
	policy       Overlap
	proto        uint8 // of the fragment at 0; before it came, of any

	// strict: queue says what a kernel of today would have of pieces[start:]. loose: policy decides over all pieces, as
	// whole sees them. Both are in use for policy Linux after a restart.
	strict, loose bool
	overlapped    bool // by more than exact duplicates
	start         int
	queue         fragQueue
	whole         fragCover

	buf    []byte
	pieces []fragPiece
}

func (g *datagram) empty() bool { return len(g.pieces) == 0 }

// size is what g holds, in bytes.
func (g *datagram) size() int {
	const pieceSize, runSize = 16, 8
	return cap(g.buf) + cap(g.pieces)*pieceSize + (cap(g.queue.runs)+cap(g.whole.runs))*runSize
}

// reset makes g as new but for its memory.
func (g *datagram) reset() {
	g.clear()
	g.key, g.cost = fragKey{}, 0
}

// clear drops all pieces.
func (g *datagram) clear() {
	g.buf, g.pieces, g.start = g.buf[:0], g.pieces[:0], 0
	g.loose, g.overlapped = !g.strict, false
	g.queue.reset()
	g.whole.reset()
}

// add takes a fragment in, or not, and tells what was odd about it.
func (g *datagram) add(f *fragment, proto uint8) FragAnomaly {
	if !g.strict {
		return g.addLoose(f)
	}
	v := g.queue.add(f)
	if v == fragConflicts {
		g.restart()
		return FragConflict
	}
	var told FragAnomaly
	if v != fragFits {
		var ignore bool
		if told, ignore = g.overlap(f); ignore {
			return 0
		}
	}
	switch {
	case v == fragFits:
		if f.off == 0 {
			g.proto = proto
		}
		g.hold(f, false)
	case g.key.ip == 6 && v == fragOverlaps:
		g.clear()
	case g.key.ip == 6: // within what is there: ignored
	case v == fragOverlaps:
		g.restart()
		if g.whole.fits(f) {
			g.hold(f, true)
			g.start = len(g.pieces)
		}
	default:
		g.hold(f, true)
	}
	return told
}

// overlap notes that f overlaps what is there. It is ignored if it is a fragment once more, and nothing else overlapped
// so far.
func (g *datagram) overlap(f *fragment) (told FragAnomaly, ignore bool) {
	told, again := g.compare(f)
	if again && !g.overlapped {
		return 0, true
	}
	if !again {
		told |= FragOverlap
	}
	g.overlapped = true
	return told, false
}

// addLoose takes a fragment in under a policy other than Linux.
func (g *datagram) addLoose(f *fragment) FragAnomaly {
	if !g.whole.fits(f) {
		return FragConflict
	}
	var told FragAnomaly
	if g.whole.overlaps(f) {
		var ignore bool
		if told, ignore = g.overlap(f); ignore {
			return 0
		}
	}
	g.hold(f, false)
	return told
}

// restart does what the kernel does to a datagram that does not fit together: it starts anew. IPv4 pieces are kept for
// what older kernels make of them.
func (g *datagram) restart() {
	g.queue.reset()
	if g.key.ip == 6 {
		g.clear()
		return
	}
	g.start = len(g.pieces)
	if !g.loose {
		g.loose = true
		g.recount()
	}
	g.overlapped = true // what does not fit together is not just repeated: from here on everything is kept
}

// hold copies a fragment.
func (g *datagram) hold(f *fragment, ignored bool) {
	if g.strict && g.loose && !g.whole.fits(f) {
		g.forget()
	}
	if g.loose {
		g.whole.add(f)
	}
	g.pieces = append(g.pieces, fragPiece{uint32(f.off), uint32(f.end()), uint32(len(g.buf)), f.last, ignored})
	g.buf = append(g.buf, f.data...)
}

// forget drops what came before the last restart.
func (g *datagram) forget() {
	at := len(g.buf)
	if g.start < len(g.pieces) {
		at = int(g.pieces[g.start].at)
	}
	g.buf = append(g.buf[:0], g.buf[at:]...)
	g.pieces = append(g.pieces[:0], g.pieces[g.start:]...)
	g.start, g.loose, g.overlapped = 0, false, false
	for i := range g.pieces {
		g.pieces[i].at -= uint32(at)
		g.overlapped = g.overlapped || g.pieces[i].ignored
	}
	g.whole.reset()
}

// recount makes whole anew.
func (g *datagram) recount() {
	g.whole.reset()
	for _, p := range g.pieces {
		g.whole.add(&fragment{off: int(p.off), last: p.last, data: g.bytes(p)})
	}
}

func (g *datagram) bytes(p fragPiece) []byte { return g.buf[p.at : p.at+p.end-p.off] }

// compare looks at the pieces that f overlaps since the last restart: do their bytes differ, does f lie strictly inside
// one, is it one of them again?
func (g *datagram) compare(f *fragment) (told FragAnomaly, again bool) {
	off, end := f.off, f.end()
	for _, p := range g.pieces[g.start:] {
		from, to := max(off, int(p.off)), min(end, int(p.end))
		if from >= to {
			continue
		}
		same := bytes.Equal(f.data[from-off:to-off], g.bytes(p)[from-int(p.off):to-int(p.off)])
		if !same {
			told |= FragDiffers
		}
		switch {
		case off == int(p.off) && end == int(p.end):
			again = again || same
		case off > int(p.off) && end < int(p.end):
			told |= FragTeardrop
		}
	}
	return told, again
}

// join appends the datagram in the kernel's queue to out.
func (g *datagram) join(out []byte) []byte {
	out = ofSize(out, g.queue.end)
	for _, p := range g.pieces[g.start:] {
		if !p.ignored {
			copy(out[p.off:p.end], g.bytes(p))
		}
	}
	return out
}

// fragBlock is what overlaps are decided by: all but a datagram's last bytes come in multiples of 8.
const fragBlock = 8 // bytes

// paint appends to out the datagram that policy makes of all pieces. owner is scratch: per block the piece that holds
// it, from 1.
func (g *datagram) paint(out []byte, owner []uint16) ([]byte, []uint16) {
	out = ofSize(out, g.whole.end)
	n := (len(out) + fragBlock - 1) / fragBlock
	if cap(owner) < n {
		owner = make([]uint16, n)
	}
	owner = owner[:n]
	clear(owner)
	for i, p := range g.pieces {
		data := g.bytes(p)
		for at := int(p.off); at < int(p.end); at += fragBlock {
			o := &owner[at/fragBlock]
			if *o != 0 && !g.policy.prefersFragment(p, g.pieces[*o-1]) {
				continue
			}
			*o = uint16(i + 1)
			to := min(at+fragBlock, int(p.end))
			copy(out[at:to], data[at-int(p.off):])
		}
	}
	return out, owner
}

// ofSize returns b with length n; its bytes are undefined.
func ofSize(b []byte, n int) []byte {
	if cap(b) < n {
		return make([]byte, n)
	}
	return b[:n]
}

// prefersFragment reports whether a receiver takes p's bytes over those of q, which came earlier (Novak, "Target-Based
// Fragmentation Reassembly", 2005).
func (o Overlap) prefersFragment(p, q fragPiece) bool {
	switch o {
	case Linux:
		return p.off <= q.off
	case BSD:
		return p.off < q.off
	case BSDRight:
		return p.off >= q.off
	case Windows:
		return p.off < q.off && p.end > q.end
	case Solaris:
		return p.off < q.off && p.end >= q.end
	case Last:
		return true
	case First:
	}
	return false
}
