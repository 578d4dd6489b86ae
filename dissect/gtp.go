package dissect

import "weir/wire"

// GTP is the GPRS Tunnelling Protocol: control (GTPv1-C, 3GPP TS 29.060; GTPv2-C, TS 29.274; GTP', TS 32.295) and what GTP-U (TS 29.281) says beside
// the packets that it carries.
var GTP = Protocol{
	Name: "gtp",
	About: "GTP 1 and 2 (3GPP TS 29.060, 29.274, 29.281, 32.295): control messages. They are only named: their bytes are inspected raw. Packets that " +
		"GTP-U carries are taken out and are flows of their own.",
	Carrier: Datagram, Ports: []uint16{2123, 2152, 3386}, Probe: probeGTP,
}

// probeGTP says Yes to a message whose length is the datagram's, and whose elements, of version 2, fill it.
func probeGTP(_ wire.Dir, head []byte) Guess {
	if len(head) < 8 {
		return No
	}
	version, kind, n := head[0]>>5, head[1], int(head[2])<<8|int(head[3])
	switch {
	case version == 1 && head[0]&0x08 == 0 && kind != 0 && kind != gtpUser:
		if head[0]&0x17 == 0x12 || head[0]&0x17 == 0x10 { // of a control message the number is there
			return yes(fills(8+n, head) && (head[0]&7 == 0 || n >= 4) && gtpKinds[kind])
		}
	case version == 1 && head[0]&0x18 == 0x10 && kind == gtpUser:
		return yes(n >= 20 && fills(8+n, head) && gtpCarries(head))
	case version == 2 && head[0]&0x07 == 0 && kind != 0:
		at := 8
		if head[0]&0x08 != 0 {
			at = 12
		}
		return yes(fills(4+n, head) && 4+n >= at && gtpElements(head, at, head[0]&0x10 != 0))
	}
	return No
}

// from the specification
const gtpUser = 255 // G-PDU

// gtpKinds are messages of version 1.
var gtpKinds = func() (is [256]bool) {
	for _, r := range [][2]int{{1, 7}, {16, 33}, {48, 70}, {96, 105}, {112, 121}, {128, 130}, {240, 241}, {254, 254}} {
		for k := r[0]; k <= r[1]; k++ {
			is[k] = true
		}
	}
	return is
}()

// gtpCarries reports whether a G-PDU carries an IP packet.
func gtpCarries(b []byte) bool {
	c := wire.Cut(b)
	flags := c.U8()
	c.Skip(7)
	if flags&7 != 0 {
		c.Skip(3)
		for next := c.U8(); next != 0 && !c.Short(); {
			ext := c.Bytes(int(c.U8())*4 - 1)
			if len(ext) == 0 {
				return false
			}
			next = ext[len(ext)-1]
		}
	}
	b = c.Rest()
	if len(b) < 20 {
		return false
	}
	switch b[0] >> 4 {
	case 4:
		return b[0]&15 >= 5 && int(b[2])<<8|int(b[3]) <= len(b)
	case 6:
		return len(b) >= 40 && int(b[4])<<8|int(b[5])+40 <= len(b)
	}
	return false
}

// gtpElements reports whether information elements fill b from at on; piggy says that another message may follow.
func gtpElements(b []byte, at int, piggy bool) bool {
	if at > len(b) {
		return false
	}
	c := wire.Cut(b[at:])
	for c.Len() > 0 {
		typ, n := c.U8(), int(c.U16())
		c.Skip(1 + n)
		if typ == 0 || c.Short() {
			return piggy || len(b) == MaxProbe
		}
	}
	return !c.Short()
}
