package weir_test

import (
	"bytes"
	"fmt"
	"io"
	"net"
	"os"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/vishvananda/netlink"

	"weir/daemon"
)

// ours
const (
	churns     = 1000
	churnEvery = 10                     // one veth in so many lives long enough to be listened to, and says something
	attachTime = 100 * time.Millisecond // from a veth's coming until its frames are seen
	manyVeths  = 250
)

// TestLiveChurn makes and removes veths under traffic: each that lives for a moment is listened to, and nothing is left of any.
func TestLiveChurn(t *testing.T) {
	needs(t, "ip", "tcpreplay")
	ns := veth(t)
	command(t, "ip", "-n", ns, "link", "set", "lo", "up")
	d := startDaemon(t, buildWeir(t), ns, liveRules(t))
	d.stop()
	d.replace(`listen = ""`, `listen = "127.0.0.1:9477"`)
	d.launch(ns)
	loadInLoop(t, ns, crashLoad(t), 1000)
	c := churn{d: d, ns: ns, h: links(t, ns), client: daemon.Dial(d.dir + "/run/weir.sock")}
	begun := time.Now()
	c.turn(churns / 2) // with a heap as large as it gets
	before := c.footprint()
	c.turn(churns / 2)
	after := c.footprint()
	t.Logf("%d veths in %s; after half of them %s, at the end %s", churns, time.Since(begun).Round(time.Second), before, after)
	// The ring of veth0 grows when it loses frames, and garbage comes and goes: neither is of veths that are gone.
	const live, garbage = 16 << 10, 64 << 10 // KiB
	if after.descriptors > before.descriptors+4 || after.goroutines > before.goroutines+8 || after.rings != 1 || after.mappings > before.mappings+200 ||
		after.live > before.live+live || after.resident-after.ring > before.resident-before.ring+garbage { // mappings: a thread that the runtime keeps has two
		t.Error("something is left of veths that are gone")
	}
	command(t, "ip", "-n", ns, "link", "set", "veth0", "down")
	command(t, "ip", "-n", ns, "link", "set", "veth0", "up")
	frames := request(t, 39999)
	d.send(ns, frames)
	until(t, "an alert after the interface was down", func() bool { return c.found(39999) })
	c.check(d.stop())
}

type churn struct {
	d      *daemonProcess
	ns     string
	h      *netlink.Handle
	client *daemon.Client
	ports  []uint16 // whose tokens were sent
	made   int      // veths, by comes
}

// turn makes and removes n veths.
func (c *churn) turn(n int) {
	t := c.d.t
	t.Helper()
	for i := range n {
		name, far := fmt.Sprintf("vethx%d", i%7), "peer"
		c.plug(name, far)
		from := openWire(t, c.ns, far)
		if i%churnEvery == 0 {
			time.Sleep(attachTime) // what is promised
			port := uint16(2000 + len(c.ports))
			from.send(whole(t, port))
			c.ports = append(c.ports, port)
		} else {
			from.send(whole(t, 1999)[:1+i%5])
		}
		from.conn.Close()
		if err := c.h.LinkDel(&netlink.Veth{LinkAttrs: netlink.LinkAttrs{Name: name}}); err != nil {
			t.Fatal(err)
		}
	}
	until(t, "the veths to be let go of", func() bool { return len(c.status().Interfaces) == 1 })
	if w := c.status().Warnings; len(w) > 0 {
		t.Errorf("warnings: %v", w)
	}
}

// plug makes a pair of veths that are up.
func (c *churn) plug(name, far string) {
	t := c.d.t
	t.Helper()
	v := &netlink.Veth{LinkAttrs: netlink.LinkAttrs{Name: name}, PeerName: far}
	if err := c.h.LinkAdd(v); err != nil {
		t.Fatal(err)
	}
	for _, end := range []string{far, name} {
		if err := c.h.LinkSetUp(&netlink.Veth{LinkAttrs: netlink.LinkAttrs{Name: end}}); err != nil {
			t.Fatal(err)
		}
	}
}

func (c *churn) status() *daemon.Status {
	c.d.t.Helper()
	s, err := c.client.Status()
	if err != nil {
		c.d.t.Fatalf("%v\n%s", err, c.d.lines())
	}
	return s
}

// found reports whether the token of a port is told.
func (c *churn) found(port uint16) bool {
	eve, err := os.ReadFile(c.d.dir + "/log/eve.json")
	if err != nil {
		c.d.t.Fatal(err)
	}
	return bytes.Contains(eve, fmt.Appendf(nil, `"event_type":"alert","src_ip":"10.1.0.1","src_port":%d,`, port))
}

// check looks for the alerts of all veths that lived for a moment. A machine that is busy with other things may be late for some.
func (c *churn) check(eve []byte) {
	t := c.d.t
	t.Helper()
	late := 0
	for _, port := range c.ports {
		if !bytes.Contains(eve, fmt.Appendf(nil, `"src_port":%d,`, port)) {
			late++
		}
	}
	t.Logf("%d of %d veths were listened to within %s", len(c.ports)-late, len(c.ports), attachTime)
	if late > len(c.ports)/10 {
		t.Errorf("%d were not", late)
	}
}

// whole is the frames of a request with the token, in few segments.
func whole(t testing.TB, port uint16) [][]byte {
	t.Helper()
	d, err := parseDialogue(fmt.Sprintf("tcp %d 80\n> POST / HTTP/1.1\\r\\nHost: a\\r\\nContent-Length: 16\\r\\n\\r\\nWEIRTOKEN-7f3a91\n< HTTP/1.1 204 x\\r\\n\\r\\n", port))
	if err != nil {
		t.Fatal(err)
	}
	return play(t, d, ways[0], wrappings()[0])
}

// footprint is what a process takes of the machine.
type footprint struct{ descriptors, goroutines, rings, mappings, live, ring, resident int } // the last three in KiB

func (f footprint) String() string {
	return fmt.Sprintf("%d descriptors, %d goroutines, %d mapped rings, %d mappings, %d MiB, of them %d live heap and %d rings",
		f.descriptors, f.goroutines, f.rings, f.mappings, f.resident>>10, f.live>>10, f.ring>>10)
}

func (c *churn) footprint() (f footprint) {
	t := c.d.t
	t.Helper()
	proc := fmt.Sprintf("/proc/%d/", c.d.cmd.Process.Pid)
	maps, err := os.ReadFile(proc + "maps")
	if err != nil {
		t.Fatal(err)
	}
	status, err := os.ReadFile(proc + "status")
	if err != nil {
		t.Fatal(err)
	}
	f.descriptors, f.rings, f.mappings = c.d.descriptors(), strings.Count(string(maps), " socket:["), strings.Count(string(maps), "\n")
	f.resident = number(t, `VmRSS:\s+(\d+) kB`, string(status))
	metrics := c.metrics()
	f.goroutines = number(t, `(?m)^go_goroutines (\d+)$`, metrics)
	f.live, f.ring = kibibytes(t, "go_gc_heap_live_bytes", metrics), kibibytes(t, `weir_native_memory_bytes{owner="ring"}`, metrics)
	return f
}

func kibibytes(t testing.TB, gauge, metrics string) int {
	t.Helper()
	m := regexp.MustCompile(`(?m)^` + regexp.QuoteMeta(gauge) + ` (\S+)$`).FindStringSubmatch(metrics)
	if m == nil {
		t.Fatalf("no %s in %.500q", gauge, metrics)
	}
	v, err := strconv.ParseFloat(m[1], 64)
	if err != nil {
		t.Fatal(err)
	}
	return int(v) >> 10
}

func number(t testing.TB, expression, text string) int {
	t.Helper()
	m := regexp.MustCompile(expression).FindStringSubmatch(text)
	if m == nil {
		t.Fatalf("no %s in %.500q", expression, text)
	}
	n, err := strconv.Atoi(m[1])
	if err != nil {
		t.Fatal(err)
	}
	return n
}

// metrics asks for them inside the namespace.
func (c *churn) metrics() (text string) {
	c.d.t.Helper()
	inNamespace(c.d.t, c.ns, func() error {
		conn, err := net.Dial("tcp", "127.0.0.1:9477")
		if err != nil {
			return err
		}
		defer conn.Close()
		if _, err := io.WriteString(conn, "GET /metrics HTTP/1.0\r\n\r\n"); err != nil {
			return err
		}
		b, err := io.ReadAll(conn)
		text = string(b)
		return err
	})
	return text
}

// TestLiveAttach has a veth come, alone and beside many others, and say something as soon as it must be listened to.
func TestLiveAttach(t *testing.T) {
	needs(t, "ip")
	ns := veth(t)
	d := startDaemon(t, buildWeir(t), ns, liveRules(t))
	c := churn{d: d, ns: ns, h: links(t, ns), client: daemon.Dial(d.dir + "/run/weir.sock")}
	t.Logf("alone: %s", c.comes(5))
	for n := 1 + 5; n < manyVeths-5; n++ {
		c.plug(fmt.Sprintf("veth%d", 1000+n), fmt.Sprintf("far%d", 1000+n))
	}
	until(t, "all veths to be watched or given up", func() bool {
		s := c.status()
		return len(s.Interfaces)+len(s.Warnings) >= manyVeths-5
	})
	t.Logf("beside %d others: %s", manyVeths-5, c.comes(5))
	if s := c.status(); len(s.Interfaces) != manyVeths || len(s.Warnings) > 0 {
		t.Errorf("%d of %d veths are watched; warnings: %.500q", len(s.Interfaces), manyVeths, s.Warnings)
	}
	threads := c.threadsWhile(func() { d.stop() })
	if t.Logf("%d threads at the most while all of them end", threads); threads > 128 {
		t.Errorf("%d threads: the unit allows 512, and interfaces may be many more", threads)
	}
}

// threadsWhile returns how many threads the daemon had at the most while fn ran.
func (c *churn) threadsWhile(fn func()) (most int) {
	proc := fmt.Sprintf("/proc/%d/task", c.d.cmd.Process.Pid)
	over, done := make(chan bool), make(chan bool)
	go func() {
		defer close(done)
		for {
			if list, err := os.ReadDir(proc); err == nil {
				most = max(most, len(list))
			}
			select {
			case <-over:
				return
			case <-time.After(time.Millisecond):
			}
		}
	}()
	fn()
	close(over)
	<-done
	return most
}

// comes makes n veths that say something as soon as they must be listened to, and again until they are. It returns when the first thing
// said by each was heard, in order of time; that at least half of them are in time allows for a machine with other things to do.
func (c *churn) comes(n int) (heard []time.Duration) {
	t := c.d.t
	t.Helper()
	for range n {
		c.made++
		name := fmt.Sprintf("vethx%d", c.made)
		begun := time.Now()
		c.plug(name, "p"+name)
		from := openWire(t, c.ns, "p"+name)
		said := map[uint16]time.Duration{}
		for at := begun.Add(attachTime); ; at = time.Now().Add(2 * attachTime) {
			time.Sleep(time.Until(at)) // what is promised
			port := uint16(3000 + len(c.ports))
			c.ports = append(c.ports, port)
			said[port] = time.Since(begun)
			from.send(whole(t, port))
			if first := c.firstOf(said); first > 0 || len(said) == 10 {
				heard = append(heard, first)
				break
			}
		}
	}
	slices.Sort(heard)
	for i := range heard {
		heard[i] = heard[i].Round(time.Millisecond)
	}
	if mid := heard[n/2]; mid == 0 || mid > attachTime+attachTime/2 {
		t.Errorf("veths are heard after %s, want %s; 0s: never", heard, attachTime)
	}
	return heard
}

// firstOf waits a little for the alert of a token, and returns when the first of those was sent that are told.
func (c *churn) firstOf(said map[uint16]time.Duration) (first time.Duration) {
	for range 20 {
		for port, at := range said {
			if c.found(port) && (first == 0 || at < first) {
				first = at
			}
		}
		if first > 0 {
			break
		}
		time.Sleep(10 * time.Millisecond)
	}
	return first
}
