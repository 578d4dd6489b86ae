package wire

import "encoding/binary"

// From the specification.
const (
	ipv4Len = 20 // bytes, without options
	ipv6Len = 40 // bytes, without extension headers

	fragOffset = 0x1fff // RFC 791: units of 8 bytes
	fragMore   = 0x2000

	// Next header values of extension headers, RFC 8200 section 4.
	nextHopByHop    = 0
	nextRouting     = 43
	nextFragment    = 44
	nextDestination = 60
)

// Ours.
const (
	// maxExtensions bounds the extension headers of one packet: more than fit into 1500 bytes. Beyond, Malformed.
	maxExtensions = 200
)

// ipv4 decodes an IPv4 header (RFC 791). A total length of 0 is an offloaded packet beyond 64 KiB or one that the
// sender's card has yet to cut up: all of the frame belongs to it.
func (d *Decoder) ipv4(p *Packet, b []byte, left int) Result {
	if len(b) < ipv4Len {
		return p.short()
	}
	head, total := int(b[0]&0x0f)*4, int(binary.BigEndian.Uint16(b[2:]))
	if b[0]>>4 != 4 || head < ipv4Len {
		return Malformed
	}
	switch {
	case total == len(b):
	case total == 0:
		p.Cut = p.frameCut()
	case total < head:
		return Malformed
	case total > len(b):
		p.Cut = true
	default:
		b = b[:total]
	}
	if head > len(b) {
		return p.short()
	}
	p.IP, p.TTL = 4, b[8]
	p.setAddrs4(binary.BigEndian.Uint32(b[12:]), binary.BigEndian.Uint32(b[16:]))
	if !headerValid(b[:head]) {
		p.csum = CsumBad
	}
	proto, frag := b[9], binary.BigEndian.Uint16(b[6:])
	if frag&(fragOffset|fragMore) != 0 {
		return p.fragment(b[head:], proto, Fragment{
			ID:   uint32(binary.BigEndian.Uint16(b[4:])),
			Off:  int(frag&fragOffset) * 8,
			More: frag&fragMore != 0,
		})
	}
	if proto == ProtoTCP {
		return p.tcp(b[head:])
	}
	return d.upper(p, b[head:], proto, left)
}

// ipv6 decodes an IPv6 header (RFC 8200). A payload length of 0 is a jumbogram (RFC 2675) or an offloaded packet
// without that option: all of the frame belongs to it.
func (d *Decoder) ipv6(p *Packet, b []byte, left int) Result {
	if len(b) < ipv6Len {
		return p.short()
	}
	if b[0]>>4 != 6 {
		return Malformed
	}
	next, n, rest := b[6], int(binary.BigEndian.Uint16(b[4:])), b[ipv6Len:]
	const noNext = 59
	switch {
	case n == len(rest):
	case n == 0 && next == nextHopByHop:
		if p.Cut = p.frameCut(); !p.Cut {
			rest = p.jumbo(rest)
		}
	case n == 0 && next != noNext:
		p.Cut = p.frameCut()
	case n > len(rest):
		p.Cut = true
	default:
		rest = rest[:n]
	}
	p.IP, p.TTL = 6, b[7]
	p.setAddrs6(b[8:24], b[24:40])
	return d.upper(p, rest, next, left)
}

// jumbo cuts b, which starts with a hop-by-hop header, to the length in its jumbo payload option, if it has one.
func (p *Packet) jumbo(b []byte) []byte {
	const optJumbo = 0xc2
	if len(b) < 8 || b[2] != optJumbo || b[3] != 4 {
		return b
	}
	n := uint64(binary.BigEndian.Uint32(b[4:]))
	switch {
	case n > uint64(len(b)):
		p.Cut = true
	case n >= 8:
		b = b[:n]
	}
	return b
}

// upper decodes what an IP header announces: extension headers, then a transport protocol or a tunnel.
func (d *Decoder) upper(p *Packet, b []byte, proto uint8, left int) Result {
	for range maxExtensions {
		switch proto {
		case ProtoTCP:
			return p.tcp(b)
		case ProtoUDP:
			return d.udp(p, b, left)
		case ProtoICMP, ProtoICMPv6:
			return p.icmp(b, proto)
		case ProtoSCTP:
			return p.sctp(b)
		case ProtoIPIP:
			p.plain(b, proto)
			return d.tunnel(p, EncapIPIP, 0, typeIPv4, b, left)
		case ProtoIPv6:
			p.plain(b, proto)
			return d.tunnel(p, EncapIPIP, 0, typeIPv6, b, left)
		case ProtoGRE:
			return d.gre(p, b, left)
		}
		next, n, known := p.extension(b, proto)
		switch {
		case !known:
			p.plain(b, proto)
			return OK
		case n > len(b):
			p.Key.Proto = proto
			return p.short()
		}
		if proto == nextFragment {
			v := binary.BigEndian.Uint16(b[2:])
			if f := (Fragment{ID: binary.BigEndian.Uint32(b[4:]), Off: int(v &^ 7), More: v&1 != 0}); f.Off != 0 || f.More {
				return p.fragment(b[8:], next, f)
			} // else an atomic fragment: a whole datagram, RFC 6946
		}
		proto, b = next, b[n:]
	}
	return Malformed
}

// extension reads the extension header proto at the start of b: what follows it and its length in bytes, which may be
// more than b holds. known is false if proto is none.
func (p *Packet) extension(b []byte, proto uint8) (next uint8, n int, known bool) {
	const least = 8
	switch proto {
	case nextHopByHop, nextRouting, nextDestination, nextFragment:
		if p.IP != 6 {
			return 0, 0, false
		}
	case ProtoAH:
	default:
		return 0, 0, false
	}
	if len(b) < least {
		return 0, least, true
	}
	switch proto {
	case nextHopByHop, nextDestination:
		p.Smuggled += smuggled(b[2:min(len(b), (int(b[1])+1)*8)])
	case nextFragment:
		return b[0], least, true
	case ProtoAH: // RFC 4302: in units of 4 bytes, minus 2
		return b[0], max((int(b[1])+2)*4, least), true
	case nextRouting:
		if b[3] != 0 && p.csum == CsumUnknown { // segments left: the pseudo header has an address that the fixed header has not
			p.csum = CsumNone
		}
	}
	return b[0], (int(b[1]) + 1) * 8, true
}

// smuggled counts the bytes of options (RFC 8200 section 4.2) that are there for no purpose that is known: padding that is not
// zero, and all that options of unknown kinds carry.
func smuggled(b []byte) (n int) {
	const (
		pad1 = 0
		padN = 1
	)
	for len(b) >= 2 {
		if b[0] == pad1 {
			b = b[1:]
			continue
		}
		value := b[2:min(len(b), 2+int(b[1]))]
		if most, known := optionsKnown[b[0]]; !known || len(value) > most {
			n += len(value)
		} else if b[0] == padN {
			for _, c := range value {
				if c != 0 {
					n++
				}
			}
		}
		b = b[2+len(value):]
	}
	return n
}

// optionsKnown are the options that hosts send, and how long they are at most, bytes: padding, tunnel limit (RFC 2473), router alert (2711),
// CALIPSO (5570), SMF (6621), PDM (8250), RPL (9008), MPL (7731), jumbo payload (2675), home address (6275), path MTU (9268).
var optionsKnown = map[byte]int{
	0x01: 255, 0x04: 1, 0x05: 2, 0x07: 252, 0x08: 40, 0x0f: 10, 0x23: 60, 0x63: 60, 0x6d: 40, 0xc2: 4, 0xc9: 16, 0x30: 4,
}

// fragment fills p from a fragment's payload.
func (p *Packet) fragment(b []byte, proto uint8, f Fragment) Result {
	p.Fragmented, p.Frag = true, f
	p.plain(b, proto)
	return OK
}

// plain fills p for a protocol without ports.
func (p *Packet) plain(b []byte, proto uint8) {
	p.Key.Proto = proto
	p.Key.APort, p.Key.BPort = 0, 0
	p.Payload = b
}

// setAddrs4 puts IPv4 addresses into the key in order.
func (p *Packet) setAddrs4(src, dst uint32) {
	p.FromA = src <= dst
	a, b := src, dst
	if !p.FromA {
		a, b = dst, src
	}
	const mapped = 0xffff << 32 // RFC 4291 section 2.5.5.2
	k := &p.Key
	binary.BigEndian.PutUint64(k.A[:8], 0)
	binary.BigEndian.PutUint64(k.A[8:], mapped|uint64(a))
	binary.BigEndian.PutUint64(k.B[:8], 0)
	binary.BigEndian.PutUint64(k.B[8:], mapped|uint64(b))
}

// setAddrs6 puts IPv6 addresses of 16 bytes into the key in order.
func (p *Packet) setAddrs6(src, dst []byte) {
	s, d := binary.BigEndian.Uint64(src), binary.BigEndian.Uint64(dst)
	if s == d {
		s, d = binary.BigEndian.Uint64(src[8:]), binary.BigEndian.Uint64(dst[8:])
	}
	p.FromA = s <= d
	if p.FromA {
		p.Key.A, p.Key.B = [16]byte(src), [16]byte(dst)
	} else {
		p.Key.A, p.Key.B = [16]byte(dst), [16]byte(src)
	}
}

// setPorts puts ports into the key; equal addresses are put in order by them.
func (p *Packet) setPorts(src, dst uint16, proto uint8) {
	k := &p.Key
	k.Proto = proto
	if k.A == k.B {
		p.FromA = src <= dst
	}
	if p.FromA {
		k.APort, k.BPort = src, dst
	} else {
		k.APort, k.BPort = dst, src
	}
}
