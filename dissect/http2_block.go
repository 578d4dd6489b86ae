package dissect

import (
	"weir/wire"
)

// http2Block is the header block in hand: RFC 9113 section 4.3.
type http2Block struct {
	open    bool // END_HEADERS has not come
	begun   bool // a piece of it was taken
	trailer bool
	end     bool // END_STREAM
	stream  uint32
	pushed  uint32 // the stream promised; 0: none
	kind    httpKind
	frames  int
	buf     []byte // what is not taken yet
}

// headers takes HEADERS: section 6.2.
func (d *http2) headers(dir wire.Dir, s *http2Side, f http2Frame, b []byte) {
	c := wire.Cut(d.unpad(dir, s, f, b))
	if f.flags&flagPriority != 0 {
		c.Skip(5)
	}
	s.block = http2Block{open: true, stream: f.stream, end: f.flags&flagEndStream != 0, buf: s.block.buf[:0]}
	d.fragment(dir, s, f, c.Rest())
}

// push takes PUSH_PROMISE: section 6.6.
func (d *http2) push(dir wire.Dir, s *http2Side, f http2Frame, b []byte) {
	c := wire.Cut(d.unpad(dir, s, f, b))
	id := c.U32() & (1<<31 - 1)
	if id == 0 || id%2 != 0 || d.known && dir == d.client {
		d.connNote(s, h2Push)
	}
	s.block = http2Block{open: true, stream: f.stream, pushed: id, end: true, buf: s.block.buf[:0]}
	d.fragment(dir, s, f, c.Rest())
}

// continuation takes CONTINUATION: section 6.10. Without a beginning it is taken for one.
func (d *http2) continuation(dir wire.Dir, s *http2Side, f http2Frame, b []byte) {
	if !s.block.open {
		d.connNote(s, h2BlockBroken)
		s.block = http2Block{open: true, stream: f.stream, buf: s.block.buf[:0]}
	}
	if s.block.frames++; s.block.frames > maxContinuations {
		d.connNote(s, h2Flood)
	}
	d.fragment(dir, s, f, b)
}

// fragment takes a piece of the header block in hand. The block is taken when it is whole, or in pieces if it is too
// large for that.
func (d *http2) fragment(dir wire.Dir, s *http2Side, f http2Frame, b []byte) {
	k := &s.block
	last := f.flags&flagEndHeaders != 0
	limit := max(d.h.env.Limits.Line, 256)
	switch {
	case last && len(k.buf) == 0:
		d.take(dir, s, b, true)
	case last && len(k.buf)+len(b) <= 2*limit:
		k.buf = append(k.buf, b...)
		d.take(dir, s, k.buf, true)
	case len(k.buf)+len(b) <= limit:
		k.buf = append(k.buf, b...)
	default:
		d.connNote(s, h2BlockTooLarge)
		k.buf = append(k.buf, b...)
		rest := d.take(dir, s, k.buf, last)
		k.buf = k.buf[:copy(k.buf, rest)]
		if len(k.buf) > limit { // one string that is too long: nothing after it can be read
			d.connNote(s, h2HpackLost)
			k.buf = k.buf[:0]
			s.table.reset(true)
		}
	}
	if last {
		s.closeBlock()
	}
}

// closeBlock forgets the header block, but for a little memory.
func (s *http2Side) closeBlock() {
	buf := s.block.buf[:0]
	if cap(buf) > maxKeptBlock {
		buf = nil
	}
	s.block = http2Block{buf: buf}
}

// ours
const (
	maxKeptBlock = 4 << 10 // bytes of a buffer for header blocks that a connection keeps
	leastList    = 4 << 10 // bytes of a header list that are always looked at
	listRatio    = 4       // times Limits.DecodeRatio: a great cookie is sent again and again, too
)

// endBlock takes what there is of a header block that will not be whole.
func (d *http2) endBlock(dir wire.Dir, s *http2Side) {
	if s.block.open {
		d.take(dir, s, s.block.buf, true)
		s.closeBlock()
		s.table.reset(true)
	}
}

// take decodes b, the next piece of the block in hand, and gives its fields to the message they belong to. It returns
// what is left of an unfinished field.
func (d *http2) take(dir wire.Dir, s *http2Side, b []byte, last bool) (rest []byte) {
	k, l := &s.block, &d.x.list
	s.taken += int64(len(b)) + http2HeadSize
	l.reset(d.listBudget(s), !k.begun)
	rest = s.table.decode(l, b)
	s.taken -= int64(len(rest))
	s.listed += int64(len(l.text))
	if last && len(rest) > 0 {
		l.flaws |= hpackBroken
		s.table.reset(true)
	}
	d.flaws(s, l.flaws)
	begin := !k.begun
	if begin {
		d.beginBlock(dir, s)
	}
	st, m := d.ofBlock(dir, s)
	if k.trailer || !begin {
		d.moreFields(m)
	} else {
		d.firstFields(st, m, d.midway || l.flaws&(hpackUnknown|hpackBroken) != 0)
	}
	if last {
		d.blockDone(st, m, k)
	} else {
		d.flush(m, false, false)
	}
	if cap(l.text) > maxScratch {
		l.text = nil
	}
	return rest
}

// listBudget returns how many bytes the next header list may have: an entry of the table that is named by one byte
// stands for up to the whole table, again and again.
func (d *http2) listBudget(s *http2Side) int {
	lim := &d.h.env.Limits
	left := int64(lim.DecodeFree) + listRatio*int64(lim.DecodeRatio)*s.taken - s.listed
	return int(max(leastList, min(left, 4*int64(max(lim.Line, 256)))))
}

// flaws notes what was wrong with a header block.
func (d *http2) flaws(s *http2Side, f hpackFlaws) {
	if f&hpackUnknown != 0 && s.table.partial || f&hpackBroken != 0 {
		d.connNote(s, h2HpackLost)
	}
	if f&hpackUnknown != 0 && !s.table.partial {
		d.connNote(s, h2HpackBad)
		s.table.partial = true
	}
	if f&(hpackBroken|hpackHuffman|hpackResize) != 0 {
		d.connNote(s, h2HpackBad)
	}
	if f&hpackTooLarge != 0 {
		d.connNote(s, h2ListTooLarge)
	}
}

// kindOf says what a header list begins: its pseudo-headers tell, for sure, else its direction.
func (d *http2) kindOf(dir wire.Dir) (k httpKind, sure bool) {
	l := &d.x.list
	for _, f := range l.fields {
		switch n := l.name(f); {
		case len(n) == 0 || n[0] != ':':
		case string(n) == ":status":
			return response, true
		case string(n) == ":method" || string(n) == ":path" || string(n) == ":authority" || string(n) == ":scheme":
			return request, true
		}
	}
	return d.role(dir), false
}

// beginBlock finds out what the block in hand is.
func (d *http2) beginBlock(dir wire.Dir, s *http2Side) {
	k := &s.block
	k.begun = true
	if k.pushed != 0 {
		k.kind = request
		d.promised(dir, s)
		return
	}
	st := d.find(k.stream)
	k.kind = d.role(dir)
	if st != nil && st.msg[k.kind].open && st.msg[k.kind].dir == dir {
		k.trailer = true
		return
	}
	kind, sure := d.kindOf(dir)
	if kind != k.kind && !d.known { // picked up midway, and the first header block tells who is who
		d.client = d.client.Other()
	}
	k.kind, d.known = kind, d.known || sure
	if st == nil {
		st = d.open(s, k.stream)
		d.newStream(s, k)
	}
	if st.msg[k.kind].open { // of the other direction
		k.trailer = true
		return
	}
	late := st.msg[k.kind].done && st.msg[k.kind].kind != noKind
	m := d.begin(st, k.kind, dir)
	if late {
		m.note(h2AfterEnd)
	}
	if k.kind != d.role(dir) {
		d.h.note(&m.httpSide, noteRoles)
	}
}

// newStream judges the number of a stream that begins: section 5.1.1.
func (d *http2) newStream(s *http2Side, k *http2Block) {
	if k.kind != request {
		if !d.midway && !d.wasOpen(k.stream) && k.stream != 1 { // 1 may be the answer to the request that asked for the upgrade
			d.connNote(s, h2StreamID)
		}
		return
	}
	if k.stream%2 == 0 || k.stream <= s.lastID {
		d.connNote(s, h2StreamID)
	}
	s.lastID = max(s.lastID, k.stream)
	d.opened++
}

// wasOpen reports whether a stream may be one that was begun and is over, by a reset that its sender did not know of
// yet.
func (d *http2) wasOpen(id uint32) bool {
	dir := d.client
	if id%2 == 0 {
		dir = dir.Other()
	}
	return id <= d.side[dir].lastID
}

// promised begins the request that a server promises to answer.
func (d *http2) promised(dir wire.Dir, s *http2Side) {
	st := d.find(s.block.pushed)
	if st == nil {
		st = d.open(s, s.block.pushed)
		s.lastID = max(s.lastID, s.block.pushed)
	}
	if st.msg[request].open {
		s.block.trailer = true
		return
	}
	d.begin(st, request, dir)
}

// ofBlock returns the message of the block in hand; it is begun anew if its stream was given up meanwhile.
func (d *http2) ofBlock(dir wire.Dir, s *http2Side) (*http2Stream, *http2Message) {
	k := &s.block
	id := k.stream
	if k.pushed != 0 {
		id = k.pushed
	}
	st := d.find(id)
	if st == nil {
		st = d.open(s, id)
	}
	m := &st.msg[k.kind]
	if !m.open {
		m = d.begin(st, k.kind, dir)
	}
	return st, m
}

// blockDone goes on after the last piece of a header block.
func (d *http2) blockDone(st *http2Stream, m *http2Message, k *http2Block) {
	switch {
	case k.end:
		m.frame.interim = false
		d.endMessage(st, m.kind)
		return
	case k.trailer:
	case m.frame.interim:
		d.endMessage(st, m.kind)
		return
	case m.grpc == nil: // else its messages are told, not the body
		d.h.openBody(&m.httpSide)
	}
	d.flush(m, false, false)
}
