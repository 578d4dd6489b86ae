package dissect

import (
	"encoding/binary"
	"errors"

	"weir/wire"
)

// PostgreSQL is the frontend/backend protocol 3, of PostgreSQL 7.4 and later.
var PostgreSQL = Protocol{
	Name: "postgresql",
	About: "PostgreSQL's frontend/backend protocol 3 (PostgreSQL documentation, chapter 55). An event `pgsql` for each exchange: the start of a session, a simple " +
		"query, an extended one up to its Sync. A session that goes on in TLS after an SSLRequest is `tls` from there on; one in GSSAPI encryption is " +
		"counted as not looked into. A row is one value, its columns separated by tabs; COPY data is one value for each direction.",
	Event:   "pgsql",
	Carrier: Stream,
	Ports:   []uint16{5432, 5433, 6432, 26257},
	Probe:   probePostgreSQL,
	Fields: []FieldSpec{
		pgQuery:       {Name: "postgresql.query", Doc: "statement, of a simple query or one to prepare", EVE: "request/simple_query", Privacy: Statement},
		pgVerb:        {Name: "postgresql.verb", Doc: "its verb, upper case", EVE: "request/verb", Derived: true},
		pgTable:       {Name: "postgresql.table", Doc: "tables that it names, as `schema.table`, a value for each", EVE: "request/tables[]", Derived: true},
		pgParameter:   {Name: "postgresql.parameter", Doc: "values that are bound to a prepared statement, a value for each"},
		pgName:        {Name: "postgresql.name", Doc: "names of prepared statements and portals, a value for each: what ties an execution to its statement", EVE: "request/names[]", Derived: true},
		pgUser:        {Name: "postgresql.user", Doc: "user of the session", EVE: "request/startup_parameters/user"},
		pgDatabase:    {Name: "postgresql.database", Doc: "database of the session", EVE: "request/startup_parameters/optional_parameters.database"},
		pgApplication: {Name: "postgresql.application", Doc: "what the client calls itself", EVE: "request/startup_parameters/optional_parameters.application_name"},
		pgStartup:     {Name: "postgresql.startup", Doc: "other parameters of the session, name and value with a NUL between, a value for each"},
		pgVersion:     {Name: "postgresql.version", Doc: "version of the protocol, as `3.0`", EVE: "request/protocol_version", Derived: true},
		pgMessage:     {Name: "postgresql.message", Doc: "a request without a statement: `ssl_request`, `gss_request`, `cancel_request`, `terminate`, `copy_done`, `copy_fail`", EVE: "request/message", Derived: true},
		pgPassword:    {Name: "postgresql.password", Doc: "what the client proves its identity with", Privacy: Credential},
		pgAuth:        {Name: "postgresql.auth", Doc: "what the server asks for: `ok`, `cleartext`, `md5`, `gss`, `sspi`, or SASL mechanisms", EVE: "response/authentication", First: true, Derived: true},
		pgSSL:         {Name: "postgresql.ssl_accepted", Doc: "the answer to an SSLRequest or GSSENCRequest", EVE: "response/ssl_accepted", Bool: true, Derived: true},
		pgSetting:     {Name: "postgresql.setting", Doc: "parameters that the server tells, name and value with a NUL between"},
		pgServer:      {Name: "postgresql.server_version", Doc: "version of the server", EVE: "response/parameter_status.server_version", Derived: true},
		pgColumn:      {Name: "postgresql.column", Doc: "names of the result's columns, a value for each", Derived: true, Table: ColumnName},
		pgRow:         {Name: "postgresql.row", Doc: "a row of the result, its columns separated by tabs", Table: RowOfCells},
		pgRows:        {Name: "postgresql.rows", Doc: "number of rows in the result", EVE: "response/data_rows", Number: true, Derived: true},
		pgCommand:     {Name: "postgresql.command", Doc: "what was done, as `DELETE 1`", EVE: "response/command_completed"},
		pgCopy:        {Name: "postgresql.copy", Doc: "COPY data, of either end"},
		pgSeverity:    {Name: "postgresql.severity", Doc: "of an error or notice, as `FATAL`", EVE: "response/severity_non_localizable", Derived: true},
		pgCode:        {Name: "postgresql.code", Doc: "its SQLSTATE", EVE: "response/code", Derived: true},
		pgError:       {Name: "postgresql.error", Doc: "its text", EVE: "response/message"},
		pgDetail:      {Name: "postgresql.error_detail", Doc: "detail, hint, context and place of it, a value for each"},
		pgNotify:      {Name: "postgresql.notification", Doc: "channel and payload of a notification, with a NUL between"},
		pgOther:       {Name: "postgresql.other", Doc: "bytes of messages that have no field of their own"},
	},
	New:    newPostgreSQL,
	Resume: resumePostgreSQL,
}

// Fields of PostgreSQL, in the order of PostgreSQL.Fields.
const (
	pgQuery Field = iota
	pgVerb
	pgTable
	pgParameter
	pgName
	pgUser
	pgDatabase
	pgApplication
	pgStartup
	pgVersion
	pgMessage
	pgPassword
	pgAuth
	pgSSL
	pgSetting
	pgServer
	pgColumn
	pgRow
	pgRows
	pgCommand
	pgCopy
	pgSeverity
	pgCode
	pgError
	pgDetail
	pgNotify
	pgOther
)

// from the specification
const (
	pgCancel     = 80877102
	pgSSLRequest = 80877103
	pgGSSRequest = 80877104
	pgMaxStartup = 10000 // bytes of a StartupMessage, as servers accept it
	pgMaxKey     = 63    // bytes of a name
)

// ours
const (
	pgHold = 64 << 10 // bytes of a message that are waited for; of a larger one the values are told as they come
	pgHead = 4 << 10  // bytes of a larger message that must be there first
	pgSize = 256      // bytes that a postgresql is counted for
)

var (
	errPostgreSQL = errors.New("postgresql: not a message")

	pgNoteEarly = Note{"postgresql.data_before_tls", true, "bytes in the clear between an SSLRequest and TLS: they may be taken for part of the protected session"}
)

// pgMode is how what is left of a large message is read.
type pgMode uint8

const (
	pgModeValue  pgMode = iota // it is one value
	pgModeRow                  // columns, told as one value
	pgModeValues               // columns, each a value
)

// pgSide is the state of one direction.
type pgSide struct {
	u     unit
	left  int64 // bytes of the message in hand that are still to come
	mode  pgMode
	ends  bool   // the unit ends with the message in hand
	value pieces // in hand
	row   pieces // of a large row: all of its columns
	col   int64  // bytes of the column in hand that are still to come
	cols  int    // columns behind it
	copy  pieces // COPY data
	rows  int64  // of the result in hand
}

// postgresql parses one flow.
type postgresql struct {
	p        *Protocol
	env      *Env
	lastID   uint64
	asked    uint64 // exchanges begun: they end in the same order
	answered uint64 // exchanges that are over
	side     [2]pgSide
	roles    roles
	ssl      bool // an SSLRequest or GSSENCRequest waits for its answer
	gss      bool // it was a GSSENCRequest
	sealed   bool // GSSAPI encryption
}

func newPostgreSQL(p *Protocol, env *Env) Dissector { return &postgresql{p: p, env: env} }

func resumePostgreSQL(p *Protocol, env *Env, r Rest) Dissector {
	return &postgresql{p: p, env: env, lastID: r.ID, asked: r.Tx, answered: r.Tx, sealed: r.State&1 != 0, roles: roles{known: true, swapped: r.State&2 != 0}}
}

// Rest implements Dissector: every exchange is over.
func (d *postgresql) Rest() (Rest, bool) {
	for i := range d.side {
		if s := &d.side[i]; s.u.id != 0 || s.left > 0 {
			return Rest{}, false
		}
	}
	return Rest{ID: d.lastID, Tx: d.asked, State: bit(d.sealed) | bit(d.roles.swapped)<<1}, d.roles.known && d.asked == d.answered && !d.ssl
}

// Size implements Dissector.
func (d *postgresql) Size() int { return pgSize }

// Feed implements Dissector.
func (d *postgresql) Feed(dir wire.Dir, data []byte, emit func(*Message)) (pr Progress, err error) {
	if d.sealed {
		return Progress{Used: len(data), Opaque: len(data)}, nil
	}
	role, wait := d.roles.of(probePostgreSQLRole, dir, data)
	if wait {
		return Progress{Need: 1}, nil
	}
	s := &d.side[role]
	t := d.env.teller(d.p, dir, &s.u, emit)
	dir = role
	for pr.Used < len(data) && pr.Need == 0 && err == nil {
		b := data[pr.Used:]
		n, upgraded := 0, false
		switch {
		case s.left > 0:
			n, pr.Need = d.rest(s, t, b)
		case d.ssl:
			n, upgraded, err = d.negotiate(dir, t, b)
			if upgraded {
				pr.Used += n
				return pr, err
			}
		default:
			n, pr.Need, err = d.message(dir, s, t, b)
		}
		pr.Used += n
	}
	if d.sealed {
		pr.Opaque = len(data) - pr.Used
		pr.Used = len(data)
	}
	t.flush(false, false)
	return pr, err
}

// negotiate takes what comes after an SSLRequest.
func (d *postgresql) negotiate(dir wire.Dir, t *teller, b []byte) (n int, upgraded bool, err error) {
	s := &d.side[dir]
	if dir == wire.ToServer {
		d.ssl = false
		d.answered = d.asked
		if !d.gss && b[0] == recordShake { // the answer was not seen
			d.begin(dir, s)
			t.upgrade(true)
			s.u = unit{}
			return 0, true, nil
		}
		d.begin(dir, s)
		t.note(pgNoteEarly)
		return 0, false, nil
	}
	if b[0] == 'E' { // a server that knows no SSLRequest
		d.ssl = false
		return 0, false, nil
	}
	yes := b[0] == 'S' && !d.gss || b[0] == 'G' && d.gss
	if !yes && b[0] != 'N' {
		return 0, false, errPostgreSQL
	}
	d.begin(dir, s)
	d.ssl = false
	if yes {
		t.addString(pgSSL, "true")
	} else {
		t.addString(pgSSL, "false")
	}
	d.answered = s.u.tx
	if yes && !d.gss {
		if len(b) > 1 && b[1] != recordShake {
			t.note(pgNoteEarly)
		}
		t.upgrade(true)
		s.u = unit{}
		return 1, true, nil
	}
	t.flush(true, true)
	s.u = unit{}
	d.sealed = yes
	return 1, yes, nil
}

// begin takes a message of dir in hand if none is.
func (d *postgresql) begin(dir wire.Dir, s *pgSide) {
	if s.u.id != 0 {
		return
	}
	if d.asked == d.answered {
		d.asked++
	}
	d.lastID++
	s.u = unit{id: d.lastID, tx: d.answered + 1}
	if dir == wire.ToServer {
		s.u.tx = d.asked
	}
}

// ask takes a request in hand, which begins an exchange if none is begun by this message.
func (d *postgresql) ask(s *pgSide) {
	if s.u.id == 0 {
		d.asked++
		d.lastID++
		s.u = unit{id: d.lastID, tx: d.asked}
	}
}

// end ends the message in hand; tx says that its exchange is over.
func (d *postgresql) end(s *pgSide, t *teller, tx bool) {
	if s.copy.value != 0 {
		s.copy.more(t, nil, true)
		s.copy = pieces{}
	}
	t.flush(true, tx)
	s.u, s.rows = unit{}, 0
}

// message takes a message at the front of b, which is not empty: all of it, or the beginning of a large one.
func (d *postgresql) message(dir wire.Dir, s *pgSide, t *teller, b []byte) (n, need int, err error) {
	if b[0] == 0 && dir == wire.ToServer {
		return d.startup(s, t, b)
	}
	shape := pgFromClient[b[0]]
	if dir == wire.ToClient {
		shape = pgFromServer[b[0]]
	}
	if shape.max == 0 {
		return 0, 0, errPostgreSQL
	}
	if len(b) < 5 {
		return 0, 5 - len(b), nil
	}
	size := binary.BigEndian.Uint32(b[1:])
	if size < shape.min || size > shape.max {
		return 0, 0, errPostgreSQL
	}
	whole := int(size) + 1
	if b[0] == 'd' {
		d.copyData(dir, s, t, int64(size)-4)
		return 5, 0, nil
	}
	if want := min(whole, pgHold); whole > pgHold {
		if want = 5 + pgHead; len(b) < want {
			return 0, want - len(b), nil
		}
		return 5 + d.large(dir, s, t, b[0], b[5:want], int64(whole-5)), 0, nil
	}
	if len(b) < whole {
		return 0, whole - len(b), nil
	}
	if dir == wire.ToServer {
		d.request(s, t, b[0], b[5:whole])
	} else {
		d.answer(s, t, b[0], b[5:whole])
	}
	if len(t.text) > maxScratch {
		t.flush(false, false)
	}
	return whole, 0, nil
}

// startup takes a message without a type.
func (d *postgresql) startup(s *pgSide, t *teller, b []byte) (n, need int, err error) {
	if len(b) < 8 {
		return 0, 8 - len(b), nil
	}
	c := wire.Cut(b)
	size, code := int(c.U32()), c.U32()
	if size < 8 || size > pgMaxStartup {
		return 0, 0, errPostgreSQL
	}
	if len(b) < size {
		return 0, size - len(b), nil
	}
	body := b[8:size]
	d.ask(s)
	switch {
	case code == pgSSLRequest:
		d.ssl, d.gss = true, false
		t.addString(pgMessage, "ssl_request")
		d.end(s, t, false)
	case code == pgGSSRequest:
		d.ssl, d.gss = true, true
		t.addString(pgMessage, "gss_request")
		d.end(s, t, false)
	case code == pgCancel:
		t.addString(pgMessage, "cancel_request")
		d.answered = s.u.tx
		d.end(s, t, true)
	case code>>16 == 3:
		if t.wants(pgVersion) {
			t.add(pgVersion, t.write(func(b []byte) []byte { return append(b, '3', '.', '0'+byte(code&0xf)) }))
		}
		d.parameters(t, body)
		d.end(s, t, false)
	default:
		return 0, 0, errPostgreSQL
	}
	return size, 0, nil
}

// parameters tells the parameters of a StartupMessage.
func (d *postgresql) parameters(t *teller, b []byte) {
	for len(b) > 1 {
		all := b
		key, rest, ok := cString(b)
		value, rest, ok2 := cString(rest)
		if !ok || !ok2 || len(key) == 0 {
			t.add(pgOther, b)
			return
		}
		b = rest
		switch string(key) {
		case "user":
			t.add(pgUser, value)
		case "database":
			t.add(pgDatabase, value)
		case "application_name":
			t.add(pgApplication, value)
		default:
			t.add(pgStartup, all[:len(key)+1+len(value)])
		}
	}
}

// Gap implements Dissector: it goes on if what was lost lies within a value or a message whose end is known.
func (d *postgresql) Gap(dir wire.Dir, n int, emit func(*Message)) bool {
	s := &d.side[d.roles.is(dir)]
	if d.sealed {
		return true
	}
	if int64(n) > s.left {
		return false
	}
	switch {
	case s.mode == pgModeRow && int64(n) <= s.col:
		s.col -= int64(n)
		s.row.off += int64(n)
	case s.mode != pgModeRow && s.value.lost(n):
		s.copy.off += int64(n)
	default:
		return false // columns are not to be told apart any more
	}
	s.left -= int64(n)
	return true
}

// Close implements Dissector.
func (d *postgresql) Close(dir wire.Dir, emit func(*Message)) {
	role := d.roles.is(dir)
	s := &d.side[role]
	if s.u.id != 0 {
		t := d.env.teller(d.p, dir, &s.u, emit)
		if role == wire.ToClient {
			d.answered = s.u.tx
		}
		d.end(s, t, role == wire.ToClient)
	}
}
