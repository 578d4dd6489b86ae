package enforce

import "weir/wire"

// header is what is needed of a packet to tell who sent it that it goes no further: the outermost addresses and ports.
type header struct {
	src, dst     [16]byte // IPv4 as IPv4-mapped IPv6
	sport, dport uint16
	proto        uint8
	flags        wire.TCPFlags
	l4           int  // where the transport header begins
	empty        bool // a TCP segment without data
}

// maxExtensions is how many IPv6 extension headers are walked through.
const maxExtensions = 8

// parse reads the headers of an IP packet. ok is false for what is cut, or a later fragment.
func (h *header) parse(b []byte) (ok bool) {
	*h = header{}
	if len(b) < 20 {
		return false
	}
	switch b[0] >> 4 {
	case 4:
		h.l4, h.proto = int(b[0]&15)*4, b[9]
		if h.l4 < 20 || network.Uint16(b[6:])&0x1fff != 0 {
			return false
		}
		h.src, h.dst = mapped(b[12:16]), mapped(b[16:20])
	case 6:
		if len(b) < 40 {
			return false
		}
		copy(h.src[:], b[8:24])
		copy(h.dst[:], b[24:40])
		if h.l4, h.proto, ok = extensions(b); !ok {
			return false
		}
	default:
		return false
	}
	t := b[min(h.l4, len(b)):]
	switch h.proto {
	case wire.ProtoTCP:
		if len(t) < 20 {
			return false
		}
		h.flags = wire.TCPFlags(t[13])
		h.empty = len(t) <= int(t[12]>>4)*4
	case wire.ProtoUDP, wire.ProtoSCTP:
		if len(t) < 8 {
			return false
		}
	default:
		return true
	}
	h.sport, h.dport = network.Uint16(t), network.Uint16(t[2:])
	return true
}

// extensions walks to the transport header of an IPv6 packet.
func extensions(b []byte) (at int, proto uint8, ok bool) {
	at, proto = 40, b[6]
	for range maxExtensions {
		switch proto {
		case 0, 43, 60: // hop by hop, routing, destination options: RFC 8200 section 4
			if len(b) < at+8 {
				return 0, 0, false
			}
			proto, at = b[at], at+8+int(b[at+1])*8
		case 44: // fragment
			if len(b) < at+8 || network.Uint16(b[at+2:])&^7 != 0 {
				return 0, 0, false
			}
			proto, at = b[at], at+8
		default:
			return at, proto, true
		}
	}
	return 0, 0, false
}

// mapped is an IPv4 address as wire.Key holds it.
func mapped(a []byte) (m [16]byte) {
	m[10], m[11] = 0xff, 0xff
	copy(m[12:], a)
	return m
}

// of reports whether the packet belongs to a flow, in either direction.
func (h *header) of(k *wire.Key) bool {
	if h.proto != k.Proto {
		return false
	}
	return h.src == k.A && h.dst == k.B && h.sport == k.APort && h.dport == k.BPort ||
		h.src == k.B && h.dst == k.A && h.sport == k.BPort && h.dport == k.APort
}

// reset makes the TCP segment in b, whose header is h, a reset of the same sender and place in the stream, without data. It returns what is left of b. Who would have got the
// segment next gets the reset in its stead.
func (h *header) reset(b []byte) []byte {
	b = b[:h.l4+20]
	t := b[h.l4:]
	t[12] = 5 << 4 // no options
	t[13] = byte(wire.RST | h.flags&wire.ACK)
	clear(t[16:20]) // checksum, urgent pointer
	v4 := b[0]>>4 == 4
	if v4 {
		network.PutUint16(b[2:], uint16(len(b)))
		b[10], b[11] = 0, 0
		network.PutUint16(b[10:], ^sum(0, b[:h.l4]))
	} else {
		network.PutUint16(b[4:], uint16(len(b)-40))
	}
	h.checksum(b)
	return b
}

// shorten makes the TCP segment in b, the beginning of a longer one, a whole segment. ok is false where that cannot be done: out says that its headers will be
// read again, and a jumbogram (RFC 2675) that is none any more would not be understood.
func (h *header) shorten(b []byte, out bool) (ok bool) {
	if b[0]>>4 == 4 {
		network.PutUint16(b[2:], uint16(len(b)))
		b[10], b[11] = 0, 0
		network.PutUint16(b[10:], ^sum(0, b[:h.l4]))
	} else if jumbo := b[4] == 0 && b[5] == 0; !jumbo {
		network.PutUint16(b[4:], uint16(len(b)-40))
	} else if out {
		return false
	}
	b[h.l4+13] &^= byte(wire.FIN | wire.PSH) // they belong to the end
	h.checksum(b)
	return true
}

// checksum fills in the checksum of the TCP segment that b ends with.
func (h *header) checksum(b []byte) {
	t := b[h.l4:]
	t[16], t[17] = 0, 0
	s := uint32(wire.ProtoTCP) + uint32(len(t))
	if b[0]>>4 == 4 {
		s = uint32(sum(s, b[12:20]))
	} else {
		s = uint32(sum(s, b[8:40]))
	}
	network.PutUint16(t[16:], ^sum(s, t))
}

// sum adds b as RFC 1071 has it.
func sum(s uint32, b []byte) uint16 {
	for ; len(b) > 1; b = b[2:] {
		s += uint32(network.Uint16(b))
	}
	if len(b) == 1 {
		s += uint32(b[0]) << 8
	}
	s = s>>16 + s&0xffff
	return uint16(s>>16 + s)
}
