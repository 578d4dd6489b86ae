package dissect

import (
	"bytes"

	"weir/wire"
)

// Commands that tell a client of POP3, and those that others have too.
var (
	popMine   = []string{"capa", "apop ", "stls", "uidl", "uidl ", "retr 1", "top 1 ", "list 1", "dele 1", "xtnd "}
	popShared = []string{"user ", "pass ", "auth", "auth ", "stat", "list", "noop", "quit"}
)

// probePOP3 knows a server by its positive answer with a text behind it: Redis, which has the same word, has none.
func probePOP3(dir wire.Dir, head []byte) Guess {
	if dir == wire.ToServer {
		return commands(head, popMine, popShared)
	}
	const ok = "+OK"
	n := min(len(head), len(ok))
	switch {
	case string(head[:n]) != ok[:n]:
		return No
	case n < len(ok) || len(head) == n:
		return Maybe
	}
	for {
		line, whole := firstLine(head)
		switch {
		case bytes.HasPrefix(line, []byte("+OK ")) && len(line) > 6 && isText(line[:7]):
			return Yes
		case !isText(line) || len(line) > maxGreeting || !bytes.HasPrefix(line, []byte(ok)):
			return No
		case !whole:
			return Maybe
		}
		head = head[lineEnd(head):]
		if len(head) < 5 {
			return Maybe
		}
	}
}
