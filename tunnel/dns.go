package tunnel

import (
	"bytes"
	"encoding/hex"
	"math"
	"math/bits"

	"weir/dissect"
)

// Ours.
const (
	dnsDomains = 192            // registered domains of which something is remembered
	dnsWindow  = 30 * 60e9      // ns after which counts are halved
	dnsAgain   = 10 * 60e9      // ns until a domain is told of again
	dnsSub     = 12             // bytes below the registered domain: shorter ones are of no interest, unless their type is odd
	dnsRun     = 16             // bytes of a label without a hyphen that may be encoded data
	dnsBits    = 512            // of the sketch that counts different names
	dnsMost    = math.MaxUint16 // counts stop there
)

// dnsWords tells the fields that are looked at, the same for both carriers.
var dnsWords = fieldsOf(&dissect.DNS, "dns.flags", "dns.query", "dns.question", "dns.type", "dns.answer", "dns.answer.type", "dns.rdata")

const (
	wordFlags = iota + 1
	wordQuery
	wordQuestion
	wordType
	wordAnswer
	wordAnswerType
	wordRdata
)

// domain is what is remembered of a registered domain.
type domain struct {
	since   int64  // ns: when the present window began
	told    int64  // ns: when it was told last
	up      uint32 // bytes in encoded names
	down    uint32 // bytes of answers that can carry data
	names   [dnsBits / 64]uint64
	queries uint16 // of those that look like something
	encoded uint16 // names that look like encoded data
	carry   uint16 // queries for types whose answers can carry data
	odd     uint16 // for types that nobody asks for: NULL, private ones
	binary  uint16 // names with bytes that no name of a host has
	session uint16 // of dnscat2: as its last packet said,
	again   uint16 // how often it was the same
	shapes  shape
}

// shape is a set of tools' marks.
type shape uint8

const (
	shapeIodine shape = 1 << iota
	shapeDNS2TCP
	shapeDNSCat
)

// said is what is of interest in a DNS message.
type said struct {
	name, typ []byte // of its question
	flags     []byte
	data      int // bytes in records that can carry data
}

func (s *said) answers() bool { return len(s.flags) == 4 && s.flags[0] >= '8' }

func read(m *dissect.Message) (s said) {
	carries := false
	for i := range m.Parts {
		p := &m.Parts[i]
		if p.View != dissect.ViewPlain {
			continue
		}
		switch dnsWords[p.Field] {
		case wordFlags:
			s.flags = p.Bytes
		case wordQuery, wordQuestion:
			if s.name == nil {
				s.name = p.Bytes
			}
		case wordType:
			if s.typ == nil {
				s.typ = p.Bytes
			}
		case wordAnswerType:
			carries = canCarry(p.Bytes)
		case wordAnswer:
			if carries {
				s.data += len(p.Bytes)
			}
		case wordRdata:
			s.data += len(p.Bytes)
		}
	}
	return s
}

// IsOdd reports whether a DNS message asks for something that does not look like the name of a host: a Watch is needed.
func IsOdd(m *dissect.Message) bool {
	s := read(m)
	if len(s.name) == 0 || s.answers() {
		return false
	}
	var n name
	n.read(s.name)
	return n.odd(s.typ)
}

// odd reports whether there is anything about a name, or the type that is asked for, that is to be counted.
func (n *name) odd(typ []byte) bool {
	return isOdd(typ) || n.shapes() != 0 || n.binary > 0 || encoded(n.text[:n.n])
}

// DNS looks at a DNS message, whole or a part of it. now is the frame's time, ns since the epoch.
func (w *Watch) DNS(now int64, m *dissect.Message) (Verdict, bool) {
	s := read(m)
	switch {
	case len(s.name) == 0 || len(s.flags) == 0:
		return Verdict{}, false
	case s.answers():
		return w.dnsAnswer(now, s.name, s.data)
	}
	return w.dnsQuery(now, s.name, s.typ)
}

func (w *Watch) dnsQuery(now int64, text, typ []byte) (Verdict, bool) {
	var n name
	n.read(text)
	if !n.odd(typ) || !n.divide(&w.registrar) {
		return Verdict{}, false
	}
	odd, marks := isOdd(typ), n.shapes()
	coded := len(n.sub()) >= dnsSub && (n.binary >= 4 || encoded(n.sub()))
	if !coded && !odd && marks == 0 {
		return Verdict{}, false
	}
	d := w.domain(now, n.key(w.seed, marks), true)
	d.shapes |= marks
	count(&d.queries)
	if odd {
		count(&d.odd)
	}
	if canCarry(typ) || odd {
		count(&d.carry)
	}
	if n.binary > 0 {
		count(&d.binary)
	}
	if coded {
		count(&d.encoded)
		d.up += uint32(len(n.sub()))
		h := n.hash(w.seed) % dnsBits
		d.names[h/64] |= 1 << (h % 64)
	}
	if id, ok := n.session(); ok {
		if id == d.session {
			count(&d.again)
		}
		d.session = id
	}
	return w.judge(now, d)
}

func (w *Watch) dnsAnswer(now int64, text []byte, data int) (Verdict, bool) {
	if data == 0 {
		return Verdict{}, false
	}
	var n name
	n.read(text)
	if !n.divide(&w.registrar) {
		return Verdict{}, false
	}
	d := w.domain(now, n.key(w.seed, n.shapes()), false)
	if d == nil {
		return Verdict{}, false
	}
	d.down += uint32(data)
	return w.judge(now, d)
}

func count(n *uint16) { *n = min(*n, dnsMost-1) + 1 }

// different returns about how many different names there were: linear counting (Whang 1990).
func (d *domain) different() int {
	set := 0
	for _, w := range d.names {
		set += bits.OnesCount64(w)
	}
	if set == dnsBits {
		set--
	}
	return int(-dnsBits * math.Log(1-float64(set)/dnsBits))
}

// judge weighs what is known of d.
func (w *Watch) judge(now int64, d *domain) (Verdict, bool) {
	if d.told != 0 && now-d.told < dnsAgain {
		return Verdict{Kind: KindDNS, Again: true}, true
	}
	var p points
	if d.shapes&shapeIodine != 0 {
		p.add(80, "the handshake of iodine")
	}
	if d.shapes&shapeDNS2TCP != 0 {
		p.add(80, "the commands of dns2tcp")
	}
	if d.shapes&shapeDNSCat != 0 && d.queries >= 3 {
		p.add(60, "the names of dnscat2")
	}
	if d.again >= 6 {
		p.add(60, "hexadecimal names with the number of a session, as dnscat2 has them")
	}
	switch {
	case d.odd >= 20:
		p.add(50, "many queries of types that nobody asks for (NULL, private)")
	case d.odd >= 5:
		p.add(30, "queries of types that nobody asks for (NULL, private)")
	}
	if d.binary >= 5 {
		p.add(40, "names with bytes that no name of a host has")
	}
	if d.encoded >= 16 && d.up >= 600 && d.encoded%4 == 0 {
		if different := d.different(); different >= 16 {
			d.weighNames(&p, different)
		}
	}
	v, ok := p.verdict(KindDNS)
	if ok {
		d.told = now
	}
	return v, ok
}

// weighNames adds what many different encoded names weigh.
func (d *domain) weighNames(p *points, different int) {
	if different >= 50 && d.up >= 2000 {
		p.add(50, "a great many different names below one domain that look like encoded data")
	} else {
		p.add(30, "different names below one domain that look like encoded data")
	}
	switch mean := d.up / uint32(d.encoded); {
	case mean >= 80:
		p.add(25, "very long ones")
	case mean >= 40:
		p.add(15, "long ones")
	}
	if d.carry >= d.queries/2 {
		p.add(25, "mostly queries of types whose answers can carry data (TXT, CNAME, MX, NULL ...)")
		if d.down >= 4<<10 {
			p.add(15, "much data in the answers")
		}
	}
}

// domain returns what is remembered of a domain; if that is nothing, and fresh, room is made for it in place of the one that looks most
// harmless.
func (w *Watch) domain(now int64, key uint64, fresh bool) *domain {
	at, least := -1, -1
	for i, k := range w.keys {
		if k == key {
			at = i
			break
		}
		if k == 0 && least < 0 {
			least = i
		}
	}
	if at >= 0 {
		d := &w.domains[at]
		if now-d.since > dnsWindow {
			d.age(now)
		}
		return d
	}
	if !fresh {
		return nil
	}
	if least < 0 {
		least = 0
		for i := range w.domains {
			if w.domains[i].weight() < w.domains[least].weight() {
				least = i
			}
		}
	}
	w.keys[least], w.domains[least] = key, domain{since: now}
	return &w.domains[least]
}

// weight is how bad d looks.
func (d *domain) weight() uint32 {
	return d.up + uint32(d.odd)*64 + uint32(d.shapes)<<16
}

// age begins a new window.
func (d *domain) age(now int64) {
	*d = domain{since: now, told: d.told, up: d.up / 2, down: d.down / 2, queries: d.queries / 2, encoded: d.encoded/2 + d.encoded%2, carry: d.carry / 2,
		odd: d.odd / 2, binary: d.binary / 2, session: d.session, again: d.again / 2}
}

// canCarry reports whether records of a type can carry data of some length.
func canCarry(typ []byte) bool {
	switch string(typ) {
	case "TXT", "CNAME", "MX", "SRV", "NULL", "KEY", "DNAME", "PRIVATE", "NAPTR":
		return true
	}
	return isOdd(typ)
}

// isOdd reports whether nobody asks for a type, except tools that need room: NULL, and numbers for private use (RFC 6895: 65280 to 65534).
func isOdd(typ []byte) bool {
	if string(typ) == "NULL" || string(typ) == "PRIVATE" {
		return true
	}
	return bytes.Contains(typ, []byte("65399"))
}

var iodineTest = []byte("aaahhh-drink-mal-ein-") // what iodine asks for to learn which bytes come through

// shapes returns the marks of tools in n.
func (n *name) shapes() (s shape) {
	all := n.text[:n.n]
	if bytes.Contains(all, iodineTest) {
		s |= shapeIodine
	}
	if i := bytes.LastIndexByte(all, '='); i >= 0 {
		switch word := all[i+1:]; {
		case bytes.HasPrefix(word, []byte("auth")), bytes.HasPrefix(word, []byte("connect")), bytes.HasPrefix(word, []byte("resource")):
			s |= shapeDNS2TCP
		}
	}
	if bytes.HasPrefix(all, []byte("dnscat.")) && isHex(firstLabel(all[7:])) {
		s |= shapeDNSCat
	}
	return s
}

func firstLabel(b []byte) []byte {
	label, _, _ := bytes.Cut(b, []byte("."))
	return label
}

// session returns the number of the session that stands in a name of dnscat2: the packet's number, its kind, the session's number, in hexadecimal.
func (n *name) session() (id uint16, ok bool) {
	var b [5]byte
	first := firstLabel(n.text[:n.n])
	if string(first) == "dnscat" {
		first = firstLabel(n.text[7:n.n])
	}
	if len(first) < 18 || !isHex(first) {
		return 0, false
	}
	if _, err := hex.Decode(b[:], first[:10]); err != nil {
		return 0, false
	}
	const syn, msg, fin, enc, ping = 0, 1, 2, 3, 0xff
	switch b[2] {
	case syn, msg, fin, enc, ping:
		return uint16(b[3])<<8 | uint16(b[4]), true
	}
	return 0, false
}

func isHex(b []byte) bool {
	for _, c := range b {
		if (c < '0' || c > '9') && (c < 'a' || c > 'f') {
			return false
		}
	}
	return len(b) >= 10
}
