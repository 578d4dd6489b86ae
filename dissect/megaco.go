package dissect

import "weir/wire"

// Megaco is the Gateway Control Protocol: RFC 3525, H.248, in text.
var Megaco = Protocol{
	Name:    "megaco",
	About:   "Megaco or H.248 in its text form (RFC 3525). It is only named: its bytes are inspected raw.",
	Carrier: Datagram, Ports: []uint16{2944}, Probe: probeMegaco,
}

// probeMegaco says Yes to a version and an address in brackets behind it.
func probeMegaco(_ wire.Dir, head []byte) Guess {
	for _, p := range []string{"!/", "MEGACO/"} {
		if len(head) > len(p)+3 && string(head[:len(p)]) == p && isDigit(head[len(p)]) {
			b := head[len(p)+1:]
			return yes(b[0] == ' ' && (b[1] == '[' || b[1] == '<') || b[0] == '\n' && b[1] == '[' || b[0] == '\r' && b[1] == '\n' && b[2] == '[')
		}
	}
	return No
}
