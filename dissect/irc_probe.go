package dissect

import (
	"bytes"

	"weir/wire"
)

// Commands that tell a client of IRC, and those that others have too.
var (
	ircMine   = []string{"nick ", "cap ls", "cap ls ", "cap req ", "join #", "privmsg "}
	ircShared = []string{"pass "}
)

func probeIRC(dir wire.Dir, head []byte) Guess {
	if dir == wire.ToServer {
		if g := probeIRCUser(head); g != No {
			return g
		}
		return commands(head, ircMine, ircShared)
	}
	if len(head) > 0 && head[0] == ':' {
		return probeIRCPrefix(head)
	}
	return startsFold(head, "notice auth :", "notice * :", "notice authentication :")
}

// probeIRCUser recognises USER with its four parameters.
func probeIRCUser(head []byte) Guess {
	if g := startsFold(head, "user "); g != Yes {
		return g
	}
	line, whole := firstLine(head)
	if !isText(line) || len(line) > maxGreeting {
		return No
	}
	if !whole {
		return Maybe
	}
	f := bytes.SplitN(line, []byte{' '}, 5)
	if len(f) == 5 && len(f[4]) > 0 {
		return Yes
	}
	return No
}

// probeIRCPrefix recognises a server's line: its name, then a reply of three digits or a word.
func probeIRCPrefix(head []byte) Guess {
	line, whole := firstLine(head)
	if !isText(line) || len(line) > maxGreeting {
		return No
	}
	_, rest, ok := bytes.Cut(line, []byte{' '})
	if !ok {
		if whole {
			return No
		}
		return Maybe
	}
	if g := startsFold(rest, "notice ", "cap ", "001 ", "002 ", "020 ", "433 ", "451 ", "ping "); g != Maybe || !whole {
		return g
	}
	return No
}
