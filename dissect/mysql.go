package dissect

import (
	"errors"
	"slices"

	"weir/wire"
)

// MySQL is the client/server protocol of MySQL and MariaDB.
var MySQL = Protocol{
	Name: "mysql",
	About: "MySQL's and MariaDB's client/server protocol (MySQL documentation, \"Client/Server Protocol\"). An event for each exchange: the login, then " +
		"each command with what came of it. A session that goes on in TLS is `tls` from there on; the compressed protocol is decoded (zlib, zstd). A row is " +
		"one value, its columns separated by tabs; numbers and times of prepared statements are told as text.",
	Carrier: Stream,
	Ports:   []uint16{3306, 3307, 4000, 6033},
	Probe:   probeMySQL,
	Fields: []FieldSpec{
		mysqlText:      {Name: "mysql.query", Doc: "statement, to run or to prepare", EVE: "query", Privacy: Statement},
		mysqlVerb:      {Name: "mysql.verb", Doc: "its verb, upper case", EVE: "verb", Derived: true},
		mysqlTable:     {Name: "mysql.table", Doc: "tables that it names, as `schema.table`, a value for each", EVE: "tables[]", Derived: true},
		mysqlParameter: {Name: "mysql.parameter", Doc: "values for a prepared statement, a value for each"},
		mysqlCommand:   {Name: "mysql.command", Doc: "kind of the request, as `query`, `stmt_execute`, `login`", EVE: "command", Derived: true},
		mysqlStatement: {Name: "mysql.statement_id", Doc: "number of a prepared statement", EVE: "statement_id", Number: true, Derived: true},
		mysqlAttribute: {Name: "mysql.attribute", Doc: "attributes of the session or of a query, name and value with `=` between, a value for each"},
		mysqlUser:      {Name: "mysql.user", Doc: "user of the session", EVE: "user"},
		mysqlDatabase:  {Name: "mysql.database", Doc: "database that is chosen", EVE: "database"},
		mysqlPassword:  {Name: "mysql.password", Doc: "what the client proves its identity with", Privacy: Credential},
		mysqlPlugin:    {Name: "mysql.auth_plugin", Doc: "how it does that, as `caching_sha2_password`", EVE: "auth_plugin", Derived: true},
		mysqlVersion:   {Name: "mysql.server_version", Doc: "version of the server", EVE: "version"},
		mysqlColumn:    {Name: "mysql.column", Doc: "names of the result's columns, a value for each", Derived: true, Table: ColumnName},
		mysqlRow:       {Name: "mysql.row", Doc: "a row of the result, its columns separated by tabs", Table: RowOfCells},
		mysqlRows:      {Name: "mysql.rows", Doc: "number of rows in the result", EVE: "rows", Number: true, Derived: true},
		mysqlAffected:  {Name: "mysql.affected_rows", Doc: "number of rows that were changed", EVE: "affected_rows", Number: true, Derived: true},
		mysqlInfo:      {Name: "mysql.info", Doc: "what the server says of it"},
		mysqlErrorCode: {Name: "mysql.error_code", Doc: "number of an error", EVE: "error_code", Number: true, Derived: true},
		mysqlState:     {Name: "mysql.sqlstate", Doc: "its SQLSTATE", EVE: "sqlstate", Derived: true},
		mysqlError:     {Name: "mysql.error", Doc: "its text", EVE: "error"},
		mysqlFile:      {Name: "mysql.file", Doc: "content of a file that the client sends for LOAD DATA LOCAL"},
		mysqlFileName:  {Name: "mysql.file_name", Doc: "the file that the server asks for", EVE: "file_name"},
		mysqlOther:     {Name: "mysql.other", Doc: "arguments of other commands, and bytes that have no field of their own"},
	},
	New:    newMySQL,
	Resume: resumeMySQL,
}

// Fields of MySQL, in the order of MySQL.Fields.
const (
	mysqlText Field = iota
	mysqlVerb
	mysqlTable
	mysqlParameter
	mysqlCommand
	mysqlStatement
	mysqlAttribute
	mysqlUser
	mysqlDatabase
	mysqlPassword
	mysqlPlugin
	mysqlVersion
	mysqlColumn
	mysqlRow
	mysqlRows
	mysqlAffected
	mysqlInfo
	mysqlErrorCode
	mysqlState
	mysqlError
	mysqlFile
	mysqlFileName
	mysqlOther
)

// from the specification
const (
	mysqlConnectDB    = 0x8
	mysqlCompress     = 0x20
	mysqlProtocol41   = 0x200
	mysqlTLS          = 0x800
	mysqlSecure       = 0x8000 // CLIENT_SECURE_CONNECTION
	mysqlPluginAuth   = 1 << 19
	mysqlConnectAttrs = 1 << 20 // CLIENT_CONNECT_ATTRS
	mysqlLenencAuth   = 1 << 21
	mysqlOptional     = 1 << 25 // CLIENT_OPTIONAL_RESULTSET_METADATA
	mysqlZstd         = 1 << 26
	mysqlQueryAttrs   = 1 << 27

	mysqlMoreResults = 8 // in a status

	mysqlQuit       = 0x01
	mysqlInitDB     = 0x02
	mysqlQuery      = 0x03
	mysqlFieldList  = 0x04
	mysqlStatistics = 0x09
	mysqlProcesses  = 0x0a
	mysqlChangeUser = 0x11
	mysqlBinlog     = 0x12
	mysqlPrepare    = 0x16
	mysqlExecute    = 0x17
	mysqlLongData   = 0x18
	mysqlClose      = 0x19
	mysqlFetch      = 0x1c
	mysqlBinlogGTID = 0x1e
	mysqlLogin      = 0xff // ours: the login

	mysqlOK   = 0x00
	mysqlErr  = 0xff
	mysqlEOF  = 0xfe
	mysqlNull = 0xfb // in a row; in front of a file name where a result may begin

	mariaProgress = 0xffff // in place of an error's number

	mysqlMaxPacket = 1<<24 - 1 // bytes: what is as long goes on in the next one
)

// ours
const (
	mysqlMaxGreeting   = 1 << 10  // bytes of a server's first message
	mysqlMaxVersion    = 100      // bytes of a server's version
	mysqlHold          = 64 << 10 // bytes of a packet that are waited for; what is in a larger one is told as it comes
	mysqlHead          = 4 << 10  // bytes of a larger one that must be there first
	mysqlMaxColumns    = 4 << 10  // columns whose types are remembered; of rows with more the bytes are told
	mysqlMaxStatements = 32       // prepared statements whose parameters are known; of others they are guessed
	mysqlSize          = 512      // bytes that a mysql is counted for
)

var (
	errMySQL = errors.New("mysql: not a packet that belongs here")

	mysqlNoteInfile = Note{"mysql.unasked_file", true, "the server asks for a file of the client's, which no LOAD DATA LOCAL was to send"}
	mysqlNoteDenied = Note{"mysql.access_denied", false, "the server refused a login or a statement"}
	mysqlNoteBad    = Note{"mysql.impossible_packet", false, "a packet that cannot stand where it does"}
	mysqlNotePacked = Note{"mysql.undecodable", false, "compressed bytes that do not decode, or to more than they may: not inspected"}
)

// mysqlAsked is a command that waits for its answer.
type mysqlAsked struct {
	tx   uint64
	cmd  uint8
	load bool // its statement may send a file
}

// mysqlPlace is where in an answer a server is.
type mysqlPlace uint8

const (
	mysqlFirst   mysqlPlace = iota // the first packet of an answer, or of its next result
	mysqlColumns                   // definitions of columns or parameters
	mysqlRowsAt                    // rows
)

// mysqlMode is how a large packet is read.
type mysqlMode uint8

const (
	mysqlModeValue mysqlMode = iota // one value
	mysqlModeRow                    // a text row
	mysqlModeFile                   // a file that the client sends
	mysqlModeRaw                    // bytes of a file's packet that are part of mysqlSide.file
)

// mysqlSide is the state of one direction.
type mysqlSide struct {
	closed bool // nothing may be held any more
	u      unit
	left   int  // bytes of the packet in hand that are still to come
	more   bool // it goes on in the next packet
	mode   mysqlMode
	value  pieces // in hand
	col    int64  // bytes of the column in hand that are still to come
	begun  bool   // a column of the row in hand was told
	packed mysqlPacked
}

// mysqlStmt is a prepared statement.
type mysqlStmt struct {
	id     uint32
	params uint16
	types  []byte // two bytes for each parameter, as last bound
}

// mysql parses one flow.
type mysql struct {
	p       *Protocol
	env     *Env
	lastID  uint64
	lastTx  uint64
	roles   roles
	pending []mysqlAsked // oldest first
	side    [2]mysqlSide
	flags   uint32 // capabilities that both ends have; 0: the login was not seen
	login   bool   // between the greeting and its end
	pack    packing
	packTo  packing // what the login agreed on
	file    bool    // the client sends a file
	place   mysqlPlace
	defs    int   // definitions still to come
	rows    int64 // so far
	binary  bool  // rows are binary
	defined bool  // the definitions of a result have just come: an EOF may follow
	types   []byte
	stmts   []mysqlStmt
}

func newMySQL(p *Protocol, env *Env) Dissector { return &mysql{p: p, env: env} }

func resumeMySQL(p *Protocol, env *Env, r Rest) Dissector {
	return &mysql{p: p, env: env, lastID: r.ID, lastTx: r.Tx, flags: uint32(r.State), pack: packing(r.State >> 32 & 7),
		roles: roles{known: true, swapped: r.State>>35&1 != 0}}
}

// Rest implements Dissector: between two exchanges, where no prepared statement is known.
func (d *mysql) Rest() (Rest, bool) {
	for i := range d.side {
		if s := &d.side[i]; s.u.id != 0 || s.left > 0 || s.more || s.packed.open() {
			return Rest{}, false
		}
	}
	ok := len(d.pending) == 0 && len(d.stmts) == 0 && !d.login && !d.file && d.place == mysqlFirst && d.lastTx > 0
	return Rest{ID: d.lastID, Tx: d.lastTx, State: uint64(d.flags) | uint64(d.pack)<<32 | bit(d.roles.swapped)<<35}, ok
}

// Size implements Dissector.
func (d *mysql) Size() int {
	n := mysqlSize + cap(d.pending)*16 + cap(d.types)
	for i := range d.stmts {
		n += 40 + cap(d.stmts[i].types)
	}
	return n + cap(d.side[0].packed.held) + cap(d.side[1].packed.held)
}

// Feed implements Dissector.
func (d *mysql) Feed(dir wire.Dir, data []byte, emit func(*Message)) (pr Progress, err error) {
	role, wait := d.roles.of(probeMySQLRole, dir, data)
	if wait {
		return Progress{Need: 1}, nil
	}
	s := &d.side[role]
	t := d.env.teller(d.p, dir, &s.u, emit)
	dir = role
	if d.lastTx == 0 && d.pack == packNone && len(data) >= 12 && dir == wire.ToServer {
		if data[3] == 0 && mysqlLength(data[4:]) == 0 && mysqlLength(data[7:])+4 == mysqlLength(data) {
			d.pack = packZlib
		}
	}
	up := false
	if d.pack != packNone {
		pr.Used, pr.Need, pr.Passed, err = d.unpack(dir, t, data)
	} else {
		pr.Used, pr.Need, up, err = d.packets(dir, t, data)
	}
	if s.closed {
		s.packed.close(d.env)
	}
	if up {
		return pr, nil
	}
	t.flush(false, false)
	return pr, err
}

// packets takes packets from the front of b. up says that TLS follows.
func (d *mysql) packets(dir wire.Dir, t *teller, b []byte) (used, need int, up bool, err error) {
	s := &d.side[dir]
	for used < len(b) {
		c := b[used:]
		if s.left > 0 {
			n, need := d.value(s, t, c[:min(len(c), s.left)])
			used += n
			s.left -= n
			if need > 0 {
				return used, need, false, nil
			}
			if s.left == 0 && !s.more {
				d.valueEnd(dir, s, t)
			}
			continue
		}
		if len(c) < 4 {
			return used, 4 - len(c), false, nil
		}
		size, seq := mysqlLength(c), c[3]
		switch {
		case s.more: // a large message goes on
			s.left, s.more = size, size == mysqlMaxPacket
			if used += 4; size == 0 {
				d.valueEnd(dir, s, t)
			}
			continue
		case size > mysqlHold:
			if len(c) < 4+mysqlHead {
				return used, 4 + mysqlHead - len(c), false, nil
			}
			n := d.large(dir, s, t, c[4:4+mysqlHead], size)
			used += 4 + n
			s.left, s.more = size-n, size == mysqlMaxPacket
			continue
		case len(c) < 4+size:
			return used, 4 + size - len(c), false, nil
		}
		if up, err = d.packet(dir, s, t, seq, c[4:4+size]); err != nil {
			return used, 0, false, err
		}
		used += 4 + size
		if up {
			return used, 0, true, nil
		}
		if len(t.text) > maxScratch {
			t.flush(false, false)
		}
		if d.pack == packNone && d.packTo != packNone && !d.login { // the login is over
			d.pack, d.packTo = d.packTo, packNone
			if used < len(b) {
				t.flush(false, false)
				n, need, _, err := d.unpack(dir, t, b[used:])
				return used + n, need, false, err
			}
		}
	}
	return used, 0, false, nil
}

// packet takes a whole packet.
func (d *mysql) packet(dir wire.Dir, s *mysqlSide, t *teller, seq uint8, b []byte) (up bool, err error) {
	if dir == wire.ToServer {
		return d.request(s, t, seq, b)
	}
	return false, d.answer(s, t, seq, b)
}

// begin takes a message in hand if none is.
func (d *mysql) begin(s *mysqlSide, tx uint64) {
	if s.u.id == 0 {
		d.lastID++
		s.u = unit{id: d.lastID, tx: tx}
	}
}

// end ends the message in hand; tx says that its exchange is over.
func (d *mysql) end(s *mysqlSide, t *teller, tx bool) {
	t.flush(true, tx)
	s.u = unit{}
}

// ask notes a command that waits for its answer.
func (d *mysql) ask(q mysqlAsked) {
	if len(d.pending) >= d.env.Limits.Pending {
		d.pending = slices.Delete(d.pending, 0, 1)
	}
	d.pending = append(d.pending, q)
}

// asked returns the command that the server answers now.
func (d *mysql) asked() *mysqlAsked {
	if len(d.pending) == 0 {
		d.lastTx++
		d.pending = append(d.pending, mysqlAsked{tx: d.lastTx, cmd: mysqlQuery, load: true})
	}
	return &d.pending[0]
}

// answered ends the server's answer.
func (d *mysql) answered(s *mysqlSide, t *teller) {
	d.end(s, t, true)
	d.pending = slices.Delete(d.pending, 0, 1)
	d.place, d.rows, d.defs, d.login = mysqlFirst, 0, 0, false
}

// Gap implements Dissector: it goes on if what was lost lies within a value of a packet.
func (d *mysql) Gap(dir wire.Dir, n int, emit func(*Message)) bool {
	s := &d.side[d.roles.is(dir)]
	if d.pack != packNone || n >= s.left || s.mode == mysqlModeRow && int64(n) > s.col {
		return false
	}
	s.left -= n
	s.col = max(s.col-int64(n), 0)
	s.value.off += int64(n)
	return true
}

// Close implements Dissector.
func (d *mysql) Close(dir wire.Dir, emit func(*Message)) {
	role := d.roles.is(dir)
	s := &d.side[role]
	t := d.env.teller(d.p, dir, &s.u, emit)
	s.closed = true
	s.packed.close(d.env)
	if held := s.packed.held; len(held) > 0 { // an unfinished packet
		s.packed.held = nil
		d.begin(s, d.lastTx)
		t.add(mysqlOther, held)
	}
	if s.u.id != 0 {
		d.end(s, t, role == wire.ToClient)
	}
}
