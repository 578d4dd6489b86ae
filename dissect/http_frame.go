package dissect

import (
	"bytes"

	"weir/wire"
)

// httpClass is what of a request decides how its answer is framed.
type httpClass uint8

const (
	classOther httpClass = iota
	classHead
	classConnect
	classOld // HTTP/0.9: the answer has no head
)

// headerKind names the headers that decide on framing and coding.
type headerKind uint8

const (
	otherHeader headerKind = iota
	contentLength
	transferEncoding
	contentEncoding
)

// httpFrame is what a head says about the body that follows.
type httpFrame struct {
	lines      uint32 // header lines
	status     uint16
	lengths    uint8 // Content-Length lines
	transfers  uint8 // Transfer-Encoding lines
	hosts      uint8
	chunks     uint8 // times that chunked was named
	version    uint8 // 9, 10, 11; 0: none of these
	form       bodyForm
	events     bool       // server-sent events
	creates    bool       // the body describes a container
	privileged uint8      // bytes of what says that it is to be privileged that were seen
	layers     codingList // to be undone, outermost last: as they were applied
	badLength  bool       // a Content-Length that is no number, or several that differ
	chunkLast  bool       // the last transfer coding named is chunked
	unknown    bool       // a transfer coding that is not known
	interim    bool       // answers nothing: 1xx, or bytes that are no message
	odd        bool       // headers were spelled so that others may read them differently
	upgrade    bool       // has an Upgrade header
	websocket  bool       // which says websocket
	deflate    uint8      // what an answer says of permessage-deflate: bits of a webSocket's Rest
	expect     bool       // Expect: 100-continue
	close      bool       // Connection: close
	noBody     bool       // a request whose method gives a body no meaning
	hostSum    uint32     // of the first host named; 0: none
	length     int64
}

// bodyForm is what the body is written in, as far as views are concerned.
type bodyForm uint8

const (
	plainForm bodyForm = iota
	urlForm
	jsonForm
)

// exactFraming names a header by its spelling, letters in any case.
func exactFraming(name []byte) headerKind {
	switch len(name) {
	case 14:
		if foldEqual(name, "content-length") {
			return contentLength
		}
	case 16:
		if foldEqual(name, "content-encoding") {
			return contentEncoding
		}
	case 17:
		if foldEqual(name, "transfer-encoding") {
			return transferEncoding
		}
	}
	return otherHeader
}

// framingName names a header by its letters alone: some receivers drop, map or trim the rest.
func framingName(name []byte) headerKind {
	var buf [20]byte
	n := 0
	for i, c := range name {
		switch {
		case httpChars[c]&isAlnum != 0:
		case c == 0xc5 && i+1 < len(name) && name[i+1] == 0xbf: // U+017F, long s
			c = 's'
		default:
			continue
		}
		if n == len(buf) {
			return otherHeader
		}
		buf[n] = lower(c)
		n++
	}
	switch string(buf[:n]) {
	case "contentlength":
		return contentLength
	case "transferencoding":
		return transferEncoding
	case "contentencoding":
		return contentEncoding
	}
	return blotted(name)
}

// blotted names a header in which bytes that no name may have stand for letters.
func blotted(name []byte) headerKind {
	for k, want := range [...]string{contentLength: "content-length", transferEncoding: "transfer-encoding", contentEncoding: "content-encoding"} {
		if len(want) == 0 || len(name) != len(want) {
			continue
		}
		i := 0
		for i < len(want) && (lower(name[i]) == want[i] || httpChars[name[i]]&isToken == 0) {
			i++
		}
		if i == len(want) {
			return headerKind(k)
		}
	}
	return otherHeader
}

// framing takes a framing header's value.
func (h *http) framing(s *httpSide, k headerKind, v []byte) {
	switch k {
	case contentLength:
		h.contentLength(s, v)
	case transferEncoding:
		h.transferEncoding(s, v)
	case contentEncoding:
		h.codingNames(s, v, false)
	}
}

// contentLength takes a Content-Length value: RFC 9112 section 6.3.
func (h *http) contentLength(s *httpSide, v []byte) {
	f := &s.frame
	v = bytes.Trim(v, " \t")
	n, ok := decimal(v)
	if !ok {
		h.note(s, noteBadLength)
		f.badLength = true
		if n, ok = firstNumber(v); !ok {
			f.lengths = min(f.lengths+1, 2)
			return
		}
	}
	switch {
	case f.lengths > 0 && f.length != n:
		h.note(s, noteLengthDiffers)
		f.badLength = true
		if s.kind == response {
			n = max(n, f.length)
		} else {
			n = f.length
		}
	case f.lengths > 0:
		h.note(s, noteLengthRepeated)
	}
	f.lengths = min(f.lengths+1, 2)
	f.length = n
}

// decimal reads a number of only digits, at most 18 without leading zeros.
func decimal(b []byte) (n int64, ok bool) {
	for _, c := range b {
		if !isDigit(c) || n >= 1e17 {
			return 0, false
		}
		n = n*10 + int64(c-'0')
	}
	return n, len(b) > 0
}

// firstNumber reads the first run of digits.
func firstNumber(b []byte) (int64, bool) {
	for len(b) > 0 && !isDigit(b[0]) {
		b = b[1:]
	}
	n := 0
	for n < len(b) && isDigit(b[n]) {
		n++
	}
	return decimal(b[:n])
}

// transferEncoding takes a Transfer-Encoding value.
func (h *http) transferEncoding(s *httpSide, v []byte) {
	s.frame.transfers = min(s.frame.transfers+1, 2)
	h.codingNames(s, v, true)
}

// codingNames takes a list of codings: transfer codings, or content codings.
func (h *http) codingNames(s *httpSide, v []byte, transfer bool) {
	f := &s.frame
	if transfer {
		f.chunkLast = false
	}
	for len(v) > 0 {
		item := v
		if i := bytes.IndexByte(v, ','); i >= 0 {
			item, v = v[:i], v[i+1:]
		} else {
			v = nil
		}
		if i := bytes.IndexByte(item, ';'); i >= 0 {
			item = item[:i]
		}
		if item = trimSpace(item); len(item) == 0 {
			continue
		}
		c, exact := codingName(item)
		if transfer {
			h.transferCoding(s, c, exact)
		} else if c != codingIdentity {
			h.pushCoding(s, c)
		}
	}
}

// transferCoding takes one transfer coding.
func (h *http) transferCoding(s *httpSide, c codingKind, exact bool) {
	f := &s.frame
	if f.chunkLast {
		h.note(s, noteChunkedNotLast)
	}
	f.chunkLast = false
	switch {
	case c == codingChunked:
		if f.chunks > 0 {
			h.note(s, noteChunkedTwice)
		}
		f.chunks = min(f.chunks+1, 2)
		f.chunkLast = true
		if !exact {
			h.note(s, noteBadCoding)
			f.odd = true
		}
	case c == codingUnknown || !exact || c == codingBrotli:
		h.note(s, noteBadCoding)
		f.unknown = true
		if c != codingUnknown {
			h.pushCoding(s, c)
		}
	case c != codingIdentity:
		h.pushCoding(s, c)
	}
}

// pushCoding adds a layer of coding to the body.
func (h *http) pushCoding(s *httpSide, c codingKind) {
	if int(s.frame.layers.n) >= min(h.env.Limits.DecodeDepth, maxLayers) {
		h.note(s, noteDepth)
		s.frame.layers.deep = true
		return
	}
	s.frame.layers.kind[s.frame.layers.n] = c
	s.frame.layers.n++
}

// headDone judges the whole head b and sets up what follows it.
func (h *http) headDone(dir wire.Dir, s *httpSide, b []byte) {
	f := &s.frame
	if f.transfers > 0 {
		if f.lengths > 0 {
			h.note(s, noteLengthAndCoding)
		}
		if f.version != 11 {
			h.note(s, noteCodingOldVersion)
		}
		if s.kind == request && f.chunks == 0 {
			h.note(s, noteChunkedNotLast)
		}
	}
	if f.version == 9 && f.lengths > 0 {
		h.note(s, noteCodingOldVersion)
	}
	if f.odd || f.unknown {
		h.hidden(s, b)
	}
	s.ended = f.close && (s.kind == request || f.status >= 200)
	if s.kind == request {
		h.requestBody(dir, s)
	} else {
		h.responseBody(dir, s)
	}
}

// hidden looks in an oddly spelled head for codings that others may find there. What is assumed wrongly does no harm:
// chunks and codings are only undone where they are found.
func (h *http) hidden(s *httpSide, b []byte) {
	f := &s.frame
	if f.chunks == 0 && indexFold(b, "chunked") >= 0 && indexFold(b, "encoding") >= 0 {
		f.chunks, f.odd = 1, true
	}
	if f.layers.n == 0 && indexFold(b, "encoding") >= 0 {
		switch {
		case indexFold(b, "gzip") >= 0:
			h.pushCoding(s, codingGzip)
		case indexFold(b, "deflate") >= 0:
			h.pushCoding(s, codingDeflate)
		}
	}
}

// requestBody chooses the framing of a request's body.
func (h *http) requestBody(dir wire.Dir, s *httpSide) {
	f := &s.frame
	if f.version == 11 && f.hosts == 0 {
		h.note(s, noteNoHost)
	}
	if f.noBody && (f.length > 0 || f.transfers > 0) {
		h.note(s, noteBodyUnexpected)
	}
	switch {
	case f.chunks > 0:
		h.openBody(s)
		s.state, s.first = atChunkSize, true
	case f.length > 0 && (!f.badLength || f.lengths > 1):
		h.openBody(s)
		s.state, s.remain = inBody, f.length
	default:
		h.end(dir, s)
	}
}

// responseBody chooses the framing of an answer's body: RFC 9112 section 6.3.
func (h *http) responseBody(dir wire.Dir, s *httpSide) {
	f := &s.frame
	f.interim = f.status >= 100 && f.status < 200 && f.status != 101
	h.answered(s, int(f.status))
	framed := f.lengths > 0 || f.transfers > 0
	switch {
	case f.status == 101 && (f.upgrade || !framed), s.class == classConnect && f.status/100 == 2:
		h.upgrade(dir, s)
		return
	case f.interim, f.status == 204, f.status == 304, s.class == classHead && !h.lost:
		h.end(dir, s)
		return
	case f.chunks > 0:
		h.openBody(s)
		s.state, s.first = atChunkSize, true
	case f.lengths > 0 && f.transfers == 0 && !(f.badLength && f.lengths == 1):
		if f.length == 0 {
			h.end(dir, s)
			return
		}
		h.openBody(s)
		s.state, s.remain = inBody, f.length
	default:
		h.openBody(s)
		s.state = inBodyTail
	}
}

// upgrade hands the flow over to another protocol: RFC 9110 sections 7.8 and 9.3.6.
func (h *http) upgrade(dir wire.Dir, s *httpSide) {
	o := &h.side[dir.Other()]
	if o.open {
		h.park(dir, s)
		h.endBody(dir.Other(), o)
	}
	s.state = upgraded
	h.end(dir, s)
	h.release()
	s.state, o.state = upgraded, upgraded
}

// park emits what is collected so far for one direction before the other one is turned to.
func (h *http) park(dir wire.Dir, s *httpSide) { h.flush(dir, s, false) }
