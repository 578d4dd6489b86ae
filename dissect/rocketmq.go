package dissect

import (
	"encoding/binary"
	"encoding/json"
	"errors"

	"weir/wire"
)

// RocketMQ is the remoting protocol of Apache RocketMQ.
var RocketMQ = Protocol{
	Name: "rocketmq",
	About: "The remoting protocol of Apache RocketMQ, with headers in JSON or its own encoding. A request and its answer are an exchange, " +
		"paired by `opaque`.",
	Carrier: Stream,
	Ports:   []uint16{9876, 10911},
	Probe:   probeRocketMQ,
	Fields: []FieldSpec{
		rocketCode:   {Name: "rocketmq.code", Doc: "what is asked for, a number", EVE: "code", Number: true, Derived: true},
		rocketStatus: {Name: "rocketmq.response_code", Doc: "0, or what went wrong", EVE: "response_code", Number: true, Derived: true},
		rocketOpaque: {Name: "rocketmq.opaque", Doc: "number of the request", EVE: "opaque", Number: true, Derived: true},
		rocketTopic:  {Name: "rocketmq.topic", Doc: "the topic", EVE: "topic", Derived: true},
		rocketGroup:  {Name: "rocketmq.group", Doc: "group of producers or consumers", EVE: "group", Derived: true},
		rocketRemark: {Name: "rocketmq.remark", Doc: "what an answer says of its code", EVE: "remark", Derived: true},
		rocketHeader: {Name: "rocketmq.header", Doc: "the header as it came"},
		rocketBody:   {Name: "rocketmq.body", Doc: "the body: messages"},
	},
	New: newRocketMQ,
}

// Fields of RocketMQ.
const (
	rocketCode Field = iota
	rocketStatus
	rocketOpaque
	rocketTopic
	rocketGroup
	rocketRemark
	rocketHeader
	rocketBody
)

// ours
const (
	rocketMaxFrame  = 256 << 20 // bytes of a command
	rocketMaxHeader = 256 << 10 // bytes of a header
)

var errRocketMQ = errors.New("rocketmq: no command")

// rocketMQ parses one connection.
type rocketMQ struct {
	framed
	pairs pairs
}

// rocketCommand is what a header says.
type rocketCommand struct {
	Code      int64
	Flag      int64
	Opaque    int64
	Remark    string
	ExtFields map[string]string
}

func newRocketMQ(p *Protocol, env *Env) Dissector {
	d := &rocketMQ{}
	d.framed = makeFramed(p, env, d.next)
	return d
}

// Size implements Dissector.
func (d *rocketMQ) Size() int { return framedSize + d.pairs.size() }

// next takes a command up to its body.
func (d *rocketMQ) next(t *teller, dir wire.Dir, b []byte) (n, need int, err error) {
	if len(b) < 8 {
		return 0, 8 - len(b), nil
	}
	total, form := int64(binary.BigEndian.Uint32(b)), b[4]
	size := int64(binary.BigEndian.Uint32(b[4:]) & 0xffffff)
	if total > rocketMaxFrame || size > rocketMaxHeader || size+4 > total || form > 1 {
		return 0, 0, errRocketMQ
	}
	whole := 8 + int(size)
	if len(b) < whole {
		return 0, whole - len(b), nil
	}
	var h rocketCommand
	if form == 0 {
		_ = json.Unmarshal(b[8:whole], &h) // what is no JSON is told as it came
	} else {
		h.read(b[8:whole])
	}
	over := d.open(t, dir, &h, b[8:whole])
	t.add(rocketHeader, b[8:whole])
	if total == size+4 {
		d.done(t, dir, over)
	} else {
		d.stream(t, dir, rocketBody, total-size-4, true, over)
	}
	return whole, 0, nil
}

// read reads a header in RocketMQ's own encoding.
func (h *rocketCommand) read(b []byte) {
	c := wire.Cut(b)
	h.Code = int64(c.U16())
	c.Skip(3) // language, version
	h.Opaque, h.Flag = int64(c.U32()), int64(c.U32())
	h.Remark = string(c.Bytes(int(c.U32())))
	ext := wire.Cut(c.Bytes(int(c.U32())))
	h.ExtFields = map[string]string{}
	for ext.Len() > 0 && len(h.ExtFields) < 64 {
		k := string(ext.Bytes(int(ext.U16())))
		h.ExtFields[k] = string(ext.Bytes(int(ext.U32())))
	}
}

// open begins a command's message. It reports whether its exchange ends with it.
func (d *rocketMQ) open(t *teller, dir wire.Dir, h *rocketCommand, header []byte) (over bool) {
	key := uint64(uint32(h.Opaque))
	switch {
	case h.Flag&1 != 0: // an answer
		if q, ok := d.pairs.answered(dir, key); ok {
			d.beginTx(dir, q.tx)
		} else {
			d.begin(dir)
		}
		t.number(rocketStatus, h.Code)
		over = true
	default:
		d.begin(dir)
		over = h.Flag&2 != 0 // nobody answers
		if !over {
			d.pairs.asked(dir, key, d.lastTx, 0)
		}
		t.number(rocketCode, h.Code)
	}
	t.number(rocketOpaque, h.Opaque)
	for _, f := range [...]struct {
		field Field
		keys  [3]string
	}{{rocketTopic, [3]string{"topic", "b"}}, {rocketGroup, [3]string{"consumerGroup", "producerGroup", "group"}}} {
		for _, k := range f.keys {
			if v := h.ExtFields[k]; v != "" && k != "" {
				t.addWritten(f.field, header, v)
				break
			}
		}
	}
	t.addWritten(rocketRemark, header, h.Remark)
	return over
}

// probeRocketMQ says Yes to lengths that fit and a header that begins as one does.
func probeRocketMQ(_ wire.Dir, head []byte) Guess {
	const key = "{\"code\":"
	c := wire.Cut(head)
	total, size := c.U32(), c.U32()&0xffffff
	n := len(head)
	switch {
	case head[0] > 15, n > 4 && head[4] > 1, n >= 8 && (size < 21 || size > 64<<10 || size+4 > total):
		return No
	case n < 8:
		return Maybe
	}
	b := head[8:]
	if head[4] == 0 {
		m := min(len(b), len(key))
		switch {
		case string(b[:m]) != key[:m]:
			return No
		case m < len(key):
			return Maybe
		}
		return Yes
	}
	if len(b) < 21 {
		return Maybe
	}
	h := wire.Cut(b)
	h.Skip(2)
	lang := h.U8()
	h.Skip(6)
	flag, remark := h.U32(), h.U32()
	h.Skip(int(remark))
	if lang > 12 || flag > 3 || remark > size-21 {
		return No
	}
	if ext := h.U32(); h.Short() {
		return Maybe
	} else if ext+remark+21 != size {
		return No
	}
	return Yes
}
