package dissect

import (
	"encoding/binary"
	"math"
	"net/netip"
	"strconv"
	"time"

	"weir/wire"
)

// from the specification: native_protocol_v5.spec, sections 4.2.5.2 and 6
const (
	cqlRows       = 2 // kind of a result
	cqlOneTable   = 1 // flags of rows
	cqlMorePages  = 2
	cqlNoMetadata = 4
	cqlChanged    = 8

	cqlCustom    = 0x00
	cqlBigint    = 0x02
	cqlBoolean   = 0x04
	cqlCounter   = 0x05
	cqlDecimal   = 0x06
	cqlDouble    = 0x07
	cqlFloat     = 0x08
	cqlInt       = 0x09
	cqlTimestamp = 0x0b
	cqlUUID      = 0x0c
	cqlVarint    = 0x0e
	cqlTimeUUID  = 0x0f
	cqlInet      = 0x10
	cqlSmallint  = 0x13
	cqlTinyint   = 0x14
	cqlList      = 0x20
	cqlMap       = 0x21
	cqlSet       = 0x22
	cqlUDT       = 0x30
	cqlTuple     = 0x31
)

// ours
const (
	cqlMaxColumns = 256
	cqlMaxNesting = 8      // types in each other
	cqlUnknown    = 0xffff // the type of a column whose metadata was left out
)

// cqlResultRows tells the rows of a result: of what is there at its front. It returns how many bytes that was; what follows is told as it came.
func cqlResultRows(t *teller, b []byte) int {
	c := wire.Cut(b)
	kind, flags, columns := c.U32(), c.U32(), int(c.U32())
	if c.Short() || kind != cqlRows || columns < 1 || columns > cqlMaxColumns {
		return 0
	}
	if flags&cqlMorePages != 0 {
		cqlBytes(&c)
	}
	if flags&cqlChanged != 0 {
		c.Skip(int(c.U16()))
	}
	var types [cqlMaxColumns]uint16
	var names [cqlMaxColumns][]byte
	if flags&cqlNoMetadata != 0 {
		for i := range columns {
			types[i] = cqlUnknown
		}
	} else {
		if flags&cqlOneTable != 0 {
			c.Skip(int(c.U16()))
			c.Skip(int(c.U16()))
		}
		for i := range columns {
			if flags&cqlOneTable == 0 {
				c.Skip(int(c.U16()))
				c.Skip(int(c.U16()))
			}
			names[i] = c.Bytes(int(c.U16()))
			types[i] = cqlType(&c, cqlMaxNesting)
		}
	}
	rows := int32(c.U32())
	if c.Short() || rows < 0 {
		return 0
	}
	t.add(cqlData, b[:len(b)-c.Len()])
	for _, name := range names[:columns] {
		if name != nil {
			t.add(cqlColumn, name)
		}
	}
	for ; rows > 0 && c.Len() > 0; rows-- {
		row := c
		for range columns {
			cqlBytes(&c)
		}
		if c.Short() {
			return len(b) - row.Len()
		}
		if t.wants(cqlRow) {
			t.add(cqlRow, t.write(func(to []byte) []byte {
				for i := range columns {
					if i > 0 {
						to = append(to, '\t')
					}
					to = cqlCell(to, types[i], cqlBytes(&row))
				}
				return to
			}))
		}
		if len(t.text) > maxScratch {
			t.flush(false, false)
		}
	}
	return len(b) - c.Len()
}

// cqlBytes reads bytes that may be null.
func cqlBytes(c *wire.Cursor) []byte {
	if n := int32(c.U32()); n > 0 {
		return c.Bytes(int(n))
	}
	return nil
}

// cqlType reads a type, and passes over those that it is made of.
func cqlType(c *wire.Cursor, left int) uint16 {
	id := c.U16()
	if left == 0 {
		c.Skip(-1)
	}
	switch {
	case c.Short():
	case id == cqlCustom:
		c.Skip(int(c.U16()))
	case id == cqlList, id == cqlSet:
		cqlType(c, left-1)
	case id == cqlMap:
		cqlType(c, left-1)
		cqlType(c, left-1)
	case id == cqlUDT:
		c.Skip(int(c.U16()))
		c.Skip(int(c.U16()))
		for n := c.U16(); n > 0 && !c.Short(); n-- {
			c.Skip(int(c.U16()))
			cqlType(c, left-1)
		}
	case id == cqlTuple:
		for n := c.U16(); n > 0 && !c.Short(); n-- {
			cqlType(c, left-1)
		}
	}
	return id
}

// cqlCell appends a value as text: numbers and the like; what is text, or made of others, as it came.
func cqlCell(to []byte, typ uint16, v []byte) []byte {
	be := binary.BigEndian
	switch n := len(v); {
	case typ == cqlUnknown && (n == 4 || n == 8) && v[0] == 0: // no text begins so
		return appendSigned(to, v)
	case (typ == cqlBigint || typ == cqlCounter || typ == cqlInt || typ == cqlSmallint || typ == cqlTinyint || typ == cqlVarint) && n > 0 && n <= 8:
		return appendSigned(to, v)
	case typ == cqlBoolean && n == 1:
		return strconv.AppendBool(to, v[0] != 0)
	case typ == cqlDecimal && n > 4 && n <= 12:
		return appendScaled(to, signed(v[4:]), int(int32(be.Uint32(v))))
	case typ == cqlDouble && n == 8:
		return strconv.AppendFloat(to, math.Float64frombits(be.Uint64(v)), 'f', -1, 64)
	case typ == cqlFloat && n == 4:
		return strconv.AppendFloat(to, float64(math.Float32frombits(be.Uint32(v))), 'f', -1, 32)
	case typ == cqlTimestamp && n == 8:
		if ms := signed(v); ms > -1<<46 && ms < 1<<46 {
			return time.UnixMilli(ms).UTC().AppendFormat(to, time.RFC3339)
		}
		return appendSigned(to, v)
	case (typ == cqlUUID || typ == cqlTimeUUID) && n == 16:
		return cqlAppendUUID(to, v)
	case typ == cqlInet && (n == 4 || n == 16):
		a, _ := netip.AddrFromSlice(v)
		return a.AppendTo(to)
	}
	return append(to, v...)
}

// signed reads a number of up to 8 bytes in two's complement.
func signed(v []byte) (n int64) {
	if len(v) > 0 && v[0]&0x80 != 0 {
		n = -1
	}
	for _, b := range v {
		n = n<<8 | int64(b)
	}
	return n
}

func appendSigned(to, v []byte) []byte { return strconv.AppendInt(to, signed(v), 10) }

// appendScaled appends n with its last digits behind a point.
func appendScaled(to []byte, n int64, digits int) []byte {
	at := len(to)
	to = strconv.AppendInt(to, n, 10)
	if n < 0 {
		at++
	}
	if digits <= 0 || digits > 40 {
		return to
	}
	for len(to)-at <= digits {
		to = append(to, 0)
		copy(to[at+1:], to[at:])
		to[at] = '0'
	}
	to = append(to, 0)
	point := len(to) - 1 - digits
	copy(to[point+1:], to[point:])
	to[point] = '.'
	return to
}

// cqlAppendUUID appends the 16 bytes of a UUID as it is written.
func cqlAppendUUID(to, v []byte) []byte {
	const digits = "0123456789abcdef"
	for i, b := range v {
		if i == 4 || i == 6 || i == 8 || i == 10 {
			to = append(to, '-')
		}
		to = append(to, digits[b>>4], digits[b&15])
	}
	return to
}
