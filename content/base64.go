package content

// base64Run is RFC 4648's base64 and base64url, in lines too, with "/" and line ends as JSON escapes them.
type base64Run struct{}

// base64Value has six bits by letter, 0xff for what is none.
var base64Value = func() (t [256]uint8) {
	const letters = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"
	for i := range t {
		t[i] = 0xff
	}
	for i := range len(letters) {
		t[letters[i]] = uint8(i)
	}
	t['-'], t['_'] = 62, 63
	return t
}()

func (base64Run) begin(b []byte, last bool) verdict {
	n := runOf(b, letter64, sureLetter)
	if n == len(b) && n < sureLetter && !last {
		return wait
	}
	if n < runLeast {
		return no
	}
	var out [sureLetter / 4 * 3]byte
	head := base64Run{}.head(out[:0], b[:n])
	if isText(head) {
		return yes
	}
	if f, _ := formOf(head, true, true); f != nil {
		return yes
	}
	return no
}

func (base64Run) head(dst, b []byte) []byte {
	n := runOf(b, letter64, sureLetter)
	for i := 0; i+4 <= n; i += 4 {
		dst = appendGroup(dst, b[i:])
	}
	return dst
}

// appendGroup appends what four letters stand for.
func appendGroup(dst, b []byte) []byte {
	v := uint32(base64Value[b[0]])<<18 | uint32(base64Value[b[1]])<<12 | uint32(base64Value[b[2]])<<6 | uint32(base64Value[b[3]])
	return append(dst, byte(v>>16), byte(v>>8), byte(v))
}

func (base64Run) decode(w *window, b []byte, last bool) (used int, over bool) {
	for {
		// Whole groups in a row come first.
		n := runOf(b[used:], letter64, decodeMost/3*4) &^ 3
		if n > 0 {
			out := w.l.dec[:0]
			for i := used; i < used+n; i += 4 {
				out = appendGroup(out, b[i:])
			}
			w.give(out, w.offset(used), 4, 3)
			used += n
			w.n.line += n
			continue
		}
		var g group
		n, over, enough := g.read(b[used:], last, w.n.line)
		if !enough {
			return used, false
		}
		if g.n > 1 {
			out := w.l.dec[:0]
			v := g.v << (6 * (4 - g.n))
			out = append(out, byte(v>>16), byte(v>>8), byte(v))[:g.n*6/8]
			w.give(out, w.offset(used), n, len(out))
			used += n
		}
		if over {
			return used, true
		}
		w.n.line = g.line
	}
}

// group is four letters or, at the end, fewer.
type group struct {
	v    uint32
	n    int // letters
	line int // letters since the last line end
}

// read reads a group that is cut by line ends or escapes, or the last one. It returns how many bytes that is.
func (g *group) read(b []byte, last bool, line int) (size int, over, enough bool) {
	g.line = line
	for i := 0; ; {
		if g.n == 4 {
			return i, false, true
		}
		if i == len(b) {
			return i, true, last
		}
		c := b[i]
		if v := base64Value[c]; v != 0xff {
			g.v, g.n = g.v<<6|uint32(v), g.n+1
			g.line++
			i++
			continue
		}
		if c == '=' {
			for pad := (4 - g.n) % 4; pad > 0; pad-- {
				if i == len(b) {
					return i, true, last
				}
				if b[i] != '=' {
					break
				}
				i++
			}
			return i, true, true
		}
		skip, enough := lineEnd(b[i:], last)
		switch {
		case !enough:
			return 0, false, false
		case skip > 0 && g.line%4 == 0 && g.line > 0:
			g.line = 0
			i += skip
		case c == '\\' && i+1 < len(b) && b[i+1] == '/':
			g.v, g.n = g.v<<6|63, g.n+1
			g.line++
			i += 2
		case c == '\\' && i+1 == len(b) && !last:
			return 0, false, false
		default:
			return i, true, true
		}
	}
}

const indentMost = 32 // spaces that a line of a run begins with

// lineEnd returns the length of a line end within a run, as it is or as JSON escapes it, with the spaces that the next line begins with; 0 if it is none,
// or if no letter follows.
func lineEnd(b []byte, last bool) (n int, enough bool) {
	for n < len(b) {
		c := b[n]
		switch {
		case c == '\r' || c == '\n':
			n++
		case (c == ' ' || c == '\t') && n > 0 && n < indentMost:
			n++
		case c == '\\' && n+1 < len(b) && (b[n+1] == 'r' || b[n+1] == 'n'):
			n += 2
		case c == '\\' && n+1 == len(b) && !last:
			return 0, false
		case n > 0 && n < indentMost+4 && classes[c]&letter64 != 0:
			return n, true
		default:
			return 0, true
		}
		if n > indentMost+8 {
			return 0, true
		}
	}
	return 0, last
}
