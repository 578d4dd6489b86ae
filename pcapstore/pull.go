package pcapstore

import (
	"cmp"
	"container/heap"
	"context"
	"errors"
	"fmt"
	"hash/maphash"
	"io"
	"io/fs"
	"math"
	"slices"
)

// PullOptions say how Pull writes.
type PullOptions struct {
	Format   Format
	App      string              // what is named as the writer, "weir VERSION"
	Progress func(*PullCounters) // called before each slice is read; may be nil

	// Recent is a capture, as a Writer in format PcapNG writes it, of packets that are in memory, of which some may be in slices too; all of
	// them meet the query. nil: none.
	Recent     io.ReaderAt
	RecentSize int64 // bytes
}

// PullCounters count what Pull did.
type PullCounters struct {
	Slices    int    // that may hold such packets
	Read      int    // of them
	Looked    uint64 // packets in those
	Packets   uint64 // written
	Twice     uint64 // packets left out because another slice had them too
	Recent    uint64 // packets written that no slice has
	Open      int    // slices read that are still being written
	Lost      uint64 // frames that the capture lost, as the slices with written packets tell
	NotStored uint64 // packets that a limit kept out of these slices
	Gone      int    // slices that the quota removed before they could be read
	Damaged   []error
}

// Pull writes the packets for which q holds, of all slices (those that are still being written too) and of the recent
// ones, in order of time, to w. Interfaces, directions, comments, lengths on the wire and losses are kept; a packet that
// several have is written once. What is damaged is read as far as it goes, and told. Errors: *Empty if there is no such packet (nothing has been written then), ErrLinkType,
// ctx's, those of w and of the file system.
func (s *Store) Pull(ctx context.Context, w io.Writer, q *Query, o PullOptions) (PullCounters, error) {
	parts, err := s.parts() // first: one that is finished meanwhile is found as a finished one
	if err != nil {
		return PullCounters{}, err
	}
	found, err := s.candidates(q)
	if err != nil {
		return PullCounters{}, err
	}
	for _, i := range parts {
		if q.Slice(&i) != No && !slices.ContainsFunc(found, func(f Info) bool { return f.ID == i.ID }) {
			found = append(found, i)
		}
	}
	comment := "weir pcap pull"
	one := len(found) == 1 && (o.Recent == nil || q.Alert() != "") // what is written is a slice itself
	switch {
	case one:
		comment = found[0].Meta.line()
	case q != nil:
		comment += ": " + q.String()
	}
	m := merge{
		s: s, ctx: ctx, q: q, o: o, w: NewWriter(w, o.Format, o.App, comment), seed: maphash.MakeSeed(), first: math.MaxInt64,
		recent: len(found),
	}
	if one {
		m.w.rows.alert = &found[0].Meta
	}
	m.c.Slices = len(found)
	err = m.run(found)
	for _, r := range m.open {
		r.close()
	}
	if err != nil {
		return m.c, err
	}
	if m.c.Packets == 0 {
		return m.c, s.empty(q, &m.c)
	}
	if one {
		m.endSlice(&found[0])
	} else {
		m.end()
	}
	return m.c, m.w.Close()
}

// Select returns the slices that hold a packet for which q holds, those that are still being written too, oldest alert first. Errors: ctx's,
// those of the file system.
func (s *Store) Select(ctx context.Context, q *Query) ([]Info, error) {
	open, err := s.parts() // first: one that is finished meanwhile is found as a finished one
	if err != nil {
		return nil, err
	}
	found, err := s.candidates(q)
	if err != nil {
		return nil, err
	}
	for _, i := range open {
		if q.Slice(&i) != No && !slices.ContainsFunc(found, func(f Info) bool { return f.ID == i.ID }) {
			found = append(found, i)
		}
	}
	slices.SortStableFunc(found, func(a, b Info) int { return cmp.Compare(a.Meta.Time, b.Meta.Time) })
	out := found[:0]
	for k := range found {
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		i := found[k]
		if q.Slice(&i) == Perhaps {
			r, err := s.openSlice(&i)
			if errors.Is(err, fs.ErrNotExist) {
				continue
			}
			if err != nil {
				return nil, fmt.Errorf("pcap store: %w", err)
			}
			r.scan(q, 1)
			r.close()
			if len(r.index) == 0 {
				continue
			}
		}
		out = append(out, i)
	}
	return out, nil
}

// candidates returns the slices whose own description does not rule q out.
func (s *Store) candidates(q *Query) ([]Info, error) {
	var all []Info
	var err error
	if id := q.Alert(); id != "" {
		if all, err = s.Find(id); errors.Is(err, ErrNotFound) {
			return nil, nil
		}
	} else {
		all, err = s.List()
	}
	if err != nil {
		return nil, err
	}
	return slices.DeleteFunc(all, func(i Info) bool { return q.Slice(&i) == No }), nil
}

// Alert returns the id of the alert that q asks for in any case, "" if there is none.
func (q *Query) Alert() string {
	for _, n := range q.conjuncts() {
		if n.kind == kindAlert {
			return n.text
		}
	}
	return ""
}

// Workload returns the workload or pod that q asks for in any case, "" if there is none.
func (q *Query) Workload() string {
	for _, n := range q.conjuncts() {
		if n.kind == kindWorkload || n.kind == kindPod {
			return n.text
		}
	}
	return ""
}

// conjuncts returns the conditions that must all hold.
func (q *Query) conjuncts() []*node {
	switch {
	case q == nil:
		return nil
	case q.root.kind == kindAnd:
		return q.root.kids
	}
	return []*node{q.root}
}

// merge brings the packets of several slices in order. A slice is opened when its time has come.
type merge struct {
	s    *Store
	ctx  context.Context
	q    *Query
	o    PullOptions
	w    *Writer
	open readers // with packets left

	recent int    // order of the recent packets' reader
	buf    []byte // of a reader that is done
	sums   []sum  // by number of the interface in the file being written
	c      PullCounters
	seed   maphash.Seed

	bytes       uint64 // written, of packets
	first, last int64  // times of the packets written
}

// sum is what the slices counted on an interface. Where slices overlap in time a loss is in each, and counts for each.
type sum struct{ received, dropped uint64 }

func (m *merge) run(found []Info) error {
	waiting := make([]*reader, len(found))
	for k := range found {
		waiting[k] = &reader{info: &found[k], order: k}
	}
	if m.o.Recent != nil {
		waiting = append(waiting, &reader{info: &Info{}, order: len(found), f: m.o.Recent, size: m.o.RecentSize, close: func() error { return nil }})
	}
	slices.SortStableFunc(waiting, func(a, b *reader) int { return cmp.Compare(a.begin(), b.begin()) })
	for {
		for len(waiting) > 0 && (len(m.open) == 0 || waiting[0].begin() <= m.open[0].time()) {
			if err := m.add(waiting[0]); err != nil {
				return err
			}
			waiting = waiting[1:]
		}
		if len(m.open) == 0 {
			return nil
		}
		if err := m.step(); err != nil {
			return err
		}
	}
}

// begin returns the time of a slice's first packet, or one before it.
func (r *reader) begin() int64 {
	if !r.info.Complete {
		return math.MinInt64
	}
	return r.info.Closing.First
}

// time returns the time of the next packet.
func (r *reader) time() int64 { return r.index[0].time }

// add opens a slice and looks through it.
func (m *merge) add(r *reader) error {
	if err := m.ctx.Err(); err != nil {
		return err
	}
	if m.o.Progress != nil {
		m.o.Progress(&m.c)
	}
	if r.f != nil { // the recent packets
		r.scan(nil, math.MaxInt)
		if r.broken != nil {
			return fmt.Errorf("recent packets: %w", r.broken)
		}
		if len(r.index) > 0 {
			heap.Push(&m.open, r)
		}
		return nil
	}
	n, err := m.s.openSlice(r.info)
	if errors.Is(err, fs.ErrNotExist) {
		m.c.Gone++
		return nil
	}
	if err != nil {
		return fmt.Errorf("pcap store: %w", err)
	}
	n.order = r.order
	n.buf, m.buf = m.buf[:0], nil
	n.scan(m.q, math.MaxInt)
	m.c.Read++
	if r.info.Open {
		m.c.Open++
	}
	m.c.Looked += n.looked
	if n.broken != nil {
		m.c.Damaged = append(m.c.Damaged, n.broken)
	}
	if len(n.index) == 0 {
		m.done(n)
		return nil
	}
	m.c.NotStored += r.info.Closing.NotStored
	heap.Push(&m.open, n)
	return nil
}

// done closes a slice of which nothing is left to be written.
func (m *merge) done(r *reader) {
	for k := range r.ifaces {
		if i := &r.ifaces[k]; i.out >= 0 {
			sum := &m.sums[i.out]
			sum.received += i.received
			sum.dropped += max(i.dropped, i.noted)
			m.c.Lost += max(i.dropped, i.noted)
		}
	}
	m.buf = r.buf
	r.close()
}

// step writes all packets of the earliest time.
func (m *merge) step() error {
	r := heap.Pop(&m.open).(*reader)
	t := r.time()
	same := []*reader{r}
	for len(m.open) > 0 && m.open[0].time() == t {
		same = append(same, heap.Pop(&m.open).(*reader))
	}
	var err error
	if len(same) == 1 {
		err = m.copy(r, t)
	} else {
		err = m.compare(same, t)
	}
	for _, r := range same {
		if len(r.index) > 0 && err == nil {
			heap.Push(&m.open, r)
		} else {
			m.done(r)
		}
	}
	return err
}
