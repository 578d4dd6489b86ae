package dissect

import "weir/wire"

// BGP is the Border Gateway Protocol: RFC 4271.
var BGP = Protocol{
	Name:    "bgp",
	About:   "BGP 4 (RFC 4271). It is only named: its bytes are inspected raw.",
	Carrier: Stream, Ports: []uint16{179}, Probe: probeBGP,
}

// probeBGP says Yes to a message behind its marker of 16 bytes.
func probeBGP(_ wire.Dir, head []byte) Guess {
	for _, c := range head[:min(len(head), 16)] {
		if c != 0xff {
			return No
		}
	}
	if len(head) < 19 {
		return Maybe
	}
	n, typ := int(head[16])<<8|int(head[17]), head[18]
	return yes(n >= 19 && n <= 4096 && (typ == 4 && n == 19 || typ == 1 && n >= 29 || typ == 2 && n >= 23 || typ == 3 && n >= 21 || typ == 5 && n >= 23))
}
