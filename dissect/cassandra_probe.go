package dissect

import (
	"encoding/binary"

	"weir/wire"
)

// probeCassandra says Yes to the messages that open a connection, to statements, and to a whole frame that another one of the same version
// follows.
func probeCassandra(dir wire.Dir, head []byte) Guess {
	version := head[0] &^ cqlResponse
	if version < 3 || version > 6 || (head[0]&cqlResponse != 0) != (dir == wire.ToClient) || len(head) > 1 && head[1]&^0x1f != 0 {
		return No
	}
	if len(head) < cqlHeader {
		return Maybe
	}
	op, size := head[4], int64(binary.BigEndian.Uint32(head[5:]))
	if size > cqlMaxFrame || op > cqlOpLast || cqlFromServer(op) != (dir == wire.ToClient) {
		return No
	}
	body := head[cqlHeader:min(int64(len(head)), cqlHeader+size)]
	whole := int64(len(body)) == size
	plain := head[1]&(cqlFlagCompressed|cqlFlagTracing|cqlFlagWarning|cqlFlagPayload) == 0
	switch {
	case op == cqlOptions || op == cqlReady:
		if size == 0 {
			return Yes
		}
		return No
	case !plain:
	case op == cqlStartup || op == cqlSupported:
		if len(body) < 5 {
			if whole {
				return No
			}
			return Maybe
		}
		if n := binary.BigEndian.Uint16(body); n == 0 || n > 64 || !isText(body[4:5]) || body[2] != 0 || body[3] > 64 {
			return No
		}
		return Yes
	case op == cqlQuery || op == cqlPrepare:
		if len(body) < 4 {
			return Maybe
		}
		if n := int64(binary.BigEndian.Uint32(body)); n > size-4 {
			return No
		}
		return sqlBegins(body[4:])
	}
	switch {
	case !whole && int64(MaxProbe) < cqlHeader+size:
		return No
	case !whole || len(head) == cqlHeader+len(body):
		return Maybe
	case head[cqlHeader+len(body)] == head[0]:
		return Yes
	}
	return No
}

// cqlFromServer reports whether an operation is a server's.
func cqlFromServer(op uint8) bool {
	switch op {
	case cqlError, cqlReady, cqlAuthenticate, cqlSupported, cqlResult, cqlEvent, cqlAuthChallenge, cqlAuthSuccess:
		return true
	}
	return false
}

// probeCassandraNode knows what nodes say to each other first.
func probeCassandraNode(_ wire.Dir, head []byte) Guess { return starts(head, "\xca\x55\x2d\xfa") }
