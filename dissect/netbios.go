package dissect

import (
	"bytes"
	"errors"

	"weir/wire"
)

// NetBIOS is NetBIOS over UDP: the name service and the datagram service.
var NetBIOS = Protocol{
	Name: "netbios",
	About: "NetBIOS over UDP and TCP (RFC 1002): names, datagrams, and the request of a session, each with an event `netbios`. What a session carries is looked at anew; " +
		"datagrams are inspected as they came.",
	Carrier: Datagram, Ports: []uint16{137, 138}, Probe: probeNetBIOS, PerMessage: true, New: eachDatagram(tellNetBIOS), Resume: eachAgain(tellNetBIOS),
	Fields: netbiosFields,
}

// NetBIOSSession is NetBIOS over TCP: the session service.
var NetBIOSSession = Protocol{
	Name: "netbios", Carrier: Stream, Ports: []uint16{139}, Probe: probeNetBIOSSession, PerMessage: true, Fields: netbiosFields,
	New: func(p *Protocol, env *Env) Dissector { return &netbiosSession{p: p, env: env} },
}

var netbiosFields = []FieldSpec{
	netbiosMessage: {Name: "netbios.message", Doc: "what it is, as `query`, `registration`, `datagram`, `session`, `session_refused`", EVE: "message", Derived: true},
	netbiosAnswer:  {Name: "netbios.answer", Doc: "`true` of an answer", EVE: "answer", Bool: true, Derived: true},
	netbiosName:    {Name: "netbios.name", Doc: "the name that it is about; of datagrams and sessions the receiver's; behind it the kind in hex, as `SHOP<20>`", EVE: "name"},
	netbiosSource:  {Name: "netbios.source", Doc: "name of the sender of a datagram, or of who begins a session", EVE: "source"},
	netbiosData:    {Name: "netbios.data", Doc: "the packet, as it came"},
}

// Fields of NetBIOS, in the order of netbiosFields.
const (
	netbiosMessage Field = iota
	netbiosAnswer
	netbiosName
	netbiosSource
	netbiosData
)

// from the specification
const (
	nbName        = 32 // characters of a name in its first-level encoding
	nbNameAt      = 12 // offset of the first name in a packet of the name service
	nbDirect      = 0x10
	nbSession     = 0x81
	nbSessionDone = 0x82
	nbRequest     = 72 // bytes of a session's request: two names without scope
	nbAnswer      = 4  // bytes of a positive answer
)

var (
	nbOperations = []string{0: "query", 5: "registration", 6: "release", 7: "wack", 8: "refresh", 9: "refresh", 15: "multihomed_registration"}
	nbDatagrams  = []string{"datagram", "datagram", "broadcast", "error", "datagram_query", "datagram_query_positive", "datagram_query_negative"}

	errNetBIOS = errors.New("netbios: not a session's request")
)

// tellNetBIOS tells a packet of the name service, or a datagram.
func tellNetBIOS(t *teller, dir wire.Dir, b []byte) bool {
	if probeNetBIOS(dir, b[:min(len(b), MaxProbe)]) != Yes {
		return false
	}
	if len(b) > nbNameAt+nbName+5 && b[nbNameAt] == nbName && isNetBIOS(b[nbNameAt+1:][:nbName]) {
		t.named(netbiosMessage, nbOperations, int(b[2]>>3&15))
		if b[2]&0x80 != 0 {
			t.addString(netbiosAnswer, "true")
		}
		t.netbios(netbiosName, b[nbNameAt+1:][:nbName])
	} else {
		t.named(netbiosMessage, nbDatagrams, int(b[0]-nbDirect))
		c := wire.Cut(b)
		c.Skip(10)
		f := netbiosName // of a query for the distribution of datagrams
		if b[0] < 0x13 {
			c.Skip(4)
			f = netbiosSource
		}
		t.netbios(f, c.Bytes(1 + nbName)[1:])
		c.Skip(1)
		if b[0] < 0x13 && c.U8() == nbName {
			t.netbios(netbiosName, c.Bytes(nbName))
		}
	}
	t.add(netbiosData, b)
	return true
}

// netbios collects a name: 15 characters padded with spaces, and the kind of what has it. RFC 1001 section 14.1.
func (t *teller) netbios(f Field, encoded []byte) {
	if !isNetBIOS(encoded) || !t.wants(f) {
		return
	}
	var name [nbName / 2]byte
	for i := range name {
		name[i] = (encoded[2*i]-'A')<<4 | (encoded[2*i+1] - 'A')
	}
	kind := name[15]
	t.add(f, t.write(func(out []byte) []byte {
		const digits = "0123456789abcdef"
		return append(append(out, bytes.TrimRight(name[:15], " \x00")...), '<', digits[kind>>4], digits[kind&15], '>')
	}))
}

// netbiosSession parses the beginning of a session.
type netbiosSession struct {
	p     *Protocol
	env   *Env
	asked bool
}

// Feed implements Dissector.
func (d *netbiosSession) Feed(dir wire.Dir, data []byte, emit func(*Message)) (Progress, error) {
	if len(data) == 0 {
		return Progress{}, nil
	}
	if dir == wire.ToServer {
		if len(data) < nbRequest {
			return Progress{Need: nbRequest - len(data)}, nil
		}
		if d.asked || probeNetBIOSSession(dir, data[:nbRequest]) != Yes || data[38] != nbName || !isNetBIOS(data[39:71]) {
			return Progress{}, errNetBIOS
		}
		d.asked = true
		t := d.env.teller(d.p, dir, &unit{id: 1, tx: 1}, emit)
		t.addString(netbiosMessage, "session")
		t.netbios(netbiosName, data[5:37])
		t.netbios(netbiosSource, data[39:71])
		t.add(netbiosData, data[:nbRequest])
		t.flush(true, true)
		return Progress{Used: nbRequest}, nil
	}
	if len(data) < nbAnswer {
		return Progress{Need: nbAnswer - len(data)}, nil
	}
	n := nbAnswer + int(data[3]) // a refusal says why
	if data[0] != nbSessionDone && data[0] != nbSessionDone+1 || data[1]|data[2] != 0 || n != nbAnswer+int(data[0]-nbSessionDone) {
		return Progress{}, errNetBIOS
	}
	if len(data) < n {
		return Progress{Need: n - len(data)}, nil
	}
	t := d.env.teller(d.p, dir, &unit{id: 2, tx: 2}, emit)
	t.addString(netbiosMessage, [...]string{"session", "session_refused"}[data[0]-nbSessionDone])
	t.addString(netbiosAnswer, "true")
	if data[0] == nbSessionDone {
		t.upgrade(true)
		return Progress{Used: n}, nil
	}
	t.add(netbiosData, data[:n])
	t.flush(true, true)
	return Progress{Used: n}, nil
}

// Gap implements Dissector.
func (d *netbiosSession) Gap(wire.Dir, int, func(*Message)) bool { return false }

// Close implements Dissector.
func (d *netbiosSession) Close(wire.Dir, func(*Message)) {}

// Rest implements Dissector.
func (d *netbiosSession) Rest() (Rest, bool) { return Rest{}, false }

// Size implements Dissector.
func (d *netbiosSession) Size() int { return 48 }

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
