package dissect

import (
	"bytes"
	"encoding/binary"

	"weir/wire"
)

// GRPC is what HTTP/2 carries where the content type says so. It has no flows of its own: an http2 tells it beside the exchange that it is.
var GRPC = Protocol{
	Name: "grpc",
	About: "gRPC over HTTP/2 (grpc.io, PROTOCOL-HTTP2). A call has an event `grpc` beside the `http` event of its stream. Its bodies are told as " +
		"the messages that they are made of, decompressed, and not as HTTP's bodies. What is not called gRPC by its content type is a body.",
	Carrier: Stream,
	Probe:   func(wire.Dir, []byte) Guess { return No },
	Fields: []FieldSpec{
		grpcService:  {Name: "grpc.service", Doc: "service that is called, with its package", EVE: "service", Derived: true},
		grpcMethod:   {Name: "grpc.method", Doc: "method that is called", EVE: "method", Derived: true},
		grpcStatus:   {Name: "grpc.status", Doc: "0, or what went wrong", EVE: "status", Number: true, Derived: true},
		grpcError:    {Name: "grpc.message", Doc: "the same as text", EVE: "message", Derived: true},
		grpcEncoding: {Name: "grpc.encoding", Doc: "compression of messages, if there is one", EVE: "encoding", Derived: true},
		grpcRequest:  {Name: "grpc.request", Doc: "a message of the caller"},
		grpcResponse: {Name: "grpc.response", Doc: "a message of the answer"},
		grpcText:     {Name: "grpc.text", Doc: "a text in a message, as protobuf has it: messages up to 64 KiB are looked through", Derived: true},
	},
}

// Fields of GRPC.
const (
	grpcService Field = iota
	grpcMethod
	grpcStatus
	grpcError
	grpcEncoding
	grpcRequest
	grpcResponse
	grpcText
)

// from the specification.
const grpcHead = 5 // bytes before a message: whether it is compressed, its length

// ours
const (
	grpcMaxPacked = 256 << 10 // bytes of a compressed message
	grpcMaxText   = 64 << 10  // bytes of a message that is looked through for texts
	grpcTx        = 1 << 33   // added to the exchanges of calls, which have their stream's number
	grpcFree      = 16        // messages kept for reuse
)

var grpcUndecodable = Note{"grpc.undecodable", false, "a message whose compression is unknown, broken or over a limit, or a body that is not made of messages: inspected as it came"}

// grpcCall is one side of a call.
type grpcCall struct {
	unit    unit
	pack    packing
	unknown bool // a compression that nobody knows
	broken  bool // the rest of the body is told as it comes
	head    [grpcHead]byte
	have    int // bytes of it
	left    int64
	off     int64
	value   uint32
	keep    bool   // buf is to have all of the message
	buf     []byte // of the message
}

// grpcBegin begins a side of a call whose header list is there.
func (d *http2) grpcBegin(st *http2Stream, m *http2Message, path []byte) {
	g := m.grpc
	d.h.lastID++
	g.unit = unit{id: d.h.lastID, tx: st.tx + grpcTx, with: m.id}
	t := d.grpcTeller(m)
	if i := bytes.LastIndexByte(path, '/'); m.kind == request && i > 0 {
		t.add(grpcService, bytes.TrimPrefix(path[:i], []byte("/")))
		t.add(grpcMethod, path[i+1:])
	}
	d.grpcTold(t, m)
}

func (d *http2) grpcTeller(m *http2Message) *teller {
	return d.h.env.teller(&GRPC, m.dir, &m.grpc.unit, d.h.emit)
}

// grpcTold tells what headers say of a call, of the list in hand.
func (d *http2) grpcTold(t *teller, m *http2Message) {
	l := &d.x.list
	for _, f := range l.fields {
		name, v := l.name(f), trimSpace(l.value(f))
		switch string(name) {
		case "grpc-status":
			if n, ok := decimal(v); ok {
				t.number(grpcStatus, n)
			}
		case "grpc-message":
			t.add(grpcError, v)
		case "grpc-encoding":
			t.add(grpcEncoding, v)
			m.grpc.pack, m.grpc.unknown = grpcPacking(v)
		}
	}
	t.flush(false, false)
}

// grpcPacking returns the compression that a name stands for.
func grpcPacking(v []byte) (k packing, unknown bool) {
	switch string(v) {
	case "identity":
		return packNone, false
	case "gzip":
		return packGzip, false
	case "deflate":
		return packZlib, false
	case "snappy":
		return packSnappy, false
	case "zstd":
		return packZstd, false
	case "lz4":
		return packLZ4, false
	}
	return packNone, true
}

// grpcType notes a content type that is gRPC's.
func (d *http2) grpcType(m *http2Message, v []byte) {
	const name = "application/grpc"
	if foldPrefix(v, name) != Yes || len(v) > len(name) && v[len(name)] != '+' && v[len(name)] != ';' || m.grpc != nil {
		return
	}
	if n := len(d.x.grpcs); n > 0 {
		m.grpc, d.x.grpcs = d.x.grpcs[n-1], d.x.grpcs[:n-1]
	} else {
		m.grpc = new(grpcCall)
	}
}

// grpcData takes a piece of a call's body.
func (d *http2) grpcData(m *http2Message, b []byte) {
	g := m.grpc
	t := d.grpcTeller(m)
	f := grpcRequest
	if m.kind == response {
		f = grpcResponse
	}
	for len(b) > 0 {
		switch {
		case g.broken:
			g.piece(t, f, b, true)
			b = nil
		case g.left > 0:
			n := int(min(g.left, int64(len(b))))
			g.left -= int64(n)
			d.grpcBody(t, m, f, b[:n])
			b = b[n:]
		default:
			n := copy(g.head[g.have:], b)
			g.have += n
			b = b[n:]
			if g.have == grpcHead {
				d.grpcOpen(t, m, f)
			}
		}
	}
	t.flush(false, false)
}

// grpcOpen begins a message.
func (d *http2) grpcOpen(t *teller, m *http2Message, f Field) {
	g := m.grpc
	g.have, g.off = 0, 0
	g.left = int64(binary.BigEndian.Uint32(g.head[1:]))
	g.value = t.value()
	if g.head[0] > 1 {
		d.grpcBroken(t, f, g, g.head[:])
		return
	}
	packed := g.head[0] == 1
	if packed && (g.unknown || g.pack == packNone || g.left > grpcMaxPacked) {
		t.note(grpcUndecodable)
		packed, g.head[0] = false, 0
	}
	g.keep = packed || t.wants(grpcText) && g.left <= grpcMaxText
	g.buf = g.buf[:0]
}

// grpcBroken tells the rest of a body as it comes, from b on.
func (d *http2) grpcBroken(t *teller, f Field, g *grpcCall, b []byte) {
	t.note(grpcUndecodable)
	g.broken, g.left = true, 0
	g.piece(t, f, b, true)
	t.flush(false, false)
}

// piece tells a piece of a message.
func (g *grpcCall) piece(t *teller, f Field, b []byte, more bool) {
	if t.wants(f) {
		t.part(Part{Field: f, Value: g.value, Off: g.off, Bytes: b, More: more})
	}
	g.off += int64(len(b))
}

// grpcBody takes a piece of a message.
func (d *http2) grpcBody(t *teller, m *http2Message, f Field, b []byte) {
	g := m.grpc
	if g.keep {
		d.kept -= cap(g.buf)
		g.buf = append(g.buf, b...)
		d.kept += cap(g.buf)
	}
	if g.head[0] == 0 {
		g.piece(t, f, b, g.left > 0)
	}
	if g.left > 0 || !g.keep {
		return
	}
	whole := g.buf
	if g.head[0] == 1 {
		out, err := d.h.env.unpack(g.pack, g.buf)
		if err != nil {
			t.note(grpcUndecodable)
			g.piece(t, f, g.buf, false)
		} else {
			g.piece(t, f, out, false)
		}
		d.grpcTexts(t, out)
		t.flush(false, false) // parts borrow from out
		d.h.env.give(cap(out))
		whole = nil
	}
	d.grpcTexts(t, whole)
	t.flush(false, false) // and from buf
	if cap(g.buf) > grpcMaxText {
		d.kept -= cap(g.buf)
		g.buf = nil
	}
}

// grpcTexts tells the texts of a message.
func (d *http2) grpcTexts(t *teller, b []byte) {
	if t.wants(grpcText) && len(b) <= grpcMaxText {
		protoText(b, protoDepth, protoTexts, func(s []byte) { t.add(grpcText, s) })
	}
}

// grpcSkip passes over n lost bytes of a call's body.
func (d *http2) grpcSkip(m *http2Message, n int64) {
	g := m.grpc
	if n <= g.left && !g.keep {
		g.left -= n
		g.off += n
		return
	}
	if !g.broken {
		t := d.grpcTeller(m)
		t.note(grpcUndecodable)
		g.value = t.value()
		g.broken, g.left, g.off = true, 0, 0
		t.flush(false, false)
	}
	g.off += n
}

// grpcEnd ends a side of a call; over says that the call ends too.
func (d *http2) grpcEnd(m *http2Message, over bool) {
	g := m.grpc
	t := d.grpcTeller(m)
	f := grpcRequest
	if m.kind == response {
		f = grpcResponse
	}
	if g.left > 0 || g.broken || g.have > 0 { // of a message that is not whole
		if g.head[0] == 1 && !g.broken {
			t.note(grpcUndecodable)
			g.piece(t, f, g.buf, false)
		} else if g.have > 0 {
			g.value, g.off = t.value(), 0
			g.piece(t, f, g.head[:g.have], false)
		} else if g.off > 0 {
			g.piece(t, f, nil, false)
		}
	}
	t.flush(true, over)
	d.grpcFree(m)
}

// grpcFree keeps what a side of a call needed for another.
func (d *http2) grpcFree(m *http2Message) {
	g := m.grpc
	if g == nil {
		return
	}
	d.kept -= cap(g.buf)
	m.grpc = nil
	if len(d.x.grpcs) < grpcFree {
		*g = grpcCall{}
		d.x.grpcs = append(d.x.grpcs, g)
	}
}
