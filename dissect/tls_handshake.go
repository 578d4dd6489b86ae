package dissect

import (
	"strings"

	"weir/wire"
)

// handshake parses handshake messages from the front of b, which begins at the start of a message, or inside one that
// is passed over.
func (d *tls) handshake(s *tlsSide, b []byte) (used, need int, err error) {
	if s.skip > 0 && s.chain {
		return d.issuer(s, b)
	}
	if s.skip > 0 {
		n := min(int(s.skip), int(s.left), len(b))
		s.skip -= int32(n)
		s.left -= int32(n)
		return n, 0, nil
	}
	x := d.env.tlsScratch()
	h, _, _, need, ok := x.gather(b, int(s.left), tlsMessage)
	if need > 0 || !ok {
		return d.unfinished(s, need, ok)
	}
	typ, size := h[0], int(h[1])<<16|int(h[2])<<8|int(h[3])
	if s.ccs && (typ != clientHello || size > maxTLSMessage) { // it did mean what it says
		s.state = tlsSealed
		return 0, 0, nil
	}
	want, all := tlsMessage, tlsMessage+size
	switch {
	case typ > 24 && typ != 67 && typ != 254 || size > maxTLSMessage && (typ == clientHello || typ == serverHello):
		d.malformed(s)
		return 0, 0, nil
	case typ == clientHello, typ == serverHello:
		want = all
	case typ == certificate && s.id != 0 && !d.cert && size >= 2*certListBytes:
		if h, _, _, need, ok = x.gather(b, int(s.left), certLeafAt); need > 0 || !ok {
			return d.unfinished(s, need, ok)
		}
		if n := int(h[7])<<16 | int(h[8])<<8 | int(h[9]); n <= min(maxTLSMessage, size-2*certListBytes) {
			want = certLeafAt + n
		} else {
			d.note(s, noteTLSCertificate)
		}
	}
	m, n, left, need, ok := x.gather(b, int(s.left), want)
	if need > 0 || !ok {
		return d.unfinished(s, need, ok)
	}
	s.left, s.skip = int32(left), int32(all-want)
	d.message(s, typ, m)
	return n, 0, nil
}

// issuer takes the next certificate behind the server's own. What is no certificate any more is passed over.
func (d *tls) issuer(s *tlsSide, b []byte) (used, need int, err error) {
	x := d.env.tlsScratch()
	n, fits := 0, false
	h, _, _, need, ok := x.gather(b, int(s.left), certListBytes)
	if ok && need == 0 {
		n = certListBytes + (int(h[0])<<16 | int(h[1])<<8 | int(h[2]))
		fits = n <= min(maxTLSMessage, int(s.skip))
	}
	if fits {
		h, used, left, need, ok := x.gather(b, int(s.left), n)
		if need > 0 {
			return 0, need, nil
		}
		if ok {
			s.left, s.skip = int32(left), s.skip-int32(n)
			d.name(s, x, tlsChain, readCertificate(h[certListBytes:]).subject)
			d.flush(s, false, false)
			if s.skip == 0 {
				d.unchain(s)
			}
			return used, 0, nil
		}
	}
	if need > 0 && ok {
		return 0, need, nil
	}
	d.unchain(s)
	return 0, 0, nil
}

// unchain ends the exchange behind the last certificate that is looked at.
func (d *tls) unchain(s *tlsSide) {
	s.chain = false
	d.end(s, true)
}

// unfinished is what handshake answers when a message is not there yet, or cannot be.
func (d *tls) unfinished(s *tlsSide, need int, ok bool) (int, int, error) {
	if !ok {
		d.malformed(s)
		return 0, 0, nil
	}
	return 0, need, nil
}

// malformed gives up a direction's handshake.
func (d *tls) malformed(s *tlsSide) {
	d.note(s, noteTLSHello)
	s.state, s.skip, s.left = tlsOpaque, 0, 0
}

// gather returns the first want bytes of handshake data at the front of b, of which left belong to the record in hand.
// used counts the bytes of b that they take, headers of further records among them, and after what is left of the last
// record. With too few bytes need is how many more it takes at least. ok is false if another record comes in between.
// The bytes are borrowed from b or x.
func (x *tlsScratch) gather(b []byte, left, want int) (msg []byte, used, after, need int, ok bool) {
	if want <= left {
		if len(b) < want {
			return nil, 0, 0, want - len(b), true
		}
		return b[:want], want, left - want, 0, true
	}
	x.joined = x.joined[:0]
	for {
		missing := want - len(x.joined)
		n := min(left, missing)
		if len(b)-used < n {
			return nil, 0, 0, missing - (len(b) - used), true
		}
		x.joined = append(x.joined, b[used:used+n]...)
		used += n
		if n == missing {
			return x.joined, used, left - n, 0, true
		}
		if len(b)-used < tlsHeader {
			return nil, 0, 0, tlsHeader + missing - n - (len(b) - used), true
		}
		typ, size, good := tlsRecord(b[used:])
		if !good || typ != recordShake || size == 0 {
			return nil, 0, 0, 0, false
		}
		used += tlsHeader
		left = size
	}
}

// message deals with a whole handshake message; of a certificate's, with its beginning up to the end of the leaf.
func (d *tls) message(s *tlsSide, typ uint8, m []byte) {
	switch typ {
	case clientHello:
		d.clientHello(s, m[tlsMessage:])
	case serverHello:
		d.serverHello(s, m[tlsMessage:])
	case certificate:
		if len(m) >= certLeafAt {
			d.cert = true
			d.certificate(s, m[certLeafAt:])
			if s.chain = s.skip > certListBytes; s.chain {
				d.flush(s, false, false)
			} else {
				d.end(s, true)
			}
		}
	case helloDone:
		if s.id != 0 {
			d.end(s, true)
		}
	}
}

// clientHello tells a ClientHello. A second one, after a HelloRetryRequest, repeats the first and is not told, unless
// it names another server.
func (d *tls) clientHello(s *tlsSide, b []byte) {
	x := d.env.tlsScratch()
	h := &x.hello
	good := h.parseClient(b, d.letter == 'd')
	again, names := d.hello, hash(h.names)
	if again && (d.answer || names == d.names) {
		return
	}
	d.names = names
	d.begin(s)
	if len(h.ciphers) > 2*maxTLSCiphers {
		x.note(s, noteTLSCiphers)
	}
	if again {
		x.note(s, noteTLSChanged)
		d.tellNames(s, h)
		d.end(s, false)
		return
	}
	d.hello, d.offer = true, h.highest()
	if d.first != nil {
		d.first(s)
	}
	d.tellNames(s, h)
	d.tellClient(s, x)
	if len(h.alpn) == 0 && isTorName(h.names) {
		x.note(s, noteTLSTor)
	}
	if !good {
		x.note(s, noteTLSHello)
	}
	d.end(s, false)
}

// hash is FNV-1a.
func hash(b []byte) uint32 {
	h := uint32(2166136261)
	for _, c := range b {
		h = (h ^ uint32(c)) * 16777619
	}
	return h
}

// tellNames collects the names of the server that a client wants.
func (d *tls) tellNames(s *tlsSide, h *tlsHello) {
	for list := wire.Cut(h.names); list.Len() > 0; {
		typ, name := list.U8(), list.Vec16()
		if typ == 0 && !list.Short() && name.Len() > 0 {
			d.addOne(s, tlsSNI, name.Rest())
		}
	}
}

// tellClient collects the other values of a ClientHello.
func (d *tls) tellClient(s *tlsSide, x *tlsScratch) {
	h := &x.hello
	for list := wire.Cut(h.alpn); list.Len() > 0; {
		if v := list.Vec8(); v.Len() > 0 {
			d.addOne(s, tlsALPN, v.Rest())
		}
	}
	if d.wants(tlsClientVersion) {
		d.add(s, tlsClientVersion, x.keep(func(b []byte) []byte { return appendTLSVersion(b, h.highest()) }))
	}
	if d.wants(tlsJA3) || d.wants(tlsJA3String) {
		text := x.keep(h.appendJA3)
		if d.wants(tlsJA3) {
			d.add(s, tlsJA3, x.keep(func(b []byte) []byte { return appendMD5(b, text) }))
		}
		d.add(s, tlsJA3String, text)
	}
	if d.wants(tlsJA4) {
		d.add(s, tlsJA4, x.keep(func(b []byte) []byte { return x.appendJA4(b, d.letter) }))
	}
}

// serverHello tells a ServerHello, and what it means for the records that follow.
func (d *tls) serverHello(s *tlsSide, b []byte) {
	x := d.env.tlsScratch()
	h := &x.hello
	good := h.parseServer(b)
	if h.retry && good {
		if !d.retry && !d.answer {
			d.retry = true
			d.begin(s)
			d.tellJA3S(s, x)
			d.end(s, false)
		}
		return
	}
	if d.answer {
		return
	}
	d.answer, d.version = true, h.negotiated()
	d.begin(s)
	d.tellServer(s, x)
	if !good {
		x.note(s, noteTLSHello)
	}
	if d.version > 0 && d.version < 0x0303 || d.version == dtls10 {
		x.note(s, noteTLSOld)
	}
	if name := cipherNames[h.cipher]; strings.Contains(name, "NULL") || name == "SHA256_SHA256" || name == "SHA384_SHA384" {
		x.note(s, noteTLSNull)
	}
	if tls13(d.version) {
		d.sealed = true
		d.end(s, true)
		return
	}
	d.flush(s, false, false)
}

// tellServer collects the values of a ServerHello.
func (d *tls) tellServer(s *tlsSide, x *tlsScratch) {
	h := &x.hello
	if d.wants(tlsVersion) {
		d.add(s, tlsVersion, x.keep(func(b []byte) []byte { return appendTLSVersion(b, d.version) }))
	}
	if d.wants(tlsCipher) {
		d.add(s, tlsCipher, x.keep(func(b []byte) []byte { return appendCipher(b, h.cipher) }))
	}
	for list := wire.Cut(h.alpn); list.Len() > 0; {
		if v := list.Vec8(); v.Len() > 0 {
			d.addOne(s, tlsServerALPN, v.Rest())
		}
	}
	if !d.retry {
		d.tellJA3S(s, x)
	}
}

// tellJA3S collects the fingerprint of a server: of the first hello that it answers with, as others do whose lists are compared with, even if
// that asks for another ClientHello.
func (d *tls) tellJA3S(s *tlsSide, x *tlsScratch) {
	if d.wants(tlsJA3S) || d.wants(tlsJA3SString) {
		text := x.keep(x.hello.appendJA3S)
		if d.wants(tlsJA3S) {
			d.add(s, tlsJA3S, x.keep(func(b []byte) []byte { return appendMD5(b, text) }))
		}
		d.add(s, tlsJA3SString, text)
	}
}

// ssl2 parses an SSL 2.0 hello, which stands where the first record should.
func (d *tls) ssl2(s *tlsSide, b []byte) (used, need int, err error) {
	if len(b) < 5 {
		return 0, 5 - len(b), nil
	}
	size := int(b[0]&0x7f)<<8 | int(b[1])
	if !probeSSL2(b) {
		return d.notRecord(s)
	}
	if n := 2 + size - len(b); n > 0 {
		return 0, n, nil
	}
	s.begun = true
	x := d.env.tlsScratch()
	d.begin(s)
	c := wire.Cut(b[3 : 2+size])
	if b[2] == ssl2Hello {
		d.hello, d.offer = true, c.U16()
		if d.wants(tlsClientVersion) {
			d.add(s, tlsClientVersion, x.keep(func(b []byte) []byte { return appendTLSVersion(b, d.offer) }))
		}
		x.note(s, noteTLSSSL2)
		if specs, session, challenge := c.U16(), c.U16(), c.U16(); specs%3 != 0 || session != 0 && session != 16 || challenge < 16 || challenge > 32 {
			x.note(s, noteTLSCiphers)
		}
		d.end(s, false)
		return 2 + size, 0, nil
	}
	d.answer, d.version = true, 2
	d.side[0].state, d.side[1].state = tlsOpaque, tlsOpaque
	if d.wants(tlsVersion) {
		d.add(s, tlsVersion, []byte("SSLv2"))
	}
	x.note(s, noteTLSOld)
	d.end(s, true)
	return 2 + size, 0, nil
}
