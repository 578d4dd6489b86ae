package dissect

import (
	"encoding/binary"

	"weir/wire"
)

// SOMEIP is Scalable service-Oriented MiddlewarE over IP, of cars: AUTOSAR PRS SOMEIPProtocol.
var SOMEIP = Protocol{
	Name:    "someip",
	About:   "SOME/IP over UDP (AUTOSAR). It is only named: its bytes are inspected raw.",
	Carrier: Datagram, Ports: []uint16{30490}, Probe: probeSOMEIP,
}

// probeSOMEIP says Yes to messages whose lengths fill the datagram, of version 1, with a type and a return code that are assigned.
func probeSOMEIP(_ wire.Dir, head []byte) Guess {
	for b := head; len(b) > 0; {
		if len(b) < 16 || b[12] != 1 || b[15] > 0x0f {
			return No
		}
		switch b[14] &^ 0x20 { // a segment of a message
		case 0, 1, 2, 0x80, 0x81:
		default:
			return No
		}
		n := int64(binary.BigEndian.Uint32(b[4:])) + 8
		if n < 16 || binary.BigEndian.Uint32(b) == 0 {
			return No
		}
		if n > int64(len(b)) {
			return yes(len(head) == MaxProbe && len(b) < len(head))
		}
		b = b[n:]
	}
	return yes(len(head) > 0)
}
