package dissect

import (
	"math/bits"
	"slices"

	"weir/wire"
)

// http2Message is a request or an answer.
type http2Message struct {
	httpSide
	http2Noted
	done  bool   // it has ended, or nothing of it will be seen
	isDoH bool   // the body is a DNS message
	doh   []byte // the DNS message, or what came of it
	grpc  *grpcCall
}

// http2Stream is an exchange.
type http2Stream struct {
	id   uint32
	tx   uint64
	head bool            // the request's method is HEAD
	msg  [3]http2Message // by httpKind
}

// other is the kind of the other message of an exchange.
func (k httpKind) other() httpKind { return request + response - k }

// find returns a stream that is followed, nil if there is none.
func (d *http2) find(id uint32) *http2Stream {
	for i := len(d.streams) - 1; i >= 0; i-- {
		if d.streams[i].id == id {
			return d.streams[i]
		}
	}
	return nil
}

// open begins to follow a stream.
func (d *http2) open(s *http2Side, id uint32) *http2Stream {
	if len(d.streams) >= maxStreams {
		st := d.streams[0]
		d.connNote(s, h2TooManyStreams)
		d.endStream(st)
	}
	var st *http2Stream
	if n := len(d.x.free); n > 0 {
		st, d.x.free = d.x.free[n-1], d.x.free[:n-1]
	} else {
		st = new(http2Stream)
	}
	d.lastTx++
	*st = http2Stream{id: id, tx: d.lastTx}
	d.streams = append(d.streams, st)
	return st
}

// forget gives back what a stream holds.
func (d *http2) forget(st *http2Stream) {
	for k := range st.msg {
		d.h.drop(&st.msg[k].httpSide)
		d.grpcFree(&st.msg[k])
	}
	if i := slices.Index(d.streams, st); i >= 0 {
		d.streams = slices.Delete(d.streams, i, i+1)
	}
	if len(d.x.free) < maxStreams {
		d.x.free = append(d.x.free, st)
	}
}

// endStream ends both messages of a stream at once. An answer that never came is a message without content.
func (d *http2) endStream(st *http2Stream) {
	q, a := &st.msg[request], &st.msg[response]
	switch {
	case !q.open && !a.open:
		d.begin(st, response, d.client.Other())
		d.endMessage(st, response)
		return
	case !a.open:
		a.done = true
	case !q.open:
		q.done = true
	}
	for _, k := range [...]httpKind{request, response} {
		if m := &st.msg[k]; m.open {
			d.h.note(&m.httpSide, noteTruncated)
			d.endMessage(st, k)
		}
	}
}

// begin begins a message of a stream.
func (d *http2) begin(st *http2Stream, k httpKind, dir wire.Dir) *http2Message {
	m := &st.msg[k]
	*m = http2Message{httpSide: httpSide{dir: dir}}
	d.h.begin(&m.httpSide, k)
	m.tx = st.tx
	m.state = inBodyTail
	if k == response && !st.msg[request].open {
		st.msg[request].done = true
	}
	d.h.number(&m.httpSide, http2StreamID, int64(st.id))
	return m
}

// endMessage ends a message, and forgets the stream if the exchange is over then.
func (d *http2) endMessage(st *http2Stream, k httpKind) {
	m := &st.msg[k]
	f := &m.frame
	d.h.closeBody(m.dir, &m.httpSide, (m.httpSide.told|m.httpSide.fresh)&(1<<noteTruncated) != 0)
	if f.lengths > 0 && !f.badLength && m.length != f.length && m.httpSide.told&(1<<noteTruncated) == 0 &&
		!(k == response && m.length == 0 && (st.head || f.status == 304)) {
		m.note(h2LengthDiffers)
	}
	if k == response && !f.interim {
		d.h.number(&m.httpSide, httpLength, m.length)
	}
	m.done = !f.interim
	over := st.msg[request].done && st.msg[response].done
	if m.grpc != nil {
		if f.interim {
			d.grpcFree(m)
		} else {
			d.grpcEnd(m, over)
		}
	}
	d.flush(m, true, over)
	m.open = false
	d.h.drop(&m.httpSide)
	if m.doh != nil {
		d.dns(m.dir, m.doh)
		d.kept -= cap(m.doh)
		m.doh = nil
	}
	if over {
		d.forget(st)
	}
}

// flush emits what is collected for a message, if there is anything to say.
func (d *http2) flush(m *http2Message, end, txEnd bool) {
	x := d.h.x
	if !end && len(x.parts) == 0 && m.httpSide.fresh == 0 && m.http2Noted.fresh == 0 {
		return
	}
	msg := &x.msg
	*msg = Message{Protocol: d.h.p, ID: m.id, Tx: m.tx, Dir: m.dir, Parts: x.parts, Notes: x.notes[:0], End: end, TxEnd: txEnd}
	for set := uint64(m.httpSide.fresh); set != 0; set &= set - 1 {
		msg.Notes = append(msg.Notes, httpNotes[bits.TrailingZeros64(set)])
	}
	for set := uint64(m.http2Noted.fresh); set != 0; set &= set - 1 {
		msg.Notes = append(msg.Notes, http2Notes[bits.TrailingZeros64(set)])
	}
	m.httpSide.fresh, m.http2Noted.fresh = 0, 0
	d.h.emit(msg)
	msg.Parts, msg.Notes = nil, nil
	x.parts = x.parts[:0]
	x.reset()
}

// role is what dir carries.
func (d *http2) role(dir wire.Dir) httpKind {
	if dir == d.client {
		return request
	}
	return response
}

// dataBegin begins a DATA frame: section 6.1. b is the padding's length, if there is one.
func (d *http2) dataBegin(dir wire.Dir, s *http2Side, b []byte) {
	s.state, s.remain, s.pad = inData, s.frame.length-len(b), 0
	if len(b) > 0 {
		if pad := int(b[0]); pad > s.remain {
			d.connNote(s, h2Padding)
		} else {
			s.remain -= pad
			s.pad = pad
		}
	}
	if s.remain == 0 {
		s.state = inDataPad
		d.dataEnd(dir, s)
	}
}

// body returns the message that a DATA frame in hand belongs to.
func (d *http2) body(dir wire.Dir, s *http2Side) (*http2Stream, *http2Message) {
	st, k := d.find(s.frame.stream), d.role(dir)
	if st == nil {
		st = d.open(s, s.frame.stream)
		st.msg[k.other()].done = !d.midway // of a stream that is closed, most likely
	} else if o := &st.msg[k.other()]; !st.msg[k].open && o.open && o.dir == dir {
		k = k.other()
	}
	m := &st.msg[k]
	if m.open {
		return st, m
	}
	late := m.done && m.kind != noKind
	m = d.begin(st, k, dir)
	switch {
	case late:
		m.note(h2AfterEnd)
	case !d.midway && !d.wasOpen(st.id):
		m.note(h2NoHeaders)
	}
	d.h.openBody(&m.httpSide)
	return st, m
}

// data takes a piece of a DATA frame.
func (d *http2) data(dir wire.Dir, s *http2Side, b []byte) {
	_, m := d.body(dir, s)
	if len(b) > 0 && m.frame.noBody && m.length == 0 && m.class != classConnect {
		d.h.note(&m.httpSide, noteBodyUnexpected)
	}
	d.h.bodyPiece(dir, &m.httpSide, b)
	d.dohBody(m, b)
	if m.grpc != nil {
		d.grpcData(m, b)
	}
	d.flush(m, false, false)
}

// skipData passes over n lost bytes of a DATA frame.
func (d *http2) skipData(dir wire.Dir, s *http2Side, n int64) {
	_, m := d.body(dir, s)
	d.h.skipBody(&m.httpSide, n)
	if m.grpc != nil {
		d.grpcSkip(m, n)
	}
	d.flush(m, false, false)
}

// dataEnd ends a DATA frame once its padding has come.
func (d *http2) dataEnd(dir wire.Dir, s *http2Side) {
	if s.pad > 0 {
		return
	}
	s.state = atFrame
	if s.frame.flags&flagEndStream == 0 {
		return
	}
	st, m := d.body(dir, s)
	d.endMessage(st, m.kind)
}

// reset takes RST_STREAM: section 6.4. Both messages end; what still comes of them is inspected as it comes.
func (d *http2) reset(dir wire.Dir, id uint32) {
	st := d.find(id)
	if st == nil {
		return
	}
	if dir == d.client && !st.msg[response].open {
		d.resets++
		if d.resets > maxResets && d.resets >= d.opened/2 {
			d.connNote(&d.side[dir], h2RapidReset)
		}
	}
	d.endStream(st)
}
