package dissect

import (
	"encoding/binary"
	"net/netip"

	"weir/wire"
)

// STUN is Session Traversal Utilities for NAT, and TURN, which is made of it: RFC 8489, RFC 8656, and the older RFC 3489.
var STUN = Protocol{
	Name: "stun",
	About: "STUN and TURN (RFC 8489, RFC 8656, RFC 3489), over UDP and TCP. Messages have no events of their own, only their flows have. " +
		"TURN's channel data is inspected.",
	Carrier: Datagram, Ports: []uint16{3478, 5349, 19302}, Probe: probeSTUN, PerMessage: true, Fields: stunFields, New: newSTUN,
}

// STUNTCP is STUN over TCP, RFC 8489 section 6.2.2: the bytes are inspected as they are.
var STUNTCP = Protocol{Name: "stun", Carrier: Stream, Ports: []uint16{3478, 5349}, Probe: probeSTUNTCP}

var stunFields = []FieldSpec{
	stunType:     {Name: "stun.type", Doc: "class and method, as `binding_request`", Derived: true},
	stunAddress:  {Name: "stun.address", Doc: "address and port that a message tells; a value for each", Derived: true},
	stunUser:     {Name: "stun.username", Doc: "name of the user"},
	stunRealm:    {Name: "stun.realm", Doc: "realm of the user's name"},
	stunSoftware: {Name: "stun.software", Doc: "what the sender says that it is"},
	stunReason:   {Name: "stun.error", Doc: "code and reason of an error, as `401 Unauthorized`"},
	stunData:     {Name: "stun.data", Doc: "what is relayed: the attribute DATA, channel data"},
	stunOther:    {Name: "stun.attribute", Doc: "content of an attribute that has no field of its own; a value for each"},
}

// Fields of STUN.
const (
	stunType Field = iota
	stunAddress
	stunUser
	stunRealm
	stunSoftware
	stunReason
	stunData
	stunOther
)

// from the specification
const (
	stunHeader = 20
	stunCookie = 0x2112a442 // RFC 8489 section 5
)

var stunMethods = []string{1: "binding", 2: "shared_secret", 3: "allocate", 4: "refresh", 6: "send", 7: "data", 8: "create_permission", 9: "channel_bind",
	10: "connect", 11: "connection_bind", 12: "connection_attempt"}

var stunClasses = [4]string{"_request", "_indication", "_response", "_error"}

// stun parses one flow: messages, and what WebRTC sends between the same ends (RFC 7983).
type stun struct {
	datagrams
	dtls Dissector // nil: none was seen
	emit func(*Message)
	up   func(*Message) // emits what dtls tells
}

// ours
const stunOthers = 1 << 32 // added to the numbers of messages that are not STUN's

func newSTUN(p *Protocol, env *Env) Dissector {
	return &stun{datagrams: datagrams{p: p, env: env, tell: tellSTUN}}
}

// Feed implements Dissector.
func (d *stun) Feed(dir wire.Dir, data []byte, emit func(*Message)) (Progress, error) {
	switch {
	case isSTUN(data):
		return d.datagrams.Feed(dir, data, emit)
	case d.dtls == nil && probeDTLS(dir, data) == Yes:
		d.dtls = DTLS.New(&DTLS, d.env)
		d.up = d.onOther
	case len(data) >= 4 && data[0]&0xc0 == 0x40: // channel data, RFC 8656 section 12.4
		u := unit{id: d.last + 1, tx: d.last + 1}
		d.last++
		t := d.env.teller(d.p, dir, &u, emit)
		t.add(stunData, data[4:])
		t.flush(true, true)
		return Progress{Used: len(data)}, nil
	}
	if d.dtls == nil || len(data) == 0 || data[0] < 20 || data[0] > 63 {
		return Progress{}, nil
	}
	d.emit = emit
	pr, err := d.dtls.Feed(dir, data, d.up)
	d.emit = nil
	if err != nil {
		return Progress{}, nil
	}
	return pr, nil
}

func (d *stun) onOther(m *Message) {
	m.ID += stunOthers
	m.Tx += stunOthers
	d.emit(m)
	m.ID -= stunOthers
	m.Tx -= stunOthers
}

// Close implements Dissector.
func (d *stun) Close(dir wire.Dir, emit func(*Message)) {
	if d.dtls != nil {
		d.emit = emit
		d.dtls.Close(dir, d.up)
		d.emit = nil
	}
}

// Rest implements Dissector.
func (d *stun) Rest() (Rest, bool) { return Rest{}, false }

// Size implements Dissector.
func (d *stun) Size() int {
	if d.dtls != nil {
		return 128 + d.dtls.Size()
	}
	return 128
}

func probeSTUN(_ wire.Dir, head []byte) Guess { return yes(isSTUN(head)) }

// isSTUN reports whether b is a message: with the cookie, or of RFC 3489, then all attributes must be known.
func isSTUN(b []byte) bool {
	if len(b) < stunHeader || b[0]&0xc0 != 0 {
		return false
	}
	typ, n := binary.BigEndian.Uint16(b), int(binary.BigEndian.Uint16(b[2:]))
	method, _ := stunKind(typ)
	if n%4 != 0 || !fills(stunHeader+n, b) {
		return false
	}
	if binary.BigEndian.Uint32(b[4:]) == stunCookie {
		return true
	}
	if method == 0 || method > 9 || stunMethods[method] == "" {
		return false
	}
	return stunClassic(b[stunHeader:], method)
}

// stunClassic reports whether attributes are those of RFC 3489, with right lengths, and fill b.
func stunClassic(b []byte, method int) bool {
	if len(b) == 0 {
		return method == 1
	}
	for c := wire.Cut(b); c.Len() > 0; {
		typ, v := c.U16(), c.Vec16()
		n := v.Len()
		c.Skip(min((4-n%4)%4, c.Len()))
		switch {
		case c.Short():
			return false
		case typ == 0:
			return false
		case typ == 3 && n == 4, typ <= 5 && (n == 8 || n == 20), typ >= 6 && typ <= 0x2d, typ >= 0x8000 && typ < 0x8100, typ == 0xc001, typ == 0xc057:
		default:
			return false
		}
	}
	return true
}

// probeSTUNTCP says Yes to a message with the cookie, with or without the length that RFC 4571 puts before it.
func probeSTUNTCP(_ wire.Dir, head []byte) Guess {
	at := 0
	if len(head) >= 3 && head[2]&0xc0 == 0 && head[0]|head[2] == 0 && head[1] >= stunHeader {
		at = 2 // a length: then the type of a message follows
	}
	b := head[min(at, len(head)):]
	switch {
	case len(head) > 0 && head[0]&0xc0 != 0, len(head) > 0 && head[0] > 3:
		return No
	case len(b) >= 8:
		if binary.BigEndian.Uint32(b[4:]) == stunCookie && b[3]&3 == 0 {
			return Yes
		}
		if at == 0 {
			return No
		}
		if binary.BigEndian.Uint32(head[4:]) == stunCookie {
			return Yes
		}
		return No
	}
	return Maybe
}

// stunKind takes a type apart: RFC 8489 section 5.
func stunKind(typ uint16) (method, class int) {
	t := int(typ)
	return t&0xf | t>>1&0x70 | t>>2&0xf80, t>>4&1 | t>>7&2
}

func tellSTUN(t *teller, _ wire.Dir, b []byte) bool {
	method, class := stunKind(binary.BigEndian.Uint16(b))
	if t.wants(stunType) {
		name := "method"
		if method < len(stunMethods) && stunMethods[method] != "" {
			name = stunMethods[method]
		}
		t.add(stunType, t.write(func(out []byte) []byte { return append(append(out, name...), stunClasses[class]...) }))
	}
	for c := wire.Cut(b[stunHeader:]); c.Len() > 0; {
		typ, v := c.U16(), c.Vec16()
		if c.Short() {
			break
		}
		c.Skip(min((4-v.Len()%4)%4, c.Len()))
		tellSTUNAttribute(t, typ, v.Rest(), b[4:stunHeader])
	}
	return true
}

func tellSTUNAttribute(t *teller, typ uint16, b, transaction []byte) {
	switch typ {
	case 0x0001, 0x0002, 0x0004, 0x0005, 0x8023, 0x802b, 0x802c:
		t.stunEnd(b, nil)
	case 0x0012, 0x0016, 0x0020:
		t.stunEnd(b, transaction)
	case 0x0006:
		t.add(stunUser, b)
	case 0x0009:
		if len(b) >= 4 && t.wants(stunReason) {
			t.add(stunReason, t.write(func(out []byte) []byte {
				return append(append(out, '0'+b[2]&7, '0'+b[3]/10%10, '0'+b[3]%10, ' '), b[4:]...)
			}))
		}
	case 0x0013:
		t.add(stunData, b)
	case 0x0014:
		t.add(stunRealm, b)
	case 0x8022:
		t.add(stunSoftware, b)
	case 0x0008, 0x001c, 0x8028: // integrity and fingerprint tell nothing
	default:
		if len(b) > 0 {
			t.add(stunOther, b)
		}
	}
}

// stunEnd collects an address and its port, which are hidden by exclusive or with key, unless that is nil.
func (t *teller) stunEnd(b, key []byte) {
	if !t.wants(stunAddress) || len(b) != 8 && len(b) != 20 {
		return
	}
	t.add(stunAddress, t.write(func(out []byte) []byte {
		var v [18]byte
		copy(v[:], b[2:])
		for i := range len(b) - 4 {
			if key != nil {
				v[2+i] ^= key[i]
			}
		}
		if key != nil {
			v[0] ^= key[0]
			v[1] ^= key[1]
		}
		addr, _ := netip.AddrFromSlice(v[2 : len(b)-2])
		return netip.AddrPortFrom(addr, uint16(v[0])<<8|uint16(v[1])).AppendTo(out)
	}))
}
