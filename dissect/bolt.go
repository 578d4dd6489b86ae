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

// boltManifest is what a server answers that tells all versions it speaks, for the client to choose from: Bolt 5.7 on.
const boltManifest = "\x00\x00\x01\xff"

// Bits of the state. Bit n says that direction n has said what stands in front of its first chunk.
const (
	boltChooses = 1 << 2 // the server has told a manifest, whose versions come next
	boltChosen  = 1 << 3 // the client has said what comes behind its first piece
)

// boltSize returns the length of a chunk, or of what stands in front of the first one. No client begins with an empty chunk: two zeros are the
// version that it chooses from a manifest, which may be seen before the manifest is.
func boltSize(d *enveloped, dir wire.Dir, b []byte) int {
	switch client := dir == wire.ToServer; {
	case d.state>>dir&1 == 0 && client:
		return len(boltMagic) + 16 // and four versions that it speaks
	case d.state>>dir&1 == 0:
		return 4 // the version chosen
	case client && d.state&boltChosen == 0 && b[0]|b[1] == 0:
		return 5 // the version chosen, and what else is agreed on
	case !client && d.state&boltChooses != 0:
		return 1 + 4*int(b[0]&0x7f) + 1 // versions, and what else it can do
	}
	return 2 + int(b[0])<<8 + int(b[1])
}

// boltTell tells a chunk: an empty one ends its message.
func boltTell(d *enveloped, t *teller, dir wire.Dir, b []byte) (n int, sealed bool) {
	s, client, front := &d.side[dir], dir == wire.ToServer, true
	switch {
	case d.state>>dir&1 == 0:
		d.state |= 1 << dir
		if !client && string(b) == boltManifest {
			d.state |= boltChooses
		}
	case client && d.state&boltChosen == 0:
		d.state |= boltChosen
		front = b[0]|b[1] == 0
	case !client && d.state&boltChooses != 0:
		d.state &^= boltChooses
	default:
		front = false
	}
	if front {
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
