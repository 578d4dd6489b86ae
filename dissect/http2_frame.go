package dissect

import (
	"weir/wire"
)

// Frame types: RFC 9113 section 6.
const (
	frameData uint8 = iota
	frameHeaders
	framePriority
	frameReset
	frameSettings
	framePush
	framePing
	frameGoaway
	frameWindow
	frameContinuation
)

// Flags of frames: RFC 9113 section 6.
const (
	flagEndStream  = 0x01
	flagAck        = 0x01
	flagEndHeaders = 0x04
	flagPadded     = 0x08
	flagPriority   = 0x20
)

// Settings: RFC 9113 section 6.5.2.
const (
	settingTableSize = 1
	settingPush      = 2
	settingWindow    = 4
	settingFrameSize = 5
)

// http2Frame is a frame's header.
type http2Frame struct {
	length int // bytes of payload
	kind   uint8
	flags  uint8
	stream uint32
}

func http2FrameAt(b []byte) http2Frame {
	c := wire.Cut(b)
	return http2Frame{length: int(c.U24()), kind: c.U8(), flags: c.U8(), stream: c.U32() & (1<<31 - 1)}
}

// sized reports whether the frame's length is one that its type allows.
func (f *http2Frame) sized() bool {
	least, most := 0, 1<<24
	switch f.kind {
	case framePriority:
		least, most = 5, 5
	case frameReset, frameWindow:
		least, most = 4, 4
	case framePing:
		least, most = 8, 8
	case frameGoaway:
		least = 8
	case frameSettings:
		if f.flags&flagAck != 0 {
			most = 0
		} else if f.length%6 != 0 {
			return false
		}
	case framePush:
		least = 4
	}
	if f.flags&flagPadded != 0 && (f.kind == frameData || f.kind == frameHeaders || f.kind == framePush) {
		least++
	}
	if f.flags&flagPriority != 0 && f.kind == frameHeaders {
		least += 5
	}
	return f.length >= least && f.length <= most
}

// placed reports whether the frame is on a stream, or on none, as its type asks.
func (f *http2Frame) placed() bool {
	switch f.kind {
	case frameSettings, framePing, frameGoaway:
		return f.stream == 0
	case frameWindow:
		return true
	}
	return f.kind > frameContinuation || f.stream != 0
}

// frame takes a frame, or begins one whose payload is taken as it comes.
func (d *http2) frame(dir wire.Dir, s *http2Side, b []byte) (n, need int) {
	if len(b) < http2HeadSize {
		return 0, http2HeadSize - len(b)
	}
	f := http2FrameAt(b)
	head := http2HeadSize
	padded := f.kind == frameData && f.flags&flagPadded != 0 && f.length > 0
	if padded {
		head++
	}
	limit := max(d.h.env.Limits.Line, 256)
	wait := f.kind != frameData && f.length <= limit
	if wait {
		head = http2HeadSize + f.length
	}
	if len(b) < head {
		return 0, head - len(b)
	}
	s.frame = f
	if !d.judgeFrame(s, f) {
		if f.kind > frameContinuation {
			s.bad++
		}
	} else if f.kind <= frameContinuation {
		s.bad = 0
	}
	if s.block.open && (f.kind != frameContinuation || f.stream != s.block.stream) {
		d.connNote(s, h2BlockBroken)
		d.endBlock(dir, s)
	}
	switch {
	case f.kind == frameData:
		d.dataBegin(dir, s, b[http2HeadSize:head])
	case wait:
		d.whole(dir, s, f, b[http2HeadSize:head])
	default:
		d.tooLarge(s, f)
	}
	return head, 0
}

// judgeFrame notes a frame whose size or stream cannot be. It reports whether the size can.
func (d *http2) judgeFrame(s *http2Side, f http2Frame) bool {
	ok := f.sized() && f.length <= max(s.maxFrame, http2FrameSize)
	if !ok {
		d.connNote(s, h2FrameSize)
	}
	if !f.placed() {
		d.connNote(s, h2StreamID)
	}
	return ok
}

// tooLarge begins a frame that cannot be waited for.
func (d *http2) tooLarge(s *http2Side, f http2Frame) {
	if f.kind <= frameContinuation {
		d.connNote(s, h2FrameTooLarge)
	}
	switch f.kind {
	case frameHeaders, framePush, frameContinuation:
		s.table.reset(true)
		d.connNote(s, h2HpackLost)
	}
	s.state, s.remain = inOtherFrame, f.length
	s.conn.begin()
}

// whole takes a frame that is whole, other than DATA.
func (d *http2) whole(dir wire.Dir, s *http2Side, f http2Frame, b []byte) {
	c := wire.Cut(b)
	switch f.kind {
	case frameHeaders:
		d.headers(dir, s, f, b)
	case frameContinuation:
		d.continuation(dir, s, f, b)
	case framePush:
		d.push(dir, s, f, b)
	case frameReset:
		d.reset(dir, f.stream)
	case frameSettings:
		if f.stream == 0 && f.sized() && f.flags&flagAck == 0 {
			d.settings(dir, s, c)
		}
	case frameWindow:
		if c.U32()<<1 == 0 && !c.Short() {
			d.connNote(s, h2Window)
		}
	case frameGoaway:
		c.Skip(8)
		d.other(dir, s, c.Rest())
	case framePriority, framePing:
	default:
		d.other(dir, s, b)
	}
	if !f.sized() && f.kind != frameHeaders && f.kind != framePush && f.kind != frameContinuation {
		d.other(dir, s, b)
	}
}

// settings takes what dir's sender allows its peer: section 6.5.
func (d *http2) settings(dir wire.Dir, s *http2Side, c wire.Cursor) {
	peer := &d.side[dir.Other()]
	for c.Len() > 0 {
		id, v := c.U16(), c.U32()
		switch id {
		case settingTableSize:
			peer.table.allowed = max(peer.table.allowed, int(min(v, hpackNumber))) // the peer may not know of a smaller one yet
		case settingPush:
			if v > 1 {
				d.connNote(s, h2Settings)
			}
		case settingWindow:
			if v >= 1<<31 {
				d.connNote(s, h2Settings)
			}
		case settingFrameSize:
			if v < http2FrameSize || v >= 1<<24 {
				d.connNote(s, h2Settings)
			} else {
				peer.maxFrame = max(peer.maxFrame, int(v))
			}
		}
	}
}

// unpad cuts padding off: sections 6.2 and 6.6. Padding that cannot be is taken for content.
func (d *http2) unpad(dir wire.Dir, s *http2Side, f http2Frame, b []byte) []byte {
	if f.flags&flagPadded == 0 || len(b) == 0 {
		return b
	}
	c := wire.Cut(b)
	pad := int(c.U8())
	if pad > c.Len() {
		d.connNote(s, h2Padding)
		return c.Rest()
	}
	content := c.Bytes(c.Len() - pad)
	d.paddingBytes(dir, s, c.Rest())
	return content
}

// paddingBytes inspects padding that is in use.
func (d *http2) paddingBytes(dir wire.Dir, s *http2Side, b []byte) {
	for _, c := range b {
		if c != 0 {
			d.connNote(s, h2PaddingUsed)
			d.other(dir, s, b)
			return
		}
	}
}

// http2Conn is the message of a direction for what belongs to no stream. It is begun when there is something to say,
// and ends with the direction.
type http2Conn struct {
	http2Noted
	id, tx uint64
	values uint32
	off    int64
	part   bool // a value is open
}

func (c *http2Conn) begin() {
	c.values++
	c.off = 0
}

func (d *http2) connNote(s *http2Side, k http2NoteKind) {
	d.openConn(&s.conn)
	s.conn.note(k)
}

// openConn gives the direction's own message its number.
func (d *http2) openConn(c *http2Conn) {
	if c.id == 0 {
		d.h.lastID++
		d.lastTx++
		c.id, c.tx = d.h.lastID, d.lastTx
	}
}

// other collects payload that is whole.
func (d *http2) other(dir wire.Dir, s *http2Side, b []byte) {
	if len(b) > 0 {
		s.conn.begin()
		d.payload(dir, s, b, false)
	}
}

// payload emits a piece of the value in hand.
func (d *http2) payload(dir wire.Dir, s *http2Side, b []byte, more bool) {
	c := &s.conn
	if d.h.x.wants(http2Payload) && (len(b) > 0 || c.part) {
		d.openConn(c)
		d.h.x.parts = append(d.h.x.parts, Part{Field: http2Payload, Value: c.values, Off: c.off, Bytes: b, More: more})
		c.part = more
	}
	c.off += int64(len(b))
	d.flushConn(dir, s, false)
}

// flushConn emits what is collected for the direction's own message.
func (d *http2) flushConn(dir wire.Dir, s *http2Side, end bool) {
	x, c := d.h.x, &s.conn
	if c.id == 0 || len(x.parts) == 0 && c.fresh == 0 && !end {
		return
	}
	m := http2Message{http2Noted: c.http2Noted, httpSide: httpSide{dir: dir}}
	m.id, m.tx = c.id, c.tx
	d.flush(&m, end, end)
	c.fresh = 0
	if end {
		c.id = 0
	}
}
