package dissect

import (
	"encoding/binary"
	"math"
	"strconv"

	"weir/wire"
)

// mysqlUint reads n bytes, little-endian.
func mysqlUint(c *wire.Cursor, n int) (v uint64) {
	for i, b := range c.Bytes(n) {
		v |= uint64(b) << (8 * i)
	}
	return v
}

// mysqlInt reads a length-encoded integer; ok is false if there is none.
func mysqlInt(c *wire.Cursor) (n uint64, ok bool) {
	switch b := c.U8(); b {
	case 0xfc:
		n = mysqlUint(c, 2)
	case 0xfd:
		n = mysqlUint(c, 3)
	case 0xfe:
		n = mysqlUint(c, 8)
	case mysqlNull, mysqlErr:
		return 0, false
	default:
		n = uint64(b)
	}
	return n, !c.Short()
}

// mysqlBytes reads a length-encoded string.
func mysqlBytes(c *wire.Cursor) []byte {
	n, ok := mysqlInt(c)
	if !ok || n > uint64(c.Len()) {
		c.Skip(c.Len() + 1)
		return nil
	}
	return c.Bytes(int(n))
}

// mysqlString reads a string up to a NUL, or to the end.
func mysqlString(c *wire.Cursor) []byte {
	s, rest, _ := cString(c.Rest())
	if c.Short() {
		return nil
	}
	*c = wire.Cut(rest)
	return s
}

// mysqlFixed returns the bytes of a value of a type in the binary protocol; -1: it is length-encoded, -2: it is a time with its length in
// front, -3: there is no such type.
func mysqlFixed(typ byte) int {
	switch typ {
	case 0x06: // NULL
		return 0
	case 0x01: // TINY
		return 1
	case 0x02, 0x0d: // SHORT, YEAR
		return 2
	case 0x03, 0x09, 0x04: // LONG, INT24, FLOAT
		return 4
	case 0x08, 0x05: // LONGLONG, DOUBLE
		return 8
	case 0x07, 0x0a, 0x0b, 0x0c: // TIMESTAMP, DATE, TIME, DATETIME
		return -2
	case 0x00, 0x0f, 0x10, 0xf2, 0xf5, 0xf6, 0xf7, 0xf8, 0xf9, 0xfa, 0xfb, 0xfc, 0xfd, 0xfe, 0xff: // DECIMAL, VARCHAR, BIT, VECTOR, JSON ... GEOMETRY
		return -1
	}
	return -3
}

// mysqlSkip passes over a value of a type.
func mysqlSkip(c *wire.Cursor, typ byte) bool {
	switch n := mysqlFixed(typ); n {
	case -1:
		mysqlBytes(c)
	case -2:
		c.Skip(int(c.U8()))
	case -3:
		return false
	default:
		c.Skip(n)
	}
	return !c.Short()
}

// mysqlAppend appends a value of a type as text.
func mysqlAppend(text []byte, c *wire.Cursor, typ byte, unsigned bool) []byte {
	n := mysqlFixed(typ)
	switch {
	case n == -1:
		return append(text, mysqlBytes(c)...)
	case n == -2:
		return mysqlTime(text, c.Bytes(int(c.U8())), typ == 0x0b)
	case n <= 0:
		return text
	}
	v := mysqlUint(c, n)
	switch {
	case typ == 0x04:
		return strconv.AppendFloat(text, float64(math.Float32frombits(uint32(v))), 'g', -1, 32)
	case typ == 0x05:
		return strconv.AppendFloat(text, math.Float64frombits(v), 'g', -1, 64)
	case unsigned:
		return strconv.AppendUint(text, v, 10)
	}
	shift := 64 - 8*n
	return strconv.AppendInt(text, int64(v<<shift)>>shift, 10)
}

// mysqlTime appends a date and time, as "2006-01-02 15:04:05", or a duration.
func mysqlTime(text, b []byte, duration bool) []byte {
	two := func(n byte, sep byte) {
		text = append(text, '0'+n/10%10, '0'+n%10)
		if sep != 0 {
			text = append(text, sep)
		}
	}
	switch {
	case duration && len(b) >= 8:
		text = strconv.AppendUint(text, uint64(binary.LittleEndian.Uint32(b[1:])), 10)
		text = append(text, ' ')
		two(b[5], ':')
		two(b[6], ':')
		two(b[7], 0)
	case !duration && len(b) >= 4:
		text = strconv.AppendUint(text, uint64(binary.LittleEndian.Uint16(b)), 10)
		text = append(text, '-')
		two(b[2], '-')
		if two(b[3], 0); len(b) >= 7 {
			text = append(text, ' ')
			two(b[4], ':')
			two(b[5], ':')
			two(b[6], 0)
		}
	}
	return text
}

// mysqlBinaryRow tells a row of the binary protocol.
func mysqlBinaryRow(t *teller, b, types []byte) {
	t.add(mysqlRow, t.write(func(text []byte) []byte {
		n := len(types) / 2
		c := wire.Cut(b)
		null := c.Bytes((n + 7 + 2) / 8)
		for i := range n {
			if i > 0 {
				text = append(text, '\t')
			}
			if c.Short() {
				return text
			}
			if null[(i+2)/8]>>((i+2)%8)&1 != 0 {
				continue
			}
			if mysqlFixed(types[2*i]) == -3 {
				return append(text, c.Rest()...)
			}
			text = mysqlAppend(text, &c, types[2*i], types[2*i+1]&0x80 != 0)
		}
		return append(text, c.Rest()...)
	}))
}

// mysqlBound tells n bound values. Their types stand in front of them, or are those that st had before; named ones have names. It reports
// false if they are not well formed: then nothing is told.
func mysqlBound(t *teller, c *wire.Cursor, n int, st *mysqlStmt, named bool, f Field) bool {
	null := c.Bytes((n + 7) / 8)
	bound := c.U8()
	if c.Short() || bound > 1 {
		return false
	}
	start := *c
	var known []byte
	if bound == 0 {
		if st == nil || len(st.types) != 2*n {
			return false
		}
		known = st.types
	} else {
		for range n { // to where the values begin
			c.Skip(2)
			if named {
				mysqlBytes(c)
			}
		}
	}
	check, walk := *c, start
	next := func(walk *wire.Cursor, i int) (typ, flags byte, name []byte) {
		if known != nil {
			return known[2*i], known[2*i+1], nil
		}
		if typ, flags = walk.U8(), walk.U8(); named {
			name = mysqlBytes(walk)
		}
		return typ, flags, name
	}
	for i := range n {
		if typ, _, _ := next(&walk, i); null[i/8]>>(i%8)&1 == 0 && !mysqlSkip(&check, typ) {
			return false
		}
	}
	if c.Short() || check.Short() {
		return false
	}
	if st != nil && bound == 1 && !named && n <= mysqlMaxColumns {
		st.types = append(st.types[:0], start.Rest()[:2*n]...)
	}
	walk = start
	for i := range n {
		typ, flags, name := next(&walk, i)
		if null[i/8]>>(i%8)&1 != 0 {
			continue
		}
		if mysqlFixed(typ) == -1 && f != mysqlAttribute {
			t.add(f, mysqlBytes(c))
			continue
		}
		t.add(f, t.write(func(b []byte) []byte {
			if f == mysqlAttribute {
				b = append(append(b, name...), '=')
			}
			return mysqlAppend(b, c, typ, flags&0x80 != 0)
		}))
	}
	return true
}

// mysqlGuess returns how many values are bound, where it is not known: the least number whose values fill all of b; 0 if there is none.
func mysqlGuess(b []byte) int {
	for n := 1; n <= 512; n++ {
		at := (n + 7) / 8
		if at+1+2*n > len(b) {
			return 0
		}
		if b[at] != 1 {
			continue
		}
		types := b[at+1:]
		c := wire.Cut(types[2*n:])
		ok := true
		for i := 0; i < n && ok; i++ {
			if ok = types[2*i+1]&0x7f == 0; ok && b[i/8]>>(i%8)&1 == 0 {
				ok = mysqlSkip(&c, types[2*i])
			}
		}
		if ok && !c.Short() && c.Len() == 0 {
			return n
		}
	}
	return 0
}

// large begins a packet that is told as it comes; b is its beginning. It returns how much of b was used.
func (d *mysql) large(dir wire.Dir, s *mysqlSide, t *teller, b []byte, size int) (n int) {
	s.mode = mysqlModeValue
	field := mysqlOther
	switch {
	case dir == wire.ToServer && d.file:
		d.begin(s, d.asked().tx)
		if s.value.value == 0 && t.wants(mysqlFile) {
			s.value = pieces{field: mysqlFile, value: t.value()}
		}
		s.mode = mysqlModeFile
		return 0
	case dir == wire.ToServer:
		d.lastTx++
		d.begin(s, d.lastTx)
		cmd := b[0]
		if int(cmd) < len(mysqlCommands) && mysqlCommands[cmd] != "" {
			t.addString(mysqlCommand, mysqlCommands[cmd])
		}
		n = 1
		q := mysqlAsked{tx: d.lastTx, cmd: cmd}
		switch cmd {
		case mysqlQuery, mysqlPrepare:
			text := b[1:]
			if cmd == mysqlQuery {
				text = d.queryAttributes(t, text)
			}
			n = len(b) - len(text)
			sqlTell(t, text, true, mysqlVerb, mysqlTable)
			field, q.load = mysqlText, mysqlLoads(text)
		case mysqlExecute:
			t.number(mysqlStatement, int64(binary.LittleEndian.Uint32(b[1:])))
			field, n = mysqlParameter, 10
		case mysqlLongData:
			t.number(mysqlStatement, int64(binary.LittleEndian.Uint32(b[1:])))
			field, n = mysqlParameter, 7
		}
		if cmd != mysqlLongData {
			d.ask(q)
		}
	default:
		d.begin(s, d.asked().tx)
		if d.place == mysqlRowsAt {
			d.rows++
			d.defined = false
			field = mysqlRow
			if !d.binary {
				s.mode, s.col, s.begun = mysqlModeRow, 0, false
			}
		}
	}
	s.value = pieces{field: field}
	if t.wants(field) {
		s.value.value = t.value()
	}
	return n
}

// value takes what there is of a large packet.
func (d *mysql) value(s *mysqlSide, t *teller, b []byte) (n, need int) {
	if s.mode != mysqlModeRow {
		s.value.more(t, b, false)
		return len(b), 0
	}
	if s.col > 0 {
		n = int(min(int64(len(b)), s.col))
		s.value.more(t, b[:n], false)
		s.col -= int64(n)
		return n, 0
	}
	c := wire.Cut(b)
	size, ok := mysqlInt(&c)
	if c.Short() {
		if len(b) < s.left {
			return 0, 1
		}
		s.value.more(t, b, false) // cut by the end of the packet: not told apart any more
		s.mode = mysqlModeValue
		return len(b), 0
	}
	if s.begun {
		s.value.more(t, tab, false)
	}
	s.begun = true
	if ok {
		s.col = int64(min(size, math.MaxInt64))
	}
	return len(b) - c.Len(), 0
}

// valueEnd ends a large packet.
func (d *mysql) valueEnd(dir wire.Dir, s *mysqlSide, t *teller) {
	if s.mode == mysqlModeFile {
		return // the file goes on
	}
	s.value.more(t, nil, true)
	s.value, s.mode = pieces{}, mysqlModeValue
	if dir == wire.ToServer {
		waits := len(d.pending) > 0 && d.pending[len(d.pending)-1].tx == s.u.tx
		d.end(s, t, !waits)
	}
}
