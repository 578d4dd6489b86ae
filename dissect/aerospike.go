package dissect

import "weir/wire"

// Aerospike is Aerospike's client protocol.
var Aerospike = Protocol{
	Name: "aerospike",
	About: "Aerospike's client protocol (Aerospike documentation, \"Wire Protocol\"): kinds of messages; what is in them is told as it came. Each message has an event of its " +
		"own.",
	Carrier:    Stream,
	Ports:      []uint16{3000},
	Probe:      probeAerospike,
	PerMessage: true,
	Fields: []FieldSpec{
		aerospikeKind: {Name: "aerospike.message", Doc: "kind of the message: `info`, `admin`, `message`, `compressed`", EVE: "message", Derived: true},
		aerospikeData: {Name: "aerospike.data", Doc: "what is in it, as it came"},
	},
	New:    newEnveloped(&aerospikeEnvelope),
	Resume: resumeEnveloped(&aerospikeEnvelope),
}

// Fields of Aerospike, in the order of Aerospike.Fields.
const (
	aerospikeKind Field = iota
	aerospikeData
)

var aerospikeEnvelope = enveloping{head: aerospikeHeader, size: aerospikeSize, tell: aerospikeTell, data: aerospikeData}

var aerospikeNames = [...]string{aerospikeInfo: "info", aerospikeAdmin: "admin", aerospikeMessage: "message", aerospikePacked: "compressed"}

func aerospikeSize(d *enveloped, dir wire.Dir, b []byte) int {
	c := wire.Cut(b)
	version, kind, high, low := c.U8(), c.U8(), c.U16(), c.U32()
	if version != 2 || kind < aerospikeInfo || kind > aerospikePacked || high != 0 || low > 1<<28 {
		return 0
	}
	return aerospikeHeader + int(low)
}

func aerospikeTell(d *enveloped, t *teller, dir wire.Dir, b []byte) (n int, sealed bool) {
	t.addString(aerospikeKind, aerospikeNames[b[1]])
	if b[1] == aerospikePacked {
		return len(b), true
	}
	return aerospikeHeader, false
}

// from the specification
const (
	aerospikeHeader  = 8  // bytes of the outer header
	aerospikeInner   = 22 // bytes of a message's header
	aerospikeInfo    = 1
	aerospikeAdmin   = 2
	aerospikeMessage = 3
	aerospikePacked  = 4
)

// probeAerospike says Yes to an outer header with what belongs behind it.
func probeAerospike(_ wire.Dir, head []byte) Guess {
	if g := starts(head, "\x02"); g != Yes || len(head) < 2 {
		return min(g, Maybe)
	}
	if head[1] < aerospikeInfo || head[1] > aerospikePacked {
		return No
	}
	if g := starts(head[2:], "\x00\x00"); g != Yes {
		return g
	}
	if len(head) < aerospikeHeader+1 {
		return Maybe
	}
	c := wire.Cut(head[4:])
	size, first := c.U32(), head[aerospikeHeader]
	switch head[1] {
	case aerospikeInfo:
		if size >= 1 && size < 1<<20 && first >= 'a' && first <= 'z' && isText(head[aerospikeHeader:min(len(head), aerospikeHeader+min(int(size), 4))]) {
			if len(head) < aerospikeHeader+4 && len(head) < aerospikeHeader+int(size) {
				return Maybe
			}
			return Yes
		}
	case aerospikeMessage:
		if size >= aerospikeInner && first == aerospikeInner {
			return Yes
		}
	case aerospikeAdmin:
		if size >= 16 && size < 1<<16 && first == 0 {
			if len(head) < 11 {
				return Maybe
			}
			if head[9] <= 100 && head[10] <= 100 {
				return Yes
			}
		}
	}
	return No
}
