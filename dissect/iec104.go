package dissect

import "weir/wire"

// IEC104 is IEC 60870-5-104, telecontrol over TCP.
var IEC104 = Protocol{
	Name:    "iec104",
	About:   "IEC 60870-5-104. It is only named: its bytes are inspected raw.",
	Carrier: Stream, Ports: []uint16{2404}, Probe: probeIEC104,
}

// probeIEC104 says Yes to a frame that starts, stops or tests the transfer, or to two frames one behind the other.
func probeIEC104(_ wire.Dir, head []byte) Guess {
	for i, b := 0, head; ; i++ {
		switch {
		case len(b) > 0 && b[0] != 0x68, len(b) > 1 && (b[1] < 4 || b[1] > 253):
			return No
		case len(b) < 6:
			return Maybe
		}
		switch control := b[2]; {
		case control&3 == 3: // U: one function and nothing else
			return yes(b[1] == 4 && b[3]|b[4]|b[5] == 0 && (control == 0x07 || control == 0x0b || control == 0x13 || control == 0x23 || control == 0x43 || control == 0x83))
		case control&3 == 1: // S
			if b[1] != 4 || control != 1 || b[3] != 0 || b[4]&1 != 0 {
				return No
			}
		case b[1] < 10 || b[4]&1 != 0:
			return No
		}
		if i > 0 {
			return Yes
		}
		n := 2 + int(b[1])
		if len(b) <= n {
			return Maybe
		}
		b = b[n:]
	}
}
