package dissect

import (
	"encoding/binary"
	"errors"

	"weir/wire"
)

// Thrift is Apache Thrift over TCP: the strict binary protocol and the compact one, framed, and the binary one without frames.
var Thrift = Protocol{
	Name: "thrift",
	About: "Apache Thrift (thrift.apache.org): the strict binary protocol, framed or not, and the compact protocol, framed; over UDP both are " +
		"named. A call and its answer are an exchange. Arguments and results are inspected as they came.",
	Carrier: Stream,
	Ports:   []uint16{9090},
	Probe:   probeThrift,
	Fields: []FieldSpec{
		thriftMethod: {Name: "thrift.method", Doc: "method that is called", EVE: "method"},
		thriftType:   {Name: "thrift.type", Doc: "`call`, `reply`, `exception` or `oneway`; of the answer if there is one", EVE: "type", Derived: true},
		thriftSeq:    {Name: "thrift.seqid", Doc: "number of the call", EVE: "seqid", Number: true, Derived: true},
		thriftArgs:   {Name: "thrift.arguments", Doc: "arguments of a call, as they came"},
		thriftResult: {Name: "thrift.result", Doc: "result or exception, as it came"},
	},
	New: newThrift,
}

// ThriftUDP is Thrift in datagrams, as Jaeger's agents speak it: it is only named.
var ThriftUDP = Protocol{Name: "thrift", Carrier: Datagram, Ports: []uint16{6831, 6832}, Probe: probeThriftUDP}

// Fields of Thrift.
const (
	thriftMethod Field = iota
	thriftType
	thriftSeq
	thriftArgs
	thriftResult
)

// from the specification.
const (
	thriftVersion = 0x8001 // of the binary protocol
	thriftCompact = 0x82
)

// ours
const (
	thriftMaxFrame  = 256 << 20 // bytes of a frame
	thriftMaxStruct = 256 << 10 // bytes of a struct that no frame is around
	thriftMaxName   = 1 << 10   // bytes of a method's name
	thriftMaxDepth  = 16        // structs and containers in one another
	thriftMaxWalk   = 8 << 20   // bytes that are walked again, since a struct that no frame is around came in pieces, until it is given up
)

var thriftTypes = [...]string{1: "call", 2: "reply", 3: "exception", 4: "oneway"}

var errThrift = errors.New("thrift: no message")

// thrift parses one connection.
type thrift struct {
	framed
	pairs  pairs
	walked [2]int // bytes of a struct that is not whole yet that were looked at, each time it grew
}

func newThrift(p *Protocol, env *Env) Dissector {
	d := &thrift{}
	d.framed = makeFramed(p, env, d.next)
	return d
}

// Size implements Dissector.
func (d *thrift) Size() int { return framedSize + d.pairs.size() }

// thriftHead is what a message begins with.
type thriftHead struct {
	kind uint8
	name []byte
	seq  uint32
	size int // bytes
}

// readThrift reads a message's head; ok is 0 if more bytes are needed, -1 if it is none.
func readThrift(b []byte) (h thriftHead, ok int) {
	if len(b) == 0 {
		return h, 0
	}
	c := wire.Cut(b)
	var n uint64
	if b[0] == thriftCompact {
		c.U8()
		v := c.U8()
		h.kind = v >> 5
		if len(b) > 1 && v&0x1f != 1 {
			return h, -1
		}
		h.seq = uint32(thriftVarint(&c))
		n = thriftVarint(&c)
	} else {
		version, z, kind := c.U16(), c.U8(), c.U8()
		h.kind = kind
		if b[0] != thriftVersion>>8 || len(b) > 1 && version != thriftVersion && len(b) < 2 || len(b) > 2 && (version != thriftVersion || z != 0) {
			return h, -1
		}
		n = uint64(c.U32())
	}
	if len(b) >= 4 && (h.kind == 0 || h.kind > 4) || n > thriftMaxName || !c.Short() && n == 0 {
		return h, -1
	}
	h.name = c.Bytes(int(n))
	if b[0] != thriftCompact {
		h.seq = c.U32()
	}
	if c.Short() {
		return h, 0
	}
	for _, x := range h.name {
		if x <= ' ' || x >= 0x7f {
			return h, -1
		}
	}
	h.size = len(b) - c.Len()
	return h, 1
}

func thriftVarint(c *wire.Cursor) (n uint64) {
	for i := range 5 {
		b := c.U8()
		n |= uint64(b&0x7f) << (7 * i)
		if b&0x80 == 0 {
			break
		}
	}
	return n
}

// next takes a message: its head and, without a frame, its struct.
func (d *thrift) next(t *teller, dir wire.Dir, b []byte) (n, need int, err error) {
	frame, at := int64(-1), 0
	if b[0] != thriftVersion>>8 {
		if len(b) < 5 {
			return 0, 5 - len(b), nil
		}
		frame, at = int64(binary.BigEndian.Uint32(b)), 4
	}
	h, ok := readThrift(b[at:])
	switch {
	case ok < 0 || frame > thriftMaxFrame || ok > 0 && frame >= 0 && int64(h.size) > frame:
		return 0, 0, errThrift
	case ok == 0:
		return 0, 1, nil
	}
	at += h.size
	var body int64
	if frame >= 0 {
		body = frame - int64(h.size)
	} else {
		c := wire.Cut(b[at:])
		thriftStruct(&c, 0)
		if c.Short() {
			if d.walked[dir] += len(b); len(b) > thriftMaxStruct || d.walked[dir] > thriftMaxWalk {
				return 0, 0, errThrift
			}
			return 0, 1, nil
		}
		d.walked[dir] = 0
		body = int64(len(b) - at - c.Len())
	}
	field, over := thriftArgs, h.kind != 1
	if h.kind == 2 || h.kind == 3 {
		field = thriftResult
		if q, ok := d.pairs.answered(dir, uint64(h.seq)); ok {
			d.beginTx(dir, q.tx)
		} else {
			d.begin(dir)
		}
	} else {
		d.begin(dir)
		if !over {
			d.pairs.asked(dir, uint64(h.seq), d.lastTx, 0)
		}
	}
	t.add(thriftMethod, h.name)
	t.addString(thriftType, thriftTypes[h.kind])
	t.number(thriftSeq, int64(h.seq))
	d.stream(t, dir, field, body, true, over)
	return at, 0, nil
}

// thriftStruct passes over a struct of the binary protocol.
func thriftStruct(c *wire.Cursor, depth int) {
	for !c.Short() {
		kind := c.U8()
		if kind == 0 {
			return
		}
		c.Skip(2)
		thriftValue(c, kind, depth)
	}
}

// thriftValue passes over a value of the binary protocol.
func thriftValue(c *wire.Cursor, kind uint8, depth int) {
	if depth > thriftMaxDepth {
		c.Skip(-1)
		return
	}
	switch kind {
	case 2, 3:
		c.Skip(1)
	case 6:
		c.Skip(2)
	case 8:
		c.Skip(4)
	case 4, 10:
		c.Skip(8)
	case 11:
		c.Skip(int(c.U32()))
	case 12:
		thriftStruct(c, depth+1)
	case 13:
		k, v, n := c.U8(), c.U8(), c.U32()
		for ; n > 0 && !c.Short(); n-- {
			thriftValue(c, k, depth+1)
			thriftValue(c, v, depth+1)
		}
	case 14, 15:
		k, n := c.U8(), c.U32()
		for ; n > 0 && !c.Short(); n-- {
			thriftValue(c, k, depth+1)
		}
	default:
		c.Skip(-1)
	}
}

// probeThrift says Yes to a message's head, with a frame that has room for it or without.
func probeThrift(_ wire.Dir, head []byte) Guess {
	b := head
	if head[0] != thriftVersion>>8 {
		switch {
		case head[0] != 0:
			return No
		case len(head) < 5:
			return Maybe
		}
		b = head[4:]
	}
	h, ok := readThrift(b)
	switch {
	case ok < 0:
		return No
	case ok == 0:
		return Maybe
	case len(b) < len(head) && uint32(h.size) >= binary.BigEndian.Uint32(head):
		return No
	}
	return Yes
}

func probeThriftUDP(_ wire.Dir, head []byte) Guess {
	if _, ok := readThrift(head); ok > 0 {
		return Yes
	}
	return No
}
