package content

import "weir/dissect"

// window is the part of a node's text that is looked at in one call.
type window struct {
	o    *Opener
	v    *value
	n    *node
	l    *scratch
	b    []byte
	base int64 // offset in the text of b[0]
	at   int   // up to here b has been dealt with
	last bool  // nothing follows
	off  int64 // offset in the view of l.text
}

// verdict says whether an encoding begins at a place.
type verdict uint8

const (
	no   verdict = iota
	yes          // it does
	wait         // more bytes are needed to tell
)

// run goes through the window.
func (w *window) run() {
	n := w.n
	for {
		if n.run != nil {
			if !w.decode() {
				return
			}
			continue
		}
		if n.skip.on {
			w.plain(w.at + n.skip.pass(w.b[w.at:]))
			if w.at == len(w.b) {
				return
			}
		}
		i, k := w.next()
		if i == len(w.b) {
			hold := 0
			if !w.last {
				hold, _ = unfinished(w.b[w.at:])
			}
			w.plain(len(w.b) - hold)
			return
		}
		if k == weak {
			k = kindOf(w.b[i])
			if w.plain(i); !n.open || n.kinds>>k&1 == 0 {
				w.plain(i + 1)
				continue
			}
		}
		c, verdict := codec(nil), no
		if k == wideText {
			var wd utf16Text
			i, wd = wideStart(w.b, i, w.at)
			c, verdict = wd, wd.begin(w.l, w.b[i:], w.last)
		} else {
			c, verdict = begin(w.l, k, w.b[i:], w.last)
		}
		switch {
		case verdict == wait:
			w.plain(i)
			return
		case verdict == no && k == aRun:
			w.pass(i)
		case verdict == no:
			w.plain(i + 1)
		case n.depth >= w.o.limits.DecodeDepth:
			w.o.refuse("content.depth", "encodings within each other, deeper than is undone", len(w.b)-i)
			w.plain(len(w.b))
			return
		default:
			w.begin(i, c)
		}
	}
}

// next returns where something may begin next, and what; len(w.b): nowhere.
func (w *window) next() (int, kind) {
	at := w.at
	if at > 0 && w.inRun(at) && runOf(w.b[at:], letter64, runLeast) == runLeast {
		return at, aRun // the rest of a run
	}
	f := &w.l.found
	for {
		for len(f.list) > 0 {
			i, k := int(f.list[0].at), kind(f.list[0].kind)
			f.list = f.list[1:]
			if i >= at && (k != aRun || i == 0 || !w.inRun(i)) {
				return i, k
			}
		}
		if f.upto == len(w.b) {
			return len(w.b), 0
		}
		f.find(w.b, f.upto, w.n.kinds)
	}
}

// inRun reports whether a letter stands before i.
func (w *window) inRun(i int) bool { return classes[w.b[i-1]]&letter64 != 0 }

// pass passes the beginning of a run at i with which nothing begins.
func (w *window) pass(i int) {
	s := &w.n.skip
	if i == 0 || !w.inRun(i) {
		s.tries = 0
	}
	k := prefix(w.b[i:])
	if s.tries++; s.tries >= triesMost {
		s.tries, k = triesMost, 0
	}
	s.on = k == 0
	w.plain(i + k)
}

// plain passes text up to k as it is: it is given out as far as it is near to what was encoded.
func (w *window) plain(k int) {
	n := w.n
	if n.open {
		if m := min(int(n.until-w.base), k); m > w.at {
			w.give(w.b[w.at:m], w.base+int64(w.at), 1, 1)
			n.given = w.base + int64(m)
		}
		if n.until <= w.base+int64(k) {
			w.close()
		}
	}
	w.at = k
}

// begin begins what is encoded at i.
func (w *window) begin(i int, c codec) {
	n := w.n
	w.plain(i)
	if !n.open {
		from := max(i-reach, int(n.given-w.base), 0)
		n.open = true
		w.give(w.b[from:i], w.base+int64(from), 1, 1)
	}
	n.run, n.line = c, 0
	w.o.Count.Opened++
	w.box(i)
}

// decode goes on with what is under way. It reports whether that is over.
func (w *window) decode() bool {
	used, over := w.n.run.decode(w, w.b[w.at:], w.last)
	w.at += used
	w.n.given = w.base + int64(w.at)
	if over {
		w.endRun()
	}
	return over
}

func (w *window) endRun() {
	n := w.n
	if n.run == nil {
		return
	}
	if n.inRun.c != nil {
		w.o.endBox(w.v, &n.inRun)
	}
	n.run = nil
	n.until = w.base + int64(w.at) + reach
}

// give gives out b, which stands for the text from offset at on: each out of its bytes for in bytes there.
func (w *window) give(b []byte, at int64, in, out int) {
	n := w.n
	if n.inRun.c != nil {
		w.o.feedBox(w.v, &n.inRun, b, false)
		return
	}
	for len(b) > 0 {
		k := min(len(b), max(flush-len(w.l.text), 0)/out*out)
		if k == 0 {
			w.flush(true)
			continue
		}
		w.lead(k, at, in, out)
		w.l.text = append(w.l.text, b[:k]...)
		b = b[k:]
		at += int64((k + out - 1) / out * in)
	}
}

// lead notes how the next k bytes of the view lead back.
func (w *window) lead(k int, at int64, in, out int) {
	to := w.off + int64(len(w.l.text))
	if len(w.n.from) == 0 {
		w.shift(to, at, int64(in), int64(out))
		return
	}
	// Each group of what is given stands for all groups of the text that it comes from.
	f := w.n.from
	for i := 0; i < k; {
		for len(f) > 1 && f[1].At <= at {
			f = f[1:]
		}
		step, span := min(out, k-i), int64(in)
		if in == 1 && out == 1 { // as it is: up to the next shift at once
			span = int64(k - i)
			if len(f) > 1 {
				span = min(span, f[1].At-at)
			}
			s := &f[0]
			if s.Out <= 0 {
				w.shift(to, at+s.Delta, 0, -1)
				step = int(span)
			} else {
				phase := (at - s.At) % int64(s.Out)
				if phase == 0 {
					w.shift(to, s.Begin(at), int64(s.In), int64(s.Out))
					step = int(span)
				} else {
					span = min(span, int64(s.Out)-phase)
					w.shift(to, s.Begin(at), int64(s.In), span)
					step = int(span)
				}
			}
		} else {
			begin, end, ok := reachBack(f, at, at+span)
			if !ok {
				w.shift(to, begin, 0, -1)
			} else {
				w.shift(to, begin, end-begin, int64(step))
			}
		}
		i += step
		to += int64(step)
		at += span
	}
}

// reachBack returns what [from, to) of a text stands for in view 0.
func reachBack(f []dissect.Shift, from, to int64) (begin, end int64, ok bool) {
	if len(f) == 0 {
		return from, to, false
	}
	a := &f[0]
	for len(f) > 1 && f[1].At <= to-1 {
		f = f[1:]
	}
	return a.Begin(from), f[0].End(to - 1), a.Out > 0 && f[0].Out > 0
}

// shift notes that from offset to of the view on, each out bytes stand for in bytes of view 0, the first of them for those at src.
func (w *window) shift(to, src, in, out int64) {
	if k := len(w.l.shifts); k > 0 {
		p := &w.l.shifts[k-1]
		if int64(p.In) == in && int64(p.Out) == out {
			if out < 0 {
				return
			}
			if (to-p.At)%out == 0 && p.Begin(to) == src {
				return
			}
		}
	}
	w.l.shifts = append(w.l.shifts, dissect.Shift{At: to, Delta: src - to, In: int32(in), Out: int32(out)})
}

// flush gives what was collected of the view to who looks at it; more of the stretch follows, or not.
func (w *window) flush(more bool) {
	n := w.n
	if len(w.l.text) == 0 && (more || n.out == nil) {
		return
	}
	if n.out == nil {
		n.out = w.o.node(w.v, n.depth+1)
		if n.out == nil {
			w.o.refuse("content.budget", "a value with too much in it: not all of it was opened", len(w.l.text))
			w.l.text, w.l.shifts = w.l.text[:0], w.l.shifts[:0]
			return
		}
		n.out.seen = true // what it begins with is what stands around
	}
	w.o.push(w.v, n.out, piece{b: w.l.text, off: w.off, shifts: w.l.shifts, more: more})
	w.off += int64(len(w.l.text))
	n.at = w.off
	w.l.text, w.l.shifts = w.l.text[:0], w.l.shifts[:0]
}

// close ends the stretch of the view that is under way.
func (w *window) close() {
	n := w.n
	if !n.open {
		return
	}
	w.flush(false)
	n.open = false
	w.off++ // the next one is not its continuation
	n.at = w.off
}

// offset returns where in the text the byte is that decode was given at i.
func (w *window) offset(i int) int64 { return w.base + int64(w.at+i) }
