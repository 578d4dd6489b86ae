package daemon

import (
	"fmt"
	"time"
)

const paceEvery = time.Second // ours

// pace looks after the interfaces, once in a while: hot ones are split, cut frames are told, rings are shared out anew.
func (d *Daemon) pace(now time.Time) {
	d.mu.Lock()
	defer d.mu.Unlock()
	for _, t := range d.taps {
		if n := t.watch.last().cut; n > 0 && !t.cut {
			d.lengthen(t, n)
		}
	}
	d.measure(now, d.idle.step())
	d.lookSides()
	d.rush /= 2
	d.arrange(now)
}

// lengthen gives a ring that has cut frames longer blocks, and tells of it. d.mu is held.
func (d *Daemon) lengthen(t *tap, frames uint64) {
	if t.changing { // look again
		return
	}
	t.cut = true
	size := max(t.bytes, ringOfCut)
	if t.reading == 1 && !t.fixed && size <= d.freeOfRings() {
		d.resize(t, size)
	}
	d.log.Warn("frames were cut", "interface", t.iface.Name, "frames", frames)
	d.tell(t.iface.Name, "capture.cut", fmt.Sprintf("%d frames longer than a block of the ring were cut: their ends are not inspected; the ring gets longer blocks", frames))
}
