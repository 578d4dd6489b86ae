package dissect

import (
	"bytes"
	"errors"
	"net/netip"

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

// hexed collects bytes in hex.
func (t *teller) hexed(f Field, b []byte) {
	if t.wants(f) {
		t.add(f, t.write(func(out []byte) []byte {
			const digits = "0123456789abcdef"
			for _, c := range b {
				out = append(out, digits[c>>4], digits[c&15])
			}
			return out
		}))
	}
}

// named collects the name of a code, the code itself if it has none.
func (t *teller) named(f Field, names []string, code int) {
	if code < len(names) && names[code] != "" {
		t.addString(f, names[code])
		return
	}
	t.number(f, int64(code))
}

// address collects an IPv4 address.
func (t *teller) address(f Field, b []byte) {
	if len(b) == 4 && t.wants(f) {
		t.add(f, t.write(func(out []byte) []byte { return netip.AddrFrom4([4]byte(b)).AppendTo(out) }))
	}
}

// seconds collects a time of 4 bytes.
func (t *teller) seconds(f Field, b []byte) {
	c := wire.Cut(b)
	if v := c.U32(); !c.Short() {
		t.number(f, int64(v))
	}
}

// addresses collects IPv4 addresses, a value for each.
func (t *teller) addresses(f Field, b []byte) {
	for ; len(b) >= 4; b = b[4:] {
		t.address(f, b[:4])
	}
}

// colons collects bytes in hex with colons.
func (t *teller) colons(f Field, b []byte) {
	if t.wants(f) {
		t.add(f, t.write(func(out []byte) []byte { return appendColons(out, b, "0123456789abcdef") }))
	}
}

// padded collects what zeros are behind, if anything is there.
func (t *teller) padded(f Field, b []byte) {
	if b = bytes.TrimRight(b, "\x00"); len(b) > 0 {
		t.add(f, b)
	}
}
