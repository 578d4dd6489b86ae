package content

// hexRun is bytes as two hexadecimal digits each.
type hexRun struct{}

const hexLeast = 24 // digits of a run

var hexValue = func() (t [256]uint8) {
	for i := range t {
		switch c := byte(i); {
		case c >= '0' && c <= '9':
			t[i] = c - '0'
		case c >= 'a' && c <= 'f':
			t[i] = c - 'a' + 10
		case c >= 'A' && c <= 'F':
			t[i] = c - 'A' + 10
		}
	}
	return t
}()

func (hexRun) begin(b []byte, last bool) verdict {
	n := runOf(b, letterHex, sureLetter)
	if n == len(b) && n < sureLetter && !last {
		return wait
	}
	if n < hexLeast {
		return no
	}
	var out [sureLetter / 2]byte
	head := hexRun{}.head(out[:0], b[:n])
	if isText(head) {
		return yes
	}
	if f, _ := formOf(head, true, true); f != nil {
		return yes
	}
	return no
}

func (hexRun) head(dst, b []byte) []byte {
	n := runOf(b, letterHex, sureLetter)
	for i := 0; i+2 <= n; i += 2 {
		dst = append(dst, hexValue[b[i]]<<4|hexValue[b[i+1]])
	}
	return dst
}

func (hexRun) decode(w *window, b []byte, last bool) (used int, over bool) {
	for {
		n := runOf(b[used:], letterHex, decodeMost*2) &^ 1
		if n == 0 {
			break
		}
		out := w.l.dec[:0]
		for i := used; i < used+n; i += 2 {
			out = append(out, hexValue[b[i]]<<4|hexValue[b[i+1]])
		}
		w.give(out, w.offset(used), 2, 1)
		used += n
	}
	rest := b[used:]
	if !last && (len(rest) == 0 || len(rest) == 1 && classes[rest[0]]&letterHex != 0) {
		return used, false
	}
	return used, true
}
