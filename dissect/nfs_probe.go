package dissect

import "weir/wire"

// from the specification
const (
	oncVersion = 2
	oncCall    = 0
	oncReply   = 1
)

// ours
const (
	maxOncAuth   = 400     // bytes of a credential or verifier, RFC 5531 section 8.2
	maxOncRecord = 4 << 20 // bytes of a fragment
)

// oncPrograms are the programs that are understood, with names.
func oncProgram(n uint32) string {
	switch n {
	case 100000:
		return "portmap"
	case 100003:
		return "nfs"
	case 100005:
		return "mount"
	case 100021:
		return "nlm"
	case 100024:
		return "status"
	case 100011:
		return "rquota"
	case 100227:
		return "nfs_acl"
	}
	return ""
}

// probeNFS recognises a call by its version and program; an answer by its zeros.
func probeNFS(dir wire.Dir, head []byte) Guess {
	c := wire.Cut(head)
	c.Skip(4)
	typ := c.U32()
	switch {
	case c.Short():
		return No
	case typ == oncCall:
		version, program := c.U32(), c.U32()
		c.Skip(8)
		flavor, n := c.U32(), c.U32()
		if c.Short() || version != oncVersion || oncProgram(program) == "" || flavor > 6 && flavor < 300000 || n > maxOncAuth {
			return No
		}
		return Yes
	case typ == oncReply && len(head)%4 == 0:
		accepted, flavor, n, status := c.U32(), c.U32(), c.U32(), c.U32()
		if c.Short() || accepted != 0 || flavor != 0 || n != 0 || status > 5 || dir != wire.ToClient {
			return No
		}
		return Yes
	}
	return No
}

// probeNFSTCP recognises a record's length, and a call in it.
func probeNFSTCP(dir wire.Dir, head []byte) Guess {
	if len(head) > 0 && head[0] != 0x80 || len(head) > 1 && head[1] > maxOncRecord>>16 {
		return No
	}
	for i, want := range []byte{0, 0, 0, byte(dir)} {
		if len(head) > 8+i && head[8+i] != want {
			return No
		}
	}
	if len(head) < 4+28 {
		if dir == wire.ToServer && len(head) >= 16 && (wireU32(head[12:]) != oncVersion) {
			return No
		}
		return Maybe
	}
	n := wireU32(head) &^ (1 << 31)
	if n < 24 || n%4 != 0 {
		return No
	}
	body := head[4:]
	if dir == wire.ToClient {
		return probeNFS(dir, body[:24])
	}
	if len(body) < 40 {
		return Maybe
	}
	return probeNFS(dir, body)
}

func wireU32(b []byte) uint32 {
	c := wire.Cut(b)
	return c.U32()
}
