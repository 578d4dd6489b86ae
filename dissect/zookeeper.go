package dissect

import (
	"encoding/binary"

	"weir/wire"
)

// ZooKeeper is the client protocol of Apache ZooKeeper.
var ZooKeeper = Protocol{Name: "zookeeper", About: "Apache ZooKeeper's client protocol.", Carrier: Stream, Ports: []uint16{2181, 2182}, Probe: probeZooKeeper}

// zooWords are the four-letter words that stand for themselves.
var zooWords = []string{"ruok", "mntr", "srvr", "envi", "wchs", "wchc", "wchp", "isro", "crst", "srst", "gtmk", "stmk"}

// probeZooKeeper says Yes to what opens a session, and to the four-letter words.
func probeZooKeeper(dir wire.Dir, head []byte) Guess {
	if dir == wire.ToServer && head[0] != 0 {
		best := No
		for _, s := range zooWords {
			best = max(best, starts(head, s))
		}
		return best
	}
	if g := starts(head, "\x00\x00\x00"); g != Yes {
		return g
	}
	if len(head) < 4 {
		return Maybe
	}
	least, most := byte(44), byte(45)
	at := 4 + 4 + 8 + 4 + 8
	if dir == wire.ToClient {
		least, most, at = 36, 37, 4+4+4+8
	}
	if head[3] < least || head[3] > most {
		return No
	}
	if g := starts(head[4:], "\x00\x00\x00\x00"); g != Yes { // version of the protocol
		return g
	}
	if len(head) < at+4 {
		return Maybe
	}
	if binary.BigEndian.Uint32(head[at:]) == 16 && binary.BigEndian.Uint32(head[at-12:]) <= 1<<24 { // length of the password, time-out
		return Yes
	}
	return No
}
