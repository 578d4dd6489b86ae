package dissect

import (
	"encoding/binary"
	"errors"

	"weir/wire"
)

// SparkRPC is the protocol between Spark's drivers, executors and shuffle services.
var SparkRPC = Protocol{
	Name: "spark-rpc",
	About: "Spark RPC, between drivers, executors and shuffle services of Apache Spark (its module network-common). A request and its answer are " +
		"an exchange. Bodies are Java objects, inspected as they came.",
	Carrier: Stream,
	Ports:   []uint16{7077, 7337},
	Probe:   probeSparkRPC,
	Fields: []FieldSpec{
		sparkType:   {Name: "spark-rpc.type", Doc: "kind of the request, as `RpcRequest`", EVE: "type", Derived: true},
		sparkAnswer: {Name: "spark-rpc.answer", Doc: "kind of the answer, as `RpcFailure`", EVE: "answer", Derived: true},
		sparkID:     {Name: "spark-rpc.request_id", Doc: "number of the request", EVE: "request_id", Number: true, Derived: true},
		sparkBody:   {Name: "spark-rpc.body", Doc: "what is behind a message's kind, as it came"},
	},
	New: newSparkRPC,
}

// Fields of SparkRPC.
const (
	sparkType Field = iota
	sparkAnswer
	sparkID
	sparkBody
)

var sparkTypes = [...]string{"ChunkFetchRequest", "ChunkFetchSuccess", "ChunkFetchFailure", "RpcRequest", "RpcResponse", "RpcFailure", "StreamRequest",
	"StreamResponse", "StreamFailure", "OneWayMessage", "UploadStream", "MergedBlockMetaRequest", "MergedBlockMetaSuccess"}

// Kinds that matter here.
const (
	sparkRequest  = 3
	sparkResponse = 4
	sparkFailure  = 5
	sparkOneWay   = 9
)

// ours
const sparkMaxFrame = 1 << 32 // bytes

var errSparkRPC = errors.New("spark-rpc: no frame")

// sparkRPC parses one connection.
type sparkRPC struct {
	framed
	pairs pairs
}

func newSparkRPC(p *Protocol, env *Env) Dissector {
	d := &sparkRPC{}
	d.framed = makeFramed(p, env, d.next)
	return d
}

// Size implements Dissector.
func (d *sparkRPC) Size() int { return framedSize + d.pairs.size() }

// next takes a frame's head: its length, which counts itself, and the kind of message.
func (d *sparkRPC) next(t *teller, dir wire.Dir, b []byte) (n, need int, err error) {
	if len(b) < 9 {
		return 0, 9 - len(b), nil
	}
	size, kind := binary.BigEndian.Uint64(b), b[8]
	numbered := kind >= sparkRequest && kind <= sparkFailure
	switch {
	case size < 9 || size > sparkMaxFrame || int(kind) >= len(sparkTypes) || numbered && size < 17:
		return 0, 0, errSparkRPC
	case numbered && len(b) < 17:
		return 0, 17 - len(b), nil
	}
	used, over, id := 9, true, uint64(0)
	if numbered {
		used, id = 17, binary.BigEndian.Uint64(b[9:])
	}
	switch q, ok := d.pairs.answered(dir, id); {
	case kind == sparkRequest:
		d.begin(dir)
		d.pairs.asked(dir, id, d.lastTx, 0)
		over = false
	case numbered && ok:
		d.beginTx(dir, q.tx)
	default:
		d.begin(dir)
	}
	f := sparkType
	if kind == sparkResponse || kind == sparkFailure {
		f = sparkAnswer
	}
	t.addString(f, sparkTypes[kind])
	if numbered {
		t.number(sparkID, int64(id))
	}
	d.stream(t, dir, sparkBody, int64(size)-int64(used), true, over)
	return used, 0, nil
}

// probeSparkRPC says Yes to a request, an answer or a message without answer whose two lengths fit each other.
func probeSparkRPC(_ wire.Dir, head []byte) Guess {
	n := len(head)
	for _, c := range head[:min(n, 4)] {
		if c != 0 {
			return No
		}
	}
	if n < 9 {
		return Maybe
	}
	size, kind := binary.BigEndian.Uint64(head), head[8]
	at := 9
	switch kind {
	case sparkRequest, sparkResponse, sparkFailure:
		at = 17
	case sparkOneWay:
	default:
		return No
	}
	if size < uint64(at)+4 || size > 1<<30 {
		return No
	}
	if n < at+4 {
		return Maybe
	}
	if body := binary.BigEndian.Uint32(head[at:]); uint64(body)+uint64(at)+4 != size || body == 0 {
		return No
	}
	return Yes
}
