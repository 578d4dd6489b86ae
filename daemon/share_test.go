package daemon

import (
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/vishvananda/netlink"

	"weir/alert"
	"weir/engine"
	"weir/workload"
)

func TestRingSize(t *testing.T) {
	for _, c := range []struct{ budget, n, want int }{
		{256 << 20, 1, 8 << 20}, {256 << 20, 31, 8 << 20}, {256 << 20, 32, 4 << 20}, {256 << 20, 62, 4 << 20}, {256 << 20, 63, 2 << 20},
		{256 << 20, 124, 2 << 20}, {256 << 20, 125, 1 << 20}, {256 << 20, 250, 1 << 20}, {256 << 20, 5000, 1 << 20},
		{1 << 30, 124, 8 << 20}, {1 << 20, 1, 1 << 20}, {8 << 20, 1, 4 << 20}, {16 << 20, 3, 4 << 20},
	} {
		if got := ringSize(c.budget, c.n); got != c.want {
			t.Errorf("%d of %s: got %s, want %s", c.n, Size(c.budget), Size(got), Size(c.want))
		}
	}
}

func addVeths(t *testing.T, from, to int) {
	t.Helper()
	for i := from; i < to; i++ {
		v := &netlink.Veth{LinkAttrs: netlink.LinkAttrs{Name: fmt.Sprintf("veth%d", i)}, PeerName: fmt.Sprintf("p%d", i)}
		if err := netlink.LinkAdd(v); err != nil {
			t.Fatal(err)
		}
		if err := netlink.LinkSetUp(v); err != nil {
			t.Fatal(err)
		}
	}
}

func deleteVeths(t *testing.T, from, to int) {
	t.Helper()
	for i := from; i < to; i++ {
		l, err := netlink.LinkByName(fmt.Sprintf("veth%d", i))
		if err != nil {
			t.Fatal(err)
		}
		if err := netlink.LinkDel(l); err != nil {
			t.Fatal(err)
		}
	}
}

// TestNoRoomOfWhatIsGone: that there is no ring for an interface is told, but not of one that has just gone.
func TestNoRoomOfWhatIsGone(t *testing.T) {
	lo, err := net.InterfaceByName("lo")
	if err != nil {
		t.Fatal(err)
	}
	d := newDaemon(&Config{}, testLog(t))
	d.queue = alert.NewQueue(nil, false)
	d.waiting = []*tap{
		newTap(workload.Interface{Index: lo.Index, Name: "there"}, hostEnd, way{}),
		newTap(workload.Interface{Index: 1<<31 - 1, Name: "gone"}, hostEnd, way{}),
	}
	d.noRoom(time.Now())
	if d.blind["there"] == "" || d.blind["gone"] != "" {
		t.Errorf("told: %v", d.blind)
	}
}

// mappedRings counts the packet rings that this process has mapped, and its sockets of that kind.
func mappedRings(t *testing.T) (maps, fds int) {
	t.Helper()
	text, err := os.ReadFile("/proc/self/maps")
	if err != nil {
		t.Fatal(err)
	}
	maps = strings.Count(string(text), "socket:[")
	packet, err := os.ReadFile("/proc/self/net/packet")
	if err != nil {
		t.Fatal(err)
	}
	return maps, strings.Count(string(packet), "\n") - 1
}

// TestRingShares lets interfaces come and go: the rings never take more than their budget, as many are watched as fit, the rest is told and
// watched once there is room; what remains gets larger rings.
func TestRingShares(t *testing.T) {
	if !ownNetwork(t) {
		return
	}
	const budget = 16 << 20
	conf := testConfig(t, tokenRule)
	conf.Capture.Ring = budget
	addVeths(t, 0, 2)
	r := startHere(t, conf)
	state := func() (watched, waiting, bytes, blind int, settled bool) {
		r.with(func() {
			settled = true
			for _, t := range r.taps {
				bytes += t.bytes
				settled = settled && !t.changing
			}
			watched, waiting, blind = len(r.taps), len(r.waiting), len(r.blind)
			settled = settled && len(r.ending) == 0
			if free := r.freeOfRings(); free < 0 {
				t.Errorf("rings take %s more than their budget", Size(-free))
			}
		})
		return watched, waiting, bytes, blind, settled
	}
	expect := func(what string, watched, blind, least, most int) {
		t.Helper()
		until(t, what, func() bool {
			w, wait, bytes, b, settled := state()
			return settled && w == watched && wait == blind && b == blind && bytes >= least && bytes <= most
		})
	}
	expect("2 interfaces", 2, 0, 8<<20, 8<<20)
	addVeths(t, 2, 16)
	expect("16 interfaces", 16, 0, budget, budget)
	addVeths(t, 16, 20)
	expect("more interfaces than rings", 16, 4, budget, budget)
	s := r.Status()
	if len(s.NotWatched) != 4 || !strings.Contains(s.NotWatched[0].Why, "no room for a ring") || s.Memory.Rings != budget {
		t.Errorf("status: not watched %v, %d bytes of rings", s.NotWatched, s.Memory.Rings)
	}
	deleteVeths(t, 0, 6)
	expect("room for all", 14, 0, 14<<20, budget)
	deleteVeths(t, 6, 18)
	expect("2 interfaces again", 2, 0, 2<<20, budget)
	r.with(func() { r.moved = time.Time{} }) // long ago
	expect("larger rings", 2, 0, 8<<20, 8<<20)
	for range 20 { // some are gone before their ring stands
		addVeths(t, 20, 24)
		deleteVeths(t, 20, 24)
	}
	expect("2 interfaces after others came and went", 2, 0, 2<<20, budget)
	rename := func(from, to string) {
		l, err := netlink.LinkByName(from)
		if err != nil {
			t.Fatal(err)
		}
		if err := errors.Join(netlink.LinkSetDown(l), netlink.LinkSetName(l, to), netlink.LinkSetUp(l)); err != nil {
			t.Fatal(err)
		}
	}
	named := func(name string) bool {
		return slices.ContainsFunc(r.interfaces(), func(t *tap) bool { return t.iface.Name == name })
	}
	rename("veth18", "other18")
	until(t, "an interface to leave by its name", func() bool { return !named("veth18") && len(r.interfaces()) == 1 })
	rename("other18", "veth18")
	rename("veth18", "veth30")
	until(t, "an interface to go by another name", func() bool { return named("veth30") && !named("veth18") })
	expect("2 interfaces, one by another name", 2, 0, 2<<20, budget)
	if maps, fds := mappedRings(t); maps != 2 || fds != 2 {
		t.Errorf("2 interfaces: %d rings are mapped, %d sockets open", maps, fds)
	}
	if err := r.stop(); err != nil {
		t.Fatal(err)
	}
	if maps, fds := mappedRings(t); maps != 0 || fds != 0 {
		t.Errorf("at the end: %d rings are mapped, %d sockets open", maps, fds)
	}
	if n := anomalies(t, conf)["capture.not_watched"]; n != 4 {
		t.Errorf("%d interfaces were told not to be watched", n)
	}
}

// anomalies counts the anomalies in eve.json.
func anomalies(t *testing.T, conf *Config) map[string]int {
	t.Helper()
	text, err := os.ReadFile(conf.Paths.EVE())
	if err != nil {
		t.Fatal(err)
	}
	out := map[string]int{}
	for line := range strings.Lines(string(text)) {
		var ev struct {
			Anomaly struct{ Event string }
		}
		if err := json.Unmarshal([]byte(line), &ev); err != nil {
			t.Fatal(err)
		}
		if ev.Anomaly.Event != "" {
			out[ev.Anomaly.Event]++
		}
	}
	return out
}

// TestManyInterfaces: 250 interfaces that come at once all get a ring of the usual budget, and soon.
func TestManyInterfaces(t *testing.T) {
	if !ownNetwork(t) {
		return
	}
	const many = 250
	conf := testConfig(t, tokenRule)
	r := startHere(t, conf)
	start := time.Now()
	addVeths(t, 0, many)
	made := time.Since(start)
	until(t, "all interfaces", func() bool { return len(r.interfaces()) == many })
	t.Logf("%d interfaces made in %v, watched after %v", many, made, time.Since(start))
	r.with(func() {
		if len(r.blind) > 0 || r.freeOfRings() < 0 {
			t.Errorf("not watched: %v; %s are left", r.blind, Size(r.freeOfRings()))
		}
	})
}

// TestStuckTap: a tap that is stuck with its work holds up neither the interface's departure nor others that come.
func TestStuckTap(t *testing.T) {
	if !ownNetwork(t) {
		return
	}
	r := startHere(t, testConfig(t, tokenRule))
	lanes := make([]*engine.Lane, 0, cap(r.lanes))
	for range cap(r.lanes) {
		lanes = append(lanes, <-r.lanes)
	}
	addVeths(t, 0, 10) // each has neighbours to discover
	until(t, "ten interfaces", func() bool { return len(r.interfaces()) == 10 })
	deleteVeths(t, 0, 10)
	addVeths(t, 10, 20)
	until(t, "ten others", func() bool {
		for _, t := range r.interfaces() {
			if len(t.iface.Name) < len("veth10") {
				return false
			}
		}
		return len(r.interfaces()) == 10
	})
	for _, lane := range lanes {
		r.lanes <- lane
	}
	until(t, "the first ten to end", func() bool {
		n := 0
		r.with(func() { n = len(r.ending) })
		return n == 0
	})
}

// TestLostIsTold: frames that a ring had no room for, and frames that it cut, are counted and told; a ring that cut some gets longer blocks.
func TestLostIsTold(t *testing.T) {
	if !ownNetwork(t) {
		return
	}
	pod := space(t)
	connect(t, pod, "veth0", 1)
	link, err := netlink.LinkByName("veth0")
	if err != nil {
		t.Fatal(err)
	}
	for _, set := range []func(netlink.Link, int) error{netlink.LinkSetGSOMaxSize, netlink.LinkSetGROMaxSize, netlink.LinkSetGSOIPv4MaxSize, netlink.LinkSetGROIPv4MaxSize} {
		if err := set(link, 8*65535); err != nil {
			t.Fatal(err)
		}
	}
	conf := testConfig(t, tokenRule)
	conf.Capture.Ring = 4 << 20
	r := startHere(t, conf)
	until(t, "the interface", func() bool { return len(r.interfaces()) == 1 })
	tap := r.interfaces()[0]
	var l net.Listener
	in(t, pod, func() (err error) {
		l, err = net.Listen("tcp4", ":80")
		return err
	})
	defer l.Close()
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			go func() {
				defer c.Close()
				b := make([]byte, 1<<20)
				for err := error(nil); err == nil; {
					_, err = c.Read(b)
				}
			}()
		}
	}()
	bulk := func() {
		c, err := net.Dial("tcp4", "10.9.0.2:80")
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		b := make([]byte, 1<<20)
		for range 32 {
			if _, err := c.Write(b); err != nil {
				t.Fatal(err)
			}
		}
	}
	until(t, "a frame that is cut", func() bool {
		bulk()
		return tap.readStats().Cut > 0
	})
	until(t, "longer blocks", func() bool {
		done := false
		r.with(func() { done = tap.cut && !tap.changing && tap.bytes == ringOfCut })
		return done
	})
	lanes := make([]*engine.Lane, 0, cap(r.lanes)) // nobody looks at what comes
	for range cap(r.lanes) {
		lanes = append(lanes, <-r.lanes)
	}
	until(t, "a frame that is lost", func() bool {
		bulk()
		return tap.readStats().Drops > 0
	})
	for _, lane := range lanes {
		r.lanes <- lane
	}
	until(t, "it to be told", func() bool {
		told := false
		r.with(func() { told = tap.watch.told > 0 })
		return told
	})
	until(t, "the status to say what the ring says", func() bool {
		s, got := r.Status().Interfaces[0], tap.readStats()
		return s.Drops > 0 && s.Cut == got.Cut && s.Drops == got.Drops
	})
	if err := r.stop(); err != nil {
		t.Fatal(err)
	}
	if n := anomalies(t, conf); n["capture.cut"] != 1 || n["capture.drops"] == 0 {
		t.Errorf("anomalies: %v", n)
	}
}
