package dissect

import "weir/wire"

// probeSOCKS recognises a client's first message and how a server answers it.
func probeSOCKS(dir wire.Dir, head []byte) Guess {
	if len(head) == 0 {
		return Maybe
	}
	switch {
	case dir == wire.ToServer && head[0] == 5:
		return probeSOCKS5(head)
	case dir == wire.ToServer && head[0] == 4:
		return probeSOCKS4(head)
	case dir == wire.ToClient && head[0] == 5:
		if len(head) < 2 {
			return Maybe
		}
		if socksMethod(head[1]) || head[1] == 0xff {
			return Maybe // the client tells
		}
	case dir == wire.ToClient && head[0] == 0:
		if len(head) < 2 {
			return Maybe
		}
		if head[1] >= 0x5a && head[1] <= 0x5d {
			return Maybe
		}
	}
	return No
}

// socksMethod reports whether a method of authentication is one that is assigned or private.
func socksMethod(m byte) bool { return m <= 9 && m != 4 || m >= 0x80 && m < 0xff }

// probeSOCKS5 recognises a list of methods, each once.
func probeSOCKS5(head []byte) Guess {
	if len(head) < 2 {
		return Maybe
	}
	n := int(head[1])
	if n == 0 || n > 16 {
		return No
	}
	var seen [256]bool
	for _, m := range head[2:min(len(head), 2+n)] {
		if !socksMethod(m) || seen[m] {
			return No
		}
		seen[m] = true
	}
	if len(head) < 2+n {
		return Maybe
	}
	return Yes
}

// probeSOCKS4 recognises a request up to the end of its user.
func probeSOCKS4(head []byte) Guess {
	if len(head) > 1 && head[1] != 1 && head[1] != 2 {
		return No
	}
	if len(head) < 9 {
		return Maybe
	}
	if head[2] == 0 && head[3] == 0 || head[4] == 0 && head[7] == 0 {
		return No
	}
	for i, c := range head[8:] {
		switch {
		case c == 0:
			return Yes
		case c < ' ' || c > '~' || i > 255:
			return No
		}
	}
	return Maybe
}
