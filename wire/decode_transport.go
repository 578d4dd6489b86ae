package wire

import "encoding/binary"

// From the specification.
const (
	tcpLen  = 20 // bytes, without options
	udpLen  = 8  // bytes
	sctpLen = 12 // bytes, the common header

	// TCP options, RFC 9293 section 3.2, RFC 7323.
	optEnd       = 0
	optNop       = 1
	optMSS       = 2
	optWScale    = 3
	optTimestamp = 8

	maxWScale = 14 // RFC 7323 section 2.3: a greater one is taken as 14

	portVXLAN      = 4789
	portVXLANLinux = 8472 // Linux's, from before IANA's
	portVXLANGPE   = 4790
	portGeneve     = 6081
	portGTPU       = 2152
)

// tcp decodes a TCP header (RFC 9293 section 3.1).
func (p *Packet) tcp(b []byte) Result {
	p.Key.Proto = ProtoTCP
	if len(b) < tcpLen {
		return p.short()
	}
	head := int(b[12]>>4) * 4
	if head < tcpLen {
		return Malformed
	}
	if head > len(b) {
		return p.short()
	}
	p.setPorts(binary.BigEndian.Uint16(b), binary.BigEndian.Uint16(b[2:]), ProtoTCP)
	t := &p.TCP
	t.Seq = Seq(binary.BigEndian.Uint32(b[4:]))
	t.Ack = Seq(binary.BigEndian.Uint32(b[8:]))
	t.Flags = TCPFlags(b[13])
	t.Window = binary.BigEndian.Uint16(b[14:])
	t.Urgent = binary.BigEndian.Uint16(b[18:])
	t.HasWScale, t.BadOptions, t.WScale, t.MSS = false, false, 0, 0
	const nopNopTimestamp = optNop<<24 | optNop<<16 | optTimestamp<<8 | 10
	if head == tcpLen+12 && binary.BigEndian.Uint32(b[tcpLen:]) == nopNopTimestamp {
		t.HasTS = true // what nearly every segment has (RFC 7323 appendix A)
		t.TSVal, t.TSEcr = binary.BigEndian.Uint32(b[24:]), binary.BigEndian.Uint32(b[28:])
	} else {
		t.HasTS, t.TSVal, t.TSEcr = false, 0, 0
		if head > tcpLen {
			t.options(b[tcpLen:head])
		}
	}
	p.Payload, p.segment = b[head:], b
	return OK
}

// options reads a TCP header's option list. An option of the wrong length is passed over, as receivers do.
func (t *TCP) options(b []byte) {
	for len(b) > 0 {
		kind := b[0]
		if kind == optEnd {
			return
		}
		if kind == optNop {
			b = b[1:]
			continue
		}
		if len(b) < 2 || b[1] < 2 || int(b[1]) > len(b) {
			t.BadOptions = true
			return
		}
		o := b[2:b[1]]
		switch {
		case kind == optMSS && len(o) == 2:
			t.MSS = binary.BigEndian.Uint16(o)
		case kind == optWScale && len(o) == 1:
			t.HasWScale, t.WScale = true, min(o[0], maxWScale)
		case kind == optTimestamp && len(o) == 8:
			t.HasTS = true
			t.TSVal, t.TSEcr = binary.BigEndian.Uint32(o), binary.BigEndian.Uint32(o[4:])
		}
		b = b[b[1]:]
	}
}

// udp decodes a UDP header (RFC 768), then what the well-known ports of tunnels announce.
func (d *Decoder) udp(p *Packet, b []byte, left int) Result {
	p.Key.Proto = ProtoUDP
	if len(b) < udpLen {
		return p.short()
	}
	n := int(binary.BigEndian.Uint16(b[4:]))
	switch {
	case n == len(b):
	case n == 0 && (p.IP == 6 || len(b) > 0xffff): // a jumbogram, RFC 2675 section 4, or an offloaded packet as long
	case n < udpLen:
		return Malformed
	case n > len(b):
		p.Cut = true
	default:
		b = b[:n]
	}
	src, dst := binary.BigEndian.Uint16(b), binary.BigEndian.Uint16(b[2:])
	p.setPorts(src, dst, ProtoUDP)
	p.Payload, p.segment = b[udpLen:], b
	scope := p.Key.Scope
	switch {
	case dst == portVXLAN, dst == portVXLANLinux, dst == portVXLANGPE:
		d.vxlan(p, dst == portVXLANGPE, left)
	case dst == portGeneve:
		d.geneve(p, left)
	case dst == portGTPU:
		d.gtp(p, left)
	case dst == portCAPWAP:
		d.capwap(p, left)
	}
	if p.Key.Scope != scope {
		return OK
	}
	return d.anyPort(p, left) // a port says nothing of what else may come to it
}

// sctp decodes an SCTP common header (RFC 9260 section 3.1).
func (p *Packet) sctp(b []byte) Result {
	p.Key.Proto = ProtoSCTP
	if len(b) < sctpLen {
		return p.short()
	}
	p.setPorts(binary.BigEndian.Uint16(b), binary.BigEndian.Uint16(b[2:]), ProtoSCTP)
	p.Payload = b[sctpLen:]
	return OK
}

// icmp decodes an ICMP or ICMPv6 header (RFC 792, RFC 4443). Payload is all of the message: what its header is, is a matter of its type.
func (p *Packet) icmp(b []byte, proto uint8) Result {
	p.Key.Proto = proto
	if len(b) < 4 {
		return p.short()
	}
	p.Type, p.Code = b[0], b[1]
	other, pair := Counterpart(proto, p.Type)
	if !pair {
		other = p.Code
	}
	p.setPorts(uint16(p.Type), uint16(other), proto)
	p.Payload, p.segment = b, b
	return OK
}
