package dissect

import "weir/wire"

// Git is the git protocol as git-daemon speaks it.
var Git = Protocol{
	Name:    "git",
	About:   "The git protocol (gitprotocol-pack(5)) as git-daemon speaks it. Flows are named by the request or the first reference.",
	Carrier: Stream,
	Ports:   []uint16{9418},
	Probe:   probeGit,
}

// probeGit recognises a pkt-line with a request, or with an object's name.
func probeGit(dir wire.Dir, head []byte) Guess {
	for _, c := range head[:min(len(head), 4)] {
		if !isHex(c) {
			return No
		}
	}
	if len(head) <= 4 {
		return Maybe
	}
	if dir == wire.ToServer {
		return startsFold(head[4:], "git-upload-pack ", "git-receive-pack ", "git-upload-archive ")
	}
	if g := startsFold(head[4:], "version 1", "version 2", "err "); g != No {
		return g
	}
	for i, c := range head[4:min(len(head), 45)] {
		if i < 40 && !isHex(c) || i == 40 && c != ' ' {
			return No
		}
	}
	if len(head) < 45 {
		return Maybe
	}
	return Yes
}

func isHex(c byte) bool { return '0' <= c && c <= '9' || 'a' <= c && c <= 'f' }
