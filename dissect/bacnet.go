package dissect

import "weir/wire"

// BACnet is BACnet over IP: ASHRAE 135, annex J.
var BACnet = Protocol{
	Name:    "bacnet",
	About:   "BACnet over IP (ASHRAE 135, annex J). It is only named: its bytes are inspected raw.",
	Carrier: Datagram, Ports: []uint16{47808}, Probe: probeBACnet,
}

// probeBACnet says Yes to a message of its own length, and of version 1 where it carries a network layer.
func probeBACnet(_ wire.Dir, head []byte) Guess {
	if len(head) < 6 || head[0] != 0x81 || head[1] > 12 || !fills(int(head[2])<<8|int(head[3]), head) {
		return No
	}
	at := 4
	switch head[1] {
	case 4: // forwarded: an address comes first
		at = 10
	case 9, 10, 11:
	case 0, 5:
		return yes(len(head) == 6)
	default:
		return yes(len(head) <= 4+10*64)
	}
	return yes(len(head) > at+1 && head[at] == 1 && head[at+1]&0x50 == 0)
}
