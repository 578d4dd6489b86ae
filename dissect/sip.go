package dissect

import (
	"bytes"

	"weir/wire"
)

// SIP is the Session Initiation Protocol over UDP: RFC 3261. Bodies in SDP (RFC 8866) announce the flows of their media.
var SIP = Protocol{
	Name: "sip",
	About: "SIP over UDP and TCP (RFC 3261). Each message has an event `sip`. What SDP in a body announces is looked for: its flows are `rtp` then, " +
		"with less proof.",
	Carrier: Datagram, Ports: []uint16{5060}, Probe: probeSIP, PerMessage: true, Fields: sipFields("sip"), New: newSIP, Resume: resumeSIP,
}

// SIPTCP is SIP over TCP.
var SIPTCP = Protocol{
	Name: "sip", Carrier: Stream, Ports: []uint16{5060}, Probe: probeSIPTCP, PerMessage: true, Fields: sipFields("sip"), New: newSIPTCP, Resume: resumeSIPTCP,
}

// RTSP is the Real-Time Streaming Protocol: RFC 2326, RFC 7826. Media may come in the same connection.
var RTSP = Protocol{
	Name: "rtsp",
	About: "RTSP over TCP (RFC 2326, RFC 7826). Each message has an event `rtsp`; media in the same connection is inspected as it is, media in flows " +
		"of its own is looked for where SDP and `Transport` announce it.",
	Carrier: Stream, Ports: []uint16{554, 8554}, Probe: probeRTSP, PerMessage: true, Fields: sipFields("rtsp"), New: newRTSP, Resume: resumeRTSP,
}

func sipFields(name string) []FieldSpec {
	return []FieldSpec{
		sipMethod:  {Name: name + ".method", Doc: "method of a request, as `INVITE`", EVE: "method", Derived: true},
		sipURI:     {Name: name + ".uri", Doc: "what a request is about", EVE: "uri", Derived: true},
		sipCode:    {Name: name + ".code", Doc: "status of an answer", EVE: "code", Derived: true},
		sipReason:  {Name: name + ".reason", Doc: "its reason", EVE: "reason", Derived: true},
		sipVersion: {Name: name + ".version", Doc: "version, as `SIP/2.0`", EVE: "version", Derived: true},
		sipFrom:    {Name: name + ".from", Doc: "header From", EVE: "from", Derived: true},
		sipTo:      {Name: name + ".to", Doc: "header To", EVE: "to", Derived: true},
		sipCallID:  {Name: name + ".call_id", Doc: "header Call-ID; RTSP's Session", EVE: "call_id", Derived: true},
		sipAgent:   {Name: name + ".user_agent", Doc: "header User-Agent or Server", EVE: "user_agent", Derived: true},
		sipHead:    {Name: name + ".head", Doc: "start line and headers"},
		sipBody:    {Name: name + ".body", Doc: "the body; of RTSP also media in the connection"},
	}
}

// Fields of SIP and RTSP.
const (
	sipMethod Field = iota
	sipURI
	sipCode
	sipReason
	sipVersion
	sipFrom
	sipTo
	sipCallID
	sipAgent
	sipHead
	sipBody
)

// ours
const (
	sipMaxHead   = 16 << 10 // bytes of start line and headers that are waited for
	sipMaxWord   = 32       // bytes of a method
	sipMaxMedia  = 16       // flows of media that a message announces
	sipProbeLine = 1 << 10  // bytes of a start line that a probe waits for
)

// sip parses one flow, of SIP or RTSP.
type sip struct {
	p      *Protocol
	env    *Env
	last   uint64
	stream bool
	rtsp   bool
	side   [2]sipSide
}

// sipSide is a body of a direction of a stream that comes in pieces.
type sipSide struct {
	unit
	left   int64 // bytes that are to come
	looked int   // bytes of a head whose end is not among them
	off    int64
	sdp    []byte // of a small body, for what it announces
}

func newSIP(p *Protocol, env *Env) Dissector    { return &sip{p: p, env: env} }
func newSIPTCP(p *Protocol, env *Env) Dissector { return &sip{p: p, env: env, stream: true} }
func newRTSP(p *Protocol, env *Env) Dissector   { return &sip{p: p, env: env, stream: true, rtsp: true} }

func resumeSIP(p *Protocol, env *Env, r Rest) Dissector { return &sip{p: p, env: env, last: r.ID} }
func resumeSIPTCP(p *Protocol, env *Env, r Rest) Dissector {
	return &sip{p: p, env: env, last: r.ID, stream: true}
}
func resumeRTSP(p *Protocol, env *Env, r Rest) Dissector {
	return &sip{p: p, env: env, last: r.ID, stream: true, rtsp: true}
}

func probeSIP(_ wire.Dir, head []byte) Guess {
	return yes(sipStart(head, "SIP/2.0") == Yes)
}

func probeSIPTCP(_ wire.Dir, head []byte) Guess {
	return sipStart(bytes.TrimLeft(head, "\r\n"), "SIP/2.0")
}

func probeRTSP(_ wire.Dir, head []byte) Guess { return sipStart(head, "RTSP/") }

// sipStart judges a start line: VERSION CODE REASON, or METHOD URI VERSION.
func sipStart(b []byte, version string) Guess {
	n := min(len(b), len(version))
	if string(b[:n]) == version[:n] { // an answer, so far
		switch {
		case len(b) < len(version)+8:
			if i := bytes.IndexByte(b, '\n'); i >= 0 {
				return No
			}
			return Maybe
		}
		b = b[len(version):]
		if version == "RTSP/" {
			if !isDigit(b[0]) || b[1] != '.' || !isDigit(b[2]) {
				return No
			}
			b = b[3:]
		}
		return yes(b[0] == ' ' && isDigit(b[1]) && isDigit(b[2]) && isDigit(b[3]) && (b[4] == ' ' || b[4] == '\r'))
	}
	word := 0
	for ; word < len(b) && word < sipMaxWord && (b[word] >= 'A' && b[word] <= 'Z' || b[word] == '_'); word++ {
	}
	switch {
	case word == len(b) && word < sipMaxWord:
		return Maybe
	case word < 3 || word == len(b) || b[word] != ' ':
		return No
	}
	line := b[word+1:]
	end := bytes.IndexByte(line[:min(len(line), sipProbeLine)], '\n')
	if end < 0 {
		if len(line) >= sipProbeLine || !sipTarget(line, version) {
			return No
		}
		return Maybe
	}
	line = bytes.TrimRight(line[:end], "\r")
	if !sipTarget(line, version) {
		return No
	}
	i := bytes.LastIndexByte(line, ' ')
	if i < 0 || len(line)-i-1 < len(version) {
		return No
	}
	return yes(string(line[i+1:i+1+len(version)]) == version)
}

// sipTarget reports whether b may begin a URI of the protocol.
func sipTarget(b []byte, version string) bool {
	schemes := []string{"sip:", "sips:", "tel:", "urn:"}
	if version == "RTSP/" {
		schemes = []string{"rtsp:", "rtspu:", "rtsps:", "rtsp://", "*", "/"}
	}
	for _, s := range schemes {
		n := min(len(b), len(s))
		if bytes.EqualFold(b[:n], []byte(s[:n])) {
			return true
		}
	}
	return false
}

// Feed implements Dissector.
func (d *sip) Feed(dir wire.Dir, data []byte, emit func(*Message)) (pr Progress, err error) {
	if !d.stream {
		return d.datagram(dir, data, emit)
	}
	for pr.Used < len(data) {
		b := data[pr.Used:]
		s := &d.side[dir]
		if s.left > 0 {
			n := int(min(s.left, int64(len(b))))
			d.body(dir, b[:n], emit)
			pr.Used += n
			continue
		}
		if b[0] == '\r' || b[0] == '\n' { // keep alive, RFC 5626
			pr.Used++
			continue
		}
		if d.rtsp && b[0] == '$' {
			if len(b) < 4 {
				pr.Need = 4 - len(b)
				return pr, nil
			}
			pr.Used += 4
			d.begin(dir, int64(b[2])<<8|int64(b[3]), emit)
			continue
		}
		from := max(0, min(s.looked, len(b))-3) // its end may have begun there
		n := sipHeadEnd(b[from:])
		if n < 0 {
			if len(b) > sipMaxHead {
				return pr, errDatagram
			}
			s.looked, pr.Need = len(b), 1
			return pr, nil
		}
		n, s.looked = n+from, 0
		if d.start(b) != Yes {
			return pr, errDatagram
		}
		d.head(dir, b[:n], emit)
		pr.Used += n
	}
	return pr, nil
}

// start judges the start line at the front of b.
func (d *sip) start(b []byte) Guess {
	if d.rtsp {
		return sipStart(b, "RTSP/")
	}
	return sipStart(b, "SIP/2.0")
}

// sipHeadEnd returns the length of start line and headers, the empty line included; -1: its end is not there.
func sipHeadEnd(b []byte) int {
	for at := 0; ; {
		i := bytes.IndexByte(b[at:], '\n')
		if i < 0 {
			return -1
		}
		at += i + 1
		if at < len(b) && b[at] == '\n' {
			return at + 1
		}
		if at >= 2 && at+1 < len(b) && b[at-2] == '\r' && b[at] == '\r' && b[at+1] == '\n' {
			return at + 2
		}
	}
}

func (d *sip) datagram(dir wire.Dir, data []byte, emit func(*Message)) (Progress, error) {
	if len(bytes.Trim(data, "\r\n\x00")) == 0 && d.last > 0 { // keep alive
		return Progress{Used: len(data)}, nil
	}
	if d.start(data) != Yes {
		return Progress{}, errDatagram
	}
	n := sipHeadEnd(data)
	if n < 0 {
		n = len(data)
	}
	d.last++
	u := unit{id: d.last, tx: d.last}
	t := d.env.teller(d.p, dir, &u, emit)
	d.tellHead(t, data[:n])
	if n < len(data) {
		t.add(sipBody, data[n:])
		d.announce(t, data[n:])
	}
	t.flush(true, true)
	return Progress{Used: len(data)}, nil
}

// head tells the head of a message of a stream, and begins its body.
func (d *sip) head(dir wire.Dir, b []byte, emit func(*Message)) {
	d.last++
	s := &d.side[dir]
	s.unit = unit{id: d.last, tx: d.last}
	t := d.env.teller(d.p, dir, &s.unit, emit)
	d.tellHead(t, b)
	if d.rtsp {
		d.transport(t, dir, sipHeader(b, "transport", "transport"))
	}
	s.left, s.off, s.sdp = int64(sipNumber(sipHeader(b, "content-length", "l"))), 0, nil
	t.flush(s.left == 0, s.left == 0)
	if s.left > 0 {
		s.values++
	}
}

// begin begins a message that is all body: media in a connection of RTSP.
func (d *sip) begin(dir wire.Dir, n int64, emit func(*Message)) {
	d.last++
	s := &d.side[dir]
	s.unit, s.left, s.off, s.sdp = unit{id: d.last, tx: d.last, values: 1}, n, 0, nil
	if n == 0 {
		d.env.teller(d.p, dir, &s.unit, emit).flush(true, true)
	}
}

// body tells a piece of a body.
func (d *sip) body(dir wire.Dir, b []byte, emit func(*Message)) {
	s := &d.side[dir]
	t := d.env.teller(d.p, dir, &s.unit, emit)
	s.left -= int64(len(b))
	if t.wants(sipBody) {
		t.part(Part{Field: sipBody, Value: s.values, Off: s.off, Bytes: b, More: s.left > 0})
	}
	s.off += int64(len(b))
	if len(s.sdp)+len(b) <= sipMaxHead && s.off <= sipMaxHead {
		s.sdp = append(s.sdp, b...)
	}
	if s.left == 0 {
		d.announce(t, s.sdp)
		s.sdp = nil
	}
	t.flush(s.left == 0, s.left == 0)
}

// tellHead tells start line and headers.
func (d *sip) tellHead(t *teller, b []byte) {
	line, _, _ := bytes.Cut(b, []byte("\n"))
	first, rest, _ := bytes.Cut(bytes.TrimRight(line, "\r"), []byte(" "))
	if bytes.IndexByte(first, '/') >= 0 { // an answer
		code, reason, _ := bytes.Cut(rest, []byte(" "))
		t.add(sipVersion, first)
		t.add(sipCode, code)
		if len(reason) > 0 {
			t.add(sipReason, reason)
		}
	} else {
		t.add(sipMethod, first)
		if i := bytes.LastIndexByte(rest, ' '); i >= 0 {
			t.add(sipURI, rest[:i])
			t.add(sipVersion, rest[i+1:])
		}
	}
	for _, h := range []struct {
		f           Field
		name, short string
	}{{sipFrom, "from", "f"}, {sipTo, "to", "t"}, {sipCallID, "call-id", "i"}, {sipCallID, "session", "session"}, {sipAgent, "user-agent", "user-agent"}, {sipAgent, "server", "server"}} {
		if v := sipHeader(b, h.name, h.short); len(v) > 0 {
			t.add(h.f, v)
		}
	}
	t.add(sipHead, b)
}

// sipHeader returns the value of a header by its name, or its short form; both in lower case.
func sipHeader(b []byte, name, short string) []byte {
	for len(b) > 0 {
		var line []byte
		line, b, _ = bytes.Cut(b, []byte("\n"))
		key, v, ok := bytes.Cut(line, []byte(":"))
		if key = bytes.TrimRight(key, " \t"); ok && (bytes.EqualFold(key, []byte(name)) || bytes.EqualFold(key, []byte(short))) {
			return bytes.TrimSpace(v)
		}
	}
	return nil
}

// sipNumber reads digits; what is none is 0.
func sipNumber(b []byte) (n int) {
	for _, c := range b {
		if !isDigit(c) || n > 1<<30 {
			return n
		}
		n = n*10 + int(c-'0')
	}
	return n
}

// Gap implements Dissector.
func (d *sip) Gap(dir wire.Dir, n int, emit func(*Message)) bool {
	s := &d.side[dir]
	if int64(n) > s.left {
		return false
	}
	s.left -= int64(n)
	s.off += int64(n)
	if s.left == 0 {
		d.env.teller(d.p, dir, &s.unit, emit).flush(true, true)
	}
	return true
}

// Close implements Dissector.
func (d *sip) Close(dir wire.Dir, emit func(*Message)) {
	if s := &d.side[dir]; s.left > 0 {
		s.left = 0
		d.env.teller(d.p, dir, &s.unit, emit).flush(true, true)
	}
}

// Rest implements Dissector.
func (d *sip) Rest() (Rest, bool) {
	return Rest{ID: d.last, Tx: d.last}, d.side[0].left == 0 && d.side[1].left == 0
}

// Size implements Dissector.
func (d *sip) Size() int { return 192 + cap(d.side[0].sdp) + cap(d.side[1].sdp) }
