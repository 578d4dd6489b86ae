package dissect

import (
	"errors"
	"hash/maphash"
	"slices"

	"weir/wire"
)

// DNS is the Domain Name System over UDP (RFC 1035), and what shares its messages: mDNS (RFC 6762), LLMNR (RFC 4795).
//
// An answer that repeats its query's question byte for byte tells it as dns.question: the same bytes are not found
// twice. A query without answer ends its exchange when it is the oldest of too many, or when the flow ends.
var DNS = Protocol{
	Name: "dns",
	About: "DNS over UDP and TCP (RFC 1035, RFC 7766). Each message has an event `dns` of its own, its sender as the " +
		"source; `dns.type` in it says request or response. As in EVE the event tells some things twice: the flags that are set one by one " +
		"(`qr`, `aa`, `tc`, `rd`, `ra`, `z`), what SOA and SRV records say member by member (`soa`, `srv`), and answers by their type " +
		"(`grouped`). Each string of a TXT record is an answer of its own there; rules see the record's strings joined.",
	Carrier: Datagram, Ports: []uint16{53}, Probe: probeDNS, Fields: dnsFields, PerMessage: true, New: newDNS, Resume: resumeDNS,
}

// DNSTCP is the Domain Name System over TCP, RFC 1035 section 4.2.2 and RFC 7766.
var DNSTCP = Protocol{Name: "dns", Carrier: Stream, Ports: []uint16{53}, Probe: probeDNSTCP, Fields: dnsFields, PerMessage: true, New: newDNSTCP, Resume: resumeDNSTCP}

// dnsFields are the fields of a DNS message. All fields of one question or record have the same Value.
var dnsFields = []FieldSpec{
	dnsID:             {Name: "dns.id", Doc: "number of the query", EVE: "id", Number: true, Derived: true},
	dnsFlags:          {Name: "dns.flags", Doc: "second 16 bits of the header, hex, as `8180`", EVE: "flags", Derived: true},
	dnsOpcode:         {Name: "dns.opcode", Doc: "kind of the query, digits", EVE: "opcode", Number: true, Derived: true},
	dnsRcode:          {Name: "dns.rcode", Doc: "outcome, as `NXDOMAIN`", EVE: "rcode", Derived: true},
	dnsQuery:          {Name: "dns.query", Doc: "name that is asked for", EVE: "queries.rrname"},
	dnsType:           {Name: "dns.type", Doc: "type that is asked for, as `AAAA`", EVE: "queries.rrtype", Derived: true},
	dnsAnswerName:     {Name: "dns.answer.name", Doc: "name of a record in the answer section", EVE: "answers.rrname"},
	dnsAnswerType:     {Name: "dns.answer.type", Doc: "its type", EVE: "answers.rrtype", Derived: true},
	dnsAnswerTTL:      {Name: "dns.answer.ttl", Doc: "its time to live, s", EVE: "answers.ttl", Number: true, Derived: true},
	dnsAnswer:         {Name: "dns.answer", Doc: "what it says, as text: an address, a name, text", EVE: "answers.rdata", Pieces: true},
	dnsAuthorityName:  {Name: "dns.authority.name", Doc: "name of a record in the authority section", EVE: "authorities.rrname"},
	dnsAuthorityType:  {Name: "dns.authority.type", Doc: "its type", EVE: "authorities.rrtype", Derived: true},
	dnsAuthorityTTL:   {Name: "dns.authority.ttl", Doc: "its time to live, s", EVE: "authorities.ttl", Number: true, Derived: true},
	dnsAuthority:      {Name: "dns.authority", Doc: "what it says, as text", EVE: "authorities.rdata", Pieces: true},
	dnsAdditionalName: {Name: "dns.additional.name", Doc: "name of a record in the additional section", EVE: "additionals.rrname"},
	dnsAdditionalType: {Name: "dns.additional.type", Doc: "its type", EVE: "additionals.rrtype", Derived: true},
	dnsAdditionalTTL:  {Name: "dns.additional.ttl", Doc: "its time to live, s", EVE: "additionals.ttl", Number: true, Derived: true},
	dnsAdditional:     {Name: "dns.additional", Doc: "what it says, as text", EVE: "additionals.rdata", Pieces: true},
	dnsRdata:          {Name: "dns.rdata", Doc: "what no text stands for, as it came: NULL, DNSSEC, unknown and malformed records, EDNS options, bytes behind the last record"},
	dnsQuestion:       {Name: "dns.question", Doc: "name of an answer's question where it is just the query's, so that it is not found twice", EVE: "queries.rrname", Derived: true},
	DNSLabels:         {Name: "dns.labels", Doc: "what the names of several queries say together: labels below one domain, one behind the other, and what they are encoded as"},
}

// Fields of DNS, in the order of dnsFields. Those of the sections answer, authority and additional follow each other in
// the same order.
const (
	dnsID             Field = iota // decimal digits
	dnsFlags                       // the header's second 16 bits, hexadecimal: "8180"
	dnsOpcode                      // decimal digits
	dnsRcode                       // of an answer, with the bits that EDNS adds: "NXDOMAIN"
	dnsQuery                       // name of a question
	dnsType                        // of a question: "AAAA"
	dnsAnswerName                  //
	dnsAnswerType                  //
	dnsAnswerTTL                   // seconds, decimal digits
	dnsAnswer                      // what the record says, as text
	dnsAuthorityName               //
	dnsAuthorityType               //
	dnsAuthorityTTL                //
	dnsAuthority                   //
	dnsAdditionalName              //
	dnsAdditionalType              //
	dnsAdditionalTTL               //
	dnsAdditional                  //
	dnsRdata                       // what no text stands for, as it came: rdata of NULL, DNSSEC, unknown and malformed records, EDNS options, bytes behind the last record
	dnsQuestion                    // name of an answer's question, where it is just the query's
	DNSLabels                      // what several queries say together: the engine emits it, no parser
)

// from the specification
const (
	dnsHeaderLen = 12  // bytes; RFC 1035 4.1.1
	dnsMaxName   = 255 // bytes of a name on the wire; RFC 1035 2.3.4
	dnsMaxLabel  = 63  // bytes; RFC 1035 2.3.4
	dnsMaxLabels = 127 // of a name of that size
)

// ours
const (
	dnsMaxQueries = 64       // queries of a flow that wait for their answer
	dnsMaxRecords = 512      // questions and records of a message that are told apart; the rest is told as bytes
	dnsMaxText    = 64 << 10 // bytes that the names of a message may expand to; then as above
	dnsMaxJumps   = 32       // compression pointers in one name
	dnsMaxStrings = 8        // strings of a record that are told apart; more are told as one
	dnsMaxBad     = 4        // messages of a stream in a row that are none; then it is given up as raw
)

var (
	errDNS       = errors.New("dns: not a DNS message")
	errDNSLength = errors.New("dns: a length that no message has")
)

// dnsSeed makes the hashes of questions unforeseeable: nobody can make an answer's question look like the query's.
var dnsSeed = maphash.MakeSeed()

// dnsAsked is a query that waits for its answer.
type dnsAsked struct {
	tx       uint64
	question uint64 // hash of the question section
	values   uint32 // value numbers given in this exchange's answers: a zone comes in several messages
	id       uint16
	dir      wire.Dir
	transfer bool // AXFR or IXFR
	begun    bool // the transfer's first message came
}

// dnsSide is what is known of a direction of a stream.
type dnsSide struct {
	left   int // bytes not used by the last Feed
	whole  int // bytes of the message that they begin, length included; 0 if not known
	skip   int // bytes to come of a message that lost some
	bad    uint8
	closed bool
}

// dns parses one flow.
type dns struct {
	p       *Protocol
	env     *Env
	pending []dnsAsked // oldest first
	lastID  uint64
	lastTx  uint64
	side    [2]dnsSide
	queried [2]bool // a query was seen in this direction
	stream  bool
}

func newDNS(p *Protocol, env *Env) Dissector { return &dns{p: p, env: env} }

func newDNSTCP(p *Protocol, env *Env) Dissector { return &dns{p: p, env: env, stream: true} }

// Feed implements Dissector.
func (d *dns) Feed(dir wire.Dir, data []byte, emit func(*Message)) (Progress, error) {
	if d.stream {
		return d.feedStream(dir, data, emit)
	}
	if len(data) == 0 {
		return Progress{}, nil
	}
	if !dnsPlausible(data) {
		return Progress{}, errDNS
	}
	d.message(dir, data, false, emit)
	return Progress{Used: len(data)}, nil
}

// Close implements Dissector: queries that the other side will not answer any more end their exchanges.
func (d *dns) Close(dir wire.Dir, emit func(*Message)) {
	d.side[dir].closed = true
	keep := d.pending[:0]
	for _, q := range d.pending {
		if q.dir != dir {
			d.unanswered(q, emit)
		} else {
			keep = append(keep, q)
		}
	}
	d.pending = keep
}

// message tells of a message; cut says that its end is missing.
func (d *dns) message(dir wire.Dir, msg []byte, cut bool, emit func(*Message)) {
	x := d.env.dnsParser()
	x.begin(d.p, d.env, msg, emit)
	d.lastID++
	x.m.ID, x.m.Dir = d.lastID, dir
	if cut {
		x.note(dnsNoteTruncated)
	}
	c := wire.Cut(msg)
	h := readDNSHeader(&c)
	x.header(&h)
	question := hashQuestion(msg, &h)
	if h.answer() {
		d.answer(x, &c, &h, question)
		return
	}
	known := d.asked(&h, dir, question, x, emit)
	x.sections(&c, &h, known)
	if x.transfer && !known {
		d.pending[len(d.pending)-1].transfer = true
	}
	x.finish(&h, false)
}

// answer tells of an answer; c is behind the header.
func (d *dns) answer(x *dnsParser, c *wire.Cursor, h *dnsHeader, question uint64) {
	i := d.query(h, x.m.Dir, question)
	if i < 0 {
		d.lastTx++
		x.m.Tx = d.lastTx
		if d.queried[x.m.Dir.Other()] && h.id != 0 {
			x.note(dnsNoteUnrequested)
		}
		x.sections(c, h, false)
		x.finish(h, true)
		return
	}
	q := &d.pending[i]
	x.m.Tx, x.value = q.tx, q.values
	x.sections(c, h, q.question == question && question != 0)
	ends := !q.transfer || x.transferEnds(h, q.begun)
	q.values, q.begun = x.value, true
	if ends {
		d.pending = slices.Delete(d.pending, i, i+1)
	}
	x.finish(h, ends)
}

// asked notes a query for its answer. It reports whether the same query is waiting already: then this is a repetition.
func (d *dns) asked(h *dnsHeader, dir wire.Dir, question uint64, x *dnsParser, emit func(*Message)) bool {
	d.queried[dir] = true
	for i := range d.pending {
		if q := &d.pending[i]; q.id == h.id && q.dir == dir && q.question == question && question != 0 {
			x.m.Tx, x.value = q.tx, uint32(h.count[0]) // as the first time
			return true
		}
	}
	if len(d.pending) >= dnsMaxQueries {
		oldest := d.pending[0]
		d.pending = slices.Delete(d.pending, 0, 1)
		d.unanswered(oldest, emit)
	}
	d.lastTx++
	x.m.Tx = d.lastTx
	d.pending = append(d.pending, dnsAsked{tx: d.lastTx, question: question, id: h.id, dir: dir})
	return false
}

// query returns the index of the query that an answer belongs to, -1 if there is none: the one with the same
// question, else the oldest.
func (d *dns) query(h *dnsHeader, dir wire.Dir, question uint64) int {
	found := -1
	for i := range d.pending {
		q := &d.pending[i]
		if q.id != h.id || q.dir == dir {
			continue
		}
		if q.question == question {
			return i
		}
		if found < 0 {
			found = i
		}
	}
	return found
}

// unanswered ends the exchange of a query that got no answer.
func (d *dns) unanswered(q dnsAsked, emit func(*Message)) {
	d.lastID++
	m := &d.env.dnsParser().over
	*m = Message{Protocol: d.p, ID: d.lastID, Tx: q.tx, Dir: q.dir, End: true, TxEnd: true}
	emit(m)
}

// hashQuestion returns a hash of the question section, 0 if it has compression pointers or does not parse: then equal
// bytes need not mean equal names.
func hashQuestion(msg []byte, h *dnsHeader) uint64 {
	if h.count[0] == 0 || h.count[0] > 4 {
		return 0
	}
	c := wire.Cut(msg[dnsHeaderLen:])
	for range h.count[0] {
		for n := c.U8(); n != 0; n = c.U8() {
			if n > dnsMaxLabel {
				return 0
			}
			c.Skip(int(n))
		}
		c.Skip(4)
	}
	if c.Short() {
		return 0
	}
	return maphash.Bytes(dnsSeed, msg[dnsHeaderLen:len(msg)-c.Len()])
}
