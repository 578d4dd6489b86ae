package dissect

import (
	"encoding/binary"

	"weir/wire"
)

// PPTP is the control connection of the Point-to-Point Tunneling Protocol: RFC 2637. Its data comes in GRE.
var PPTP = Protocol{
	Name:    "pptp",
	About:   "Control connections of PPTP (RFC 2637). They are only named: their bytes are inspected raw.",
	Carrier: Stream, Ports: []uint16{1723}, Probe: probePPTP,
}

// probePPTP says Yes to the start of a control connection, by its length, its type and its cookie.
func probePPTP(_ wire.Dir, head []byte) Guess {
	if len(head) > 0 && head[0] != 0 || len(head) > 1 && head[1] != 156 {
		return No
	}
	if len(head) < 10 {
		return Maybe
	}
	return yes(head[2] == 0 && head[3] == 1 && binary.BigEndian.Uint32(head[4:]) == 0x1a2b3c4d && head[8] == 0 && (head[9] == 1 || head[9] == 2))
}
