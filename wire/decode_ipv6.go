package wire

import "encoding/binary"

// from the specification
const (
	ipv6Teredo   = 0x20010000 // RFC 4380 section 2.6: the upper 32 bits of addresses
	linkLocal    = 0xfe800000 // RFC 4291 section 2.5.6
	teredoAuth   = 1          // RFC 4380 section 5.1.1: an authentication header comes first
	ayiyaForward = 1          // operation
	ayiyaIPv6    = 41         // next header
	ayiyaIPv4    = 4
	ayiyaLeast   = 8 // bytes before the identity
)

// ipv6InUDP enters Teredo and AYIYA, on whatever port: only where the packet inside fills the datagram to its last byte.
func (d *Decoder) ipv6InUDP(p *Packet, left int) Result {
	b := p.Payload
	switch {
	case b[0]>>4 == 6, b[0] == 0 && b[1] <= teredoAuth:
		return d.teredo(p, b, left)
	case b[2]&15 == ayiyaForward && (b[3] == ayiyaIPv6 || b[3] == ayiyaIPv4):
		return d.ayiya(p, b, left)
	}
	return OK
}

// packetFills reports whether b is an IP packet from its first byte to its last.
func packetFills(b []byte) bool { return len(b) > 0 && packetLen(b) == len(b) }

// packetLen returns the length of the IP packet at the front of b, which it says itself; -1: there is none.
func packetLen(b []byte) int {
	switch {
	case len(b) >= ipv4Len && b[0]>>4 == 4 && b[0]&15 >= 5:
		return int(binary.BigEndian.Uint16(b[2:]))
	case len(b) >= ipv6Len && b[0]>>4 == 6:
		return ipv6Len + int(binary.BigEndian.Uint16(b[4:]))
	}
	return -1
}

// teredo decodes what Teredo puts before an IPv6 packet: RFC 4380 section 5.1.1. One of its addresses must be of Teredo's, or local to the link.
func (d *Decoder) teredo(p *Packet, b []byte, left int) Result {
	c := Cut(b)
	if b[0] == 0 && b[1] == teredoAuth {
		c.Skip(2)
		client, auth := int(c.U8()), int(c.U8())
		c.Skip(client + auth + 9)
	}
	if r := c.Rest(); len(r) > 8 && r[0]|r[1] == 0 { // an origin indication
		c.Skip(8)
	}
	in := c.Rest()
	if c.Short() || len(in) < ipv6Len || in[0]>>4 != 6 || !packetFills(in) && !bubble(in) {
		return OK
	}
	src, dst := binary.BigEndian.Uint32(in[8:]), binary.BigEndian.Uint32(in[24:])
	if src != ipv6Teredo && dst != ipv6Teredo && src != linkLocal {
		return OK
	}
	return d.tunnel(p, EncapTeredo, 0, typeIPv6, in, left)
}

// ayiya decodes an AYIYA header (draft-massar-v6ops-ayiya-02 section 3): lengths of identity and signature, and what follows them.
func (d *Decoder) ayiya(p *Packet, b []byte, left int) Result {
	at := ayiyaLeast + 1<<(b[0]>>4) + 4*int(b[1]>>4)
	typ := uint16(typeIPv6)
	switch {
	case b[0]>>4 > 8 || b[2]>>4 > 2:
		return OK
	case b[3] == ayiyaIPv4:
		typ = typeIPv4
	}
	if at >= len(b) || !packetFills(b[at:]) {
		return OK
	}
	return d.tunnel(p, EncapAYIYA, 0, typ, b[at:], left)
}

// bubble reports whether b is an IPv6 packet without content, and trailers behind it: RFC 4380 section 5.2, RFC 6081 section 4.
func bubble(b []byte) bool {
	const noNext = 59
	if b[4]|b[5] != 0 || b[6] != noNext {
		return false
	}
	c := Cut(b[ipv6Len:])
	for c.Len() > 0 {
		c.Skip(1)
		c.Skip(int(c.U8()))
	}
	return !c.Short()
}
