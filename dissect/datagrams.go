package dissect

import (
	"errors"

	"weir/wire"
)

// datagrams is the Dissector of protocols whose every datagram is a message by itself: nothing is remembered between two. tell collects what one
// says; it reports false if the datagram is none, and has collected nothing then.
type datagrams struct {
	p    *Protocol
	env  *Env
	last uint64
	tell func(t *teller, dir wire.Dir, b []byte) bool
}

var errDatagram = errors.New("dissect: a datagram that is no message of the protocol")

// eachDatagram returns what Protocol.New is with tell.
func eachDatagram(tell func(*teller, wire.Dir, []byte) bool) func(*Protocol, *Env) Dissector {
	return func(p *Protocol, env *Env) Dissector { return &datagrams{p: p, env: env, tell: tell} }
}

// eachAgain returns what Protocol.Resume is with tell.
func eachAgain(tell func(*teller, wire.Dir, []byte) bool) func(*Protocol, *Env, Rest) Dissector {
	return func(p *Protocol, env *Env, r Rest) Dissector {
		return &datagrams{p: p, env: env, tell: tell, last: r.ID}
	}
}

// Feed implements Dissector.
func (d *datagrams) Feed(dir wire.Dir, data []byte, emit func(*Message)) (Progress, error) {
	if len(data) == 0 {
		return Progress{}, nil
	}
	u := unit{id: d.last + 1, tx: d.last + 1}
	t := d.env.teller(d.p, dir, &u, emit)
	if !d.tell(t, dir, data) {
		return Progress{}, errDatagram
	}
	d.last++
	t.flush(true, true)
	return Progress{Used: len(data)}, nil
}

// Gap implements Dissector.
func (d *datagrams) Gap(wire.Dir, int, func(*Message)) bool { return true }

// Close implements Dissector.
func (d *datagrams) Close(wire.Dir, func(*Message)) {}

// Rest implements Dissector.
func (d *datagrams) Rest() (Rest, bool) { return Rest{ID: d.last, Tx: d.last}, true }

// Size implements Dissector.
func (d *datagrams) Size() int { return 64 }

// yes turns a probe of a datagram into a Guess: there is nothing to wait for.
func yes(ok bool) Guess {
	if ok {
		return Yes
	}
	return No
}

// fills reports whether n is the length of a datagram of which head is the beginning, as a probe is given it.
func fills(n int, head []byte) bool { return n == len(head) || n > len(head) && len(head) == MaxProbe }
