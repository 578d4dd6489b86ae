package dissect

import (
	"bytes"
	"encoding/json"
	"errors"

	"weir/wire"
)

// NATS is the client protocol of NATS: lines of text, some followed by a payload. A server that asks for TLS is followed into it.
var NATS = Protocol{
	Name: "nats",
	About: "The client protocol of NATS 2 (docs.nats.io, reference of the client protocol): INFO, CONNECT, PUB, HPUB, SUB, UNSUB, MSG, HMSG, " +
		"errors, and TLS after INFO. Each message has an event `nats` of its own; pings and acknowledgements have none.",
	Carrier: Stream,
	Ports:   []uint16{4222},
	Probe:   probeNATS,
	Fields: []FieldSpec{
		natsOp:      {Name: "nats.operation", Doc: "as `PUB`, upper case", EVE: "operation", Derived: true},
		natsSubject: {Name: "nats.subject", Doc: "what is published or subscribed to", EVE: "subject"},
		natsReply:   {Name: "nats.reply_to", Doc: "subject for the answer", EVE: "reply_to"},
		natsQueue:   {Name: "nats.queue_group", Doc: "queue group of a SUB", EVE: "queue_group"},
		natsSID:     {Name: "nats.sid", Doc: "number of the subscription", EVE: "sid"},
		natsHeaders: {Name: "nats.headers", Doc: "header block of HPUB and HMSG"},
		natsPayload: {Name: "nats.payload", Doc: "what is published"},
		natsError:   {Name: "nats.error", Doc: "what -ERR says", EVE: "error"},
		natsInfo:    {Name: "nats.info", Doc: "what INFO says, JSON"},
		natsConnect: {Name: "nats.connect", Doc: "what CONNECT says, JSON with the credentials"},
		natsVersion: {Name: "nats.version", Doc: "of the server or the client library", EVE: "version", Derived: true},
		natsServer:  {Name: "nats.server_name", Doc: "the server's name", EVE: "server_name", Derived: true},
		natsUser:    {Name: "nats.user", Doc: "the user", EVE: "user", Derived: true},
		natsName:    {Name: "nats.client_name", Doc: "the client's name for itself", EVE: "client_name", Derived: true},
		natsLang:    {Name: "nats.lang", Doc: "language of the client library", EVE: "lang", Derived: true},
		natsLine:    {Name: "nats.line", Doc: "a line that is no operation, as it came"},
	},
	PerMessage: true,
	New:        newNATS,
	Resume:     func(p *Protocol, env *Env, r Rest) Dissector { d := newNATS(p, env); d.(*nats).resume(r); return d },
}

// Fields of NATS.
const (
	natsOp Field = iota
	natsSubject
	natsReply
	natsQueue
	natsSID
	natsHeaders
	natsPayload
	natsError
	natsInfo
	natsConnect
	natsVersion
	natsServer
	natsUser
	natsName
	natsLang
	natsLine
)

// ours
const (
	natsMaxLine   = 64 << 10 // bytes of a line
	natsMaxHeader = 64 << 10 // bytes of a header block that is told as one
	natsMaxBad    = 4        // lines in a row that are no operation
)

var errNATS = errors.New("nats: no operation")

// natsState is what a direction waits for.
type natsState uint8

const (
	natsAtLine natsState = iota
	natsAtHeaders
	natsAtEnd // the line end behind a payload
)

type natsSide struct {
	state   natsState
	header  int   // bytes of the header block
	payload int64 // bytes behind it
	bad     int
}

// nats parses one connection.
type nats struct {
	framed
	of [2]natsSide
}

func newNATS(p *Protocol, env *Env) Dissector {
	d := &nats{}
	d.framed = makeFramed(p, env, d.next)
	return d
}

// Rest implements Dissector.
func (d *nats) Rest() (Rest, bool) {
	r, ok := d.quiet()
	return r, ok && d.of == [2]natsSide{}
}

// next takes a line, a header block, or the line end behind a payload.
func (d *nats) next(t *teller, dir wire.Dir, b []byte) (n, need int, err error) {
	s := &d.of[dir]
	switch s.state {
	case natsAtHeaders:
		if len(b) < s.header {
			return 0, s.header - len(b), nil
		}
		t.add(natsHeaders, b[:s.header])
		s.state = natsAtEnd
		d.stream(t, dir, natsPayload, s.payload, true, true)
		return s.header, 0, nil
	case natsAtEnd:
		switch {
		case b[0] == '\n':
			s.state = natsAtLine
			return 1, 0, nil
		case b[0] != '\r' || len(b) > 1 && b[1] != '\n':
			return 0, 0, errNATS
		case len(b) < 2:
			return 0, 1, nil
		}
		s.state = natsAtLine
		return 2, 0, nil
	}
	if b[0] == 0x16 { // TLS
		d.begin(dir)
		d.side[dir].open = false
		t.upgrade(true)
		return 0, 1, nil
	}
	end := bytes.IndexByte(b, '\n')
	if end < 0 {
		if len(b) >= natsMaxLine {
			return 0, 0, errNATS
		}
		return 0, 1, nil
	}
	if err := d.line(t, dir, s, trimCR(b[:end])); err != nil {
		return 0, 0, err
	}
	return end + 1, 0, nil
}

// natsWords splits a line at blanks; there are at most 5 words.
func natsWords(line []byte) (w [6][]byte, n int) {
	for n < len(w) {
		for len(line) > 0 && (line[0] == ' ' || line[0] == '\t') {
			line = line[1:]
		}
		if len(line) == 0 {
			break
		}
		i := bytes.IndexAny(line, " \t")
		if i < 0 {
			i = len(line)
		}
		w[n] = line[:i]
		n++
		line = line[i:]
	}
	return w, n
}

// line takes an operation.
func (d *nats) line(t *teller, dir wire.Dir, s *natsSide, line []byte) error {
	w, n := natsWords(line)
	if n == 0 {
		return nil
	}
	op := natsOperation(w[0])
	rest := bytes.TrimLeft(line[len(w[0]):], " \t")
	switch op {
	case "PING", "PONG", "+OK":
		s.bad = 0
		return nil
	case "":
		if s.bad++; s.bad > natsMaxBad || d.lastID == 0 {
			return errNATS
		}
		d.begin(dir)
		t.add(natsLine, line)
		d.done(t, dir, true)
		return nil
	}
	s.bad = 0
	d.begin(dir)
	t.addString(natsOp, op)
	switch op {
	case "INFO", "CONNECT":
		d.about(t, op, rest)
	case "-ERR":
		t.add(natsError, rest)
	case "SUB":
		t.add(natsSubject, w[1])
		if n > 3 {
			t.add(natsQueue, w[2])
		}
		t.add(natsSID, w[n-1])
	case "UNSUB":
		t.add(natsSID, w[1])
	default:
		return d.message(t, dir, s, op, w[1:n])
	}
	d.done(t, dir, true)
	return nil
}

// message takes PUB, HPUB, MSG and HMSG: subject, for a subscriber its number, reply subject if any, lengths.
func (d *nats) message(t *teller, dir wire.Dir, s *natsSide, op string, w [][]byte) error {
	lengths, least := 1, 2
	if op[0] == 'H' {
		lengths = 2
	}
	if op == "MSG" || op == "HMSG" {
		least = 3
	}
	least += lengths - 1
	if len(w) < least || len(w) > least+1 {
		return errNATS
	}
	t.add(natsSubject, w[0])
	if op == "MSG" || op == "HMSG" {
		t.add(natsSID, w[1])
	}
	if len(w) > least {
		t.add(natsReply, w[least-lengths])
	}
	total, ok := natsNumber(w[len(w)-1])
	header := int64(0)
	if lengths == 2 {
		h, fine := natsNumber(w[len(w)-2])
		header, ok = h, ok && fine && h <= total
	}
	switch {
	case !ok:
		return errNATS
	case header > 0 && header <= natsMaxHeader:
		s.state, s.header, s.payload = natsAtHeaders, int(header), total-header
	default:
		s.state = natsAtEnd
		d.stream(t, dir, natsPayload, total, true, true)
	}
	return nil
}

// natsNumber reads a length.
func natsNumber(b []byte) (n int64, ok bool) {
	if len(b) > 10 {
		return 0, false
	}
	return decimal(b)
}

// about tells what INFO and CONNECT say.
func (d *nats) about(t *teller, op string, b []byte) {
	var about struct {
		Version, Lang, Name, User string
		Server                    string `json:"server_name"`
	}
	f := natsConnect
	if op == "INFO" {
		f = natsInfo
	}
	t.add(f, b)
	_ = json.Unmarshal(b, &about) // what is no JSON is told as it came
	for _, v := range [...]struct {
		f Field
		s string
	}{{natsVersion, about.Version}, {natsServer, about.Server}, {natsUser, about.User}, {natsName, about.Name}, {natsLang, about.Lang}} {
		t.addWritten(v.f, b, v.s)
	}
}

// natsOperations are all operations.
var natsOperations = [...]string{"PUB", "HPUB", "MSG", "HMSG", "SUB", "UNSUB", "PING", "PONG", "+OK", "-ERR", "INFO", "CONNECT"}

// natsOperation returns the name of an operation, "" if it is none. Case does not matter.
func natsOperation(w []byte) string {
	for _, op := range natsOperations {
		if len(w) == len(op) && natsSame(op, w) {
			return op
		}
	}
	return ""
}

// probeNATS says Yes to the server's INFO with JSON, to CONNECT with JSON, to a message whose payload is as long as it says, and to two
// subscriptions in a row.
func probeNATS(_ wire.Dir, head []byte) Guess {
	for subs := 0; ; {
		end := bytes.IndexByte(head, '\n')
		line := trimCR(head)
		if end >= 0 {
			line = trimCR(head[:end])
		}
		if g := natsProbeLine(line, end >= 0); g != Maybe || end < 0 {
			return g
		}
		head = head[end+1:]
		w, n := natsWords(line)
		switch natsOperation(w[0]) {
		case "SUB", "UNSUB":
			if subs++; subs == 2 {
				return Yes
			}
		case "PUB", "HPUB", "MSG", "HMSG":
			return natsProbePayload(w, n, head)
		}
	}
}

// natsProbeLine judges a line or the beginning of one: Maybe if it may be an operation.
func natsProbeLine(line []byte, whole bool) Guess {
	w, n := natsWords(line)
	switch {
	case n == 0 && len(line) > 0:
		return No
	case n == 0, n == 1 && !whole:
		for _, op := range natsOperations {
			if natsSame(op, w[0]) && (len(line) == len(w[0]) || len(w[0]) == len(op)) {
				return Maybe
			}
		}
		return No
	}
	switch op := natsOperation(w[0]); op {
	case "INFO", "CONNECT":
		switch {
		case n == 1:
			return No
		case w[1][0] != '{':
			return No
		case len(line) < len(op)+3:
			return Maybe
		}
		if c := bytes.TrimLeft(line[len(op)+1:], " {"); len(c) > 0 && c[0] != '"' {
			return No
		} else if len(c) == 0 {
			return Maybe
		}
		return Yes
	case "PING", "PONG", "+OK":
		if n > 1 || len(line) != 4 && op != "+OK" {
			return No
		}
		return Maybe
	case "SUB", "UNSUB":
		if n > 4 || n == 4 && op == "UNSUB" {
			return No
		}
		if whole && n < 2 {
			return No
		}
		return Maybe
	case "PUB", "HPUB", "MSG", "HMSG":
		if n > 6 {
			return No
		}
		if _, ok := natsNumber(w[n-1]); whole && (!ok || n < 3) {
			return No
		}
		return Maybe
	}
	return No
}

// natsSame reports whether b is the beginning of op, letters in any case.
func natsSame(op string, b []byte) bool {
	if len(b) > len(op) {
		return false
	}
	for i, c := range b {
		if c-'a' < 26 {
			c -= 'a' - 'A'
		}
		if c != op[i] {
			return false
		}
	}
	return true
}

// natsProbePayload judges what follows a message's line: exactly its length, then a line end.
func natsProbePayload(w [6][]byte, n int, b []byte) Guess {
	size, _ := natsNumber(w[n-1])
	switch {
	case size > 64<<20:
		return No
	case int64(len(b)) < size+2:
		return Maybe
	case string(b[size:size+2]) == "\r\n":
		return Yes
	}
	return No
}
