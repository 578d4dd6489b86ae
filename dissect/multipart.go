package dissect

import "bytes"

// ours
const (
	maxBoundary  = 70  // bytes, RFC 2046 section 5.1.1
	maxPartLine  = 512 // bytes of a part's header line that are looked at
	maxFileNames = 256 // file names of one body; more are not told apart from the body
)

// multipart finds the files in a multipart body (RFC 7578, RFC 2046) as it comes: their names and sizes. The parts' bytes are the body's
// own; they are not copied.
type multipart struct {
	delim  [maxBoundary + 2]byte // "--" boundary
	nDelim int
	inHead bool // in a part's header lines
	names  int
	named  bool              // the part in hand has a file name
	size   int64             // bytes of its content, up to the line in hand
	eol    int64             // of them, those of the last line's end
	cur    int64             // bytes of the line in hand
	cr     bool              // the last of them is a CR
	line   [maxPartLine]byte // the line in hand, as far as it is kept
	nLine  int
}

// newMultipart makes a scanner for the boundary that a Content-Type names; nil if it names none.
func (x *httpScratch) newMultipart(contentType []byte) *multipart {
	b := parameter(contentType, "boundary")
	if len(b) == 0 || len(b) > maxBoundary {
		return nil
	}
	var m *multipart
	if n := len(x.files); n > 0 {
		m, x.files = x.files[n-1], x.files[:n-1]
	} else {
		m = new(multipart)
	}
	m.nDelim = copy(m.delim[:], "--")
	m.nDelim += copy(m.delim[2:], b)
	*m = multipart{delim: m.delim, nDelim: m.nDelim}
	return m
}

func (x *httpScratch) freeMultipart(m *multipart) *multipart {
	if m != nil && len(x.files) < maxFree {
		x.files = append(x.files, m)
	}
	return nil
}

// parameter returns the value of a parameter of a header value, without quotes; nil if there is none.
func parameter(v []byte, name string) []byte {
	for {
		i := indexFold(v, name)
		if i < 0 {
			return nil
		}
		ok := i == 0 || v[i-1] == ';' || v[i-1] == ' ' || v[i-1] == '\t'
		v = v[i+len(name):]
		rest := bytes.TrimLeft(v, " \t")
		if !ok || len(rest) == 0 || rest[0] != '=' {
			continue
		}
		rest = bytes.TrimLeft(rest[1:], " \t")
		if len(rest) > 0 && rest[0] == '"' {
			rest = rest[1:]
			if i := bytes.IndexByte(rest, '"'); i >= 0 {
				return rest[:i]
			}
			return rest
		}
		if i := bytes.IndexAny(rest, "; \t\r\n"); i >= 0 {
			rest = rest[:i]
		}
		return rest
	}
}

// push takes the next bytes of the body, line by line. Of a line in a part's content only the front is kept, enough to
// know a delimiter.
func (m *multipart) push(h *http, s *httpSide, b []byte) {
	for len(b) > 0 {
		e := bytes.IndexByte(b, '\n')
		piece := b
		if e >= 0 {
			piece = b[:e]
		}
		room := len(m.line)
		if !m.inHead {
			room = m.nDelim
		}
		if m.nLine < room {
			m.nLine += copy(m.line[m.nLine:room], piece)
		}
		m.cur += int64(len(piece))
		if n := len(piece); n > 0 {
			m.cr = piece[n-1] == '\r'
		}
		if e < 0 {
			return
		}
		m.endLine(h, s)
		m.nLine, m.cur, m.cr = 0, 0, false
		b = b[e+1:]
	}
}

// endLine judges a whole line.
func (m *multipart) endLine(h *http, s *httpSide) {
	line := m.line[:m.nLine]
	switch {
	case bytes.HasPrefix(line, m.delim[:m.nDelim]):
		m.fileEnd(h, s, m.size-m.eol, false)
		m.inHead = true
	case !m.inHead:
		if m.eol = 1; m.cr {
			m.eol = 2
		}
		m.size += m.cur + 1
	case emptyLine(line):
		m.inHead, m.size, m.eol = false, 0, 0
	case m.names < maxFileNames && indexFold(line, "filename") >= 0:
		name := parameter(line, "filename")
		if name == nil {
			name = parameter(line, "filename*")
		}
		if len(name) > 0 {
			m.names++
			at := len(h.x.text)
			h.x.text = append(h.x.text, name...)
			h.add(s, httpBodyFile, h.x.text[at:])
			m.named = true
		}
	}
}

// fileEnd tells the size of the part in hand, if it is a file. cut says that it does not end here.
func (m *multipart) fileEnd(h *http, s *httpSide, size int64, cut bool) {
	if m.named && h.x.wants(httpFileSize) {
		h.number(s, httpFileSize, size)
		h.x.parts[len(h.x.parts)-1].Cut = cut
	}
	m.named = false
}

// end ends the body: the last delimiter may have no line end.
func (m *multipart) end(h *http, s *httpSide) {
	switch {
	case m.inHead:
		m.fileEnd(h, s, 0, true)
	case bytes.HasPrefix(m.line[:m.nLine], m.delim[:m.nDelim]):
		m.fileEnd(h, s, m.size-m.eol, false)
	default:
		m.fileEnd(h, s, m.size+m.cur, true)
	}
}
