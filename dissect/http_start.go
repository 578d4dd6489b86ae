package dissect

import (
	"bytes"

	"weir/wire"
)

// start finds out what kind of message begins at b.
func (h *http) start(s *httpSide, b []byte) (int, bool, error) {
	n := 0
	for n < len(b) && (b[n] == '\r' || b[n] == '\n' || b[n] == ' ' || b[n] == '\t') {
		if b[n] == ' ' || b[n] == '\t' || s.blank > 8 {
			h.note(s, noteLeading)
		} else {
			s.blank++
		}
		n++
	}
	if n > 0 {
		s.scan, s.lineAt = 0, 0
		if n == len(b) {
			return n, false, nil
		}
		b = b[n:]
	}
	old := s.role != request && len(h.pending) > 0 && h.pending[0] == classOld && foldPrefix(b, "http/") == No
	k, known := h.kindOf(s, b)
	if !known && !old {
		return n, false, nil
	}
	if old {
		h.begin(s, response)
		s.role = response
		h.answered(s, 0)
		h.openBody(s)
		s.state = inBodyTail
		return n, true, nil
	}
	if k == noKind {
		h.startJunk(s, false)
		return n, true, nil
	}
	if string(b[:min(len(b), 5)]) == "PRI *" {
		return n, false, errHTTP2
	}
	if s.ended {
		h.note(s, noteAfterClose)
	}
	h.begin(s, k)
	if s.role != noKind && s.role != k {
		h.note(s, noteRoles)
	}
	s.role = k
	s.junk = 0
	s.state = inHead
	return n, true, nil
}

// kindOf says what b begins, from as few bytes as tell; known is false if more are needed.
func (h *http) kindOf(s *httpSide, b []byte) (k httpKind, known bool) {
	switch foldPrefix(b, "http/") {
	case Yes:
		return response, true
	case Maybe:
		return noKind, false
	}
	if s.role == response {
		return noKind, true
	}
	return requestLine(b)
}

// requestLine reports whether b begins with what may be a request line.
func requestLine(b []byte) (k httpKind, known bool) {
	m := 0
	for m < len(b) && b[m] > ' ' && b[m] < 0x7f {
		m++
	}
	switch {
	case m > maxMethod:
		return noKind, true
	case m == len(b):
		return noKind, false
	}
	if knownMethod(b[:m]) {
		return request, true
	}
	// Any other first word needs a version at the line's end.
	e := bytes.IndexByte(b, '\n')
	if e < 0 && len(b) <= maxFirstLine {
		return noKind, false
	}
	if e >= 0 && e <= maxFirstLine && hasVersion(b[:e]) {
		return request, true
	}
	return noKind, true
}

// hasVersion reports whether a line has " HTTP/d" in it, in any case.
func hasVersion(line []byte) bool {
	for {
		i := bytes.IndexByte(line, '/')
		if i < 0 {
			return false
		}
		if i >= 5 && i+1 < len(line) && isDigit(line[i+1]) && line[i-5] <= ' ' && foldEqual(line[i-4:i], "http") {
			return true
		}
		line = line[i+1:]
	}
}

// foldPrefix compares b with a lower-case prefix: Maybe if b is too short to tell.
func foldPrefix(b []byte, prefix string) Guess {
	for i := range len(prefix) {
		if i == len(b) {
			return Maybe
		}
		if lower(b[i]) != prefix[i] {
			return No
		}
	}
	return Yes
}

// foldEqual compares b with lower-case s, letters in any case.
func foldEqual(b []byte, s string) bool {
	return len(b) == len(s) && foldPrefix(b, s) == Yes
}

func lower(c byte) byte {
	if c-'A' < 26 {
		return c | 0x20
	}
	return c
}

// startJunk begins a message of bytes that are none. It ends where a line begins one.
func (h *http) startJunk(s *httpSide, gapped bool) {
	k := s.role
	if k == noKind {
		k = request
		if s == &h.side[wire.ToClient] {
			k = response
		}
	}
	ended := s.ended
	h.begin(s, k)
	s.tx = 0
	switch {
	case gapped:
		h.note(s, noteResync)
	case ended:
		h.note(s, noteAfterClose)
	default:
		h.note(s, noteJunk)
	}
	s.frame.interim = true // it answers nothing
	s.state, s.line, s.gapped = inJunk, !gapped, gapped
	h.openBody(s)
}

// junkBytes passes over bytes until a line begins a message.
func (h *http) junkBytes(dir wire.Dir, s *httpSide, b []byte) (n int, more bool, err error) {
	for n < len(b) {
		rest := b[n:]
		if s.line && s.junk > 0 {
			switch startsMessage(s.kind, rest) {
			case Yes:
				h.endBody(dir, s)
				return n, true, nil
			case Maybe:
				return n, false, nil
			}
		}
		e := bytes.IndexByte(rest, '\n')
		s.line = e >= 0
		if e < 0 {
			e = len(rest) - 1
		}
		h.bodyPiece(dir, s, rest[:e+1])
		s.junk += int64(e + 1)
		n += e + 1
		if s.junk > maxJunk {
			h.endBody(dir, s)
			return n, false, errHTTPLost
		}
	}
	return n, true, nil
}

// junkRest ends junk with what is left of it.
func (h *http) junkRest(dir wire.Dir, s *httpSide, rest []byte) {
	if len(rest) > 0 {
		h.bodyPiece(dir, s, rest)
	}
	h.endBody(dir, s)
}

// startsMessage reports whether a line, from its beginning, begins a message of kind k for sure.
func startsMessage(k httpKind, b []byte) Guess {
	if g := foldPrefix(b, "http/"); k == response || g != No {
		return g
	}
	m := 0
	for m < len(b) && b[m] >= 'A' && b[m] <= 'Z' && m <= maxMethod {
		m++
	}
	switch {
	case m == len(b):
		return Maybe
	case m == 0 || m > maxMethod || b[m] != ' ':
		return No
	}
	e := bytes.IndexByte(b, '\n')
	switch {
	case e < 0 && len(b) <= maxFirstLine:
		return Maybe
	case e >= 0 && e <= maxFirstLine && hasVersion(b[:e]):
		return Yes
	}
	return No
}

// knownMethod reports whether m is a method in use: the IANA registry's, and what caches, WebDAV, UPnP and streaming
// add.
func knownMethod(m []byte) bool {
	switch string(m) {
	case "GET", "POST", "HEAD", "PUT", "DELETE", "OPTIONS", "PATCH", "CONNECT", "TRACE",
		"ACL", "BASELINE-CONTROL", "BIND", "CHECKIN", "CHECKOUT", "COPY", "LABEL", "LINK", "LOCK", "MERGE",
		"MKACTIVITY", "MKCALENDAR", "MKCOL", "MKREDIRECTREF", "MKWORKSPACE", "MOVE", "ORDERPATCH", "PRI", "PROPFIND",
		"PROPPATCH", "QUERY", "REBIND", "REPORT", "SEARCH", "UNBIND", "UNCHECKOUT", "UNLINK", "UNLOCK", "UPDATE",
		"UPDATEREDIRECTREF", "VERSION-CONTROL", "PURGE", "NOTIFY", "SUBSCRIBE", "UNSUBSCRIBE", "M-SEARCH", "SOURCE", "DEBUG",
		"BAN", "TRACK":
		return true
	}
	return false
}
