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
		"(BEP 14). Handshakes of peers and messages of the hash table have events `bittorrent`; all is inspected as it came.",
	Carrier: Stream, Ports: []uint16{6881, 51413}, Probe: probeBitTorrent, New: newEnveloped(&btEnvelope), Resume: resumeEnveloped(&btEnvelope),
	PerMessage: true, Fields: btFields,
}

// BitTorrentUDP is what BitTorrent sends in datagrams.
var BitTorrentUDP = Protocol{
	Name: "bittorrent", Carrier: Datagram, Ports: []uint16{6881, 51413}, Probe: probeBitTorrentUDP, PerMessage: true, Fields: btFields,
	New: eachDatagram(tellBitTorrentUDP), Resume: eachAgain(tellBitTorrentUDP),
}

var btFields = []FieldSpec{
	btMessage: {Name: "bittorrent.message", Doc: "`handshake` of peers; of the hash table `query`, `response`, `error`; `discovery`, `tracker`", EVE: "message", Derived: true},
	btRequest: {Name: "bittorrent.request", Doc: "what the hash table is asked for, as `get_peers`", EVE: "request", Derived: true},
	btHash:    {Name: "bittorrent.info_hash", Doc: "hash that says what is shared, hex", EVE: "info_hash", Derived: true},
	btPeer:    {Name: "bittorrent.peer_id", Doc: "what a peer calls itself, hex; of the hash table the node's number", EVE: "peer_id", Derived: true},
	btClient:  {Name: "bittorrent.client", Doc: "program of a node and its version, hex", EVE: "client", Derived: true},
	btData:    {Name: "bittorrent.data", Doc: "messages, as they came"},
}

// Fields of BitTorrent, in the order of btFields.
const (
	btMessage Field = iota
	btRequest
	btHash
	btPeer
	btClient
	btData
)

// from the specification
const (
	btHandshake = 68 // bytes: btHello, 8 of options, hash and peer
	btHashSize  = 20 // bytes
)

// ours
const btMaxDepth = 8 // dictionaries and lists in each other

var btEnvelope = enveloping{head: 4, size: btSize, tell: btTell, data: btData}

// btSize returns the length of a message. Bit n of the state says that direction n has said its handshake.
func btSize(d *enveloped, dir wire.Dir, b []byte) int {
	if d.state>>dir&1 != 0 {
		n := 4 + int(int32(binary.BigEndian.Uint32(b)))
		return n // a length that is negative ends it
	}
	if string(b[:4]) != btHello[:4] {
		return 0
	}
	return btHandshake
}

func btTell(d *enveloped, t *teller, dir wire.Dir, b []byte) (n int, sealed bool) {
	if d.state>>dir&1 == 0 {
		d.state |= 1 << dir
		t.addString(btMessage, "handshake")
		t.hexed(btHash, b[28:48])
		t.hexed(btPeer, b[48:68])
	}
	t.add(btData, b)
	return len(b), false
}

// tellBitTorrentUDP tells what stands in a dictionary of the hash table.
func tellBitTorrentUDP(t *teller, _ wire.Dir, b []byte) bool {
	switch {
	case b[0] == 'd' && b[len(b)-1] == 'e':
		btDictionary(t, b)
	case bytes.HasPrefix(b, []byte("BT-SEARCH ")):
		t.addString(btMessage, "discovery")
	case isTracker(b):
		t.addString(btMessage, "tracker")
	}
	t.add(btData, b)
	return true
}

var btKinds = map[string]string{"q": "query", "r": "response", "e": "error"}

// btDictionary tells members of a message of the hash table, and of the dictionaries in it: BEP 5.
func btDictionary(t *teller, b []byte) {
	depth, key := 0, "" // the key whose value comes
	for c := wire.Cut(b); c.Len() > 0; {
		switch at := c.Rest()[0]; {
		case at == 'd' || at == 'l':
			if depth++; depth > btMaxDepth {
				return
			}
			c.Skip(1)
			key = ""
		case at == 'e':
			c.Skip(1)
			depth, key = depth-1, ""
		case at == 'i':
			n := bytes.IndexByte(c.Rest(), 'e')
			if n < 0 {
				return
			}
			c.Skip(n + 1)
			key = ""
		default:
			v, ok := btString(&c)
			if !ok {
				return
			}
			if key == "" {
				key = string(v[:min(len(v), 16)])
				continue
			}
			btMember(t, depth, key, v)
			key = ""
		}
	}
}

// btString reads a text behind its length.
func btString(c *wire.Cursor) (v []byte, ok bool) {
	n := 0
	for digits := 0; digits < 6; digits++ {
		switch at := c.U8(); {
		case at == ':':
			v = c.Bytes(n)
			return v, !c.Short() && digits > 0
		case at < '0' || at > '9':
			return nil, false
		default:
			n = 10*n + int(at-'0')
		}
	}
	return nil, false
}

func btMember(t *teller, depth int, key string, v []byte) {
	switch {
	case depth == 1 && key == "y":
		if kind := btKinds[string(v)]; kind != "" {
			t.addString(btMessage, kind)
		}
	case depth == 1 && key == "q":
		t.add(btRequest, v)
	case depth == 1 && key == "v":
		t.hexed(btClient, v)
	case depth == 2 && key == "id" && len(v) == btHashSize:
		t.hexed(btPeer, v)
	case depth == 2 && (key == "info_hash" || key == "target") && len(v) == btHashSize:
		t.hexed(btHash, v)
	}
}

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
var btPrefixes = [][]byte{[]byte("d1:ad2:id20:"), []byte("d1:rd2:id20:"), []byte("d1:ad2:bsi"), []byte("d1:rd4:BF"), []byte("d1:el"), []byte("d2:ip"), []byte("d1:q9:find_node"), []byte("d1:q9:get_peers"), []byte("d1:q4:ping"), []byte("BT-SEARCH * HTTP/1.")}

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
