package daemon

import (
	"cmp"
	"errors"
	"slices"
	"time"

	"weir/capture"
)

// ours
const (
	ringMost    = 8 << 20  // bytes of one ring, where there is room
	ringLossy   = 64 << 20 // bytes of one that loses frames, where there is much: it bridges what takes Weir longer
	ringLeast   = 1 << 20  // bytes of one ring, where there are many
	ringOfCut   = 2 << 20  // bytes of one ring whose blocks have to be longer, for frames were cut
	opensMost   = 64       // rings that are opened at once: each waits for the kernel, not for a processor
	changesMost = 16       // rings that change their size at once
	growsMost   = 4        // of these, those that grow
	rushMore    = 4        // interfaces that are expected for each that came just now: whose rings are small need not shrink at once
	growAfter   = 10 * time.Second
	retryAfter  = time.Second // after a ring could not be opened; then twice as long each time
	retryMost   = 5           // but so often only
)

// ringSize returns what each of n rings gets of a budget: 8 MiB, then halves of it down to 1 MiB. Until then some of the budget is kept
// free, for the next interface to begin with at once, and because a ring that changes stands twice for a moment.
func ringSize(budget, n int) int {
	for size := ringMost; size > ringLeast; size /= 2 {
		if n*size <= budget-ringReserve(budget) {
			return size
		}
	}
	return ringLeast
}

func ringReserve(budget int) int { return max(budget/32, 2*ringLeast) }

// holding is what the rings of one interface take of the budget.
type holding struct {
	bytes    int       // of its rings, as they stand
	extra    int       // more, while a ring is opened or changes
	frees    int       // what that change gives back at its end
	changing bool      // a change is under way
	fixed    bool      // the kernel can give it no other size
	cut      bool      // frames were cut: it needs longer blocks
	next     time.Time // when to try again what failed
}

// least returns the smallest size of the interface's ring.
func (h *holding) least() int {
	if h.cut {
		return ringOfCut
	}
	return ringLeast
}

// arrange gives rings to the interfaces that wait for one, and makes them room. Whatever changes something calls it, and the
// pace does. d.mu is held.
func (d *Daemon) arrange(now time.Time) {
	if d.closing || !d.listed { // of those that are there at the start the number is about to be known
		return
	}
	inside := d.loopbacks()
	n := len(d.taps) + len(d.waiting) - inside
	budget := d.budgetOfRings() - inside*loopbackRing
	size := ringSize(budget, n)
	left, within := d.letIn(now, size, ringSize(budget, n+rushMore*d.rush))
	busy := d.shrink(now, size, left+within)
	if left > 0 && !busy {
		busy = d.foldOne() || d.giveUpLoopbacks(left)
	}
	switch {
	case busy:
	case left+within > 0:
		d.noRoom(now)
	default:
		d.grow(now)
	}
	d.settle()
}

func (d *Daemon) budgetOfRings() int { return int(d.conf.Capture.Ring) }

// watched returns the number of interfaces that are watched, without those that never leave their namespace. d.mu is held.
func (d *Daemon) watched() (n int) {
	for id := range d.taps {
		if id.end != loopback {
			n++
		}
	}
	return n
}

// freeOfRings returns what is left of the budget. d.mu is held.
func (d *Daemon) freeOfRings() int {
	free := d.budgetOfRings()
	for _, t := range d.taps {
		free -= t.bytes + t.extra
	}
	for _, t := range d.waiting {
		free -= t.extra
	}
	for t := range d.ending {
		free -= t.bytes + t.extra
	}
	return free
}

// letIn opens rings of a size, or of less, for interfaces that wait, first come, first served, and returns for how many there is no room, and
// for how many loopback interfaces, which come last. Where rings have to shrink to another size, some room is left to them: they make more of
// it. d.mu is held.
func (d *Daemon) letIn(now time.Time, shrunk, size int) (left, within int) {
	room := d.freeOfRings()
	opening := 0
	for _, t := range d.waiting {
		if t.extra > 0 {
			opening++
		}
	}
	room -= min(len(d.candidates(shrunk)), max(1, len(d.waiting)-opening), changesMost/2) * ringLeast
	list := slices.Clone(d.waiting)
	slices.SortStableFunc(list, func(a, b *tap) int { return cmp.Compare(a.end/loopback, b.end/loopback) })
	for _, t := range list {
		if t.extra > 0 || now.Before(t.next) || opening >= opensMost {
			continue
		}
		if t.end == loopback {
			if left > 0 || room-loopbackRing < ringReserve(d.budgetOfRings()) {
				within++
				continue
			}
			t.extra = loopbackRing
			room -= loopbackRing
			opening++
			d.wg.Go(func() { d.openRing(t, loopbackRing) })
			continue
		}
		want := size
		for want > room && want > ringLeast {
			want /= 2
		}
		if want > room {
			left++
			continue
		}
		t.extra = want
		room -= want
		opening++
		d.wg.Go(func() { d.openRing(t, want) })
	}
	return left, within
}

// candidates returns the rings larger than they should be, the largest first. d.mu is held.
func (d *Daemon) candidates(size int) (list []*tap) {
	for _, t := range d.taps {
		if !t.fixed && t.end != loopback && t.reading == 1 && t.bytes > max(size, t.least()) {
			list = append(list, t)
		}
	}
	slices.SortFunc(list, func(a, b *tap) int { return cmp.Or(b.bytes-a.bytes, a.iface.Index-b.iface.Index) })
	return list
}

// shrink makes room for the interfaces that wait, and for the next. It reports whether more room is about to be made. d.mu is held.
func (d *Daemon) shrink(now time.Time, size, waiting int) (busy bool) {
	free := d.freeOfRings()
	goal := ringReserve(d.budgetOfRings()) + waiting*ringLeast
	coming, changes := 0, 0
	for t := range d.ending {
		coming += t.bytes
		busy = true
	}
	for _, t := range d.taps {
		if t.changing {
			changes++
			coming += t.frees
			busy = busy || t.frees > 0
		}
	}
	for _, t := range d.candidates(size) {
		if free+coming >= goal || changes >= changesMost {
			break
		}
		if t.changing || now.Before(t.next) {
			continue
		}
		want := max(size, t.least())
		if want > free {
			want = t.least()
		}
		if want > free {
			continue
		}
		free -= want
		coming += t.bytes
		changes++
		busy = true
		d.resize(t, want)
	}
	return busy
}

// grow makes rings larger when there has been room for long enough: more than they need now, for else the next interface would
// undo it. d.mu is held.
func (d *Daemon) grow(now time.Time) {
	if len(d.waiting) > 0 || now.Sub(d.moved) < growAfter {
		return
	}
	n := d.watched()
	size := ringSize(d.budgetOfRings()-d.loopbacks()*loopbackRing, n+n/4+1)
	room := d.freeOfRings() - ringReserve(d.budgetOfRings())
	changes := 0
	for _, t := range d.taps {
		want := max(size, t.least())
		if t.end == loopback {
			want = loopbackRing
		}
		if before, _ := t.watch.since(now); t.watch.last().drops > before.drops {
			want = max(want, min(2*t.bytes, ringLossy))
		}
		if t.changing || t.fixed || t.reading != 1 || t.bytes >= want || want > room || changes >= growsMost || now.Before(t.next) {
			continue
		}
		room -= want
		changes++
		d.resize(t, want)
	}
}

// resize begins to give an interface's ring another size. d.mu is held.
func (d *Daemon) resize(t *tap, size int) {
	t.changing, t.extra, t.frees = true, size, t.bytes
	ring := t.ring
	d.wg.Go(func() {
		err := ring.Resize(size)
		d.mu.Lock()
		defer d.mu.Unlock()
		t.changing, t.extra, t.frees = false, 0, 0
		if t.reading > 0 {
			t.bytes = ring.Bytes()
		}
		d.mayFinish(t)
		switch {
		case err == nil || t.leaving || d.closing:
		case errors.Is(err, capture.ErrFixed):
			t.fixed = true
			d.log.Info("the ring keeps its size", "interface", t.iface.Name, "reason", err.Error())
		default:
			t.next = time.Now().Add(10 * retryAfter)
			d.log.Warn("the ring could not be given another size", "interface", t.iface.Name, "problem", err)
		}
		d.arrange(time.Now())
	})
}

// noRoom tells of the interfaces for which there is no ring, and is not going to be one. d.mu is held.
func (d *Daemon) noRoom(now time.Time) {
	for _, t := range d.waiting {
		if t.extra == 0 && !now.Before(t.next) && !t.told {
			if t.end == hostEnd && t.iface.Gone() {
				continue // news of that is on its way: its ring knew before
			}
			t.told = true
			d.notWatched(t.iface.Name, errNoRoom)
		}
	}
}

// settle notes when all interfaces are watched that were there at the start, or cannot be. d.mu is held.
func (d *Daemon) settle() {
	if !d.listed || d.settled == nil {
		return
	}
	for _, t := range d.waiting {
		if !t.told && t.tries == 0 && t.end == hostEnd {
			return
		}
	}
	close(d.settled)
	d.settled = nil
}
