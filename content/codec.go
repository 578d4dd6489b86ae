package content

// codec is an encoding of bytes as text.
type codec interface {
	// begin tells whether b, the text from here on, begins with it; last says that no more follows. It needs no more than holdMost bytes to tell.
	begin(l *scratch, b []byte, last bool) verdict
	// decode undoes it in b, the text from where it left off, and gives that out. It returns how much of b it is done with, and whether it is over.
	decode(w *window, b []byte, last bool) (used int, over bool)
	// head appends to dst, decoded, what b begins with; nothing if that is never a container's bytes.
	head(dst, b []byte) []byte
}

// ours
const (
	runLeast   = 20   // letters of a run of base64: 15 digits
	sureLetter = 32   // letters of a run by which it is told what it is
	holdMost   = 128  // bytes that are waited for to tell whether something begins
	escapeMost = 12   // bytes of the longest escape: two \uXXXX of a surrogate pair
	decodeMost = 3072 // bytes that are decoded at a time
)

// codecs are the encodings, by what find tells of their beginning. Of a run of letters those come first that have fewer.
var codecs = [...][]codec{
	aRun:     {letters{letters16}, letters{letters32Upper}, letters{letters32Lower}, utf7Text{}, letters{letters64}},
	aEscape:  {escape{readBackslash}},
	aPercent: {escape{readPercent}},
	anEntity: {escape{readEntity}},
	anEquals: {escape{readEquals}},
	aSign:    {escape{readSign}},
	oneByOne: {single{}},
}

// begin tells which encoding of a kind begins at b.
func begin(l *scratch, k kind, b []byte, last bool) (codec, verdict) {
	for _, c := range codecs[k] {
		if v := c.begin(l, b, last); v != no {
			return c, v
		}
	}
	return nil, no
}

// kindOf returns what something weak is that begins with c.
func kindOf(c byte) kind {
	switch c {
	case '\\':
		return aEscape
	case '&':
		return anEntity
	case '=':
		return anEquals
	}
	return aSign
}

// unfinished returns how many bytes at the end of b may be the beginning of something encoded, and whether that is letters alone.
func unfinished(b []byte) (n int, letters bool) {
	size := len(b)
	for n < min(size, runLeast) && classes[b[size-1-n]]&letter64 != 0 {
		n++
	}
	hold := n
	for k := 1; k <= min(size, escapeMost); k++ {
		if classes[b[size-k]]&opens != 0 {
			hold = max(hold, k)
		}
	}
	hold = max(hold, alternating(b))
	for hold > n && hold < size && classes[b[size-hold]]&classes[b[size-hold-1]]&letter64 != 0 {
		hold-- // a run that nothing begins in has no beginning there
	}
	return hold, hold == n && n < runLeast
}

// alternating returns how many bytes at the end of b are digits, or NUL, and something else, in turn.
func alternating(b []byte) int {
	for k := 1; k <= min(len(b), 2); k++ {
		c := b[len(b)-k]
		digit := c >= '0' && c <= '9'
		if c != 0 && !digit {
			continue
		}
		n := k
		for n+2 <= min(len(b), 2*singleLeast) {
			d := b[len(b)-n-2]
			if digit && (d < '0' || d > '9') || !digit && d != 0 {
				break
			}
			n += 2
		}
		return min(n+1, len(b))
	}
	return 0
}

// skip is a run of letters in which something might have begun, and did not: it is passed up to where something else may.
type skip struct {
	on    bool
	tries uint8 // places in the run at which nothing began
}

const triesMost = 16 // places in a run at which it is asked what begins there

// pass returns how much of b is passed, and whether that is all: behind what stands between words, or at the end of the run, it is not.
func (s *skip) pass(b []byte) int {
	for i, c := range b {
		if classes[c]&letter64 == 0 {
			s.on = false
			return i
		}
		if (c == '/' || c == '-' || c == '_' || c == '+') && s.tries < triesMost {
			s.on = false
			return i + 1
		}
	}
	return len(b)
}

// over reports whether all of b is passed, without a look at each letter.
func (s *skip) over(b []byte) bool { return s.on && s.tries >= triesMost && lettersOf(b) == len(b) }

// prefix returns the length of what stands before hexadecimal digits.
func prefix(b []byte) int {
	switch {
	case len(b) > 2 && b[0] == '0' && b[1]|0x20 == 'x':
		return 2
	case len(b) > 1 && b[0] == 'x' && classes[b[1]]&letterHex != 0:
		return 1
	}
	return 0
}

// class of a byte.
const (
	letter64  = 1 << iota // of base64 and base64url
	letterHex             // of a hexadecimal number
	upper32               // of base32
	lower32               // likewise, in lower case
	texty                 // printable, a tab or a line end
	opens                 // may begin what is no run
)

var classes = func() (t [256]uint8) {
	for i := range t {
		c := byte(i)
		digit, upper, lower := c >= '0' && c <= '9', c >= 'A' && c <= 'Z', c >= 'a' && c <= 'z'
		if digit || upper || lower || c == '+' || c == '/' || c == '-' || c == '_' {
			t[i] |= letter64
		}
		if digit || c >= 'A' && c <= 'F' || c >= 'a' && c <= 'f' {
			t[i] |= letterHex
		}
		if upper || c >= '2' && c <= '7' {
			t[i] |= upper32
		}
		if lower || c >= '2' && c <= '7' {
			t[i] |= lower32
		}
		if c == '\\' || c == '%' || c == '&' || c == '=' || c == 0xc2 || c == 0xe2 || c == 0xef {
			t[i] |= opens
		}
		if c >= 0x20 && c < 0x7f || c == '\n' || c == '\r' || c == '\t' {
			t[i] |= texty
		}
	}
	return t
}()

// runOf returns how many bytes of a class b begins with, up to most.
func runOf(b []byte, class uint8, most int) int {
	b = b[:min(len(b), most)]
	for i, c := range b {
		if classes[c]&class == 0 {
			return i
		}
	}
	return len(b)
}

// isText reports whether decoded bytes are worth being looked at: text, in UTF-8 or UTF-16. The last character may be cut.
func isText(b []byte) bool {
	if len(b) == 0 {
		return false
	}
	for i := 0; i < len(b); {
		c := b[i]
		if c < 0x80 {
			if classes[c]&texty == 0 {
				return isWide(b)
			}
			i++
			continue
		}
		n := 2
		switch {
		case c >= 0xc2 && c < 0xe0:
		case c >= 0xe0 && c < 0xf0:
			n = 3
		case c >= 0xf0 && c < 0xf5:
			n = 4
		default:
			return isWide(b)
		}
		for j := i + 1; j < min(i+n, len(b)); j++ {
			if b[j]&0xc0 != 0x80 {
				return isWide(b)
			}
		}
		i += n
	}
	return true
}

// isWide reports whether every second byte of b is NUL and the others are printable: Latin text in UTF-16.
func isWide(b []byte) bool {
	for k := range 2 {
		ok := len(b) >= 8
		for i := range b {
			if i%2 == k && b[i] != 0 || i%2 != k && classes[b[i]]&texty == 0 {
				ok = false
				break
			}
		}
		if ok {
			return true
		}
	}
	return false
}
