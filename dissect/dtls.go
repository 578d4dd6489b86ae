package dissect

import (
	"errors"

	"weir/wire"
)

// DTLS is Datagram Transport Layer Security: RFC 4347, 6347, 9147. What both ends say in the clear is one exchange, told as TLS tells it; all that
// follows is ciphertext.
var DTLS = Protocol{
	Name: "dtls",
	About: "DTLS 1.0 to 1.3 (RFC 4347, RFC 6347, RFC 9147). What both ends say in the clear is one exchange with an event `dtls` and the " +
		"fields of `tls`, hellos in fragments among it; ciphertext is counted as not looked into (`weir.uninspected`, reason `encrypted`).",
	Carrier: Datagram, Ports: []uint16{443, 853, 4433, 5684}, Probe: probeDTLS, New: newDTLS, Resume: resumeDTLS, Fields: TLS.Fields,
}

// from the specification
const (
	dtls10     = 0xfeff
	dtls13     = 0xfefc
	dtlsOld    = 0x0100 // OpenSSL's, from before RFC 4347
	dtlsHeader = 13     // bytes of a record header, RFC 6347 section 4.1
	dtlsShake  = 12     // bytes of a handshake message's header
	dtlsVerify = 3      // hello_verify_request
)

// ours
const (
	dtlsMaxMessage = 32 << 10 // bytes of a handshake message that comes in fragments
	dtlsMaxSpans   = 64       // pieces of one that are apart
	dtlsMaxShakes  = 64       // handshake records of a direction that are looked at before the exchange is complete
)

var errDTLS = errors.New("dtls: not a record")

// dtls parses one flow.
type dtls struct {
	tls  tls // what hellos tell
	side [2]dtlsSide
}

// dtlsSide is a handshake message of a direction that comes in fragments.
type dtlsSide struct {
	spans
	shakes uint8
	typ    uint8
	seq    uint16
	length uint32 // 0: none
}

func newDTLS(p *Protocol, env *Env) Dissector {
	return &dtls{tls: tls{p: p, env: env, tx: 1, letter: 'd'}}
}

// dtlsRecord reads a record's header and body. It reports false if there is none in the clear form.
func dtlsRecord(c *wire.Cursor) (typ uint8, epoch uint16, body []byte, ok bool) {
	typ = c.U8()
	version := c.U16()
	epoch = c.U16()
	c.Skip(6)
	v := c.Vec16()
	return typ, epoch, v.Rest(), !c.Short() && (typ >= recordCCS && typ <= recordBeat || typ == 25 || typ == 26) && dtlsVersion(version)
}

func dtlsVersion(v uint16) bool { return v>>8 == 0xfe && v&0xff >= 0xfc || v == dtlsOld }

// probeDTLS says Yes to a datagram full of records, of which the first is a handshake message in the clear, or is as long as the datagram.
func probeDTLS(_ wire.Dir, head []byte) Guess {
	if len(head) < dtlsHeader+2 || head[0] < recordCCS || head[0] > recordBeat {
		return No
	}
	for c, first := wire.Cut(head), true; c.Len() > 0; first = false {
		typ, epoch, body, ok := dtlsRecord(&c)
		switch {
		case !ok && !first && len(head) == MaxProbe: // cut
			return Yes
		case !ok && !first && (c.Short() || c.Len() == 0):
			return No
		case !ok:
			return No
		case first && typ == recordShake && epoch == 0 && !dtlsShakes(body):
			return No
		case first && epoch == 0 && (typ == recordCCS && len(body) != 1 && len(body) != 3 || typ == recordAlert && len(body) != 2 || typ == recordData):
			return No
		}
	}
	return Yes
}

// dtlsShakes reports whether a record's body begins with a handshake message whose lengths fit.
func dtlsShakes(b []byte) bool {
	c := wire.Cut(b)
	typ, size := c.U8(), c.U24()
	c.Skip(2)
	off, n := c.U24(), c.U24()
	return !c.Short() && typ <= 25 && int(n) <= c.Len() && off+n <= size
}

// Feed implements Dissector.
func (d *dtls) Feed(dir wire.Dir, data []byte, emit func(*Message)) (Progress, error) {
	d.tls.emit, d.tls.dir = emit, dir
	defer func() { d.tls.emit = nil }()
	pr := Progress{Used: len(data)}
	if len(data) == 0 {
		return pr, nil
	}
	if d.tls.hello && isSTUN(data) { // WebRTC's: RFC 7983
		return Progress{}, nil
	}
	if data[0]&0xe0 == 0x20 { // ciphertext of DTLS 1.3, RFC 9147 section 4
		pr.Opaque = len(data)
		return pr, nil
	}
	for c := wire.Cut(data); c.Len() > 0; {
		at := c
		typ, epoch, body, ok := dtlsRecord(&c)
		if !ok {
			if at.Len() == len(data) {
				return Progress{}, errDTLS
			}
			pr.Opaque += at.Len()
			break
		}
		if epoch > 0 || typ == recordData {
			pr.Opaque += len(body)
			continue
		}
		d.record(typ, body)
	}
	return pr, nil
}

// record deals with a record in the clear.
func (d *dtls) record(typ uint8, b []byte) {
	s := &d.tls.side[d.tls.dir]
	switch typ {
	case recordShake:
		if w := &d.side[d.tls.dir]; w.shakes < dtlsMaxShakes {
			w.shakes++
			d.handshake(s, w, b)
		}
	case recordCCS:
		if s.id != 0 && !tls13(d.tls.version) {
			d.tls.add(s, tlsResumed, []byte("true"))
			d.tls.end(s, true)
		}
	case recordAlert:
		if len(b) == 2 {
			d.tls.alert(s, b[0], b[1])
		}
	case recordBeat:
		s.left = int32(len(b))
		d.tls.heartbeat(s, b)
		s.left = 0
	}
}

// handshake deals with the handshake messages of a record, or fragments of them.
func (d *dtls) handshake(s *tlsSide, w *dtlsSide, b []byte) {
	for c := wire.Cut(b); c.Len() > 0; {
		typ, size, seq, off := c.U8(), c.U24(), c.U16(), c.U24()
		n := c.U24()
		body := c.Bytes(int(n))
		switch {
		case c.Short() || off+n > size:
			d.tls.note(s, noteTLSHello)
			return
		case n == size:
			d.message(s, typ, body)
			continue
		case w.typ != typ || w.seq != seq || w.length != size:
			*w = dtlsSide{shakes: w.shakes, typ: typ, seq: seq, length: size}
		}
		w.add(uint64(off), body, min(dtlsMaxMessage, int(size)), dtlsMaxSpans)
		if len(w.have) == 1 && w.have[0].from == 0 && (w.have[0].to == int(size) || typ == certificate && dtlsLeaf(w.buf[:w.have[0].to])) {
			whole := w.buf[:w.have[0].to]
			*w = dtlsSide{shakes: w.shakes}
			d.message(s, typ, whole)
		}
	}
}

// dtlsLeaf reports whether the leaf of a Certificate message is all in b.
func dtlsLeaf(b []byte) bool {
	c := wire.Cut(b)
	c.Skip(certListBytes)
	c.Vec24()
	return !c.Short()
}

// message deals with a handshake message.
func (d *dtls) message(s *tlsSide, typ uint8, b []byte) {
	switch typ {
	case clientHello:
		d.tls.clientHello(s, b)
	case serverHello:
		d.tls.serverHello(s, b)
		if tls13(d.tls.version) {
			d.tls.sealed = true
		}
	case certificate:
		if s.id == 0 || d.tls.cert {
			return
		}
		c := wire.Cut(b)
		c.Skip(certListBytes)
		leaf := c.Vec24()
		if c.Short() {
			d.tls.note(s, noteTLSCertificate)
			return
		}
		d.tls.cert = true
		d.tls.certificate(s, leaf.Rest())
		for c.Len() > 0 {
			if issuer := c.Vec24(); !c.Short() {
				d.tls.name(s, d.tls.env.tlsScratch(), tlsChain, readCertificate(issuer.Rest()).subject)
			}
		}
		d.tls.end(s, true)
	case helloDone:
		if s.id != 0 {
			d.tls.end(s, true)
		}
	}
}

// Gap implements Dissector.
func (d *dtls) Gap(wire.Dir, int, func(*Message)) bool { return true }

// Close implements Dissector.
func (d *dtls) Close(dir wire.Dir, emit func(*Message)) { d.tls.Close(dir, emit) }

// Rest implements Dissector: once the exchange is complete.
func (d *dtls) Rest() (Rest, bool) {
	return Rest{ID: d.tls.lastID, Tx: d.tls.tx, State: uint64(d.tls.version)}, d.tls.done && d.tls.side[0].id == 0 && d.tls.side[1].id == 0
}

func resumeDTLS(p *Protocol, env *Env, r Rest) Dissector {
	d := newDTLS(p, env).(*dtls)
	t := &d.tls
	t.lastID, t.tx, t.version = r.ID, r.Tx, uint16(r.State)
	t.hello, t.answer, t.cert, t.done = true, true, true, true
	d.side[0].shakes, d.side[1].shakes = dtlsMaxShakes, dtlsMaxShakes
	return d
}

// Size implements Dissector.
func (d *dtls) Size() int { return 320 + d.side[0].size() + d.side[1].size() }
