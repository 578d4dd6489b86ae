package dissect

import (
	"encoding/binary"
	"errors"

	"weir/wire"
)

// FastCGI is the FastCGI protocol, between a web server and an application. Requests that share a connection are told one after the other.
var FastCGI = Protocol{
	Name: "fastcgi",
	About: "FastCGI 1.0, between web servers and applications such as PHP-FPM. Each record has an event `fastcgi` of its own where there is " +
		"something to tell; standard input, output and error are values.",
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
	PerMessage: true,
	New:        newFastCGI,
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
	fcgiHead  = 8
	fcgiBegin = 1
	fcgiEnd   = 3
	fcgiKinds = 11
)

var fcgiFields = [fcgiKinds + 1]Field{4: fcgiParams, 5: fcgiStdin, 6: fcgiStdout, 7: fcgiStderr, 8: fcgiStdin}

var errFastCGI = errors.New("fastcgi: no record")

var fcgiPHPValue = Note{"fastcgi.php_value", true, "a parameter PHP_VALUE or PHP_ADMIN_VALUE: the caller changes how PHP is configured, up to running code"}

// fastCGI parses one connection.
type fastCGI struct{ framed }

func newFastCGI(p *Protocol, env *Env) Dissector {
	d := &fastCGI{}
	d.framed = makeFramed(p, env, d.next)
	return d
}

// next takes a record: at most 64 KiB.
func (d *fastCGI) next(t *teller, dir wire.Dir, b []byte) (n, need int, err error) {
	if len(b) < fcgiHead {
		return 0, fcgiHead - len(b), nil
	}
	kind, size, pad := b[1], int(binary.BigEndian.Uint16(b[4:])), int(b[6])
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
	if size > 0 {
		d.begin(dir)
		if field == fcgiParams {
			d.params(t, body)
		}
		t.add(field, body)
		for _, c := range padding {
			if c != 0 {
				t.add(fcgiOther, padding)
				break
			}
		}
		d.done(t, dir, true)
	}
	return whole, 0, nil
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
