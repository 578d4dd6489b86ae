package dissect

import "weir/wire"

// Bolt is the protocol of Neo4j and Memgraph.
var Bolt = Protocol{
	Name: "bolt",
	About: "Bolt, the protocol of Neo4j and Memgraph (Bolt Protocol documentation): kinds of messages; statements and records are told as they came. Each message has an " +
		"event of its own.",
	Carrier:    Stream,
	Ports:      []uint16{7687},
	Probe:      probeBolt,
	PerMessage: true,
	Fields: []FieldSpec{
		boltMessage: {Name: "bolt.message", Doc: "kind of the message, as `run`, `pull`, `record`, `success`", EVE: "message", Derived: true},
		boltData:    {Name: "bolt.data", Doc: "the message, as it came: statements, records, and what the client proves its identity with", Privacy: Sealed},
	},
	New:    newEnveloped(&boltEnvelope),
	Resume: resumeEnveloped(&boltEnvelope),
}

// Fields of Bolt, in the order of Bolt.Fields.
const (
	boltMessage Field = iota
	boltData
)

var boltEnvelope = enveloping{head: 2, size: boltSize, tell: boltTell, data: boltData}

// boltNames are the names of messages.
var boltNames = map[byte]string{
	0x01: "hello", 0x02: "goodbye", 0x0f: "reset", 0x10: "run", 0x11: "begin", 0x12: "commit", 0x13: "rollback", 0x2f: "discard", 0x3f: "pull", 0x54: "telemetry",
	0x66: "route", 0x6a: "logon", 0x6b: "logoff", 0x70: "success", 0x71: "record", 0x7e: "ignored", 0x7f: "failure",
}

// boltSize returns the length of a chunk. Bit n of the state says that direction n has said what stands in front of the first one.
func boltSize(d *enveloped, dir wire.Dir, b []byte) int {
	switch {
	case d.state>>dir&1 != 0:
		return 2 + int(b[0])<<8 + int(b[1])
	case dir == wire.ToServer:
		return len(boltMagic) + 16 // and four versions that it speaks
	}
	return 4 // the version chosen
}

// boltTell tells a chunk: an empty one ends its message.
func boltTell(d *enveloped, t *teller, dir wire.Dir, b []byte) (n int, sealed bool) {
	s := &d.side[dir]
	if d.state>>dir&1 == 0 {
		d.state |= 1 << dir
		t.add(boltData, b)
		return len(b), false
	}
	b = b[2:]
	if len(b) >= 2 && !s.more && b[0]>>4 == 0xb { // a structure
		t.addString(boltMessage, boltNames[b[1]])
	}
	if !s.more && t.wants(boltData) {
		s.text = pieces{field: boltData, value: t.value()}
	}
	s.text.more(t, b, false)
	s.more = len(b) > 0
	return 2 + len(b), false
}

// boltMagic is what a client says first.
const boltMagic = "\x60\x60\xb0\x17"

// probeBolt says Yes to the client's magic number.
func probeBolt(dir wire.Dir, head []byte) Guess {
	if dir == wire.ToClient {
		return No
	}
	return starts(head, boltMagic)
}
