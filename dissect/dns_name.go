package dissect

import "weir/wire"

// name reads a name and returns it as text: labels with dots between, any byte that is a dot, a backslash or not
// printable as \DDD; "." for the root. end is the offset in the message of the end of c. It reports false if the end of
// the name cannot be found; the text is then what could be read.
//
// What stands in place is read to its end, however long. What pointers lead to stands elsewhere too: it is
// followed no further than a name can be long.
func (x *dnsParser) name(c *wire.Cursor, end int) (text []byte, ok bool) {
	if b := c.Rest(); x.first != nil && len(b) >= 2 && b[0] == 0xc0 && b[1] == dnsHeaderLen {
		c.Skip(2)
		return x.first, true
	}
	from, start := len(x.text), end-c.Len()
	size, labels, ok := x.labels(c)
	if !ok {
		w := dnsNameWalk{cur: *c, start: start, end: end, size: size, labels: labels}
		for x.label(&w) {
		}
		*c = w.back // what follows a pointer is elsewhere
		if w.jumps == 0 {
			*c = w.cur
		}
		ok = w.ok
	}
	if len(x.text) == from && ok {
		x.text = append(x.text, '.')
	}
	x.expanded += len(x.text) - from
	return x.text[from:len(x.text):len(x.text)], ok
}

// labels reads what most names are: some labels in place. It reports false at anything else, which it leaves unread.
func (x *dnsParser) labels(c *wire.Cursor) (size, labels int, end bool) {
	for {
		next := *c
		n := int(next.U8())
		label := next.Bytes(n)
		switch {
		case next.Short() || n > dnsMaxLabel || size+n+1 >= dnsMaxName:
			return size, labels, false
		case n == 0:
			*c = next
			return size, labels, true
		case labels > 0:
			x.text = append(x.text, '.')
		}
		x.text = appendLabel(x.text, label)
		size, labels, *c = size+n+1, labels+1, next
	}
}

// dnsNameWalk is the state of reading one name.
type dnsNameWalk struct {
	cur     wire.Cursor
	back    wire.Cursor // behind the first pointer
	start   int         // offset in the message where reading began, or went on after the last pointer
	end     int         // offset in the message where cur ends
	size    int         // bytes of the name so far
	labels  int
	jumps   int
	forward bool // a pointer did not lead to earlier bytes
	ok      bool // the end of the name in place is known
}

// label reads a label or pointer; it reports whether the name goes on.
func (x *dnsParser) label(w *dnsNameWalk) bool {
	at := w.end - w.cur.Len()
	n := int(w.cur.U8())
	switch {
	case w.cur.Short():
		x.note(dnsNoteTruncated)
		return false
	case n == 0:
		w.ok = true
		return false
	case n >= 0xc0:
		return x.jump(w, at, (n&0x3f)<<8|int(w.cur.U8()))
	case n > dnsMaxLabel: // reserved by RFC 1035
		x.note(dnsNoteRecord)
		return false
	}
	w.size += n + 1
	w.labels++
	if (w.size >= dnsMaxName || w.labels > dnsMaxLabels) && x.tooLong(w) {
		return false
	}
	if w.labels > 1 {
		x.text = append(x.text, '.')
	}
	if n > w.cur.Len() {
		x.note(dnsNoteTruncated)
		x.text = appendLabel(x.text, w.cur.Bytes(w.cur.Len()))
		return false
	}
	x.text = appendLabel(x.text, w.cur.Bytes(n))
	return true
}

// tooLong notes a name beyond all limits; it reports whether reading ends.
func (x *dnsParser) tooLong(w *dnsNameWalk) bool {
	if w.forward {
		x.note(dnsNoteLoop)
	} else {
		x.note(dnsNoteLongName)
	}
	return w.jumps > 0
}

// jump follows a pointer that stands at offset at.
func (x *dnsParser) jump(w *dnsNameWalk, at, to int) bool {
	if w.cur.Short() {
		x.note(dnsNoteTruncated)
		return false
	}
	w.ok = true
	if w.jumps++; w.jumps == 1 {
		w.back = w.cur
	}
	switch {
	case to < dnsHeaderLen || to >= len(x.data):
		x.note(dnsNoteForward)
		return false
	case w.jumps > dnsMaxJumps || to >= w.start && to <= at:
		x.note(dnsNoteLoop)
		return false
	case to > at:
		x.note(dnsNoteForward)
		w.forward = true
	}
	w.cur, w.start, w.end = wire.Cut(x.data[to:]), to, len(x.data)
	return true
}

// appendLabel appends the text of a label.
func appendLabel(text, label []byte) []byte {
	for i, c := range label {
		if dnsEscaped(c) {
			return escapeLabel(append(text, label[:i]...), label[i:])
		}
	}
	return append(text, label...)
}

func escapeLabel(text, label []byte) []byte {
	for _, c := range label {
		if dnsEscaped(c) {
			text = append(text, '\\', '0'+c/100, '0'+c/10%10, '0'+c%10)
		} else {
			text = append(text, c)
		}
	}
	return text
}

// dnsEscaped reports whether a byte of a label is written as \DDD.
func dnsEscaped(c byte) bool { return c <= ' ' || c >= 0x7f || c == '.' || c == '\\' }
