package dissect

import (
	"encoding/binary"
	"errors"
	"strconv"

	"weir/wire"
)

// ClickHouse is ClickHouse's native protocol.
var ClickHouse = Protocol{
	Name: "clickhouse",
	About: "ClickHouse's native protocol: what both ends say of themselves is an exchange with an event `clickhouse`, and so is each query, and each error. Queries' settings and " +
		"blocks of data are inspected as they came: where they are compressed, that is all.",
	Carrier: Stream, Ports: []uint16{9000, 9440}, Probe: probeClickHouse, New: newClickHouse,
	Fields: []FieldSpec{
		clickhouseClient:   {Name: "clickhouse.client", Doc: "what the client calls itself", EVE: "client"},
		clickhouseVersion:  {Name: "clickhouse.client_version", Doc: "its version: `23.8`, and the protocol's revision behind a slash", EVE: "client_version", Derived: true},
		clickhouseDatabase: {Name: "clickhouse.database", Doc: "database that it asks for", EVE: "database"},
		clickhouseUser:     {Name: "clickhouse.user", Doc: "user that it is", EVE: "user"},
		clickhousePassword: {Name: "clickhouse.password", Doc: "what it proves that with", Privacy: Sealed},
		clickhouseServer:   {Name: "clickhouse.server", Doc: "what the server calls itself", EVE: "server"},
		clickhouseOf:       {Name: "clickhouse.server_version", Doc: "its version, as the client's", EVE: "server_version", Derived: true},
		clickhouseError:    {Name: "clickhouse.error", Doc: "number of an error", EVE: "error", Number: true, Derived: true},
		clickhouseQuery:    {Name: "clickhouse.query", Doc: "a query", EVE: "query", Privacy: Statement},
		clickhouseVerb:     {Name: "clickhouse.verb", Doc: "its verb, upper case", EVE: "verb", Derived: true},
		clickhouseTable:    {Name: "clickhouse.table", Doc: "tables that it names, a value for each", EVE: "tables[]", Derived: true},
		clickhouseUsers:    {Name: "clickhouse.initial_user", Doc: "who asks, where another server passes a query on", EVE: "initial_user", Derived: true},
		clickhouseReason:   {Name: "clickhouse.error_text", Doc: "what the server says of an error", EVE: "error_text"},
		clickhouseData:     {Name: "clickhouse.data", Doc: "what both ends say behind the beginning, as it came"},
	},
}

// Fields of ClickHouse, in the order of ClickHouse.Fields.
const (
	clickhouseClient Field = iota
	clickhouseVersion
	clickhouseDatabase
	clickhouseUser
	clickhousePassword
	clickhouseServer
	clickhouseOf
	clickhouseError
	clickhouseQuery
	clickhouseVerb
	clickhouseTable
	clickhouseUsers
	clickhouseReason
	clickhouseData
)

// ours
const (
	clickhouseMaxName = 64      // bytes of what a client or server calls itself
	clickhouseMaxText = 8 << 10 // bytes of a hello's other texts
)

var errClickHouse = errors.New("clickhouse: not a hello")

// clickhouse parses one connection.
type clickhouse struct {
	p        *Protocol
	env      *Env
	lastID   uint64
	lastTx   uint64
	revision uint64 // of the protocol that both ends know; 0: no hello was seen
	side     [2]clickhouseSide
}

// clickhouseSide is the state of one direction.
type clickhouseSide struct {
	u      unit
	value  pieces // in hand: data, a query, or the text of an error
	begun  bool   // the hello was told
	closed bool
}

func newClickHouse(p *Protocol, env *Env) Dissector { return &clickhouse{p: p, env: env} }

// Feed implements Dissector.
func (d *clickhouse) Feed(dir wire.Dir, data []byte, emit func(*Message)) (pr Progress, err error) {
	s := &d.side[dir]
	if s.u.id == 0 {
		d.open(s, s.begun)
	}
	t := d.env.teller(d.p, dir, &s.u, emit)
	if s.begun && s.value.left == 0 {
		s.value = t.stream(clickhouseData, clickhouseEndless)
	}
	if !s.begun && len(data) > 0 {
		n, whole, ok := d.hello(t, dir, data)
		switch {
		case !ok:
			return pr, errClickHouse
		case !whole:
			return Progress{Need: 1}, nil
		}
		s.begun, pr.Used = true, n
		t.flush(true, dir == wire.ToClient)
		d.open(s, true)
		s.value = t.stream(clickhouseData, clickhouseEndless)
	}
	for pr.Used < len(data) && pr.Need == 0 {
		n := 0
		n, pr.Need = d.behind(s, t, dir, data[pr.Used:])
		pr.Used += n
	}
	t.flush(false, false)
	return pr, nil
}

// open takes a new message in hand: of an exchange of its own, or the hello of an end.
func (d *clickhouse) open(s *clickhouseSide, own bool) {
	d.lastID++
	if own || d.lastTx == 0 {
		d.lastTx++
	}
	s.u = unit{id: d.lastID, tx: d.lastTx}
	if !own {
		s.u.tx = 1
	}
}

// hello reads the first message of an end. whole is false if there is more of it to come, ok if it is none.
func (d *clickhouse) hello(t *teller, dir wire.Dir, b []byte) (n int, whole, ok bool) {
	c := wire.Cut(b)
	switch kind := c.U8(); {
	case kind == 2 && dir == wire.ToClient: // an exception, and why
		switch n := 4 + len(clickhouseThrown); {
		case c.Len() < n:
			return 0, false, true
		case string(c.Rest()[4:n]) == string(clickhouseThrown): // it is told as any other
			return 0, true, true
		}
		t.number(clickhouseError, int64(binary.LittleEndian.Uint32(c.Rest())))
		return 1, true, true
	case kind != 0:
		return 0, false, false
	}
	name, ok := clickhouseText(&c, clickhouseMaxName)
	major, minor, revision := clickhouseVar(&c), clickhouseVar(&c), clickhouseVar(&c)
	var more [3][]byte // database, user, password
	for i := range more {
		if dir == wire.ToServer && ok {
			more[i], ok = clickhouseText(&c, clickhouseMaxText)
		}
	}
	if !ok || c.Short() {
		return 0, false, ok && len(b) < 4*clickhouseMaxText
	}
	if d.revision == 0 || revision < d.revision { // both speak as the older one
		d.revision = revision
	}
	version := t.write(func(out []byte) []byte {
		out = append(strconv.AppendUint(out, major, 10), '.')
		out = append(strconv.AppendUint(out, minor, 10), '/')
		return strconv.AppendUint(out, revision, 10)
	})
	if dir == wire.ToClient {
		t.add(clickhouseServer, name)
		t.add(clickhouseOf, version)
		// What else there is depends on the revision: it is told with what follows, so nothing of it goes unseen.
		return len(b) - c.Len(), true, true
	}
	t.add(clickhouseClient, name)
	t.add(clickhouseVersion, version)
	t.add(clickhouseDatabase, more[0])
	t.add(clickhouseUser, more[1])
	t.add(clickhousePassword, more[2])
	return len(b) - c.Len(), true, true
}

// clickhouseVar reads a number of 7 bits a byte.
func clickhouseVar(c *wire.Cursor) (v uint64) {
	for shift := 0; shift < 63; shift += 7 {
		b := c.U8()
		v |= uint64(b&0x7f) << shift
		if b < 0x80 {
			break
		}
	}
	return v
}

// clickhouseText reads a text behind its length; ok is false if it is longer than most.
func clickhouseText(c *wire.Cursor, most uint64) (text []byte, ok bool) {
	n := clickhouseVar(c)
	if c.Short() {
		return nil, true
	}
	if n > most {
		return nil, false
	}
	return c.Bytes(int(n)), true
}

// Gap implements Dissector: behind the beginning nothing is lost but its bytes.
func (d *clickhouse) Gap(dir wire.Dir, n int, _ func(*Message)) bool {
	s := &d.side[dir]
	return s.begun && s.value.lost(n)
}

// Close implements Dissector.
func (d *clickhouse) Close(dir wire.Dir, emit func(*Message)) {
	s := &d.side[dir]
	s.closed = true
	if s.u.id == 0 {
		return
	}
	t := d.env.teller(d.p, dir, &s.u, emit)
	if s.value.off > 0 && s.value.left > 0 {
		s.value.more(t, nil, true)
	}
	t.flush(true, true)
	s.u, s.value = unit{}, pieces{}
}

// Rest implements Dissector.
func (d *clickhouse) Rest() (Rest, bool) { return Rest{}, false }

// Size implements Dissector.
func (d *clickhouse) Size() int { return 224 }

// probeClickHouse says Yes to a Hello of either end.
func probeClickHouse(_ wire.Dir, head []byte) Guess {
	if head[0] != 0 {
		return No
	}
	if len(head) < 2 {
		return Maybe
	}
	n := int(head[1])
	if n < 4 || n > clickhouseMaxName {
		return No
	}
	name := head[2:min(len(head), 2+n)]
	for _, c := range name {
		if c < ' ' || c > '~' {
			return No
		}
	}
	if len(head) < 2+n+5 {
		return Maybe
	}
	rest := head[2+n:]
	if rest[0] == 0 || rest[0] >= 100 || rest[1] >= 100 || rest[2] < 0x80 || rest[3] < 0x80 || rest[4] == 0 || rest[4] > 4 { // version 20.3, revision 54467
		return No
	}
	return Yes
}
