package dlp

import (
	"bytes"
	"unicode/utf8"
)

// undone is a text with its escapes resolved: percent signs (also of percent signs), backslashes, HTML's entities. It knows where each
// byte came from, and how deep it was escaped: an escaped '&' is part of a value whose name stood in the clear, and ends one whose name
// was escaped as deep.
type undone struct {
	text  []byte
	at    []int32 // by byte of text, and one past it: its place in the source; nil: text is the source
	level []uint8 // by byte of text; nil: 0
	buf   []byte
	src   int // bytes of the source
}

const (
	maxLevels  = 4  // of escapes in escapes
	trackStart = 14 // bytes of %B and the digits of the shortest card's number
)

// read undoes b. What u holds borrows from b until the next call.
func (u *undone) read(b []byte) {
	u.text, u.src = b, len(b)
	u.at, u.level = u.at[:0], u.level[:0]
	if bytes.IndexByte(b, '%') < 0 && bytes.IndexByte(b, '\\') < 0 && bytes.IndexByte(b, '&') < 0 {
		return
	}
	u.buf = u.buf[:0]
	for i := 0; i < len(b); {
		r, level, n := rune(b[i]), uint8(0), 1
		switch b[i] {
		case '%':
			r, level, n = percent(b[i:])
		case '\\':
			r, level, n = backslash(b[i:])
		case '&':
			r, level, n = entity(b[i:])
		}
		if level > 0 && r >= utf8.RuneSelf && b[i] != '%' {
			k := len(u.buf)
			u.buf = utf8.AppendRune(u.buf, r)
			for range len(u.buf) - k {
				u.at, u.level = append(u.at, int32(i)), append(u.level, level)
			}
		} else {
			u.buf, u.at, u.level = append(u.buf, byte(r)), append(u.at, int32(i)), append(u.level, level)
		}
		i += n
	}
	u.at = append(u.at, int32(len(b)))
	u.text = u.buf
}

// place returns where byte i of the text came from; i may be one past the end.
func (u *undone) place(i int) int {
	if len(u.at) == 0 {
		return i
	}
	return int(u.at[i])
}

func (u *undone) depth(i int) uint8 {
	if len(u.level) == 0 {
		return 0
	}
	return u.level[i]
}

// percent reads an escape at the front of b: %41, %2541, %u0041.
func percent(b []byte) (r rune, level uint8, n int) {
	if len(b) > trackStart && b[1] == 'B' && allDigits(b[2:trackStart]) { // track 1 of a magnetic stripe begins like that
		return '%', 0, 1
	}
	n, level = 1, 1
	for level < maxLevels && len(b) >= n+4 && b[n] == '2' && b[n+1] == '5' && hexValue(b[n+2]) >= 0 && hexValue(b[n+3]) >= 0 {
		n += 2
		level++
	}
	if len(b) >= n+5 && b[n]|0x20 == 'u' {
		if v, ok := hexNumber(b[n+1 : n+5]); ok && v < utf8.RuneSelf {
			return v, level, n + 5
		}
	}
	if len(b) >= n+2 {
		if v, ok := hexNumber(b[n : n+2]); ok {
			return v, level, n + 2
		}
	}
	return '%', 0, 1
}

// backslash reads what backslashes at the front of b make of what follows them. Those of JSON in JSON in JSON are 1, 3, 7 before a quote.
func backslash(b []byte) (r rune, level uint8, n int) {
	for n < len(b) && b[n] == '\\' {
		n++
	}
	level = uint8(min(n, 1<<maxLevels-1))
	rest := b[n:]
	if len(rest) == 0 {
		return '\\', 0, 1
	}
	switch c := rest[0]; {
	case c == '"' || c == '\'' || c == '/':
		return rune(c), level, n + 1
	case c == 'u' && len(rest) >= 5:
		if v, ok := hexNumber(rest[1:5]); ok {
			return v, level, n + 5
		}
	case c == 'x' && len(rest) >= 3:
		if v, ok := hexNumber(rest[1:3]); ok {
			return v, level, n + 3
		}
	case c == 'n' || c == 'r' || c == 't':
		return '\n', level, n + 1
	}
	return '\\', 0, n
}

var entities = []struct {
	name  string
	r     rune
	level uint8 // that of &amp; is 0: where it is none of HTML, the '&' is one all the same
}{{"&amp;", '&', 0}, {"&quot;", '"', 1}, {"&apos;", '\'', 1}, {"&lt;", '<', 1}, {"&gt;", '>', 1}}

// entity reads an entity at the front of b.
func entity(b []byte) (r rune, level uint8, n int) {
	for i := range entities {
		if e := &entities[i]; len(b) >= len(e.name) && string(b[:len(e.name)]) == e.name {
			return e.r, e.level, len(e.name)
		}
	}
	if len(b) < 4 || b[1] != '#' {
		return '&', 0, 1
	}
	end := bytes.IndexByte(b[:min(len(b), 12)], ';')
	if end < 0 {
		return '&', 0, 1
	}
	digits, base := b[2:end], rune(10)
	if len(digits) > 0 && digits[0]|0x20 == 'x' {
		digits, base = digits[1:], 16
	}
	for _, c := range digits {
		v := hexValue(c)
		if v < 0 || rune(v) >= base {
			return '&', 0, 1
		}
		r = r*base + rune(v)
	}
	if len(digits) == 0 || r > utf8.MaxRune {
		return '&', 0, 1
	}
	return r, 1, end + 1
}

func hexNumber(b []byte) (r rune, ok bool) {
	for _, c := range b {
		v := hexValue(c)
		if v < 0 {
			return 0, false
		}
		r = r<<4 | rune(v)
	}
	return r, true
}

// hexValue returns what a hexadecimal digit stands for, -1 if it is none.
func hexValue(c byte) int {
	switch {
	case isDigit(c):
		return int(c - '0')
	case c|0x20 >= 'a' && c|0x20 <= 'f':
		return int(c|0x20-'a') + 10
	}
	return -1
}
