package dissect

import (
	"encoding/binary"
	"errors"

	"weir/wire"
)

// FastCGI is the FastCGI protocol, between a web server and an application.
var FastCGI = Protocol{
	Name: "fastcgi",
	About: "FastCGI 1.0, between web servers and applications such as PHP-FPM. A request and its answer are an exchange with an event `fastcgi`; " +
		"parameters, standard input, output and error are a value each, of however many records.",
	Carrier: Stream,
	Ports:   []uint16{9000},
	Probe:   probeFastCGI,
	Fields: []FieldSpec{
		fcgiMethod: {Name: "fastcgi.method", Doc: "parameter REQUEST_METHOD", EVE: "method", Derived: true},
		fcgiURI:    {Name: "fastcgi.uri", Doc: "parameter REQUEST_URI", EVE: "uri", Derived: true},
		fcgiScript: {Name: "fastcgi.script", Doc: "parameter SCRIPT_FILENAME", EVE: "script", Derived: true},
		fcgiParams: {Name: "fastcgi.params", Doc: "parameters, as they came"},
		fcgiStdin:  {Name: "fastcgi.stdin", Doc: "body of the request"},
		fcgiStdout: {Name: "fastcgi.stdout", Doc: "the answer"},
		fcgiStderr: {Name: "fastcgi.stderr", Doc: "what went wrong"},
		fcgiOther:  {Name: "fastcgi.payload", Doc: "other records and padding, as they came"},
	},
	New: newFastCGI,
}

// Fields of FastCGI.
const (
	fcgiMethod Field = iota
	fcgiURI
	fcgiScript
	fcgiParams
	fcgiStdin
	fcgiStdout
	fcgiStderr
	fcgiOther
)

// from the specification, section 8.
const (
	fcgiHead      = 8
	fcgiBegin     = 1
	fcgiEnd       = 3
	fcgiStdinKind = 5
	fcgiKinds     = 11
)

var fcgiFields = [fcgiKinds + 1]Field{4: fcgiParams, 5: fcgiStdin, 6: fcgiStdout, 7: fcgiStderr, 8: fcgiStdin}

var errFastCGI = errors.New("fastcgi: no record")

var fcgiPHPValue = Note{"fastcgi.php_value", true, "a parameter PHP_VALUE or PHP_ADMIN_VALUE: the caller changes how PHP is configured, up to running code"}

// fastCGI parses one connection.
type fastCGI struct {
	framed
	of [2]struct {
		request uint16 // number of the request that the message in hand is about
		values  [fcgiOther]pieces
	}
	asked uint16 // number of the request that was begun last
	tx    uint64 // and its exchange; 0: there is none, or it is over
}

func newFastCGI(p *Protocol, env *Env) Dissector {
	d := &fastCGI{}
	d.framed = makeFramed(p, env, d.next)
	return d
}

// Size implements Dissector.
func (d *fastCGI) Size() int { return framedSize + 2*int(fcgiOther)*40 }

// next takes a record: at most 64 KiB.
func (d *fastCGI) next(t *teller, dir wire.Dir, b []byte) (n, need int, err error) {
	if len(b) < fcgiHead {
		return 0, fcgiHead - len(b), nil
	}
	kind, request, size, pad := b[1], binary.BigEndian.Uint16(b[2:]), int(binary.BigEndian.Uint16(b[4:])), int(b[6])
	if b[0] != 1 || kind == 0 || kind > fcgiKinds {
		return 0, 0, errFastCGI
	}
	whole := fcgiHead + size + pad
	if len(b) < whole {
		return 0, whole - len(b), nil
	}
	body, padding := b[fcgiHead:fcgiHead+size], b[fcgiHead+size:whole]
	field := fcgiFields[kind]
	if field == 0 {
		field = fcgiOther
	}
	s := &d.of[dir]
	if d.side[dir].open && (kind == fcgiBegin || request != s.request) {
		d.end(t, dir, false)
	}
	if !d.side[dir].open {
		d.start(dir, kind, request)
	}
	switch {
	case field == fcgiOther:
		if size > 0 {
			t.add(field, body)
		}
	case size > 0:
		if field == fcgiParams {
			d.params(t, body)
		}
		v := &s.values[field]
		if v.value == 0 && t.wants(field) {
			*v = pieces{field: field, value: t.value()}
		}
		v.more(t, body, false)
	default:
		d.over(t, dir, field)
	}
	for _, c := range padding {
		if c != 0 {
			t.add(fcgiOther, padding)
			break
		}
	}
	if kind == fcgiEnd || kind == fcgiStdinKind && size == 0 {
		d.end(t, dir, kind == fcgiEnd)
	}
	return whole, 0, nil
}

// start takes a message in hand: a request, or what belongs to the one that was begun last.
func (d *fastCGI) start(dir wire.Dir, kind uint8, request uint16) {
	d.of[dir].request = request
	if kind == fcgiBegin || d.tx == 0 || request != d.asked {
		d.begin(dir)
		d.asked, d.tx = request, d.lastTx
		return
	}
	d.beginTx(dir, d.tx)
}

// over ends a value.
func (d *fastCGI) over(t *teller, dir wire.Dir, field Field) {
	v := &d.of[dir].values[field]
	v.more(t, nil, true)
	*v = pieces{}
}

// end ends the message in hand; last says that its exchange ends too.
func (d *fastCGI) end(t *teller, dir wire.Dir, last bool) {
	for f := range fcgiOther {
		d.over(t, dir, f)
	}
	if d.done(t, dir, last); last && d.of[dir].request == d.asked {
		d.tx = 0
	}
}

// Close implements Dissector.
func (d *fastCGI) Close(dir wire.Dir, emit func(*Message)) {
	if s := &d.side[dir]; s.open {
		d.end(d.env.teller(d.p, dir, &s.unit, emit), dir, true)
	}
}

// params tells the parameters that events have: section 3.4.
func (d *fastCGI) params(t *teller, b []byte) {
	c := wire.Cut(b)
	for c.Len() > 0 {
		n, v := fcgiLength(&c), fcgiLength(&c)
		name, value := c.Bytes(n), c.Bytes(v)
		switch string(name) {
		case "REQUEST_METHOD":
			t.add(fcgiMethod, value)
		case "REQUEST_URI":
			t.add(fcgiURI, value)
		case "SCRIPT_FILENAME":
			t.add(fcgiScript, value)
		case "PHP_VALUE", "PHP_ADMIN_VALUE":
			t.note(fcgiPHPValue)
			return
		}
	}
}

func fcgiLength(c *wire.Cursor) int {
	n := int(c.U8())
	if n&0x80 != 0 {
		n = n&0x7f<<24 | int(c.U24())
	}
	return n
}

// probeFastCGI says Yes to a record that begins a request, and to one of an answer.
func probeFastCGI(_ wire.Dir, head []byte) Guess {
	n := len(head)
	switch {
	case head[0] != 1, n > 1 && head[1] != fcgiBegin && head[1] != 6 && head[1] != 7 && head[1] != fcgiEnd, n > 7 && head[7] != 0, n > 2 && head[2] > 3:
		return No
	case n < fcgiHead:
		return Maybe
	}
	size := binary.BigEndian.Uint16(head[4:])
	switch head[1] {
	case fcgiBegin:
		switch {
		case size != 8 || head[6] != 0:
			return No
		case n < 16:
			return Maybe
		case head[8] != 0 || head[9] == 0 || head[9] > 3 || head[10] > 1 || binary.BigEndian.Uint32(head[11:]) != 0:
			return No
		}
		return Yes
	case fcgiEnd:
		if size != 8 {
			return No
		}
		return Maybe
	}
	text := head[fcgiHead:min(n, fcgiHead+int(size))]
	for _, c := range text[:min(len(text), 16)] {
		if c < ' ' && c != '\r' && c != '\n' && c != '\t' || c >= 0x7f {
			return No
		}
	}
	if len(text) < min(int(size), 16) || size < 4 {
		return Maybe
	}
	return Yes
}
