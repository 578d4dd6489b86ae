package dissect

import (
	"bytes"

	"weir/wire"
)

// ordinary takes a header that does not decide on framing. Names are compared by length first: most headers are of no
// interest.
func (h *http) ordinary(s *httpSide, name, v []byte) {
	req := s.kind == request
	switch len(name) {
	case 4:
		if req && foldEqual(name, "host") {
			if len(v) > 0 {
				h.authority(s, v, false)
			} else {
				s.frame.hosts = min(s.frame.hosts+1, 2)
				if s.frame.version == 11 && s.frame.hostSum == 0 {
					h.note(s, noteBadHost)
				}
			}
		}
	case 6:
		if req && foldEqual(name, "cookie") {
			h.add(s, httpCookie, v)
		} else if req && foldEqual(name, "expect") {
			s.frame.expect = foldEqual(v, "100-continue")
		}
	case 7:
		if foldEqual(name, "referer") {
			h.add(s, httpReferer, v)
		} else if foldEqual(name, "upgrade") {
			s.frame.upgrade, s.frame.websocket = true, foldEqual(v, "websocket")
		}
	case 8:
		if !req && foldEqual(name, "location") {
			h.add(s, httpLocation, v)
		}
	case 10:
		switch {
		case foldEqual(name, "user-agent"):
			h.add(s, httpUserAgent, v)
		case !req && foldEqual(name, "set-cookie"):
			h.add(s, httpCookie, v)
		case foldEqual(name, "connection"):
			s.frame.close = s.frame.close || foldEqual(v, "close")
		}
	case 12:
		if foldEqual(name, "content-type") {
			h.contentType(s, v)
		}
	case 13:
		if req && foldEqual(name, "authorization") {
			h.authorization(s, v)
		}
	case 19:
		if h.x.wants(httpFileName) && foldEqual(name, "content-disposition") {
			h.fileName(s, v)
		}
	case 24:
		if !req && foldEqual(name, "sec-websocket-extensions") {
			s.frame.deflate |= uint8(wsAgreed(v))
		}
	}
}

// contentType takes the body's type: what views and scanners it gets.
func (h *http) contentType(s *httpSide, v []byte) {
	if s.kind == response {
		h.add(s, httpContentType, v)
	} else {
		h.add(s, httpRequestType, v)
	}
	media := v
	if i := bytes.IndexByte(v, ';'); i >= 0 {
		media = v[:i]
	}
	media = trimSpace(media)
	switch {
	case foldEqual(media, "application/x-www-form-urlencoded"):
		s.frame.form = urlForm
	case s.kind == response && foldEqual(media, "text/event-stream"):
		s.frame.events = true
	case len(media) > 4 && indexFold(media, "json") >= 0:
		s.frame.form = jsonForm
	case s.kind == request && foldPrefix(media, "multipart/") == Yes && (h.x.wants(httpBodyFile) || h.x.wants(httpFileSize)) && s.files == nil:
		s.files = h.x.newMultipart(v)
	}
}

// fileName takes the name that the body is to be kept under.
func (h *http) fileName(s *httpSide, v []byte) {
	name := parameter(v, "filename")
	if name == nil {
		name = parameter(v, "filename*")
	}
	if len(name) > 0 {
		h.add(s, httpFileName, name)
	}
}

// authorization judges credentials for form only (RFC 7617, RFC 7616); their bytes are never in a note.
func (h *http) authorization(s *httpSide, v []byte) {
	h.add(s, httpAuthorization, v)
	i := bytes.IndexByte(v, ' ')
	if i < 0 {
		return
	}
	scheme, rest := v[:i], trimSpace(v[i:])
	switch {
	case foldEqual(scheme, "basic"):
		for _, c := range bytes.TrimRight(rest, "=") {
			if httpChars[c]&isAlnum == 0 && c != '+' && c != '/' && c != '-' && c != '_' {
				h.note(s, noteAuthorization)
				return
			}
		}
	case foldEqual(scheme, "digest"):
		at := indexFold(rest, "username")
		if at < 0 {
			h.note(s, noteAuthorization)
			return
		}
		after := rest[at+len("username"):]
		if after = bytes.TrimLeft(after, "* "); len(after) == 0 || after[0] != '=' {
			h.note(s, noteAuthorization)
			return
		}
		after = bytes.TrimLeft(after[1:], " ")
		if len(after) == 0 || after[0] != '"' && !bytes.HasPrefix(after, []byte("UTF-8''")) {
			h.note(s, noteAuthorization)
		}
	}
}

// longHead takes the front b of a head that is too long to wait for; its end is looked for as it streams.
func (h *http) longHead(dir wire.Dir, s *httpSide, b []byte) int {
	h.note(s, noteLongHead)
	h.lineEnds(b)
	ends := h.x.ends
	s.scan, s.lineAt = 0, 0
	n, at := len(b), len(b)
	if len(ends) == 0 { // the start line alone is too long
		h.startLine(s, b)
	} else {
		n = int(ends[len(ends)-1]) + 1
		if n < len(b)/2 && len(ends) == 1 {
			n = len(b)
		}
		at = int(ends[0]) + 1
		h.startLine(s, trimCR(b[:ends[0]]))
		h.headers(s, b, at, ends[1:], false)
	}
	h.openHeadValue(s)
	if at < n {
		h.headPiece(s, b[at:n])
	}
	s.line = n == 0 || b[n-1] == '\n'
	s.state = inHeadMore
	h.flush(dir, s, false)
	return n
}

// headMore takes more lines of a header block whose beginning was emitted already.
func (h *http) headMore(dir wire.Dir, s *httpSide, b []byte) (int, bool) {
	n := 0
	for n < len(b) {
		rest := b[n:]
		e := bytes.IndexByte(rest, '\n')
		if e < 0 {
			if s.line && len(rest) < h.env.Limits.Line {
				return n, false
			}
			h.headPiece(s, rest)
			s.line = false
			return len(b), true
		}
		line := rest[:e+1]
		n += e + 1
		if !s.line {
			h.headPiece(s, line)
			s.line = true
			continue
		}
		if emptyLine(line[:e]) {
			h.endHeadValue(s)
			h.headDone(dir, s, nil)
			return n, true
		}
		if s.frame.version == 9 && startsMessage(s.kind, line) == Yes {
			h.headDone(dir, s, nil)
			return n - e - 1, true
		}
		h.lineEnds(line)
		h.headers(s, line, 0, h.x.ends, false)
		h.headPiece(s, line)
	}
	return n, true
}

// openHeadValue gives the header block, that comes in pieces, its value number.
func (h *http) openHeadValue(s *httpSide) {
	s.values++
	s.headNo = s.values
	s.headAt = 0
}

// headPiece collects a piece of the open header value.
func (h *http) headPiece(s *httpSide, b []byte) {
	if !h.x.wants(headField(s.kind)) || len(b) == 0 {
		return
	}
	if s.headNo == 0 {
		h.openHeadValue(s)
	}
	h.x.parts = append(h.x.parts, Part{Field: headField(s.kind), Value: s.headNo, Off: s.headAt, Bytes: b, More: true})
	s.headAt += int64(len(b))
}

// endHeadValue ends the open header value.
func (h *http) endHeadValue(s *httpSide) {
	if s.headAt > 0 {
		h.x.parts = append(h.x.parts, Part{Field: headField(s.kind), Value: s.headNo, Off: s.headAt})
		s.headAt = 0
	}
	s.headNo = 0
}
