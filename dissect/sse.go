package dissect

import "weir/wire"

// SSE is what an answer of HTTP carries where its content type says so. It has no flows of its own: an http or http2 tells its events beside the
// body that they are.
var SSE = Protocol{
	Name: "sse",
	About: "Server-sent events (WHATWG HTML, section 9.2) in answers of HTTP/1 and HTTP/2 of type text/event-stream, after transfer and content codings. Each " +
		"has an event `sse` of its own, when it is whole. The stream as such is the answer's body.",
	Carrier: Stream,
	Probe:   func(wire.Dir, []byte) Guess { return No },
	Fields: []FieldSpec{
		sseEvent: {Name: "sse.event", Doc: "type of the event", EVE: "event", Derived: true},
		sseData:  {Name: "sse.data", Doc: "its data, lines joined", Derived: true},
		sseID:    {Name: "sse.id", Doc: "its id", EVE: "id", Derived: true},
		sseRetry: {Name: "sse.retry", Doc: "after how many ms the client is to try again", EVE: "retry", Derived: true},
	},
	PerMessage: true,
}

// Fields of SSE.
const (
	sseEvent Field = iota
	sseData
	sseID
	sseRetry
)

// ours
const (
	sseName = 8       // bytes of a field's name that are told apart
	sseTx   = 1 << 34 // added to the exchanges of events, which have their message's number
	sseSize = 128     // bytes that an sse is counted for
)

var sseFields = map[string]Field{"event": sseEvent, "data": sseData, "id": sseID, "retry": sseRetry}

// sse finds the events of one answer as it comes.
type sse struct {
	dir   wire.Dir
	unit  unit
	name  [sseName]byte // of the field in hand
	n     int           // bytes of it; sseName: it is none that is known
	body  bool          // the field's value has begun
	first bool          // a space may stand before it
	cr    bool          // the last byte was a CR: a LF may belong to it
	skip  bool          // nobody reads the value
	data  pieces        // over several lines
	value pieces        // of the line in hand
}

// openEvents prepares for the events of an answer, if anybody asks for them.
func (h *http) openEvents(s *httpSide) {
	for f := range SSE.Fields {
		if h.env.Want.Has(&SSE, Field(f)) {
			s.events, s.want = &sse{dir: s.dir}, true
			return
		}
	}
}

// push takes a piece of the stream.
func (e *sse) push(h *http, with uint64, b []byte) {
	t := h.env.teller(&SSE, e.dir, &e.unit, h.emit)
	for len(b) > 0 {
		n := 0
		for n < len(b) && b[n] != '\n' && b[n] != '\r' && (e.body || b[n] != ':') {
			n++
		}
		if n > 0 {
			e.cr = false
			e.take(t, h, with, b[:n])
			b = b[n:]
			continue
		}
		switch c := b[0]; {
		case c == ':':
			e.begin(t, h, with)
			e.cr, e.first = false, true
		case c == '\n' && e.cr:
			e.cr = false
		default:
			e.cr = c == '\r'
			e.lineEnd(t, h, with)
		}
		b = b[1:]
	}
	t.flush(false, false)
}

// take takes bytes of a line: of its field's name, or of its value.
func (e *sse) take(t *teller, h *http, with uint64, b []byte) {
	if !e.body {
		e.n += copy(e.name[e.n:], b)
		return
	}
	if e.first && b[0] == ' ' {
		b = b[1:]
	}
	e.first = false
	switch {
	case e.skip || len(b) == 0:
	case e.value.field == sseData:
		t.join(&e.data, b)
	default:
		t.join(&e.value, b)
	}
}

// begin begins the value of the field in hand.
func (e *sse) begin(t *teller, h *http, with uint64) {
	e.body = true
	f, known := sseFields[string(e.name[:e.n])]
	if e.skip = !known; e.skip {
		return // a comment, or what nobody knows
	}
	if e.unit.id == 0 {
		h.lastID++
		e.unit = unit{id: h.lastID, tx: h.lastID + sseTx, with: with}
	}
	e.value = pieces{field: f}
	switch {
	case f != sseData && t.wants(f):
		e.value.value = t.value()
	case f == sseData && e.data.value != 0:
		t.join(&e.data, []byte{'\n'})
	case f == sseData && t.wants(f):
		e.data = pieces{field: f, value: t.value()}
	}
}

// lineEnd ends a line; an empty one ends the event.
func (e *sse) lineEnd(t *teller, h *http, with uint64) {
	switch {
	case !e.body && e.n > 0:
		e.begin(t, h, with) // a field without a value
	case !e.body:
		e.end(t)
	}
	if e.value.field != sseData {
		t.joinEnd(&e.value)
	}
	e.value, e.n, e.body, e.first, e.skip = pieces{}, 0, false, false, false
}

// end ends the event in hand.
func (e *sse) end(t *teller) {
	if e.unit.id != 0 {
		t.joinEnd(&e.data)
		t.flush(true, true)
	}
	e.unit, e.data = unit{}, pieces{}
}

// close ends the stream, and what there is of an event in it.
func (e *sse) close(h *http) {
	t := h.env.teller(&SSE, e.dir, &e.unit, h.emit)
	if e.unit.id != 0 && e.value.field != sseData {
		t.joinEnd(&e.value)
	}
	e.end(t)
}

// lost passes over lost bytes: what follows belongs to no field until a line ends.
func (e *sse) lost(h *http) {
	e.close(h)
	*e = sse{dir: e.dir, body: true, skip: true}
}
