package engine

import (
	"cmp"
	"slices"

	"weir/wire"
)

// fattest finds the flows that bring most of the bytes of a tap's ring, whichever tap has them, in a handful of slots (Metwally's space-saving): a flow with more than
// 1/len(slots) of the bytes is always among them. Only one frame in fatEvery is counted.
type fattest struct {
	slots [8]fat
	total uint64
}

type fat struct {
	key   wire.Key
	bytes uint64
}

const (
	fatEvery = 8          // frames; a power of two
	whyShed  = "overload" // what a flow was left out for
)

func (x *fattest) add(key *wire.Key, n uint32) {
	x.total += uint64(n)
	least := 0
	for i := range x.slots {
		if x.slots[i].key == *key {
			x.slots[i].bytes += uint64(n)
			return
		}
		if x.slots[i].bytes < x.slots[least].bytes {
			least = i
		}
	}
	s := &x.slots[least]
	s.key, s.bytes = *key, s.bytes+uint64(n)
}

// fatter returns the keys of those with at least a share of 1/of, at most n, the fattest first. It forgets all of them.
func (x *fattest) fatter(n, of int) (keys []wire.Key) {
	slices.SortFunc(x.slots[:], func(a, b fat) int { return cmp.Compare(b.bytes, a.bytes) })
	for _, s := range x.slots[:min(n, len(x.slots))] {
		if s.bytes > 0 && s.bytes >= x.total/uint64(of) {
			keys = append(keys, s.key)
		}
	}
	*x = fattest{}
	return keys
}

// Shed chooses what to leave out of the ring of a tap that cannot keep up: of the flows that brought most bytes since the last call, those with at
// least a share of 1/of, at most n. Each is told; what it brings until it is let in again is counted as not inspected. The caller sees to
// it that the ring leaves them out; the goroutine that owns t calls.
func (l *Lane) Shed(t *Tap, n, of int) (keys []wire.Key) {
	t.mu.Lock()
	defer t.mu.Unlock()
	l.attach(t)
	l.idle = true
	defer l.detach(t)
	for _, key := range t.fat.fatter(n, of) {
		if key.Scope != t.cfg.Scope || key.Proto != wire.ProtoTCP && key.Proto != wire.ProtoUDP { // not to be told from others by its addresses
			continue
		}
		if l.leaveOut(t, &key) {
			t.count.shedFlows++
			keys = append(keys, key)
		}
	}
	return keys
}

// leaveOut tells that a flow of t, or of another tap of its interface, is not inspected for a while. It reports whether there is one.
func (l *Lane) leaveOut(t *Tap, key *wire.Key) bool {
	o := t
	if t.kin != nil && t.table.Find(key) == nil {
		if o = t.kin.has(key); o == nil {
			return false
		}
	}
	if o != t {
		defer l.visit(o)()
		l.idle = true
	}
	defer l.survive()
	fl := o.table.Find(key)
	if fl == nil || fl.NVLAN > 0 {
		return false
	}
	l.fl, l.a = fl, fl.S.app
	fl.S.more().shed = true
	defer l.lockTwin()()
	if l.a != nil {
		l.a.skip(0, whyShed)
	}
	l.anomaly("capture", "capture.shed", "the interface brings more than can be inspected: this flow, which brings most of it, is left out for a while, so that the others are seen")
	return true
}
