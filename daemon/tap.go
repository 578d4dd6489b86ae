package daemon

import (
	"errors"
	"io/fs"
	"net"
	"sync/atomic"
	"time"

	"golang.org/x/sys/unix"

	"weir/alert"
	"weir/capture"
	"weir/engine"
	"weir/workload"
)

const (
	ringMost   = 8 << 20 // bytes of one ring, where there is room
	ringLeast  = 2 << 20 // bytes of one ring; with less left, an interface is not watched, and that is told
	preMost    = 8 << 20 // bytes of recent packets of one interface
	preLeast   = 256 << 10
	flowsLeast = 4096
	heldMost   = 128 << 20 // bytes that a tap's flows may hold; of all taps, a quarter of the budget: one must not push out the others
	heldLeast  = 1 << 20
)

// tap is one interface that is watched.
type tap struct {
	iface workload.Interface
	ring  *capture.Ring
	tap   *engine.Tap
	share share
	done  chan struct{}
	watch tapWatch     // guarded by Daemon.mu
	seen  atomic.Int64 // ns since the epoch: when its ring or its work last came back
}

// attach begins to watch an interface.
func (d *Daemon) attach(i workload.Interface) {
	d.mu.Lock()
	_, known := d.taps[i.Index]
	s := d.shares()
	d.mu.Unlock()
	if known {
		return
	}
	if s.ring < ringLeast {
		d.notWatched(i.Name, errNoRoom)
		return
	}
	ring, err := capture.OpenRing(capture.RingConfig{Interface: i.Index, Name: i.Name, Bytes: s.ring})
	if err != nil {
		d.notWatched(i.Name, err)
		return
	}
	t := &tap{iface: i, ring: ring, share: s, done: make(chan struct{})}
	t.seen.Store(time.Now().UnixNano())
	t.tap = d.engine.NewTap(engine.TapConfig{
		Interfaces: func() []capture.Interface { return d.interfaces(t) }, Recent: s.pre, Flows: s.flows, Held: s.held,
		Drops: func() uint64 { return t.readStats().Drops },
	})
	d.mu.Lock()
	d.taps[i.Index] = t
	delete(d.blind, i.Name)
	d.mu.Unlock()
	d.log.Info("watching", "interface", i.Name, "ring", Size(s.ring).String())
	d.wg.Go(func() { d.follow(t) })
}

// interfaces describes a tap's interface, with who is behind it for those who open its packets.
func (d *Daemon) interfaces(t *tap) []capture.Interface {
	list := t.ring.Interfaces()
	for i := range list {
		list[i].Description = d.naming.of(t.iface.Index).String()
	}
	return list
}

// share is what one tap may take: bytes of its ring, of recent packets, flows, bytes that flows hold.
type share struct{ ring, pre, flows, held int }

// shares returns what is left for one more tap: an eighth of each, within bounds. d.mu is held.
func (d *Daemon) shares() share {
	left := share{
		ring: int(d.conf.Capture.Ring), pre: int(d.conf.Pcap.Pre), flows: d.conf.Budget.Flows, held: int(d.conf.Budget.Memory) / 4,
	}
	for _, t := range d.taps {
		left.ring -= t.share.ring
		left.pre -= t.share.pre
		left.flows -= t.share.flows
		left.held -= t.share.held
	}
	s := share{
		ring:  min(ringMost, max(left.ring/8, ringLeast)),
		pre:   min(preMost, max(left.pre/8, preLeast)),
		flows: max(left.flows/8, flowsLeast),
		held:  min(heldMost, max(left.held/8, heldLeast)),
	}
	if s.ring > left.ring {
		s.ring = 0
	}
	if s.pre > left.pre {
		s.pre = 0
	}
	return s
}

var errNoRoom = errors.New("no room for a ring (raise [capture] ring)")

// attachReasons are the reasons for which an interface cannot be watched, as metrics name them; "other" is the rest.
var attachReasons = []struct {
	name string
	errs []error
}{
	{"no_room", []error{errNoRoom, unix.ENOMEM, unix.ENOBUFS}},
	{"permission", []error{fs.ErrPermission}},
	{"gone", []error{unix.ENODEV, unix.ENXIO, fs.ErrNotExist}},
}

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

// notWatched tells that an interface is not looked at, and why.
func (d *Daemon) notWatched(name string, err error) {
	why := err.Error()
	d.mu.Lock()
	d.blind[name] = why
	d.failures[attachReason(err)]++
	d.mu.Unlock()
	d.log.Error("not watched", "interface", name, "problem", why)
	d.queue.Put(&alert.Event{Time: time.Now().UnixNano(), Type: "anomaly", Iface: name,
		Anomaly: &alert.Anomaly{Type: "capture", Event: "capture.not_watched", Layer: "capture", Detail: why}})
}

// detach stops watching an interface that is gone.
func (d *Daemon) detach(index int) {
	d.mu.Lock()
	t := d.taps[index]
	d.mu.Unlock()
	if t != nil {
		t.ring.Close()
		<-t.done
	}
}

// follow takes a tap's blocks through the pipeline until its ring ends. It waits for a block without a lane.
func (d *Daemon) follow(t *tap) {
	defer close(t.done)
	for {
		frames, err := t.ring.Next()
		t.seen.Store(time.Now().UnixNano())
		if len(frames) > 0 || err == nil {
			lane := <-d.lanes
			if len(frames) > 0 {
				lane.Block(t.tap, frames)
			} else {
				lane.Tick(t.tap, time.Now().UnixNano())
			}
			d.lanes <- lane
		}
		if err != nil {
			d.end(t, err)
			return
		}
	}
}

// readStats returns the ring's statistics. The ring reads them from the kernel under a lock of its own: any goroutine
// may ask.
func (t *tap) readStats() capture.Stats {
	s, _ := t.ring.Stats() // on an error, as they were read last
	return s
}

// counters returns what was counted of t, its ring's losses with it.
func (t *tap) counters() *engine.Counters {
	c := *t.tap.Counters()
	s := t.readStats()
	c.Drops, c.Freezes = s.Drops, s.Freezes
	return &c
}

// end drains a tap whose ring has ended.
func (d *Daemon) end(t *tap, why error) {
	t.ring.Close()
	lane := <-d.lanes
	lane.Close(t.tap)
	d.lanes <- lane
	d.mu.Lock()
	delete(d.taps, t.iface.Index)
	s := t.readStats()
	d.tellDrops(t, s.Drops, time.Now())
	d.gone.Add(t.counters())
	d.mu.Unlock()
	if !errors.Is(why, net.ErrClosed) {
		d.log.Info("not watching any more", "interface", t.iface.Name, "reason", why.Error())
	}
}
