package dissect

import (
	"bytes"
	"encoding/binary"

	"weir/wire"
)

// probePostgreSQL says Yes to what opens a connection, and to messages that can be nothing else where it began before.
func probePostgreSQL(dir wire.Dir, head []byte) Guess { return either(probePostgreSQLRole, dir, head) }

func probePostgreSQLRole(dir wire.Dir, head []byte) Guess {
	if dir == wire.ToServer {
		if g := probePostgreSQLStart(head); g != No {
			return g
		}
		return probePostgreSQLChain(head, pgFromClient)
	}
	if len(head) == 1 && (head[0] == 'S' || head[0] == 'N' || head[0] == 'G') {
		return Maybe // the answer to an SSLRequest
	}
	return probePostgreSQLChain(head, pgFromServer)
}

// probePostgreSQLStart knows the messages without a type: StartupMessage, SSLRequest, GSSENCRequest, CancelRequest.
func probePostgreSQLStart(head []byte) Guess {
	if len(head) < 4 {
		if g := starts(head, "\x00\x00\x00"); g == No || len(head) < 3 {
			return g
		}
		return Maybe
	}
	n := binary.BigEndian.Uint32(head)
	if n < 8 || n > pgMaxStartup {
		return No
	}
	if len(head) < 8 {
		for _, code := range [...]string{"\x04\xd2\x16\x2e", "\x04\xd2\x16\x2f", "\x04\xd2\x16\x30", "\x00\x03\x00"} {
			if starts(head[4:], code) != No {
				return Maybe
			}
		}
		return No
	}
	switch code := binary.BigEndian.Uint32(head[4:]); {
	case code == pgSSLRequest || code == pgGSSRequest:
		if n == 8 {
			return Yes
		}
	case code == pgCancel:
		if n >= 16 {
			return Yes
		}
	case code>>16 == 3 && code&0xffff < 16:
		key, rest, ok := cString(head[8:])
		if !ok {
			if len(key) <= pgMaxKey && isText(key) {
				return Maybe
			}
			return No
		}
		if len(key) > 0 && len(key) <= pgMaxKey && isText(key) && (len(rest) == 0 || rest[0] >= ' ' || rest[0] == 0) {
			return Yes
		}
	}
	return No
}

// probePostgreSQLChain says Yes to a statement, and to two messages one after the other.
func probePostgreSQLChain(head []byte, known *[256]pgShape) Guess {
	for n := 0; ; n++ {
		if len(head) == 0 {
			if n >= 2 {
				return Yes
			}
			return Maybe
		}
		shape := known[head[0]]
		if shape.max == 0 {
			return No
		}
		if len(head) < 5 {
			if n >= 2 {
				return Yes
			}
			if len(head) > 1 && head[1] >= 4 { // no length is that great
				return No
			}
			return Maybe
		}
		size := binary.BigEndian.Uint32(head[1:])
		if size < shape.min || size > shape.max || head[1] >= 4 {
			return No
		}
		body := head[5:min(len(head), int(size)+1)]
		switch head[0] {
		case 'Q', 'P':
			if known == pgFromClient {
				return pgStatementGuess(head[0], body)
			}
		case 'R':
			if len(body) >= 4 && binary.BigEndian.Uint32(body) > 13 {
				return No
			}
		case 'Z':
			if len(body) == 1 && bytes.IndexByte([]byte("ITE"), body[0]) < 0 {
				return No
			}
		case 'E':
			if known == pgFromServer && len(body) > 1 && body[0] != 'S' && body[0] != 'M' {
				return No
			}
		case 'C':
			if known == pgFromServer && len(body) > 0 && (body[0] < 'A' || body[0] > 'Z') {
				return No
			}
		}
		if len(head) < int(size)+1 {
			if n >= 2 {
				return Yes
			}
			return Maybe
		}
		if n >= 1 {
			return Yes
		}
		head = head[size+1:]
	}
}

// pgStatementGuess looks at the statement of a Query or Parse message.
func pgStatementGuess(typ byte, body []byte) Guess {
	if typ == 'P' {
		name, rest, ok := cString(body)
		if len(name) > pgMaxKey || !isText(name) {
			return No
		}
		if !ok {
			return Maybe
		}
		body = rest
	}
	return sqlBegins(body)
}

// pgShape is the range of lengths that a type of message has; max 0: there is no such type.
type pgShape struct{ min, max uint32 }

const pgAny = 1 << 30 // bytes of a message at most

var pgFromClient = &[256]pgShape{
	'Q': {5, pgAny}, 'P': {8, pgAny}, 'B': {12, pgAny}, 'E': {9, 1 << 16}, 'D': {6, 1 << 16}, 'C': {6, 1 << 16}, 'S': {4, 4}, 'H': {4, 4},
	'X': {4, 4}, 'F': {14, pgAny}, 'p': {5, 1 << 16}, 'd': {4, pgAny}, 'c': {4, 4}, 'f': {5, 1 << 16},
}

var pgFromServer = &[256]pgShape{
	'R': {8, 1 << 16}, 'K': {12, 300}, 'S': {6, 1 << 16}, 'Z': {5, 5}, 'T': {6, 1 << 20}, 'D': {6, pgAny}, 'C': {5, 1 << 10}, 'E': {5, 1 << 20},
	'N': {5, 1 << 20}, 'A': {10, 1 << 20}, '1': {4, 4}, '2': {4, 4}, '3': {4, 4}, 'n': {4, 4}, 's': {4, 4}, 'I': {4, 4}, 't': {6, 1 << 18},
	'G': {7, 1 << 13}, 'H': {7, 1 << 13}, 'W': {7, 1 << 13}, 'd': {4, pgAny}, 'c': {4, 4}, 'V': {8, pgAny}, 'v': {12, 1 << 16},
}
