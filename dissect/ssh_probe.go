package dissect

import "weir/wire"

// probeSSH recognises the identification string, RFC 4253 section 4.2.
func probeSSH(_ wire.Dir, head []byte) Guess {
	const begin = "SSH-"
	if n := min(len(head), len(begin)); string(head[:n]) != begin[:n] {
		return No
	}
	switch {
	case len(head) > 4 && head[4] != '1' && head[4] != '2', len(head) > 5 && head[5] != '.':
		return No
	case len(head) < 6:
		return Maybe
	}
	return Yes
}
