package dissect

import (
	"bytes"

	"weir/wire"
)

// Finger is the Finger user information protocol.
var Finger = Protocol{
	Name:    "finger",
	About:   "Finger: RFC 1288. Flows are named by how servers answer.",
	Carrier: Stream,
	Ports:   []uint16{79},
	Probe:   probeFinger,
}

// probeFinger asks for an answer as BSD's finger gives it: a request alone may be anything.
func probeFinger(dir wire.Dir, head []byte) Guess {
	if dir == wire.ToServer {
		line, whole := firstLine(head)
		if !isText(line) || len(line) > 64 || whole && lineEnd(head) < len(head) {
			return No
		}
		return Maybe
	}
	if g := startsFold(head, "login: "); g != Yes {
		return g
	}
	line, whole := firstLine(head)
	switch {
	case !isText(line) || len(line) > maxGreeting:
		return No
	case bytes.Contains(line, []byte("Name: ")):
		return Yes
	case !whole:
		return Maybe
	}
	return No
}
