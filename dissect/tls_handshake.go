package dissect

import "weir/wire"

// handshake parses handshake messages from the front of b, which begins at the start of a message, or inside one that is passed over.
func (d *tls) handshake(dir wire.Dir, s *tlsSide, b []byte, emit func(*Message)) (used, need int, err error) {
	if s.skip > 0 {
		n := min(int(s.skip), int(s.left), len(b))
		s.skip -= int32(n)
		s.left -= int32(n)
		return n, 0, nil
	}
	x := d.env.tlsScratch()
	h, n, left, need, ok := x.gather(b, int(s.left), tlsMessage)
	if need > 0 || !ok {
		return d.unfinished(dir, s, need, ok, emit)
	}
	typ, size := h[0], int(h[1])<<16|int(h[2])<<8|int(h[3])
	if s.ccs && typ != clientHello { // it did mean what it says
		s.state = tlsSealed
		return 0, 0, nil
	}
	want, all := tlsMessage, tlsMessage+size
	switch {
	case typ > 24 && typ != 67 && typ != 254 || size > maxTLSMessage && (typ == clientHello || typ == serverHello):
		d.malformed(dir, s, emit)
		return 0, 0, nil
	case typ == clientHello, typ == serverHello:
		want = all
	case typ == certificate && d.answer && !d.cert && !d.done && d.serverSide(dir) && size >= 2*certListBytes:
		if h, _, _, need, ok = x.gather(b, int(s.left), certLeafAt); need > 0 || !ok {
			return d.unfinished(dir, s, need, ok, emit)
		}
		if n := int(h[7])<<16 | int(h[8])<<8 | int(h[9]); n <= min(maxTLSMessage, size-2*certListBytes) {
			want = certLeafAt + n
		} else {
			d.note(dir, s, noteTLSCertificate, emit)
		}
	}
	m := h
	if m, n, left, need, ok = x.gather(b, int(s.left), want); need > 0 || !ok {
		return d.unfinished(dir, s, need, ok, emit)
	}
	s.left, s.skip = int32(left), int32(all-want)
	d.message(dir, s, typ, m, emit)
	return n, 0, nil
}

// unfinished is what handshake answers when a message is not there yet, or cannot be.
func (d *tls) unfinished(dir wire.Dir, s *tlsSide, need int, ok bool, emit func(*Message)) (int, int, error) {
	if !ok {
		d.malformed(dir, s, emit)
		return 0, 0, nil
	}
	return 0, need, nil
}

// malformed gives up a direction's handshake.
func (d *tls) malformed(dir wire.Dir, s *tlsSide, emit func(*Message)) {
	d.note(dir, s, noteTLSHello, emit)
	s.state, s.skip, s.left = tlsOpaque, 0, 0
}

// gather returns the first want bytes of handshake data at the front of b, of which left belong to the record in hand. used counts the
// bytes of b that they take, headers of further records among them, and after what is left of the last record. With too few
// bytes need is how many more it takes at least. ok is false if another record comes in between. The bytes are borrowed from b or x.
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
func (d *tls) message(dir wire.Dir, s *tlsSide, typ uint8, m []byte, emit func(*Message)) {
	switch typ {
	case clientHello:
		d.clientHello(dir, s, m[tlsMessage:], emit)
	case serverHello:
		d.serverHello(dir, s, m[tlsMessage:], emit)
	case certificate:
		if len(m) >= certLeafAt {
			d.cert = true
			d.certificate(dir, s, m[certLeafAt:], emit)
			d.end(dir, s, true, emit)
		}
	case helloDone:
		d.more = true
		if d.serverSide(dir) {
			d.end(dir, s, true, emit)
		}
	}
}

// clientHello tells a ClientHello. After a HelloRetryRequest the second one repeats the first and is not told.
func (d *tls) clientHello(dir wire.Dir, s *tlsSide, b []byte, emit func(*Message)) {
	x := d.env.tlsScratch()
	h := &x.hello
	good := h.parseClient(b)
	if d.hello {
		return
	}
	d.hello, d.offer = true, h.highest()
	d.begin(s)
	d.tellClient(s, x)
	if !good {
		x.note(s, noteTLSHello)
	}
	d.end(dir, s, false, emit)
}

// tellClient collects the values of a ClientHello.
func (d *tls) tellClient(s *tlsSide, x *tlsScratch) {
	h := &x.hello
	for list := wire.Cut(h.names); list.Len() > 0; {
		typ, name := list.U8(), list.Vec16()
		if typ == 0 && !list.Short() && name.Len() > 0 {
			d.add(s, tlsSNI, name.Rest())
		}
	}
	for list := wire.Cut(h.alpn); list.Len() > 0; {
		if v := list.Vec8(); v.Len() > 0 {
			d.add(s, tlsALPN, v.Rest())
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
		d.add(s, tlsJA4, x.keep(func(b []byte) []byte { return x.appendJA4(b) }))
	}
}

// serverHello tells a ServerHello, and what it means for the records that follow.
func (d *tls) serverHello(dir wire.Dir, s *tlsSide, b []byte, emit func(*Message)) {
	x := d.env.tlsScratch()
	h := &x.hello
	good := h.parseServer(b)
	if h.retry && good {
		d.retry = true
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
	if d.version < 0x0303 {
		x.note(s, noteTLSOld)
	}
	if tls13(d.version) {
		d.sealed = true
		d.end(dir, s, true, emit)
		return
	}
	d.flush(dir, s, false, false, emit)
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
			d.add(s, tlsServerALPN, v.Rest())
		}
	}
	if d.wants(tlsJA3S) || d.wants(tlsJA3SString) {
		text := x.keep(h.appendJA3S)
		if d.wants(tlsJA3S) {
			d.add(s, tlsJA3S, x.keep(func(b []byte) []byte { return appendMD5(b, text) }))
		}
		d.add(s, tlsJA3SString, text)
	}
}

// resumed tells that the server took up an earlier session.
func (d *tls) resumed(dir wire.Dir, s *tlsSide, emit func(*Message)) {
	d.add(s, tlsResumed, []byte("true"))
	d.flush(dir, s, false, false, emit)
}

// ssl2 parses an SSL 2.0 hello, which stands where the first record should.
func (d *tls) ssl2(dir wire.Dir, s *tlsSide, b []byte, emit func(*Message)) (used, need int, err error) {
	if len(b) < 5 {
		return 0, 5 - len(b), nil
	}
	size := int(b[0]&0x7f)<<8 | int(b[1])
	if !probeSSL2(b) {
		return 0, 0, errTLSRecord
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
		d.end(dir, s, false, emit)
		return 2 + size, 0, nil
	}
	d.answer, d.version, s.state = true, 2, tlsOpaque
	d.side[dir.Other()].state = tlsOpaque
	if d.wants(tlsVersion) {
		d.add(s, tlsVersion, []byte("SSLv2"))
	}
	x.note(s, noteTLSOld)
	d.end(dir, s, true, emit)
	return 2 + size, 0, nil
}
