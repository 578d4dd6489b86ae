package dissect

import "weir/wire"

// NetBIOS is NetBIOS over UDP: the name service and the datagram service.
var NetBIOS = Protocol{
	Name:    "netbios",
	About:   "NetBIOS over UDP, names and datagrams: RFC 1002.",
	Carrier: Datagram,
	Ports:   []uint16{137, 138},
	Probe:   probeNetBIOS,
}

// NetBIOSSession is NetBIOS over TCP: the session service.
var NetBIOSSession = Protocol{
	Name:    "netbios",
	About:   "NetBIOS over TCP: RFC 1002. The request of a session tells both names; what the session carries is looked at anew.",
	Carrier: Stream,
	Ports:   []uint16{139},
	Probe:   probeNetBIOSSession,
}

// from the specification
const (
	nbName        = 32 // characters of a name in its first-level encoding
	nbNameAt      = 12 // offset of the first name in a packet of the name service
	nbDirect      = 0x10
	nbSession     = 0x81
	nbSessionDone = 0x82
)

// probeNetBIOS recognises a packet by the encoded name in it.
func probeNetBIOS(_ wire.Dir, head []byte) Guess {
	if len(head) > nbNameAt+nbName+5 && head[nbNameAt] == nbName && isNetBIOS(head[nbNameAt+1:][:nbName]) {
		return Yes
	}
	c := wire.Cut(head)
	typ, flags := c.U8(), c.U8()
	c.Skip(2 + 4)
	port, n, off := c.U16(), c.U16(), c.U16()
	switch {
	case c.Short() || typ < nbDirect || typ > 0x16 || flags > 0x0f || port == 0:
		return No
	case typ == 0x13: // error
		return No
	case typ > 0x13:
		c = wire.Cut(head[10:])
	case off != 0 && int(off) >= int(n):
		return No
	}
	if c.U8() != nbName || !isNetBIOS(c.Bytes(nbName)) {
		return No
	}
	return Yes
}

// probeNetBIOSSession recognises the request of a session with both names, and its answer.
func probeNetBIOSSession(dir wire.Dir, head []byte) Guess {
	want := []byte{nbSession, 0, 0, 68, nbName}
	if dir == wire.ToClient {
		want = []byte{nbSessionDone, 0, 0, 0}
	}
	for i, c := range head[:min(len(head), len(want))] {
		if c != want[i] && !(i == 0 && dir == wire.ToClient && c == nbSessionDone+1) && !(i == 3 && head[0] == nbSessionDone+1 && c == 1) {
			return No
		}
	}
	switch {
	case len(head) < len(want):
		return Maybe
	case dir == wire.ToClient:
		return Yes
	case !isNetBIOSPart(head[5:min(len(head), 5+nbName)]):
		return No
	case len(head) < 5+nbName:
		return Maybe
	}
	return Yes
}

func isNetBIOSPart(b []byte) bool {
	for _, c := range b {
		if c < 'A' || c > 'P' {
			return false
		}
	}
	return true
}
