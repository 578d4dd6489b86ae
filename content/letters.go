package content

// alphabet is a way to write bytes as letters: hexadecimal, base32, base64.
type alphabet struct {
	value   [256]uint8 // by letter, none for others
	bits    int        // that a letter stands for
	letters int        // of a group: whole bytes
	least   int        // letters of a run
	class   uint8
}

const none = 0xff

func newAlphabet(letters string, bits, group, least int, class uint8) *alphabet {
	a := &alphabet{bits: bits, letters: group, least: least, class: class}
	for i := range a.value {
		a.value[i] = none
	}
	for i := range len(letters) {
		a.value[letters[i]] = uint8(i % (1 << bits))
	}
	return a
}

// The alphabets of RFC 4648; base32 in either case.
var (
	letters16      = newAlphabet("0123456789abcdef0123456789ABCDEF", 4, 2, runLeast, letterHex)
	letters32Upper = newAlphabet("ABCDEFGHIJKLMNOPQRSTUVWXYZ234567", 5, 8, runLeast, upper32)
	letters32Lower = newAlphabet("abcdefghijklmnopqrstuvwxyz234567", 5, 8, runLeast, lower32)
	letters64      = func() *alphabet {
		a := newAlphabet("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/", 6, 4, runLeast, letter64)
		a.value['-'], a.value['_'] = 62, 63 // base64url
		return a
	}()
)

// letters is a run in an alphabet: in lines too, with "/" and line ends as JSON escapes them, and in the labels of a name.
type letters struct{ *alphabet }

func (a letters) begin(l *scratch, b []byte, last bool) verdict {
	n := runOf(b, a.class, sureLetter)
	if n == len(b) && n < sureLetter && !last {
		return wait
	}
	if n < a.least {
		return no
	}
	head := a.head(l.dec[:0], b[:n])
	if isText(head) {
		return yes
	}
	if f, _ := formOf(head, true, true); f != nil {
		return yes
	}
	return no
}

func (a letters) head(dst, b []byte) []byte {
	n := runOf(b, a.class, sureLetter)
	return a.groups(dst, b[:n/a.letters*a.letters])
}

// groups appends what whole groups stand for.
func (a letters) groups(dst, b []byte) []byte {
	for len(b) >= a.letters {
		v := uint64(0)
		for _, c := range b[:a.letters] {
			v = v<<a.bits | uint64(a.value[c])
		}
		for k := a.letters*a.bits - 8; k >= 0; k -= 8 {
			dst = append(dst, byte(v>>k))
		}
		b = b[a.letters:]
	}
	return dst
}

func (a letters) decode(w *window, b []byte, last bool) (used int, over bool) {
	bytes := a.letters * a.bits / 8
	for {
		// Whole groups in a row come first.
		n := runOf(b[used:], a.class, decodeMost/bytes*a.letters) / a.letters * a.letters
		if n > 0 {
			w.give(a.groups(w.l.dec[:0], b[used:used+n]), w.offset(used), a.letters, bytes)
			used += n
			w.n.line += n
			continue
		}
		g := group{line: w.n.line, dots: w.v.dots}
		if !g.read(a.alphabet, b[used:], last) {
			return used, false
		}
		if k := g.n * a.bits / 8; k > 0 {
			out := w.l.dec[:0]
			v := g.v << (64 - g.n*a.bits)
			for i := range k {
				out = append(out, byte(v>>(56-8*i)))
			}
			w.give(out, w.offset(used), g.size, k)
			used += g.size
		}
		if g.over {
			return used, true
		}
		w.n.line = g.line
	}
}

// group is the letters of a group or, at the end of the run, fewer.
type group struct {
	v    uint64
	n    int  // letters
	size int  // bytes that they take, with what is between them and behind the last
	line int  // letters since the last line end
	dots bool // the run may be cut into labels
	over bool // the run is
}

// read reads a group that is cut by line ends, escapes or dots, or the last one. It reports whether there are bytes enough.
func (g *group) read(a *alphabet, b []byte, last bool) bool {
	for g.n < a.letters {
		if g.size == len(b) {
			g.over = true
			return last
		}
		rest := b[g.size:]
		c := rest[0]
		if a.class&letter64 != 0 && c == '\\' {
			if len(rest) == 1 && !last {
				return false
			}
			if len(rest) > 1 && rest[1] == '/' {
				c, rest = '/', rest[1:]
				g.size++
			}
		}
		if v := a.value[c]; v != none {
			g.v, g.n = g.v<<a.bits|uint64(v), g.n+1
			g.line++
			g.size++
			continue
		}
		if c == '=' {
			return g.padding(a, b, last)
		}
		n, enough := between(rest, g.dots, last)
		if !enough {
			return false
		}
		if n == 0 || c != '.' && (g.line == 0 || g.line%a.letters != 0) || a.value[rest[n]] == none {
			g.over = true
			return true
		}
		g.line = 0
		g.size += n
	}
	return true
}

// padding takes the signs that fill the last group up.
func (g *group) padding(a *alphabet, b []byte, last bool) bool {
	g.over = true
	for pad := (a.letters - g.n) % a.letters; pad > 0; pad-- {
		if g.size == len(b) {
			return last
		}
		if b[g.size] != '=' {
			break
		}
		g.size++
	}
	return true
}

const indentMost = 32 // spaces that a line of a run begins with

// between returns the length of what is between two parts of a run: a line end, as it is or as JSON escapes it, with the spaces that the next line
// begins with; or a dot. It is 0 if b does not begin so, or nothing follows.
func between(b []byte, dots, last bool) (n int, enough bool) {
	if dots && b[0] == '.' {
		return min(1, len(b)-1), len(b) > 1 || last
	}
	for n < len(b) {
		c := b[n]
		switch {
		case c == '\r' || c == '\n':
			n++
		case (c == ' ' || c == '\t') && n > 0:
			n++
		case c == '\\' && n+1 == len(b) && !last:
			return 0, false
		case c == '\\' && n+1 < len(b) && (b[n+1] == 'r' || b[n+1] == 'n'):
			n += 2
		default:
			return n, true
		}
		if n > indentMost {
			return 0, true
		}
	}
	return 0, last
}
