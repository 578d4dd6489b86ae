package flow

import (
	"encoding/binary"
	"math/bits"

	"weir/wire"
)

// From the specification.
const (
	systemPorts = 1024 // RFC 6335 section 6: ports below are assigned to services
	nfsPort     = 2049 // the service whose clients use ports below that: RFC 2623 section 2.1
)

// begin starts a call at now: what was lent by the one before is taken back. Time does not go back here, but for goBack.
func (c *core) begin(now int64) {
	c.now = max(c.now, now)
	c.out = c.out[:0]
	if c.joined != nil {
		c.unjoin()
	}
	if len(c.pool.later) > 0 {
		c.pool.recycle()
	}
}

// packet takes a packet of f.
func (c *core) packet(f *Info, d wire.Dir, p *wire.Packet) outcome {
	if p.Fragmented {
		return stays
	}
	t := good
	if c.mode != ChecksumIgnore {
		t = c.checksum(f, d, p)
	}
	switch {
	case p.Key.Proto == wire.ProtoTCP && (t == good || t == doubtful && len(p.Payload) > 0):
		return c.tcp(f, d, p, t)
	case t != good || p.Key.Proto == wire.ProtoTCP:
		c.refuse(f, d, p)
		return stays
	}
	if f.Dirs[d.Other()].Packets > 0 {
		f.State = StateEstablished
	}
	if len(p.Payload) > 0 {
		f.Dirs[d].Payload += uint64(len(p.Payload))
		c.out = append(c.out, Chunk{Dir: d, Data: p.Payload})
	}
	if f.x != nil {
		c.settle(f)
	}
	return stays
}

// checksum judges p by its checksum. In ChecksumAuto a wrong one is a doubt only: there are captures with offloaded data after handshakes that were
// not, and only the receiver knows. An end that acknowledges it shows it to be right; nobody acknowledges a decoy.
func (c *core) checksum(f *Info, d wire.Dir, p *wire.Packet) trust {
	s := &f.side[d]
	switch p.Checksum() {
	case wire.CsumValid:
		s.bits |= validCsum
		return good
	case wire.CsumBad:
		f.Dirs[d].BadChecksums++
		c.n.BadChecksums++
		if c.mode == ChecksumAuto && s.bits&validCsum == 0 {
			c.n.UnjudgedChecksums++
			return good
		}
		f.note(BadChecksum)
		if c.mode == ChecksumAuto && f.Dirs[d.Other()].Packets > 0 {
			return doubtful
		}
		return refused
	}
	return good
}

func (f *Info) count(d wire.Dir, p *wire.Packet) {
	x := &f.Dirs[d]
	x.Packets++
	x.Bytes += uint64(p.Frame.Len)
	x.Encap |= p.Encap
	if p.Key.Proto == wire.ProtoTCP && !p.Fragmented {
		x.Flags |= p.TCP.Flags
	}
}

func (f *Info) uncount(d wire.Dir, p *wire.Packet) {
	f.Dirs[d].Packets--
	f.Dirs[d].Bytes -= uint64(p.Frame.Len)
}

// initiates reports whether the sender of p, the first packet of its flow, is its initiator.
func initiates(p *wire.Packet) bool {
	src, dst := p.Key.APort, p.Key.BPort
	if !p.FromA {
		src, dst = dst, src
	}
	nfs := src == nfsPort && dst < systemPorts || dst == nfsPort && src < systemPorts
	switch p.Key.Proto {
	case wire.ProtoTCP:
		if p.TCP.Flags&wire.SYN != 0 && !p.Fragmented {
			return p.TCP.Flags&wire.ACK == 0
		}
		return (src >= dst) != nfs
	case wire.ProtoUDP, wire.ProtoSCTP:
		return !(src < systemPorts && dst >= systemPorts) || nfs
	}
	return true
}

// identify makes a flow's ID: the counter keeps those of one table apart, the hash those of different ones.
func identify(k *wire.Key, start int64, n uint64) uint64 {
	const counter, hash = 24, 53 - 24 // bits
	h := uint64(start)
	for _, w := range [...]uint64{
		binary.LittleEndian.Uint64(k.A[:]), binary.LittleEndian.Uint64(k.A[8:]),
		binary.LittleEndian.Uint64(k.B[:]), binary.LittleEndian.Uint64(k.B[8:]),
		uint64(k.APort)<<48 | uint64(k.BPort)<<32 | uint64(k.Scope), uint64(k.Proto),
	} {
		hi, lo := bits.Mul64(h^w^0x9e3779b97f4a7c15, 0xd6e8feb86659fd93)
		h = hi ^ lo
	}
	return h>>(64-hash)<<counter | max(n&(1<<counter-1), 1)
}

// idle says why a flow ends whose time is over.
func (f *Info) idle() Reason {
	if f.class == closing {
		return Ended
	}
	return Idle
}

// finishAll tells what is still held of f: nothing more will come.
func (c *core) finishAll(f *Info) {
	if f.Key.Proto != wire.ProtoTCP {
		return
	}
	for d := range wire.Dir(2) {
		if f.x != nil {
			c.flush(f, d)
			c.forgetOffers(f)
		}
		if s := &f.side[d]; !s.has(finished) && f.Dirs[d].Packets > 0 {
			s.bits |= finished
			if n := len(c.out); n > 0 && c.out[n-1].Dir == d && !c.out[n-1].Refused {
				c.out[n-1].End = true
			} else {
				c.out = append(c.out, Chunk{Dir: d, Seq: s.next, End: true})
			}
		}
	}
}

// flush tells what is held of direction d, with the holes in it as gaps. What is in doubt is told only if the other end was silent since.
func (c *core) flush(f *Info, d wire.Dir) {
	pr := c.deliverHeld(f, d)
	if s := &f.side[d]; pr.n+pr.lone >= proofs && s.next.Before(pr.last()) && !s.has(finished) {
		c.gap(f, d, pr.last().Sub(s.next)) // the tail was not captured
	}
}

// deliverHeld is flush without what was never seen behind the last hole. It returns what proof of that there was.
func (c *core) deliverHeld(f *Info, d wire.Dir) proof {
	h := &f.x.hold[d]
	if h.doubt > 0 {
		if h.peer == f.Dirs[d.Other()].Packets {
			h.believe()
		} else {
			c.disbelieve(f, d)
		}
	}
	pr := h.proof
	c.drain(f, d)
	for h.head < len(h.pieces) {
		c.giveUp(f, d)
	}
	return pr
}
