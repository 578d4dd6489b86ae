package dissect

import "weir/wire"

// H323 is the signalling of H.323 calls: Q.931 with H.225.0, in TPKT.
var H323 = Protocol{
	Name:    "h323",
	About:   "Signalling of H.323: Q.931 and H.225.0 over TCP, and registration (RAS) over UDP. It is only named: its bytes are inspected raw.",
	Carrier: Stream, Ports: []uint16{1720}, Probe: probeH323,
}

// probeH323 says Yes to TPKT with a Q.931 message in it.
func probeH323(_ wire.Dir, head []byte) Guess {
	switch {
	case len(head) > 0 && head[0] != 3, len(head) > 1 && head[1] != 0, len(head) > 4 && head[4] != 8, len(head) > 5 && head[5] > 3:
		return No
	case len(head) < 9:
		return Maybe
	}
	at := 6 + int(head[5])
	if at >= len(head) {
		return Maybe
	}
	n := int(head[2])<<8 | int(head[3])
	switch head[at] {
	case 0x01, 0x02, 0x03, 0x05, 0x07, 0x0d, 0x0f, 0x45, 0x4d, 0x5a, 0x62, 0x6e, 0x75, 0x7b, 0x7d: // Q.931's messages
		return yes(n > at+1)
	}
	return No
}
