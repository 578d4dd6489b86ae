package dissect

import "weir/wire"

// PTP is the Precision Time Protocol over UDP: IEEE 1588.
var PTP = Protocol{
	Name:    "ptp",
	About:   "PTP 2 over UDP (IEEE 1588). It is only named: its bytes are inspected raw.",
	Carrier: Datagram, Ports: []uint16{319, 320}, Probe: probePTP,
}

// ptpSizes are the least lengths of messages by type, bytes; 0: there is no such type.
var ptpSizes = [16]int{0: 44, 1: 44, 2: 54, 3: 54, 8: 44, 9: 54, 10: 54, 11: 64, 12: 44, 13: 48}

func probePTP(_ wire.Dir, head []byte) Guess {
	if len(head) < 44 || head[1]&15 != 2 || head[1]>>4 > 2 {
		return No
	}
	typ := head[0] & 15
	n := int(head[2])<<8 | int(head[3])
	least := ptpSizes[typ]
	control := head[32]
	return yes(least > 0 && n >= least && (fills(n, head) || len(head) == n+2) && control <= 5 && (head[16]|head[17]|head[18]|head[19] == 0))
}
