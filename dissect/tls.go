package dissect

import (
	"errors"

	"weir/wire"
)

// TLS is Transport Layer Security and its forerunners over a stream: RFC 8446, 5246, 4346, 2246, 6101 (SSL 3.0) and the
// SSL 2.0 ClientHello of RFC 5246 appendix E.2. What both ends say in the clear becomes one exchange; all that follows is
// ciphertext, which is walked over record by record and never held.
var TLS = Protocol{
	Name:    "tls",
	Carrier: Stream,
	Ports:   []uint16{443, 465, 563, 636, 853, 990, 992, 993, 995, 5061, 5223, 6443, 8443, 9443, 2376, 2379, 2380, 10250},
	Probe:   probeTLS,
	Fields: []FieldSpec{
		tlsSNI:           {Name: "tls.sni", EVE: "sni"},
		tlsVersion:       {Name: "tls.version", EVE: "version"},
		tlsALPN:          {Name: "tls.alpn", EVE: "client_alpns[]"},
		tlsServerALPN:    {Name: "tls.server_alpn", EVE: "server_alpns[]"},
		tlsCipher:        {Name: "tls.cipher"},
		tlsJA3:           {Name: "tls.ja3", EVE: "ja3/hash", Derived: true},
		tlsJA3String:     {Name: "tls.ja3_string", EVE: "ja3/string", Derived: true},
		tlsJA3S:          {Name: "tls.ja3s", EVE: "ja3s/hash", Derived: true},
		tlsJA3SString:    {Name: "tls.ja3s_string", EVE: "ja3s/string", Derived: true},
		tlsJA4:           {Name: "tls.ja4", EVE: "ja4", Derived: true},
		tlsSubject:       {Name: "tls.subject", EVE: "subject"},
		tlsIssuer:        {Name: "tls.issuerdn", EVE: "issuerdn"},
		tlsSerial:        {Name: "tls.serial", EVE: "serial", Derived: true},
		tlsFingerprint:   {Name: "tls.fingerprint", EVE: "fingerprint", Derived: true},
		tlsNotBefore:     {Name: "tls.notbefore", EVE: "notbefore", Derived: true},
		tlsNotAfter:      {Name: "tls.notafter", EVE: "notafter", Derived: true},
		tlsSAN:           {Name: "tls.san", EVE: "subjectaltname[]"},
		tlsResumed:       {Name: "tls.session_resumed", EVE: "session_resumed", Bool: true, Derived: true},
		tlsClientVersion: {Name: "tls.client_version", Derived: true},
		tlsAlert:         {Name: "tls.alert", Derived: true},
	},
	New: newTLS,
}

// Fields of TLS, in the order of TLS.Fields.
const (
	tlsSNI           Field = iota // a value for each name that the client gives
	tlsVersion                    // negotiated, as "TLS 1.2"
	tlsALPN                       // a value for each protocol offered
	tlsServerALPN                 // the protocol that the server chose
	tlsCipher                     // the IANA name of the negotiated suite
	tlsJA3                        // MD5 of JA3's string, hex
	tlsJA3String                  //
	tlsJA3S                       // MD5 of JA3S's string, hex
	tlsJA3SString                 //
	tlsJA4                        //
	tlsSubject                    // of the server's own certificate, as "C=FR, O=Example, CN=example.org"
	tlsIssuer                     // likewise
	tlsSerial                     // bytes in upper-case hex, with colons
	tlsFingerprint                // SHA-1 of the certificate, bytes in lower-case hex with colons
	tlsNotBefore                  // 2006-01-02T15:04:05, UTC
	tlsNotAfter                   // likewise
	tlsSAN                        // a value for each subject alternative name
	tlsResumed                    // "true" if the server took up an earlier session (up to TLS 1.2)
	tlsClientVersion              // the highest that the client offers, as "TLS 1.3"
	tlsAlert                      // description of an alert in the clear, as "handshake_failure"
)

// from the specification
const (
	tlsHeader     = 5              // bytes of a record header
	tlsMaxRecord  = 1<<14 + 2048   // bytes of a record's body, RFC 5246 section 6.2.3
	tlsMessage    = 4              // bytes of a handshake message's header
	recordCCS     = 20             // change_cipher_spec
	recordAlert   = 21             //
	recordShake   = 22             // handshake
	recordData    = 23             // application_data
	recordBeat    = 24             // heartbeat, RFC 6520
	clientHello   = 1              //
	serverHello   = 2              //
	certificate   = 11             //
	helloDone     = 14             // server_hello_done
	beatRequest   = 1              //
	beatResponse  = 2              //
	beatPadding   = 16             // bytes at least
	ssl2Hello     = 1              // SSL 2.0 MSG-CLIENT-HELLO
	ssl2Answer    = 4              // SSL 2.0 MSG-SERVER-HELLO
	certListBytes = 3              // bytes of a length of certificates
	certLeafAt    = tlsMessage + 6 // offset of the leaf in a Certificate message
)

// ours
const (
	maxTLSMessage = 64 << 10 // bytes of a hello or a leaf certificate; larger ones are passed over
	maxTLSParts   = 64       // parts that are collected before they are emitted
)

// errTLSRecord is Feed's error: the flow is inspected as raw from there on. It never comes after ciphertext.
var errTLSRecord = errors.New("tls: not a record")

// tlsState is how a direction is read.
type tlsState uint8

const (
	tlsClear  tlsState = iota // records whose bodies are looked into
	tlsSealed                 // records whose bodies are ciphertext
	tlsOpaque                 // ciphertext with no known place in it
)

// tlsSide is the state of one direction.
type tlsSide struct {
	state  tlsState
	typ    uint8           // of the record in hand
	hn     uint8           // bytes in hdr
	hdr    [tlsHeader]byte // of a record of ciphertext, as far as it came
	begun  bool            // a record was seen
	ccs    bool            // ChangeCipherSpec was passed over, not knowing what it means yet
	held   bool            // the last Feed left bytes over
	left   int32           // bytes of the record in hand that are still to come
	skip   int32           // bytes of the handshake message in hand that are passed over
	told   uint16          // noteKinds that were told
	id     uint64          // of the message in hand; 0: none
	values uint32          // value numbers given
}

// tls parses one flow.
type tls struct {
	p       *Protocol
	env     *Env
	side    [2]tlsSide
	lastID  uint64
	session uint32 // hash of the session id that the client offered; 0: none
	version uint16 // negotiated; 0: not known yet
	offer   uint16 // the highest version that the client offered
	hello   bool   // a ClientHello was told
	retry   bool   // a HelloRetryRequest was seen
	answer  bool   // a ServerHello was told
	cert    bool   // a Certificate was seen
	more    bool   // a ServerHelloDone was seen: a full handshake
	done    bool   // TxEnd was told
	sealed  bool   // all records from here on are ciphertext, both ways
}

func newTLS(p *Protocol, env *Env) Dissector { return &tls{p: p, env: env} }

// Feed implements Dissector.
func (d *tls) Feed(dir wire.Dir, data []byte, emit func(*Message)) (pr Progress, err error) {
	s := &d.side[dir]
	s.held = false
	for pr.Used < len(data) {
		b := data[pr.Used:]
		if d.sealed && s.state == tlsClear {
			s.state, s.skip = tlsSealed, 0
		}
		switch s.state {
		case tlsOpaque:
			pr.Opaque += len(b)
			pr.Used = len(data)
		case tlsSealed:
			n, opaque := d.ciphertext(dir, s, b, emit)
			pr.Used += n
			pr.Opaque += opaque
		default:
			n, need, err := d.clear(dir, s, b, emit)
			pr.Used += n
			if err != nil {
				return pr, err
			}
			if need > 0 {
				pr.Need, s.held = need, true
				return pr, nil
			}
		}
	}
	return pr, nil
}

// ciphertext walks over records. It uses all of b, unless a record turns out to be in the clear.
func (d *tls) ciphertext(dir wire.Dir, s *tlsSide, b []byte, emit func(*Message)) (used, opaque int) {
	for used < len(b) {
		if s.left > 0 {
			n := min(int(s.left), len(b)-used)
			s.left -= int32(n)
			used += n
			opaque += n
			continue
		}
		n := copy(s.hdr[s.hn:], b[used:])
		s.hn += uint8(n)
		used += n
		if s.hn < tlsHeader {
			break
		}
		s.hn = 0
		typ, size, ok := tlsRecord(s.hdr[:])
		if !ok { // the end may have gone back to plain bytes; nothing tells
			s.state = tlsOpaque
			d.note(dir, s, noteTLSRecord, emit)
			break
		}
		s.typ, s.left = typ, int32(size)
		if !d.sealed && !s.ccs && (typ == recordShake || typ == recordAlert && size == 2) {
			s.state = tlsClear // early data, then a second ClientHello
			break
		}
	}
	return used, opaque
}

// clear parses from the front of b, which is not empty.
func (d *tls) clear(dir wire.Dir, s *tlsSide, b []byte, emit func(*Message)) (used, need int, err error) {
	if s.left > 0 {
		return d.body(dir, s, b, emit)
	}
	if !s.begun && b[0]&0x80 != 0 {
		return d.ssl2(dir, s, b, emit)
	}
	if len(b) < tlsHeader {
		return 0, tlsHeader - len(b), nil
	}
	typ, size, ok := tlsRecord(b)
	if !ok {
		d.finish(dir, emit)
		return 0, 0, errTLSRecord
	}
	s.begun = true
	s.typ, s.left = typ, int32(size)
	return tlsHeader, 0, nil
}

// body parses the body of the record in hand from the front of b.
func (d *tls) body(dir wire.Dir, s *tlsSide, b []byte, emit func(*Message)) (used, need int, err error) {
	switch s.typ {
	case recordShake:
		return d.handshake(dir, s, b, emit)
	case recordCCS:
		d.changeCipher(dir, s, emit)
	case recordAlert:
		if s.left != 2 {
			break
		}
		if len(b) < 2 {
			return 0, 1, nil
		}
		d.alert(dir, s, b[0], b[1], emit)
	case recordBeat:
		if len(b) < min(3, int(s.left)) {
			return 0, min(3, int(s.left)) - len(b), nil
		}
		d.heartbeat(dir, s, b, emit)
	case recordData:
		s.state = tlsSealed
		return 0, 0, nil
	}
	n := min(len(b), int(s.left)) // what remains of the record tells nothing
	s.left -= int32(n)
	if s.left > 0 && s.typ != recordCCS {
		s.state = tlsSealed
	}
	return n, 0, nil
}

// changeCipher deals with ChangeCipherSpec: up to TLS 1.2 the direction is ciphertext from here on; in TLS 1.3 it means nothing.
func (d *tls) changeCipher(dir wire.Dir, s *tlsSide, emit func(*Message)) {
	switch {
	case d.retry || tls13(d.version) || d.version == 0 && tls13(d.offer):
		s.ccs = d.version == 0 && !d.retry
		return
	case d.answer && s.id != 0 && !d.cert && !d.more && s == &d.side[dir]:
		if d.serverSide(dir) {
			d.resumed(dir, s, emit)
		}
	}
	if d.answer && d.serverSide(dir) && !d.done {
		d.end(dir, s, true, emit)
	}
	s.state, s.ccs = tlsSealed, true
}

// serverSide reports whether dir is the one that the ServerHello came from and its message is still open.
func (d *tls) serverSide(dir wire.Dir) bool { return d.answer && d.side[dir].id != 0 }

// heartbeat looks at a heartbeat message for a payload length that reaches past its record (CVE-2014-0160).
func (d *tls) heartbeat(dir wire.Dir, s *tlsSide, b []byte, emit func(*Message)) {
	c := wire.Cut(b)
	typ, n := c.U8(), int(c.U16())
	if c.Short() || typ != beatRequest && typ != beatResponse {
		return
	}
	if 3+n > int(s.left) || typ == beatRequest && 3+n+beatPadding > int(s.left) {
		d.note(dir, s, noteTLSHeartbleed, emit)
	}
}

// Gap implements Dissector.
func (d *tls) Gap(dir wire.Dir, n int, emit func(*Message)) bool {
	s := &d.side[dir]
	switch {
	case s.state == tlsSealed && s.hn == 0 && !s.held && n <= int(s.left):
		s.left -= int32(n)
	case s.state == tlsClear && !s.held && s.typ != recordShake && n <= int(s.left):
		s.left -= int32(n)
	default:
		s.state, s.left, s.skip, s.hn = tlsOpaque, 0, 0, 0
	}
	s.held = false
	return true
}

// Close implements Dissector.
func (d *tls) Close(dir wire.Dir, emit func(*Message)) {
	if s := &d.side[dir]; s.id != 0 && !d.done {
		d.end(dir, s, d.answer, emit)
	}
}

// finish ends what is open, before the dissector is dropped.
func (d *tls) finish(dir wire.Dir, emit func(*Message)) {
	d.Close(dir, emit)
	d.Close(dir.Other(), emit)
}

// tlsRecord reads a record header.
func tlsRecord(b []byte) (typ uint8, size int, ok bool) {
	typ, size = b[0], int(b[3])<<8|int(b[4])
	return typ, size, typ >= recordCCS && typ <= recordBeat && b[1] == 3 && b[2] <= 4 && size <= tlsMaxRecord
}

// tls13 reports whether a version is TLS 1.3 or one of its drafts.
func tls13(v uint16) bool { return v == 0x0304 || v>>8 == 0x7f || v>>8 == 0xfb }
