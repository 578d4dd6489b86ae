package pcapstore

import (
	"encoding/binary"

	"weir/wire"
)

// copyStep bounds what is copied of a Recent at once; ours. It is about what a tap writes while it serves one block, so that a
// busy tap does not outrun who copies.
const copyStep = 1 << 20 // bytes; 0.1 to 0.4 ms

// RecentCopy is a copy of a Recent, made in steps between which its owner goes on adding. Owner and copier share a lock, and hold it for a
// step at the most. The zero value is ready; it may be used again, and keeps its memory: as much as the greatest Recent it copied.
type RecentCopy struct {
	buf         []byte // bytes stand where they stood in the ring
	ring        *byte  // where that begins
	pieces      []piece
	at, end     uint64 // positions: what is copied next, and up to where
	overwritten uint64
}

// piece is a range of positions that was copied; it begins with a record.
type piece struct{ from, to uint64 }

// Begin says that r is to be copied as it is now. The caller holds the lock.
func (c *RecentCopy) Begin(r *Recent) {
	c.pieces, c.overwritten, c.at, c.end = c.pieces[:0], 0, 0, 0
	if r == nil {
		return
	}
	if cap(c.buf) < len(r.buf) {
		c.buf = make([]byte, len(r.buf))
	}
	c.buf, c.ring = c.buf[:len(r.buf)], &r.buf[0]
	if c.at = r.oldest().at; c.at != 0 {
		c.end = r.head
	}
}

// Step copies the next bytes and reports whether there are more to copy. The caller holds the lock.
func (c *RecentCopy) Step(r *Recent) (more bool) {
	if c.at >= c.end {
		return false
	}
	if &r.buf[0] != c.ring { // it was given another size: the same packets stand elsewhere
		c.Begin(r)
	}
	if !r.kept(c.at) { // the tap was faster
		next := min(r.oldest().at, c.end)
		c.overwritten += next - c.at
		c.at = next
	}
	size := uint64(len(r.buf))
	off := c.at % size
	n := min(copyStep, c.end-c.at, size-off)
	if n == 0 {
		return false
	}
	copy(c.buf[off:off+n], r.buf[off:])
	if k := len(c.pieces); k > 0 && c.pieces[k-1].to == c.at {
		c.pieces[k-1].to += n
	} else {
		c.pieces = append(c.pieces, piece{c.at, c.at + n})
	}
	c.at += n
	return c.at < c.end
}

// Overwritten returns the bytes of packets that were gone before they could be copied.
func (c *RecentCopy) Overwritten() uint64 { return c.overwritten }

// Frames calls fn with each frame that was copied, in the order they came, and the id of its flow; an error of fn ends it and comes back. The
// frame is borrowed until fn returns.
func (c *RecentCopy) Frames(fn func(flow uint64, f *wire.Frame) error) error {
	size := uint64(len(c.buf))
	for _, p := range c.pieces {
		for at := p.from; at < p.to; {
			b := c.buf[at%size:]
			if len(b) < recordHead || at+recordHead <= p.to && binary.LittleEndian.Uint32(b[atCap:]) == noRecord {
				at += uint64(len(b)) // the rest of the ring is empty
				continue
			}
			if at+recordHead > p.to || at+recordLen(int(binary.LittleEndian.Uint32(b[atCap:]))) > p.to {
				c.overwritten += p.to - at // cut where the tap overtook
				break
			}
			f := frameOf(b)
			at += recordLen(len(f.Data))
			if err := fn(binary.LittleEndian.Uint64(b[atFlow:]), &f); err != nil {
				return err
			}
		}
	}
	return nil
}
