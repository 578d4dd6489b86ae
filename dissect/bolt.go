package dissect

import "weir/wire"

// Bolt is the protocol of Neo4j and Memgraph.
var Bolt = Protocol{Name: "bolt", About: "Bolt, the protocol of Neo4j and Memgraph.", Carrier: Stream, Ports: []uint16{7687}, Probe: probeBolt}

// boltMagic is what a client says first.
const boltMagic = "\x60\x60\xb0\x17"

// probeBolt says Yes to the client's magic number.
func probeBolt(dir wire.Dir, head []byte) Guess {
	if dir == wire.ToClient {
		return No
	}
	return starts(head, boltMagic)
}
