package dissect

import (
	"encoding/binary"

	"weir/wire"
)

// answer takes a packet of the server.
func (d *mysql) answer(s *mysqlSide, t *teller, seq uint8, b []byte) error {
	if len(b) == 0 {
		return nil
	}
	if seq == 0 && d.lastTx == 0 {
		return d.greeting(s, t, b)
	}
	if len(d.pending) == 0 && seq != 1 && b[0] == mysqlEOF && len(b) <= 5 {
		return nil // of definitions that are over
	}
	if b[0] == mysqlErr && len(b) >= 3 && binary.LittleEndian.Uint16(b[1:]) == mariaProgress {
		return nil // how far MariaDB is with what was asked: the answer is still to come
	}
	q := d.asked()
	d.begin(s, q.tx)
	switch {
	case b[0] == mysqlErr && len(b) >= 3:
		d.failure(t, b[1:])
		d.answered(s, t)
		return nil
	case q.cmd == mysqlLogin:
		return d.loginAnswer(s, t, b)
	case d.place == mysqlColumns:
		d.definition(s, t, b)
		return nil
	case d.place == mysqlRowsAt:
		d.row(s, t, b)
		return nil
	}
	return d.first(s, t, q, b)
}

// greeting takes the server's first packet.
func (d *mysql) greeting(s *mysqlSide, t *teller, b []byte) error {
	d.lastTx++
	d.begin(s, d.lastTx)
	d.ask(mysqlAsked{tx: d.lastTx, cmd: mysqlLogin})
	if b[0] == mysqlErr && len(b) >= 3 {
		d.failure(t, b[1:])
		d.answered(s, t)
		return nil
	}
	if b[0] != 9 && b[0] != 10 {
		return errMySQL
	}
	d.login = true
	c := wire.Cut(b[1:])
	t.add(mysqlVersion, mysqlString(&c))
	if b[0] == 9 {
		return nil
	}
	c.Skip(4 + 8 + 1)
	flags := uint32(mysqlUint(&c, 2))
	c.Skip(1 + 2)
	flags |= uint32(mysqlUint(&c, 2)) << 16
	n := int(c.U8())
	c.Skip(10 + max(13, n-8))
	if flags&mysqlPluginAuth != 0 && c.Len() > 0 {
		t.add(mysqlPlugin, mysqlString(&c))
	}
	d.flags = flags
	return nil
}

// loginAnswer takes what the server answers before a login is over.
func (d *mysql) loginAnswer(s *mysqlSide, t *teller, b []byte) error {
	switch b[0] {
	case mysqlOK:
		d.ok(t, b)
		d.answered(s, t)
	case mysqlEOF: // another plugin is to be used
		c := wire.Cut(b[1:])
		if c.Len() > 0 {
			t.add(mysqlPlugin, mysqlString(&c))
		}
	}
	return nil
}

// failure tells an ERR packet.
func (d *mysql) failure(t *teller, b []byte) {
	code := binary.LittleEndian.Uint16(b)
	t.number(mysqlErrorCode, int64(code))
	b = b[2:]
	if len(b) >= 6 && b[0] == '#' {
		t.add(mysqlState, b[1:6])
		b = b[6:]
	}
	t.add(mysqlError, b)
	switch code {
	case 1044, 1045, 1142, 1143, 1227, 1698: // access to a database, login, table, column, privilege; no password
		t.note(mysqlNoteDenied)
	}
}

// ok tells an OK packet. It reports whether another result follows.
func (d *mysql) ok(t *teller, b []byte) (more bool) {
	c := wire.Cut(b[1:])
	n, _ := mysqlInt(&c)
	mysqlInt(&c) // last id
	status := mysqlUint(&c, 2)
	c.Skip(2)
	if c.Short() {
		return false
	}
	if n > 0 {
		t.number(mysqlAffected, int64(n))
	}
	if c.Len() > 0 {
		t.add(mysqlInfo, c.Rest())
	}
	return status&mysqlMoreResults != 0
}

// first takes the first packet of a result.
func (d *mysql) first(s *mysqlSide, t *teller, q *mysqlAsked, b []byte) error {
	d.rows, d.binary = 0, q.cmd == mysqlExecute || q.cmd == mysqlFetch
	switch q.cmd {
	case mysqlStatistics:
		t.add(mysqlInfo, b)
		d.answered(s, t)
		return nil
	case mysqlPrepare:
		if b[0] == mysqlOK && len(b) >= 9 {
			d.prepared(s, t, b)
			return nil
		}
	case mysqlFieldList:
		d.place, d.defs = mysqlColumns, 1<<30 // up to EOF
		d.definition(s, t, b)
		return nil
	case mysqlFetch:
		d.place = mysqlRowsAt
		d.row(s, t, b)
		return nil
	case mysqlBinlog, mysqlBinlogGTID:
		if b[0] == mysqlOK { // events without end
			t.add(mysqlOther, b[1:])
			t.flush(false, false)
			return nil
		}
	}
	switch b[0] {
	case mysqlOK:
		if !d.ok(t, b) {
			d.answered(s, t)
		}
		return nil
	case mysqlEOF:
		if len(b) <= 5 {
			d.answered(s, t)
			return nil
		}
	case mysqlNull:
		t.add(mysqlFileName, b[1:])
		if !q.load {
			t.note(mysqlNoteInfile)
		}
		d.file = true
		return nil
	}
	c := wire.Cut(b)
	skip := false
	if d.flags&mysqlOptional != 0 && d.flags != 1<<32-1 && d.flags>>31 == 0 && len(b) > 1 {
		skip = c.U8() == 0
	}
	n, ok := mysqlInt(&c)
	if c.Len() == 1 { // MariaDB: whether definitions follow
		skip = c.U8() == 0
	}
	if !ok || c.Len() > 0 || n == 0 || n > 1<<16 {
		return d.impossible(s, t)
	}
	d.place, d.defs, d.types = mysqlColumns, int(n), d.types[:0]
	if skip {
		d.place = mysqlRowsAt
	}
	d.defined = true
	return nil
}

// prepared takes the first packet of the answer to COM_STMT_PREPARE.
func (d *mysql) prepared(s *mysqlSide, t *teller, b []byte) {
	c := wire.Cut(b[1:])
	id, cols, params := uint32(mysqlUint(&c, 4)), int(mysqlUint(&c, 2)), int(mysqlUint(&c, 2))
	t.number(mysqlStatement, int64(id))
	d.forget(id)
	if len(d.stmts) >= mysqlMaxStatements {
		d.stmts = append(d.stmts[:0], d.stmts[1:]...)
	}
	d.stmts = append(d.stmts, mysqlStmt{id: id, params: uint16(params)})
	if d.defs = cols + params; d.defs == 0 {
		d.answered(s, t)
		return
	}
	d.place = mysqlColumns
}

// definition takes the definition of a column or parameter.
func (d *mysql) definition(s *mysqlSide, t *teller, b []byte) {
	if b[0] == mysqlEOF && len(b) <= 5 { // between those of parameters and columns, or behind a list of fields
		if d.asked().cmd == mysqlFieldList {
			d.answered(s, t)
		}
		return
	}
	c := wire.Cut(b)
	for range 4 { // catalog, schema, table, original table
		mysqlBytes(&c)
	}
	name := mysqlBytes(&c)
	mysqlBytes(&c) // original name
	if c.U8() == 0x0c {
		c.Skip(2 + 4)
	} else {
		c = wire.Cursor{} // MariaDB's extended metadata, or protocol 3.20
	}
	typ := c.U8()
	flags := mysqlUint(&c, 2)
	if len(name) > 0 && d.asked().cmd != mysqlPrepare {
		t.add(mysqlColumn, name)
	}
	if len(d.types) < 2*mysqlMaxColumns {
		d.types = append(d.types, typ, byte(flags>>5&1)<<7)
	}
	if d.defs--; d.defs > 0 {
		return
	}
	if d.asked().cmd == mysqlPrepare {
		d.answered(s, t)
		return
	}
	d.place, d.defined = mysqlRowsAt, true
}

// row takes a row, or what follows the last.
func (d *mysql) row(s *mysqlSide, t *teller, b []byte) {
	if b[0] == mysqlEOF {
		first := d.defined && len(b) == 5
		d.defined = false
		if first && binary.LittleEndian.Uint16(b[3:])&0x40 == 0 { // the definitions' end; with a cursor, rows come when they are fetched
			return
		}
		more := false
		if len(b) <= 5 {
			more = len(b) == 5 && binary.LittleEndian.Uint16(b[3:])&mysqlMoreResults != 0
		} else {
			more = d.ok(t, b)
		}
		t.number(mysqlRows, d.rows)
		if d.place, d.rows = mysqlFirst, 0; !more {
			d.answered(s, t)
		}
		return
	}
	d.defined = false
	d.rows++
	if !t.wants(mysqlRow) {
		return
	}
	if d.binary {
		if n := len(d.types) / 2; b[0] == mysqlOK && n > 0 && n < mysqlMaxColumns {
			mysqlBinaryRow(t, b[1:], d.types)
		} else {
			t.add(mysqlRow, b)
		}
		return
	}
	t.add(mysqlRow, t.write(func(text []byte) []byte {
		c := wire.Cut(b)
		for i := 0; c.Len() > 0; i++ {
			if i > 0 {
				text = append(text, '\t')
			}
			if c.Rest()[0] == mysqlNull {
				c.Skip(1)
				continue
			}
			rest := c.Rest()
			if v := mysqlBytes(&c); !c.Short() {
				text = append(text, v...)
			} else {
				text = append(text, rest...)
			}
		}
		return text
	}))
}
