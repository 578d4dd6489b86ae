package dissect

import (
	"encoding/binary"
	"iter"
	"unicode/utf8"
)

// protoValue is a field's value in a protobuf message: its bytes if it has a length, else a number.
type protoValue struct {
	bytes  []byte // not nil, if it has a length
	number uint64
}

// protoFields goes through the fields of a protobuf message, by number, as far as it is one: the encoding is that of protobuf.dev, wire types
// 0, 1, 2 and 5.
func protoFields(b []byte) iter.Seq2[uint32, protoValue] {
	return func(yield func(uint32, protoValue) bool) {
		for len(b) > 0 {
			field, v, n := protoNext(b)
			if n == 0 || !yield(field, v) {
				return
			}
			b = b[n:]
		}
	}
}

// protoNext reads the field at the front of b; n is 0 if there is none.
func protoNext(b []byte) (field uint32, v protoValue, n int) {
	tag, n := binary.Uvarint(b)
	if n <= 0 || tag>>3 == 0 || tag>>3 >= 1<<29 {
		return 0, v, 0
	}
	rest := b[n:]
	switch tag & 7 {
	case 0:
		x, m := binary.Uvarint(rest)
		if m <= 0 {
			return 0, v, 0
		}
		v.number = x
		n += m
	case 1:
		if len(rest) < 8 {
			return 0, v, 0
		}
		v.number = binary.LittleEndian.Uint64(rest)
		n += 8
	case 2:
		x, m := binary.Uvarint(rest)
		if m <= 0 || x > uint64(len(rest)-m) {
			return 0, v, 0
		}
		v.bytes = rest[m : m+int(x) : m+int(x)]
		n += m + int(x)
	case 5:
		if len(rest) < 4 {
			return 0, v, 0
		}
		v.number = uint64(binary.LittleEndian.Uint32(rest))
		n += 4
	default:
		return 0, v, 0
	}
	return uint32(tag >> 3), v, n
}

// ours
const (
	protoDepth = 8   // messages in one another that are looked into
	protoTexts = 256 // texts of a message that are told
)

// isProto reports whether all of b is a protobuf message.
func isProto(b []byte) bool {
	for len(b) > 0 {
		_, _, n := protoNext(b)
		if n == 0 {
			return false
		}
		b = b[n:]
	}
	return true
}

// protoText calls fn with every text in a protobuf message: what has a length, is valid UTF-8 without control characters, and is not more likely a
// message itself. It returns how many more may be told.
func protoText(b []byte, depth, left int, fn func([]byte)) int {
	for _, v := range protoFields(b) {
		switch {
		case left == 0:
			return 0
		case len(v.bytes) == 0:
		case plainText(v.bytes):
			fn(v.bytes)
			left--
		case depth > 0 && isProto(v.bytes):
			left = protoText(v.bytes, depth-1, left, fn)
		}
	}
	return left
}

// plainText reports whether b is text.
func plainText(b []byte) bool {
	for _, c := range b {
		if c < ' ' && c != '\n' && c != '\r' && c != '\t' || c == 0x7f {
			return false
		}
	}
	return utf8.Valid(b)
}
