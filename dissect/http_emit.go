package dissect

import (
	"math/bits"
	"slices"
	"strconv"

	"weir/wire"
)

// ours
const (
	maxFree    = 8       // objects of a kind that are kept for reuse
	maxScratch = 1 << 20 // bytes of a scratch buffer that are kept for reuse
)

// httpScratch is what http dissectors share: nothing in it outlives a call, but for free lists.
type httpScratch struct {
	msg    Message
	parts  []Part
	notes  []Note
	ends   []int32 // line ends of the head in hand
	shifts []Shift // of the parts collected
	text   []byte  // bytes of the parts collected that are no part of the input: views, numbers, lower case
	want   uint32  // set of Fields
	key    *bool   // Want that want was made from
	keyLen int
	of     *Protocol // whose fields want is about

	codings   []*codings
	inflaters []*inflater
	viewers   []*viewer
	files     []*multipart
	https     []*http
}

func (e *Env) httpScratch() *httpScratch {
	s := e.scratch()
	if s.http == nil {
		s.http = &httpScratch{parts: make([]Part, 0, maxParts+16), notes: make([]Note, 0, noteKinds)}
	}
	return s.http
}

// refresh takes over what is asked for.
func (x *httpScratch) refresh(p *Protocol, env *Env) {
	var key *bool
	if len(env.Want) > 0 {
		key = &env.Want[0]
	}
	if key == x.key && len(env.Want) == x.keyLen && p == x.of {
		return
	}
	x.key, x.keyLen, x.of, x.want = key, len(env.Want), p, 0
	for f := range p.Fields {
		if env.Want.Has(p, Field(f)) {
			x.want |= 1 << f
		}
	}
}

func (x *httpScratch) wants(f Field) bool { return x.want&(1<<f) != 0 }

// add collects a value that is whole.
func (h *http) add(s *httpSide, f Field, b []byte) {
	if h.x.wants(f) {
		s.values++
		h.x.parts = append(h.x.parts, Part{Field: f, Value: s.values, Bytes: b})
	}
}

// number collects a value of decimal digits.
func (h *http) number(s *httpSide, f Field, n int64) {
	if h.x.wants(f) {
		at := len(h.x.text)
		h.x.text = strconv.AppendInt(h.x.text, n, 10)
		h.add(s, f, h.x.text[at:])
	}
}

// begin opens a message of the direction.
func (h *http) begin(s *httpSide, k httpKind) {
	h.lastID++
	s.id, s.kind, s.open = h.lastID, k, true
	s.values, s.off, s.length, s.headAt = 0, 0, 0, 0
	s.body, s.want, s.ended, s.spared = false, false, false, false
	s.frame = httpFrame{}
	s.class = classOther
}

// end closes the message in hand.
func (h *http) end(dir wire.Dir, s *httpSide) {
	if !s.open {
		s.state = atStart
		return
	}
	h.flush(dir, s, true)
	s.open = false
	s.state = atStart
	s.scan, s.lineAt, s.blank = 0, 0, 0
	s.told, s.fresh = 0, 0
}

// flush emits what is collected, if there is anything to say.
func (h *http) flush(dir wire.Dir, s *httpSide, end bool) {
	x := h.x
	if !s.open || !end && len(x.parts) == 0 && s.fresh == 0 {
		return
	}
	m := &x.msg
	*m = Message{Protocol: h.p, ID: s.id, Tx: s.tx, Dir: dir, Parts: x.parts, Notes: x.notes[:0], End: end}
	for set := uint64(s.fresh); set != 0; set &= set - 1 {
		m.Notes = append(m.Notes, httpNotes[bits.TrailingZeros64(set)])
	}
	s.fresh = 0
	if end {
		if m.Upgrade = s.state == upgraded; m.Upgrade && s.frame.websocket && s.frame.status == 101 {
			m.Next, m.NextState = &WebSocket, uint64(s.frame.deflate)|wsBegun
		}
		m.TxEnd = h.exchangeEnds(dir, s)
	}
	h.emit(m)
	m.Parts, m.Notes = nil, nil
	x.parts = x.parts[:0]
	x.reset()
}

// reset forgets the bytes that collected parts borrowed.
func (x *httpScratch) reset() {
	if cap(x.text) > maxScratch {
		x.text = nil
	}
	if cap(x.shifts) > maxScratch/16 {
		x.shifts = nil
	}
	x.text, x.shifts = x.text[:0], x.shifts[:0]
}

// exchangeEnds reports whether with the end of this message its exchange is complete, both ways.
func (h *http) exchangeEnds(dir wire.Dir, s *httpSide) bool {
	o := &h.side[dir.Other()]
	switch s.kind {
	case response:
		if s.frame.interim {
			return false
		}
		h.done = max(h.done, s.tx)
		return !(o.open && o.kind == request && o.tx == s.tx)
	case request:
		return s.tx != 0 && s.tx <= h.done
	}
	return false
}

// answered takes the request that an answer belongs to from the queue.
func (h *http) answered(s *httpSide, status int) {
	if len(h.pending) == 0 {
		if h.reqTx > 0 && !h.lost && status != 408 && status != 400 {
			h.note(s, noteUnrequested)
		}
		h.ansTx = max(h.ansTx, h.reqTx) + 1
		h.reqTx = h.ansTx
		s.tx, s.class = h.ansTx, classOther
		return
	}
	s.class = h.pending[0]
	s.tx = h.reqTx - uint64(len(h.pending)) + 1
	if s.frame.interim {
		return
	}
	for i := range h.side {
		if o := &h.side[i]; o.open && o.kind == request && o.tx == s.tx && o.frame.expect && o.state == inBody && o.length == 0 {
			o.spared = true
		}
	}
	h.ansTx = s.tx
	h.pending = slices.Delete(h.pending, 0, 1)
}

// asked queues a request for pairing.
func (h *http) asked(s *httpSide, c httpClass) {
	h.reqTx++
	s.tx, s.class = h.reqTx, c
	if len(h.pending) >= max(h.env.Limits.Pending, 1) {
		h.note(s, notePending)
		h.pending = slices.Delete(h.pending, 0, 1)
		h.lost = true
	}
	h.pending = append(h.pending, c)
}
