package dissect

import "strconv"

// dnsParser tells a message's fields. It is shared by the DNS dissectors of an Env: nothing in it outlives a message.
type dnsParser struct {
	m     Message
	over  Message // of a query that got no answer
	emit  func(*Message)
	parts []Part
	notes []Note
	text  []byte // bytes of the parts collected that are no part of the input
	want  uint32 // set of Fields
	key   *bool  // Want that want was made from
	owner *Protocol

	data     []byte // the message in hand, or what there is of it
	first    []byte // text of the name at offset 12, which most records point to; nil if it is not at hand
	told     uint32 // set of dnsNotes
	value    uint32 // value numbers given
	last     uint16 // type of the last answer
	transfer bool   // a question asks for a zone
	records  int    // questions and records so far
	expanded int    // bytes of names
	extended int    // upper bits of the rcode, from EDNS
}

func (e *Env) dnsParser() *dnsParser {
	s := e.scratch()
	if s.dns == nil {
		s.dns = &dnsParser{parts: make([]Part, 0, maxParts+16), notes: make([]Note, 0, dnsNoteKinds)}
	}
	return s.dns
}

// begin takes a message in hand.
func (x *dnsParser) begin(p *Protocol, env *Env, data []byte, emit func(*Message)) {
	var key *bool
	if len(env.Want) > 0 {
		key = &env.Want[0]
	}
	if key != x.key || x.owner != p {
		x.key, x.owner, x.want = key, p, 0
		for f := range p.Fields {
			if env.Want.Has(p, Field(f)) {
				x.want |= 1 << f
			}
		}
	}
	x.m = Message{Protocol: p}
	x.emit, x.data = emit, data
	x.parts, x.notes, x.text, x.first = x.parts[:0], x.notes[:0], x.text[:0], nil
	x.told, x.value, x.last, x.transfer = 0, 0, 0, false
	x.records, x.expanded, x.extended = 0, 0, 0
}

func (x *dnsParser) wants(f Field) bool { return x.want&(1<<f) != 0 }

// add collects a value of the question or record in hand.
func (x *dnsParser) add(f Field, b []byte) {
	if !x.wants(f) {
		return
	}
	n := len(x.parts)
	if n == cap(x.parts) {
		x.parts = append(x.parts, Part{})
	}
	x.parts = x.parts[:n+1]
	p := &x.parts[n] // what else it has is never set
	p.Field, p.Value, p.Bytes, p.Off, p.More = f, x.value, b, 0, false
}

// number collects a number.
func (x *dnsParser) number(f Field, n uint64) {
	if x.wants(f) {
		at := len(x.text)
		x.text = strconv.AppendUint(x.text, n, 10)
		x.add(f, x.text[at:])
	}
}

// typeOf collects the name of a type.
func (x *dnsParser) typeOf(f Field, typ uint16) {
	if x.wants(f) {
		at := len(x.text)
		x.text = appendDNSType(x.text, typ)
		x.add(f, x.text[at:])
	}
}

// raw collects bytes as they came.
func (x *dnsParser) raw(b []byte) {
	if len(b) > 0 {
		x.add(dnsRdata, b)
	}
}

// flush emits what is collected.
func (x *dnsParser) flush(end, txEnd bool) {
	x.m.Parts, x.m.Notes, x.m.End, x.m.TxEnd = x.parts, x.notes, end, txEnd
	x.emit(&x.m)
	x.m.Parts, x.m.Notes, x.first = nil, nil, nil
	x.parts, x.notes = x.parts[:0], x.notes[:0]
	if cap(x.text) > maxScratch {
		x.text = nil
	}
	x.text = x.text[:0]
	if end {
		x.data, x.emit = nil, nil
	}
}
