package dissect

import (
	"encoding/binary"

	"weir/wire"
)

// request tells a message of the client.
func (d *postgresql) request(s *pgSide, t *teller, typ byte, b []byte) {
	switch typ {
	case 'p', 'c', 'f':
		d.begin(wire.ToServer, s)
	default:
		d.ask(s)
	}
	switch typ {
	case 'Q':
		q, _, _ := cString(b)
		d.statement(t, q)
		d.end(s, t, false)
	case 'P':
		name, rest, _ := cString(b)
		d.name(t, name)
		q, _, _ := cString(rest)
		d.statement(t, q)
	case 'B':
		d.bind(t, b)
	case 'D', 'C':
		if len(b) > 1 {
			name, _, _ := cString(b[1:])
			d.name(t, name)
		}
	case 'E':
		name, _, _ := cString(b)
		d.name(t, name)
	case 'S':
		d.end(s, t, false)
	case 'H':
	case 'p':
		t.add(pgPassword, b)
		d.end(s, t, false)
	case 'c':
		t.addString(pgMessage, "copy_done")
		d.end(s, t, false)
	case 'f':
		t.addString(pgMessage, "copy_fail")
		t.add(pgOther, b)
		d.end(s, t, false)
	case 'X':
		t.addString(pgMessage, "terminate")
		d.end(s, t, true)
		if d.answered+1 == d.asked {
			d.answered = d.asked
		}
	default:
		t.add(pgOther, b)
		if typ == 'F' {
			d.end(s, t, false)
		}
	}
}

func (d *postgresql) statement(t *teller, q []byte) {
	t.add(pgQuery, q)
	sqlTell(t, q, false, pgVerb, pgTable)
}

func (d *postgresql) name(t *teller, name []byte) {
	if len(name) > 0 {
		t.add(pgName, name)
	}
}

// bind tells the values of a Bind message.
func (d *postgresql) bind(t *teller, b []byte) {
	n, ok := d.bindHead(t, b)
	if !ok {
		t.add(pgOther, b)
		return
	}
	c := wire.Cut(b[n:])
	for range c.U16() {
		size := int32(c.U32())
		if size < 0 {
			continue
		}
		rest := c.Rest()
		if v := c.Bytes(int(size)); !c.Short() {
			t.add(pgParameter, v)
		} else {
			t.add(pgParameter, rest)
			return
		}
	}
}

// bindHead tells the names in a Bind message. It returns the length of what stands before the number of values.
func (d *postgresql) bindHead(t *teller, b []byte) (n int, ok bool) {
	portal, rest, ok1 := cString(b)
	name, rest, ok2 := cString(rest)
	c := wire.Cut(rest)
	formats := int(c.U16())
	c.Skip(2 * formats)
	if !ok1 || !ok2 || c.Len() < 2 {
		return 0, false
	}
	d.name(t, portal)
	d.name(t, name)
	return len(b) - c.Len(), true
}

// answer tells a message of the server.
func (d *postgresql) answer(s *pgSide, t *teller, typ byte, b []byte) {
	idle := s.u.id == 0 && d.asked == d.answered
	d.begin(wire.ToClient, s)
	switch typ {
	case 'R':
		d.authentication(t, b)
	case 'S':
		key, rest, _ := cString(b)
		value, _, _ := cString(rest)
		t.add(pgSetting, b[:min(len(b), len(key)+1+len(value))])
		if string(key) == "server_version" {
			t.add(pgServer, value)
		}
	case 'Z':
		d.answered = s.u.tx
		d.end(s, t, true)
		return
	case 'T':
		s.rows = 0
		d.columns(t, b)
	case 'D':
		s.rows++
		if t.wants(pgRow) {
			pgJoin(t, b)
		}
	case 'C':
		tag, _, _ := cString(b)
		t.add(pgCommand, tag)
		if s.rows > 0 {
			t.number(pgRows, s.rows)
			s.rows = 0
		}
		d.copyEnd(s, t)
	case 'c':
		d.copyEnd(s, t)
	case 'E', 'N':
		d.failure(t, b)
	case 'A':
		if len(b) > 4 {
			t.add(pgNotify, b[4:len(b)-1])
		}
	case 'K', '1', '2', '3', 'n', 's', 'I', 't', 'G', 'H', 'W', 'v':
	default:
		t.add(pgOther, b)
	}
	if idle && (typ == 'N' || typ == 'A' || typ == 'S') { // nobody asked
		d.answered = s.u.tx
		d.end(s, t, true)
	}
}

var pgAuthNames = [...]string{0: "ok", 2: "kerberos5", 3: "cleartext", 5: "md5", 6: "scm", 7: "gss", 8: "gss", 9: "sspi", 12: "sasl_final"}

// authentication tells what the server asks for.
func (d *postgresql) authentication(t *teller, b []byte) {
	c := wire.Cut(b)
	switch kind := c.U32(); {
	case kind == 10: // SASL: a list of mechanisms
		for rest := c.Rest(); len(rest) > 1; {
			name, more, _ := cString(rest)
			if len(name) > 0 {
				t.add(pgAuth, name)
			}
			rest = more
		}
	case kind < uint32(len(pgAuthNames)) && pgAuthNames[kind] != "":
		t.addString(pgAuth, pgAuthNames[kind])
	}
}

// columns tells the names in a RowDescription.
func (d *postgresql) columns(t *teller, b []byte) {
	if len(b) < 2 || !t.wants(pgColumn) {
		return
	}
	n := binary.BigEndian.Uint16(b)
	for b = b[2:]; n > 0; n-- {
		name, rest, ok := cString(b)
		if !ok || len(rest) < 18 {
			return
		}
		t.add(pgColumn, name)
		b = rest[18:]
	}
}

// pgJoin tells the columns of a DataRow as one value.
func pgJoin(t *teller, b []byte) {
	t.add(pgRow, t.write(func(text []byte) []byte {
		c := wire.Cut(b)
		for i := range c.U16() {
			if i > 0 {
				text = append(text, '\t')
			}
			if n := int32(c.U32()); n > 0 {
				rest := c.Rest()
				if v := c.Bytes(int(n)); !c.Short() {
					text = append(text, v...)
				} else {
					text = append(text, rest...)
				}
			}
			if c.Short() {
				break
			}
		}
		return text
	}))
}

// failure tells an ErrorResponse or NoticeResponse.
func (d *postgresql) failure(t *teller, b []byte) {
	severity := false
	for len(b) > 1 {
		typ := b[0]
		v, rest, _ := cString(b[1:])
		b = rest
		switch typ {
		case 'V':
			t.add(pgSeverity, v)
			severity = true
		case 'S': // localized; servers before 9.6 have no other
			if !severity && len(v) > 0 && v[0] < 0x80 {
				t.add(pgSeverity, v)
			}
		case 'C':
			t.add(pgCode, v)
		case 'M':
			t.add(pgError, v)
		case 'F', 'L', 'R': // place in the server's source
		default:
			t.add(pgDetail, v)
		}
	}
}

// copyData takes n bytes of COPY data in hand.
func (d *postgresql) copyData(dir wire.Dir, s *pgSide, t *teller, n int64) {
	d.begin(dir, s)
	if s.copy.value == 0 && t.wants(pgCopy) {
		s.copy = pieces{field: pgCopy, value: t.value()}
	}
	s.left, s.mode = n, pgModeValue
	s.value = pieces{left: n}
}

func (d *postgresql) copyEnd(s *pgSide, t *teller) {
	if s.copy.value != 0 {
		s.copy.more(t, nil, true)
		s.copy = pieces{}
	}
}

// large begins a message that is told as it comes; b is its beginning, size its length. It returns how much of b was used.
func (d *postgresql) large(dir wire.Dir, s *pgSide, t *teller, typ byte, b []byte, size int64) int {
	if dir == wire.ToServer {
		d.ask(s)
	} else {
		d.begin(dir, s)
	}
	n, field := 0, pgOther
	s.mode = pgModeValue
	switch {
	case dir == wire.ToServer && typ == 'Q':
		field = pgQuery
		sqlTell(t, b, false, pgVerb, pgTable)
	case dir == wire.ToServer && typ == 'P':
		field = pgQuery
		name, rest, _ := cString(b)
		d.name(t, name)
		sqlTell(t, rest, false, pgVerb, pgTable)
		n = len(b) - len(rest)
	case dir == wire.ToServer && typ == 'B':
		if head, ok := d.bindHead(t, b); ok {
			s.cols = int(binary.BigEndian.Uint16(b[head:]))
			s.mode, n = pgModeValues, head+2
		}
	case dir == wire.ToClient && typ == 'D':
		s.rows++
		s.cols = int(binary.BigEndian.Uint16(b))
		s.mode, n = pgModeRow, 2
		s.col, s.row = 0, pieces{field: pgRow}
		if t.wants(pgRow) {
			s.row.value = t.value()
		}
	}
	s.left = size - int64(n)
	if s.value = (pieces{}); s.mode == pgModeValue {
		s.value = t.stream(field, s.left)
	}
	s.ends = dir == wire.ToServer && (typ == 'Q' || typ == 'F')
	return n
}

var tab = []byte("\t")

// rest takes what there is of a message in hand.
func (d *postgresql) rest(s *pgSide, t *teller, b []byte) (n, need int) {
	if int64(len(b)) > s.left {
		b = b[:s.left]
	}
	switch {
	case s.mode == pgModeRow && s.col > 0:
		n = int(min(s.col, int64(len(b))))
		s.col -= int64(n)
		s.row.more(t, b[:n], false)
	case s.mode == pgModeValue && s.copy.value != 0:
		n = len(b)
		s.copy.more(t, b, false)
		s.value.left -= int64(n)
	case s.mode == pgModeValue || s.value.left > 0:
		n = s.value.take(t, b)
	case s.cols == 0 || s.left < 4: // bytes behind the last column
		d.rowEnd(s, t)
		s.value = t.stream(pgOther, s.left)
		n = s.value.take(t, b)
	case len(b) < 4:
		return 0, 4 - len(b)
	default:
		n = 4
		size := min(max(int64(int32(binary.BigEndian.Uint32(b))), 0), s.left-4)
		s.cols--
		if s.mode == pgModeValues {
			s.value = t.stream(pgParameter, size)
		} else {
			s.col = size
			if s.row.off > 0 || s.row.left > 0 {
				s.row.more(t, tab, false)
			}
			s.row.left = 1 // a column has begun
		}
	}
	if s.left -= int64(n); s.left == 0 {
		d.rowEnd(s, t)
		if s.ends {
			s.ends = false
			d.end(s, t, false)
		}
	}
	return n, 0
}

// rowEnd ends the row in hand, if there is one.
func (d *postgresql) rowEnd(s *pgSide, t *teller) {
	if s.mode == pgModeRow {
		s.row.more(t, nil, true)
	}
	s.mode, s.row, s.value = pgModeValue, pieces{}, pieces{}
}
