package dissect

import (
	"encoding/binary"
	"errors"

	"weir/wire"
)

// Dubbo is the Dubbo 2 protocol.
var Dubbo = Protocol{
	Name: "dubbo",
	About: "The Dubbo 2 protocol (dubbo.apache.org). A request and its answer are an exchange. Service and method are told of bodies that " +
		"hessian2 and fastjson wrote; bodies are inspected as they came. Heartbeats have no event.",
	Carrier: Stream,
	Ports:   []uint16{20880},
	Probe:   probeDubbo,
	Fields: []FieldSpec{
		dubboID:      {Name: "dubbo.request_id", Doc: "number of the request", EVE: "request_id", Number: true, Derived: true},
		dubboVersion: {Name: "dubbo.version", Doc: "of the caller", EVE: "version", Derived: true},
		dubboService: {Name: "dubbo.service", Doc: "interface that is called", EVE: "service", Derived: true},
		dubboMethod:  {Name: "dubbo.method", Doc: "method that is called", EVE: "method", Derived: true},
		dubboStatus:  {Name: "dubbo.status", Doc: "20, or what went wrong", EVE: "status", Number: true, Derived: true},
		dubboRequest: {Name: "dubbo.request", Doc: "body of a request, as it was serialized"},
		dubboAnswer:  {Name: "dubbo.response", Doc: "body of an answer, as it was serialized"},
	},
	New: newDubbo,
}

// Fields of Dubbo.
const (
	dubboID Field = iota
	dubboVersion
	dubboService
	dubboMethod
	dubboStatus
	dubboRequest
	dubboAnswer
)

// from the specification.
const (
	dubboHead     = 16
	dubboIsReq    = 0x80
	dubboTwoWay   = 0x40
	dubboEvent    = 0x20
	dubboHessian  = 2
	dubboFastJSON = 6
)

// ours
const (
	dubboMaxBody = 256 << 20 // bytes
	dubboPeek    = 1 << 10   // bytes of a request that are waited for, for its service and method
)

var errDubbo = errors.New("dubbo: no message")

// dubbo parses one connection.
type dubbo struct {
	framed
	pairs pairs
}

func newDubbo(p *Protocol, env *Env) Dissector {
	d := &dubbo{}
	d.framed = makeFramed(p, env, d.next)
	return d
}

// Size implements Dissector.
func (d *dubbo) Size() int { return framedSize + d.pairs.size() }

// next takes a head, and looks at the front of a request.
func (d *dubbo) next(t *teller, dir wire.Dir, b []byte) (n, need int, err error) {
	if len(b) < dubboHead {
		return 0, dubboHead - len(b), nil
	}
	flags, status := b[2], b[3]
	id, size := binary.BigEndian.Uint64(b[4:]), int(binary.BigEndian.Uint32(b[12:]))
	if b[0] != 0xda || b[1] != 0xbb || size > dubboMaxBody {
		return 0, 0, errDubbo
	}
	front := min(size, dubboPeek)
	if flags&dubboIsReq != 0 && len(b) < dubboHead+front {
		return 0, dubboHead + front - len(b), nil
	}
	field, over := dubboRequest, true
	if flags&dubboIsReq != 0 {
		d.begin(dir)
		if over = flags&dubboTwoWay == 0; !over {
			d.pairs.asked(dir, id, d.lastTx, 0)
		}
		if flags&dubboEvent == 0 {
			d.called(t, flags&0x1f, b[dubboHead:dubboHead+front])
		}
	} else {
		field = dubboAnswer
		if q, ok := d.pairs.answered(dir, id); ok {
			d.beginTx(dir, q.tx)
		} else {
			d.begin(dir)
		}
		if flags&dubboEvent == 0 {
			t.number(dubboStatus, int64(status))
		}
	}
	if flags&dubboEvent == 0 {
		t.number(dubboID, int64(id))
	}
	d.stream(t, dir, field, int64(size), true, over)
	return dubboHead, 0, nil
}

// called tells version, service and method, with which a request begins.
func (d *dubbo) called(t *teller, form uint8, b []byte) {
	c := wire.Cut(b)
	for _, f := range [...]Field{dubboVersion, dubboService, dubboID, dubboMethod} {
		var s []byte
		switch form {
		case dubboHessian:
			s = hessianText(&c)
		case dubboFastJSON:
			s = dubboLine(&c)
		}
		switch {
		case s == nil || c.Short():
			return
		case f != dubboID: // the version of the service
			t.add(f, s)
		}
	}
}

// hessianText reads a short string of Hessian 2 (hessian.caucho.com), nil if there is none.
func hessianText(c *wire.Cursor) []byte {
	switch n := c.U8(); {
	case n < 0x20:
		return c.Bytes(int(n))
	case n >= 0x30 && n < 0x34:
		return c.Bytes(int(n-0x30)<<8 | int(c.U8()))
	case n == 'S':
		return c.Bytes(int(c.U16()))
	}
	return nil
}

// dubboLine reads a string that is a line of JSON.
func dubboLine(c *wire.Cursor) []byte {
	b := c.Rest()
	for i, x := range b {
		if x == '\n' {
			c.Skip(i + 1)
			if i > 1 && b[0] == '"' {
				return b[1 : i-1]
			}
			return b[:i]
		}
	}
	return nil
}

// probeDubbo says Yes to a head.
func probeDubbo(_ wire.Dir, head []byte) Guess {
	n := len(head)
	switch {
	case head[0] != 0xda, n > 1 && head[1] != 0xbb, n > 3 && head[2]&dubboIsReq != 0 && head[3] != 0, n > 12 && head[12] > dubboMaxBody>>24:
		return No
	case n > 3 && head[2]&dubboIsReq == 0 && (head[3] < 20 || head[3] > 100):
		return No
	case n < dubboHead:
		return Maybe
	}
	return Yes
}
