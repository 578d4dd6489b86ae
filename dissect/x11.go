package dissect

import (
	"encoding/binary"

	"weir/wire"
)

// X11 is the X Window System protocol.
var X11 = Protocol{
	Name:    "x11",
	About:   "The X Window System protocol, version 11. Flows are named by how a connection is set up.",
	Carrier: Stream,
	Ports:   []uint16{6000, 6001, 6010, 6011},
	Probe:   probeX11,
}

// probeX11 recognises the setup of a connection: byte order, version, lengths.
func probeX11(dir wire.Dir, head []byte) Guess {
	if dir == wire.ToClient {
		return probeX11Answer(head)
	}
	if len(head) == 0 {
		return Maybe
	}
	var order binary.ByteOrder = binary.BigEndian
	switch head[0] {
	case 'l':
		order = binary.LittleEndian
	case 'B':
	default:
		return No
	}
	want := [12]byte{head[0]}
	order.PutUint16(want[2:], 11)
	for i, c := range head[:min(len(head), 12)] {
		if i != 1 && i < 6 && c != want[i] || i >= 10 && c != 0 {
			return No
		}
	}
	if len(head) < 12 {
		return Maybe
	}
	if n, d := order.Uint16(head[6:]), order.Uint16(head[8:]); n > 64 || d > 256 || (n == 0) != (d == 0) {
		return No
	}
	return Yes
}

// probeX11Answer recognises success or failure, the version, and a plausible length.
func probeX11Answer(head []byte) Guess {
	if len(head) < 8 {
		for i, c := range head {
			if i == 0 && c > 1 {
				return No
			}
		}
		return Maybe
	}
	if head[0] > 1 || head[0] == 1 && head[1] != 0 {
		return No
	}
	for _, order := range []binary.ByteOrder{binary.BigEndian, binary.LittleEndian} {
		words := int(order.Uint16(head[6:]))
		if order.Uint16(head[2:]) == 11 && order.Uint16(head[4:]) == 0 && words > 0 && (head[0] == 1 && words >= 8 || head[0] == 0 && words <= 64 && int(head[1]) <= 4*words) {
			return Yes
		}
	}
	return No
}
