package flow

import "slices"

// fragRun is the bytes off to end of a datagram.
type fragRun struct{ off, end uint32 }

// fragExtent is what is known of a datagram's end.
type fragExtent struct {
	end  int // of the fragments so far; the datagram's iff last
	last bool
}

// fits reports whether f agrees with it. An empty fragment never does.
func (e *fragExtent) fits(f *fragment) bool {
	switch {
	case len(f.data) == 0:
		return false
	case f.last:
		return f.end() >= e.end && (!e.last || f.end() == e.end)
	}
	return !e.last || f.end() <= e.end
}

func (e *fragExtent) note(f *fragment) {
	e.end = max(e.end, f.end())
	e.last = e.last || f.last
}

// fragVerdict is what a queue says of a fragment.
type fragVerdict uint8

const (
	fragFits      fragVerdict = iota
	fragInside                // within what is there: ignored
	fragOverlaps              // partly
	fragConflicts             // its end cannot be
)

// fragQueue is a datagram as today's Linux has it (inet_frag_queue_insert): fragments that do not overlap, in runs. A
// run grows only at the datagram's end, as there, since a fragment is ignored iff it lies within one run.
type fragQueue struct {
	fragExtent
	runs []fragRun // by offset
	got  int       // bytes
}

func (q *fragQueue) reset() { q.fragExtent, q.runs, q.got = fragExtent{}, q.runs[:0], 0 }

func (q *fragQueue) complete() bool { return q.last && q.got == q.end }

func (q *fragQueue) add(f *fragment) fragVerdict {
	if !q.fits(f) {
		return fragConflicts
	}
	q.note(f)
	r := fragRun{uint32(f.off), uint32(f.end())}
	n := len(q.runs)
	if n == 0 || q.runs[n-1].end < r.end {
		switch {
		case n == 0 || r.off > q.runs[n-1].end:
			q.runs = append(q.runs, r)
		case r.off < q.runs[n-1].end:
			return fragOverlaps
		default:
			q.runs[n-1].end = r.end
		}
		q.got += len(f.data)
		return fragFits
	}
	i := searchRuns(q.runs, r.off)
	switch {
	case i < n && r.off >= q.runs[i].off && r.end <= q.runs[i].end:
		return fragInside
	case i < n && r.end > q.runs[i].off:
		return fragOverlaps
	}
	q.runs = slices.Insert(q.runs, i, r)
	q.got += len(f.data)
	return fragFits
}

// fragCover is the bytes that fragments cover together, in runs that do not touch.
type fragCover struct {
	fragExtent
	runs []fragRun // by offset
}

func (c *fragCover) reset() { c.fragExtent, c.runs = fragExtent{}, c.runs[:0] }

func (c *fragCover) complete() bool {
	return c.last && len(c.runs) == 1 && c.runs[0].off == 0 && int(c.runs[0].end) == c.end
}

func (c *fragCover) overlaps(f *fragment) bool {
	i := searchRuns(c.runs, uint32(f.off))
	return i < len(c.runs) && int(c.runs[i].off) < f.end()
}

func (c *fragCover) add(f *fragment) {
	c.note(f)
	r := fragRun{uint32(f.off), uint32(f.end())}
	i := searchRuns(c.runs, r.off)
	if i > 0 && c.runs[i-1].end == r.off {
		i--
	}
	j := i
	for ; j < len(c.runs) && c.runs[j].off <= r.end; j++ {
		r.off, r.end = min(r.off, c.runs[j].off), max(r.end, c.runs[j].end)
	}
	c.runs = slices.Replace(c.runs, i, j, r)
}

// searchRuns returns the first run that ends after off.
func searchRuns(runs []fragRun, off uint32) int {
	lo, hi := 0, len(runs)
	for lo < hi {
		if m := (lo + hi) / 2; runs[m].end > off {
			hi = m
		} else {
			lo = m + 1
		}
	}
	return lo
}
