package engine

import (
	"fmt"
	"testing"

	"weir/flow"
	"weir/wire"
)

// TestShed: of many flows those that bring most are left out, and told each time; what is lost of them meanwhile counts as not inspected.
func TestShed(t *testing.T) {
	p := newPair(t, flow.DefaultLimits)
	p.e.SetWorkloads(nil)
	send := func(port, frames, size int, from uint32) {
		s := &segments{now: 1e18}
		for range frames {
			f := s.frame(wire.ToServer, from, 0x10, string(make([]byte, size)))
			f.Data[34], f.Data[35] = byte(port>>8), byte(port)
			p.block(0, []wire.Frame{f})
			from += uint32(size)
		}
	}
	for i := range 100 {
		send(1000+i, 5, 100, 1)
	}
	send(5000, 400, 1400, 1)
	send(5001, 300, 1400, 1)
	keys := p.lanes[0].Shed(p.taps[0], 4, 4)
	if len(keys) != 2 || max(keys[0].APort, keys[0].BPort) != 5000 || max(keys[1].APort, keys[1].BPort) != 5001 {
		t.Fatalf("left out: %v, want ports 5000 and 5001", keys)
	}
	if again := p.lanes[0].Shed(p.taps[0], 4, 4); len(again) != 0 {
		t.Errorf("nothing came, and %v are left out", again)
	}
	if p.got["capture.shed"] != 2 {
		t.Errorf("%d told, want 2: %v", p.got["capture.shed"], p.got)
	}
	fl := p.taps[0].table.Find(&keys[0])
	send(5000, 400, 1400, 1+1000*1400) // and 600 segments are never seen
	p.lanes[0].Shed(p.taps[0], 4, 4)
	if p.got["capture.shed"] != 3 {
		t.Errorf("left out again and not told: %v", p.got)
	}
	if a := fl.S.app; a == nil || a.why.String() != whyShed || a.skipped != 600*1400 {
		t.Errorf("not inspected: %s", fmt.Sprintf("%+v", a))
	}
}
