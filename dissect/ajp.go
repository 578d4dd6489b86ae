package dissect

import (
	"encoding/binary"
	"errors"

	"weir/wire"
)

// AJP is the Apache JServ Protocol 1.3, between web servers and Tomcat.
var AJP = Protocol{
	Name: "ajp",
	About: "AJP 1.3 (tomcat.apache.org/connectors-doc/ajp), between a web server and Tomcat. A request and its answer are an exchange. Attributes " +
		"that make Tomcat read files of its own (CVE-2020-1938) are told.",
	Carrier: Stream,
	Ports:   []uint16{8009},
	Probe:   probeAJP,
	Fields: []FieldSpec{
		ajpMethod:  {Name: "ajp.method", Doc: "method, as `GET`", EVE: "method", Derived: true},
		ajpURI:     {Name: "ajp.uri", Doc: "path that is asked for", EVE: "uri", Derived: true},
		ajpHost:    {Name: "ajp.host", Doc: "name of the server that the request was for", EVE: "host", Derived: true},
		ajpStatus:  {Name: "ajp.status", Doc: "the answer's status", EVE: "status", Number: true, Derived: true},
		ajpRequest: {Name: "ajp.request.header", Doc: "the request with its headers and attributes, as it came"},
		ajpAnswer:  {Name: "ajp.response.header", Doc: "the answer's status and headers, as they came"},
		ajpReqBody: {Name: "ajp.request.body", Doc: "a packet of the request's body"},
		ajpAnsBody: {Name: "ajp.response.body", Doc: "the answer's body: a value for each packet"},
		ajpPayload: {Name: "ajp.payload", Doc: "packets of other kinds, as they came"},
	},
	New: newAJP,
}

// Fields of AJP.
const (
	ajpMethod Field = iota
	ajpURI
	ajpHost
	ajpStatus
	ajpRequest
	ajpAnswer
	ajpReqBody
	ajpAnsBody
	ajpPayload
)

// Kinds of packets.
const (
	ajpForward   = 2
	ajpShutdown  = 7
	ajpPing      = 8
	ajpCPing     = 10
	ajpBodyChunk = 3
	ajpHeaders   = 4
	ajpEnd       = 5
	ajpGetBody   = 6
	ajpCPong     = 9
)

var ajpMethods = [...]string{1: "OPTIONS", "GET", "HEAD", "POST", "PUT", "DELETE", "TRACE", "PROPFIND", "PROPPATCH", "MKCOL", "COPY", "MOVE", "LOCK", "UNLOCK",
	"ACL", "REPORT", "VERSION-CONTROL", "CHECKIN", "CHECKOUT", "UNCHECKOUT", "SEARCH", "MKWORKSPACE", "UPDATE", "LABEL", "MERGE", "BASELINE_CONTROL", "MKACTIVITY"}

var errAJP = errors.New("ajp: no packet")

var ajpInclude = Note{"ajp.include_attribute", true, "a request with attributes javax.servlet.include.*: Tomcat is made to read or run a file of its own (CVE-2020-1938)"}

// ajp parses one connection.
type ajp struct {
	framed
	tx   uint64 // exchange in hand
	body bool   // packets of a body may follow
}

func newAJP(p *Protocol, env *Env) Dissector {
	d := &ajp{}
	d.framed = makeFramed(p, env, d.next)
	return d
}

// next takes a packet: at most 64 KiB.
func (d *ajp) next(t *teller, dir wire.Dir, b []byte) (n, need int, err error) {
	if len(b) < 4 {
		return 0, 4 - len(b), nil
	}
	if b[0] != 0x12 && b[0] != 'A' || b[1] != 0x34 && b[1] != 'B' {
		return 0, 0, errAJP
	}
	whole := 4 + int(binary.BigEndian.Uint16(b[2:]))
	if len(b) < whole {
		return 0, whole - len(b), nil
	}
	p := b[4:whole]
	if len(p) == 0 {
		return whole, 0, nil
	}
	if dir == wire.ToServer {
		d.toServer(t, dir, p)
	} else {
		d.toClient(t, dir, p)
	}
	return whole, 0, nil
}

func (d *ajp) toServer(t *teller, dir wire.Dir, p []byte) {
	switch {
	case p[0] == ajpForward && !(d.body && len(p) > 2 && int(binary.BigEndian.Uint16(p)) == len(p)-2):
		d.begin(dir)
		d.tx = d.lastTx
		d.forward(t, p)
		t.add(ajpRequest, p)
		d.body = true
	case d.body && len(p) >= 2:
		d.beginTx(dir, d.tx)
		t.add(ajpReqBody, p[2:])
	case p[0] == ajpCPing && len(p) == 1:
		return
	default:
		d.begin(dir)
		t.add(ajpPayload, p)
	}
	d.done(t, dir, false)
}

func (d *ajp) toClient(t *teller, dir wire.Dir, p []byte) {
	if p[0] == ajpCPong && len(p) == 1 || p[0] == ajpGetBody && len(p) == 3 {
		return
	}
	if d.tx == 0 {
		d.lastTx++
		d.tx = d.lastTx
	}
	d.beginTx(dir, d.tx)
	c := wire.Cut(p[1:])
	switch p[0] {
	case ajpBodyChunk:
		t.add(ajpAnsBody, c.Bytes(int(c.U16())))
		if c.Len() > 1 {
			t.add(ajpPayload, c.Rest())
		}
	case ajpHeaders:
		t.number(ajpStatus, int64(c.U16()))
		t.add(ajpAnswer, p)
	case ajpEnd:
		d.body, d.tx = false, 0
		d.done(t, dir, true)
		return
	default:
		t.add(ajpPayload, p)
	}
	d.done(t, dir, false)
}

// ajpText reads a string: a length, the bytes, a NUL.
func ajpText(c *wire.Cursor) []byte {
	n := c.U16()
	if n == 0xffff {
		return nil
	}
	b := c.Bytes(int(n))
	c.U8()
	return b
}

// forward tells what a request is.
func (d *ajp) forward(t *teller, p []byte) {
	c := wire.Cut(p[1:])
	if m := int(c.U8()); m < len(ajpMethods) && m > 0 {
		t.addString(ajpMethod, ajpMethods[m])
	}
	ajpText(&c) // protocol
	t.add(ajpURI, ajpText(&c))
	ajpText(&c) // address and name of the client
	ajpText(&c)
	t.add(ajpHost, ajpText(&c))
	c.Skip(3) // port, TLS
	for n := c.U16(); n > 0 && !c.Short(); n-- {
		if c.Len() > 0 && c.Rest()[0] == 0xa0 {
			c.Skip(2)
		} else {
			ajpText(&c)
		}
		ajpText(&c)
	}
	for c.Len() > 0 {
		switch code := c.U8(); code {
		case 0xff:
			return
		case 0x0a: // an attribute by name
			if name := ajpText(&c); foldPrefix(name, "javax.servlet.include.") == Yes {
				t.note(ajpInclude)
				return
			}
			ajpText(&c)
		case 0x0b:
			c.U16()
		default:
			ajpText(&c)
		}
	}
}

// probeAJP says Yes to a packet with the magic number of its direction and a kind that goes with it.
func probeAJP(_ wire.Dir, head []byte) Guess {
	n := len(head)
	server := head[0] == 'A'
	switch {
	case !server && head[0] != 0x12, n > 1 && server != (head[1] == 'B'), n > 1 && !server && head[1] != 0x34:
		return No
	case n < 5:
		return Maybe
	}
	size := binary.BigEndian.Uint16(head[2:])
	switch kind := head[4]; {
	case size == 0:
		return No
	case !server && (kind == ajpCPing || kind == ajpShutdown || kind == ajpPing):
		if size != 1 {
			return No
		}
		return Yes
	case !server && kind == ajpForward:
		if n < 8 {
			return Maybe
		}
		if head[5] == 0 || int(head[5]) >= len(ajpMethods) && head[5] != 0xff || head[6] != 0 || head[7] > 16 {
			return No
		}
		return Yes
	case server && (kind == ajpBodyChunk || kind == ajpHeaders):
		if size < 3 {
			return No
		}
		return Yes
	case server && (kind == ajpEnd || kind == ajpCPong || kind == ajpGetBody):
		if size > 3 {
			return No
		}
		return Yes
	}
	return No
}
