package daemon

import (
	"errors"
	"io"
	"io/fs"
	"net"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/sys/unix"

	"weir/alert"
	"weir/capture"
	"weir/engine"
	"weir/workload"
)

const slowMost = 32 // sockets that end at once

// tap is one interface that is watched, or is going to be. Of a hot one there is more than one ring.
type tap struct {
	iface workload.Interface // the host's end of the veth; its name is the tap's
	end   end
	way   way                 // inside: how it gets there
	list  []capture.Interface // the one interface, as the ring describes it
	member
	rings ringSet
	out   leftOut

	unreadLast uint64 // out's

	// d.mu guards what follows.
	holding
	watch   tapWatch
	heat    heat
	loads   []float64 // of each ring, the share of the time that a lane worked on its frames
	drops   uint64    // frames that were lost, when the loads were measured
	more    []*member // beside the first
	reading int       // rings that are read
	leaving bool      // the interface is gone, or is not to be watched any more
	told    bool      // that it is not watched
	tries   int       // to open a ring
	failed  error     // why a ring could not be read on
	over    bool      // it ends
}

// member is a ring, and what its frames are looked at with.
type member struct {
	ring   *capture.Ring
	tap    *engine.Tap
	folded bool         // the ring was folded: it is closed
	seen   atomic.Int64 // ns since the epoch: when its ring or its work last came back
	busy   atomic.Int64 // ns that were spent on its frames
	was    int64        // busy, as measured last
	relief relief       // the ring's goroutine's

	sampled        atomic.Int32  // rings that the interface would have after a split, if that is asked; 0: it is not
	moved, counted atomic.Uint64 // bytes that would go to the new ones, and all
}

// ringSet is the rings of a tap that are read now, for the packet path.
type ringSet struct {
	mu      sync.Mutex // guards what follows; no other lock but a ring's is taken under it
	rings   []*capture.Ring
	past    capture.Stats // of rings that are closed
	resting []*engine.Tap // what is not served by a ring of its own any more
}

func (s *ringSet) add(ring *capture.Ring, tap *engine.Tap) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.rings = append(s.rings, ring)
	s.resting = slices.DeleteFunc(slices.Clone(s.resting), func(t *engine.Tap) bool { return t == tap })
}

func (s *ringSet) remove(ring *capture.Ring, tap *engine.Tap) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.rings = slices.DeleteFunc(s.rings, func(r *capture.Ring) bool { return r == ring })
	stats, _ := ring.Stats() // as Close read them
	s.past.Add(stats)
	s.resting = append(slices.Clone(s.resting), tap)
}

// rest returns the taps that have no ring now.
func (s *ringSet) rest() []*engine.Tap {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.resting
}

// arrive begins to watch an interface.
func (d *Daemon) arrive(i workload.Interface) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.ifaces[i.Index] = i
	id := tapID{i.Index, hostEnd}
	if _, known := d.taps[id]; known || slices.ContainsFunc(d.waiting, func(t *tap) bool { return t.id() == id && !t.leaving }) {
		return
	}
	d.attach(newTap(i, hostEnd, way{}))
	if d.listed {
		d.rush++
	}
	d.arrange(d.moved)
}

// attach has a tap wait for its ring, if there is memory. d.mu is held.
func (d *Daemon) attach(t *tap) {
	if d.memory.refuses() {
		d.refuse(t)
		return
	}
	d.waiting = append(d.waiting, t)
	d.moved = time.Now()
}

// openRing opens the ring of an interface that waits, and begins to read it.
func (d *Daemon) openRing(t *tap, size int) {
	open := func(size int) (*capture.Ring, error) {
		return capture.OpenRing(d.ring(t, size))
	}
	if t.end == podEnd { // until the host's end is left, below, both show the same
		d.twice.begins(strings.TrimSuffix(t.iface.Name, peerName), time.Now().UnixNano())
	}
	ring, err := open(size)
	if size > ringLeast && errors.Is(err, unix.ENOMEM) { // the kernel has no memory in large pieces
		ring, err = open(ringLeast)
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	defer func() { d.arrange(time.Now()) }()
	t.extra = 0
	leave := t.leaving || d.closing
	if leave || err == nil {
		d.waiting = slices.DeleteFunc(d.waiting, func(w *tap) bool { return w == t })
	}
	switch {
	case leave && err == nil:
		d.wg.Go(func() { d.slowly(func() { ring.Close() }) })
		return
	case leave:
		return
	case err != nil:
		t.tries++
		t.next = time.Now().Add(retryAfter << min(t.tries-1, retryMost))
		gone := attachReason(err) == goneReason && t.tries < retryMost // then that is about to be told
		if !t.told && !gone {
			t.told = true
			d.notWatched(t.iface.Name, err)
		}
		return
	}
	t.ring, t.bytes, t.list = ring, ring.Bytes(), ring.Interfaces()
	t.member.tap = d.engine.NewTap(engine.TapConfig{
		Interfaces: func() []capture.Interface { return t.list },
		Behind:     func() string { return d.naming.of(t.iface.Index).String() },
		Drops:      func() uint64 { return t.readStats().Drops },
		Scope:      t.scope(),
		Inside:     d.inside(t),
	})
	d.taps[t.id()] = t
	delete(d.blind, t.iface.Name)
	d.log.Info("watching", "interface", t.iface.Name, "ring", Size(t.bytes).String())
	d.read(t, &t.member)
	d.reconcile()
}

// interfaces describes a tap's interface, with who is behind it for those who open its packets.
func (d *Daemon) interfaces(t *tap) []capture.Interface {
	list := slices.Clone(t.list)
	for i := range list {
		list[i].Description = d.naming.of(t.iface.Index).String()
	}
	return list
}

var errNoRoom = errors.New("no room for a ring (raise [capture] ring)")

// attachReasons are the reasons for which an interface cannot be watched, as metrics name them; "other" is the rest.
var attachReasons = []struct {
	name string
	errs []error
}{
	{"no_room", []error{errNoRoom, unix.ENOMEM, unix.ENOBUFS}},
	{"memory", []error{errShort}},
	{"permission", []error{fs.ErrPermission}},
	{goneReason, []error{unix.ENODEV, unix.ENXIO, fs.ErrNotExist}},
}

const goneReason = "gone"

func attachReason(err error) string {
	for _, r := range attachReasons {
		for _, e := range r.errs {
			if errors.Is(err, e) {
				return r.name
			}
		}
	}
	return "other"
}

// notWatched tells that an interface is not looked at, and why. d.mu is held.
func (d *Daemon) notWatched(name string, err error) {
	why := err.Error()
	d.blind[name] = why
	d.failures[attachReason(err)]++
	d.log.Error("not watched", "interface", name, "problem", why)
	d.tell(name, "capture.not_watched", why)
}

// tell tells an anomaly of an interface.
func (d *Daemon) tell(iface, code, detail string) {
	d.queue.Put(&alert.Event{Time: time.Now().UnixNano(), Type: "anomaly", Iface: iface,
		Anomaly: &alert.Anomaly{Type: "capture", Event: code, Layer: "capture", Detail: detail}})
}

// depart stops watching an interface that is gone. What was captured of it is looked at still; nobody waits for that.
func (d *Daemon) depart(i workload.Interface) {
	d.mu.Lock()
	defer d.mu.Unlock()
	delete(d.blind, i.Name)
	delete(d.ifaces, i.Index)
	delete(d.sided, i.Index)
	delete(d.ways, i.Index)
	d.moved = time.Now()
	for _, e := range []end{hostEnd, podEnd, loopback} {
		d.stop(tapID{i.Index, e})
	}
	d.arrange(d.moved)
}

// leave has the rings of a tap read to their ends. d.mu is held.
func (d *Daemon) leave(t *tap) {
	delete(d.taps, t.id())
	d.ending[t] = true
	t.leaving = true
	d.giveUpRings(t)
}

// drain has a ring read to its end; if that cannot be, it ends at once.
func (d *Daemon) drain(iface string, ring *capture.Ring) {
	if err := ring.Drain(); err != nil && !errors.Is(err, net.ErrClosed) {
		d.log.Warn("the ring is not read to its end", "interface", iface, "problem", err)
		ring.Close()
	}
	d.twice.ends(iface, time.Now().UnixNano()) // if that was the host's end of a veth whose other end is listened on now
}

// slowly calls fn, which has the kernel wait until no processor is on the way of a socket any more. That takes milliseconds, and a thread:
// when all interfaces end at once, few of them do so at a time.
func (d *Daemon) slowly(fn func()) {
	d.slow <- struct{}{}
	defer func() { <-d.slow }()
	fn()
}

// members returns the rings of a tap, those that were folded too, with what they are looked at with.
func (t *tap) members() []*member { return append([]*member{&t.member}, t.more...) }

// read begins to read a ring of a tap. d.mu is held.
func (d *Daemon) read(t *tap, m *member) {
	m.seen.Store(time.Now().UnixNano())
	t.reading++
	m.folded = false
	ring := m.ring
	t.rings.add(ring, m.tap)
	d.wg.Go(func() {
		err := d.follow(t, m, ring)
		d.slowly(func() { ring.Close() })
		d.end(t, m, ring, err)
	})
}

// follow takes a ring's blocks through the pipeline until it ends. It waits for a block without a lane.
func (d *Daemon) follow(t *tap, m *member, ring *capture.Ring) error {
	ticked := time.Now() // taps without a ring
	for {
		frames, err := ring.Next()
		begin := time.Now()
		m.seen.Store(begin.UnixNano())
		if len(frames) > 0 || err == nil {
			lane := <-d.lanes
			if len(frames) > 0 {
				m.count(frames)
				begin = time.Now()
				lane.Block(m.tap, frames)
				m.busy.Add(int64(time.Since(begin)))
			} else {
				lane.Tick(m.tap, begin.UnixNano())
			}
			d.relieve(t, m, ring, lane, begin, frames)
			if m == &t.member && begin.Sub(ticked) >= paceEvery {
				ticked = begin
				for _, tap := range t.rings.rest() {
					lane.Tick(tap, begin.UnixNano())
				}
			}
			d.lanes <- lane
		}
		if err != nil {
			return err
		}
	}
}

// readStats returns the statistics of all rings that a tap has and had. Any goroutine may ask.
func (t *tap) readStats() capture.Stats {
	s := &t.rings
	s.mu.Lock()
	defer s.mu.Unlock()
	sum := s.past
	for _, ring := range s.rings {
		stats, _ := ring.Stats() // on an error, as they were read last
		sum.Add(stats)
	}
	return sum
}

// counters returns what was counted of an interface, its rings' losses with it. d.mu is held.
func (t *tap) counters() *engine.Counters {
	c := *t.tap.Counters()
	for _, m := range t.more {
		c.Add(m.tap.Counters())
	}
	s := t.readStats()
	c.Drops, c.Freezes, c.Cut, c.LeftOut = s.Drops, s.Freezes, s.Cut, t.out.frames(t)
	return &c
}

// end deals with a ring that is not read any more. The last one takes its tap with it.
func (d *Daemon) end(t *tap, m *member, ring *capture.Ring, why error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if len(m.relief.out) > 0 {
		t.out.end(t)
	}
	m.relief = relief{}
	t.rings.remove(ring, m.tap)
	t.bytes -= ring.Bytes()
	t.reading--
	m.folded = true
	if !errors.Is(why, io.EOF) && !errors.Is(why, net.ErrClosed) {
		t.failed = why
	}
	if t.failed != nil {
		d.giveUpRings(t)
	}
	d.mayFinish(t)
}

// giveUpRings has the rings of a tap read to their ends: those, too, that are left when one has failed, for half of an interface is not
// watched as if it were all. finish tells, and the interface waits for new ones. d.mu is held.
func (d *Daemon) giveUpRings(t *tap) {
	for _, m := range t.members() {
		if ring := m.ring; !m.folded {
			d.wg.Go(func() { d.slowly(func() { d.drain(t.iface.Name, ring) }) })
		}
	}
}

// mayFinish ends a tap of which no ring is left, and no change under way that may bring one. d.mu is held.
func (d *Daemon) mayFinish(t *tap) {
	if t.reading == 0 && !t.changing && !t.over {
		t.touch()
		t.over, t.bytes = true, 0
		d.wg.Go(func() { d.finish(t) })
	}
}

// touch notes that work on the end of a tap goes on.
func (t *tap) touch() {
	now := time.Now().UnixNano()
	for _, m := range t.members() {
		m.seen.Store(now)
	}
}

// finish ends a tap of which no ring is left.
func (d *Daemon) finish(t *tap) {
	members := t.members()
	lane := <-d.lanes
	for _, m := range slices.Backward(members) {
		t.touch()
		lane.Close(m.tap)
	}
	d.lanes <- lane
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.taps[t.id()] == t {
		delete(d.taps, t.id())
	}
	delete(d.ending, t)
	c := t.counters()
	d.tellDrops(t, c.Drops, time.Now())
	d.gone.Add(c)
	if t.failed != nil && !t.leaving && !d.closing { // what is still there is not left unwatched
		d.notWatched(t.iface.Name, t.failed)
		d.waiting = append(d.waiting, &tap{iface: t.iface, end: t.end, way: t.way, told: true, holding: holding{next: time.Now().Add(retryAfter)}})
	}
	d.log.Info("not watching any more", "interface", t.iface.Name)
	d.reconcile()
	d.arrange(time.Now())
}
