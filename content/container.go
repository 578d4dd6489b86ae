package content

import "weir/dissect"

// format is a kind of container: bytes that begin in a way of their own, and hold other bytes.
type format struct {
	name  string
	magic func(head []byte) dissect.Guess // whether a text begins with one; pure; head is up to headMost bytes of it
	new   func(o *Opener) container
}

// formats is the table of all containers.
var formats = []format{}

// A container is one that is being read. push takes its next bytes, which are borrowed; last says that none follow. It reports whether further ones are of
// interest. size returns the bytes that it holds, free gives them back.
type container interface {
	push(to *inside, b []byte, last bool) bool
	size() int
	free(o *Opener)
}

const headMost = 512 // bytes that tell whether a text is a container: tar says it at 257

// box is where a container is read, and what it holds comes out.
type box struct {
	c      container
	depth  int
	member *node
	at     int64 // bytes that came out
	open   bool  // a member is under way
}

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
// container is not looked at then, and that has been told.
func (in *inside) write(b []byte) bool {
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
		box.open = true
		n.seen, n.end, n.given = false, box.at, box.at
	}
	in.push(b, true)
	return true
}

// end ends the member at hand.
func (in *inside) end() {
	if in.b.open {
		in.b.open = false
		in.push(nil, false)
		in.b.at++
	}
}

func (in *inside) push(b []byte, more bool) {
	box := in.b
	shifts := [1]dissect.Shift{{At: box.at, Delta: placeless, Out: -1}}
	in.o.push(in.v, box.member, piece{b: b, off: box.at, shifts: shifts[:], more: more})
	box.at += int64(len(b))
}

// placeless is added to the offsets of what has no place in view 0 of its own, so that they are not those of something else there.
const placeless = 1 << 40

// refuse tells that something was not opened.
func (in *inside) refuse(code, detail string, bytes int) { in.o.refuse(code, detail, bytes) }

// formatOf returns what a text is that begins so; maybe: more bytes are needed to tell.
func formatOf(head []byte) (f *format, maybe bool) {
	head = head[:min(len(head), headMost)]
	for i := range formats {
		switch formats[i].magic(head) {
		case dissect.Yes:
			return &formats[i], false
		case dissect.Maybe:
			maybe = true
		}
	}
	return nil, maybe && len(head) < headMost
}

// pushBox gives a container that a text is its next bytes. While it is not known whether it is one, they are kept.
func (o *Opener) pushBox(v *value, n *node, b []byte, last bool) {
	if !n.seen {
		head := b
		if len(n.head) > 0 {
			n.head = append(n.head, b...)
			head = n.head
		}
		f, maybe := formatOf(head)
		if maybe && !last {
			if len(n.head) == 0 {
				n.head = append(n.head, b...)
			}
			return
		}
		n.seen = len(head) > 0
		if f != nil {
			n.box.c, n.box.depth = f.new(o), n.depth+1
			o.Count.Opened++
			b = head
		}
		defer func() { n.head = n.head[:0] }()
	}
	if n.box.c == nil {
		return
	}
	o.feedBox(v, &n.box, b, last)
	if last {
		o.endBox(v, &n.box)
	}
}

// box sees whether the run that begins at i is a container.
func (w *window) box(i int) {
	if f, _ := formatOf(w.n.run.head(w.l.dec[:0], w.b[i:])); f != nil {
		w.n.inRun = box{c: f.new(w.o), depth: w.n.depth + 2}
		w.o.Count.Opened++
	}
}

func (o *Opener) feedBox(v *value, b *box, data []byte, last bool) {
	if b.c != nil && !b.c.push(&inside{o, v, b}, data, last) {
		b.c.free(o)
		b.c = done{}
	}
}

// done stands for a container of which nothing more is of interest.
type done struct{}

func (done) push(*inside, []byte, bool) bool { return true }
func (done) size() int                       { return 0 }
func (done) free(*Opener)                    {}

// endBox ends a container.
func (o *Opener) endBox(v *value, b *box) {
	in := inside{o, v, b}
	if b.c != nil {
		b.c.push(&in, nil, true)
	}
	in.end()
	o.drop(b)
}

// drop gives back what a container holds.
func (o *Opener) drop(b *box) {
	if b.c != nil {
		b.c.free(o)
	}
	if b.member != nil {
		o.free(b.member)
	}
	*b = box{}
}
