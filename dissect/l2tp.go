package dissect

import (
	"encoding/binary"

	"weir/wire"
)

// L2TP is the Layer Two Tunneling Protocol: RFC 2661 (version 2) and, over UDP, RFC 3931 (version 3).
var L2TP = Protocol{
	Name:    "l2tp",
	About:   "L2TP 2 and 3 over UDP (RFC 2661, RFC 3931), by its control messages. It is only named: its bytes are inspected raw.",
	Carrier: Datagram, Ports: []uint16{1701}, Probe: probeL2TP,
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
