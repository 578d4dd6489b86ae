package dissect

import (
	"encoding/binary"

	"weir/wire"
)

// RFB is the Remote Framebuffer protocol of VNC.
var RFB = Protocol{
	Name: "rfb",
	About: "RFB, the protocol of VNC (RFC 6143): versions, how the client proves who it is, and the desktop are an exchange with an event `rfb`. What follows (keys, " +
		"clipboards, pictures) is inspected as it came, and so is all behind a kind of security that is not known here.",
	Carrier: Stream, Ports: []uint16{5900, 5901, 5902}, Probe: probeRFB, New: newRFB,
	Fields: []FieldSpec{
		rfbServerMajor: {Name: "rfb.server_major", Doc: "version of the server, as `003`", EVE: "server_protocol_version/major", Derived: true},
		rfbServerMinor: {Name: "rfb.server_minor", Doc: "the rest of it, as `008`", EVE: "server_protocol_version/minor", Derived: true},
		rfbClientMajor: {Name: "rfb.client_major", Doc: "version of the client", EVE: "client_protocol_version/major", Derived: true},
		rfbClientMinor: {Name: "rfb.client_minor", Doc: "the rest of it", EVE: "client_protocol_version/minor", Derived: true},
		rfbSecurity:    {Name: "rfb.security_type", Doc: "how the client proves who it is: 1 not at all, 2 by a password", EVE: "authentication/security_type", Number: true, Derived: true},
		rfbResult:      {Name: "rfb.security_result", Doc: "`OK`, `FAIL`, `TOOMANY`", EVE: "authentication/security_result", Derived: true},
		rfbProof:       {Name: "rfb.proof", Doc: "challenge of the server, answer of the client", Privacy: Sealed},
		rfbShared:      {Name: "rfb.shared", Doc: "`true` if the client lets others in", EVE: "screen_shared", Bool: true, Derived: true},
		rfbWidth:       {Name: "rfb.width", Doc: "of the desktop, pixels", EVE: "framebuffer/width", Number: true, Derived: true},
		rfbHeight:      {Name: "rfb.height", Doc: "of the desktop, pixels", EVE: "framebuffer/height", Number: true, Derived: true},
		rfbName:        {Name: "rfb.desktop", Doc: "name of the desktop", EVE: "framebuffer/name"},
		rfbReason:      {Name: "rfb.reason", Doc: "why the server refuses", EVE: "reason"},
		rfbData:        {Name: "rfb.data", Doc: "what both ends say from then on, as it came"},
	},
}

// Fields of RFB, in the order of RFB.Fields.
const (
	rfbServerMajor Field = iota
	rfbServerMinor
	rfbClientMajor
	rfbClientMinor
	rfbSecurity
	rfbResult
	rfbProof
	rfbShared
	rfbWidth
	rfbHeight
	rfbName
	rfbReason
	rfbData
)

// from the specification
const (
	rfbShape  = "RFB 000.000\n"
	rfbNone   = 1 // kinds of security
	rfbVNC    = 2
	rfbKey    = 16 // bytes of challenge and answer
	rfbFormat = 16 // bytes of a pixel format
)

// ours
const rfbMaxText = 4 << 10 // bytes of a name or reason

// rfbState is what an end says next.
type rfbState uint8

const (
	rfbAtVersion  rfbState = iota
	rfbAtSecurity          // what the server offers, what the client chooses
	rfbAtChosen            // what follows from that
	rfbAtProof
	rfbAtResult
	rfbAtWhy
	rfbAtInit
	rfbAtData
)

// rfb parses one connection.
type rfb struct {
	p     *Protocol
	env   *Env
	minor int   // of the version that is spoken: the client's; 0: not known yet
	kind  uint8 // of security; 0: not known yet
	side  [2]struct {
		u     unit
		state rfbState
		value pieces
	}
}

func newRFB(p *Protocol, env *Env) Dissector { return &rfb{p: p, env: env} }

// Feed implements Dissector.
func (d *rfb) Feed(dir wire.Dir, data []byte, emit func(*Message)) (pr Progress, err error) {
	s := &d.side[dir]
	if s.u.id == 0 {
		s.u = unit{id: uint64(dir) + 1, tx: 1}
	}
	t := d.env.teller(d.p, dir, &s.u, emit)
	for pr.Used < len(data) && s.state != rfbAtData {
		b := data[pr.Used:]
		n, next := d.step(t, dir, s.state, b)
		if n > len(b) {
			pr.Need = n - len(b)
			t.flush(false, false)
			return pr, nil
		}
		pr.Used += n
		if s.state = next; next == rfbAtData {
			t.flush(true, dir == wire.ToClient)
			s.u = unit{id: uint64(dir) + 3, tx: uint64(dir) + 2}
			s.value = t.stream(rfbData, 1<<62)
		}
	}
	if s.state == rfbAtData {
		pr.Used += s.value.take(t, data[pr.Used:])
	}
	t.flush(false, false)
	return pr, nil
}

// step takes what an end says next from the front of b, which is not empty. It returns its length, and what follows; where that is more than
// there is, nothing was taken.
func (d *rfb) step(t *teller, dir wire.Dir, state rfbState, b []byte) (n int, next rfbState) {
	client := dir == wire.ToServer
	switch state {
	case rfbAtVersion:
		if probeRFB(dir, b) == No {
			return 0, rfbAtData
		}
		if len(b) < len(rfbShape) {
			return len(rfbShape), state
		}
		return d.version(t, client, b)
	case rfbAtSecurity:
		if !client {
			return d.offer(t, b)
		}
		d.kind = b[0]
		t.number(rfbSecurity, int64(d.kind))
		return 1, rfbAtChosen
	case rfbAtChosen:
		switch {
		case d.kind == rfbVNC:
			return 0, rfbAtProof
		case d.kind != rfbNone:
			return 0, rfbAtData
		case !client && d.minor >= 8:
			return 0, rfbAtResult
		}
		return 0, rfbAtInit
	case rfbAtProof:
		if len(b) < rfbKey {
			return rfbKey, state
		}
		t.add(rfbProof, b[:rfbKey])
		if client {
			return rfbKey, rfbAtInit
		}
		return rfbKey, rfbAtResult
	case rfbAtResult:
		return d.result(t, b)
	case rfbAtWhy:
		return rfbText(t, rfbReason, b, 0)
	}
	if client {
		shared := "false"
		if b[0] != 0 {
			shared = "true"
		}
		t.addString(rfbShared, shared)
		return 1, rfbAtData
	}
	n, next = rfbText(t, rfbName, b, 4+rfbFormat)
	if n > 0 && n <= len(b) {
		t.number(rfbWidth, int64(binary.BigEndian.Uint16(b)))
		t.number(rfbHeight, int64(binary.BigEndian.Uint16(b[2:])))
	}
	return n, next
}

func (d *rfb) version(t *teller, client bool, b []byte) (n int, next rfbState) {
	if !client {
		t.add(rfbServerMajor, b[4:7])
		t.add(rfbServerMinor, b[8:11])
		return len(rfbShape), rfbAtSecurity
	}
	t.add(rfbClientMajor, b[4:7])
	t.add(rfbClientMinor, b[8:11])
	d.minor = int(b[8]-'0')*100 + int(b[9]-'0')*10 + int(b[10]-'0')
	if d.minor < 7 { // the server chooses
		return len(rfbShape), rfbAtChosen
	}
	return len(rfbShape), rfbAtSecurity
}

// offer takes the kinds of security that the server offers, or before 3.7 the one that it wants.
func (d *rfb) offer(t *teller, b []byte) (n int, next rfbState) {
	switch {
	case d.minor == 0: // the client's version was not seen: nobody knows which form this has
		return 0, rfbAtData
	case d.minor >= 7 && b[0] == 0:
		return 1, rfbAtWhy
	case d.minor >= 7:
		return 1 + int(b[0]), rfbAtChosen
	case len(b) < 4:
		return 4, rfbAtSecurity
	}
	d.kind = b[3]
	t.number(rfbSecurity, int64(d.kind))
	if d.kind == 0 {
		return 4, rfbAtWhy
	}
	return 4, rfbAtChosen
}

// result takes what became of the client's proof.
func (d *rfb) result(t *teller, b []byte) (n int, next rfbState) {
	if len(b) < 4 {
		return 4, rfbAtResult
	}
	switch binary.BigEndian.Uint32(b) {
	case 0:
		t.addString(rfbResult, "OK")
		return 4, rfbAtInit
	case 1:
		t.addString(rfbResult, "FAIL")
	case 2:
		t.addString(rfbResult, "TOOMANY")
	default:
		return 0, rfbAtData
	}
	if d.minor >= 8 {
		return 4, rfbAtWhy
	}
	return 4, rfbAtData
}

// rfbText takes a text of the server behind its length at at: nothing but data follows it.
func rfbText(t *teller, f Field, b []byte, at int) (n int, next rfbState) {
	if len(b) < at+4 {
		return at + 4, rfbAtData
	}
	size := binary.BigEndian.Uint32(b[at:])
	if size > rfbMaxText {
		return 0, rfbAtData
	}
	n = at + 4 + int(size)
	if n <= len(b) {
		t.add(f, b[at+4:n])
	}
	return n, rfbAtData
}

// Gap implements Dissector: behind the beginning nothing is lost but its bytes.
func (d *rfb) Gap(dir wire.Dir, n int, _ func(*Message)) bool {
	s := &d.side[dir]
	return s.state == rfbAtData && s.value.lost(n)
}

// Close implements Dissector.
func (d *rfb) Close(dir wire.Dir, emit func(*Message)) {
	s := &d.side[dir]
	if s.u.id == 0 {
		return
	}
	t := d.env.teller(d.p, dir, &s.u, emit)
	s.value.more(t, nil, true)
	t.flush(true, true)
	s.u, s.value, s.state = unit{}, pieces{}, rfbAtData
}

// Rest implements Dissector.
func (d *rfb) Rest() (Rest, bool) { return Rest{}, false }

// Size implements Dissector.
func (d *rfb) Size() int { return 192 }

// probeRFB recognises the version, which is the same in both directions.
func probeRFB(_ wire.Dir, head []byte) Guess {
	for i, c := range head[:min(len(head), len(rfbShape))] {
		if rfbShape[i] == '0' && (c < '0' || c > '9') || rfbShape[i] != '0' && c != rfbShape[i] {
			return No
		}
	}
	if len(head) < len(rfbShape) {
		return Maybe
	}
	return Yes
}
