package dissect

import (
	"encoding/binary"

	"weir/wire"
)

// OracleTNS is Oracle's Transparent Network Substrate.
var OracleTNS = Protocol{Name: "oracle-tns", About: "Oracle's Transparent Network Substrate.", Carrier: Stream, Ports: []uint16{1521, 1522, 1526, 1575}, Probe: probeOracleTNS}

// from what clients and servers say: there is no public specification
const (
	tnsHeader   = 8 // bytes
	tnsConnect  = 1
	tnsAccept   = 2
	tnsRefuse   = 4
	tnsRedirect = 5
	tnsData     = 6
	tnsResend   = 11
	tnsMarker   = 12
)

// probeOracleTNS says Yes to a CONNECT, and to a server's first answer.
func probeOracleTNS(dir wire.Dir, head []byte) Guess {
	if len(head) < 12 {
		if len(head) >= 5 && (head[2] != 0 || head[3] != 0 || (head[4] != tnsConnect) == (dir == wire.ToServer)) {
			return No
		}
		if dir == wire.ToClient && len(head) >= tnsHeader && string(head[:tnsHeader]) == "\x00\x08\x00\x00\x0b\x00\x00\x00" {
			return Yes
		}
		return Maybe
	}
	size := binary.BigEndian.Uint16(head)
	if head[2] != 0 || head[3] != 0 || head[6] != 0 || head[7] != 0 || size < tnsHeader {
		return No
	}
	version := binary.BigEndian.Uint16(head[8:])
	switch typ := head[4]; {
	case typ == tnsConnect && dir == wire.ToServer:
		if size >= 34 && version >= 300 && version <= 330 && binary.BigEndian.Uint16(head[10:]) <= version {
			return Yes
		}
	case typ == tnsAccept && dir == wire.ToClient:
		if size >= 24 && version >= 300 && version <= 330 {
			return Yes
		}
	case typ == tnsRefuse && dir == wire.ToClient, typ == tnsRedirect && dir == wire.ToClient:
		at := 10
		if typ == tnsRefuse {
			at = 12
		}
		if len(head) <= at {
			return Maybe
		}
		if head[at] == '(' {
			return Yes
		}
	case typ == tnsResend && dir == wire.ToClient:
		if size == tnsHeader {
			return Yes
		}
	}
	return No
}
