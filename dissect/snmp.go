package dissect

import (
	"strconv"

	"weir/wire"
)

// SNMP is the Simple Network Management Protocol, versions 1 (RFC 1157), 2c (RFC 1901, RFC 3416) and 3 (RFC 3412, RFC 3414).
var SNMP = Protocol{
	Name: "snmp",
	About: "SNMP 1, 2c and 3 (RFC 1157, RFC 3416, RFC 3412). Each message has an event `snmp`; what version 3 encrypts is counted as not " +
		"looked into.",
	Carrier: Datagram, Ports: []uint16{161, 162}, Probe: probeSNMP, PerMessage: true, New: eachDatagram(tellSNMP), Resume: eachAgain(tellSNMP),
	Fields: []FieldSpec{
		snmpVersion:   {Name: "snmp.version", Doc: "version, digits: 1, 2 or 3", EVE: "version", Number: true, Derived: true},
		snmpCommunity: {Name: "snmp.community", Doc: "community: in fact a password that stands in the clear", Privacy: Credential},
		snmpUser:      {Name: "snmp.user", Doc: "name of the user (version 3)", EVE: "usm"},
		snmpEngine:    {Name: "snmp.engine", Doc: "id of the engine that is in charge (version 3), hex", EVE: "engine", Derived: true},
		snmpType:      {Name: "snmp.pdu_type", Doc: "what is asked or told, as `get_request`", EVE: "pdu_type", Derived: true},
		snmpID:        {Name: "snmp.request_id", Doc: "number of the request", EVE: "request_id", Number: true, Derived: true},
		snmpError:     {Name: "snmp.error", Doc: "what went wrong, as `noSuchName`", EVE: "error", Derived: true},
		snmpVar:       {Name: "snmp.var", Doc: "name of a variable, as `1.3.6.1.2.1.1.1.0`; a value for each", EVE: "vars[]", Derived: true},
		snmpValue:     {Name: "snmp.value", Doc: "value of a variable: text and bytes as they came; a value for each"},
		snmpRest:      {Name: "snmp.data", Doc: "what is not taken apart: traps' headers, what version 3 encrypts"},
	},
}

// SNMPTCP is SNMP over TCP: RFC 3430.
var SNMPTCP = Protocol{
	Name: "snmp", Carrier: Stream, Ports: []uint16{161, 162}, Probe: probeSNMPTCP, PerMessage: true, New: newEnveloped(&snmpEnvelope), Resume: resumeEnveloped(&snmpEnvelope),
	Fields: SNMP.Fields,
}

var snmpEnvelope = enveloping{head: 6, size: snmpSize, tell: snmpTell, data: snmpRest}

// Fields of SNMP.
const (
	snmpVersion Field = iota
	snmpCommunity
	snmpUser
	snmpEngine
	snmpType
	snmpID
	snmpError
	snmpVar
	snmpValue
	snmpRest
)

// from the specification
const (
	snmpFirstPDU = 0xa0 // the tag of a get_request
	snmpTrap     = 0xa4 // version 1's, which is made otherwise
	snmpLastPDU  = 0xa8
	berInteger   = 0x02
	berString    = 0x04
	berOID       = 0x06
	berSequence  = 0x30
)

var snmpTypes = []string{"get_request", "get_next_request", "response", "set_request", "trap_v1", "get_bulk_request", "inform_request", "trap_v2", "report"}

var snmpErrors = []string{"noError", "tooBig", "noSuchName", "badValue", "readOnly", "genErr", "noAccess", "wrongType", "wrongLength", "wrongEncoding",
	"wrongValue", "noCreation", "inconsistentValue", "resourceUnavailable", "commitFailed", "undoFailed", "authorizationError", "notWritable",
	"inconsistentName"}

// berValue reads an element in BER with a definite length.
func berValue(c *wire.Cursor) (tag uint8, v []byte) {
	tag = c.U8()
	n := int(c.U8())
	if n > 0x80 && n <= 0x84 {
		size := n & 0x7f
		n = 0
		for range size {
			n = n<<8 | int(c.U8())
		}
	} else if n >= 0x80 {
		n = -1
	}
	return tag, c.Bytes(n)
}

// berNumber reads an INTEGER of a few bytes; -1 if it is none.
func berNumber(c *wire.Cursor) int64 {
	tag, v := berValue(c)
	if tag != berInteger || len(v) == 0 || len(v) > 8 {
		return -1
	}
	n := int64(int8(v[0]))
	for _, b := range v[1:] {
		n = n<<8 | int64(b)
	}
	return n
}

func probeSNMP(_ wire.Dir, head []byte) Guess { return yes(isSNMP(head)) }

// isSNMP reports whether b is one element that begins with a version, and goes on as that version does.
func isSNMP(b []byte) bool {
	c := wire.Cut(b)
	tag, v := berValue(&c)
	cut := c.Short() && len(b) == MaxProbe
	if tag != berSequence || c.Short() && !cut || c.Len() > 0 {
		return false
	}
	if cut {
		c = wire.Cut(b)
		c.Skip(2 + int(b[1]&0x7f)*int(b[1]>>7))
		v = c.Rest()
	}
	in := wire.Cut(v)
	version := berNumber(&in)
	tag, v = berValue(&in)
	switch {
	case in.Short():
		return false
	case version == 0 || version == 1:
		pdu := in.U8()
		return tag == berString && pdu >= snmpFirstPDU && pdu <= snmpLastPDU
	case version == 3 && tag == berSequence:
		head := wire.Cut(v)
		return berNumber(&head) >= 0 && berNumber(&head) >= 484 && !head.Short()
	}
	return false
}

// snmpSize returns the length of the element at the front of b, 0 if no message begins as it does.
func snmpSize(_ *enveloped, _ wire.Dir, b []byte) int {
	if b[0] != berSequence {
		return 0
	}
	n, at := int(b[1]), 2
	if n > 0x80 && n <= 0x83 {
		at += n & 0x7f
		n = 0
		for _, c := range b[2:at] {
			n = n<<8 | int(c)
		}
	} else if n >= 0x80 {
		return 0
	}
	return at + n
}

func snmpTell(_ *enveloped, t *teller, dir wire.Dir, b []byte) (n int, sealed bool) {
	if !tellSNMP(t, dir, b) {
		t.add(snmpRest, b)
	}
	return len(b), false
}

// probeSNMPTCP says Yes to the beginning of an element that goes on as its version does.
func probeSNMPTCP(_ wire.Dir, head []byte) Guess {
	c := wire.Cut(head)
	if tag, n := c.U8(), c.U8(); tag != berSequence || n > 0x83 || n == 0x80 {
		return No
	} else if n > 0x80 {
		c.Skip(int(n & 0x7f))
	}
	if c.Short() {
		return Maybe
	}
	for _, want := range [...]byte{berInteger, 1} {
		if c.Len() > 0 && c.U8() != want {
			return No
		}
	}
	version, tag, n := c.U8(), c.U8(), c.U8()
	switch {
	case version > 3 || version == 2:
		return No
	case c.Short():
		return Maybe
	case version == 3:
		if c.Len() < 12 {
			return Maybe
		}
		id, size := berNumber(&c), berNumber(&c)
		return yes(!c.Short() && tag == berSequence && n < 0x20 && id >= 0 && size >= 484)
	case tag != berString || n >= 0x80:
		return No
	}
	c.Skip(int(n))
	pdu := c.U8()
	if c.Short() {
		return Maybe
	}
	return yes(pdu >= snmpFirstPDU && pdu <= snmpLastPDU)
}

func tellSNMP(t *teller, _ wire.Dir, b []byte) bool {
	if !isSNMP(b) {
		return false
	}
	c := wire.Cut(b)
	_, v := berValue(&c)
	in := wire.Cut(v)
	version := berNumber(&in)
	t.number(snmpVersion, min(version+1, 3))
	if version == 3 {
		tellSNMP3(t, &in)
		return true
	}
	_, community := berValue(&in)
	t.add(snmpCommunity, community)
	tellPDU(t, &in)
	return true
}

// tellSNMP3 tells of a message of version 3 behind its version.
func tellSNMP3(t *teller, in *wire.Cursor) {
	berValue(in) // id, size, flags, model
	_, v := berValue(in)
	c := wire.Cut(v)
	_, v = berValue(&c)
	c = wire.Cut(v)
	_, engine := berValue(&c)
	berNumber(&c)
	berNumber(&c)
	_, user := berValue(&c)
	t.hexed(snmpEngine, engine)
	if len(user) > 0 {
		t.add(snmpUser, user)
	}
	rest := *in
	tag, v := berValue(in)
	if tag != berSequence { // it is encrypted
		t.add(snmpRest, rest.Rest())
		return
	}
	c = wire.Cut(v)
	berValue(&c)
	berValue(&c)
	tellPDU(t, &c)
}

// tellPDU tells what is asked or told.
func tellPDU(t *teller, in *wire.Cursor) {
	tag, v := berValue(in)
	if tag < snmpFirstPDU || tag > snmpLastPDU {
		t.add(snmpRest, v)
		return
	}
	t.named(snmpType, snmpTypes, int(tag-snmpFirstPDU))
	c := wire.Cut(v)
	if tag == snmpTrap {
		_, enterprise := berValue(&c)
		t.oid(snmpVar, enterprise)
		for range 4 {
			berValue(&c)
		}
	} else {
		t.number(snmpID, berNumber(&c))
		status := berNumber(&c)
		berNumber(&c)
		if status > 0 && tag == snmpFirstPDU+2 {
			t.named(snmpError, snmpErrors, int(min(status, 255)))
		}
	}
	if c.Short() {
		t.add(snmpRest, v)
		return
	}
	_, list := berValue(&c)
	for c = wire.Cut(list); c.Len() > 0; {
		_, pair := berValue(&c)
		p := wire.Cut(pair)
		tag, oid := berValue(&p)
		if tag != berOID {
			t.add(snmpRest, pair)
			continue
		}
		t.oid(snmpVar, oid)
		tag, v := berValue(&p)
		switch {
		case len(v) == 0:
		case tag == berInteger && len(v) <= 8 && t.wants(snmpValue):
			n := wire.Cut(pair[len(pair)-len(v)-2:])
			t.number(snmpValue, berNumber(&n))
		case tag == berOID:
			t.oid(snmpValue, v)
		default:
			t.add(snmpValue, v)
		}
	}
}

// oid collects an object identifier as dotted digits.
func (t *teller) oid(f Field, b []byte) {
	if !t.wants(f) || len(b) == 0 {
		return
	}
	t.add(f, t.write(func(out []byte) []byte {
		n, first := uint64(0), true
		for _, c := range b {
			n = n<<7 | uint64(c&0x7f)
			if c&0x80 != 0 {
				continue
			}
			if first {
				root := min(n/40, 2)
				out = strconv.AppendUint(out, root, 10)
				n -= root * 40
				first = false
			}
			out = strconv.AppendUint(append(out, '.'), n, 10)
			n = 0
		}
		return out
	}))
}
