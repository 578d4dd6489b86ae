package dissect

// tlsScratch is what tls dissectors share: nothing in it outlives a call.
type tlsScratch struct {
	msg    Message
	parts  []Part
	notes  []Note
	text   []byte // bytes of the parts collected that are no part of the input
	joined []byte // a handshake message that came in several records
	sorted []uint16
	hexed  []byte
	hello  tlsHello
	plain  []byte // a packet that was decrypted
}

func (e *Env) tlsScratch() *tlsScratch {
	s := e.scratch()
	if s.tls == nil {
		s.tls = &tlsScratch{parts: make([]Part, 0, maxTLSParts), notes: make([]Note, 0, tlsNoteKinds)}
	}
	return s.tls
}

// keep returns what write appends to the scratch text; it is valid until the next flush.
func (x *tlsScratch) keep(write func([]byte) []byte) []byte {
	at := len(x.text)
	x.text = write(x.text)
	return x.text[at:len(x.text):len(x.text)]
}

func (d *tls) wants(f Field) bool { return d.env.Want.Has(d.p, f) }

// begin opens a message of the direction.
func (d *tls) begin(s *tlsSide) {
	d.lastID++
	s.id, s.values = d.lastID, 0
}

// add collects a value that is whole.
func (d *tls) add(s *tlsSide, f Field, b []byte) {
	if x := d.env.tlsScratch(); d.wants(f) {
		s.values++
		x.parts = append(x.parts, Part{Field: f, Value: s.values, Bytes: b})
	}
}

// addOne collects one value of many, which borrows nothing from the scratch.
func (d *tls) addOne(s *tlsSide, f Field, b []byte) {
	d.add(s, f, b)
	if len(d.env.tlsScratch().parts) >= maxTLSParts {
		d.flush(s, false, false)
	}
}

// end closes the message in hand, and with tx the exchange.
func (d *tls) end(s *tlsSide, tx bool) {
	tx = tx && !d.done
	d.done = d.done || tx
	d.flush(s, true, tx)
	s.id = 0
}

// flush emits what is collected.
func (d *tls) flush(s *tlsSide, end, tx bool) {
	x := d.env.tlsScratch()
	if !end && len(x.parts) == 0 && len(x.notes) == 0 {
		return
	}
	x.msg = Message{Protocol: d.p, ID: s.id, Tx: d.tx, Dir: d.dir, Parts: x.parts, Notes: x.notes, End: end, TxEnd: tx}
	d.emit(&x.msg)
	x.msg = Message{}
	clear(x.parts)
	x.parts, x.notes = x.parts[:0], x.notes[:0]
	if cap(x.text) > maxScratch {
		x.text = nil
	}
	x.text = x.text[:0]
}

// note tells a violation at once; in a message of its own if none is in hand.
func (d *tls) note(s *tlsSide, k tlsNoteKind) {
	x := d.env.tlsScratch()
	if s.told&(1<<k) != 0 {
		return
	}
	x.note(s, k)
	if s.id != 0 {
		d.flush(s, false, false)
		return
	}
	d.begin(s)
	d.end(s, false)
}

// note collects a violation; it is told once for each direction.
func (x *tlsScratch) note(s *tlsSide, k tlsNoteKind) {
	if s.told&(1<<k) == 0 {
		s.told |= 1 << k
		x.notes = append(x.notes, tlsNotes[k])
	}
}

// alert tells an alert in the clear. A fatal one before the handshake is through ends the exchange.
func (d *tls) alert(s *tlsSide, level, description uint8) {
	const fatal = 2
	open := s.id != 0
	if !open {
		d.begin(s)
	}
	if d.wants(tlsAlert) {
		d.add(s, tlsAlert, d.env.tlsScratch().keep(func(b []byte) []byte { return appendAlert(b, description) }))
	}
	if open && level != fatal {
		d.flush(s, false, false)
		return
	}
	d.end(s, level == fatal && d.hello)
}

// tlsNoteKind is an index into tlsNotes.
type tlsNoteKind uint8

const (
	noteTLSHello tlsNoteKind = iota
	noteTLSHeartbleed
	noteTLSOld
	noteTLSSSL2
	noteTLSRecord
	noteTLSCertificate
	noteTLSChanged
	noteTLSNull
	noteTLSCiphers
	noteTLSExpired
	noteTLSTor
	tlsNoteKinds
)

var tlsNotes = [tlsNoteKinds]Note{
	noteTLSHello:       {"tls.malformed_hello", false, "a handshake message whose lengths lie, or that is larger than is waited for"},
	noteTLSHeartbleed:  {"tls.heartbleed", true, "a heartbeat whose payload length reaches past its record (CVE-2014-0160)"},
	noteTLSOld:         {"tls.old_version", false, "a version before TLS 1.2 was negotiated (RFC 8996)"},
	noteTLSSSL2:        {"tls.ssl2_hello", false, "a ClientHello in the form of SSL 2.0 (RFC 6176)"},
	noteTLSRecord:      {"tls.bad_record", false, "bytes after ciphertext that are no record: nothing more of this direction is looked into"},
	noteTLSCertificate: {"tls.bad_certificate", false, "a certificate that is not well formed, or larger than is waited for"},
	noteTLSChanged:     {"tls.name_changed", true, "the second ClientHello names another server than the first"},
	noteTLSNull:        {"tls.null_cipher", true, "the cipher suite that was negotiated does not encrypt"},
	noteTLSCiphers:     {"tls.cipher_overflow", true, "a hello with more cipher suites than there are, or with lengths that overflow what an SSL 2.0 server keeps of them"},
	noteTLSExpired:     {"tls.expired_certificate", false, "the server's certificate is not valid at the time: it was, or is not yet"},
	noteTLSTor:         {"tls.tor_like", false, "names as Tor makes them up: of the server in a ClientHello without ALPN, or of subject and issuer in a certificate"},
}
