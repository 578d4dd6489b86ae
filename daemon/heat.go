package daemon

import (
	"bytes"
	"fmt"
	"os"
	"strconv"
	"time"

	"weir/capture"
	"weir/wire"
)

// ours
const (
	hotLoad     = 0.8 // of a lane: one ring keeps it so busy that it is about to fall behind
	lossLoad    = 0.5 // likewise, where frames are lost
	hotFor      = 3   // paces, before an interface is split
	spareLoad   = 0.5 // of a lane and of a processor that must be idle for that
	evenly      = 0.15
	coldLoad    = 0.4             // of a lane for each ring that would be left: fold
	uselessLoad = 0.05            // of a lane for all rings that came last: fold
	coldFor     = 60              // paces, before an interface is folded
	restFor     = 5 * time.Minute // after a fold, before the next split
)

// heat says when an interface keeps a lane so busy that it needs another ring, and when it does not any more.
type heat struct {
	hot, cold int       // paces in succession
	until     time.Time // no split before
}

// step takes the measure of a pace: of each ring, the share of the time that a lane worked on its frames, whether frames were lost, and how
// many lanes and processors had nothing to do. moves is the share of the bytes that would go to other rings: where it is small, or nearly
// all, splitting does not help.
func (h *heat) step(now time.Time, loads []float64, lost bool, spare, moves float64) (split, fold bool) {
	hottest, sum, last := 0.0, 0.0, 0.0
	for i, l := range loads {
		hottest = max(hottest, l)
		sum += l
		if 2*i >= len(loads) {
			last += l
		}
	}
	if hottest >= hotLoad || lost && hottest >= lossLoad {
		h.hot++
	} else {
		h.hot = 0
	}
	if n := len(loads); n > 1 && (sum < coldLoad*float64(n/2) || last < uselessLoad) {
		h.cold++
	} else {
		h.cold = 0
	}
	split = h.hot >= hotFor && spare >= spareLoad && !now.Before(h.until) && moves >= evenly && moves <= 1-evenly
	fold = h.cold >= coldFor
	if split || fold {
		h.hot, h.cold = 0, 0
	}
	if fold {
		h.until = now.Add(restFor)
	}
	return split, fold
}

// measure splits and folds interfaces as their load asks for. So many of the machine's processors were idle since it did so last. d.mu is held.
func (d *Daemon) measure(now time.Time, processors float64) {
	elapsed := now.Sub(d.measured)
	d.measured = now
	total := 0.0
	for _, t := range d.taps {
		t.loads = t.loads[:0]
		for _, m := range t.members() {
			busy := m.busy.Load()
			load := float64(busy-m.was) / float64(elapsed)
			m.was = busy
			total += load
			if !m.folded {
				t.loads = append(t.loads, load)
			}
		}
	}
	spare := min(float64(cap(d.lanes))-total, processors)
	for _, t := range d.taps {
		drops := t.watch.last().drops
		split, fold := t.heat.step(now, t.loads, drops > t.drops, spare, t.moves())
		t.drops = drops
		switch rings := len(t.loads); {
		case t.changing || t.fixed:
		case split && 2*rings <= min(capture.MaxRings, cap(d.lanes)) && d.freeOfRings()-t.bytes >= ringReserve(d.budgetOfRings()):
			d.split(t)
			spare--
		case fold:
			d.fold(t)
		}
		t.sample(t.heat.hot > 0)
	}
}

// sample has the readers count what a split would move, or not.
func (t *tap) sample(on bool) {
	n := int32(0)
	if on {
		n = int32(2 * len(t.loads))
	}
	for _, m := range t.members() {
		m.sampled.Store(n)
	}
}

// moves returns the share of the bytes that a split would move, counted since it was asked last.
func (t *tap) moves() float64 {
	moved, all := 0.0, 0.0
	for _, m := range t.members() {
		moved += float64(m.moved.Swap(0))
		all += float64(m.counted.Swap(0))
	}
	if all == 0 {
		return 0
	}
	return moved / all
}

// count counts a block, if it is to be sampled.
func (m *member) count(frames []wire.Frame) {
	n := int(m.sampled.Load())
	if n == 0 {
		return
	}
	moved, all := uint64(0), uint64(0)
	for i := range frames {
		all += uint64(frames[i].Len)
		if capture.Member(&frames[i], n) >= n/2 {
			moved += uint64(frames[i].Len)
		}
	}
	m.moved.Add(moved)
	m.counted.Add(all)
}

// split doubles the rings of an interface. d.mu is held.
func (d *Daemon) split(t *tap) {
	t.changing, t.extra = true, t.bytes
	d.log.Info("a busy interface is split", "interface", t.iface.Name, "rings", 2*t.reading)
	ring := t.ring
	d.wg.Go(func() {
		rings, err := ring.Split()
		if err != nil {
			d.mu.Lock()
			defer d.mu.Unlock()
			t.changing, t.extra = false, 0
			d.mayFinish(t)
			t.heat.until = time.Now().Add(restFor)
			if !t.leaving && !d.closing {
				d.log.Warn("the interface could not be split", "interface", t.iface.Name, "problem", err)
			}
			return
		}
		d.addRings(t, rings)
	})
}

// addRings begins to read the rings that a split has made. Each is looked at with a tap of its own, from now on: what came
// before has been dealt with.
func (d *Daemon) addRings(t *tap, rings []*capture.Ring) {
	d.mu.Lock()
	first := t.reading
	missing := first + len(rings) - len(t.members())
	d.mu.Unlock()
	var fresh []*member
	for range missing {
		fresh = append(fresh, &member{tap: t.tap.Sibling()}) // not under d.mu: it waits for the tap's block
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	t.more = append(t.more, fresh...)
	t.changing, t.extra = false, 0
	for i, ring := range rings {
		m := t.members()[first+i]
		m.ring = ring
		t.bytes += ring.Bytes()
		d.read(t, m)
		if t.leaving {
			d.wg.Go(func() { ring.Drain() })
		}
	}
	d.arrange(time.Now())
}

// fold halves the rings of an interface. What its flows are looked at with stays. d.mu is held.
func (d *Daemon) fold(t *tap) {
	t.changing, t.frees = true, t.bytes/2
	d.log.Info("the rings of an interface are folded", "interface", t.iface.Name, "rings", t.reading/2)
	ring := t.ring
	d.wg.Go(func() {
		err := ring.Fold()
		d.mu.Lock()
		defer d.mu.Unlock()
		t.changing, t.frees = false, 0
		d.mayFinish(t)
		if err != nil && !t.leaving && !d.closing {
			d.log.Warn("the rings could not be folded", "interface", t.iface.Name, "problem", err)
		}
		d.arrange(time.Now())
	})
}

// foldOne folds an interface so that others have room. It reports whether there was one, or is being. d.mu is held.
func (d *Daemon) foldOne() bool {
	for _, t := range d.taps {
		if t.reading > 1 && !t.fixed {
			if !t.changing {
				t.heat = heat{until: time.Now().Add(restFor)}
				d.fold(t)
			}
			return true
		}
	}
	return false
}

// processors tells how many of the machine's processors were idle.
type processors struct{ idle, all uint64 }

// step returns how many were since it was called last; 0 if it cannot be known.
func (p *processors) step() float64 {
	idle, all, n, err := idleTime()
	if err != nil || all <= p.all {
		return 0
	}
	free := float64(idle-p.idle) / float64(all-p.all) * float64(n)
	first := p.all == 0
	p.idle, p.all = idle, all
	if first {
		return 0
	}
	return free
}

// idleTime returns the time that n processors spent idle since they were started, in ticks of 1/100 s, and all of their time.
func idleTime() (idle, all uint64, n int, err error) {
	const file = "/proc/stat"
	text, err := os.ReadFile(file)
	if err != nil {
		return 0, 0, 0, err
	}
	for line := range bytes.Lines(text) {
		fields := bytes.Fields(line)
		if len(fields) < 6 || !bytes.HasPrefix(fields[0], []byte("cpu")) {
			break
		}
		if len(fields[0]) > len("cpu") {
			n++
			continue
		}
		for i, f := range fields[1:min(len(fields), 9)] { // guests' time is part of the rest
			v, err := strconv.ParseUint(string(f), 10, 64)
			if err != nil {
				return 0, 0, 0, fmt.Errorf("%s: %w", file, err)
			}
			all += v
			if i == 3 || i == 4 { // idle, and waiting for a disk
				idle += v
			}
		}
	}
	if n == 0 {
		return 0, 0, 0, fmt.Errorf("%s: no processor stands there", file)
	}
	return idle, all, n, nil
}
