package dissect

import (
	"errors"
	"slices"

	"weir/wire"
)

// HTTP2 is HTTP/2 over cleartext (RFC 9113), with prior knowledge, after an upgrade, or picked up midway. A stream is
// an exchange. Fields have the names of HTTP/1's where they mean the same; what has no place in HTTP/1, but could carry
// something past an inspection, is http2.payload.
//
// A header block whose beginnings were never seen is read as far as it goes: see hpackTable.
var HTTP2 = Protocol{
	Name: "http2",
	About: "HTTP/2 over cleartext (RFC 9113): with prior knowledge, after an upgrade, or picked up midway. A stream is an exchange, and " +
		"its event is an `http` event. The fields are all those of `http`, under the same names and with the same meaning (`http.host` " +
		"is no derived field here), and two more. A body that is a DNS message (RFC 8484) is told as `dns` too.",
	Event:   "http",
	Carrier: Stream,
	Ports:   []uint16{50051},
	Probe:   probeHTTP2,
	Opens:   opensHTTP2,
	Fields:  http2Fields(),
	New:     newHTTP2,
}

// Fields of HTTP2: those of HTTP, in their order, and these.
const (
	http2StreamID Field = httpAPIOperation + 1 + iota
	http2Payload        // debug data, unknown frames, padding in use, frames that cannot be waited for
)

func http2Fields() []FieldSpec {
	fs := slices.Clone(HTTP.Fields)
	fs[httpHost].Derived = false // the header block has no :authority
	return append(fs,
		FieldSpec{Name: "http2.stream_id", Doc: "number of the stream", EVE: "http2/stream_id", Number: true, Derived: true},
		FieldSpec{Name: "http2.payload", Doc: "what HTTP/1 has no place for: debug data, unknown frames, padding in use, frames that cannot be waited for"})
}

// from the specification (RFC 9113).
const (
	http2Preface   = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" // section 3.4
	http2HeadSize  = 9                                  // bytes of a frame's header, section 4.1
	http2FrameSize = 16 << 10                           // bytes of a frame unless announced otherwise, section 6.5.2
)

// ours
const (
	maxStreams       = 256 // streams of a connection that are followed at once
	maxContinuations = 32  // frames of a header block beyond which it is a flood
	maxResets        = 100 // cancelled requests, if they are half of all, beyond which they are an attack
	maxBadFrames     = 2   // frames in a row that are unknown and larger than may be, beyond which it is not HTTP/2
)

// errHTTP2Lost says that the bytes are no frames.
var errHTTP2Lost = errors.New("http2: no frames found in the bytes that follow")

// http2State is what a direction waits for.
type http2State uint8

const (
	atPreface    http2State = iota // or at the first frame
	atFrame                        // a frame's header
	inData                         // remain bytes of content, then pad bytes of padding
	inDataPad                      // pad bytes
	inOtherFrame                   // remain bytes of a frame that is payload
)

// http2Side is the state of one direction.
type http2Side struct {
	state    http2State
	closed   bool
	bad      int // frames in a row that are unknown and too large
	frame    http2Frame
	remain   int // bytes of the frame in hand that are still to come, without padding
	pad      int // bytes of padding after them
	maxFrame int // bytes, as the receiver announced
	lastID   uint32
	taken    int64 // bytes of header blocks, and what they stood for
	listed   int64
	table    hpackTable
	block    http2Block
	conn     http2Conn
}

// http2 parses one connection.
type http2 struct {
	h       http          // the pipeline of values and bodies; its sides are not used
	x       *http2Scratch // during a call
	side    [2]http2Side
	streams []*http2Stream // followed, the oldest first
	client  wire.Dir       // what the client sends
	known   bool           // client is known for sure
	midway  bool           // the beginning was not seen
	doh     *doh           // made on first use
	lastTx  uint64
	kept    int // bytes kept of DNS messages
	opened  int // requests
	resets  int // of them, cancelled before they were answered
}

// http2Scratch is what http2 dissectors share, beside httpScratch: nothing in it outlives a call, but for
// the free list.
type http2Scratch struct {
	list   hpackList
	text   []byte // header lists written anew
	cookie []byte // crumbs joined
	free   []*http2Stream
	grpcs  []*grpcCall
}

func newHTTP2(p *Protocol, env *Env) Dissector {
	d := &http2{h: http{p: p, env: env}}
	for i := range d.side {
		s := &d.side[i]
		s.maxFrame = http2FrameSize
		s.table.allowed = hpackDefault
		s.table.reset(false)
	}
	return d
}

func (d *http2) enter(emit func(*Message)) {
	d.h.emit = emit
	d.h.x = d.h.env.httpScratch()
	d.h.x.refresh(d.h.p, d.h.env)
	s := d.h.env.scratch()
	if s.http2 == nil {
		s.http2 = &http2Scratch{}
	}
	d.x = s.http2
}

// Feed implements Dissector.
func (d *http2) Feed(dir wire.Dir, data []byte, emit func(*Message)) (Progress, error) {
	d.enter(emit)
	s := &d.side[dir]
	used := 0
	for used < len(data) {
		n, need := d.step(dir, s, data[used:])
		used += n
		if s.bad > maxBadFrames {
			d.flushConn(dir, s, false)
			d.Close(wire.ToServer, emit)
			d.Close(wire.ToClient, emit)
			return Progress{Used: used}, errHTTP2Lost
		}
		if need > 0 {
			if s.closed {
				d.other(dir, s, data[used:])
				used = len(data)
				d.flushConn(dir, s, true)
			}
			d.flushConn(dir, s, false)
			d.h.emit = nil
			return Progress{Used: used, Need: need}, nil
		}
	}
	d.flushConn(dir, s, s.closed)
	d.h.emit = nil
	return Progress{Used: used}, nil
}

// step parses from the front of b, which is not empty. It returns what it used, and how many more bytes it needs to go
// on.
func (d *http2) step(dir wire.Dir, s *http2Side, b []byte) (n, need int) {
	switch s.state {
	case atPreface:
		return d.preface(dir, s, b)
	case atFrame:
		return d.frame(dir, s, b)
	case inData:
		n = min(len(b), s.remain)
		s.remain -= n
		d.data(dir, s, b[:n])
		if s.remain == 0 {
			s.state = inDataPad
			d.dataEnd(dir, s)
		}
	case inDataPad:
		if len(b) < s.pad {
			return 0, s.pad - len(b)
		}
		n, s.pad = s.pad, 0
		d.paddingBytes(dir, s, b[:n])
		d.dataEnd(dir, s)
	case inOtherFrame:
		n = min(len(b), s.remain)
		s.remain -= n
		d.payload(dir, s, b[:n], s.remain > 0)
		if s.remain == 0 {
			s.state = atFrame
		}
	}
	return n, 0
}

// preface takes the client's connection preface: section 3.4. Without it the connection was picked up midway, or it is
// the server's direction.
func (d *http2) preface(dir wire.Dir, s *http2Side, b []byte) (n, need int) {
	switch n := min(len(b), len(http2Preface)); {
	case string(b[:n]) != http2Preface[:n]:
		if len(b) < http2HeadSize {
			return 0, http2HeadSize - len(b)
		}
		s.state = atFrame
		if dir == d.client && !d.known || !http2FrameAt(b).opens() {
			s.table.reset(true)
			d.midway = true
		}
		return 0, 0
	case n < len(http2Preface):
		return 0, len(http2Preface) - n
	}
	s.state = atFrame
	d.client, d.known = dir, true
	return len(http2Preface), 0
}

// Gap implements Dissector. Inside a DATA frame, or one that is passed over, nothing is lost but its bytes.
func (d *http2) Gap(dir wire.Dir, n int, emit func(*Message)) bool {
	d.enter(emit)
	s := &d.side[dir]
	ok := n <= s.remain && (s.state == inData || s.state == inOtherFrame)
	if ok {
		s.remain -= n
		if s.state == inData {
			d.skipData(dir, s, int64(n))
			if s.remain == 0 {
				s.state = inDataPad
				d.dataEnd(dir, s)
			}
		} else {
			s.conn.off += int64(n)
			if s.remain == 0 {
				s.state = atFrame
			}
		}
	}
	d.h.emit = nil
	return ok
}

// Close implements Dissector.
func (d *http2) Close(dir wire.Dir, emit func(*Message)) {
	d.enter(emit)
	s := &d.side[dir]
	if s.closed {
		return
	}
	s.closed = true
	d.endBlock(dir, s)
	for i := 0; i < len(d.streams); {
		st := d.streams[i]
		for k := range st.msg {
			if m := &st.msg[k]; m.open && m.dir == dir {
				d.h.note(&m.httpSide, noteTruncated)
				d.endMessage(st, httpKind(k))
			}
		}
		if i < len(d.streams) && d.streams[i] == st {
			i++
		}
	}
	if d.side[dir.Other()].closed {
		for len(d.streams) > 0 {
			d.forget(d.streams[len(d.streams)-1])
		}
		if d.doh != nil {
			d.doh.d.Close(wire.ToServer, d.doh.emit)
			d.doh.d.Close(wire.ToClient, d.doh.emit)
		}
	}
	if s.conn.part {
		d.payload(dir, s, nil, false)
	}
	d.flushConn(dir, s, true)
	d.h.emit = nil
}
