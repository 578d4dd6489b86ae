package dissect

import (
	"bytes"
	"encoding/binary"

	"weir/wire"
)

// probeMySQL says Yes to a server's greeting and, where a session began before, to a statement.
func probeMySQL(dir wire.Dir, head []byte) Guess { return either(probeMySQLRole, dir, head) }

func probeMySQLRole(dir wire.Dir, head []byte) Guess {
	if len(head) < 4 {
		return Maybe
	}
	size, seq := mysqlLength(head), head[3]
	if size == 0 || size > mysqlMaxGreeting && dir == wire.ToClient {
		return No
	}
	body := head[4:min(len(head), 4+size)]
	if dir == wire.ToServer {
		return probeMySQLClient(size, seq, head, body)
	}
	if seq != 0 {
		return No
	}
	if len(body) == 0 {
		return Maybe
	}
	switch body[0] {
	case 9, 10:
		return probeMySQLGreeting(size, body)
	case 0xff: // "Host ... is not allowed to connect"
		if len(body) < 3 {
			return Maybe
		}
		if code := binary.LittleEndian.Uint16(body[1:]); code < 1000 || code >= 5000 || size < 8 || !isText(body[3:]) {
			return No
		}
		if len(body) == size {
			return Yes
		}
		return Maybe
	}
	return No
}

// probeMySQLGreeting knows the server's first message: a version, and what follows it.
func probeMySQLGreeting(size int, body []byte) Guess {
	if size < 15 {
		return No
	}
	version, rest, ok := cString(body[1:])
	if len(version) > mysqlMaxVersion || !isText(version) || len(version) > 0 && !isDigit(version[0]) || ok && bytes.IndexByte(version, '.') < 0 {
		return No
	}
	if !ok {
		if len(body) == size {
			return No
		}
		return Maybe
	}
	if len(rest) < 13 {
		if len(body) == size {
			return No
		}
		return Maybe
	}
	if body[0] == 10 && rest[12] != 0 { // filler behind the connection id and the first part of the challenge
		return No
	}
	return Yes
}

// probeMySQLClient knows a login, a statement, and a statement in the compressed protocol.
func probeMySQLClient(size int, seq uint8, head, body []byte) Guess {
	switch {
	case seq == 1 && size >= 32:
		if len(body) < 32 {
			return Maybe
		}
		flags := binary.LittleEndian.Uint32(body)
		if flags&mysqlProtocol41 != 0 && flags&mysqlSecure != 0 && [19]byte(body[9:28]) == [19]byte{} && binary.LittleEndian.Uint32(body[4:]) <= 1<<30 {
			return Yes
		}
		return No
	case seq != 0:
		return No
	case len(body) == 0:
		return Maybe
	case body[0] == mysqlQuery || body[0] == mysqlPrepare:
		return sqlBegins(mysqlAttributes(body[1:]))
	}
	if len(head) < 8 {
		return Maybe
	}
	if plain := mysqlLength(head[4:]); plain == 0 && size > 5 && mysqlLength(head[7:min(len(head), 11)])+4 == size { // compressed protocol, sent as it is
		if len(head) < 12 {
			return Maybe
		}
		if head[10] == 0 && (head[11] == mysqlQuery || head[11] == mysqlPrepare) {
			return sqlBegins(mysqlAttributes(head[12:]))
		}
	}
	return No
}

// mysqlAttributes returns what stands behind the number of a query's attributes, where it is 0.
func mysqlAttributes(b []byte) []byte {
	if len(b) > 1 && b[0] == 0 && b[1] == 1 {
		return b[2:]
	}
	if len(b) == 1 && b[0] == 0 {
		return nil
	}
	return b
}

// mysqlLength returns the length in front of a packet, 0 if there is none.
func mysqlLength(b []byte) int {
	if len(b) < 3 {
		return 0
	}
	return int(b[0]) | int(b[1])<<8 | int(b[2])<<16
}
