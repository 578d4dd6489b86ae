package dissect

import (
	"encoding/binary"

	"weir/wire"
)

// from the specification
const (
	tpktHeader = 4    // bytes, RFC 1006
	cotpFixed  = 7    // bytes of a connection TPDU, its length included
	cotpCR     = 0xe0 // connection request, X.224
	cotpCC     = 0xd0 // connection confirm
)

// probeRDP recognises the connection request by its cookie or its negotiation, and the confirmation: what else is carried so has other
// parameters there.
func probeRDP(dir wire.Dir, head []byte) Guess {
	code := byte(cotpCR)
	if dir == wire.ToClient {
		code = cotpCC
	}
	for i, c := range head[:min(len(head), 6)] {
		if i == 0 && c != 3 || i == 1 && c != 0 || i == 4 && c < 6 || i == 5 && c != code {
			return No
		}
	}
	if len(head) < tpktHeader+cotpFixed {
		return Maybe
	}
	n, li := int(binary.BigEndian.Uint16(head[2:])), int(head[4])
	if n != tpktHeader+1+li || head[10] != 0 {
		return No
	}
	rest := head[tpktHeader+cotpFixed:]
	if n == tpktHeader+cotpFixed {
		return Yes
	}
	if len(rest) == 0 {
		return Maybe
	}
	switch rest[0] {
	case 1: // TYPE_RDP_NEG_REQ
		if dir == wire.ToClient || n != tpktHeader+cotpFixed+8 && n < tpktHeader+cotpFixed+16 {
			return No
		}
		return Yes
	case 2, 3: // TYPE_RDP_NEG_RSP, TYPE_RDP_NEG_FAILURE
		if dir == wire.ToClient && n == tpktHeader+cotpFixed+8 {
			return Yes
		}
		return No
	}
	if dir == wire.ToClient {
		return No
	}
	return startsFold(rest, "cookie: m", "cookie: msts=", "tsv://")
}

// probeRDPUDP recognises the datagram that opens a connection, which is padded, and its answer.
func probeRDPUDP(_ wire.Dir, head []byte) Guess {
	c := wire.Cut(head)
	ack, window, flags := c.U32(), c.U16(), c.U16()
	if c.Short() || len(head) < 1100 || flags&1 == 0 || window == 0 || ack != 0xffffffff && flags&4 == 0 || flags > 0x1fff {
		return No
	}
	c.Skip(4)
	up, down := c.U16(), c.U16()
	if up < 1132 || up > 1232 || down < 1132 || down > 1232 {
		return No
	}
	return Yes
}
