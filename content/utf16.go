package content

// utf16Text is UTF-16: text of which every second byte is NUL, as far as it is Latin.
type utf16Text struct{ big bool }

// ours
const (
	wideLeast   = 8 // units of Latin text that tell that it is UTF-16
	wideStrange = 8 // units in a row of scripts far from Latin after which it is taken for something else
)

// wideStart returns where UTF-16 begins whose first NUL is at i, and no earlier than from.
func wideStart(b []byte, i, from int) (int, utf16Text) {
	if i > from && classes[b[i-1]]&texty != 0 && b[i-1] < 0x80 {
		return i - 1, utf16Text{}
	}
	return i, utf16Text{big: true}
}

func (c utf16Text) unit(b []byte) rune {
	if c.big {
		return rune(b[0])<<8 | rune(b[1])
	}
	return rune(b[1])<<8 | rune(b[0])
}

func (c utf16Text) begin(_ *scratch, b []byte, last bool) verdict {
	for i := 0; i < 2*wideLeast; i += 2 {
		if i+2 > len(b) {
			if last {
				return no
			}
			return wait
		}
		if u := c.unit(b[i:]); u > 0x7f || classes[byte(u)]&texty == 0 {
			return no
		}
	}
	return yes
}

func (c utf16Text) decode(w *window, b []byte, last bool) (used int, over bool) {
	for {
		out, from := w.l.dec[:0], used
		for used+2 <= len(b) && len(out) < decodeMost {
			u := c.unit(b[used:])
			if u >= 0x80 || classes[byte(u)]&texty == 0 {
				break
			}
			out = append(out, byte(u))
			used += 2
		}
		if used > from {
			w.n.line = 0
			w.give(out, w.offset(from), 2, 1)
			continue
		}
		if used+2 > len(b) {
			return used, last
		}
		u, size := c.unit(b[used:]), 2
		switch {
		case u < 0x80 || u >= 0xfffe || u >= 0xdc00 && u < 0xe000:
			return used, true
		case u >= 0xd800 && u < 0xdc00:
			if used+4 > len(b) {
				return used, last
			}
			low := c.unit(b[used+2:])
			if low < 0xdc00 || low >= 0xe000 {
				return used, true
			}
			u, size = 0x10000+(u-0xd800)<<10+(low-0xdc00), 4
		}
		if u >= 0x800 && (u < 0xff00 || u > 0xff5e) {
			if w.n.line++; w.n.line > wideStrange {
				return used, true
			}
		}
		if out = appendRune(w.l.dec[:0], u); len(out) > 0 {
			w.give(out, w.offset(used), size, len(out))
		}
		used += size
	}
}

func (utf16Text) head(dst, b []byte) []byte { return dst }

// single is digits that stand one by one: "4 1 1 1".
type single struct{}

const singleLeast = 12 // digits

func (single) begin(_ *scratch, b []byte, last bool) verdict { return yes } // find has seen to it

func (single) decode(w *window, b []byte, last bool) (used int, over bool) {
	for {
		rest := b[used:]
		if len(rest) < 3 && !last {
			return used, false
		}
		if len(rest) == 0 || rest[0] < '0' || rest[0] > '9' {
			return used, true
		}
		size := 1
		if len(rest) > 2 && (w.n.line == 0 || rest[1] == byte(w.n.line)) && rest[2] >= '0' && rest[2] <= '9' {
			size, w.n.line = 2, int(rest[1])
		}
		w.give(append(w.l.dec[:0], rest[0]), w.offset(used), size, 1)
		used += size
		if size == 1 {
			return used, true
		}
	}
}

func (single) head(dst, b []byte) []byte { return dst }
