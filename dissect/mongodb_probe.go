package dissect

import (
	"bytes"
	"encoding/binary"

	"weir/wire"
)

// probeMongoDB says Yes to a header whose operation has the shape that it says.
func probeMongoDB(_ wire.Dir, head []byte) Guess {
	if len(head) < 16 {
		if len(head) >= 4 {
			if n := binary.LittleEndian.Uint32(head); n < 16 || n > mongoMaxMessage {
				return No
			}
		}
		if len(head) >= 14 && mongoCode(head[12:14]) == 0 {
			return No
		}
		return Maybe
	}
	size := binary.LittleEndian.Uint32(head)
	if size < 21 || size > mongoMaxMessage || head[14] != 0 || head[15] != 0 {
		return No
	}
	body := head[16:min(len(head), int(size))]
	code := mongoCode(head[12:14])
	if code == 0 {
		return No
	}
	if len(body) < 9 {
		if uint32(len(head)) >= size {
			return No
		}
		return Maybe
	}
	flags := binary.LittleEndian.Uint32(body)
	switch code {
	case mongoMsg:
		if flags&0xfffc != 0 || flags&^0x1ffff != 0 || body[4] > 1 {
			return No
		}
		if n := binary.LittleEndian.Uint32(body[5:]); n < 4 || n > size-21 {
			return No
		}
		return Yes
	case mongoCompressed:
		if inner := binary.LittleEndian.Uint32(body); inner < 1 || inner > 2013 || body[8] > 3 || binary.LittleEndian.Uint32(body[4:]) > mongoMaxMessage {
			return No
		}
		return Yes
	case mongoReply:
		if flags > 15 || size < 36 {
			return No
		}
		if len(body) < 24 {
			return Maybe
		}
		if n := binary.LittleEndian.Uint32(body[20:]); n < 5 || n > size-36 {
			return No
		}
		return Yes
	case mongoCommand:
		name, _, ok := cString(body)
		return mongoNameGuess(name, ok)
	case mongoGetMore, mongoUpdate, mongoInsert, mongoDelete, mongoQuery:
		if flags > 0xff {
			return No
		}
		name, _, ok := cString(body[4:])
		if g := mongoNameGuess(name, ok); g != Yes {
			return g
		}
		if code == mongoQuery || bytes.IndexByte(name, '.') > 0 {
			return Yes
		}
	case mongoKill:
		if flags == 0 && (size-24)%8 == 0 {
			return Yes
		}
	}
	return No
}

// mongoNameGuess looks at the name of a namespace or database.
func mongoNameGuess(name []byte, whole bool) Guess {
	switch {
	case len(name) > mongoMaxName || !isText(name) || whole && len(name) == 0:
		return No
	case !whole:
		return Maybe
	}
	return Yes
}

// mongoCode returns the operation of a header, 0 if there is none like it.
func mongoCode(b []byte) uint16 {
	switch c := binary.LittleEndian.Uint16(b); c {
	case mongoReply, mongoUpdate, mongoInsert, mongoQuery, mongoGetMore, mongoDelete, mongoKill, mongoCommand, mongoCompressed, mongoMsg:
		return c
	}
	return 0
}
