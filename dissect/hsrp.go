package dissect

import (
	"bytes"

	"weir/wire"
)

// HSRP is Cisco's Hot Standby Router Protocol: RFC 2281 (version 0), and version 2.
var HSRP = Protocol{
	Name:    "hsrp",
	About:   "HSRP (RFC 2281) and its version 2. It is only named: its bytes are inspected raw.",
	Carrier: Datagram, Ports: []uint16{1985, 2029}, Probe: probeHSRP,
}

// probeHSRP says Yes to a message of either version: of a fixed length, with known codes and states.
func probeHSRP(_ wire.Dir, head []byte) Guess {
	switch {
	case len(head) == 20 && head[0] == 0 && head[1] <= 2:
		switch head[2] {
		case 0, 1, 2, 4, 8, 16:
			// the password is text
			return yes(head[3] > 0 && head[4] >= head[3] && head[7] == 0 && head[16] != 0 && oneLine(bytes.TrimRight(head[8:16], "\x00")))
		}
	case len(head) == 16 && head[0] == 0 && head[1] == 3: // an advertisement
		return yes(head[2] == 0 && head[3] == 1 && head[4] == 0 && head[5] <= 12)
	case len(head) >= 42 && head[0] == 1 && head[1] == 40 && head[2] == 2: // version 2: a group's state
		return yes(head[3] <= 2 && head[4] <= 6 && (head[5] == 4 || head[5] == 6))
	}
	return No
}
