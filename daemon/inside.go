package daemon

import (
	"context"
	"fmt"
	"maps"
	"os"
	"slices"
	"time"

	"weir/broker"
	"weir/capture"
	"weir/wire"
	"weir/workload"
)

// end says where a tap listens.
type end uint8

const (
	hostEnd  end = iota // on the host's end of a veth
	podEnd              // on the workload's end, in its network namespace
	loopback            // on the loopback interface there: what containers of one pod say to each other
)

func (e end) String() string { return [...]string{"host", "netns", "loopback"}[e] }

// tapID names what a tap listens on. Of one veth the traffic is taken from one end, never from both.
type tapID struct {
	index int // of the veth's end on the host
	end   end
}

// What stands behind the name of the host's end; no interface of the host has such a name.
const (
	peerName     = "/peer"
	loopbackName = "/lo" // what is said there no other tap sees
)

// ours
const (
	loopbackRing   = 512 << 10             // bytes: there is one for each workload, and most say little there
	loopbackRetire = 80 * time.Millisecond // of its two blocks
	loopbackIndex  = 1                     // of lo in every network namespace
	sidedLeast     = 4                     // connections of which one direction alone was seen, before the other end is listened on
	sidedShare     = 4                     // and so many times as many are all
)

// way leads into the network namespace behind a veth.
type way struct {
	path  string // opens it
	inode uint64
	first bool // of the veths that lead there: its loopback interface is listened on once
}

// led is told what naming knows of the ways into namespaces, by the index of the host's end. It does not wait: rings are slow to open and to close, and whoever waits for a name, or for
// rules in a namespace, does not wait for that.
func (d *Daemon) led(ways map[int]way) {
	d.leads.Store(&ways)
	if g := d.gates.Load(); g != nil {
		g.stir()
	}
	select {
	case d.leading <- struct{}{}:
	default:
	}
}

// enters has interfaces inside namespaces listened on as the ways there become known, until ctx ends.
func (d *Daemon) enters(ctx context.Context) {
	for {
		select {
		case <-d.leading:
			d.goInside()
		case <-ctx.Done():
			return
		}
	}
}

// goInside takes up the ways that are known now.
func (d *Daemon) goInside() {
	d.mu.Lock()
	defer d.mu.Unlock()
	if ways := d.leads.Load(); ways != nil {
		d.ways = maps.Clone(*ways)
		d.reconcile()
	}
}

// reconcile has interfaces inside namespaces listened on, as they should be and can be now. d.mu is held.
func (d *Daemon) reconcile() {
	if d.closing || !d.listed {
		return
	}
	before := len(d.waiting)
	for index, i := range d.ifaces {
		w, known := d.ways[index]
		known = known && d.spaces != nil && d.conf.Capture.Attach != AttachHost
		d.want(i, podEnd, w, known && i.PeerIndex > 0 && (d.conf.Capture.Attach == AttachNetns || d.sided[index]))
		d.want(i, loopback, w, known && w.first && d.conf.Capture.Loopback)
		d.want(i, hostEnd, way{}, d.taps[tapID{index, podEnd}] == nil)
	}
	if len(d.waiting) > before {
		d.arrange(time.Now())
	}
}

// want sees to it that an end of a veth is listened on, or is not. d.mu is held.
func (d *Daemon) want(i workload.Interface, e end, w way, wanted bool) {
	id := tapID{i.Index, e}
	t := d.taps[id]
	if k := slices.IndexFunc(d.waiting, func(t *tap) bool { return t.id() == id && !t.leaving }); t == nil && k >= 0 {
		t = d.waiting[k]
	}
	stale := t != nil && t.way.inode != w.inode
	if t != nil && (!wanted || stale) {
		d.stop(id)
	}
	if wanted && (t == nil || stale) {
		d.attach(newTap(i, e, w))
	}
}

// stop ends listening on an end, and waiting for that. d.mu is held.
func (d *Daemon) stop(id tapID) {
	delete(d.refused, id)
	d.waiting = slices.DeleteFunc(d.waiting, func(t *tap) bool {
		if t.id() != id {
			return false
		}
		delete(d.blind, t.iface.Name)
		t.leaving = true
		return t.extra == 0
	})
	if t := d.taps[id]; t != nil {
		delete(d.blind, t.iface.Name)
		d.leave(t)
	}
}

// newTap returns a tap for an end of a veth. Inside, an interface is called by the host's end, and what it is there.
func newTap(i workload.Interface, e end, w way) *tap {
	switch e {
	case podEnd:
		i.Name += peerName
	case loopback:
		i.Name += loopbackName
	}
	return &tap{iface: i, end: e, way: w}
}

func (t *tap) id() tapID { return tapID{t.iface.Index, t.end} }

// ring says how a tap's ring is opened.
func (d *Daemon) ring(t *tap, size int) capture.RingConfig {
	c := capture.RingConfig{Interface: t.iface.Index, Name: t.iface.Name, Bytes: size}
	if t.end == hostEnd {
		return c
	}
	c.Interface = t.iface.PeerIndex
	c.Open = func() (*os.File, error) { return d.openIn(t.way, broker.Packet) }
	if t.end == loopback { // each frame comes there twice: as it is sent, and as it is received
		c.Interface, c.IgnoreOutgoing, c.Retire = loopbackIndex, true, loopbackRetire
	}
	return c
}

// scope keeps apart what is said on the loopback interfaces of different namespaces.
func (t *tap) scope() uint32 {
	if t.end != loopback {
		return 0
	}
	return wire.NamespaceScope(t.way.inode)
}

// inside returns whose loopback interface a tap listens on; nil: it is none.
func (d *Daemon) inside(t *tap) func() *workload.Workload {
	if t.end != loopback {
		return nil
	}
	return func() *workload.Workload { return d.naming.of(t.iface.Index) }
}

// lookSides has the other end of a veth listened on where the host's end does not show both directions: some networks lead past it. d.mu is
// held.
func (d *Daemon) lookSides() {
	if d.spaces == nil || d.conf.Capture.Attach != AttachAuto {
		return
	}
	changed := false
	for id, t := range d.taps {
		if id.end != hostEnd || d.sided[id.index] {
			continue
		}
		c := t.counters()
		if one, all := c.OneSided, c.OneSided+c.BothSided; one >= sidedLeast && one*sidedShare >= all {
			d.sided[id.index], changed = true, true
			d.log.Info("the host's end does not show both directions: the workload's end is listened on", "interface", t.iface.Name)
			d.tell(t.iface.Name, "capture.one_sided", fmt.Sprintf("of %d of %d connections one direction alone was seen: the workload's end is listened on instead", one, all))
		}
	}
	if changed {
		d.reconcile()
	}
}

// loopbacks returns how many loopback interfaces are listened on, or wait for that. d.mu is held.
func (d *Daemon) loopbacks() (n int) {
	for id := range d.taps {
		if id.end == loopback {
			n++
		}
	}
	for _, t := range d.waiting {
		if t.end == loopback {
			n++
		}
	}
	return n
}

// giveUpLoopbacks makes room for so many interfaces of the host, which come first. It reports whether there will be some. d.mu is held.
func (d *Daemon) giveUpLoopbacks(n int) (some bool) {
	need := n * ringLeast
	for id := range d.taps {
		if need <= 0 {
			break
		}
		if id.end == loopback {
			i, w := d.ifaces[id.index], d.taps[id].way
			d.stop(id)
			d.waiting = append(d.waiting, newTap(i, loopback, w)) // until there is room
			need -= loopbackRing
			some = true
		}
	}
	return some
}
