package dissect

import (
	"encoding/binary"
	"errors"

	"weir/wire"
)

// BRPC is baidu_std, the protocol of Apache bRPC.
var BRPC = Protocol{
	Name: "brpc",
	About: "baidu_std, the protocol of Apache bRPC (brpc.apache.org). A call and its answer are an exchange, paired by the correlation id. " +
		"Bodies are inspected as they came.",
	Carrier: Stream,
	Ports:   []uint16{8000},
	Probe:   probeBRPC,
	Fields: []FieldSpec{
		brpcService: {Name: "brpc.service", Doc: "service that is called", EVE: "service", Derived: true},
		brpcMethod:  {Name: "brpc.method", Doc: "method that is called", EVE: "method", Derived: true},
		brpcID:      {Name: "brpc.correlation_id", Doc: "number of the call", EVE: "correlation_id", Number: true, Derived: true},
		brpcError:   {Name: "brpc.error_code", Doc: "0, or what went wrong", EVE: "error_code", Number: true, Derived: true},
		brpcText:    {Name: "brpc.error_text", Doc: "the same as text", EVE: "error_text", Derived: true},
		brpcMeta:    {Name: "brpc.meta", Doc: "what stands before the body, as it came"},
		brpcRequest: {Name: "brpc.request", Doc: "body of a call"},
		brpcAnswer:  {Name: "brpc.response", Doc: "body of an answer"},
	},
	New: newBRPC,
}

// Fields of BRPC.
const (
	brpcService Field = iota
	brpcMethod
	brpcID
	brpcError
	brpcText
	brpcMeta
	brpcRequest
	brpcAnswer
)

const (
	brpcMagic   = "PRPC"
	brpcHead    = 12
	brpcMaxMeta = 64 << 10 // bytes, ours
)

var errBRPC = errors.New("brpc: no frame")

// brpc parses one connection.
type brpc struct {
	framed
	pairs pairs
}

func newBRPC(p *Protocol, env *Env) Dissector {
	d := &brpc{}
	d.framed = makeFramed(p, env, d.next)
	return d
}

// Size implements Dissector.
func (d *brpc) Size() int { return framedSize + d.pairs.size() }

// next takes a frame up to its body.
func (d *brpc) next(t *teller, dir wire.Dir, b []byte) (n, need int, err error) {
	if len(b) < brpcHead {
		return 0, brpcHead - len(b), nil
	}
	total, size := int64(binary.BigEndian.Uint32(b[4:])), int64(binary.BigEndian.Uint32(b[8:]))
	if string(b[:4]) != brpcMagic || size > total || size > brpcMaxMeta {
		return 0, 0, errBRPC
	}
	whole := brpcHead + int(size)
	if len(b) < whole {
		return 0, whole - len(b), nil
	}
	meta := b[brpcHead:whole]
	var request, answer []byte
	id, isAnswer := uint64(0), false
	for field, v := range protoFields(meta) {
		switch field {
		case 1:
			request = v.bytes
		case 2:
			answer, isAnswer = v.bytes, true
		case 4:
			id = v.number
		}
	}
	q, ok := d.pairs.answered(dir, id)
	switch {
	case isAnswer && ok:
		d.beginTx(dir, q.tx)
	case isAnswer:
		d.begin(dir)
	default:
		d.begin(dir)
		d.pairs.asked(dir, id, d.lastTx, 0)
	}
	for field, v := range protoFields(request) {
		switch {
		case field == 1 && v.bytes != nil:
			t.add(brpcService, v.bytes)
		case field == 2 && v.bytes != nil:
			t.add(brpcMethod, v.bytes)
		}
	}
	for field, v := range protoFields(answer) {
		switch {
		case field == 1 && v.bytes == nil:
			t.number(brpcError, int64(v.number))
		case field == 2 && v.bytes != nil:
			t.add(brpcText, v.bytes)
		}
	}
	t.number(brpcID, int64(id))
	t.add(brpcMeta, meta)
	f := brpcRequest
	if isAnswer {
		f = brpcAnswer
	}
	d.stream(t, dir, f, total-size, true, isAnswer)
	return whole, 0, nil
}

// probeBRPC says Yes to a head whose lengths fit.
func probeBRPC(_ wire.Dir, head []byte) Guess {
	m := min(len(head), 4)
	switch {
	case string(head[:m]) != brpcMagic[:m]:
		return No
	case len(head) < brpcHead:
		return Maybe
	case binary.BigEndian.Uint32(head[8:]) > binary.BigEndian.Uint32(head[4:]):
		return No
	}
	return Yes
}
