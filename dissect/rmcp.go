package dissect

import "weir/wire"

// RMCP is the Remote Management Control Protocol of ASF 2.0, which carries IPMI.
var RMCP = Protocol{
	Name:    "rmcp",
	About:   "RMCP (ASF 2.0) and IPMI over LAN. It is only named: its bytes are inspected raw.",
	Carrier: Datagram, Ports: []uint16{623, 664}, Probe: probeRMCP,
}

// probeRMCP says Yes to a message of class ASF or IPMI whose length adds up.
func probeRMCP(_ wire.Dir, head []byte) Guess {
	if len(head) < 12 || head[0] != 6 || head[1] != 0 {
		return No
	}
	switch head[3] & 0x9f {
	case 6: // ASF
		return yes(len(head) == 12+int(head[11]) && head[4]|head[5] == 0 && head[6] == 0x11 && head[7] == 0xbe)
	case 7: // IPMI
		switch head[4] {
		case 0:
			return yes(len(head) >= 14 && len(head)-14-int(head[13]) >= 0 && len(head)-14-int(head[13]) <= 1)
		case 1, 2, 4, 5:
			return yes(len(head) >= 30 && len(head)-30-int(head[29]) >= 0 && len(head)-30-int(head[29]) <= 1)
		case 6:
			n := int(head[14]) | int(head[15])<<8
			return yes(len(head) >= 16+n && head[5]&0x3f <= 0x22)
		}
	}
	return No
}
