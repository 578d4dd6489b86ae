package dissect

import (
	"encoding/binary"

	"weir/wire"
)

// from the specification
const (
	rpcHeader    = 16 // bytes of a header over TCP
	rpcHeaderUDP = 80 // bytes of a header over UDP
)

// probeDCERPC recognises a header of version 5.
func probeDCERPC(_ wire.Dir, head []byte) Guess {
	for i, c := range head[:min(len(head), 8)] {
		switch {
		case i == 0 && c != 5, i == 1 && c > 1, i == 2 && (c > 19 || c == 1 || c > 3 && c < 11), i == 4 && c != 0 && c != 0x10, i == 5 && c > 3, (i == 6 || i == 7) && c != 0:
			return No
		}
	}
	if len(head) < rpcHeader {
		return Maybe
	}
	n, auth := rpcOrder(head[4]).Uint16(head[8:]), rpcOrder(head[4]).Uint16(head[10:])
	if n < rpcHeader || auth > 0 && int(auth)+8+rpcHeader > int(n) {
		return No
	}
	return Yes
}

// rpcOrder returns the byte order that the first byte of a data representation tells.
func rpcOrder(drep byte) binary.ByteOrder {
	if drep&0x10 != 0 {
		return binary.LittleEndian
	}
	return binary.BigEndian
}

// probeDCERPCUDP recognises a header of version 4.
func probeDCERPCUDP(_ wire.Dir, head []byte) Guess {
	if len(head) < rpcHeaderUDP || head[0] != 4 || head[1] > 10 || head[3]&^1 != 0 || head[4] != 0 && head[4] != 0x10 || head[5] > 3 || head[6] != 0 {
		return No
	}
	order := rpcOrder(head[4])
	if int(order.Uint16(head[74:]))+rpcHeaderUDP > len(head) || order.Uint32(head[60:]) > 0xffff {
		return No
	}
	return Yes
}
