package dissect

import (
	"bytes"

	"weir/wire"
)

// probeHTTP says Yes to a request line with a version and to a status line, Maybe to what may become one.
func probeHTTP(_ wire.Dir, head []byte) Guess {
	b := head
	for len(b) > 0 && (b[0] == '\r' || b[0] == '\n') {
		b = b[1:]
	}
	if len(head)-len(b) > 8 {
		return No
	}
	if len(b) == 0 {
		return Maybe
	}
	if g := probeStatus(b); g != No {
		return g
	}
	return probeRequest(b)
}

// probeStatus looks for "HTTP/d.d ddd".
func probeStatus(b []byte) Guess {
	const form = "HTTP/0.0 000"
	for i := range len(form) {
		if i == len(b) {
			return Maybe
		}
		if c := b[i]; c != form[i] && !(form[i] == '0' && isDigit(c)) {
			return No
		}
	}
	return Yes
}

// probeRequest looks for "METHOD SP target SP HTTP/d" before the first line end.
func probeRequest(b []byte) Guess {
	n := 0
	for n < len(b) && httpChars[b[n]]&isToken != 0 {
		n++
	}
	if n > maxMethod {
		return No
	}
	if n == len(b) {
		return Maybe
	}
	method := b[:n]
	if n == 0 || b[n] != ' ' || !upperMethod(method) {
		return No
	}
	line, full := b[n+1:], false
	if i := bytes.IndexByte(line, '\n'); i >= 0 {
		line, full = bytes.TrimRight(line[:i], "\r"), true
	}
	if i := bytes.LastIndex(line, []byte(" HTTP/")); i >= 0 && len(line) >= i+7 && isDigit(line[i+6]) {
		if line[i+6] == '2' && string(method) == "PRI" {
			return No
		}
		return Yes
	}
	if len(line) > 5 && string(line[:5]) == "HTTP/" && isDigit(line[5]) && knownMethod(method) {
		return Yes // no target
	}
	if full { // before, control bytes prove nothing: a version may follow them
		if bytes.IndexFunc(line, func(r rune) bool { return r < ' ' && r != '\t' }) >= 0 {
			return No
		}
		if (string(method) == "GET" || string(method) == "POST" || string(method) == "HEAD") && len(line) > 0 && line[0] == '/' && bytes.IndexByte(line, ' ') < 0 {
			return Yes // HTTP/0.9
		}
		return No
	}
	return Maybe
}

// upperMethod reports whether m is written as registered methods are: upper case letters, '-' and '_'.
func upperMethod(m []byte) bool {
	for _, c := range m {
		if (c < 'A' || c > 'Z') && c != '-' && c != '_' {
			return false
		}
	}
	return true
}

func isDigit(c byte) bool { return c-'0' < 10 }

// Classes of bytes.
const (
	isToken uint8 = 1 << iota // tchar, RFC 9110 section 5.6.2
	isAlnum
	isPunct // a tchar that is neither letter, digit nor '-'
	isCtl   // control bytes but HTAB
	isHost  // may stand in a host: letters, digits, '-', '.', '_'
)

// httpChars holds the classes of every byte.
var httpChars = classes()

func classes() (t [256]uint8) {
	for c := range 256 {
		switch b := byte(c); {
		case b|0x20 >= 'a' && b|0x20 <= 'z', isDigit(b):
			t[c] = isToken | isAlnum | isHost
		case b == '-':
			t[c] = isToken | isHost
		case bytes.IndexByte([]byte("!#$%&'*+.^_`|~"), b) >= 0:
			t[c] = isToken | isPunct
			if b == '.' || b == '_' {
				t[c] |= isHost
			}
		case b < ' ' && b != '\t', b == 0x7f:
			t[c] = isCtl
		}
	}
	return t
}
