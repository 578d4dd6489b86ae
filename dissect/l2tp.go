package dissect

import (
	"encoding/binary"

	"weir/wire"
)

// L2TP is the Layer Two Tunneling Protocol: RFC 2661 (version 2) and, over UDP, RFC 3931 (version 3).
var L2TP = Protocol{
	Name:    "l2tp",
	About:   "L2TP 2 and 3 over UDP (RFC 2661, RFC 3931), from a control message on. Control messages have an event `l2tp` each; what the tunnel carries is inspected as it came.",
	Carrier: Datagram, Ports: []uint16{1701}, Probe: probeL2TP, PerMessage: true, New: eachDatagram(tellL2TP), Resume: eachAgain(tellL2TP),
	Fields: []FieldSpec{
		l2tpVersion: {Name: "l2tp.version", Doc: "2 or 3", EVE: "version", Number: true, Derived: true},
		l2tpMessage: {Name: "l2tp.message", Doc: "kind of a control message, as `SCCRQ`", EVE: "message", Derived: true},
		l2tpTunnel:  {Name: "l2tp.tunnel", Doc: "number of the tunnel, or of version 3's control connection", EVE: "tunnel", Number: true, Derived: true},
		l2tpSession: {Name: "l2tp.session", Doc: "number of the session", EVE: "session", Number: true, Derived: true},
		l2tpHost:    {Name: "l2tp.host", Doc: "host name that an end gives", EVE: "host", Derived: true},
		l2tpVendor:  {Name: "l2tp.vendor", Doc: "what it says that it is", EVE: "vendor", Derived: true},
		l2tpData:    {Name: "l2tp.data", Doc: "the datagram, as it came"},
	},
}

// Fields of L2TP, in the order of L2TP.Fields.
const (
	l2tpVersion Field = iota
	l2tpMessage
	l2tpTunnel
	l2tpSession
	l2tpHost
	l2tpVendor
	l2tpData
)

// from the specification
const (
	l2tpControl   = 0x8000 // bits of the first two bytes
	l2tpHasLength = 0x4000 //
	l2tpHidden    = 0x4000 // bit of an attribute: its value is encrypted
	l2tpHostName  = 7      // attributes
	l2tpVendorOf  = 8
)

var l2tpNames = []string{1: "SCCRQ", "SCCRP", "SCCCN", "StopCCN", 6: "HELLO", "OCRQ", "OCRP", "OCCN", "ICRQ", "ICRP", "ICCN", 14: "CDN", "WEN", "SLI", 20: "ACK"}

// tellL2TP tells a datagram; one of version 2 without the bit of control is a packet of what the tunnel carries, likewise in version 3.
func tellL2TP(t *teller, _ wire.Dir, b []byte) bool {
	c := wire.Cut(b)
	flags := c.U16()
	version := flags & 15
	if c.Len() < 4 || version != 2 && version != 3 {
		return false
	}
	if flags&l2tpHasLength != 0 {
		c.Skip(2)
	}
	if flags&l2tpControl == 0 {
		t.add(l2tpData, b)
		return true
	}
	t.number(l2tpVersion, int64(version))
	if version == 2 {
		t.number(l2tpTunnel, int64(c.U16()))
		t.number(l2tpSession, int64(c.U16()))
	} else {
		t.number(l2tpTunnel, int64(c.U32()))
	}
	c.Skip(4) // Ns, Nr
	l2tpAttributes(t, c.Rest())
	t.add(l2tpData, b)
	return true
}

// l2tpAttributes tells what a control message says: RFC 2661 section 4.1.
func l2tpAttributes(t *teller, b []byte) {
	for c := wire.Cut(b); c.Len() >= 6; {
		head, vendor, typ := c.U16(), c.U16(), c.U16()
		value := c.Bytes(int(head&0x3ff) - 6)
		if head&0x3ff < 6 || c.Short() {
			return
		}
		switch {
		case vendor != 0 || head&l2tpHidden != 0:
		case typ == 0 && len(value) == 2:
			t.named(l2tpMessage, l2tpNames, int(binary.BigEndian.Uint16(value)))
		case typ == l2tpHostName:
			t.padded(l2tpHost, value)
		case typ == l2tpVendorOf:
			t.padded(l2tpVendor, value)
		}
	}
}

// probeL2TP says Yes to a control message whose length is the datagram's, and whose first attribute is its type.
func probeL2TP(_ wire.Dir, head []byte) Guess {
	if len(head) < 20 {
		return No
	}
	flags := binary.BigEndian.Uint16(head)
	if flags&0xcb0f != 0xc802 && flags&0xcb0f != 0xc803 || !fills(int(binary.BigEndian.Uint16(head[2:])), head) {
		return No
	}
	size, vendor, attribute := binary.BigEndian.Uint16(head[12:]), binary.BigEndian.Uint16(head[14:]), binary.BigEndian.Uint16(head[16:])
	return yes(size&0x3ff == 8 && vendor == 0 && attribute == 0 && head[18] == 0 && head[19] >= 1 && head[19] <= 28)
}
