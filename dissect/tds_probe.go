package dissect

import (
	"encoding/binary"

	"weir/wire"
)

// probeTDS says Yes to PRELOGIN and LOGIN7 messages and, where a session began before, to batches and answers.
func probeTDS(dir wire.Dir, head []byte) Guess {
	switch head[0] {
	case tdsBatch, tdsRPC, tdsLogin, tdsPrelogin, tdsResponse, tdsOldLogin:
	default:
		return No
	}
	if len(head) > 1 && head[1] > 0x1f {
		return No
	}
	if len(head) < tdsHeader {
		return Maybe
	}
	size := int(binary.BigEndian.Uint16(head[2:]))
	if size < tdsHeader || size > tdsMaxPacket || head[7] != 0 {
		return No
	}
	body := head[tdsHeader:min(len(head), size)]
	whole := len(body) == size-tdsHeader
	least := 6
	if head[0] == tdsLogin || head[0] == tdsOldLogin {
		least = 16
	}
	if len(body) < least {
		if whole && (head[0] != tdsBatch || len(body) < 2) {
			return No
		}
		if !whole {
			return Maybe
		}
	}
	switch toServer := dir == wire.ToServer; {
	case head[0] == tdsPrelogin && toServer, head[0] == tdsResponse && !toServer && body[0] == 0:
		at := binary.BigEndian.Uint16(body[1:])
		if body[0] == 0 && at >= 6 && at < 100 && body[3] == 0 && body[4] == 6 { // VERSION is the first option
			return Yes
		}
	case head[0] == tdsLogin && toServer:
		if n := binary.LittleEndian.Uint32(body); n >= 36 && n < 1<<17 && (body[7] >= 0x70 && body[7] <= 0x74 || body[4] >= 0x70 && body[4] <= 0x74) {
			return Yes
		}
	case head[0] == tdsOldLogin && toServer && size == 512:
		if len(body) < 31 {
			return Maybe
		}
		if n := int(body[30]); n <= 30 && isText(body[:n]) {
			return Yes
		}
	case (head[0] == tdsBatch || head[0] == tdsRPC) && toServer:
		if head[0] == tdsRPC || len(body) >= 6 && binary.LittleEndian.Uint32(body) == 22 {
			if len(body) < 10 {
				return Maybe
			}
			if binary.LittleEndian.Uint32(body) == 22 && binary.LittleEndian.Uint32(body[4:]) == 18 && binary.LittleEndian.Uint16(body[8:]) == 2 { // ALL_HEADERS
				return Yes
			}
			return No
		}
		return tdsBatchGuess(body, whole)
	case head[0] == tdsResponse && !toServer:
		switch n := int(binary.LittleEndian.Uint16(body[1:])); body[0] {
		case tdsEnvChange, tdsError, tdsInfo, tdsLoginAck:
			if n > 4 && n < size {
				return Yes
			}
		case tdsColMetadata:
			if n > 0 && n < 1024 {
				return Yes
			}
		case tdsDone, tdsDoneProc, tdsDoneInProc:
			if whole && (len(body) == 9 || len(body) == 13) {
				return Yes
			}
		}
	}
	return No
}

// tdsBatchGuess looks at a batch without headers: a statement in UCS-2.
func tdsBatchGuess(body []byte, whole bool) Guess {
	var buf [64]byte
	n := 0
	for ; n < len(buf) && 2*n+1 < len(body); n++ {
		if body[2*n+1] != 0 {
			return No
		}
		buf[n] = body[2*n]
	}
	text := buf[:n]
	if whole && n < len(buf) {
		buf[n] = ' '
		text = buf[:n+1]
	}
	return sqlBegins(text)
}
