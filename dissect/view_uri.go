package dissect

import (
	"bytes"
	"unicode/utf8"
)

// addURI collects the request target and its decoded views.
func (h *http) addURI(s *httpSide, t []byte, escaped bool) {
	x := h.x
	h.add(s, httpURI, t)
	if !escaped {
		return
	}
	once, shifts, many := h.unescape(t, nil)
	h.judgeURI(s, once)
	if !x.wants(httpURI) || !many {
		return
	}
	value := s.values
	x.parts = append(x.parts, Part{Field: httpURI, Value: value, View: ViewPercent, Bytes: once, Shifts: shifts})
	if bytes.IndexByte(once, '%') < 0 {
		return
	}
	if twice, shifts2, many := h.unescape(once, shifts); many {
		x.parts = append(x.parts, Part{Field: httpURI, Value: value, View: ViewDouble, Bytes: twice, Shifts: shifts2})
	}
}

// addHead collects a header block. Referer, Location and Cookie carry pieces of targets: where there are percent
// escapes, the block is shown decoded too.
func (h *http) addHead(s *httpSide, b []byte) {
	f := headField(s.kind)
	h.add(s, f, b)
	if !h.x.wants(f) || bytes.IndexByte(b, '%') < 0 {
		return
	}
	if once, shifts, any := h.unescape(b, nil); any {
		h.x.parts = append(h.x.parts, Part{Field: f, Value: s.values, View: ViewPercent, Bytes: once, Shifts: shifts})
	}
}

// unescape decodes percent escapes of b into the scratch buffer. If b is a view itself, under holds its shifts. any
// reports whether there was an escape at all.
func (h *http) unescape(b []byte, under []Shift) (out []byte, shifts []Shift, any bool) {
	x := h.x
	at, first := len(x.text), len(x.shifts)
	if need := at + len(b); need > cap(x.text) {
		x.text = append(make([]byte, 0, need+1024), x.text...)
	}
	delta, base, k := int64(0), int64(0), 0
	shift := func(src int64) {
		for k < len(under) && under[k].At <= src {
			base = under[k].Delta
			k++
		}
		to := int64(len(x.text) - at)
		if n := len(x.shifts); n > first && x.shifts[n-1].At == to {
			x.shifts[n-1].Delta = delta + base
		} else if n == first || x.shifts[n-1].Delta != delta+base {
			x.shifts = append(x.shifts, Shift{At: to, Delta: delta + base})
		}
	}
	shift(0)
	for i := 0; i < len(b); {
		if k < len(under) && under[k].At <= int64(i) {
			shift(int64(i))
		}
		if c := b[i]; c != '%' && (c != '+' || under != nil) {
			x.text = append(x.text, c)
			i++
			continue
		}
		e := PercentEscape(b[i:], true)
		if e.Size <= 0 {
			x.text = append(x.text, b[i])
			i++
			continue
		}
		any = true
		x.text = append(x.text, e.Out[:e.N]...)
		i += e.Size
		if d := int64(e.Size - e.N); d != 0 {
			delta += d
			shift(int64(i))
		}
	}
	return x.text[at:], x.shifts[first:], any
}

// judgeURI notes what stands in a decoded target that some receivers take for something else.
func (h *http) judgeURI(s *httpSide, b []byte) {
	for i := 0; i < len(b); i++ {
		c := b[i]
		switch {
		case c == '\r' || c == '\n':
			h.note(s, noteURICRLF)
			h.judgeInjected(s, b[i+1:])
		case c < 0x80:
		default:
			r, n := utf8.DecodeRune(b[i:])
			if r == utf8.RuneError && n <= 1 || r >= 0xff00 && r <= 0xffef {
				h.note(s, noteURIUTF8)
			}
			i += max(n, 1) - 1
		}
	}
}

// judgeInjected notes what stands behind an encoded line end, if it is what an attacker writes there.
func (h *http) judgeInjected(s *httpSide, b []byte) {
	if bytes.HasPrefix(b, []byte("HTTP/1.")) {
		h.note(s, noteSplitting)
		return
	}
	for _, name := range injected {
		if len(b) > len(name) && b[len(name)] == ':' && bytes.EqualFold(b[:len(name)], []byte(name)) {
			h.note(s, noteInjection)
			return
		}
	}
}

// injected are the headers that are worth an injection. Texts of several lines have others.
var injected = []string{
	"Set-Cookie", "Location", "Content-Type", "Content-Length", "Transfer-Encoding", "Refresh", "X-XSS-Protection", "Access-Control-Allow-Origin",
	"Content-Disposition", "Content-Encoding", "Cache-Control", "Host", "Cookie", "X-Forwarded-For", "X-Forwarded-Host", "Authorization", "Connection",
}
