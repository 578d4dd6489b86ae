package dissect

import (
	"bytes"
	"encoding/base64"
	"encoding/binary"
	"encoding/hex"
	"math"
	"strconv"
	"time"
)

// mongoWalk tells documents.
type mongoWalk struct {
	t       *teller
	field   Field // of the documents
	top     bool  // the next document is the one that has the command
	command bool  // its first name is the command's
	secret  bool  // it authenticates
	text    pieces
}

// sections tells the sections of an OP_MSG.
func (x *mongoWalk) sections(b []byte) {
	x.top, x.command = true, x.field == mongoRequestDoc
	for len(b) > 0 {
		kind := b[0]
		b = b[1:]
		switch {
		case kind == 0:
			n := x.document(b)
			x.top = false
			b = b[n:]
		case kind == 1 && len(b) >= 4:
			size := int(binary.LittleEndian.Uint32(b))
			if size < 5 || size > len(b) {
				x.bad(b)
				return
			}
			x.top = false
			if _, rest, ok := cString(b[4:size]); ok {
				x.documents(rest)
			}
			b = b[size:]
		default:
			x.bad(b)
			return
		}
	}
}

// documents tells documents that follow each other.
func (x *mongoWalk) documents(b []byte) {
	for len(b) > 0 {
		b = b[x.document(b):]
	}
}

// rest tells bytes as they came.
func (x *mongoWalk) rest(b []byte) {
	if len(b) > 0 {
		x.t.add(mongoData, b)
	}
}

func (x *mongoWalk) bad(b []byte) {
	x.note(mongoNoteBSON)
	x.rest(b)
}

// note tells a violation once.
func (x *mongoWalk) note(n Note) {
	for _, have := range x.t.notes {
		if have.Code == n.Code {
			return
		}
	}
	x.t.note(n)
}

// namespace tells the database and collection of an older request.
func (x *mongoWalk) namespace(b []byte, query bool) {
	name, _, _ := cString(b)
	db, coll, _ := bytes.Cut(name, []byte("."))
	x.t.add(mongoDatabase, db)
	if x.command = query && string(coll) == "$cmd"; !x.command {
		if query {
			x.t.addString(mongoCommandName, "query")
		}
		x.t.add(mongoCollection, coll)
	}
}

// document tells the document at the front of b as one value. It returns its length, or all of b if it has none.
func (x *mongoWalk) document(b []byte) int {
	if len(b) < 5 {
		x.bad(b)
		return len(b)
	}
	size := int(binary.LittleEndian.Uint32(b))
	if size < 5 || size > len(b) {
		x.bad(b)
		return len(b)
	}
	if x.text = (pieces{}); x.t.wants(x.field) {
		x.text = pieces{field: x.field, value: x.t.value()}
	}
	x.elements(b[4:size], 0)
	x.t.joinEnd(&x.text)
	x.top = false
	return size
}

func (x *mongoWalk) put(b []byte)       { x.t.join(&x.text, b) }
func (x *mongoWalk) putString(s string) { x.t.joinString(&x.text, s) }

// elements tells what is in a document, behind its length.
func (x *mongoWalk) elements(b []byte, depth int) {
	for first := true; len(b) > 0 && b[0] != 0; first = false {
		typ := b[0]
		name, rest, ok := cString(b[1:])
		n := bsonLength(typ, rest)
		if !ok || n < 0 || n > len(rest) {
			x.note(mongoNoteBSON)
			x.put(b)
			return
		}
		v := rest[:n]
		b = rest[n:]
		if depth == 0 && x.top {
			x.known(first, typ, name, v)
		}
		x.put(name)
		x.putString(": ")
		if x.secret && depth == 0 && (string(name) == "payload" || string(name) == "pwd" || string(name) == "key") {
			x.t.add(mongoPassword, bsonText(typ, v))
			x.putString("- ")
			continue
		}
		x.value(typ, v, depth)
		x.putString(" ")
	}
	if len(b) != 1 { // no end, or something behind it
		x.note(mongoNoteBSON)
		x.put(b)
	}
}

// value tells the value of an element.
func (x *mongoWalk) value(typ byte, v []byte, depth int) {
	switch typ {
	case 0x03, 0x04: // document, array
		if depth+1 >= mongoDepth {
			x.note(mongoNoteDeep)
			x.put(v)
			return
		}
		x.putString("{")
		x.elements(v[4:], depth+1)
		x.putString("}")
	case 0x0f: // code with its scope
		x.put(v)
	default:
		if text := bsonText(typ, v); text != nil {
			x.put(text)
			return
		}
		var buf [64]byte
		x.put(bsonAppend(buf[:0], typ, v))
	}
}

// known tells what events and policy ask for, of an element of the document that has the command or its answer.
func (x *mongoWalk) known(first bool, typ byte, name, v []byte) {
	t := x.t
	text := bsonText(typ, v)
	if x.field == mongoReplyDoc {
		switch string(name) {
		case "ok":
			t.number(mongoOK, bsonInt(typ, v))
		case "code":
			t.number(mongoErrorCode, bsonInt(typ, v))
		case "errmsg", "$err":
			t.add(mongoError, text)
		}
		return
	}
	switch {
	case first && x.command:
		t.add(mongoCommandName, name)
		x.secret = string(name) == "saslStart" || string(name) == "saslContinue" || string(name) == "authenticate" || string(name) == "createUser"
		if typ == 0x02 && string(name) != "createUser" {
			t.add(mongoCollection, text)
		}
	case string(name) == "collection" && typ == 0x02: // getMore
		t.add(mongoCollection, text)
	case string(name) == "$db":
		t.add(mongoDatabase, text)
	case string(name) == "payload" && x.secret:
		if _, user, ok := bytes.Cut(text, []byte("n=")); ok {
			user, _, _ = bytes.Cut(user, []byte(","))
			t.add(mongoUser, user)
		}
	case string(name) == "client" && typ == 0x03:
		if i := bytes.Index(v, []byte("\x02name\x00")); i >= 0 && len(v) > i+10 {
			if n := bsonLength(0x02, v[i+6:]); n > 4 && i+6+n <= len(v) {
				t.add(mongoClient, bsonText(0x02, v[i+6:]))
			}
		}
	}
}

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
