package dissect

import (
	"weir/wire"
)

// from the specification
const (
	telnetSE   = 240 // ends a subnegotiation
	telnetSB   = 250 // begins one
	telnetWILL = 251
	telnetDONT = 254
	telnetIAC  = 255 // interpret as command
)

// probeTelnet recognises two commands about options in a row, or one with text behind it.
func probeTelnet(_ wire.Dir, head []byte) Guess {
	for n := 0; ; n++ {
		if n == 2 {
			return Yes
		}
		for i, c := range head[:min(len(head), 3)] {
			if i == 0 && c != telnetIAC || i == 1 && (c < telnetSB || c > telnetDONT) || i == 2 && c > 49 {
				return No
			}
		}
		if len(head) < 3 {
			return Maybe
		}
		if head[1] == telnetSB {
			if n == 0 {
				return No
			}
			return Yes
		}
		head = head[3:]
	}
}
