package dissect

import "bytes"

// pseudoHeader is a pseudo-header: RFC 9113 sections 8.3.1 and 8.3.2, RFC 8441 section 4.
type pseudoHeader uint8

const (
	unknownPseudo pseudoHeader = iota
	pseudoMethod
	pseudoScheme
	pseudoAuthority
	pseudoPath
	pseudoStatus
	pseudoProtocol
	pseudoKinds
)

func pseudoOf(name []byte) pseudoHeader {
	switch string(name) {
	case ":method":
		return pseudoMethod
	case ":scheme":
		return pseudoScheme
	case ":authority":
		return pseudoAuthority
	case ":path":
		return pseudoPath
	case ":status":
		return pseudoStatus
	case ":protocol":
		return pseudoProtocol
	}
	return unknownPseudo
}

// pseudos are the pseudo-headers of a list.
type pseudos struct {
	value [pseudoKinds][]byte
	has   [pseudoKinds]bool
	at    [pseudoKinds]int32 // of the fields in the list's text
	text  int                // bytes of the list's text before its regular headers, if these are all that follow
	shown bool               // some of them have no field of their own: the header value needs them
}

// firstFields takes the header list that begins a message. partial says that headers are missing because they could not
// be read.
func (d *http2) firstFields(st *http2Stream, m *http2Message, partial bool) {
	p := d.pseudos(m, false)
	if m.kind == request {
		d.requestFields(st, m, &p, partial)
	} else {
		d.statusField(m, &p, partial)
	}
	d.regular(m, &p)
	if m.grpc != nil && m.frame.layers.n > 0 { // HTTP's own codings have to be undone first
		d.grpcFree(m)
	}
	if m.grpc != nil {
		d.grpcBegin(st, m, p.value[pseudoPath])
	}
	if m.kind == request && m.frame.hosts == 0 && m.frame.hostSum == 0 && !partial {
		d.h.note(&m.httpSide, noteNoHost)
	}
}

// moreFields takes trailers, and what follows of a list that comes in pieces.
func (d *http2) moreFields(m *http2Message) {
	p := d.pseudos(m, true)
	g := m.grpc
	d.regular(m, &p)
	if g != nil {
		d.grpcTold(d.grpcTeller(m), m)
	} else {
		d.grpcFree(m) // it is too late for a content type
	}
}

// pseudos finds the pseudo-headers of a list and judges their places. In trailers there may be none.
func (d *http2) pseudos(m *http2Message, trailer bool) (p pseudos) {
	l := &d.x.list
	regular := false
	for _, f := range l.fields {
		name := l.name(f)
		if len(name) == 0 || name[0] != ':' {
			regular = true
			continue
		}
		v := l.value(f)
		k := pseudoOf(name)
		switch {
		case trailer:
			m.note(h2PseudoTrailer)
			p.shown = true
			continue
		case k == unknownPseudo, (k == pseudoStatus) != (m.kind == response):
			m.note(h2PseudoUnknown)
			p.shown = true
		case p.has[k]:
			m.note(h2PseudoRepeated)
			p.shown = true
		default:
			p.value[k], p.has[k], p.at[k] = v, true, f.at
			p.shown = p.shown || k == pseudoProtocol || k == pseudoScheme && !d.plainScheme(m, v) ||
				k == pseudoAuthority && !plainHost(v)
		}
		if regular {
			m.note(h2PseudoLate)
			p.shown = true
		}
		d.judgeValue(m, v)
		p.text = int(f.at+f.name+f.value) + len(": \r\n")
	}
	return p
}

// plainScheme reports whether a scheme is one of HTTP's, and notes one that is none at all: RFC 3986 section 3.1.
func (d *http2) plainScheme(m *http2Message, v []byte) bool {
	if string(v) == "http" || string(v) == "https" {
		return true
	}
	for _, c := range v {
		if httpChars[c]&isAlnum == 0 && c != '+' && c != '-' && c != '.' {
			m.note(h2Scheme)
			break
		}
	}
	return false
}

// plainHost reports whether the host field shows all that an authority says, but for a port.
func plainHost(v []byte) bool {
	for _, c := range v {
		if c-'A' < 26 {
			return false
		}
	}
	_, ok := hostOf(v)
	return ok
}

// requestFields takes a request's pseudo-headers.
func (d *http2) requestFields(st *http2Stream, m *http2Message, p *pseudos, partial bool) {
	h, s := &d.h, &m.httpSide
	method := p.value[pseudoMethod]
	connect := string(method) == "CONNECT"
	if !partial && (!p.has[pseudoMethod] || !connect && (len(p.value[pseudoPath]) == 0 || !p.has[pseudoScheme]) || connect && !p.has[pseudoAuthority]) {
		m.note(h2PseudoMissing)
	}
	if p.has[pseudoMethod] {
		h.method(s, method)
		h.add(s, httpMethod, method)
		s.frame.bodyless(method)
	}
	switch {
	case connect:
		s.class = classConnect
	case string(method) == "HEAD":
		s.class = classHead
		st.head = true
	}
	if p.has[pseudoPath] {
		h.target(s, method, p.value[pseudoPath])
		d.dohPath(m, p.value[pseudoPath])
	}
	h.add(s, httpVersion, http2Version)
	if p.has[pseudoAuthority] {
		h.authority(s, p.value[pseudoAuthority], true)
	}
}

var http2Version = []byte("2")

// statusField takes an answer's pseudo-header.
func (d *http2) statusField(m *http2Message, p *pseudos, partial bool) {
	h, s := &d.h, &m.httpSide
	h.add(s, httpVersion, http2Version)
	v := p.value[pseudoStatus]
	if !p.has[pseudoStatus] {
		if !partial {
			m.note(h2PseudoMissing)
		}
		return
	}
	n, ok := decimal(v)
	if !ok || len(v) != 3 || n < 100 || n > 599 || n == 101 {
		h.note(s, noteBadStatus)
		if !ok {
			p.shown = true
			return
		}
	}
	s.frame.status = uint16(min(n, 999))
	s.frame.interim = n >= 100 && n < 200
	h.number(s, httpStatus, n)
}

// regular takes the headers of a list, and collects its text.
func (d *http2) regular(m *http2Message, p *pseudos) {
	l := &d.x.list
	cookies := d.x.cookie[:0]
	for _, f := range l.fields {
		name, v := l.name(f), l.value(f)
		if m.frame.lines++; int(m.frame.lines) == d.h.env.Limits.Headers+1 {
			d.h.note(&m.httpSide, noteManyHeaders)
		}
		if len(name) > 0 && name[0] == ':' {
			continue
		}
		if !f.unknown {
			d.judgeName(m, name)
		}
		d.judgeValue(m, v)
		if m.kind == request && foldEqual(name, "cookie") { // in crumbs: section 8.2.3
			if len(cookies) > 0 {
				cookies = append(cookies, "; "...)
			}
			cookies = append(cookies, v...)
			continue
		}
		d.header(m, name, v)
	}
	if len(cookies) > 0 {
		d.h.add(&m.httpSide, httpCookie, cookies)
	}
	if d.x.cookie = cookies; cap(cookies) > maxScratch {
		d.x.cookie = nil
	}
	if text := d.headText(p); len(text) > 0 {
		d.h.addHead(&m.httpSide, text)
	}
}

// headText returns the list as text. If pseudo-headers are shown in it, then all but the method and path that have
// fields of their own.
func (d *http2) headText(p *pseudos) []byte {
	l := &d.x.list
	if !p.shown {
		return l.text[p.text:]
	}
	text := d.x.text[:0]
	for _, f := range l.fields {
		k := pseudoOf(l.name(f))
		if (k == pseudoMethod || k == pseudoPath) && p.has[k] && p.at[k] == f.at {
			continue
		}
		text = append(text, l.text[f.at:int(f.at+f.name+f.value)+len(": \r\n")]...)
	}
	if d.x.text = text; cap(text) > maxScratch {
		d.x.text = nil
	}
	return text
}

// header takes a regular header.
func (d *http2) header(m *http2Message, name, v []byte) {
	h, s := &d.h, &m.httpSide
	switch k := exactFraming(name); k {
	case transferEncoding:
		m.note(h2Connection)
		return
	case contentLength, contentEncoding:
		h.framing(s, k, v)
		return
	}
	if len(name) >= 13 && framingName(name) != otherHeader {
		h.note(s, noteDoubtfulName)
	}
	switch len(name) {
	case 2:
		if foldEqual(name, "te") && !foldEqual(v, "trailers") {
			m.note(h2Connection)
		}
	case 7:
		if foldEqual(name, "upgrade") {
			m.note(h2Connection)
		}
	case 10:
		if foldEqual(name, "connection") || foldEqual(name, "keep-alive") {
			m.note(h2Connection)
		}
	case 12:
		if foldEqual(name, "content-type") {
			m.isDoH = m.isDoH || foldEqual(trimSpace(v), dohType)
			d.grpcType(m, trimSpace(v))
		}
	case 16:
		if foldEqual(name, "proxy-connection") {
			m.note(h2Connection)
		}
	}
	h.ordinary(s, name, trimSpace(v))
}

// judgeName notes a header name that may not be: section 8.2.1.
func (d *http2) judgeName(m *http2Message, name []byte) {
	if len(name) == 0 {
		m.note(h2BadName)
	}
	for _, c := range name {
		if c-'A' < 26 {
			m.note(h2Uppercase)
		} else if httpChars[c]&isToken == 0 {
			m.note(h2BadName)
		}
	}
}

// judgeValue notes a header value that may not be: section 8.2.1.
func (d *http2) judgeValue(m *http2Message, v []byte) {
	if len(v) == 0 {
		return
	}
	if a, z := v[0], v[len(v)-1]; a == ' ' || a == '\t' || z == ' ' || z == '\t' {
		m.note(h2ValueSpace)
	}
	if bytes.IndexByte(v, '\r') >= 0 || bytes.IndexByte(v, '\n') >= 0 || bytes.IndexByte(v, 0) >= 0 {
		m.note(h2BadValue)
	}
}
