package dissect

import (
	"slices"
	"testing"

	"weir/wire"
)

// piecemeal plays what two ends say to a dissector in pieces of at most size bytes, as the engine would: what it leaves over is given again, in
// front of what follows. A datagram is never cut. It checks what every Dissector promises.
func piecemeal(t testing.TB, p *Protocol, env *Env, turns []turn, size int) (*heard, error) {
	e := newHeard()
	d := p.New(p, env)
	datagrams := p.Carrier&Stream == 0
	var left [2][]byte
	feed := func(dir wire.Dir, in []byte) error {
		in = slices.Clip(in) // who reads beyond the end shows
		before := slices.Clone(in)
		pr, err := d.Feed(dir, in, e.hear)
		if pr.Used < 0 || pr.Used > len(in) || pr.Need < 0 || pr.Opaque < 0 || pr.Passed < 0 || pr.Opaque+pr.Passed > pr.Used {
			t.Fatalf("%s: %+v of %d bytes", p.Name, pr, len(in))
		}
		if !slices.Equal(in, before) {
			t.Fatalf("%s: writes into what it was given", p.Name)
		}
		left[dir] = before[pr.Used:]
		if datagrams {
			left[dir] = nil
		}
		for i := range in {
			in[i] = 0xee // a borrow that was kept shows
		}
		return err
	}
	for _, tn := range turns {
		for data := []byte(tn.data); len(data) > 0; {
			n := len(data)
			if size > 0 && !datagrams {
				n = min(n, size)
			}
			if err := feed(tn.dir, append(slices.Clone(left[tn.dir]), data[:n]...)); err != nil || e.up {
				close2(d, e)
				return e, err
			}
			data = data[n:]
			if p.Resume != nil && len(left[0]) == 0 && len(left[1]) == 0 {
				if r, ok := d.Rest(); ok {
					d = p.Resume(p, env, r)
				}
			}
		}
	}
	for dir := range wire.Dir(2) {
		d.Close(dir, e.hear)
		if len(left[dir]) > 0 {
			if err := feed(dir, left[dir]); err != nil {
				return e, err
			}
		}
	}
	return e, nil
}

func close2(d Dissector, e *heard) {
	d.Close(toS, e.hear)
	d.Close(toC, e.hear)
}

// FuzzDissectors takes every protocol of the table: whatever comes, however it is cut, no promise is broken, and what is told does not depend
// on where it was cut.
func FuzzDissectors(f *testing.F) {
	for _, c := range loadCases(f) {
		var both [2]string
		for _, tn := range c.turns {
			both[tn.dir] += tn.data
		}
		f.Add(uint8(slices.Index(Protocols, c.protocol)), []byte(both[0]), []byte(both[1]), uint8(3))
	}
	f.Fuzz(func(t *testing.T, which uint8, client, server []byte, size uint8) {
		p := Protocols[int(which)%len(Protocols)]
		for _, head := range [][]byte{client, server} {
			probed(t, p, head[:min(len(head), MaxProbe)])
		}
		if p.New == nil {
			return
		}
		env := newEnv()
		env.Limits.Line = 512
		turns := []turn{{toS, string(client)}, {toC, string(server)}}
		a, aerr := piecemeal(t, p, env, turns, 0)
		b, berr := piecemeal(t, p, env, turns, int(size)%64+1)
		holed(t, p, env, turns, int(size)+1)
		if env.decoders != 0 {
			t.Fatalf("%s: %d bytes of decoders are not given back", p.Name, env.decoders)
		}
		if aerr != nil || berr != nil || a.up || b.up || a.broken() || b.broken() {
			return
		}
		if err := same(a, b); err != nil {
			t.Fatalf("%s: in pieces of %d: %v", p.Name, int(size)%64+1, err)
		}
	})
}

// probed asks a probe about growing beginnings: once it has said Yes or No of a stream it stays with it.
func probed(t *testing.T, p *Protocol, head []byte) {
	for dir := range wire.Dir(2) {
		last := Maybe
		for n := 1; n <= len(head); n += 1 + n/8 {
			g := p.Probe(dir, head[:n:n])
			if p.Carrier&Stream != 0 && last != Maybe && g != last {
				t.Fatalf("%s: the probe says %d of %d bytes, and %d before", p.Name, g, n, last)
			}
			last = g
		}
	}
}

// holed plays both directions with a hole in the middle of each.
func holed(t *testing.T, p *Protocol, env *Env, turns []turn, n int) {
	d, e := p.New(p, env), newHeard()
	defer close2(d, e)
	for _, tn := range turns {
		b := []byte(tn.data)
		for i, half := range [][]byte{slices.Clip(b[:len(b)/2]), slices.Clip(b[len(b)/2:])} {
			if i > 0 && !d.Gap(tn.dir, n, e.hear) {
				return
			}
			if pr, err := d.Feed(tn.dir, half, e.hear); err != nil || e.up {
				return
			} else if pr.Used > len(half) {
				t.Fatalf("%s: used %d of %d", p.Name, pr.Used, len(half))
			}
		}
	}
}
