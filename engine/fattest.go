package engine

import (
	"weir/flow"
	"weir/wire"
)

// fattest finds the flows of a tap that bring most of its bytes, in a handful of slots (Metwally's space-saving): a flow with more than
// 1/len(slots) of the bytes is always among them. Only one frame in fatEvery is counted.
type fattest struct {
	slots [8]fat
	total uint64
}

type fat struct {
	flow  *flow.Flow[conn]
	id    uint64
	bytes uint64
}

const (
	fatEvery = 8          // frames; a power of two
	whyShed  = "overload" // what a flow was left out for
)

func (x *fattest) add(fl *flow.Flow[conn], n uint32) {
	x.total += uint64(n)
	least := 0
	for i := range x.slots {
		if x.slots[i].id == fl.ID {
			x.slots[i].bytes += uint64(n)
			return
		}
		if x.slots[i].bytes < x.slots[least].bytes {
			least = i
		}
	}
	s := &x.slots[least]
	s.flow, s.id, s.bytes = fl, fl.ID, s.bytes+uint64(n)
}

// Shed chooses what to leave out of a tap that cannot keep up: of the flows that brought most bytes since the last call, those with at least a
// share of 1/of, at most n. Each is told; what it brings until it is let in again is counted as not inspected. The caller sees to it that
// the source leaves them out; the goroutine that owns t calls.
func (l *Lane) Shed(t *Tap, n, of int) (keys []wire.Key) {
	t.mu.Lock()
	defer t.mu.Unlock()
	l.attach(t)
	l.idle = true
	defer l.detach(t)
	defer l.survive()
	for range n {
		most := 0
		for i := range t.fat.slots {
			if t.fat.slots[i].bytes > t.fat.slots[most].bytes {
				most = i
			}
		}
		s := &t.fat.slots[most]
		if s.bytes == 0 || s.bytes < t.fat.total/uint64(of) {
			break
		}
		s.bytes = 0
		fl := s.flow
		if fl.ID != s.id || fl.Key.Scope != 0 || fl.NVLAN > 0 || fl.Key.Proto != wire.ProtoTCP && fl.Key.Proto != wire.ProtoUDP {
			continue // over, or not to be told from others by its addresses
		}
		if t.table.Find(&fl.Key) != fl {
			continue // another tap of the interface has it
		}
		l.fl, l.a = fl, fl.S.app
		l.leaveOut(fl)
		t.count.shedFlows++
		keys = append(keys, fl.Key)
	}
	t.fat = fattest{}
	return keys
}

func (l *Lane) leaveOut(fl *flow.Flow[conn]) {
	if fl.S.shed() {
		return
	}
	fl.S.more().shed = true
	defer l.lockTwin()()
	if l.a != nil {
		l.a.skip(0, whyShed)
	}
	l.anomaly("capture", "capture.shed", "the interface brings more than can be inspected: this flow, which brings most of it, is left out for a while, so that the others are seen")
}
