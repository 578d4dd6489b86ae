package weir_test

import (
	"encoding/binary"
	"hash/fnv"
	"math/rand/v2"

	"weir/wire"
)

// portMap gives every port another one, both directions the same. Which, is a matter of the capture's name alone.
type portMap struct {
	to  [1 << 16]uint16
	dec wire.Decoder
	p   wire.Packet
}

func newPortMap(name string) *portMap {
	h := fnv.New64a()
	h.Write([]byte(name))
	m := &portMap{}
	for i, port := range rand.New(rand.NewPCG(h.Sum64(), 0)).Perm(1<<16 - 1) {
		m.to[i+1] = uint16(port + 1) // 0 is no port and stays none
	}
	return m
}

const maxTunnels = 16 // transport headers of one frame, one inside the other

// move rewrites the ports of every transport header in frames, those inside tunnels too. Checksums are wrong then.
func (m *portMap) move(frames []wire.Frame) {
	for i := range frames {
		f := frames[i] // the innermost header is found first; without what begins there, the one around it
		for range maxTunnels {
			at, ports := m.header(&f)
			if at < 0 {
				break
			}
			if b := f.Data[at:]; ports && len(b) >= 4 {
				binary.BigEndian.PutUint16(b, m.to[binary.BigEndian.Uint16(b)])
				binary.BigEndian.PutUint16(b[2:], m.to[binary.BigEndian.Uint16(b[2:])])
			}
			f.Data = f.Data[:at]
		}
	}
}

// header returns where the innermost header behind IP begins that can be decoded, -1 if there is none, and whether it begins with ports.
func (m *portMap) header(f *wire.Frame) (at int, ports bool) {
	p := &m.p
	if m.dec.Decode(f, p) != wire.OK || p.IP == 0 {
		return -1, false
	}
	proto := p.Key.Proto
	ports = proto == wire.ProtoTCP || proto == wire.ProtoUDP || proto == wire.ProtoSCTP
	if ports && !p.Fragmented {
		for at = len(f.Data) - 8; at >= 0 && !m.begins(f.Data[at:]); at-- {
		}
		return at, true
	}
	if len(p.Payload) == 0 {
		return len(f.Data) - 1, false // it ends here: without its last byte it is none
	}
	for at = range f.Data {
		if &f.Data[at] == &p.Payload[0] {
			return at, ports && p.Frag.Off == 0
		}
	}
	return -1, false // put together from fragments
}

// begins reports whether the present packet's transport header is what b begins with.
func (m *portMap) begins(b []byte) bool {
	k := &m.p.Key
	src, dst := k.APort, k.BPort
	if !m.p.FromA {
		src, dst = dst, src
	}
	if binary.BigEndian.Uint16(b) != src || binary.BigEndian.Uint16(b[2:]) != dst {
		return false
	}
	switch k.Proto {
	case wire.ProtoTCP:
		return binary.BigEndian.Uint32(b[4:]) == uint32(m.p.TCP.Seq)
	case wire.ProtoUDP:
		return m.p.Cut || int(binary.BigEndian.Uint16(b[4:])) == 8+len(m.p.Payload)
	}
	return true
}
