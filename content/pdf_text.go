package content

import (
	"bufio"
	"io"
	"math"
)

// ours
const (
	maxPDFString = 32 << 10 // bytes of a string that are read; the rest is passed over
	maxOperands  = 8        // numbers in front of an operator that are kept
	maxPDFGap    = 8        // blanks between a string and its operator that are looked beyond
	wordGap      = 180      // thousandths of the letters' size between two strings that look like a space
)

// pdfText takes what operators show (ISO 32000-1 section 9.4) out of pages, and strings out of objects.
type pdfText struct {
	out    *output
	r      *bufio.Reader
	str    []byte
	nums   [maxOperands]float64
	n      int
	y      float64
	array  bool
	apart  byte // what is to stand before the next string; 0: nothing
	some   bool
	glyphs glyphs
}

// read takes the text of one stream; objects: it holds objects, all strings of which count. The error is r's.
func (t *pdfText) read(r io.Reader, objects bool) error {
	if t.r == nil {
		t.r = bufio.NewReader(nil)
	}
	t.r.Reset(r)
	t.n, t.array, t.y = 0, false, math.Inf(1)
	t.separate('\n')
	for {
		c, err := t.r.ReadByte()
		if err != nil {
			return err
		}
		switch {
		case c == '(':
			t.str = t.str[:0]
			if err = pdfString(t.r, &t.str); err == nil {
				err = t.show(objects)
			}
		case c == '<':
			err = t.angle(objects)
		case c == '[' || c == ']':
			t.array = c == '['
			t.glyphs.bracket(c)
		case c == '%':
			_, err = t.r.ReadSlice('\n')
			if err == bufio.ErrBufferFull {
				err = nil
			}
		case pdfRegular(c) || c == '/':
			err = t.word(c)
		}
		if err != nil {
			return err
		}
	}
}

// separate says what stands between what was shown and what comes.
func (t *pdfText) separate(c byte) {
	t.glyphs.separate(c)
	if t.some && t.apart != '\n' {
		t.apart = c
	}
}

// show takes a string that was read.
func (t *pdfText) show(objects bool) error {
	if objects || t.onNextLine() {
		t.separate('\n')
	}
	b := t.str
	if t.glyphs.arg(b) {
		return nil
	}
	shapes := t.glyphs.take(b)
	if len(b) >= 2 && b[0] == 0xfe && b[1] == 0xff || wide(b) { // UTF-16
		k := 0
		for i := 1; i < len(b); i += 2 {
			if b[i-1] == 0 {
				b[k] = b[i]
				k++
			}
		}
		b = b[:k]
	} else if shapes {
		return nil
	}
	if len(b) == 0 {
		return nil
	}
	if t.apart != 0 {
		if err := t.out.add([]byte{t.apart}, -1); err != nil {
			return err
		}
		t.apart = 0
	}
	t.some = true
	return t.out.add(b, -1)
}

// onNextLine reports whether the operator behind the string moves to the next line before it shows it: ' and ".
func (t *pdfText) onNextLine() bool {
	for n := 1; n <= maxPDFGap; n++ {
		b, _ := t.r.Peek(n) // what is short says so to who reads on
		if len(b) < n {
			break
		}
		switch b[n-1] {
		case '\'', '"':
			return true
		case ' ', '\t', '\r', '\n', '\f', 0:
		default:
			return false
		}
	}
	return false
}

// wide reports whether b is ASCII in two bytes each.
func wide(b []byte) bool {
	if len(b) < 2 || len(b)%2 != 0 {
		return false
	}
	for i := 0; i < len(b); i += 2 {
		if b[i] != 0 || b[i+1] < ' ' || b[i+1] > '~' {
			return false
		}
	}
	return true
}

// angle reads a hexadecimal string, or passes the beginning of a dictionary.
func (t *pdfText) angle(objects bool) error {
	t.str = t.str[:0]
	v, n := byte(0), 0
	for {
		c, err := t.r.ReadByte()
		if err != nil {
			return err
		}
		if c == '<' && n == 0 {
			return nil
		}
		if c == '>' {
			break
		}
		d, ok := hexDigit(c)
		if !ok {
			continue
		}
		v = v<<4 | byte(d)
		if n++; n%2 == 0 && len(t.str) < maxPDFString {
			t.str = append(t.str, v)
		}
	}
	if n%2 == 1 {
		t.str = append(t.str, v<<4)
	}
	return t.show(objects)
}

// word reads a word that begins with c: a number, or an operator.
func (t *pdfText) word(c byte) error {
	var word [maxPDFToken]byte
	word[0] = c
	n := 1
	for {
		c, err := t.r.ReadByte()
		if err == io.EOF {
			break
		}
		if err != nil {
			return err
		}
		if !pdfRegular(c) {
			t.r.UnreadByte()
			break
		}
		if n < maxPDFToken {
			word[n] = c
			n++
		}
	}
	w := word[:n]
	if v, ok := pdfNumber(w); ok {
		if t.array && -v >= wordGap {
			t.separate(' ')
		}
		if t.n == maxOperands {
			t.n = copy(t.nums[:], t.nums[1:])
		}
		t.nums[t.n] = v
		t.n++
		return nil
	}
	if w[0] == '/' {
		t.glyphs.font(w)
		return nil
	}
	t.operator(string(w))
	t.n = 0
	if string(w) == "BI" {
		return t.inlineImage()
	}
	t.glyphs.operator(string(w))
	return nil
}

// operator moves to where the next string is shown.
func (t *pdfText) operator(w string) {
	switch w {
	case "T*", "BT", "ET":
		t.separate('\n')
	case "Td", "TD":
		if t.n < 2 || t.nums[t.n-1] != 0 {
			t.separate('\n')
		} else {
			t.separate(' ')
		}
	case "Tm":
		if t.n < 6 || t.nums[t.n-1] != t.y {
			t.separate('\n')
		} else {
			t.separate(' ')
		}
		if t.n > 0 {
			t.y = t.nums[t.n-1]
		}
	}
}

// inlineImage passes the bytes of a picture up to the word that ends it.
func (t *pdfText) inlineImage() error {
	last := [4]byte{}
	for {
		c, err := t.r.ReadByte()
		if err != nil {
			return err
		}
		last = [4]byte{last[1], last[2], last[3], c}
		if last[1] == 'E' && last[2] == 'I' && !pdfRegular(last[0]) && !pdfRegular(c) {
			return nil
		}
	}
}

// end gives what could only be read once all was seen.
func (t *pdfText) end() error { return t.glyphs.tell(t.out) }
