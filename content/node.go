package content

import (
	"math/bits"

	"weir/dissect"
)

// node is text that comes in pieces: a value as it came, or a view of it. What is encoded in the text is put decoded into a further view, with
// some of what stands around it. Offsets are in the text.
type node struct {
	of        *value
	depth     int
	view      uint8
	kinds     uint32          // of encodings that are looked for
	seen      bool            // its beginning has come
	end       int64           // of what came
	tail      []byte          // the last bytes that came
	from      []dissect.Shift // how they lead back to view 0; nil: they are view 0
	undecided int             // bytes at the end of the tail that may begin something
	letters   bool            // they are nothing but letters, too few of them for a run
	run       codec           // what is under way
	line      int             // the codec's own, 0 at first
	skip      skip            // the run at hand, in which nothing began so far
	head      []byte          // the beginning, while it may be a container's
	box       box             // the container that the text is
	inRun     box             // the container that the run under way is

	// the view
	out   *node // that gets it
	at    int64 // offset in the view of what is given next
	open  bool  // a stretch of the view is under way
	until int64 // up to here text is given as it is
	given int64 // up to here it was given
}

// piece is the next bytes of a text.
type piece struct {
	b      []byte
	off    int64
	shifts []dissect.Shift
	more   bool
	begin  bool // something of its own begins with it
}

const nodeSize = 256 // bytes that a node is counted for, beside what it keeps

// node returns a node for a text at a depth; nil: the value has too many.
func (o *Opener) node(v *value, depth int) *node {
	view := bits.TrailingZeros64(^v.used)
	if view >= viewsEach-1 { // the last is that of cells
		return nil
	}
	var n *node
	if k := len(o.nodes); k > 0 {
		n, o.nodes = o.nodes[k-1], o.nodes[:k-1]
	} else {
		n = &node{}
	}
	v.used |= 1 << view
	n.of, n.depth, n.view, n.kinds = v, depth, v.views+uint8(view), allKinds
	return n
}

// free takes a node's memory back, and that of those it feeds.
func (o *Opener) free(n *node) {
	if n.out != nil {
		o.free(n.out)
	}
	o.drop(&n.box)
	o.drop(&n.inRun)
	n.of.used &^= 1 << (n.view - n.of.views)
	*n = node{tail: n.tail[:0], from: n.from[:0], head: n.head[:0]}
	if len(o.nodes) < maxFree && cap(n.tail) <= maxTail {
		o.nodes = append(o.nodes, n)
	}
}

const maxTail = 4 << 10 // bytes of a node's that is kept for reuse

func (n *node) size() int {
	s := nodeSize + cap(n.tail) + cap(n.from)*24 + cap(n.head) + n.box.size() + n.inRun.size()
	if n.out != nil {
		s += n.out.size()
	}
	return s
}

// push gives a text its next piece.
func (o *Opener) push(v *value, n *node, p piece) {
	if n.depth > 0 {
		o.show(v, n, &p)
	}
	if p.off != n.end { // a gap, or the next stretch
		o.look(v, n, nil, true)
		if n.box.c != nil {
			o.endBox(v, &n.box)
		}
		n.seen = n.seen || p.off > 0
		n.end, n.tail, n.undecided, n.given, n.skip = p.off, n.tail[:0], 0, p.off, skip{}
	}
	if p.begin && n.end > 0 { // something of its own
		if n.box.c != nil {
			o.endBox(v, &n.box)
		}
		n.seen, n.head = false, n.head[:0]
	}
	n.lead(p.shifts)
	if (!n.seen || n.box.c != nil) && o.pushBox(v, n, p.b, !p.more) {
		n.end += int64(len(p.b))
		n.tail, n.undecided, n.given = n.tail[:0], 0, n.end
		return
	}
	o.look(v, n, p.b, !p.more)
	if !p.more {
		n.tail, n.undecided, n.given, n.skip = n.tail[:0], 0, n.end, skip{}
	}
}

// lead takes the shifts of the next piece over, and lets go of those before the tail.
func (n *node) lead(more []dissect.Shift) {
	if n.depth == 0 && len(more) == 0 {
		return
	}
	from := n.end - int64(len(n.tail))
	k := 0
	for k+1 < len(n.from) && n.from[k+1].At <= from {
		k++
	}
	n.from = append(n.from[:copy(n.from, n.from[k:])], more...)
}

// look undoes what is encoded in b, the text's next bytes.
func (o *Opener) look(v *value, n *node, b []byte, last bool) {
	l := &o.levels[n.depth]
	searched := false
	if n.run == nil && !n.open {
		if n.skip.over(b) || !n.skip.on && !o.begins(n, b, &searched) {
			n.keep(b)
			return
		}
	}
	l.win = append(append(l.win[:0], n.tail...), b...)
	l.text, l.shifts = l.text[:0], l.shifts[:0]
	w := &l.w
	*w = window{o: o, v: v, n: n, l: l, b: l.win, base: n.end - int64(len(n.tail)), at: len(n.tail) - n.undecided, last: last, off: n.at}
	n.end += int64(len(b))
	if searched {
		l.found.move(len(n.tail))
	} else {
		l.found.find(w.b, w.at, n.kinds)
	}
	w.run()
	if last {
		w.endRun()
		w.close()
	} else {
		w.flush(true)
	}
	n.undecided = len(w.b) - w.at
	n.letters = n.undecided < runLeast && runOf(w.b[w.at:], letter64, runLeast) == n.undecided
	n.tail = append(n.tail[:0], w.b[max(0, w.at-reach):]...)
}

// kept is how much of a text is kept: what may begin something, and what stands before it.
const kept = reach + holdMost

// keep appends b, in which nothing begins, to the tail.
func (n *node) keep(b []byte) {
	n.end += int64(len(b))
	if len(b) >= kept {
		n.tail = append(n.tail[:0], b[len(b)-kept:]...)
	} else {
		if over := len(n.tail) + len(b) - kept; over > 0 {
			n.tail = n.tail[:copy(n.tail, n.tail[over:])]
		}
		n.tail = append(n.tail, b...)
	}
	if n.skip.on {
		n.undecided = 0
		return
	}
	n.undecided, n.letters = unfinished(n.tail)
}

// begins reports whether something encoded may begin in what is undecided and b. searched says that where is known, if it is in b.
func (o *Opener) begins(n *node, b []byte, searched *bool) bool {
	f := &o.levels[n.depth].found
	switch {
	case n.undecided == 0:
	case n.letters:
		if n.undecided+runOf(b, letter64, runLeast) >= runLeast {
			return true
		}
	default:
		var joined [holdMost + 64]byte
		k := copy(joined[:], n.tail[len(n.tail)-min(n.undecided, holdMost):])
		k += copy(joined[k:], b)
		if f.find(joined[:k], 0, n.kinds); f.strong() {
			return true
		}
	}
	for f.find(b, 0, n.kinds); !f.strong(); f.find(b, f.upto, n.kinds) {
		if f.upto == len(b) {
			return false
		}
	}
	*searched = true
	return true
}
