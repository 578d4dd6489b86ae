package dissect

import (
	"encoding/binary"

	"weir/wire"
)

// NetFlow is Cisco's NetFlow, versions 1, 5, 7 and 9 (RFC 3954), and IPFIX (RFC 7011).
var NetFlow = Protocol{
	Name:    "netflow",
	About:   "NetFlow 1, 5, 7 and 9 (RFC 3954) and IPFIX (RFC 7011) over UDP. Datagrams have no events of their own.",
	Carrier: Datagram, Ports: []uint16{2055, 4739, 9995, 9996}, Probe: probeNetFlow, PerMessage: true, New: eachDatagram(tellNetFlow), Resume: eachAgain(tellNetFlow),
	Fields: []FieldSpec{
		{Name: "netflow.version", Doc: "version, digits; 10 is IPFIX", Derived: true},
		{Name: "netflow.data", Doc: "the datagram"},
	},
}

// SFlow is sFlow version 5.
var SFlow = Protocol{
	Name:    "sflow",
	About:   "sFlow 5. Datagrams have no events of their own; the packets that they sample are inspected as they are.",
	Carrier: Datagram, Ports: []uint16{6343}, Probe: probeSFlow, PerMessage: true, New: eachDatagram(tellSFlow), Resume: eachAgain(tellSFlow),
	Fields: []FieldSpec{
		{Name: "sflow.agent", Doc: "IPv4 address of the agent", Derived: true},
		{Name: "sflow.data", Doc: "the datagram"},
	},
}

func probeNetFlow(_ wire.Dir, head []byte) Guess { return yes(isNetFlow(head)) }

// isNetFlow reports whether the records or sets of a datagram fill it.
func isNetFlow(b []byte) bool {
	if len(b) < 24 {
		return false
	}
	version, count := binary.BigEndian.Uint16(b), int(binary.BigEndian.Uint16(b[2:]))
	switch version {
	case 1:
		return count > 0 && count <= 24 && fills(16+52*count, b)
	case 5:
		return count > 0 && count <= 30 && fills(24+48*count, b)
	case 7:
		return count > 0 && count <= 28 && fills(24+52*count, b)
	case 9:
		return count > 0 && count < 1<<10 && netflowSets(b[20:], 0, len(b))
	case 10:
		return fills(count, b) && netflowSets(b[16:], 2, len(b))
	}
	return false
}

// netflowSets reports whether sets fill b; a set's number is first or first+1 for templates, else at least 256.
func netflowSets(b []byte, first uint16, all int) bool {
	for c := wire.Cut(b); c.Len() > 0; {
		id, n := c.U16(), int(c.U16())
		if n < 8 || id > first+1 && id < 256 || id < first {
			return false
		}
		if c.Skip(n - 4); c.Short() {
			return all == MaxProbe
		}
	}
	return true
}

func tellNetFlow(t *teller, _ wire.Dir, b []byte) bool {
	if !isNetFlow(b) {
		return false
	}
	t.number(0, int64(b[1]))
	t.add(1, b)
	return true
}

func probeSFlow(_ wire.Dir, head []byte) Guess { return yes(isSFlow(head)) }

// isSFlow reports whether the samples of a datagram fill it.
func isSFlow(b []byte) bool {
	c := wire.Cut(b)
	version, family := c.U32(), c.U32()
	if version != 5 || family != 1 && family != 2 {
		return false
	}
	c.Skip(int(family*family) * 4) // 4 or 16 bytes
	c.Skip(12)
	n := c.U32()
	if c.Short() || n == 0 || n > 256 {
		return false
	}
	for range n {
		if kind := c.U32(); kind&0xfff > 5 {
			return false
		}
		size := int(c.U32())
		if size%4 != 0 || size > 1<<16 {
			return false
		}
		if c.Skip(size); c.Short() {
			return len(b) == MaxProbe
		}
	}
	return c.Len() == 0
}

func tellSFlow(t *teller, _ wire.Dir, b []byte) bool {
	if !isSFlow(b) {
		return false
	}
	if b[7] == 1 {
		t.address(0, b[8:12])
	}
	t.add(1, b)
	return true
}
