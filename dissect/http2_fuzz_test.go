package dissect

import (
	"fmt"
	"strings"
	"testing"

	"golang.org/x/net/http2/hpack"
)

func FuzzHTTP2(f *testing.F) {
	for _, c := range h2cases {
		var req, ans string
		for _, tn := range c.turns(newH2Peer(), newH2Peer()) {
			if tn.dir == toS {
				req += tn.data
			} else {
				ans += tn.data
			}
		}
		f.Add([]byte(http2Preface+h2noSettings+req), []byte(h2noSettings+ans), uint8(3))
		f.Add([]byte(req), []byte(ans), uint8(20))
	}
	f.Fuzz(func(t *testing.T, req, ans []byte, size uint8) {
		turns := []turn{{toS, string(req)}, {toC, string(ans)}}
		env := newEnv()
		env.Limits.Line = 512
		a, aerr := playHTTP2(t, env, turns, 0)
		b, berr := playHTTP2(t, env, turns, int(size)%64+1)
		if env.decoders != 0 {
			t.Fatalf("%d decoders are not given back", env.decoders)
		}
		if (aerr == nil) != (berr == nil) {
			t.Fatalf("errors differ: %v, %v", aerr, berr)
		}
		if err := same(a, b); err != nil {
			t.Fatal(err)
		}
		for _, k := range append(a.keys, a.codes()...) {
			var id uint64
			if _, err := fmt.Sscan(k, &id); err != nil || a.ends[id] != 1 {
				t.Fatalf("%s: the message ends %d times", k, a.ends[id])
			}
		}
	})
}

// FuzzHpack: what the library decodes, the table decodes to the same list; two blocks show that it is kept the same,
// too.
func FuzzHpack(f *testing.F) {
	p := newH2Peer()
	first := p.list(":method", "GET", "x", "y", "cookie", "abc")
	f.Add([]byte(first), []byte(p.list("x", "y", "cookie", "abc", "new", strings.Repeat("v", 300))))
	p.enc.SetMaxDynamicTableSizeLimit(100)
	p.enc.SetMaxDynamicTableSize(64)
	f.Add([]byte(p.list("a", "b", "c", "d")), []byte(p.list("a", "b", "c", "d", "e", strings.Repeat("f", 200))))
	f.Fuzz(func(t *testing.T, one, two []byte) {
		lib := hpack.NewDecoder(hpackDefault, nil)
		var table hpackTable
		var l hpackList
		table.allowed = hpackDefault
		table.reset(false)
		for i, b := range [][]byte{one, two} {
			fields, err := lib.DecodeFull(b)
			if err != nil {
				return
			}
			l.reset(1<<20, true)
			rest := table.decode(&l, b)
			got, want := "", ""
			for _, f := range l.fields {
				got += fmt.Sprintf("%q: %q\n", l.name(f), l.value(f))
			}
			for _, f := range fields {
				want += fmt.Sprintf("%q: %q\n", f.Name, f.Value)
			}
			if got != want || len(rest) > 0 || l.flaws&^hpackResize != 0 {
				t.Fatalf("block %d: got\n%swant\n%srest %x, flaws %b", i, got, want, rest, l.flaws)
			}
		}
	})
}

// FuzzHTTP2Probe: it says the same of more bytes, unless it waited for them.
func FuzzHTTP2Probe(f *testing.F) {
	f.Add([]byte(h2hello))
	f.Add([]byte(h2frame(frameSettings, 0, 0, "\x00\x03\x00\x00\x00\x64") + h2frame(frameSettings, flagAck, 0, "")))
	f.Fuzz(func(t *testing.T, b []byte) {
		last := Maybe
		for n := range len(b) + 1 {
			got := probeHTTP2(toS, b[:n])
			if last != Maybe && got != last {
				t.Fatalf("%d after %d bytes, %d before", got, n, last)
			}
			last = got
		}
	})
}
