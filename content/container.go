package content

import "weir/dissect"

// box is where a container is read, and what it holds comes out.
type box struct {
	c      *reading // nil: there is none, or nothing more of it is of interest
	depth  int
	in     *node // whose text it is; nil: it is part of one
	start  int64 // where in the text it begins
	space  int64 // added to the offsets of what has no place in view 0, so that they are those of nothing else
	member *node
	name   string        // of the member at hand
	cut    bool          // not all of it could be read
	office bool          // it is a document: what it is made of are no files
	at     int64         // bytes that came out
	first  int64         // of the member at hand
	open   bool          // it is under way
	last   dissect.Shift // that was given
}

// placeless is where offsets of what has no place in view 0 begin: each container has so many of its own.
const placeless = 1 << 40

func (b *box) size() int {
	s := 0
	if b.c != nil {
		s += b.c.size()
	}
	if b.member != nil {
		s += b.member.size()
	}
	return s
}

// inside is where a container puts what it holds. It is valid during push.
type inside struct {
	o *Opener
	v *value
	b *box
}

// write takes the next bytes of the member at hand, which begins with the first. It reports false once no more are wanted: what is to come of the whole
// container is not looked at then, and that has been told. shifts say which of the member's bytes stand in the container just as they are, and where; own: which
// of those that came out of it before they stand for.
func (in *inside) write(b []byte, shifts []dissect.Shift, own bool) bool {
	o, v, box := in.o, in.v, in.b
	if box.depth > o.limits.DecodeDepth {
		o.refuse("content.depth", "encodings within each other, deeper than is undone", len(b))
		return false
	}
	v.gave += int64(len(b))
	if v.gave > int64(o.limits.DecodeMax) || v.gave > int64(o.limits.DecodeFree) && v.gave > v.took*int64(o.limits.DecodeRatio) {
		o.refuse("content.budget", "what is packed into a value is more than is unpacked", len(b))
		return false
	}
	if box.member == nil {
		if box.member = o.node(v, box.depth); box.member == nil {
			o.refuse("content.budget", "a value with too much in it: not all of it was opened", len(b))
			return false
		}
	}
	n := box.member
	if !box.open { // offsets go on from one member to the next, so that places in them differ
		box.open, box.first = true, box.at
		n.seen, n.end, n.given = false, box.at, box.at
	}
	in.push(b, shifts, own, true)
	return true
}

// end ends the member at hand.
func (in *inside) end() {
	if in.b.open {
		in.b.open = false
		in.push(nil, nil, false, false)
		in.b.at++
	}
}

func (in *inside) push(b []byte, shifts []dissect.Shift, own, more bool) {
	box := in.b
	l := &in.o.levels[box.depth]
	if l.lead = l.lead[:0]; own {
		for _, s := range shifts {
			s.At += box.first
			s.Delta += box.space
			l.lead = append(l.lead, s)
			box.last = s
		}
	} else {
		l.lead = in.lead(l.lead, shifts)
	}
	mark := len(in.o.path)
	if in.o.Files && box.name != "" && !box.office && mark < maxMemberPath {
		in.o.path = append(append(in.o.path, box.name...), '/')
	}
	in.o.push(in.v, box.member, piece{b: b, off: box.at, shifts: l.lead, more: more})
	in.o.path = in.o.path[:mark]
	box.at += int64(len(b))
}

// lead appends to dst how what comes next of the member leads back to view 0: where the container's text does so in one way, that is known.
func (in *inside) lead(dst, shifts []dissect.Shift) []dissect.Shift {
	box := in.b
	if box.at == box.first {
		box.last = dissect.Shift{Delta: box.space, Out: -1}
	}
	delta, out, ok := box.leads()
	if len(shifts) == 0 || !ok || shifts[0].At+box.first > box.at { // what comes first goes on as it did
		box.last.At = box.at
		dst = append(dst, box.last)
	}
	if !ok {
		return dst
	}
	for _, s := range shifts {
		s.At += box.first
		s.Delta += delta - box.first
		if out < 0 {
			s.In, s.Out = 0, out
		}
		dst = append(dst, s)
		box.last = s
	}
	return dst
}

// leads returns what is to be added to offsets in the container for them to be offsets in view 0, and whether a byte stands for a byte there (1) or
// for all of the value (-1).
func (b *box) leads() (delta int64, out int32, ok bool) {
	if b.in == nil {
		return 0, 0, false
	}
	from := b.in.from
	if b.in.depth == 0 && len(from) == 0 {
		return b.start, 1, true
	}
	for _, s := range from {
		if s.Delta != from[0].Delta || s.Out != from[0].Out || s.Out >= 0 && (s.In != 1 || s.Out != 1) {
			return 0, 0, false
		}
	}
	if len(from) == 0 {
		return 0, 0, false
	}
	return b.start + from[0].Delta, from[0].Out, true
}

// pushBox gives a container that a text is its next bytes. While it is not known whether it is one, they are kept. It reports whether they are
// a container's: what is in it is looked at there.
func (o *Opener) pushBox(v *value, n *node, b []byte, last bool) bool {
	if !n.seen {
		head := b
		if len(n.head) > 0 {
			n.head = append(n.head, b...)
			head = n.head
		}
		f, maybe := formOf(head, n.depth > 0, last)
		if f == nil && !maybe && len(head) > 0 {
			f, maybe = o.csvOf(head, last)
		}
		if maybe {
			if len(n.head) == 0 {
				n.head = append(n.head, b...)
			}
			return false
		}
		n.seen = len(head) > 0
		if f != nil {
			o.openBox(v, &n.box, f, n.depth+1)
			n.box.in, n.box.start = n, n.end+int64(len(b)-len(head))
			b = head
		}
		defer func() { n.head = n.head[:0] }()
	}
	if n.box.c == nil {
		return false
	}
	took := o.feedBox(v, &n.box, b, last)
	if last {
		o.endBox(v, &n.box)
	}
	return took
}

// box sees whether the run that begins at i is a container.
func (w *window) box(i int) {
	if f, _ := formOf(w.n.run.head(w.l.dec[:0], w.b[i:]), true, true); f != nil {
		w.o.openBox(w.v, &w.n.inRun, f, w.n.depth+2)
	}
}

// openBox begins to read a container.
func (o *Opener) openBox(v *value, b *box, f *form, depth int) {
	v.boxes++
	*b = box{c: newReading(f), depth: depth, space: int64(v.boxes) * placeless}
	b.c.in.speaks = o.Speaks
	o.Count.Opened++
}

// feedBox gives a container its next bytes. It reports whether it took them for its own.
func (o *Opener) feedBox(v *value, b *box, data []byte, last bool) bool {
	if b.c == nil {
		return false
	}
	more := b.c.push(&inside{o, v, b}, data, last)
	took := !b.c.mistaken() && !b.c.form.text
	if !more {
		b.c.free()
		b.c = nil
	}
	return took
}

// endBox ends a container.
func (o *Opener) endBox(v *value, b *box) {
	in := inside{o, v, b}
	o.feedBox(v, b, nil, true)
	in.end()
	o.drop(b)
}

// drop gives back what a container holds.
func (o *Opener) drop(b *box) {
	if b.c != nil {
		b.c.free()
	}
	if b.member != nil {
		o.free(b.member)
	}
	*b = box{}
}

// refuse tells that something of a form cannot be read.
func (in *inside) refuse(why fault, form string, size int64) {
	r := &refusals[why]
	in.o.refuseForm(r.code, r.detail, form, int(max(size, 0)))
}

// refusals is what is told of each fault.
var refusals = [...]struct{ code, detail string }{
	faultEncrypted: {"content.encrypted", "something inside a value needs a key: an archive, a document or a file"},
	faultMethod:    {"content.unknown_form", "something inside a value is packed in a way that is not undone here"},
	faultBroken:    {"content.broken", "something inside a value does not decode"},
	faultBudget:    {"content.budget", "what is packed into a value is more than is unpacked"},
}

// known reports whether what begins so is a container.
func known(head []byte) bool {
	f, _ := formOf(head, false, true)
	return f != nil
}
