package wire

import (
	"encoding/binary"
	"math/bits"
)

// tunnels are the encapsulations whose inside the kernel may not have verified when it says that it verified a packet.
const tunnels = EncapVXLAN | EncapGeneve | EncapGRE | EncapIPIP | EncapGTP | EncapPPPoE | EncapMPLS | EncapTeredo | EncapAYIYA | EncapCAPWAP

// Checksum judges the packet's checksum: TCP, UDP, ICMP or ICMPv6 over its pseudo header (RFC 1071), and every IPv4
// header above it, since a receiver drops a packet for either. It looks at the payload once, at the first call.
func (p *Packet) Checksum() Csum {
	if p.csum == CsumUnknown {
		p.csum = p.checksum()
	}
	return p.csum
}

func (p *Packet) checksum() Csum {
	flag := p.Frame.Flag
	switch {
	case p.Fragmented || p.Cut || p.segment == nil || flag&FlagCsumPartial != 0:
		return CsumNone
	case flag&FlagCsumValid != 0 && p.Encap&tunnels == 0 && !p.whole:
		return CsumValid
	}
	s := p.segment
	if p.Key.Proto == ProtoUDP && s[6]|s[7] == 0 {
		if p.IP == 6 {
			return CsumBad // RFC 8200 section 8.1: not optional
		}
		return CsumNone
	}
	var acc uint64
	if p.Key.Proto != ProtoICMP {
		if p.IP == 4 && len(s) > 0xffff {
			return CsumNone // an offloaded packet: the pseudo header cannot say its length
		}
		acc = p.pseudo(len(s))
	}
	if !ones(acc, s) {
		return CsumBad
	}
	return CsumValid
}

// pseudo sums the pseudo header (RFC 9293 section 3.1, RFC 8200 section 8.1) as little-endian words.
func (p *Packet) pseudo(n int) uint64 {
	k := &p.Key
	acc := uint64(bits.ReverseBytes32(uint32(n))) + uint64(p.Key.Proto)<<8
	if p.IP == 4 {
		return acc + uint64(binary.LittleEndian.Uint32(k.A[12:])) + uint64(binary.LittleEndian.Uint32(k.B[12:]))
	}
	for i := 0; i < 16; i += 4 {
		acc += uint64(binary.LittleEndian.Uint32(k.A[i:])) + uint64(binary.LittleEndian.Uint32(k.B[i:]))
	}
	return acc
}

// headerValid reports whether an IPv4 header of at least 20 bytes sums up.
func headerValid(b []byte) bool {
	if len(b) != ipv4Len {
		return ones(0, b)
	}
	acc, c := bits.Add64(binary.LittleEndian.Uint64(b), binary.LittleEndian.Uint64(b[8:]), 0)
	acc, c = bits.Add64(acc, uint64(binary.LittleEndian.Uint32(b[16:])), c)
	return fold(acc+c) == 0xffff // no wrap: what was added last is far below 2^64
}

// ones reports whether the one's complement sum of acc and b is all ones. The sum of 16-bit words is independent of
// their byte order (RFC 1071 section 2) and may be taken 64 bits at a time, so whole words are added as the machine
// loads them.
func ones(acc uint64, b []byte) bool {
	var c uint64
	for len(b) >= 64 {
		w := b[:64]
		acc, c = bits.Add64(acc, binary.LittleEndian.Uint64(w), c)
		acc, c = bits.Add64(acc, binary.LittleEndian.Uint64(w[8:]), c)
		acc, c = bits.Add64(acc, binary.LittleEndian.Uint64(w[16:]), c)
		acc, c = bits.Add64(acc, binary.LittleEndian.Uint64(w[24:]), c)
		acc, c = bits.Add64(acc, binary.LittleEndian.Uint64(w[32:]), c)
		acc, c = bits.Add64(acc, binary.LittleEndian.Uint64(w[40:]), c)
		acc, c = bits.Add64(acc, binary.LittleEndian.Uint64(w[48:]), c)
		acc, c = bits.Add64(acc, binary.LittleEndian.Uint64(w[56:]), c)
		b = b[64:]
	}
	for len(b) >= 8 {
		acc, c = bits.Add64(acc, binary.LittleEndian.Uint64(b), c)
		b = b[8:]
	}
	var tail uint64
	for i, v := range b {
		tail |= uint64(v) << (8 * i)
	}
	acc, c = bits.Add64(acc, tail, c)
	acc, c = bits.Add64(acc, 0, c)
	return fold(acc+c) == 0xffff
}

// fold adds up the 16-bit words of a one's complement sum.
func fold(acc uint64) uint16 {
	s := acc>>32 + acc&0xffffffff
	s = s>>16 + s&0xffff
	s = s>>16 + s&0xffff
	return uint16(s>>16 + s)
}
