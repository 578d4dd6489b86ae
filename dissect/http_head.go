package dissect

import (
	"bytes"
	"encoding/binary"
	"math/bits"

	"weir/wire"
)

// head waits for the whole of start line and header block, up to Limits.Line.
func (h *http) head(dir wire.Dir, s *httpSide, b []byte) (int, bool) {
	if s.kind == request {
		if n, ok := h.oldRequest(dir, s, b); ok {
			return n, true
		}
	}
	end, next, ok := h.findEnd(s, b, true)
	limit := max(h.env.Limits.Line, 256)
	if !ok && len(b) < limit {
		return 0, false
	}
	if !ok || end > limit {
		return h.longHead(dir, s, b[:min(len(b), limit)]), true
	}
	h.wholeHead(dir, s, b, end, next)
	return next, true
}

// findEnd looks for the empty line that ends a header block. The block is b[:end], its line ends are put into h.x.ends,
// what follows begins at next. first says that b begins with a start line. It goes on where it stopped for lack of
// bytes.
func (h *http) findEnd(s *httpSide, b []byte, first bool) (end, next int, ok bool) {
	ends := h.x.ends[:0]
	resumed := s.lineAt > 0
	p, from := s.lineAt, max(s.scan, s.lineAt)
	for p < len(b) {
		i := bytes.IndexByte(b[from:], '\n')
		if i < 0 {
			break
		}
		e := from + i // of the line b[p:e]
		if b[p] <= ' ' && (p > 0 || !first) {
			switch blankLine(b, p, e, s.closed) {
			case Yes:
				if !emptyLine(b[p:e]) {
					h.note(s, noteBlankLine)
				}
				h.x.ends = ends
				if resumed {
					h.lineEnds(b[:p])
				}
				return p, e + 1, true
			case Maybe:
				s.lineAt, s.scan = p, from
				h.x.ends = ends
				return 0, 0, false
			}
		}
		ends = append(ends, int32(e))
		p, from = e+1, e+1
	}
	s.lineAt, s.scan = p, len(b)
	h.x.ends = ends
	return 0, 0, false
}

func (h *http) lineEnds(b []byte) {
	ends := h.x.ends[:0]
	for p := 0; p < len(b); {
		i := bytes.IndexByte(b[p:], '\n')
		if i < 0 {
			break
		}
		ends = append(ends, int32(p+i))
		p += i + 1
	}
	h.x.ends = ends
}

func emptyLine(l []byte) bool { return len(l) == 0 || len(l) == 1 && l[0] == '\r' }

// blankLine reports whether the line b[p:e] ends the header block. An empty one does. One of only white space does for
// some receivers and continues a header for others: it does here unless another header, an empty line or a continuation
// follows.
func blankLine(b []byte, p, e int, closed bool) Guess {
	if emptyLine(b[p:e]) {
		return Yes
	}
	for _, c := range b[p:e] {
		if c != ' ' && c != '\t' && c != '\r' {
			return No
		}
	}
	q := b[e+1:]
	for i, c := range q {
		switch {
		case i == 0 && (c == '\r' || c == '\n' || c == ' ' || c == '\t'):
			return No
		case c == ':' && i > 0:
			return No
		case httpChars[c]&isToken == 0 || i > 128:
			return Yes
		}
	}
	if closed {
		return Yes
	}
	return Maybe
}

// wholeHead takes a head b[:end] whose body begins at next.
func (h *http) wholeHead(dir wire.Dir, s *httpSide, b []byte, end, next int) {
	if end == len(b) { // cut short: the last line has no end
		h.lineEnds(b)
		if n := len(h.x.ends); end > 0 && (n == 0 || int(h.x.ends[n-1]) != end-1) {
			h.x.ends = append(h.x.ends, int32(end))
		}
	}
	s.scan, s.lineAt = 0, 0
	if len(h.x.ends) == 0 {
		h.end(dir, s)
		return
	}
	e := int(h.x.ends[0])
	if e < end && (e == 0 || b[e-1] != '\r') {
		h.note(s, noteBareLF)
	}
	h.startLine(s, trimCR(b[:e]))
	at := min(e+1, end)
	clean := h.checkBytes(b[:next])
	if !clean {
		h.oddLine(s, trimCR(b[:e]), false)
	}
	h.headers(s, b, at, h.x.ends[1:], clean)
	if at < end {
		h.addHead(s, b[at:end])
	}
	h.headDone(dir, s, b[:end])
}

func headField(k httpKind) Field {
	if k == request {
		return httpRequestHead
	}
	return httpResponseHead
}

func trimCR(b []byte) []byte {
	if n := len(b); n > 0 && b[n-1] == '\r' {
		return b[:n-1]
	}
	return b
}

// Words of eight bytes, for looking at eight at a time.
const (
	lows  = 0x0101010101010101
	highs = 0x8080808080808080
)

// checkBytes looks at every byte of a head, eight at a time, and reports whether there is nothing to look into: no
// control bytes but the line ends' CRLF, none outside ASCII.
func (h *http) checkBytes(b []byte) (clean bool) {
	lines := len(h.x.ends)
	ctl, odd := 0, uint64(0)
	i := 0
	for ; i+8 <= len(b); i += 8 {
		w := binary.LittleEndian.Uint64(b[i:])
		low := w &^ highs
		odd |= w | (low + lows)                             // high bit: not ASCII, or DEL
		ctl += bits.OnesCount64(^(low + 0x60*lows) & highs) // high bit: below 0x20
	}
	for ; i < len(b); i++ {
		c := b[i]
		if c >= 0x7f {
			odd |= highs
		}
		if c < 0x20 {
			ctl++
		}
	}
	return odd&highs == 0 && ctl == 2*(lines+1)
}

// headers parses header lines; ends are their line ends, at is where the first begins.
func (h *http) headers(s *httpSide, b []byte, at int, ends []int32, clean bool) {
	for i := 0; i < len(ends); i++ {
		e := int(ends[i])
		line := b[at:e]
		next := e + 1
		folded := false
		for i+1 < len(ends) && next < len(b) && (b[next] == ' ' || b[next] == '\t') {
			i++
			folded = true
			next = int(ends[i]) + 1
			line = b[at : next-1]
		}
		if s.frame.lines++; int(s.frame.lines) == h.env.Limits.Headers+1 {
			h.note(s, noteManyHeaders)
		}
		if n := len(line); n > 0 && line[n-1] == '\r' {
			line = line[:n-1]
		} else {
			h.note(s, noteBareLF)
		}
		if !clean || folded {
			h.oddLine(s, line, folded)
		}
		h.header(s, line)
		at = next
	}
}

// header parses one header line, unfolded or not.
func (h *http) header(s *httpSide, line []byte) {
	var or, and uint8 = 0, 0xff
	c := 0
	for c < len(line) && line[c] != ':' {
		k := httpChars[line[c]]
		or |= k
		and &= k
		c++
	}
	if c == 0 || c == len(line) {
		if c < len(line) {
			h.note(s, noteEmptyName)
		} else {
			h.note(s, noteNoColon)
		}
		s.frame.odd = true
		return
	}
	name := line[:c]
	if and&isToken == 0 {
		h.note(s, noteBadName)
		s.frame.odd = true
		if k := framingName(name); k != otherHeader {
			h.note(s, noteDoubtfulName)
			h.framing(s, k, line[c+1:])
		}
		if at := bytes.TrimRight(name, " \t"); len(at) > 0 && framingName(name) == otherHeader {
			h.ordinary(s, at, trimSpace(line[c+1:]))
		}
		return
	}
	if x := name[0] | 0x20; len(name) >= 13 && (x == 't' || x == 'c') {
		k := exactFraming(name)
		if k == otherHeader && (or&isPunct != 0 || len(name) != 23) {
			if k = framingName(name); k != otherHeader {
				s.frame.odd = true
				h.note(s, noteDoubtfulName)
			}
		}
		if k != otherHeader {
			h.framing(s, k, line[c+1:])
			return
		}
	}
	h.ordinary(s, name, trimSpace(line[c+1:]))
}

// trimSpace cuts white space, and the line ends of folding, from both ends.
func trimSpace(b []byte) []byte {
	if n := len(b); n > 2 && b[0] == ' ' && b[1] > ' ' && b[n-1] > ' ' {
		return b[1:]
	}
	for len(b) > 0 && (b[0] == ' ' || b[0] == '\t' || b[0] == '\r' || b[0] == '\n') {
		b = b[1:]
	}
	for n := len(b); n > 0 && (b[n-1] == ' ' || b[n-1] == '\t' || b[n-1] == '\r' || b[n-1] == '\n'); n-- {
		b = b[:n-1]
	}
	return b
}

// oddLine judges the bytes of a line of a head that is not clean.
func (h *http) oddLine(s *httpSide, line []byte, folded bool) {
	odd := false
	for i, c := range line {
		switch {
		case c == 0:
			h.note(s, noteNUL)
			odd = true
		case c == '\r':
			if !folded || i+1 >= len(line) || line[i+1] != '\n' {
				h.note(s, noteBareCR)
				odd = true
			}
		case c == '\n':
		case httpChars[c]&isCtl != 0:
			h.note(s, noteControl)
			odd = true
		case c >= 0x80:
			odd = true
		}
	}
	if folded {
		h.note(s, noteFold)
		if mentionsFraming(line) {
			h.note(s, noteFoldFraming)
		}
	}
	if odd || folded {
		s.frame.odd = true
		if c := bytes.IndexByte(line, ':'); odd && c >= 0 && mentionsFraming(line[c+1:]) {
			h.note(s, noteHiddenFraming)
		}
	}
}

// mentionsFraming reports whether a framing header's name stands in b.
func mentionsFraming(b []byte) bool {
	return indexFold(b, "transfer-encoding") >= 0 || indexFold(b, "content-length") >= 0
}

// indexFold returns the place of lower-case s in b, in any case, or -1.
func indexFold(b []byte, s string) int {
	for i := 0; i+len(s) <= len(b); i++ {
		if lower(b[i]) == s[0] && foldEqual(b[i:i+len(s)], s) {
			return i
		}
	}
	return -1
}
