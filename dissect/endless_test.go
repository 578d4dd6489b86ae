package dissect

import (
	"math/rand"
	"runtime"
	"slices"
	"testing"
)

// TestEndless has one end of each case's conversation say what it said again and again, with a few bytes of it changed, and the other one nothing: what a
// parser keeps stays small, and it says how much that is.
func TestEndless(t *testing.T) {
	const (
		times = 1000
		most  = 512 << 10 // bytes that a parser keeps at the most
		slack = 256 << 10 // bytes that it may be wrong by
	)
	for _, c := range loadCases(t) {
		for _, dir := range []int{0, 1} {
			r := rand.New(rand.NewSource(1))
			env := newEnv()
			before := heap()
			d := c.protocol.New(c.protocol, env)
			var left []byte
			size := 0
			for range times {
				for _, tn := range c.turns {
					if int(tn.dir) != dir {
						continue
					}
					data := append(left, tn.data...)
					for range r.Intn(4) {
						data[len(left)+r.Intn(len(tn.data))] = byte(r.Intn(256))
					}
					e := newHeard()
					pr, err := d.Feed(tn.dir, data, e.hear)
					left = slices.Clone(data[pr.Used:])
					if err != nil || e.up || len(left) > maxScratch {
						close2(d, e)
						d, left = c.protocol.New(c.protocol, env), nil
					}
					size = max(size, d.Size())
				}
			}
			left = nil
			grown := heap() - before
			if now := d.Size() + env.Decoders(); size > most || grown > now+slack {
				t.Errorf("%s, direction %d: %d bytes at the most, as it says; %d more are in use, of which it says %d", c.path, dir, size, grown, now)
			}
			close2(d, newHeard())
			if env.decoders != 0 {
				t.Errorf("%s: %d bytes of decoders are not given back", c.path, env.decoders)
			}
		}
	}
}

// heap returns the bytes that are in use.
func heap() int {
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return int(m.HeapAlloc)
}
