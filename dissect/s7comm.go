package dissect

import "weir/wire"

// S7comm is Siemens' protocol of S7 controllers, in COTP (ISO 8073) in TPKT (RFC 1006).
var S7comm = Protocol{
	Name:    "s7comm",
	About:   "S7comm of Siemens' controllers. It is only named: its bytes are inspected raw.",
	Carrier: Stream, Ports: []uint16{102}, Probe: func(dir wire.Dir, head []byte) Guess { return probeCOTP(head, 0x32) },
}

// S7commPlus is its successor.
var S7commPlus = Protocol{
	Name:    "s7comm-plus",
	About:   "S7comm plus of Siemens' controllers. It is only named: its bytes are inspected raw.",
	Carrier: Stream, Ports: []uint16{102}, Probe: func(dir wire.Dir, head []byte) Guess { return probeCOTP(head, 0x72) },
}

// from the specification
const (
	cotpData    = 0xf0 // types of a COTP packet
	cotpConnect = 0xe0
	cotpConfirm = 0xd0
)

// probeCOTP looks through TPKT's packets for the first one with data, and says Yes if that begins with first.
func probeCOTP(head []byte, first byte) Guess {
	for b := head; ; {
		switch {
		case len(b) > 0 && b[0] != 3, len(b) > 1 && b[1] != 0:
			return No
		case len(b) < tpktHeader+2:
			return Maybe
		}
		n, size := int(b[2])<<8|int(b[3]), int(b[4])
		if n < tpktHeader+3 || size < 2 || tpktHeader+1+size > n {
			return No
		}
		switch b[5] & 0xf0 {
		case cotpData:
			at := tpktHeader + 1 + size
			if size != 2 {
				return No
			}
			if len(b) <= at {
				return Maybe
			}
			return yes(n > at && b[at] == first)
		case cotpConnect, cotpConfirm:
			if len(b) < n {
				return Maybe
			}
			if b = b[n:]; len(b) == 0 {
				return Maybe
			}
		default:
			return No
		}
	}
}
