package dlp

import (
	"bytes"

	"weir/dissect"
	"weir/wire"
)

// openValue is a value of which parts are still to come: a Hyperscan stream and the last bytes. It holds its Database.
type openValue struct {
	next    *openValue
	class   *class
	stream  nativeStream
	frozen  []byte // what the stream is behind what came; empty: what it is
	stale   bool   // the stream is not as new
	seen    digest // of what came; zero: the memo is not asked
	message uint64
	base    int64 // offset in the value at which the stream began
	end     int64 // offset in the value up to which bytes came
	tail    []byte
	runs    []ruleRun
	exact   []exactState
	shifts  []dissect.Shift
	spec    *dissect.FieldSpec
	lines   int // line ends before the tail
	cost    int // bytes of shifts that are counted
	value   uint32
	dir     wire.Dir
	field   dissect.Field
	view    uint8
}

// maxShifts bounds what is kept of a view's shifts; without the oldest, offsets before them are not exact.
const maxShifts = 1024

// ours: bytes that things are counted for
const (
	openSize  = 256 // an open value, without its class's size
	shiftSize = 24
)

func (st *State) find(m *dissect.Message, p *dissect.Part) *openValue {
	for v := st.open; v != nil; v = v.next {
		if v.value == p.Value && v.view == p.View && v.field == p.Field && v.message == m.ID && v.dir == m.Dir {
			return v
		}
	}
	return nil
}

// take returns a fresh openValue of a class, nil if the budget is used up.
func (s *Scanner) take(c *class) *openValue {
	db := c.db
	if db.open.Add(c.size) > db.limit {
		db.open.Add(-c.size)
		return nil
	}
	for i := range s.pools {
		if p := &s.pools[i]; p.class == c && len(p.free) > 0 {
			v := p.free[len(p.free)-1]
			p.free = p.free[:len(p.free)-1]
			return v
		}
	}
	st, ok := c.matcher.native.open()
	if !ok {
		db.open.Add(-c.size)
		return nil
	}
	db.retain()
	return &openValue{class: c, stream: st}
}

// give takes a value's memory back.
func (s *Scanner) give(v *openValue) {
	c := v.class
	c.db.open.Add(-c.size)
	if v.stale {
		v.destroy()
		return
	}
	*v = openValue{class: c, stream: v.stream, tail: v.tail[:0], runs: v.runs[:0], shifts: v.shifts[:0], exact: v.exact, frozen: v.frozen[:0]}
	if c.db == s.db {
		for i := range s.pools {
			if p := &s.pools[i]; p.class == c {
				if len(p.free) < maxPooled {
					p.free = append(p.free, v)
					return
				}
				v.destroy()
				return
			}
		}
		s.pools = append(s.pools, pool{class: c, free: []*openValue{v}})
		return
	}
	v.destroy()
}

func (v *openValue) destroy() {
	v.stream.close()
	v.class.db.release()
}

// begin opens a stream for a value whose first part p is.
func (s *Scanner) begin(st *State, c *class, m *dissect.Message, p *dissect.Part, hits []Hit) []Hit {
	if st.opened >= maxOpen {
		hits = s.shedOldest(st, hits)
	}
	v := s.take(c)
	if v == nil && st.open != nil {
		hits = s.shedOldest(st, hits)
		v = s.take(c)
	}
	if v == nil {
		// What the part holds is found; what is cut between it and the next is not.
		s.giveUp(int64(len(p.Bytes)), whyOpen)
		return s.whole(st, c, m, p, hits)
	}
	v.message, v.dir, v.field, v.value, v.view = m.ID, m.Dir, p.Field, p.Value, p.View
	v.spec = &m.Protocol.Fields[p.Field]
	v.base, v.end = p.Off, p.Off
	if m := s.memoOf(c); m != nil {
		v.seen = m.begin(c.matcher)
	}
	v.exact = c.startExact(v.exact, p.Off)
	v.next, st.open = st.open, v
	st.opened++
	st.size += openSize + int(c.size)
	return s.write(st, v, p, hits)
}

// shedOldest ends the value that was opened first as if no more of it came.
func (s *Scanner) shedOldest(st *State, hits []Hit) []Hit {
	last := st.open
	for last.next != nil {
		last = last.next
	}
	s.giveUp(int64(len(last.tail)), whyOpen)
	return s.finish(st, last, hits)
}

// more gives an open value its next part.
func (s *Scanner) more(st *State, v *openValue, m *dissect.Message, p *dissect.Part, hits []Hit) []Hit {
	if p.Off != v.end {
		// A gap, or the view's next stretch: nothing reaches over it.
		c := v.class
		c.db.retain() // v may be the last that holds it
		defer c.db.release()
		hits = s.finish(st, v, hits)
		if p.More {
			return s.begin(st, c, m, p, hits)
		}
		if len(p.Bytes) == 0 || s.fit(c.db) != nil {
			return hits
		}
		return s.whole(st, c, m, p, hits)
	}
	hits = s.write(st, v, p, hits)
	if !p.More {
		hits = s.finish(st, v, hits)
	}
	return hits
}

// write scans the next part of v.
func (s *Scanner) write(st *State, v *openValue, p *dissect.Part, hits []Hit) []Hit {
	if v.view != dissect.ViewPlain {
		had := cap(v.shifts)
		v.shift(p.Shifts)
		n := (cap(v.shifts) - had) * shiftSize
		v.cost += n
		st.size += n
	}
	if len(p.Bytes) == 0 {
		return hits
	}
	s.spend(st, len(p.Bytes))
	if s.fit(v.class.db) != nil {
		s.giveUp(int64(len(p.Bytes)), whyNative)
		return hits
	}
	regions, err := s.said(v, p.Bytes)
	if err != nil {
		s.giveUp(int64(len(p.Bytes)), whyNative)
	}
	if len(regions) > 0 || pending(v.runs) || v.exact != nil {
		t := s.join(v, p.Bytes)
		at := v.site(st)
		hits = s.exactly(&at, t, v.exact, hits)
		v.runs, hits = s.evaluate(&at, t, regions, v.runs, hits)
	}
	v.keep(p.Bytes)
	return hits
}

// said returns what Hyperscan says of v's next bytes.
func (s *Scanner) said(v *openValue, b []byte) ([]region, error) {
	m := s.memoOf(v.class)
	if m == nil {
		v.seen = digest{}
	}
	if v.seen != (digest{}) {
		v.seen = m.after(v.seen, b)
		if regions, frozen, ok := m.find(&m.open, v.seen); ok {
			s.Count.Known++
			v.frozen = append(v.frozen[:0], frozen...)
			return regions, nil
		}
	}
	err := s.thaw(v)
	var regions []region
	if err == nil {
		v.stale = true
		regions, err = s.native.write(v.stream, b)
	}
	if err != nil {
		v.seen = digest{}
		return regions, err
	}
	if v.seen != (digest{}) {
		m.keep(&m.open, v.seen, regions, v.stream)
	}
	return regions, nil
}

// saidEnd returns what Hyperscan says of v's end. The stream is as new afterwards.
func (s *Scanner) saidEnd(v *openValue) ([]region, error) {
	m := s.memoOf(v.class)
	var d digest
	if m != nil && v.seen != d {
		d = m.after(v.seen, nil)
		if regions, _, ok := m.find(&m.whole, d); ok {
			v.frozen = v.frozen[:0]
			return regions, s.renew(v)
		}
	}
	if err := s.thaw(v); err != nil {
		return nil, err
	}
	v.stale = false
	regions, err := s.native.end(v.stream)
	if err == nil && d != (digest{}) {
		m.keep(&m.whole, d, regions, nativeStream{})
	}
	return regions, err
}

// thaw makes v's stream what the memo said that it is.
func (s *Scanner) thaw(v *openValue) error {
	if len(v.frozen) == 0 {
		return nil
	}
	ok := v.stream.thaw(v.frozen, v.end-v.base, v.tail)
	v.frozen, v.stale = v.frozen[:0], true
	if !ok {
		if err := s.renew(v); err != nil {
			return err
		}
		return errNative
	}
	return nil
}

// renew makes v's stream as new.
func (s *Scanner) renew(v *openValue) error {
	if !v.stale {
		return nil
	}
	v.stale = false
	_, err := s.native.end(v.stream)
	return err
}

// finish ends v: what matches only at a value's end is found now.
func (s *Scanner) finish(st *State, v *openValue, hits []Hit) []Hit {
	if s.fit(v.class.db) == nil {
		regions, err := s.saidEnd(v)
		if err != nil {
			s.giveUp(int64(len(v.tail)), whyNative)
		}
		if len(regions) > 0 || pending(v.runs) || v.exact != nil {
			t := s.join(v, nil)
			t.final = true
			at := v.site(st)
			hits = s.exactly(&at, t, v.exact, hits)
			v.runs, hits = s.evaluate(&at, t, regions, v.runs, hits)
		}
	}
	for at := &st.open; *at != nil; at = &(*at).next {
		if *at == v {
			*at = v.next
			st.opened--
			st.size -= openSize + int(v.class.size) + v.cost
			break
		}
	}
	s.give(v)
	return hits
}

func (v *openValue) site(st *State) site {
	return site{st: st, class: v.class, message: v.message, dir: v.dir, field: v.field, spec: v.spec, value: v.value, view: v.view, shifts: v.shifts, base: v.base, lines: v.lines}
}

// join puts the kept bytes and the part one after the other, in scratch.
func (s *Scanner) join(v *openValue, b []byte) *text {
	if cap(s.joined) > maxJoined {
		s.joined = nil
	}
	s.joined = append(append(s.joined[:0], v.tail...), b...)
	base := v.end - int64(len(v.tail))
	s.here = text{b: s.joined, base: base, first: base == 0, fresh: base == v.base}
	return &s.here
}

// keep appends b to the value and keeps the last bytes of it.
func (v *openValue) keep(b []byte) {
	v.end += int64(len(b))
	most := v.class.keep
	drop := len(v.tail) + len(b) - most
	if drop <= 0 {
		v.tail = append(v.tail, b...)
		return
	}
	fromTail := min(drop, len(v.tail))
	if v.class.lines {
		v.lines += bytes.Count(v.tail[:fromTail], newline) + bytes.Count(b[:drop-fromTail], newline)
	}
	n := copy(v.tail, v.tail[fromTail:])
	v.tail = append(v.tail[:n], b[drop-fromTail:]...)
}

var newline = []byte{'\n'}

// shift takes a part's shifts over and lets go of those before the kept bytes.
func (v *openValue) shift(more []dissect.Shift) {
	from := v.end - int64(len(v.tail))
	n := 0
	for n+1 < len(v.shifts) && v.shifts[n+1].At <= from {
		n++
	}
	v.shifts = append(v.shifts[:copy(v.shifts, v.shifts[n:])], more...)
	if over := len(v.shifts) - maxShifts; over > 0 {
		v.shifts = v.shifts[:copy(v.shifts, v.shifts[over:])]
	}
}
