package dissect

import (
	"encoding/binary"
	"errors"

	"weir/wire"
)

// WebSocket is what HTTP becomes by an upgrade to it. A message's pieces are told as they come, unmasked and inflated.
var WebSocket = Protocol{
	Name: "websocket",
	About: "WebSocket (RFC 6455), after an upgrade of HTTP or picked up midway, with permessage-deflate (RFC 7692), context takeover included. " +
		"Each message has an event `websocket` of its own.",
	Carrier: Stream,
	Probe:   probeWebSocket,
	Fields: []FieldSpec{
		wsOpcode:  {Name: "websocket.opcode", Doc: "`text`, `binary`, `close`, `ping` or `pong`", EVE: "opcode", Derived: true},
		wsFin:     {Name: "websocket.fin", Doc: "whether the message's first frame is its last", EVE: "fin", Bool: true, Derived: true},
		wsMask:    {Name: "websocket.mask", Doc: "the first frame's masking key", EVE: "mask", Number: true, Derived: true},
		wsText:    {Name: "websocket.text", Doc: "a text message"},
		wsBinary:  {Name: "websocket.binary", Doc: "a binary message"},
		wsControl: {Name: "websocket.control", Doc: "what pings and pongs carry, and the reason of a close"},
		wsCode:    {Name: "websocket.close_code", Doc: "why the connection is closed", EVE: "close_code", Number: true, Derived: true},
		wsPayload: {Name: "websocket.payload", Doc: "what could not be inflated, unmasked only"},
	},
	PerMessage: true,
	New:        func(p *Protocol, env *Env) Dissector { return resumeWebSocket(p, env, Rest{}) },
	Resume:     resumeWebSocket,
}

// Fields of WebSocket.
const (
	wsOpcode Field = iota
	wsFin
	wsMask
	wsText
	wsBinary
	wsControl
	wsCode
	wsPayload
)

// from the specification, RFC 6455 section 5.2.
const (
	wsContinued  = 0
	wsIsText     = 1
	wsIsBinary   = 2
	wsClose      = 8
	wsPing       = 9
	wsPong       = 10
	wsMaxControl = 125 // bytes
)

// Bits of a Rest's State, which HTTP hands over: RFC 7692 section 7.1.
const (
	wsDeflate  = 1 << iota // permessage-deflate was agreed on
	wsServerNo             // server_no_context_takeover
	wsClientNo             // client_no_context_takeover
	wsBegun                // the upgrade was seen
)

// ours
const (
	wsMaxFrame = 1 << 40  // bytes
	wsPiece    = 16 << 10 // bytes that are unmasked at once
	wsSize     = 448      // bytes that a webSocket is counted for
)

var errWebSocket = errors.New("websocket: no frame")

// wsNotes are violations.
var (
	wsUnmasked    = Note{"websocket.unmasked", false, "a client's frame that is not masked, as it must be"}
	wsReserved    = Note{"websocket.reserved_bits", false, "reserved bits that no extension stands for"}
	wsOrder       = Note{"websocket.fragments", false, "a frame that continues no message, or a message that begins inside another"}
	wsUndecodable = Note{"websocket.undecodable", false, "a compressed message that is broken or over a limit: inspected as it came from there on"}
)

var wsNames = map[uint8]string{wsIsText: "text", wsIsBinary: "binary", wsClose: "close", wsPing: "ping", wsPong: "pong"}

// wsSide is the state of one direction.
type wsSide struct {
	unit    unit // of the data message in hand
	open    bool
	fin     bool  // the frame in hand is the message's last
	begun   bool  // a part was told
	packed  bool  // the message is compressed
	broken  bool  // and cannot be inflated
	inFrame bool  // left bytes of payload follow
	left    int64 // bytes
	mask    [4]byte
	masked  bool
	phase   int // of the mask
	field   Field
	value   uint32
	off     int64
	in, out int64 // bytes of the message, coded and decoded
	inf     *inflater
}

// webSocket parses one connection.
type webSocket struct {
	framed
	of     [2]wsSide
	agreed uint64
}

func resumeWebSocket(p *Protocol, env *Env, r Rest) Dissector {
	d := &webSocket{agreed: r.State}
	d.framed = makeFramed(p, env, d.next)
	d.resume(r)
	return d
}

// Rest implements Dissector.
func (d *webSocket) Rest() (Rest, bool) {
	for i := range d.of {
		if s := &d.of[i]; s.open || s.inFrame || s.inf != nil {
			return Rest{}, false
		}
	}
	return Rest{ID: d.lastID, Tx: d.lastTx, State: d.agreed}, true
}

// Size implements Dissector.
func (d *webSocket) Size() int { return wsSize }

// Gap implements Dissector: inside a payload nothing is lost but its bytes.
func (d *webSocket) Gap(dir wire.Dir, n int, emit func(*Message)) bool {
	s := &d.of[dir]
	if !s.inFrame || int64(n) > s.left {
		return false
	}
	s.left -= int64(n)
	s.off += int64(n)
	s.phase += n
	t := d.env.teller(d.p, dir, &s.unit, emit)
	if s.packed && !s.broken {
		d.undecodable(t, s)
	}
	if s.left == 0 {
		d.frameDone(t, dir, s)
	}
	t.flush(false, false)
	return true
}

// Close implements Dissector.
func (d *webSocket) Close(dir wire.Dir, emit func(*Message)) {
	s := &d.of[dir]
	if s.open {
		d.messageDone(d.env.teller(d.p, dir, &s.unit, emit), s)
	}
	d.free(s)
	s.inFrame = false
}

// next takes a frame's head, a control frame, or a piece of a payload.
func (d *webSocket) next(t *teller, dir wire.Dir, b []byte) (n, need int, err error) {
	s := &d.of[dir]
	t.u = &s.unit
	if s.inFrame {
		n = int(min(int64(len(b)), s.left, wsPiece))
		d.payload(t, dir, s, b[:n])
		if s.left -= int64(n); s.left == 0 {
			d.frameDone(t, dir, s)
		}
		return n, 0, nil
	}
	if len(b) < 2 {
		return 0, 1, nil
	}
	head := 2
	switch b[1] & 0x7f {
	case 126:
		head = 4
	case 127:
		head = 10
	}
	masked := b[1]&0x80 != 0
	if masked {
		head += 4
	}
	if len(b) < head {
		return 0, head - len(b), nil
	}
	size := int64(b[1] & 0x7f)
	switch size {
	case 126:
		size = int64(binary.BigEndian.Uint16(b[2:]))
	case 127:
		size = int64(binary.BigEndian.Uint64(b[2:]))
	}
	code := b[0] & 0xf
	if size < 0 || size > wsMaxFrame || code != wsContinued && wsNames[code] == "" || code >= wsClose && (size > wsMaxControl || b[0]&0x80 == 0) {
		return 0, 0, errWebSocket
	}
	var mask [4]byte
	if masked {
		mask = [4]byte(b[head-4 : head])
	}
	if code >= wsClose {
		if whole := head + int(size); len(b) < whole {
			return 0, whole - len(b), nil
		}
		d.control(t, dir, code, mask, masked, b[head:head+int(size)])
		t.u = &s.unit
		return head + int(size), 0, nil
	}
	d.frame(t, dir, s, b[0], mask, masked, size)
	return head, 0, nil
}

// frame begins a data frame.
func (d *webSocket) frame(t *teller, dir wire.Dir, s *wsSide, first uint8, mask [4]byte, masked bool, size int64) {
	code, fin := first&0xf, first&0x80 != 0
	if code != wsContinued && s.open {
		t.note(wsOrder)
		d.messageDone(t, s)
	}
	if !s.open {
		d.lastID++
		d.lastTx++
		s.unit = unit{id: d.lastID, tx: d.lastTx}
		s.open, s.begun, s.broken, s.off, s.in, s.out = true, false, false, 0, 0, 0
		s.packed = first&0x40 != 0 && d.agreed&wsDeflate != 0
		s.field = wsText
		if code != wsIsText {
			s.field = wsBinary
		}
		if code == wsContinued {
			t.note(wsOrder)
		}
		d.about(t, dir, wsNames[code], fin, mask, masked)
		if first&0x70 != 0 && !(s.packed && first&0x70 == 0x40) {
			t.note(wsReserved)
		}
		s.value = t.value()
	}
	s.fin, s.left, s.mask, s.masked, s.phase, s.inFrame = fin, size, mask, masked, 0, true
	if size == 0 {
		d.frameDone(t, dir, s)
	}
}

// about tells what a message's first frame says.
func (d *webSocket) about(t *teller, dir wire.Dir, name string, fin bool, mask [4]byte, masked bool) {
	t.addString(wsOpcode, name)
	t.addString(wsFin, truth(fin))
	if masked {
		t.number(wsMask, int64(binary.BigEndian.Uint32(mask[:])))
	} else if dir == wire.ToServer && d.agreed&wsBegun != 0 {
		t.note(wsUnmasked)
	}
}

// control takes a control frame: section 5.5.
func (d *webSocket) control(t *teller, dir wire.Dir, code uint8, mask [4]byte, masked bool, b []byte) {
	t.flush(false, false)
	d.lastID++
	d.lastTx++
	u := unit{id: d.lastID, tx: d.lastTx}
	t.u = &u
	d.about(t, dir, wsNames[code], true, mask, masked)
	if masked {
		b = t.write(func(o []byte) []byte { return appendUnmasked(o, b, mask, 0) })
	}
	if code == wsClose && len(b) >= 2 {
		t.number(wsCode, int64(binary.BigEndian.Uint16(b)))
		b = b[2:]
	}
	if len(b) > 0 {
		t.add(wsControl, b)
	}
	t.flush(true, true)
}

// appendUnmasked appends b unmasked: section 5.3.
func appendUnmasked(o, b []byte, mask [4]byte, phase int) []byte {
	for i, c := range b {
		o = append(o, c^mask[(phase+i)&3])
	}
	return o
}

// payload takes a piece of a data frame.
func (d *webSocket) payload(t *teller, dir wire.Dir, s *wsSide, b []byte) {
	if s.masked {
		raw, phase := b, s.phase
		b = t.write(func(o []byte) []byte { return appendUnmasked(o, raw, s.mask, phase) })
		s.phase += len(raw)
	}
	if s.packed && !s.broken {
		d.inflate(t, s, b)
	} else {
		d.tell(t, s, b)
	}
	t.flush(false, false)
}

// tell tells a piece of the message.
func (d *webSocket) tell(t *teller, s *wsSide, b []byte) {
	if len(b) == 0 {
		return
	}
	f := s.field
	if s.broken {
		f = wsPayload
	}
	if t.wants(f) {
		s.begun = true
		t.part(Part{Field: f, Value: s.value, Off: s.off, Bytes: b, More: true})
	}
	s.off += int64(len(b))
}

// inflate takes a piece of a compressed message: RFC 7692 section 7.2.2.
func (d *webSocket) inflate(t *teller, s *wsSide, b []byte) {
	if s.inf == nil {
		if !d.env.take(inflaterSize) {
			d.undecodable(t, s)
			d.tell(t, s, b)
			return
		}
		x := d.env.httpScratch()
		if n := len(x.inflaters); n > 0 {
			s.inf, x.inflaters = x.inflaters[n-1], x.inflaters[:n-1]
		} else {
			s.inf = new(inflater)
		}
		s.inf.reset()
	}
	s.in += int64(len(b))
	for {
		rest, done, err := s.inf.push(b)
		out := s.inf.out[s.inf.from:s.inf.pos]
		s.inf.from = s.inf.pos
		d.tell(t, s, out)
		t.flush(false, false)
		s.out += int64(len(out))
		lim := &d.env.Limits
		switch {
		case err != nil, s.out > int64(lim.DecodeMax), s.out > int64(lim.DecodeFree)+s.in*int64(lim.DecodeRatio):
			d.undecodable(t, s)
			d.tell(t, s, rest)
			return
		case done:
			s.inf.state, s.inf.final = blockHead, false
		}
		if len(rest) == 0 && !s.inf.full {
			return
		}
		b = rest
	}
}

// undecodable gives up on inflating: what follows of the direction's compressed messages is told as it comes.
func (d *webSocket) undecodable(t *teller, s *wsSide) {
	t.note(wsUndecodable)
	d.endValue(t, s)
	s.value = t.value()
	s.broken, s.off = true, 0
	d.free(s)
}

// frameDone goes on after a frame.
func (d *webSocket) frameDone(t *teller, dir wire.Dir, s *wsSide) {
	s.inFrame = false
	if !s.fin {
		return
	}
	if s.packed && !s.broken && s.inf != nil {
		d.inflate(t, s, []byte{0, 0, 0xff, 0xff})
		no := uint64(wsServerNo)
		if dir == wire.ToServer {
			no = wsClientNo
		}
		if d.agreed&no != 0 {
			d.free(s)
		}
	}
	d.messageDone(t, s)
}

// endValue ends the value that is being told.
func (d *webSocket) endValue(t *teller, s *wsSide) {
	if s.begun {
		f := s.field
		if s.broken {
			f = wsPayload
		}
		t.part(Part{Field: f, Value: s.value, Off: s.off})
		s.begun = false
	}
}

// messageDone ends the message in hand.
func (d *webSocket) messageDone(t *teller, s *wsSide) {
	d.endValue(t, s)
	t.flush(true, true)
	s.open = false
}

// free gives the inflater back.
func (d *webSocket) free(s *wsSide) {
	if s.inf == nil {
		return
	}
	d.env.give(inflaterSize)
	if x := d.env.httpScratch(); len(x.inflaters) < maxFree {
		x.inflaters = append(x.inflaters, s.inf)
	}
	s.inf = nil
}

// wsAgreed reads Sec-WebSocket-Extensions of an answer.
func wsAgreed(v []byte) (state uint64) {
	if indexFold(v, "permessage-deflate") < 0 {
		return 0
	}
	state = wsDeflate
	if indexFold(v, "server_no_context_takeover") >= 0 {
		state |= wsServerNo
	}
	if indexFold(v, "client_no_context_takeover") >= 0 {
		state |= wsClientNo
	}
	return state
}

// probeWebSocket says Yes to a text message of some length behind nothing but short ones, pings and pongs: without the upgrade that it began with
// a binary one could be anything.
func probeWebSocket(_ wire.Dir, head []byte) Guess {
	const enough = 8 // bytes of text
	for b := head; ; {
		switch code := b[0]; {
		case code != 0x80|wsIsText && code != 0x80|wsPing && code != 0x80|wsPong:
			return No
		case len(b) < 2:
			return Maybe
		}
		size, at := int(b[1]&0x7f), 2
		if size == 127 || b[0] != 0x80|wsIsText && size > wsMaxControl {
			return No
		}
		if size == 126 {
			if len(b) < 4 {
				return Maybe
			}
			size, at = int(binary.BigEndian.Uint16(b[2:])), 4
		}
		var mask [4]byte
		if b[1]&0x80 != 0 {
			if len(b) < at+4 {
				return Maybe
			}
			mask = [4]byte(b[at:])
			at += 4
		}
		text := b[at:min(len(b), at+size)]
		if b[0] == 0x80|wsIsText {
			for i, c := range text[:min(len(text), 64)] {
				if c ^= mask[i&3]; c < ' ' && c != '\n' && c != '\r' && c != '\t' || c == 0x7f || c >= 0xf8 {
					return No
				}
			}
			if size >= enough && len(text) >= min(size, 64) {
				return Yes
			}
		}
		if len(b) <= at+size {
			return Maybe
		}
		b = b[at+size:]
	}
}
