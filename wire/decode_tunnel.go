package wire

import "encoding/binary"

// From the specification.
const (
	// GRE flag bits, RFC 2784, 2890 and 2637.
	greChecksum = 0x8000
	greRouting  = 0x4000
	greKey      = 0x2000
	greSequence = 0x1000
	greAck      = 0x0080 // version 1
	greVersion  = 0x0007

	typeERSPAN2 = 0x88be // types I and II
	typeERSPAN3 = 0x22eb

	gtpGPDU = 0xff // 3GPP TS 29.281: a message that carries a user's packet
)

// tunnel decodes what p, already filled as a plain packet, carries. If the inside is no whole IP packet, p stays what
// it is.
func (d *Decoder) tunnel(p *Packet, e Encap, id uint32, typ uint16, b []byte, left int) Result {
	outer := *p
	p.enter(e, id)
	if left > 1 && d.ether(p, b, typ, left-1) == OK && (!p.Cut || outer.Cut || p.frameCut()) {
		if p.NCarriers < maxCarriers {
			p.Carriers[p.NCarriers] = Carrier{outer.Key, outer.FromA, outer.IP, e, outer.Encap}
			p.NCarriers++
		}
		return OK
	}
	*p = outer
	d.Opaque++
	return OK
}

// opaque leaves p the plain packet it is.
func (d *Decoder) opaque() Result {
	d.Opaque++
	return OK
}

// vxlan decodes a VXLAN header (RFC 7348 section 5) or, with gpe, one that may say what it carries
// (draft-ietf-nvo3-vxlan-gpe section 3).
func (d *Decoder) vxlan(p *Packet, gpe bool, left int) Result {
	b := p.Payload
	const flagVNI, flagNext = 0x08, 0x04
	if len(b) < 8 || b[0]&flagVNI == 0 {
		return d.opaque()
	}
	typ := uint16(typeTEB)
	if gpe && b[0]&flagNext != 0 {
		switch b[3] {
		case 1:
			typ = typeIPv4
		case 2:
			typ = typeIPv6
		case 3:
		default:
			return d.opaque()
		}
	}
	return d.tunnel(p, EncapVXLAN, binary.BigEndian.Uint32(b[4:])>>8, typ, b[8:], left)
}

// geneve decodes a Geneve header (RFC 8926 section 3.4); its options are passed over.
func (d *Decoder) geneve(p *Packet, left int) Result {
	c := Cut(p.Payload)
	first, _, typ, vni := c.U8(), c.U8(), c.U16(), c.U24()
	c.Skip(1 + int(first&0x3f)*4)
	if c.Short() || first>>6 != 0 {
		return d.opaque()
	}
	return d.tunnel(p, EncapGeneve, vni, typ, c.Rest(), left)
}

// gtp decodes a GTP-U header (3GPP TS 29.281 section 5.1). Tunnel endpoint identifiers differ by direction: they are no
// scope.
func (d *Decoder) gtp(p *Packet, left int) Result {
	c := Cut(p.Payload)
	flags, kind := c.U8(), c.U8()
	n := int(c.U16())
	c.Skip(4)
	if flags>>4 != 3 || kind != gtpGPDU || n > c.Len() && !p.Cut { // version 1, not GTP'
		return d.opaque()
	}
	c = Cut(c.Bytes(min(n, c.Len())))
	if flags&7 != 0 { // any of extension header, sequence number, N-PDU number
		c.Skip(3)
		for next := c.U8(); next != 0 && !c.Short(); {
			ext := c.Bytes(int(c.U8())*4 - 1)
			if len(ext) == 0 {
				return d.opaque()
			}
			next = ext[len(ext)-1]
		}
	}
	if c.Short() || c.Len() == 0 {
		return d.opaque()
	}
	typ := uint16(typeIPv4)
	if c.Rest()[0]>>4 == 6 {
		typ = typeIPv6
	}
	return d.tunnel(p, EncapGTP, 0, typ, c.Rest(), left)
}

// anyPort decodes a tunnel on another port than its own: only where a header that cannot be doubted is followed by a valid IP packet. So what
// is inside is seen wherever it is sent to, and nobody's own datagrams are taken for it.
func (d *Decoder) anyPort(p *Packet, left int) Result {
	b := p.Payload
	if len(b) < 8+ipv4Len || p.Cut {
		return OK
	}
	first, second := binary.BigEndian.Uint32(b), binary.BigEndian.Uint32(b[4:])
	const vni, reserved = 0x08000000, 0xff
	vxlan := first == vni && second&reserved == 0
	gtp := first>>27 == 0x30>>3 && first>>16&0xff == gtpGPDU
	geneve := first>>30 == 0 && first>>16&0x3f == 0 && second&reserved == 0 && geneveType(uint16(first))
	capwap := first>>24 == 0 && first>>19&0x1f >= 2 && first&7 == 0
	if !vxlan && !gtp && !geneve && !capwap {
		return d.ipv6InUDP(p, left)
	}
	outer, opaque := *p, d.Opaque
	switch {
	case vxlan:
		d.vxlan(p, false, left)
	case gtp:
		d.gtp(p, left)
	case geneve:
		d.geneve(p, left)
	default:
		d.capwap(p, left)
	}
	if p.Key.Scope == outer.Key.Scope || p.csum == CsumBad {
		*p, d.Opaque = outer, opaque
	}
	return OK
}

// geneveType reports whether Geneve carries what an EtherType announces.
func geneveType(typ uint16) bool { return typ == typeTEB || typ == typeIPv4 || typ == typeIPv6 }

// gre decodes a GRE header (RFC 2784, RFC 2890; version 1: RFC 2637). PPTP's call identifiers differ by direction: they
// are no scope.
func (d *Decoder) gre(p *Packet, b []byte, left int) Result {
	p.plain(b, ProtoGRE)
	c := Cut(b)
	flags, typ := c.U16(), c.U16()
	if c.Short() {
		return p.short()
	}
	if flags&greRouting != 0 || flags&greVersion > 1 { // source routes are history (RFC 2784 section 5.1)
		return d.opaque()
	}
	if flags&greVersion == 1 {
		return d.pptp(p, c, flags, left)
	}
	var key uint32
	if flags&greChecksum != 0 {
		c.Skip(4)
	}
	if flags&greKey != 0 {
		key = c.U32()
	}
	if flags&greSequence != 0 {
		c.Skip(4)
	}
	switch typ {
	case typeERSPAN2:
		if flags&greSequence != 0 { // type II has a header, type I has not
			c.Skip(8)
		}
		typ = typeTEB
	case typeERSPAN3:
		h := c.Bytes(12)
		if h != nil && h[11]&1 != 0 { // platform specific subheader
			c.Skip(8)
		}
		typ = typeTEB
	}
	if c.Short() || typ <= maxLLC {
		return d.opaque()
	}
	return d.tunnel(p, EncapGRE, key, typ, c.Rest(), left)
}

// pptp goes on with GRE of version 1 (RFC 2637 section 4.1) after its first 4 bytes.
func (d *Decoder) pptp(p *Packet, c Cursor, flags uint16, left int) Result {
	n := int(c.U16())
	c.Skip(2)
	if flags&greSequence != 0 {
		c.Skip(4)
	}
	if flags&greAck != 0 {
		c.Skip(4)
	}
	if c.Short() || n == 0 || n > c.Len() && !p.Cut {
		return d.opaque()
	}
	return d.tunnel(p, EncapGRE, 0, typePPP, c.Bytes(min(n, c.Len())), left)
}

// ppp decodes a PPP frame (RFC 1661) with or without address and control (RFC 1662) and a compressed protocol field, or
// a Cisco HDLC frame, which shares its link type.
func (d *Decoder) ppp(p *Packet, b []byte, left int) Result {
	c := Cut(b)
	if len(b) >= 4 {
		switch binary.BigEndian.Uint16(b) {
		case 0xff03:
			c.Skip(2)
		case 0x0f00, 0x8f00:
			return d.ether(p, b[4:], binary.BigEndian.Uint16(b[2:]), left)
		}
	}
	proto := uint16(c.U8())
	if proto&1 == 0 {
		proto = proto<<8 | uint16(c.U8())
	}
	if c.Short() {
		return p.short()
	}
	switch proto {
	case pppIPv4:
		return d.ether(p, c.Rest(), typeIPv4, left)
	case pppIPv6:
		return d.ether(p, c.Rest(), typeIPv6, left)
	case pppMPLS, pppMPLSUp:
		return d.ether(p, c.Rest(), typeMPLS, left)
	}
	return NoIP
}

// pppoe decodes a PPPoE header (RFC 2516 section 4) of the session stage.
func (d *Decoder) pppoe(p *Packet, b []byte, left int) Result {
	c := Cut(b)
	version, code, session := c.U8(), c.U8(), c.U16()
	n := int(c.U16())
	switch {
	case c.Short():
		return p.short()
	case version != 0x11:
		return Malformed
	case code != 0:
		return NoIP
	}
	p.enter(EncapPPPoE, uint32(session))
	return d.ppp(p, c.Bytes(min(n, c.Len())), left)
}

// mpls takes off a label stack (RFC 3032). Nothing says what follows: IP by its version, else an Ethernet frame after a
// control word (RFC 4448). Labels differ by direction: they are no scope.
func (d *Decoder) mpls(p *Packet, b []byte, left int) Result {
	const bottom = 1 << 8
	c := Cut(b)
	for range maxDepth {
		label := c.U32()
		if c.Short() {
			return p.short()
		}
		if label&bottom == 0 {
			continue
		}
		if c.Len() == 0 {
			return p.short()
		}
		p.enter(EncapMPLS, 0)
		switch rest := c.Rest(); rest[0] >> 4 {
		case 4, 6:
			return d.version(p, rest, left)
		case 0:
			if len(rest) > 4 {
				return d.ethernet(p, rest[4:], left)
			}
		}
		return NoIP
	}
	return Malformed
}
