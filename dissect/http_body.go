package dissect

import (
	"bytes"

	"weir/wire"
)

// bodyField is where the body of the message in hand goes.
func (s *httpSide) bodyField() Field {
	if s.kind == request {
		return httpRequestBody
	}
	return httpResponseBody
}

// openBody prepares for body bytes: decoders and views, if anybody asks for the body.
func (h *http) openBody(s *httpSide) {
	s.want = h.x.wants(s.bodyField())
	if s.kind == request && s.files != nil {
		s.want = true
	}
	s.want = s.want || s.frame.creates
	if s.frame.events {
		h.openEvents(s)
	}
	if !s.want {
		return
	}
	s.values++
	s.bodyNo = s.values
	if s.frame.layers.deep {
		return
	}
	if s.frame.layers.n > 0 {
		s.chain = h.x.newCodings(h.env, s.frame.layers)
	}
	if s.frame.form != plainForm && h.x.wants(s.bodyField()) {
		s.view = h.x.newViewer(s.frame.form)
	} else if s.frame.form == plainForm && !s.frame.interim {
		s.sniff = true
	}
}

// bodyBytes takes the bytes of b that belong to the body or chunk in hand.
func (h *http) bodyBytes(dir wire.Dir, s *httpSide, b []byte) int {
	if s.state != inBodyTail {
		b = b[:min(int64(len(b)), s.remain)]
		s.remain -= int64(len(b))
	}
	h.bodyPiece(dir, s, b)
	if s.state != inBodyTail && s.remain == 0 {
		h.bodyDone(dir, s)
	}
	return len(b)
}

// sparedBody decides whether a body comes although the answer to "Expect: 100-continue" was final: not if another
// request does (RFC 9110 section 10.1.1).
func (h *http) sparedBody(dir wire.Dir, s *httpSide, b []byte) (more bool) {
	switch startsMessage(request, b) {
	case Maybe:
		return false
	case Yes:
		s.remain = 0
		h.endBody(dir, s)
	}
	s.spared = false
	return true
}

// bodyDone goes on after the last byte of a body or chunk.
func (h *http) bodyDone(dir wire.Dir, s *httpSide) {
	if s.state == inChunk {
		s.state, s.cr = atChunkEnd, false
		return
	}
	h.endBody(dir, s)
}

// bodyPiece takes body bytes as they came.
func (h *http) bodyPiece(dir wire.Dir, s *httpSide, b []byte) {
	s.length += int64(len(b))
	switch {
	case !s.want:
	case s.chain != nil:
		h.decode(dir, s, b)
	default:
		h.bodyOut(s, b)
	}
	if len(h.x.parts) >= maxParts {
		h.flush(dir, s, false)
	}
}

// bodyOut collects decoded body bytes and their views.
func (h *http) bodyOut(s *httpSide, b []byte) {
	if len(b) == 0 {
		return
	}
	f := s.bodyField()
	if s.sniff {
		s.sniff = false
		if b[0] == '{' || b[0] == '[' {
			s.view = h.x.newViewer(jsonForm)
		}
	}
	if h.x.wants(f) {
		h.x.parts = append(h.x.parts, Part{Field: f, Value: s.bodyNo, Off: s.off, Bytes: b, More: true})
		s.body = true
	}
	s.off += int64(len(b))
	if s.view != nil {
		s.view.push(h.x, f, s.bodyNo, b)
	}
	if s.files != nil {
		s.files.push(h, s, b)
	}
	if s.frame.creates {
		h.privileged(s, b)
	}
	if s.events != nil {
		h.flush(s.dir, s, false) // what came before comes first
		s.events.push(h, s.id, b)
	}
}

// skipBody passes over n lost bytes of body.
func (h *http) skipBody(s *httpSide, n int64) {
	s.length += n
	s.off += n
	s.sniff = false
	if s.chain != nil {
		h.note(s, noteUndecodable)
		s.chain = h.x.freeCodings(s.chain)
	}
	if s.view != nil {
		s.view.skip(h.x, s.bodyField(), s.bodyNo, n)
	}
	if s.events != nil {
		s.events.lost(h)
	}
}

// endBody ends the body, and with it the message.
func (h *http) endBody(dir wire.Dir, s *httpSide) {
	cut := s.state == inBody && s.remain > 0 || s.state == inChunk || s.state == inChunkExt || s.state == atChunkEnd
	if cut {
		h.note(s, noteTruncated)
	}
	h.closeBody(dir, s, cut || s.state == inJunk)
	if s.kind == response && !s.frame.interim {
		h.number(s, httpLength, s.length)
	}
	h.end(dir, s)
}

// closeBody ends the body's values; cut says that the body does not end here.
func (h *http) closeBody(dir wire.Dir, s *httpSide, cut bool) {
	if s.chain != nil {
		h.decodeEnd(dir, s)
		s.chain = h.x.freeCodings(s.chain)
	}
	if s.view != nil {
		s.view.end(h.x, s.bodyField(), s.bodyNo)
		s.view = h.x.freeViewer(s.view)
	}
	if s.files != nil {
		s.files.end(h, s)
		s.files = h.x.freeMultipart(s.files)
	}
	if s.events != nil {
		h.flush(s.dir, s, false)
		s.events.close(h)
		s.events = nil
	}
	s.sniff = false
	if !s.body {
		return
	}
	s.body = false
	f := s.bodyField()
	for i := len(h.x.parts) - 1; i >= 0; i-- {
		if p := &h.x.parts[i]; p.Field == f && p.Value == s.bodyNo && p.View == ViewPlain {
			p.More, p.Cut = false, cut
			return
		}
	}
	h.x.parts = append(h.x.parts, Part{Field: f, Value: s.bodyNo, Off: s.off, Cut: cut})
}

// ours
const (
	maxSizeLine = 64  // bytes before a chunk's size is decided
	longExt     = 256 // bytes of a chunk extension from which on it is noted
)

// chunkSize reads a chunk's size up to the byte after its digits: RFC 9112 section 7.1. What a lenient receiver skips
// is skipped, and noted.
func (h *http) chunkSize(dir wire.Dir, s *httpSide, b []byte) (int, bool) {
	i := 0
	for i < len(b) && i < maxSizeLine && (b[i] <= ' ' || b[i] == '+' || b[i] == '-') {
		i++
	}
	if i > 0 {
		h.note(s, noteChunkSpelling)
	}
	if i == maxSizeLine {
		return i, true
	}
	if i == len(b) {
		return 0, false
	}
	if b[i] == '0' && i+1 < len(b) && b[i+1]|0x20 == 'x' {
		h.note(s, noteChunkSpelling)
		i += 2
	}
	size, digits := uint64(0), 0
	for ; i < len(b); i++ {
		v, ok := hexDigit(b[i])
		if !ok {
			break
		}
		if size >= 1<<56 {
			return 0, h.badChunk(dir, s)
		}
		size = size<<4 | uint64(v)
		if digits++; digits > maxSizeLine {
			return 0, h.badChunk(dir, s)
		}
	}
	switch {
	case i == len(b):
		return 0, false
	case digits == 0:
		return 0, h.badChunk(dir, s)
	}
	if c := b[i]; c != '\r' && c != '\n' && c != ';' {
		if s.first && c > ' ' && c < 0x7f && httpChars[c]&isAlnum != 0 {
			return 0, h.badChunk(dir, s) // plain text that begins like a number
		}
		h.note(s, noteChunkSpelling)
	}
	s.first = false
	s.length += int64(i)
	s.remain = int64(size)
	s.state, s.cr, s.ext, s.quoted, s.slash = inChunkExt, false, 0, false, false
	return i, true
}

func hexDigit(c byte) (byte, bool) {
	switch {
	case isDigit(c):
		return c - '0', true
	case c|0x20 >= 'a' && c|0x20 <= 'f':
		return c | 0x20 - 'a' + 10, true
	}
	return 0, false
}

// badChunk gives up on chunks: the rest is body as it comes, for the declared length if no chunk was found at all.
func (h *http) badChunk(dir wire.Dir, s *httpSide) bool {
	h.note(s, noteChunkSize)
	switch f := &s.frame; {
	case s.first && f.lengths > 0 && !f.badLength && f.length > 0:
		s.state, s.remain = inBody, f.length
	case s.first && f.lengths > 0 && !f.badLength:
		h.endBody(dir, s)
	default:
		s.state = inBodyTail
	}
	return true
}

// chunkRest ends a message cut short where a chunk size should be.
func (h *http) chunkRest(dir wire.Dir, s *httpSide, rest []byte) {
	b := trimSpace(rest)
	if len(b) != 1 || b[0] != '0' {
		h.note(s, noteTruncated)
		if len(b) > 0 {
			h.bodyPiece(dir, s, rest)
		}
	}
	h.endBody(dir, s)
}

// chunkExt takes what stands between a chunk's size and its line end. Extensions mean nothing to anybody, which makes
// them a hiding place: they are a value of the header field.
func (h *http) chunkExt(s *httpSide, b []byte) int {
	e := bytes.IndexByte(b, '\n')
	piece := b
	if e >= 0 {
		piece = b[:e]
	}
	if len(piece) > 0 {
		h.chunkExtPiece(s, piece)
	}
	if e < 0 {
		s.length += int64(len(b))
		return len(b)
	}
	s.length += int64(e + 1)
	if !s.cr {
		h.note(s, noteBareLF)
	}
	if s.quoted || s.ext == 1 {
		h.note(s, noteBadExt)
	}
	h.endHeadValue(s)
	s.state = inChunk
	if s.remain == 0 {
		s.state = inTrailer
	}
	s.scan, s.lineAt = 0, 0
	return e + 1
}

// cr is a CR that a piece ended in and that turned out to end no line.
var cr = []byte{'\r'}

// chunkExtPiece takes a piece of an extension: ";" name ["=" value]. A CR at its end waits for the next piece.
func (h *http) chunkExtPiece(s *httpSide, piece []byte) {
	if s.cr {
		h.note(s, noteBareCR)
		h.chunkExtText(s, cr)
	}
	s.cr = piece[len(piece)-1] == '\r'
	h.chunkExtText(s, trimCR(piece))
}

func (h *http) chunkExtText(s *httpSide, text []byte) {
	if len(text) == 0 {
		return
	}
	for _, c := range text {
		switch {
		case c == '\r':
			h.note(s, noteBareCR)
		case c < ' ' && c != '\t':
			h.note(s, noteChunkSpelling)
		case c == '"' && !s.slash:
			s.quoted = !s.quoted
		}
		s.slash = c == '\\' && !s.slash
	}
	if s.ext == 0 {
		text = text[1:] // what separates it from the size
		s.ext++
	}
	s.ext += int64(len(text))
	h.headPiece(s, text)
	if s.ext > longExt {
		h.note(s, noteChunkExt)
	}
}

// chunkEnd takes the CRLF after chunk data.
func (h *http) chunkEnd(s *httpSide, b []byte) int {
	switch c := b[0]; {
	case c == '\r' && !s.cr:
		s.cr = true
		s.length++
		return 1
	case c == '\n':
		if !s.cr {
			h.note(s, noteBareLF)
		}
		s.length++
		s.state = atChunkSize
		return 1
	}
	h.note(s, noteChunkEnd)
	s.state = atChunkSize
	return 0
}

// trailer takes the trailer section after the last chunk: RFC 9112 section 7.1.2.
func (h *http) trailer(dir wire.Dir, s *httpSide, b []byte) (int, bool) {
	switch foldPrefix(b, "http/") {
	case Yes: // the empty line is missing
		h.note(s, noteChunkEnd)
		h.endBody(dir, s)
		return 0, true
	case Maybe:
		return 0, false
	}
	end, next, ok := h.findEnd(s, b, false)
	if !ok {
		if len(b) < max(h.env.Limits.Line, 256) {
			return 0, false
		}
		h.note(s, noteLongHead)
		h.add(s, headField(s.kind), b)
		h.flush(dir, s, false)
		s.scan, s.lineAt = 0, 0
		return len(b), true
	}
	s.scan, s.lineAt = 0, 0
	if end > 0 {
		h.trailers(s, b, h.x.ends)
		h.add(s, headField(s.kind), b[:end])
	}
	h.endBody(dir, s)
	return next, true
}

// trailers judges trailer lines.
func (h *http) trailers(s *httpSide, b []byte, ends []int32) {
	at := 0
	for _, e := range ends {
		line := trimCR(b[at:e])
		at = int(e) + 1
		h.oddLine(s, line, false)
		c := bytes.IndexByte(line, ':')
		if c < 0 {
			h.note(s, noteNoColon)
			continue
		}
		if framingName(line[:c]) != otherHeader {
			h.note(s, noteTrailer)
		}
	}
}
