package dissect

import (
	"errors"

	"weir/wire"
)

// TLS is Transport Layer Security and its forerunners over a stream: RFC 8446, 5246, 4346, 2246, 6101 (SSL 3.0) and the
// SSL 2.0 ClientHello of RFC 5246 appendix E.2. What both ends say in the clear becomes one exchange; all that follows
// is ciphertext, which is walked over record by record and never held.
var TLS = Protocol{
	Name: "tls",
	About: "TLS up to 1.3, SSL 3.0 and the SSL 2.0 ClientHello: RFC 8446, RFC 5246. What both ends say in the clear is one exchange with " +
		"an event `tls`; the ciphertext is walked over and counted as not looked into (`weir.uninspected`, reason `encrypted`). From " +
		"TLS 1.3 on certificates are encrypted: their fields are empty then. Behind STARTTLS `tls.from_proto` names the protocol before it.",
	Carrier: Stream,
	Ports:   []uint16{443, 465, 563, 636, 853, 990, 992, 993, 995, 5061, 5223, 6443, 8443, 9443, 2376, 2379, 2380, 10250},
	Probe:   probeTLS,
	Fields: []FieldSpec{
		tlsSNI:           {Name: "tls.sni", Doc: "server name that the client asks for; a value for each", EVE: "sni"},
		tlsVersion:       {Name: "tls.version", Doc: "negotiated version, as `TLS 1.2`", EVE: "version"},
		tlsALPN:          {Name: "tls.alpn", Doc: "protocols that the client offers, a value for each", EVE: "client_alpns[]"},
		tlsServerALPN:    {Name: "tls.server_alpn", Doc: "the protocol that the server chose", EVE: "server_alpns[]"},
		tlsCipher:        {Name: "tls.cipher", Doc: "negotiated cipher suite, IANA name", EVE: "cipher"},
		tlsJA3:           {Name: "tls.ja3", Doc: "JA3 of the client, MD5 in hex", EVE: "ja3/hash", Derived: true},
		tlsJA3String:     {Name: "tls.ja3_string", Doc: "what JA3 is the hash of", EVE: "ja3/string", Derived: true},
		tlsJA3S:          {Name: "tls.ja3s", Doc: "JA3S of the server's first hello, a HelloRetryRequest too, MD5 in hex", EVE: "ja3s/hash", Derived: true},
		tlsJA3SString:    {Name: "tls.ja3s_string", Doc: "what JA3S is the hash of", EVE: "ja3s/string", Derived: true},
		tlsJA4:           {Name: "tls.ja4", Doc: "JA4 of the client", EVE: "ja4", Derived: true},
		tlsSubject:       {Name: "tls.subject", Doc: "subject of the server's certificate, as `C=FR, O=Example, CN=example.org`", EVE: "subject"},
		tlsIssuer:        {Name: "tls.issuerdn", Doc: "its issuer", EVE: "issuerdn"},
		tlsSerial:        {Name: "tls.serial", Doc: "its serial number, upper-case hex with colons", EVE: "serial", Derived: true},
		tlsFingerprint:   {Name: "tls.fingerprint", Doc: "its SHA-1, lower-case hex with colons", EVE: "fingerprint", Derived: true},
		tlsNotBefore:     {Name: "tls.notbefore", Doc: "begin of its validity, UTC", EVE: "notbefore", Derived: true},
		tlsNotAfter:      {Name: "tls.notafter", Doc: "end of its validity, UTC", EVE: "notafter", Derived: true},
		tlsSAN:           {Name: "tls.san", Doc: "its subject alternative names, a value for each", EVE: "subjectaltname[]"},
		tlsResumed:       {Name: "tls.session_resumed", Doc: "`true` if an earlier session was taken up (up to TLS 1.2)", EVE: "session_resumed", Bool: true, Derived: true},
		tlsClientVersion: {Name: "tls.client_version", Doc: "the highest version that the client offers", Derived: true},
		tlsChain:         {Name: "tls.chain", Doc: "subjects of the certificates behind the server's own, a value for each", EVE: "chain_subjects[]"},
		tlsSelfSigned:    {Name: "tls.self_signed", Doc: "`true` if the server's certificate names itself as its issuer", EVE: "self_signed", Bool: true, Derived: true},
		tlsAlert:         {Name: "tls.alert", Doc: "description of an alert in the clear, as `handshake_failure`", EVE: "alert", Derived: true},
	},
	New:    newTLS,
	Resume: resumeTLS,
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
	tlsChain                      // a value for each certificate behind the server's own
	tlsSelfSigned                 // "true" if subject and issuer are the same
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
	typ    uint8           // of the record in hand; 0: its body is passed over
	hn     uint8           // bytes in hdr
	hdr    [tlsHeader]byte // of a record of ciphertext, as far as it came
	begun  bool            // a record was seen
	ccs    bool            // ChangeCipherSpec was passed over, not knowing what it means
	chain  bool            // it is a certificate's, whose issuers are looked at
	held   bool            // the last Feed left bytes over
	left   int32           // bytes of the record in hand that are still to come
	skip   int32           // bytes of the handshake message in hand that are passed over
	told   uint16          // noteKinds that were told
	values uint32          // value numbers given
	id     uint64          // of the message in hand, which is the server's; 0: none
}

// tls parses one flow.
type tls struct {
	p       *Protocol
	env     *Env
	emit    func(*Message) // during a call
	side    [2]tlsSide
	lastID  uint64
	tx      uint64         // the exchange: there is one
	names   uint32         // hash of the names in the ClientHello
	version uint16         // negotiated; 0: not known yet
	offer   uint16         // the highest version that the client offered
	dir     wire.Dir       // during a call
	hello   bool           // a ClientHello was told
	retry   bool           // a HelloRetryRequest was seen
	answer  bool           // a ServerHello was told
	cert    bool           // a Certificate was seen
	done    bool           // TxEnd was told
	sealed  bool           // all records from here on are ciphertext, both ways
	letter  byte           // JA4's for what carries it
	first   func(*tlsSide) // tells what comes before a ClientHello's values; nil: nothing
}

func newTLS(p *Protocol, env *Env) Dissector { return &tls{p: p, env: env, tx: 1, letter: 't'} }

// Feed implements Dissector.
func (d *tls) Feed(dir wire.Dir, data []byte, emit func(*Message)) (pr Progress, err error) {
	d.emit, d.dir = emit, dir
	s := &d.side[dir]
	s.held = false
	for pr.Used < len(data) && pr.Need == 0 && err == nil {
		b := data[pr.Used:]
		if d.sealed && s.state == tlsClear {
			s.state, s.skip = tlsSealed, 0
		}
		n := len(b)
		switch s.state {
		case tlsOpaque:
			pr.Opaque += n
		case tlsSealed:
			opaque := 0
			n, opaque = d.ciphertext(s, b)
			pr.Opaque += opaque
		case tlsClear:
			over := s.typ == recordShake && s.skip > 0 // within a message that is passed over
			n, pr.Need, err = d.clear(s, b)
			if over {
				pr.Passed += n
			}
		}
		pr.Used += n
	}
	s.held = pr.Need > 0
	d.emit = nil
	return pr, err
}

// ciphertext walks over records. It uses all of b, unless the place is lost or a record is in the clear.
func (d *tls) ciphertext(s *tlsSide, b []byte) (used, opaque int) {
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
		if !ok {
			s.state = tlsOpaque
			d.note(s, noteTLSRecord)
			break
		}
		s.typ, s.left = typ, int32(size)
		if typ == recordShake && d.hello && !d.answer && tls13(d.offer) { // early data was refused: a second ClientHello
			s.state = tlsClear
			break
		}
	}
	return used, opaque
}

// clear parses from the front of b, which is not empty.
func (d *tls) clear(s *tlsSide, b []byte) (used, need int, err error) {
	if s.left > 0 {
		return d.body(s, b)
	}
	if !s.begun && b[0]&0x80 != 0 {
		return d.ssl2(s, b)
	}
	if len(b) < tlsHeader {
		return 0, tlsHeader - len(b), nil
	}
	typ, size, ok := tlsRecord(b)
	if !ok {
		return d.notRecord(s)
	}
	s.begun = true
	s.typ, s.left = typ, int32(size)
	return tlsHeader, 0, nil
}

// notRecord is what clear answers to bytes that are no record. Once there was ciphertext, raw inspection of what
// follows would be of no use.
func (d *tls) notRecord(s *tlsSide) (used, need int, err error) {
	if d.side[0].state == tlsClear && d.side[1].state == tlsClear {
		return 0, 0, errTLSRecord
	}
	s.state = tlsOpaque
	d.note(s, noteTLSRecord)
	return 0, 0, nil
}

// body parses the body of the record in hand from the front of b.
func (d *tls) body(s *tlsSide, b []byte) (used, need int, err error) {
	switch s.typ {
	case recordShake:
		return d.handshake(s, b)
	case recordCCS:
		d.changeCipher(s)
	case recordAlert:
		if s.left != 2 {
			s.state = tlsSealed
			return 0, 0, nil
		}
		if len(b) < 2 {
			return 0, 1, nil
		}
		d.alert(s, b[0], b[1])
	case recordBeat:
		if n := min(3, int(s.left)) - len(b); n > 0 {
			return 0, n, nil
		}
		d.heartbeat(s, b)
	case recordData:
		s.state = tlsSealed
		return 0, 0, nil
	}
	s.typ = 0 // what remains of it tells nothing
	n := min(len(b), int(s.left))
	s.left -= int32(n)
	return n, 0, nil
}

// changeCipher deals with ChangeCipherSpec: up to TLS 1.2 the direction is ciphertext from here on; in TLS 1.3 it means
// nothing.
func (d *tls) changeCipher(s *tlsSide) {
	if d.retry || tls13(d.version) || d.version == 0 && tls13(d.offer) {
		s.ccs = !d.retry
		return
	}
	if s.id != 0 { // neither Certificate nor ServerHelloDone came
		d.add(s, tlsResumed, []byte("true"))
		d.end(s, true)
	}
	s.state = tlsSealed
}

// heartbeat looks at a heartbeat message for a payload length that reaches past its record (CVE-2014-0160).
func (d *tls) heartbeat(s *tlsSide, b []byte) {
	c := wire.Cut(b)
	typ, n := c.U8(), int(c.U16())
	if c.Short() || typ != beatRequest && typ != beatResponse {
		return
	}
	if 3+n > int(s.left) || typ == beatRequest && 3+n+beatPadding > int(s.left) {
		d.note(s, noteTLSHeartbleed)
	}
}

// Gap implements Dissector.
func (d *tls) Gap(dir wire.Dir, n int, emit func(*Message)) bool {
	s := &d.side[dir]
	rest := s.left // bytes that may be lost and no harm done
	inShake := s.state == tlsClear && s.typ == recordShake
	if inShake {
		rest = min(rest, s.skip)
	}
	if s.state == tlsOpaque || s.held || s.hn > 0 || n < 0 || n > int(rest) {
		s.state, s.left, s.skip, s.hn = tlsOpaque, 0, 0, 0
		return true
	}
	s.left -= int32(n)
	if inShake {
		s.skip -= int32(n)
	}
	if s.chain && n > 0 { // where the next certificate begins is not known any more
		d.emit, d.dir = emit, dir
		d.unchain(s)
		d.emit = nil
	}
	return true
}

// Close implements Dissector.
func (d *tls) Close(dir wire.Dir, emit func(*Message)) {
	d.emit, d.dir = emit, dir
	if s := &d.side[dir]; s.id != 0 {
		d.end(s, true)
	}
	d.emit = nil
}

// tlsRecord reads a record header.
func tlsRecord(b []byte) (typ uint8, size int, ok bool) {
	typ, size = b[0], int(b[3])<<8|int(b[4])
	return typ, size, typ >= recordCCS && typ <= recordBeat && b[1] == 3 && b[2] <= 4 && size <= tlsMaxRecord
}

// tls13 reports whether a version is TLS 1.3 or one of its drafts.
func tls13(v uint16) bool { return v == 0x0304 || v>>8 == 0x7f || v>>8 == 0xfb || v == dtls13 }
