package content

// utf7Text is UTF-7 (RFC 2152) that has more written in base64 than it needs to: letters and digits, as who hides them writes. What is a few
// characters beyond ASCII in other text is left as it is.
type utf7Text struct{}

// ours
const (
	utf7Least  = 8 // characters that are text, of the first ones, which tell that it is UTF-7
	utf7Group  = 8 // letters, for three units of UTF-16
	utf7Inside = 1 // where a run is: in base64
)

// utf7Value returns what a letter of base64 stands for; none: it is no letter of UTF-7's.
func utf7Value(c byte) uint8 {
	if c == '-' || c == '_' {
		return none
	}
	return letters64.value[c]
}

// utf7Direct reports whether a letter of base64 stands for itself outside of a run.
func utf7Direct(c byte) bool { return c != '+' && c != '/' && c != '-' && c != '_' }

func (utf7Text) begin(_ *scratch, b []byte, last bool) verdict {
	if b[0] != '+' {
		return no
	}
	i, chars := 0, 0
	for chars < utf7Least {
		if i >= holdMost {
			return no
		}
		if i == len(b) {
			if last {
				return no
			}
			return wait
		}
		if b[i] != '+' {
			return no
		}
		i++
		bits, v := 0, uint32(0)
		for ; i < len(b) && chars < utf7Least; i++ {
			d := utf7Value(b[i])
			if d == none {
				break
			}
			v, bits = v<<6|uint32(d), bits+6
			if bits < 16 {
				continue
			}
			if bits -= 16; v>>bits&0xffff > 0x7f || classes[byte(v>>bits)]&texty == 0 {
				return no
			}
			chars++
		}
		if i < len(b) && b[i] == '-' {
			i++
		}
	}
	return yes
}

func (utf7Text) decode(w *window, b []byte, last bool) (used int, over bool) {
	for {
		if used == len(b) {
			return used, last
		}
		if w.n.line != utf7Inside {
			direct := used
			for used < len(b) && used < direct+decodeMost && classes[b[used]]&letter64 != 0 && utf7Direct(b[used]) {
				used++
			}
			if used > direct {
				w.give(b[direct:used], w.offset(direct), 1, 1)
				continue
			}
			if b[used] != '+' {
				return used, true
			}
			if used+1 == len(b) && !last {
				return used, false
			}
			w.n.line = utf7Inside
			used++
			continue
		}
		rest := b[used:]
		n, v := 0, uint64(0)
		for n < utf7Group && n < len(rest) {
			d := utf7Value(rest[n])
			if d == none {
				break
			}
			v, n = v<<6|uint64(d), n+1
		}
		if n < utf7Group && n == len(rest) && !last {
			return used, false
		}
		out := w.l.dec[:0]
		for bits := n*6 - 16; bits >= 0; bits -= 16 {
			u := rune(v >> bits & 0xffff)
			if u >= 0xd800 && u < 0xe000 || u >= 0xfffe { // what it is two of them say, and it is no letter nor digit
				u = ' '
			}
			out = appendRune(out, u)
		}
		size := n
		if n < utf7Group { // of the end
			w.n.line = 0
			if n < len(rest) && rest[n] == '-' {
				size++
			}
		}
		if len(out) > 0 {
			w.give(out, w.offset(used), size, len(out))
		}
		used += size
	}
}

func (utf7Text) head(dst, b []byte) []byte { return dst }
