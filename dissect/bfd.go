package dissect

import (
	"encoding/binary"

	"weir/wire"
)

// BFD is Bidirectional Forwarding Detection: RFC 5880.
var BFD = Protocol{
	Name:    "bfd",
	About:   "BFD (RFC 5880). It is only named: its bytes are inspected raw.",
	Carrier: Datagram, Ports: []uint16{3784, 3785, 4784}, Probe: probeBFD,
}

// probeBFD says Yes to a control packet that its receiver would not discard: RFC 5880 section 6.8.6.
func probeBFD(_ wire.Dir, head []byte) Guess {
	if len(head) < 24 || head[0]>>5 != 1 || head[0]&31 > 8 || int(head[3]) != len(head) || head[2] == 0 || head[1]&1 != 0 {
		return No
	}
	state, mine, yours := head[1]>>6, binary.BigEndian.Uint32(head[4:]), binary.BigEndian.Uint32(head[8:])
	interval := binary.BigEndian.Uint32(head[12:])
	return yes((head[1]&4 != 0) == (len(head) > 24) && mine != 0 && (yours != 0 || state < 2) && interval >= 1000 && interval <= 60_000_000)
}
