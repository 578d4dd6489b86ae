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

// maxJoined is how many bytes of a piece are copied to make one part of several.
const maxJoined = 512

// join tells a piece of a value whose end is not known. Small ones that follow each other are one part.
func (t *teller) join(p *pieces, b []byte) {
	switch n := len(t.parts); {
	case p.value == 0 || len(b) == 0:
	case len(b) > maxJoined:
		p.more(t, b, false)
		t.at = -1
	case t.at >= 0 && n > 0 && t.parts[n-1].Value == p.value && t.parts[n-1].Field == p.field && t.at+len(t.parts[n-1].Bytes) == len(t.text):
		t.text = append(t.text, b...)
		t.parts[n-1].Bytes = t.text[t.at:len(t.text):len(t.text)]
		p.off += int64(len(b))
		if len(t.text) > maxScratch {
			t.flush(false, false)
		}
	default:
		if n == maxTold {
			t.flush(false, false)
		}
		t.at = len(t.text)
		t.text = append(t.text, b...)
		p.more(t, t.text[t.at:len(t.text):len(t.text)], false)
	}
}

// joinString is join for a string.
func (t *teller) joinString(p *pieces, s string) {
	var buf [maxJoined]byte
	t.join(p, buf[:copy(buf[:], s)])
}

// joinEnd ends a value that was told in pieces; there is none any more then.
func (t *teller) joinEnd(p *pieces) {
	if p.value != 0 {
		if n := len(t.parts); n > 0 && t.parts[n-1].Value == p.value && t.parts[n-1].Field == p.field {
			t.parts[n-1].More = false
		} else {
			p.more(t, nil, true)
		}
	}
	*p = pieces{}
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
