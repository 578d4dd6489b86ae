package dissect

import (
	"encoding/binary"

	"weir/wire"
)

// ADB is the Android Debug Bridge.
var ADB = Protocol{
	Name:    "adb",
	About:   "The Android Debug Bridge, between server and device and between client and server.",
	Carrier: Stream,
	Ports:   []uint16{5555, 5037},
	Probe:   probeADB,
}

// from the specification
const adbHeader = 24 // bytes of a message's header

var adbCommands = []string{"CNXN", "AUTH", "OPEN", "OKAY", "WRTE", "CLSE", "SYNC", "STLS"}

// probeADB recognises the header of a message, or a host's request behind its length in hex.
func probeADB(dir wire.Dir, head []byte) Guess {
	if g := probeADBHost(dir, head); g != No {
		return g
	}
	g := No
	for _, w := range adbCommands {
		if n := min(len(head), 4); string(head[:n]) == w[:n] {
			g = Maybe
		}
	}
	if g == No || len(head) < adbHeader {
		return g
	}
	if binary.LittleEndian.Uint32(head)^binary.LittleEndian.Uint32(head[20:]) != 0xffffffff {
		return No
	}
	return Yes
}

func probeADBHost(dir wire.Dir, head []byte) Guess {
	if dir == wire.ToClient {
		return No
	}
	for _, c := range head[:min(len(head), 4)] {
		if !isHex(lower(c)) {
			return No
		}
	}
	if len(head) <= 4 {
		return Maybe
	}
	return startsFold(head[4:], "host:", "host-serial:", "host-usb:", "host-local:")
}
