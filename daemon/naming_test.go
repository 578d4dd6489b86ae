package daemon

import (
	"cmp"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"net/netip"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/vishvananda/netlink"

	"weir/workload"
)

// TestNamingLate: a namespace is there first, then its address, then a second one, then its process, last the runtime. Each is known soon
// after it is there, and what is known is kept for a while.
func TestNamingLate(t *testing.T) {
	docker := filepath.Join(t.TempDir(), "docker.sock")
	var runtimes []workload.Runtime
	for _, r := range workload.Runtimes() {
		r.Sockets = []string{docker}
		runtimes = append(runtimes, r)
	}
	x := testNaming(t, runtimes...)
	x.lead(func(map[int]way) {}) // as one who goes in there: it is looked whether anybody is there still
	soon := func(what string, ok func() bool) {
		t.Helper()
		start := time.Now()
		until(t, what, ok)
		t.Logf("%s: after %v", what, time.Since(start).Round(time.Millisecond))
	}
	pod := space(t)
	join(t, x.host, pod, "v1")
	soon("the interface", func() bool { return len(x.all()) == 1 })
	addAddress(t, pod, "ev1", "10.9.0.2/24")
	soon("an address", func() bool { return x.at("10.9.0.2") != nil })
	addAddress(t, pod, "ev1", "fd00:9::2/64")
	soon("a second address", func() bool { return x.at("fd00:9::2") != nil || len(x.all()[0].addresses) == 2 })
	if w := x.at("10.9.0.2"); w.ID != "" || w.String() != "" {
		t.Errorf("of a namespace without a process: got %+v", w)
	}
	end := contained(t, pod, testID)
	soon("a container's id", func() bool { return x.at("10.9.0.2").ID == testID })
	serveDocker(t, docker, func(w http.ResponseWriter, _ *http.Request) {
		fmt.Fprintf(w, `[{"Id": %q, "Names": ["/web"], "Image": "web:1"}]`, testID)
	})
	soon("a name", func() bool { return x.at("10.9.0.2").Name == "web" })
	before := time.Now()
	end()
	soon("that nobody is in there", func() bool { return x.all()[0].who.NetNS == "" })
	if w := x.at("10.9.0.2"); w == nil || w.Name != "web" || w.ID != testID {
		t.Errorf("of a namespace whose last process has ended: got %+v", w)
	}
	if err := x.host.LinkDel(&netlink.Veth{LinkAttrs: netlink.LinkAttrs{Name: "v1"}}); err != nil {
		t.Fatal(err)
	}
	soon("its end", func() bool { return len(x.all()) == 0 && x.at("10.9.0.2") == nil })
	if w := x.table.Load().Lookup(netip.MustParseAddr("10.9.0.2").As16(), before.UnixNano()); w == nil || w.Name != "web" {
		t.Errorf("of a flow from before its end: got %+v", w)
	}
	if p := x.problems(); len(p) > 0 {
		t.Errorf("problems: %v", p)
	}
}

// TestNamingAnswered: who waits for the names of those who were there at the start goes on once the runtime has answered, or when it takes too long, and not before.
func TestNamingAnswered(t *testing.T) {
	asked, say := make(chan bool, 100), make(chan bool)
	docker := filepath.Join(t.TempDir(), "docker.sock")
	serveDocker(t, docker, func(w http.ResponseWriter, r *http.Request) {
		if strings.HasSuffix(r.URL.Path, "/events") {
			<-r.Context().Done()
			return
		}
		asked <- true
		<-say
		fmt.Fprintf(w, `[{"Id": %q, "Names": ["/web"], "Image": "web:1"}]`, testID)
	})
	var runtimes []workload.Runtime
	for _, r := range workload.Runtimes() {
		if r.Sockets = []string{filepath.Join(t.TempDir(), "none")}; r.Name == "Docker" {
			r.Sockets = []string{docker}
		}
		runtimes = append(runtimes, r)
	}
	x := testNamingOf(t, true, runtimes...)
	x.answered(time.Minute) // nobody is there
	pod := space(t)
	contained(t, pod, testID)
	join(t, x.host, pod, "v1")
	<-asked
	start := time.Now()
	if x.answered(100 * time.Millisecond); time.Since(start) < 100*time.Millisecond {
		t.Error("nobody waits for the runtime's answer")
	}
	close(say)
	if x.answered(time.Minute); x.all()[0].who.Name != "web" {
		t.Errorf("got %+v", x.all()[0].who)
	}
	if took := time.Since(start); took > 30*time.Second {
		t.Errorf("it took %v", took)
	}
}

// TestNamingOfAnother: a container that no runtime knows does not keep the name of the one that was in its namespace before, unless they are of one pod.
func TestNamingOfAnother(t *testing.T) {
	e := newFakeEngine(t)
	e.call(testID, "web")
	e.start()
	x := testNaming(t, e.as("Docker")...)
	x.lead(func(map[int]way) {}) // as one who goes in there: it is looked whether anybody is there still
	ns := space(t)
	join(t, x.host, ns, "v1")
	addAddress(t, ns, "ev1", "10.9.0.2/24")
	pod := fmt.Sprintf("weir-test-%d-pod01234567-89ab-cdef-0123-456789abcdef", os.Getpid())
	end := containedIn(t, ns, pod, testID)
	who := func() workload.Workload { w := x.at("10.9.0.2"); return *cmp.Or(w, &workload.Workload{}) }
	until(t, "a name", func() bool { return who().Name == "web" })
	asked := e.asked.Load()
	end()
	second, third := strings.Repeat("2", 64), strings.Repeat("3", 64)
	end = containedIn(t, ns, pod, second)
	until(t, "another container of the pod", func() bool { return who().ID == second && e.asked.Load() > asked })
	x.settle()
	if w := who(); w.Name != "web" {
		t.Errorf("of a pod whose container is another one: got %+v", w)
	}
	end()
	contained(t, ns, third)
	until(t, "a container that has no name", func() bool { return who().ID == third && who().Name == "" })
	e.call(third, "db")
	until(t, "its name", func() bool { return who().Name == "db" })
}

// TestNamingUnknown: the name of the container before goes once no runtime that may know the new one is left to answer.
func TestNamingUnknown(t *testing.T) {
	now := time.Now()
	one, two := newAsker(workload.Runtime{}), newAsker(workload.Runtime{})
	p := &place{who: &workload.Workload{Name: "web"}, found: workload.Workload{ID: testID}, said: &workload.Description{Name: "web"}, former: true, due: []*asker{one, two}}
	n := &naming{log: slog.New(slog.DiscardHandler), places: map[int]*place{1: p}}
	for i, c := range []struct {
		a    answer
		want string
	}{{answer{from: one, id: "another"}, "web"}, {answer{from: one, id: testID}, "web"}, {answer{from: two, id: testID, absent: true}, ""}} {
		if n.take(now, c.a); p.who.Name != c.want {
			t.Errorf("%d: got %q, want %q", i, p.who.Name, c.want)
		}
	}
	p.said, p.former, p.due = &workload.Description{Name: "web"}, true, []*asker{one}
	if n.take(now, answer{from: one, id: testID, said: &workload.Description{Pod: "cart-0"}}); p.who.Name != "" || p.who.Pod != "cart-0" {
		t.Errorf("of a pod whose containers are not known yet: got %+v", p.who)
	}
	p.said, p.former = &workload.Description{Name: "web"}, true
	if n.ask(now, p); p.who.String() != "" {
		t.Errorf("where nobody is to be asked: got %+v", p.who)
	}
}

// TestNamingOfNeighbours: two veths into one namespace are one workload, an address in two namespaces is nobody's, and limits are told.
func TestNamingOfNeighbours(t *testing.T) {
	x := testNaming(t)
	red, blue := space(t), space(t)
	join(t, x.host, red, "v1")
	join(t, x.host, red, "v2")
	join(t, x.host, blue, "v3")
	addAddress(t, red, "ev1", "10.9.0.1/24")
	addAddress(t, red, "ev2", "10.9.0.2/24")
	addAddress(t, blue, "ev3", "10.9.0.3/24")
	until(t, "three addresses", func() bool { return x.at("10.9.0.1") != nil && x.at("10.9.0.2") != nil && x.at("10.9.0.3") != nil })
	if x.at("10.9.0.1") != x.at("10.9.0.2") || x.at("10.9.0.1") == x.at("10.9.0.3") {
		t.Error("two veths of one namespace are two workloads, or two namespaces are one")
	}
	join(t, x.host, red, "v4")
	until(t, "a further veth of one that is known", func() bool { return len(x.all()) == 4 })
	addAddress(t, blue, "ev3", "10.9.0.2/24")
	until(t, "an address to be nobody's", func() bool { return x.at("10.9.0.2") == nil && x.at("10.9.0.3") != nil })
	in(t, blue, func() error {
		l, err := netlink.LinkByName("ev3")
		for i := range 1100 {
			if err == nil {
				err = netlink.AddrAdd(l, &netlink.Addr{IPNet: &net.IPNet{IP: net.IPv4(10, 10, byte(i>>8), byte(i)), Mask: net.CIDRMask(32, 32)}})
			}
		}
		return err
	})
	select {
	case what := <-x.full:
		if !strings.Contains(what, "more addresses") {
			t.Errorf("got %q", what)
		}
	case <-time.After(time.Minute):
		t.Error("that there are too many addresses is not told")
	}
	until(t, "the status to say so", func() bool { return len(x.problems()) == 1 })
}

// TestNamingChurn makes and removes a thousand veths: nothing is left of them.
func TestNamingChurn(t *testing.T) {
	const rounds, spaces, each = 4, 5, 50
	x := testNaming(t, workload.Runtimes()...)
	forgotten := func() { until(t, "the veths to be forgotten", func() bool { return len(x.all()) == 0 }) }
	round := func() {
		defer forgotten()
		for i := range spaces {
			ns := space(t)
			addresses := make([]string, each)
			for j := range each {
				join(t, x.host, ns, fmt.Sprintf("v%dx%d", i, j))
				addresses[j] = fmt.Sprintf("10.%d.%d.1/32", i, j)
			}
			in(t, ns, func() error {
				l, err := netlink.LinkByName("lo")
				for _, s := range addresses {
					a, e := netlink.ParseAddr(s)
					if err = errors.Join(err, e); err == nil {
						err = netlink.AddrAdd(l, a)
					}
				}
				return err
			})
			defer ns.Close() // the namespace goes, and its veths with it
		}
		until(t, "names", func() bool {
			all := x.all()
			return len(all) == spaces*each && !slices.ContainsFunc(all, func(k known) bool { return len(k.addresses) < each })
		})
	}
	count := func() (fds, goroutines int) {
		list, err := os.ReadDir("/proc/self/fd")
		if err != nil {
			t.Fatal(err)
		}
		return len(list), runtime.NumGoroutine()
	}
	round()
	fds, goroutines := count()
	for range rounds {
		round()
	}
	fdsAfter, goroutinesAfter := count()
	if fdsAfter > fds+2 || goroutinesAfter > goroutines+2 {
		t.Errorf("%d descriptors and %d goroutines, %d and %d before", fdsAfter, goroutinesAfter, fds, goroutines)
	}
}

func TestPace(t *testing.T) {
	now := time.Now()
	var p pace
	for n := range 20 {
		if !p.due(now) {
			t.Fatal("it is not due")
		}
		p.retry(now)
		if p.due(now) || p.wait > nameMost || n == 0 && p.wait != nameFirst {
			t.Fatalf("after %d: got %+v", n, p)
		}
		if p.soon(now.Add(p.wait/2-1)) || !p.soon(now.Add(p.wait/2)) {
			t.Fatalf("after %d: soon at the wrong time", n)
		}
		now = p.at
	}
	p.settle(now, time.Minute)
	if p.soon(now.Add(59*time.Second)) || !p.due(now.Add(time.Minute)) {
		t.Errorf("settled: got %+v", p)
	}
	p.bring(now.Add(time.Hour))
	if !p.due(now.Add(time.Minute)) {
		t.Errorf("put off: got %+v", p)
	}
	p.bring(now)
	if !p.due(now) {
		t.Errorf("brought forward: got %+v", p)
	}
	flood := place{readAt: now, readTook: time.Second}
	if got := flood.readable(now, addressSoon).Sub(now); got != addressShare*time.Second {
		t.Errorf("addresses that took a second are read again after %v", got)
	}
}

// TestNamingOfThePast: a namespace's id is used again, its addresses come and go, and what is past is bounded.
func TestNamingOfThePast(t *testing.T) {
	now := time.Now()
	n := &naming{places: map[int]*place{}}
	iface := func(index int) map[int]seen {
		return map[int]seen{index: {workload.Interface{Index: index, NSID: 3}, now}}
	}
	addr := func(i int) netip.Addr { return netip.AddrFrom4([4]byte{10, 0, byte(i >> 8), byte(i)}) }
	for index := range pastMost {
		n.sync(now, iface(index))
		p := n.places[3]
		if len(n.places) != 1 || len(p.addresses) > 0 || len(p.gone) > 0 || p.iface.Index != index {
			t.Fatalf("%d: got %+v", index, p)
		}
		p.have(now, []netip.Addr{addr(index)})
	}
	p := n.places[3]
	p.who = &workload.Workload{Name: "last"}
	for i := range 2 * goneMost { // the first one goes and comes back
		p.have(now, []netip.Addr{addr(i), addr(i + 1)})
	}
	p.have(now, []netip.Addr{addr(0)})
	if len(p.gone) > goneMost || p.gone[addr(0)] != 0 || p.gone[addr(1)] == 0 {
		t.Errorf("got %d addresses that are gone: %v", len(p.gone), p.gone)
	}
	n.sync(now, nil)
	table := workload.NewTable(n.past)
	if who := table.Lookup(addr(0).As16(), now.UnixNano()); who != nil { // the first place had it too
		t.Errorf("at an address that two had: got %v", who)
	}
	if !n.outlive(now) || len(n.past) != pastMost {
		t.Errorf("got %d", len(n.past))
	}
	if who := workload.NewTable(n.past).Lookup(addr(1).As16(), now.UnixNano()); who != p.who {
		t.Errorf("at an address that only the last one had, as far as is known: got %v", who)
	}
	if n.outlive(now) || !n.outlive(now.Add(pastKept+time.Second)) || len(n.past) != 0 {
		t.Errorf("after a while: got %d", len(n.past))
	}
}
