package wire

import (
	"encoding/binary"
	"hash/crc32"
)

// Sum is what a packet's checksum was before what it covers was overwritten in its frame.
type Sum uint8

const (
	SumNone    Sum = iota // there is none, or nobody can tell
	SumRight              // it was right
	SumPartial            // it covers the pseudo header only: the network card was to do the rest
	SumWrong              // it was wrong
)

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// Place returns where in the frame the payload is; false if it is not there: it was put together from fragments.
func (p *Packet) Place() (off int, ok bool) {
	f := p.Frame.Data
	off = cap(f) - cap(p.Payload)
	if p.Payload == nil || off < 0 || off+len(p.Payload) > len(f) {
		return 0, false
	}
	if len(p.Payload) > 0 && &f[off] != &p.Payload[0] {
		return 0, false
	}
	return off, true
}

// sumAt returns what the checksum of the innermost transport header covers, and where in it the checksum stands; nil if it has none, or not all
// of that is there.
func (p *Packet) sumAt() (covered []byte, at int) {
	switch p.Key.Proto {
	case ProtoTCP:
		at = 16
	case ProtoUDP:
		at = 6
	case ProtoICMP, ProtoICMPv6:
		at = 2
	case ProtoSCTP:
		at = 8
	default:
		return nil, 0
	}
	if p.Fragmented || p.Cut || p.whole {
		return nil, at
	}
	covered = p.segment
	if off, ok := p.Place(); p.Key.Proto == ProtoSCTP && ok && off >= sctpLen {
		covered = p.Frame.Data[off-sctpLen : off+len(p.Payload)]
	}
	if len(covered) < at+2 || p.Key.Proto == ProtoSCTP && len(covered) < sctpLen || p.IP == 4 && len(covered) > 0xffff {
		return nil, 0
	}
	return covered, at
}

// Sum judges the checksum as it stands in the frame, whatever the capture says of it.
func (p *Packet) Sum() Sum {
	s, at := p.sumAt()
	if s == nil {
		return SumNone
	}
	if p.Key.Proto == ProtoSCTP {
		if binary.LittleEndian.Uint32(s[at:]) == sctpSum(s) {
			return SumRight
		}
		return SumWrong
	}
	var acc uint64
	if p.Key.Proto != ProtoICMP {
		acc = p.pseudo(len(s))
	}
	have := binary.LittleEndian.Uint16(s[at:])
	switch {
	case p.Key.Proto == ProtoUDP && have == 0:
		return SumNone
	case ones(acc, s):
		return SumRight
	case have == fold(acc):
		return SumPartial
	}
	return SumWrong
}

// SetSum makes the checksum in the frame what it was before the payload was overwritten: right, or wrong, but not by how much, which would tell
// of what stood there.
func (p *Packet) SetSum(was Sum) {
	s, at := p.sumAt()
	if s == nil && p.Cut && at > 0 && len(p.segment) >= at+2 { // nobody can tell what it would be: it is what it was of nothing
		binary.LittleEndian.PutUint16(p.segment[at:], 0)
	}
	if s == nil || was == SumNone || was == SumPartial {
		return
	}
	if p.Key.Proto == ProtoSCTP {
		sum := sctpSum(s)
		if was == SumWrong {
			sum = ^sum
		}
		binary.LittleEndian.PutUint32(s[at:], sum)
		return
	}
	binary.LittleEndian.PutUint16(s[at:], 0)
	var acc uint64
	if p.Key.Proto != ProtoICMP {
		acc = p.pseudo(len(s))
	}
	sum := ^sum16(acc, s)
	if was == SumWrong {
		sum ^= 0x0101
	}
	if sum == 0 && p.Key.Proto == ProtoUDP {
		sum = 0xffff // RFC 768: 0 says that there is none
	}
	binary.LittleEndian.PutUint16(s[at:], sum)
}

// sum16 is the one's complement sum of acc and b, in the byte order of the machine's loads.
func sum16(acc uint64, b []byte) uint16 {
	for ; len(b) >= 2; b = b[2:] {
		acc += uint64(binary.LittleEndian.Uint16(b))
	}
	if len(b) > 0 {
		acc += uint64(b[0])
	}
	return fold(acc)
}

// sctpSum is SCTP's checksum, taken with its own field zero (RFC 9260 section 6.8).
func sctpSum(s []byte) uint32 {
	var zero [4]byte
	sum := crc32.Update(0, castagnoli, s[:8])
	sum = crc32.Update(sum, castagnoli, zero[:])
	return crc32.Update(sum, castagnoli, s[12:])
}
