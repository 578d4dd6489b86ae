package dissect

import "weir/wire"

// framed is what dissectors of protocols whose messages say how long they are have in common: it walks the bytes of a flow, and passes values
// that may be long on as they come. It is embedded; its step parses from the front of b, which is not empty, and returns what it used, or how
// many more bytes it needs. A step ends its message with done, or leaves that to the end of a value that it has begun with stream.
type framed struct {
	p      *Protocol
	env    *Env
	step   func(t *teller, dir wire.Dir, b []byte) (n, need int, err error)
	lastID uint64
	lastTx uint64
	side   [2]framedSide
}

// framedSide is the state of one direction.
type framedSide struct {
	unit   unit
	open   bool  // a message is in hand
	ends   bool  // it ends with the value that is streamed
	tx     bool  // and its exchange too
	hold   bool  // the value goes on behind remain: more of it is announced later
	remain int64 // bytes to come of the value that is streamed
	off    int64
	value  uint32
	field  Field
}

// ours
const framedSize = 320 // bytes that a framed is counted for

// makeFramed returns the common part of a dissector.
func makeFramed(p *Protocol, env *Env, step func(*teller, wire.Dir, []byte) (int, int, error)) framed {
	return framed{p: p, env: env, step: step}
}

// Feed implements Dissector.
func (f *framed) Feed(dir wire.Dir, data []byte, emit func(*Message)) (Progress, error) {
	s := &f.side[dir]
	t := f.env.teller(f.p, dir, &s.unit, emit)
	used := 0
	for used < len(data) {
		if s.remain > 0 {
			n := int(min(s.remain, int64(len(data)-used)))
			f.piece(t, s, data[used:used+n])
			used += n
			continue
		}
		n, need, err := f.step(t, dir, data[used:])
		used += n
		if err != nil {
			t.flush(s.open, s.open)
			s.open = false
			return Progress{Used: used}, err
		}
		if need > 0 {
			t.flush(false, false)
			return Progress{Used: used, Need: need}, nil
		}
	}
	t.flush(false, false)
	return Progress{Used: used}, nil
}

// begin opens a message of a new exchange.
func (f *framed) begin(dir wire.Dir) {
	f.lastTx++
	f.beginTx(dir, f.lastTx)
}

// beginTx opens a message of an exchange.
func (f *framed) beginTx(dir wire.Dir, tx uint64) {
	f.lastID++
	s := &f.side[dir]
	s.unit, s.open = unit{id: f.lastID, tx: tx}, true
}

// done ends the message in hand; tx says that its exchange ends too.
func (f *framed) done(t *teller, dir wire.Dir, tx bool) {
	t.flush(true, tx)
	f.side[dir].open = false
}

// stream announces a value of n bytes that follows what the step has used. With ends the message ends behind it, with tx its exchange too.
func (f *framed) stream(t *teller, dir wire.Dir, field Field, n int64, ends, tx bool) {
	s := &f.side[dir]
	s.field, s.remain, s.off, s.ends, s.tx, s.hold = field, n, 0, ends, tx, false
	s.value = t.value()
	if n == 0 && ends {
		f.done(t, dir, tx)
	}
}

// pass passes on a piece of a value, begun with stream, whose length is not known; more says that it goes on.
func (f *framed) pass(t *teller, dir wire.Dir, b []byte, more bool) {
	s := &f.side[dir]
	s.hold = more
	if len(b) > 0 || s.off > 0 {
		s.remain = int64(len(b))
		f.piece(t, s, b)
	}
}

// piece passes on a piece of a value.
func (f *framed) piece(t *teller, s *framedSide, b []byte) {
	s.remain -= int64(len(b))
	if t.wants(s.field) {
		t.part(Part{Field: s.field, Value: s.value, Off: s.off, Bytes: b, More: s.remain > 0 || s.hold})
	}
	s.off += int64(len(b))
	if s.remain == 0 && s.ends {
		t.flush(true, s.tx)
		s.open = false
	}
}

// Gap implements Dissector: inside a value nothing is lost but its bytes.
func (f *framed) Gap(dir wire.Dir, n int, emit func(*Message)) bool {
	s := &f.side[dir]
	if int64(n) > s.remain {
		return false
	}
	s.remain -= int64(n)
	s.off += int64(n)
	if s.remain == 0 && s.ends {
		f.done(f.env.teller(f.p, dir, &s.unit, emit), dir, s.tx)
	}
	return true
}

// Close implements Dissector.
func (f *framed) Close(dir wire.Dir, emit func(*Message)) {
	s := &f.side[dir]
	if s.open {
		t := f.env.teller(f.p, dir, &s.unit, emit)
		if (s.hold || s.remain > 0) && s.off > 0 && t.wants(s.field) {
			t.part(Part{Field: s.field, Value: s.value, Off: s.off})
		}
		f.done(t, dir, true)
	}
	s.remain, s.hold = 0, false
}

// quiet reports whether no message is open, and what is to be remembered then.
func (f *framed) quiet() (Rest, bool) {
	if f.side[0].open || f.side[1].open || f.side[0].remain+f.side[1].remain > 0 {
		return Rest{}, false
	}
	return Rest{ID: f.lastID, Tx: f.lastTx}, true
}

// resume counts on from what Rest has.
func (f *framed) resume(r Rest) { f.lastID, f.lastTx = r.ID, r.Tx }

// Rest implements Dissector.
func (f *framed) Rest() (Rest, bool) { return Rest{}, false }

// Size implements Dissector.
func (f *framed) Size() int { return framedSize }
