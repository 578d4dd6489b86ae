package dissect

import (
	"errors"

	"weir/wire"
)

// enveloping is how the messages of a simple protocol are found and told: each tells its length in a header, and is an exchange of its own unless
// pair says otherwise.
type enveloping struct {
	head int // bytes that tell a message's length
	hold int // bytes of a message that are waited for; 0: envelopeHold
	// size returns the length of the message at the front of b, header included; 0 if it is none. b has at least head bytes.
	size func(d *enveloped, dir wire.Dir, b []byte) int
	// tell tells a message, or the first hold bytes of a longer one, and returns how many of them it has told; what is behind them is told as
	// data. sealed says that the message cannot be looked into.
	tell func(d *enveloped, t *teller, dir wire.Dir, b []byte) (n int, sealed bool)
	data Field
	// pair returns what a request and its answer have in common, and whether a message is the request; ok is false if it is neither. nil: none is.
	pair func(d *enveloped, dir wire.Dir, b []byte) (key uint64, asks, ok bool)
}

// ours
const (
	envelopeHold  = 64 << 10 // bytes of a message that are waited for
	envelopedSize = 232      // bytes that a enveloped is counted for
)

var errEnveloped = errors.New("not a message of this protocol")

// enveloped parses one flow of a protocol that an enveloping describes.
type enveloped struct {
	p      *Protocol
	env    *Env
	f      *enveloping
	lastID uint64
	state  uint64 // the protocol's own
	pairs  pairs
	side   [2]struct {
		u      unit
		value  pieces
		sealed bool
		waits  bool   // for an answer: the exchange does not end with the message
		more   bool   // the next one goes on with this message: set by tell
		text   pieces // a value of a message that comes in several
	}
}

func newEnveloped(f *enveloping) func(*Protocol, *Env) Dissector {
	return func(p *Protocol, env *Env) Dissector { return &enveloped{p: p, env: env, f: f} }
}

func resumeEnveloped(f *enveloping) func(*Protocol, *Env, Rest) Dissector {
	return func(p *Protocol, env *Env, r Rest) Dissector {
		return &enveloped{p: p, env: env, f: f, lastID: r.ID, state: r.State}
	}
}

// Feed implements Dissector.
func (d *enveloped) Feed(dir wire.Dir, data []byte, emit func(*Message)) (pr Progress, err error) {
	s := &d.side[dir]
	t := d.env.teller(d.p, dir, &s.u, emit)
	for pr.Used < len(data) {
		b := data[pr.Used:]
		if s.value.left == 0 {
			if len(b) < d.f.head {
				pr.Need = d.f.head - len(b)
				break
			}
			size := d.f.size(d, dir, b)
			if size < d.f.head {
				err = errEnveloped
				break
			}
			want := min(size, max(d.f.hold, envelopeHold))
			if len(b) < want {
				pr.Need = want - len(b)
				break
			}
			if s.u.id == 0 {
				d.open(dir)
				d.pair(dir, b[:want])
			}
			n, sealed := d.f.tell(d, t, dir, b[:want])
			pr.Used += n
			if sealed {
				pr.Passed += n
			}
			if s.sealed = sealed; sealed {
				s.value = pieces{left: int64(size - n)}
			} else {
				s.value = t.stream(d.f.data, int64(size-n))
			}
		} else {
			n := s.value.take(t, b)
			pr.Used += n
			if s.sealed {
				pr.Passed += n
			}
		}
		if s.value.left == 0 && !s.more {
			t.joinEnd(&s.text)
			t.flush(true, !s.waits)
			s.u = unit{}
		}
		if len(t.text) > maxScratch {
			t.flush(false, false)
		}
	}
	t.flush(false, false)
	return pr, err
}

// open begins a message of dir.
func (d *enveloped) open(dir wire.Dir) {
	d.lastID++
	s := &d.side[dir]
	s.u, s.waits = unit{id: d.lastID, tx: d.lastID}, false
}

// pair finds the exchange of the message in hand of dir, of which nothing was told yet.
func (d *enveloped) pair(dir wire.Dir, b []byte) {
	if d.f.pair != nil {
		key, asks, ok := d.f.pair(d, dir, b)
		d.paired(dir, key, asks, ok)
	}
}

func (d *enveloped) paired(dir wire.Dir, key uint64, asks, ok bool) {
	s := &d.side[dir]
	switch {
	case !ok:
	case asks:
		d.pairs.asked(dir, key, s.u.tx, 0)
		s.waits = true
	default:
		if q, found := d.pairs.answered(dir, key); found {
			s.u.tx = q.tx
		}
	}
}

// Gap implements Dissector: it goes on if what was lost lies within a long message.
func (d *enveloped) Gap(dir wire.Dir, n int, emit func(*Message)) bool {
	s := &d.side[dir]
	return s.value.left > int64(n) && s.value.lost(n)
}

// Close implements Dissector.
func (d *enveloped) Close(dir wire.Dir, emit func(*Message)) {
	if s := &d.side[dir]; s.u.id != 0 {
		t := d.env.teller(d.p, dir, &s.u, emit)
		t.joinEnd(&s.text)
		t.flush(true, true)
		s.u, s.value, s.more = unit{}, pieces{}, false
	}
}

// Rest implements Dissector: no message is under way, and none waits for its answer.
func (d *enveloped) Rest() (Rest, bool) {
	return Rest{ID: d.lastID, Tx: d.lastID, State: d.state}, d.side[0].u.id == 0 && d.side[1].u.id == 0 && d.pairs.empty()
}

// Size implements Dissector.
func (d *enveloped) Size() int { return envelopedSize + d.pairs.size() }
