package dissect

import (
	"encoding/base64"
	"encoding/binary"
	"encoding/hex"
	"math"
	"strconv"
	"time"
)

// bsonLength returns the bytes that a value of a type takes at the front of b; -1 if there is no such type, or it does not fit.
func bsonLength(typ byte, b []byte) int {
	size := 0
	if len(b) >= 4 {
		size = int(int32(binary.LittleEndian.Uint32(b)))
	}
	switch typ {
	case 0x01, 0x09, 0x11, 0x12: // double, date, timestamp, 64 bits
		return 8
	case 0x02, 0x0d, 0x0e: // string, code, symbol
		if size >= 1 && len(b) >= 4 {
			return 4 + size
		}
	case 0x03, 0x04, 0x0f: // document, array, code with its scope
		if size >= 5 {
			return size
		}
	case 0x05: // binary
		if size >= 0 && len(b) >= 5 {
			return 5 + size
		}
	case 0x06, 0x0a, 0xff, 0x7f: // undefined, null, least and greatest key
		return 0
	case 0x07: // id
		return 12
	case 0x08: // bool
		return 1
	case 0x0b: // expression
		if _, rest, ok := cString(b); ok {
			if _, rest, ok = cString(rest); ok {
				return len(b) - len(rest)
			}
		}
	case 0x0c: // reference
		if size >= 1 && len(b) >= 4 {
			return 4 + size + 12
		}
	case 0x10: // 32 bits
		return 4
	case 0x13: // decimal
		return 16
	}
	return -1
}

// bsonText returns the text of a value that has one, nil if it has none. v fits its type.
func bsonText(typ byte, v []byte) []byte {
	switch typ {
	case 0x02, 0x0d, 0x0e:
		size := min(int(binary.LittleEndian.Uint32(v)), len(v)-4)
		return v[4 : 4+max(size-1, 0)]
	case 0x05:
		return v[5:]
	case 0x0b, 0x0c:
		return v
	}
	return nil
}

// bsonInt returns a number.
func bsonInt(typ byte, v []byte) int64 {
	switch typ {
	case 0x01:
		f := math.Float64frombits(binary.LittleEndian.Uint64(v))
		if f >= -1<<53 && f <= 1<<53 {
			return int64(f)
		}
	case 0x08:
		return int64(v[0])
	case 0x10:
		return int64(int32(binary.LittleEndian.Uint32(v)))
	case 0x12:
		return int64(binary.LittleEndian.Uint64(v))
	}
	return 0
}

// bsonAppend appends a value of fixed size as text.
func bsonAppend(to []byte, typ byte, v []byte) []byte {
	le := binary.LittleEndian
	switch typ {
	case 0x01:
		return strconv.AppendFloat(to, math.Float64frombits(le.Uint64(v)), 'g', -1, 64)
	case 0x07:
		return hex.AppendEncode(to, v)
	case 0x08:
		return strconv.AppendBool(to, v[0] != 0)
	case 0x09:
		ms := int64(le.Uint64(v))
		if ms > -1<<46 && ms < 1<<46 {
			return time.UnixMilli(ms).UTC().AppendFormat(to, time.RFC3339)
		}
		return strconv.AppendInt(to, ms, 10)
	case 0x10:
		return strconv.AppendInt(to, int64(int32(le.Uint32(v))), 10)
	case 0x11:
		return strconv.AppendUint(to, le.Uint64(v), 10)
	case 0x12:
		return strconv.AppendInt(to, int64(le.Uint64(v)), 10)
	case 0x13:
		return base64.StdEncoding.AppendEncode(to, v)
	case 0x0a:
		return append(to, "null"...)
	}
	return to
}
