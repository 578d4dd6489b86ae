package dissect

import (
	"bytes"
	"encoding/binary"

	"weir/wire"
)

// BitTorrent is BitTorrent between peers over TCP: BEP 3.
var BitTorrent = Protocol{
	Name: "bittorrent",
	About: "BitTorrent: peers over TCP (BEP 3), µTP (BEP 29), the distributed hash table (BEP 5), trackers over UDP (BEP 15) and local discovery " +
		"(BEP 14). It is only named: its bytes are inspected raw.",
	Carrier: Stream, Ports: []uint16{6881, 51413}, Probe: probeBitTorrent,
}

// BitTorrentUDP is what BitTorrent sends in datagrams.
var BitTorrentUDP = Protocol{Name: "bittorrent", Carrier: Datagram, Ports: []uint16{6881, 51413}, Probe: probeBitTorrentUDP}

const btHello = "\x13BitTorrent protocol"

func probeBitTorrent(_ wire.Dir, head []byte) Guess {
	n := min(len(head), len(btHello))
	switch {
	case string(head[:n]) != btHello[:n]:
		return No
	case n < len(btHello):
		return Maybe
	}
	return Yes
}

// btPrefixes are beginnings of datagrams: queries, answers and errors of the hash table, whose keys are sorted; local discovery.
var btPrefixes = [][]byte{[]byte("d1:ad2:id20:"), []byte("d1:rd2:id20:"), []byte("d1:el"), []byte("d2:ip"), []byte("d1:q9:find_node"), []byte("d1:q9:get_peers"), []byte("d1:q4:ping"), []byte("BT-SEARCH * HTTP/1.")}

func probeBitTorrentUDP(_ wire.Dir, head []byte) Guess {
	for _, p := range btPrefixes {
		if bytes.HasPrefix(head, p) {
			return yes(head[0] == 'B' || head[len(head)-1] == 'e' || len(head) == MaxProbe)
		}
	}
	return yes(isUTP(head) || isTracker(head))
}

// isUTP reports whether b opens a connection of µTP, or carries a handshake of peers: of other packets too little is certain.
func isUTP(b []byte) bool {
	if len(b) < 20 || b[0]&15 != 1 || b[0]>>4 > 4 {
		return false
	}
	at := 20
	for next := b[1]; next != 0; {
		if next > 4 || at+2 > len(b) || b[at+1] > 16 {
			return false
		}
		next, at = b[at], at+2+int(b[at+1])
	}
	if at > len(b) {
		return false
	}
	if b[0]>>4 == 4 { // ST_SYN
		return len(b) == at && binary.BigEndian.Uint16(b[16:]) == 1 && binary.BigEndian.Uint16(b[18:]) == 0 && binary.BigEndian.Uint32(b[8:]) == 0
	}
	return b[0]>>4 == 0 && bytes.HasPrefix(b[at:], []byte(btHello))
}

// isTracker reports whether b asks a tracker to connect.
func isTracker(b []byte) bool {
	return len(b) == 16 && binary.BigEndian.Uint64(b) == 0x41727101980 && binary.BigEndian.Uint32(b[8:]) == 0
}
