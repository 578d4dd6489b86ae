package dissect

import (
	"bytes"
	"encoding/binary"
	"errors"

	"weir/wire"
)

// Memcached is the protocol of memcached, text, meta and binary, over TCP.
var Memcached = Protocol{
	Name: "memcached",
	About: "Memcached's text, meta and binary protocols over TCP and UDP (doc/protocol.txt, doc/protocol-binary.txt of memcached): commands, keys, values. A " +
		"request and its answers are an exchange with an event; over UDP each message has one of its own.",
	Carrier: Stream,
	Ports:   []uint16{11211},
	Probe:   probeMemcached,
	Fields:  memcachedFields,
	New:     newMemcached,
	Resume:  resumeMemcached,
}

// MemcachedUDP is the same over UDP: each datagram has a header of 8 bytes in front.
var MemcachedUDP = Protocol{Name: "memcached", Carrier: Datagram, Ports: []uint16{11211}, Probe: probeMemcachedUDP, PerMessage: true, Fields: memcachedFields, New: newMemcachedUDP}

// Couchbase is the protocol of Couchbase's data service.
var Couchbase = Protocol{
	Name:    "couchbase",
	About:   "Couchbase's data service, which speaks memcached's binary protocol with extensions: operations, keys, values. A request and its answer are an exchange with an event.",
	Carrier: Stream,
	Ports:   []uint16{11210, 11207},
	Probe:   probeCouchbase,
	Fields: []FieldSpec{
		{Name: "couchbase.request", Doc: "key of a request; of lines all of it"},
		{Name: "couchbase.command", Doc: "number of the operation, as `0x1f`", EVE: "command", Derived: true},
		{Name: "couchbase.key", Doc: "its key", EVE: "key", Derived: true},
		{Name: "couchbase.value", Doc: "values, of either end"},
		{Name: "couchbase.reply", Doc: "key of an answer"},
		{Name: "couchbase.status", Doc: "number of an answer's status", EVE: "status", Number: true, Derived: true},
	},
	New:    newMemcached,
	Resume: resumeMemcached,
}

var memcachedFields = []FieldSpec{
	memcachedLine:    {Name: "memcached.request", Doc: "line of a request; of a binary one its key"},
	memcachedCommand: {Name: "memcached.command", Doc: "the command; of a binary one its number, as `0x01`", EVE: "command", Derived: true},
	memcachedKey:     {Name: "memcached.key", Doc: "its first key", EVE: "key", Derived: true},
	memcachedValue:   {Name: "memcached.value", Doc: "values, of either end"},
	memcachedReply:   {Name: "memcached.reply", Doc: "line of an answer; of a binary one its key", EVE: "reply"},
	memcachedStatus:  {Name: "memcached.status", Doc: "number of a binary answer's status", EVE: "status", Number: true, Derived: true},
}

// Fields of memcached, in the order of memcachedFields.
const (
	memcachedLine Field = iota
	memcachedCommand
	memcachedKey
	memcachedValue
	memcachedReply
	memcachedStatus
)

// from the specification
const (
	memcachedRequest  = 0x80
	memcachedResponse = 0x81
	memcachedHeader   = 24 // bytes
	memcachedFrame    = 8  // bytes in front of a datagram
)

// ours
const (
	memcachedMaxLine  = 64 << 10 // bytes of a line
	memcachedMaxValue = 1 << 30  // bytes
)

var errMemcached = errors.New("memcached: not a message")

// memcached parses one flow.
type memcached struct {
	framed
	udp   bool
	lines queue[memcachedKind] // commands of the text protocol: answers come in their order
	pairs pairs                // of the binary one: by operation and number
}

// memcachedKind says how a command is answered.
type memcachedKind uint8

const (
	memcachedOnce  memcachedKind = iota
	memcachedQuiet               // perhaps not at all
)

func newMemcached(p *Protocol, env *Env) Dissector {
	d := new(memcached)
	d.framed = makeFramed(p, env, d.message)
	return d
}

func newMemcachedUDP(p *Protocol, env *Env) Dissector {
	d := newMemcached(p, env).(*memcached)
	d.udp = true
	return d
}

func resumeMemcached(p *Protocol, env *Env, r Rest) Dissector {
	d := newMemcached(p, env).(*memcached)
	d.resume(r)
	return d
}

// Rest implements Dissector.
func (d *memcached) Rest() (Rest, bool) {
	r, quiet := d.quiet()
	return r, quiet && d.lines.front() == nil && d.pairs.empty()
}

// Size implements Dissector.
func (d *memcached) Size() int { return framedSize + d.pairs.size() + 16*cap(d.lines.list) }

// Feed implements Dissector.
func (d *memcached) Feed(dir wire.Dir, data []byte, emit func(*Message)) (Progress, error) {
	if !d.udp {
		return d.framed.Feed(dir, data, emit)
	}
	if len(data) <= memcachedFrame {
		return Progress{}, errMemcached
	}
	if pr, err := d.framed.Feed(dir, data[memcachedFrame:], emit); err != nil || pr.Used < len(data)-memcachedFrame {
		return Progress{}, errMemcached
	}
	d.Close(dir, emit) // a value goes on in no other datagram
	return Progress{Used: len(data)}, nil
}

// message takes a message at the front of b, up to its value.
func (d *memcached) message(t *teller, dir wire.Dir, b []byte) (n, need int, err error) {
	if c := b[0]; c&0x80 != 0 || c == 0x08 || c == 0x18 {
		return d.binary(t, dir, b)
	}
	line, n := redisLine(b)
	if n == 0 {
		if len(b) > memcachedMaxLine {
			return 0, 0, errMemcached
		}
		return 0, 1, nil
	}
	if !isText(line) {
		return 0, 0, errMemcached
	}
	if len(line) == 0 {
		return n, 0, nil
	}
	verb, rest, _ := bytes.Cut(line, []byte(" "))
	ends := true
	if dir == wire.ToServer {
		d.begin(dir)
		ends = d.udp || !d.asks(verb, rest)
	} else {
		ends = d.answers(dir, verb)
	}
	size, at := int64(-1), -1 // of a value that follows; the word that has it
	if dir == wire.ToServer {
		t.add(memcachedLine, line)
		t.add(memcachedCommand, verb)
		switch string(verb) {
		case "set", "add", "replace", "append", "prepend", "cas":
			at = 3
		case "ms":
			at = 1
		}
		key, _, _ := bytes.Cut(rest, []byte(" "))
		if verbKey := string(verb); verbKey == "gat" || verbKey == "gats" {
			_, key, _ = bytes.Cut(rest, []byte(" "))
		}
		if len(key) > 0 && string(verb) != "stats" && string(verb) != "verbosity" && string(verb) != "flush_all" {
			t.add(memcachedKey, key)
		}
	} else {
		t.add(memcachedReply, line)
		switch string(verb) {
		case "VALUE":
			at = 2
		case "VA":
			at = 0
		}
	}
	i := 0
	for word := range bytes.FieldsSeq(rest) {
		if i == at {
			if v, ok := redisNumber(word); ok && v >= 0 && v <= memcachedMaxValue {
				size = v
			}
		}
		i++
	}
	if size < 0 {
		d.done(t, dir, ends)
		return n, 0, nil
	}
	d.stream(t, dir, memcachedValue, size+2, true, ends)
	return n, 0, nil
}

// asks takes the command of the message in hand, a line. It reports whether an answer is to come.
func (d *memcached) asks(verb, rest []byte) bool {
	kind := memcachedOnce
	switch string(verb) {
	case "quit", "shutdown":
		return false
	case "mg", "ms", "md", "ma":
		for word := range bytes.FieldsSeq(rest) {
			if len(word) == 1 && word[0] == 'q' {
				kind = memcachedQuiet
			}
		}
	default:
		if bytes.HasSuffix(rest, []byte(" noreply")) {
			return false
		}
	}
	return d.lines.push(kind, d.lastTx)
}

// answers begins an answer, a line, of the exchange that it belongs to. It reports whether that ends with it.
func (d *memcached) answers(dir wire.Dir, verb []byte) (ends bool) {
	if string(verb) == "MN" { // whatever was asked quietly before mn has no answer any more
		for q := d.lines.front(); q != nil && q.kind == memcachedQuiet; q = d.lines.front() {
			d.lines.pop()
		}
	}
	q := d.lines.front()
	if q == nil {
		d.begin(dir)
		return true
	}
	d.beginTx(dir, q.tx)
	switch string(verb) {
	case "VALUE", "STAT", "ITEM":
		return false
	}
	d.lines.pop()
	return true
}

// memcachedStat is the operation that is answered by many messages, of which the last one has no key.
const memcachedStat = 0x10

// binaryTx begins a message of the binary protocol, of the exchange that it belongs to. It reports whether that ends with it.
func (d *memcached) binaryTx(dir wire.Dir, b []byte, key int) (ends bool) {
	id := uint64(b[1])<<32 | uint64(binary.BigEndian.Uint32(b[12:]))
	if dir == wire.ToServer {
		d.begin(dir)
		if !d.udp {
			d.pairs.asked(dir, id, d.lastTx, 0)
		}
		return d.udp
	}
	q, ok := d.pairs.answered(dir, id)
	if !ok {
		d.begin(dir)
		return true
	}
	d.beginTx(dir, q.tx)
	if b[1] == memcachedStat && key > 0 {
		d.pairs.asked(q.dir, id, q.tx, 0)
		return false
	}
	return true
}

// binary takes a message of the binary protocol, up to its value.
func (d *memcached) binary(t *teller, dir wire.Dir, b []byte) (n, need int, err error) {
	if len(b) < memcachedHeader {
		return 0, memcachedHeader - len(b), nil
	}
	framing, key := 0, int(binary.BigEndian.Uint16(b[2:]))
	if b[0]&0x80 == 0 { // Couchbase's flexible framing
		framing, key = int(b[2]), int(b[3])
	}
	extras, total := int(b[4]), int64(binary.BigEndian.Uint32(b[8:]))
	front := memcachedHeader + framing + extras
	if b[0]&^0x81 != 0 && b[0] != 0x08 && b[0] != 0x18 || int64(framing+extras+key) > total || total > memcachedMaxValue {
		return 0, 0, errMemcached
	}
	if len(b) < front+key {
		return 0, front + key - len(b), nil
	}
	ends := d.binaryTx(dir, b, key)
	f := memcachedReply
	if dir == wire.ToServer {
		f = memcachedLine
		if t.wants(memcachedCommand) {
			const digits = "0123456789abcdef"
			t.add(memcachedCommand, t.write(func(to []byte) []byte { return append(to, '0', 'x', digits[b[1]>>4], digits[b[1]&15]) }))
		}
	} else {
		t.number(memcachedStatus, int64(binary.BigEndian.Uint16(b[6:])))
	}
	if key > 0 {
		t.add(f, b[front:front+key])
		if dir == wire.ToServer {
			t.add(memcachedKey, b[front:front+key])
		}
	}
	d.stream(t, dir, memcachedValue, total-int64(framing+extras+key), true, ends)
	return front + key, 0, nil
}
