package policy

import "bytes"

// Limits, ours. What is beyond them is doubtful.
const (
	maxEscapes = 2   // escapes of escapes that are resolved
	perPath    = 256 // copies of a path that its readings may take
)

// plainPath reports whether all servers read a path the same way: no escapes, no dots between slashes, no two slashes, no parameters, no
// bytes outside ASCII.
func plainPath(s []byte) bool {
	start := true // of a segment
	for i, c := range s {
		switch {
		case c == '/':
			if start && i > 0 {
				return false
			}
			start = true
			continue
		case c == '.' && start:
			return false // also of names that begin with a dot: those are read at length
		case c <= ' ' || c >= 0x7f || c == '%' || c == ';' || c == '\\' || c == '?' || c == '#':
			return false
		}
		start = false
	}
	return true
}

// strictly adds the readings of a path for rules that allow. They are few: whatever servers disagree upon, and no client needs, is doubtful.
func (x *reader) strictly(s []byte) {
	at := len(x.f.text)
	x.unescape(s, true)
	all := x.f.text[at:]
	if len(s) == 0 || s[0] != '/' || bytes.IndexByte(all, '\\') >= 0 || hasDots(all) || hasEscape(all) {
		x.doubt = true
	}
	if x.doubt {
		return
	}
	x.forms(all)
	at = len(x.f.text)
	x.unescape(s, false)
	if kept := x.f.text[at:]; !bytes.Equal(kept, all) { // slashes that are escaped may be part of a name
		x.forms(kept)
	}
}

// forms adds a path with and without what servers may take off it.
func (x *reader) forms(s []byte) {
	x.slashed(s)
	if i := bytes.IndexAny(s, "?#"); i >= 0 { // escaped ones: who decodes before he takes the query off ends the path here
		x.slashed(s[:i])
	}
	if bytes.IndexByte(s, ';') >= 0 {
		s = withoutParameters(x.copy(s))
		x.slashed(s)
		if i := bytes.IndexAny(s, "?#"); i >= 0 {
			x.slashed(s[:i])
		}
	}
}

func (x *reader) slashed(s []byte) {
	x.add(s)
	if bytes.Contains(s, []byte("//")) {
		x.add(merge(x.copy(s)))
	}
}

// hasDots reports whether a segment leads up or nowhere, by itself or without what servers take off: parameters, dots and spaces.
func hasDots(s []byte) bool {
	dot, other := false, false
	for i := 0; i <= len(s); i++ {
		switch {
		case i == len(s) || bytes.IndexByte([]byte("/\\;?#"), s[i]) >= 0:
			if dot && !other {
				return true
			}
			dot, other = false, i < len(s) && s[i] == ';' // parameters, up to the next slash
		case s[i] == '.':
			dot = true
		case s[i] != ' ':
			other = true
		}
	}
	return false
}

// hasEscape reports whether escapes are left.
func hasEscape(s []byte) bool {
	for i, c := range s {
		if c != '%' {
			continue
		}
		if _, ok := hexByte(s[i+1:]); ok || i+1 < len(s) && s[i+1]|0x20 == 'u' {
			return true
		}
	}
	return false
}

// widely adds the readings of a path for rules that deny: all that some server may take it for.
func (x *reader) widely(s []byte) {
	if len(s) == 0 || s[0] != '/' { // some servers take it for one from the root
		x.add(s)
		at := len(x.f.text)
		x.f.text = append(append(x.f.text, '/'), s...)
		s = x.f.text[at:]
	}
	x.escaped(s)
	x.unescaped(s)
	if bytes.IndexByte(s, ';') >= 0 { // parameters may go before escapes are resolved, or after
		x.unescaped(withoutParameters(x.copy(s)))
	}
	x.loose(s)
}

// escaped is what servers read that leave escaped slashes alone, and perhaps dots too.
func (x *reader) escaped(s []byte) {
	at := len(x.f.text)
	x.unescape(s, false)
	out := x.f.text[at:]
	x.done(at)
	x.ends(out)
	x.variants(out)
}

// unescaped is what servers read that resolve escapes, and perhaps those of escapes.
func (x *reader) unescaped(s []byte) {
	for n := 0; ; n++ {
		at := len(x.f.text)
		again := x.unescape(s, true)
		s = x.f.text[at:]
		x.variants(s)
		if !again {
			return
		}
		if n == maxEscapes {
			x.doubt = true
			return
		}
	}
}

// copy makes a copy of s that may be changed.
func (x *reader) copy(s []byte) []byte {
	at := len(x.f.text)
	x.f.text = append(x.f.text, s...)
	return x.f.text[at:]
}

// variants adds what a server may make of a path without escapes.
func (x *reader) variants(s []byte) {
	out := withoutParameters(x.copy(s))
	x.withoutEscapes(out)
	if bytes.IndexByte(s, '\\') < 0 {
		return
	}
	slashes(out)
	x.withoutEscapes(out)
	if bytes.IndexByte(s, ';') >= 0 { // in the other order
		out = x.copy(s)
		slashes(out)
		x.withoutEscapes(withoutParameters(out))
	}
}

func (x *reader) withoutEscapes(s []byte) {
	x.resolved(s, true)
	x.resolved(s, false)
	if i := bytes.IndexAny(s, "?#"); i >= 0 { // escaped ones: who decodes before he takes the query off ends the path here
		x.resolved(s[:i], true)
	}
	x.resolved(withoutTails(x.copy(s)), true)
}

// ends adds a path with a slash at its end and without one: to most servers it is the same.
func (x *reader) ends(s []byte) {
	if len(x.query) > 0 {
		return
	}
	short := bytes.TrimRight(s, "/")
	if len(short) == 0 {
		return
	}
	at := len(x.f.text)
	x.f.text = append(append(x.f.text, short...), '/')
	n := int32(len(x.f.text))
	x.f.spans = append(x.f.spans, span{int32(at), n}, span{int32(at), n - 1})
	fold(x.f.text[at:])
}

// resolved adds s with its dots resolved and its slashes merged: before that, or after it.
func (x *reader) resolved(s []byte, first bool) {
	at := len(x.f.text)
	x.f.text = append(x.f.text, s...)
	out := x.f.text[at:]
	if first {
		out = merge(out)
	}
	out = merge(dots(out))
	x.f.text = x.f.text[:at+len(out)]
	x.done(at)
	x.ends(x.f.text[at : at+len(out)])
}

// slashes makes slashes of backslashes.
func slashes(s []byte) {
	for i, c := range s {
		if c == '\\' {
			s[i] = '/'
		}
	}
}

// merge makes one slash of several in a row, in place.
func merge(s []byte) []byte {
	out := s[:0]
	for i, c := range s {
		if c != '/' || i == 0 || len(out) > 0 && out[len(out)-1] != '/' {
			out = append(out, c)
		}
	}
	return out
}

// dots resolves "." and ".." between slashes, in place (RFC 3986, section 5.2.4).
func dots(s []byte) []byte {
	root := 0
	if len(s) > 0 && s[0] == '/' {
		root = 1
	}
	out := s[:root]
	for at := root; at <= len(s); {
		end := len(s)
		n := bytes.IndexByte(s[at:], '/')
		if n >= 0 {
			end = at + n
		}
		switch seg := s[at:end]; {
		case len(seg) == 1 && seg[0] == '.':
		case isUp(seg):
			out = out[:max(root, 1+bytes.LastIndexByte(out[:max(0, len(out)-1)], '/'))]
		default:
			out = append(out, seg...)
			if n >= 0 {
				out = append(out, '/')
			}
		}
		at = end + 1
	}
	return out
}

func isUp(seg []byte) bool { return len(seg) == 2 && seg[0] == '.' && seg[1] == '.' }

// withoutParameters takes off what stands behind a ';' in each segment, in place.
func withoutParameters(s []byte) []byte {
	out := s[:0]
	skip := false
	for _, c := range s {
		if skip = c != '/' && (skip || c == ';'); !skip {
			out = append(out, c)
		}
	}
	return out
}

// withoutTails takes dots and spaces off the ends of segments, as Windows does, in place.
func withoutTails(s []byte) []byte {
	out := s[:0]
	start := 0 // of the segment, in out
	for i := 0; i <= len(s); i++ {
		if i < len(s) && s[i] != '/' {
			out = append(out, s[i])
			continue
		}
		if seg := out[start:]; len(seg) > 1 && !isUp(seg) {
			out = out[:start+len(bytes.TrimRight(seg, ". "))]
		}
		if i < len(s) {
			out = append(out, '/')
		}
		start = len(out)
	}
	return out
}

// unescape appends s with its percent escapes resolved; those of slashes only if all is set, else they are written in one way. again reports whether there are
// escapes in the result.
func (x *reader) unescape(s []byte, all bool) (again bool) {
	for i := 0; i < len(s); i++ {
		c := s[i]
		if c == '%' {
			n, ok := hexByte(s[i+1:])
			if !ok {
				x.unsure()
				x.f.text = append(x.f.text, '%')
				continue
			}
			i += 2
			if !all && (n == '/' || n == '\\') {
				x.f.text = append(x.f.text, '%', "0123456789ABCDEF"[n>>4], "0123456789ABCDEF"[n&15])
				continue
			}
			again = again || n == '%'
			c = n
		}
		if c < ' ' || c == 0x7f {
			x.unsure()
		}
		x.f.text = append(x.f.text, c)
	}
	x.letters(s)
	return again
}

// unsure notes that servers differ. For rules that deny it means nothing: what they may make of it is added.
func (x *reader) unsure() { x.doubt = x.doubt || !x.deny }

// letters looks, escaped or not, for spellings of ASCII that are not ASCII: overlong UTF-8, and full-width forms.
func (x *reader) letters(s []byte) {
	if x.deny || x.doubt {
		return
	}
	var b [3]byte // the last bytes
	for i := 0; i < len(s); i++ {
		c := s[i]
		if n, ok := hexByte(s[i+1:]); c == '%' && ok {
			c = n
			i += 2
		}
		b = [3]byte{b[1], b[2], c}
		if _, n := ascii(b[:]); n > 0 {
			x.unsure()
		} else if _, n := ascii(b[1:]); n > 0 {
			x.unsure()
		}
	}
}

// ascii reads the odd spelling of an ASCII character that b begins with; n is its length, 0: there is none.
func ascii(b []byte) (c byte, n int) {
	switch {
	case len(b) >= 2 && b[0]&0xfe == 0xc0 && b[1]&0xc0 == 0x80: // overlong
		return b[0]&1<<6 | b[1]&0x3f, 2
	case len(b) >= 3 && b[0] == 0xe0 && b[1]&0xfe == 0x80 && b[2]&0xc0 == 0x80:
		return b[1]&1<<6 | b[2]&0x3f, 3
	case len(b) >= 3 && b[0] == 0xef && (b[1] == 0xbc || b[1] == 0xbd) && b[2]&0xc0 == 0x80: // U+FF00 to U+FF7F
		if c := b[1]&1<<6 | b[2]&0x3f; c <= 0x5e {
			return c + 0x20, 3
		}
	}
	return 0, 0
}

// loose adds what the most generous server reads.
func (x *reader) loose(s []byte) {
	for range maxEscapes {
		at := len(x.f.text)
		again := x.loosen(s)
		s = x.f.text[at:]
		if !again {
			break
		}
	}
	x.variants(s)
	if i := bytes.IndexByte(s, 0); i >= 0 {
		x.variants(s[:i])
	}
}

// loosen appends s with escapes, also as %u002e, and odd spellings resolved. again reports whether that left further ones.
func (x *reader) loosen(s []byte) (again bool) {
	from := len(x.f.text)
	for i := 0; i < len(s); i++ {
		c := s[i]
		if c == '%' {
			if n, ok := hexByte(s[i+1:]); ok {
				c = n
				i += 2
			} else if len(s) >= i+6 && s[i+1]|0x20 == 'u' {
				high, ok := hexByte(s[i+2:])
				low, ok2 := hexByte(s[i+4:])
				if ok && ok2 {
					if c = low; high == 0xff && low <= 0x5e {
						c = low + 0x20
					}
					i += 5
				}
			}
		}
		x.f.text = append(x.f.text, c)
	}
	out := x.f.text[from:from]
	for b := x.f.text[from:]; len(b) > 0; {
		c, n := ascii(b)
		if n == 0 {
			c, n = b[0], 1
		}
		out, b = append(out, c), b[n:]
		again = again || c == '%'
	}
	x.f.text = x.f.text[:from+len(out)]
	return again
}

func hexByte(s []byte) (c byte, ok bool) {
	if len(s) < 2 {
		return 0, false
	}
	a, ok := hexDigit(s[0])
	b, ok2 := hexDigit(s[1])
	return a<<4 | b, ok && ok2
}

func hexDigit(c byte) (byte, bool) {
	switch {
	case '0' <= c && c <= '9':
		return c - '0', true
	case 'a' <= c|0x20 && c|0x20 <= 'f':
		return c | 0x20 - 'a' + 10, true
	}
	return 0, false
}
