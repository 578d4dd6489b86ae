package dissect

import (
	"encoding/binary"

	"weir/wire"
)

// mysqlCommands are the names of commands.
var mysqlCommands = [...]string{
	0x01: "quit", "init_db", "query", "field_list", "create_db", "drop_db", "refresh", "shutdown", "statistics", "process_info", "connect",
	"process_kill", "debug", "ping", "time", "delayed_insert", "change_user", "binlog_dump", "table_dump", "connect_out", "register_slave",
	"stmt_prepare", "stmt_execute", "stmt_send_long_data", "stmt_close", "stmt_reset", "set_option", "stmt_fetch", "daemon", "binlog_dump_gtid",
	"reset_connection", "clone",
}

// request takes a packet of the client.
func (d *mysql) request(s *mysqlSide, t *teller, seq uint8, b []byte) (up bool, err error) {
	switch {
	case d.file:
		d.fileData(s, t, b)
		return false, nil
	case d.login:
		return d.loginPacket(s, t, seq, b), nil
	case d.lastTx == 0 && seq == 1 && len(b) >= 32: // the greeting was not seen
		d.lastTx++
		d.login = true
		d.flags = 1<<32 - 1
		d.ask(mysqlAsked{tx: d.lastTx, cmd: mysqlLogin})
		return d.loginPacket(s, t, seq, b), nil
	case len(b) == 0 || int(b[0]) >= len(mysqlCommands) || mysqlCommands[b[0]] == "" && b[0] != 0:
		return false, d.impossible(s, t)
	}
	cmd := b[0]
	d.lastTx++
	d.begin(s, d.lastTx)
	q := mysqlAsked{tx: d.lastTx, cmd: cmd}
	if cmd > 0 {
		t.addString(mysqlCommand, mysqlCommands[cmd])
	}
	b = b[1:]
	switch cmd {
	case mysqlQuery:
		b = d.queryAttributes(t, b)
		fallthrough
	case mysqlPrepare:
		t.add(mysqlText, b)
		sqlTell(t, b, true, mysqlVerb, mysqlTable)
		q.load = mysqlLoads(b)
	case mysqlInitDB, 0x05, 0x06: // create_db, drop_db
		t.add(mysqlDatabase, b)
	case mysqlExecute:
		d.execute(t, b)
	case mysqlLongData:
		if len(b) > 6 {
			t.number(mysqlStatement, int64(binary.LittleEndian.Uint32(b)))
			t.add(mysqlParameter, b[6:])
		}
	case mysqlClose, mysqlFetch, 0x1a: // stmt_reset
		if len(b) >= 4 {
			id := binary.LittleEndian.Uint32(b)
			t.number(mysqlStatement, int64(id))
			if cmd == mysqlClose {
				d.forget(id)
			}
		}
	case mysqlChangeUser:
		d.changeUser(t, b)
		d.login = true
		q.cmd = mysqlLogin
	default:
		if len(b) > 0 {
			t.add(mysqlOther, b)
		}
	}
	silent := cmd == mysqlQuit || cmd == mysqlClose || cmd == mysqlLongData
	d.end(s, t, silent)
	if !silent {
		d.ask(q)
	}
	return false, nil
}

// impossible notes a packet that cannot stand where it does.
func (d *mysql) impossible(s *mysqlSide, t *teller) error {
	if d.lastTx > 0 {
		d.begin(s, d.lastTx)
		t.note(mysqlNoteBad)
		d.end(s, t, false)
	}
	return errMySQL
}

// mysqlLoads reports whether a statement may send a file of the client's.
func mysqlLoads(b []byte) bool {
	s := sqlScan{b: b[:min(len(b), sqlMaxScan)], escape: true}
	for s.next() {
		if s.is("LOCAL") {
			return true
		}
	}
	return false
}

// queryAttributes tells the attributes in front of a query, and returns the query.
func (d *mysql) queryAttributes(t *teller, b []byte) []byte {
	if d.flags != 0 && d.flags&mysqlQueryAttrs == 0 {
		return b
	}
	if len(b) > 1 && b[0] == 0 && b[1] == 1 {
		return b[2:]
	}
	if d.flags == 0 || d.flags == 1<<32-1 {
		return b
	}
	c := wire.Cut(b)
	n, _ := mysqlInt(&c)
	mysqlInt(&c)
	rest := c
	if n == 0 || n > 1<<12 || !mysqlBound(t, &c, int(n), nil, true, mysqlAttribute) || c.Short() {
		return rest.Rest()
	}
	return c.Rest()
}

// loginPacket takes a packet of the client before its login is over.
func (d *mysql) loginPacket(s *mysqlSide, t *teller, seq uint8, b []byte) (up bool) {
	d.begin(s, d.asked().tx)
	if seq != 1 || len(b) < 5 {
		t.add(mysqlPassword, b)
		d.end(s, t, false)
		return false
	}
	c := wire.Cut(b)
	flags := uint32(mysqlUint(&c, 2))
	if flags&mysqlProtocol41 != 0 {
		flags |= uint32(mysqlUint(&c, 2)) << 16
		c.Skip(4 + 1 + 23)
	} else {
		c.Skip(3)
	}
	if d.flags &= flags; d.flags == 0 {
		d.flags = flags
	}
	if flags&mysqlTLS != 0 && len(b) <= 32 {
		t.addString(mysqlCommand, "ssl_request")
		t.upgrade(true)
		s.u = unit{}
		return true
	}
	t.addString(mysqlCommand, "login")
	d.loginFields(t, &c, flags)
	switch {
	case d.flags&mysqlCompress != 0:
		d.packTo = packZlib
	case d.flags&mysqlZstd != 0:
		d.packTo = packZstd
	}
	d.end(s, t, false)
	return false
}

// loginFields tells the login from the user on.
func (d *mysql) loginFields(t *teller, c *wire.Cursor, flags uint32) {
	t.add(mysqlUser, mysqlString(c))
	switch {
	case flags&mysqlLenencAuth != 0:
		d.password(t, mysqlBytes(c))
	case flags&mysqlSecure != 0:
		d.password(t, c.Bytes(int(c.U8())))
	default:
		d.password(t, mysqlString(c))
	}
	if flags&mysqlConnectDB != 0 && c.Len() > 0 {
		t.add(mysqlDatabase, mysqlString(c))
	}
	if flags&mysqlPluginAuth != 0 && c.Len() > 0 {
		t.add(mysqlPlugin, mysqlString(c))
	}
	if flags&mysqlConnectAttrs != 0 && c.Len() > 0 {
		list := wire.Cut(mysqlBytes(c))
		for range 64 {
			key, value := mysqlBytes(&list), mysqlBytes(&list)
			if list.Short() || len(key)+len(value) == 0 {
				break
			}
			t.add(mysqlAttribute, t.write(func(b []byte) []byte { return append(append(append(b, key...), '='), value...) }))
		}
	}
}

func (d *mysql) password(t *teller, b []byte) {
	if len(b) > 0 {
		t.add(mysqlPassword, b)
	}
}

// changeUser tells a COM_CHANGE_USER.
func (d *mysql) changeUser(t *teller, b []byte) {
	c := wire.Cut(b)
	t.add(mysqlUser, mysqlString(&c))
	d.password(t, c.Bytes(int(c.U8())))
	if db := mysqlString(&c); len(db) > 0 {
		t.add(mysqlDatabase, db)
	}
}

// execute tells the values for a prepared statement.
func (d *mysql) execute(t *teller, b []byte) {
	c := wire.Cut(b)
	id := uint32(mysqlUint(&c, 4))
	flags := c.U8()
	c.Skip(4) // iterations
	if c.Short() {
		return
	}
	t.number(mysqlStatement, int64(id))
	if c.Len() == 0 {
		return
	}
	named := d.flags&mysqlQueryAttrs != 0 && d.flags != 1<<32-1
	rest := c.Rest()
	st := d.statement(id)
	switch {
	case named && flags&8 != 0: // PARAMETER_COUNT_AVAILABLE
		if n, ok := mysqlInt(&c); ok && n < 1<<16 && (n == 0 || mysqlBound(t, &c, int(n), st, true, mysqlParameter)) {
			return
		}
	case st != nil:
		if st.params == 0 || mysqlBound(t, &c, int(st.params), st, false, mysqlParameter) {
			return
		}
	default:
		if n := mysqlGuess(rest); n > 0 && mysqlBound(t, &c, n, nil, false, mysqlParameter) {
			return
		}
	}
	t.add(mysqlParameter, rest)
}

// statement returns what is known of a prepared statement, nil if nothing is.
func (d *mysql) statement(id uint32) *mysqlStmt {
	for i := range d.stmts {
		if d.stmts[i].id == id {
			return &d.stmts[i]
		}
	}
	return nil
}

func (d *mysql) forget(id uint32) {
	for i := range d.stmts {
		if d.stmts[i].id == id {
			d.stmts = append(d.stmts[:i], d.stmts[i+1:]...)
			return
		}
	}
}

// fileData takes a packet of a file that the client sends; an empty one is its end.
func (d *mysql) fileData(s *mysqlSide, t *teller, b []byte) {
	d.begin(s, d.asked().tx)
	if s.value.value == 0 && t.wants(mysqlFile) {
		s.value = pieces{field: mysqlFile, value: t.value()}
	}
	s.value.more(t, b, len(b) == 0)
	if len(b) == 0 {
		s.value, d.file = pieces{}, false
		d.end(s, t, false)
	}
}
