package wire

import "encoding/binary"

// Result says how far Decode came.
type Result uint8

const (
	OK          Result = iota // Key, FromA and Payload are valid; ports are 0 if Fragmented
	NoIP                      // no IP inside: ARP, STP, another EtherType. Key is zero but for Scope
	UnknownLink               // a link type that Decode does not understand. Key is zero
	Malformed                 // a length or version lies. Key may hold addresses
	Truncated                 // the capture cut the frame before the transport header ended. Key may hold addresses
)

func (r Result) String() string {
	switch r {
	case OK:
		return "ok"
	case NoIP:
		return "no_ip"
	case UnknownLink:
		return "unknown_link"
	case Malformed:
		return "malformed"
	case Truncated:
		return "truncated"
	}
	return "invalid"
}

// From the specification.
const (
	typeIPv4   = 0x0800
	typeIPv6   = 0x86dd
	typeTEB    = 0x6558 // transparent Ethernet bridging: an Ethernet frame inside
	typeVLAN   = 0x8100 // IEEE 802.1Q
	typeQinQ   = 0x88a8 // IEEE 802.1ad
	typeQinQ91 = 0x9100 // before 802.1ad
	typeETag   = 0x893f // IEEE 802.1BR
	typePPP    = 0x880b
	typeMPLS   = 0x8847
	typeMPLSUp = 0x8848
	typePPPoE  = 0x8864 // session stage

	ethernetLen = 14   // bytes
	maxLLC      = 1500 // a type up to this is an IEEE 802.3 length, bytes
	vlanID      = 0x0fff

	pppIPv4   = 0x0021
	pppIPv6   = 0x0057
	pppMPLS   = 0x0281
	pppMPLSUp = 0x0283
)

// Ours.
const (
	// maxDepth bounds the encapsulations taken off one packet, tags included. What is deeper is
	// Malformed for a tag and left alone, as the payload it is, for a tunnel.
	maxDepth = 8
	// typeLLC stands in for an EtherType where an LLC header follows.
	typeLLC = 0
)

// Decoder turns frames into packets. The zero value is ready. It keeps counters, nothing else.
type Decoder struct {
	// Scope is the scope of what no encapsulation was taken off; 0, but for interfaces on which others' addresses are used again: see
	// NamespaceScope.
	Scope uint32
	// Opaque counts packets on a tunnel's port or protocol whose inside did not decode, or was too
	// deep: they are taken as the plain packets they are, so that nothing hides behind a port number.
	Opaque uint64
}

// Decode resets p and fills it from f, through every encapsulation down to the innermost transport header. It keeps
// f and slices of f.Data in p. A tunnel whose inside is no whole IP packet is not entered.
func (d *Decoder) Decode(f *Frame, p *Packet) Result {
	p.reset(f)
	p.Key.Scope = d.Scope
	if f.Flag&FlagVLAN != 0 {
		p.tag(uint16(f.VLAN))
	}
	if f.Link == LinkEthernet {
		return d.ethernet(p, f.Data, maxDepth)
	}
	return d.link(p, f.Data)
}

// Resume goes on with the payload of a reassembled IP datagram: p.Key.Proto names its first header, addresses, scope
// and encapsulation are those in p, the last fragment. p may be Fragmented again afterwards, by an inner datagram.
func (d *Decoder) Resume(p *Packet, datagram []byte) Result {
	p.Fragmented, p.Cut, p.whole = false, false, true
	p.Payload, p.segment, p.Smuggled = nil, nil, 0
	if p.csum != CsumBad {
		p.csum = CsumUnknown
	}
	return d.upper(p, datagram, p.Key.Proto, maxDepth)
}

// reset clears what a reader may look at in any packet; TCP and Frag are valid only where they were filled.
func (p *Packet) reset(f *Frame) {
	p.Frame = f
	p.Key = Key{}
	p.FromA = false
	p.IP, p.TTL, p.Encap, p.NVLAN, p.Ether = 0, 0, 0, 0, 0
	p.VLAN = [2]uint16{}
	p.Type, p.Code = 0, 0
	p.Fragmented, p.Cut, p.whole = false, false, false
	p.Payload, p.segment = nil, nil
	p.csum = CsumUnknown
	p.NCarriers = 0
}

// short is the result for bytes that end too early.
func (p *Packet) short() Result {
	if p.frameCut() {
		return Truncated
	}
	return Malformed
}

// frameCut reports whether the capture cut the frame.
func (p *Packet) frameCut() bool { return uint64(p.Frame.Len) > uint64(len(p.Frame.Data)) }

// tag notes a VLAN tag. A priority tag (VLAN 0) names no network.
func (p *Packet) tag(tci uint16) {
	p.Encap |= EncapVLAN
	id := tci & vlanID
	if id == 0 {
		return
	}
	if int(p.NVLAN) < len(p.VLAN) {
		p.VLAN[p.NVLAN] = id
		p.NVLAN++
	}
	p.Key.Scope = mix(p.Key.Scope, EncapVLAN, uint32(id))
}

// enter notes an encapsulation that tells its inside apart by id. Even without an id the inside has a scope of its own:
// else a sender could slip bytes into another flow's stream by wrapping them up for somebody who will not unwrap them.
func (p *Packet) enter(e Encap, id uint32) {
	p.Encap |= e
	p.Key.Scope = mix(p.Key.Scope, e, id)
	p.Cut = false
	if p.csum != CsumBad {
		p.csum = CsumUnknown
	}
}

// mix folds an identifier into a scope. For a given scope and kind it is one to one, but for 0, which stays what no
// encapsulation at all has: no identifier leads back there.
func mix(scope uint32, e Encap, id uint32) uint32 {
	h := scope*0x9e3779b1 + uint32(e)*0x85ebca6b
	h ^= h >> 15
	h = (h ^ id) * 0xc2b2ae35
	h ^= h >> 16
	if h == 0 {
		return 1
	}
	return h
}

// NamespaceScope returns the scope of what is said inside a network namespace and never leaves it: 127.0.0.1 is everywhere, and everywhere
// somebody else. inode is the namespace's; 0, which is none's, is not asked for.
func NamespaceScope(inode uint64) uint32 {
	return mix(0, encapNamespace, uint32(inode)^uint32(inode>>32))
}

// link decodes the rarer link layers.
func (d *Decoder) link(p *Packet, b []byte) Result {
	switch p.Frame.Link {
	case LinkRaw, LinkRawBSD, LinkRawOBSD, LinkIPv4, LinkIPv6:
		return d.version(p, b, maxDepth)
	case LinkNull, LinkLoop:
		return d.loop(p, b)
	case LinkPPP, LinkPPPHDLC:
		return d.ppp(p, b, maxDepth)
	case LinkPPPoE:
		return d.pppoe(p, b, maxDepth)
	case LinkSLL:
		if len(b) < 16 {
			return p.short()
		}
		return d.ether(p, b[16:], cookedType(b[14:16]), maxDepth)
	case LinkSLL2:
		if len(b) < 20 {
			return p.short()
		}
		return d.ether(p, b[20:], cookedType(b[0:2]), maxDepth)
	}
	return UnknownLink
}

// cookedType is the protocol of a Linux cooked header: an EtherType, or 4 for an LLC header.
func cookedType(b []byte) uint16 {
	typ := binary.BigEndian.Uint16(b)
	switch {
	case typ == 4:
		return typeLLC
	case typ <= maxLLC:
		return 0xffff // other ETH_P_ values below the EtherTypes: nothing with IP inside
	}
	return typ
}

// loop decodes a BSD loopback header. Either byte order is taken: the capturing machine's need not be ours.
func (d *Decoder) loop(p *Packet, b []byte) Result {
	if len(b) < 4 {
		return p.short()
	}
	family := binary.LittleEndian.Uint32(b)
	if family > 0xffff {
		family = binary.BigEndian.Uint32(b)
	}
	switch family {
	case 2:
		return d.ether(p, b[4:], typeIPv4, maxDepth)
	case 10, 23, 24, 26, 28, 30: // AF_INET6 of Linux, Windows, NetBSD, Solaris, FreeBSD, Darwin
		return d.ether(p, b[4:], typeIPv6, maxDepth)
	}
	return NoIP
}

// version decodes IP of either version without a header before it.
func (d *Decoder) version(p *Packet, b []byte, left int) Result {
	if len(b) == 0 {
		return p.short()
	}
	switch b[0] >> 4 {
	case 4:
		return d.ether(p, b, typeIPv4, left)
	case 6:
		return d.ether(p, b, typeIPv6, left)
	}
	return Malformed
}

func (d *Decoder) ethernet(p *Packet, b []byte, left int) Result {
	if len(b) < ethernetLen {
		return p.short()
	}
	return d.ether(p, b[ethernetLen:], binary.BigEndian.Uint16(b[12:]), left)
}

// ether decodes what an EtherType announces. left counts the encapsulations still allowed.
func (d *Decoder) ether(p *Packet, b []byte, typ uint16, left int) Result {
	for ; left > 0; left-- {
		p.Ether = typ
		switch typ {
		case typeIPv4:
			return d.ipv4(p, b, left)
		case typeIPv6:
			return d.ipv6(p, b, left)
		case typeVLAN, typeQinQ, typeQinQ91:
			if len(b) < 4 {
				return p.short()
			}
			p.tag(binary.BigEndian.Uint16(b))
			typ, b = binary.BigEndian.Uint16(b[2:]), b[4:]
			continue
		case typeETag:
			if len(b) < 8 {
				return p.short()
			}
			p.enter(EncapVLAN, 1<<16|uint32(binary.BigEndian.Uint16(b[2:])&0x3fff)) // the E-CID, apart from VLAN identifiers
			typ, b = binary.BigEndian.Uint16(b[6:]), b[8:]
			continue
		case typePPPoE:
			return d.pppoe(p, b, left-1)
		case typeMPLS, typeMPLSUp:
			return d.mpls(p, b, left-1)
		case typePPP:
			return d.ppp(p, b, left-1)
		case typeTEB:
			return d.ethernet(p, b, left-1)
		}
		if typ > maxLLC {
			return NoIP
		}
		if int(typ) < len(b) && typ != typeLLC {
			b = b[:typ]
		}
		var r Result
		if typ, b, r = p.llc(b); r != OK {
			return r
		}
	}
	return Malformed
}

// llc takes off an IEEE 802.2 header, with SNAP or for IP directly, and returns the EtherType and what follows.
func (p *Packet) llc(b []byte) (uint16, []byte, Result) {
	c := Cut(b)
	sap, control := c.U16(), c.U8()
	switch {
	case c.Short():
		return 0, nil, p.short()
	case control != 3:
		return 0, nil, NoIP
	case sap == 0x0606:
		return typeIPv4, c.Rest(), OK
	case sap != 0xaaaa:
		return 0, nil, NoIP
	}
	oui, typ := c.U24(), c.U16()
	switch {
	case c.Short():
		return 0, nil, p.short()
	case oui != 0 && oui != 0x0000f8, typ <= maxLLC: // RFC 1042, IEEE 802.1H
		return 0, nil, NoIP
	}
	return typ, c.Rest(), OK
}
