package dissect

// pieces is a value whose length is known before its bytes come: it is told as they come. The zero value is none.
type pieces struct {
	left, off int64
	value     uint32 // 0: nobody asks for it
	field     Field
}

// stream begins a value of n bytes.
func (t *teller) stream(f Field, n int64) pieces {
	p := pieces{left: n, field: f}
	if n > 0 && t.wants(f) {
		p.value = t.value()
	}
	return p
}

// take tells what there is of the value at the front of b, and returns how much that was.
func (p *pieces) take(t *teller, b []byte) int {
	n := len(b)
	if int64(n) > p.left {
		n = int(p.left)
	}
	p.left -= int64(n)
	if n > 0 && p.value != 0 {
		t.part(Part{Field: p.field, Value: p.value, Off: p.off, Bytes: b[:n], More: p.left > 0})
	}
	p.off += int64(n)
	return n
}

// more tells a piece of a value whose end is not known; an empty last one ends it.
func (p *pieces) more(t *teller, b []byte, last bool) {
	if p.value == 0 || len(b) == 0 && !last {
		return
	}
	t.part(Part{Field: p.field, Value: p.value, Off: p.off, Bytes: b, More: !last})
	p.off += int64(len(b))
}

// lost takes a value on after n of its bytes were lost. It reports whether more were.
func (p *pieces) lost(n int) bool {
	if int64(n) > p.left {
		return false
	}
	p.left -= int64(n)
	p.off += int64(n)
	return true
}

// starts says whether head begins with s: Maybe while it may.
func starts(head []byte, s string) Guess {
	switch n := min(len(head), len(s)); {
	case string(head[:n]) != s[:n]:
		return No
	case n < len(s):
		return Maybe
	}
	return Yes
}

// cString returns what stands before the first NUL of b, and what is behind it; ok is false if there is none.
func cString(b []byte) (s, rest []byte, ok bool) {
	for i, c := range b {
		if c == 0 {
			return b[:i], b[i+1:], true
		}
	}
	return b, nil, false
}

// printable reports whether b is text: no control characters but white space.
func printable(b []byte) bool {
	for _, c := range b {
		if c < ' ' && c != '\n' && c != '\r' && c != '\t' || c == 0x7f {
			return false
		}
	}
	return true
}
