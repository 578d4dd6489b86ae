package daemon

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"weir/engine"
	"weir/workload"
)

// running is a daemon in the test's own process.
type running struct {
	*Daemon
	stop func() error
}

func startHere(t *testing.T, conf *Config) *running {
	t.Helper()
	d := newDaemon(conf, testLog(t))
	if err := d.open(); err != nil {
		t.Fatal(err)
	}
	var err error
	if d.naming, err = startNaming(d.log, nil, d.engine.SetWorkloads, d.unnamed); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	links, err := workload.Watch(ctx, conf.Capture.Include, conf.Capture.Exclude)
	if err != nil {
		t.Fatal(err)
	}
	stop := d.sampler()
	served := make(chan error, 1)
	go func() { served <- d.serve(ctx, links, make(chan os.Signal)) }()
	r := &running{Daemon: d}
	var once sync.Once
	var result error
	r.stop = func() error {
		once.Do(func() {
			cancel()
			result = <-served
			stop()
			if err := d.close(); result == nil {
				result = err
			}
		})
		return result
	}
	t.Cleanup(func() { r.stop() })
	return r
}

// interfaces returns the taps of the interfaces that are watched.
func (r *running) interfaces() (list []*tap) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, t := range r.taps {
		list = append(list, t)
	}
	return list
}

func (r *running) with(fn func()) {
	r.mu.Lock()
	defer r.mu.Unlock()
	fn()
}

const (
	tokenRule = "[[rules]]\nid = \"test.token\"\ndescription = \"a token\"\nregex = '''WEIRTOKEN-[0-9a-f]{6}'''\nseverity = \"high\"\n"
	pods      = 12  // addresses
	talkers   = 8   // that make one connection after the other
	listen    = 80  // TCP
	datagrams = 900 // UDP port
	mostWait  = time.Minute
)

// traffic is what hosts say to each other while rings change.
type traffic struct {
	t      *testing.T
	r      *running
	tap    *tap
	tokens atomic.Int64 // that were begun
	due    atomic.Int64 // that were sent whole
	stuck  atomic.Bool
	conns  sync.Map // "port address" of each connection
	count  atomic.Int64
	next   atomic.Uint32
}

// ahead is how many tokens may be under way: what they come in fits into the smallest ring.
const ahead = 10

// keepUp waits until most of what was sent was found, so that a slow machine loses nothing.
func (x *traffic) keepUp() {
	for end := time.Now().Add(mostWait / 3); time.Now().Before(end) && !x.stuck.Load(); time.Sleep(time.Millisecond) {
		if x.due.Load()-int64(x.r.latency.read().Count) < ahead || x.void() {
			return
		}
	}
	if !x.stuck.Swap(true) {
		x.t.Error("tokens are not found")
	}
}

// void reports whether frames were lost, for the machine was busy with other things: what was in them cannot be found.
func (x *traffic) void() bool { return x.tap.readStats().Drops > 0 }

func (x *traffic) token() string {
	x.tokens.Add(1)
	return fmt.Sprintf("WEIRTOKEN-%06x", x.next.Add(1))
}

func (x *traffic) dial(n int) net.Conn {
	c, err := net.DialTimeout("tcp", fmt.Sprintf("10.9.0.%d:%d", 2+n%pods, listen), mostWait)
	if err != nil {
		x.t.Error(err)
		return nil
	}
	x.conns.Store(fmt.Sprint(c.LocalAddr().(*net.TCPAddr).Port, " ", c.RemoteAddr().(*net.TCPAddr).IP), true)
	x.count.Add(1)
	return c
}

// open begins a request that ends in the middle of a token.
func (x *traffic) open(n int) (c net.Conn, rest string) {
	token := x.token()
	body := strings.Repeat("x", 20_000) + token
	head := fmt.Sprintf("POST /%d HTTP/1.1\r\nHost: a\r\nContent-Length: %d\r\n\r\n", n, len(body))
	if c = x.dial(n); c != nil {
		all := head + body
		io.WriteString(c, all[:len(all)-8])
		rest = all[len(all)-8:]
	}
	return c, rest
}

// end sends what was left of a request, and reads the answer.
func (x *traffic) end(c net.Conn, rest string) {
	if c == nil {
		return
	}
	defer c.Close()
	x.due.Add(1)
	io.WriteString(c, rest)
	c.SetReadDeadline(time.Now().Add(mostWait))
	if _, err := bufio.NewReader(c).ReadString('\n'); err != nil {
		x.t.Errorf("answer: %v", err)
	}
}

// fragments sends a datagram that has to be fragmented, with a token in the middle.
func (x *traffic) fragments(n int) {
	c, err := net.Dial("udp", fmt.Sprintf("10.9.0.%d:%d", 2+n%pods, datagrams))
	if err != nil {
		x.t.Error(err)
		return
	}
	defer c.Close()
	x.due.Add(1)
	pad := strings.Repeat("y", 1465)
	if _, err := io.WriteString(c, pad+x.token()+pad); err != nil {
		x.t.Error(err)
	}
}

// serve answers requests in the pod until end is called.
func (x *traffic) serve(pod *os.File) (end func()) {
	var l net.Listener
	var u net.PacketConn
	in(x.t, pod, func() (err error) {
		if l, err = net.Listen("tcp4", fmt.Sprintf(":%d", listen)); err != nil {
			return err
		}
		u, err = net.ListenPacket("udp4", fmt.Sprintf(":%d", datagrams))
		return err
	})
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			go answerHTTP(c)
		}
	}()
	return func() {
		l.Close()
		u.Close()
	}
}

// answerHTTP answers one request.
func answerHTTP(c net.Conn) {
	defer c.Close()
	b := bufio.NewReaderSize(c, 64<<10)
	length := 0
	for {
		line, err := b.ReadString('\n')
		if err != nil {
			return
		}
		fmt.Sscanf(line, "Content-Length: %d", &length)
		if line == "\r\n" {
			break
		}
	}
	io.CopyN(io.Discard, b, int64(length))
	io.WriteString(c, "HTTP/1.1 204 No Content\r\n\r\n")
	io.Copy(io.Discard, b)
}

// TestSplitUnderLoad resizes, splits and folds the rings of an interface while many connections come and go: everything is found, once,
// also what is cut by the change, and in fragments; each connection is told as one flow.
func TestSplitUnderLoad(t *testing.T) {
	if !ownNetwork(t) {
		return
	}
	pod := space(t)
	connect(t, pod, "veth0", pods)
	for tries := 0; !splitUnderLoad(t, pod); tries++ {
		if tries == 3 {
			t.Fatal("frames were lost again and again")
		}
	}
}

// splitUnderLoad does so once, and reports whether no frame was lost.
func splitUnderLoad(t *testing.T, pod *os.File) bool {
	conf := testConfig(t, tokenRule)
	conf.Pcap.Post = 0 // else too many slices are open
	r := startHere(t, conf)
	until(t, "the interface", func() bool { return len(r.interfaces()) == 1 })
	tap := r.interfaces()[0]
	x := &traffic{t: t, r: r, tap: tap}
	defer x.serve(pod)()
	stop := make(chan struct{})
	var wg sync.WaitGroup
	for i := range talkers {
		wg.Go(func() {
			for n := i; ; n += talkers {
				select {
				case <-stop:
					return
				default:
				}
				x.keepUp()
				x.end(x.open(n))
				if n%8 == 0 {
					x.fragments(n)
				}
			}
		})
	}
	change := func(what string, begin func(), rings int) {
		t.Helper()
		type half struct {
			c    net.Conn
			rest string
		}
		var halves []half
		for n := range pods {
			c, rest := x.open(n)
			halves = append(halves, half{c, rest})
		}
		until(t, "a change to be over", func() bool {
			ready := false
			r.with(func() { ready = !tap.changing && tap.reading > 0 })
			return ready
		})
		r.with(begin)
		for n := range pods {
			x.keepUp()
			x.fragments(n)
		}
		until(t, what, func() bool {
			done := false
			r.with(func() { done = !tap.changing && tap.reading == rings })
			return done
		})
		for _, h := range halves {
			x.keepUp()
			x.end(h.c, h.rest)
		}
		was := x.count.Load()
		until(t, "traffic", func() bool { return x.count.Load() > was+2*pods })
	}
	for n := 0; n < 2 && !x.void(); n++ {
		change("a smaller ring", func() { r.resize(tap, 2<<20) }, 1)
		change("two rings", func() { r.split(tap) }, 2)
		change("four rings", func() { r.split(tap) }, 4)
		change("two rings", func() { r.fold(tap) }, 2)
		change("one ring", func() { r.fold(tap) }, 1)
		change("a larger ring", func() { r.resize(tap, 8<<20) }, 1)
	}
	close(stop)
	wg.Wait()
	var own []engine.Counters
	r.with(func() {
		for _, m := range tap.members() {
			own = append(own, *m.tap.Counters())
		}
	})
	for i, c := range own {
		if c.Frames == 0 || c.Flow.Flows == 0 {
			t.Errorf("ring %d brought %d frames, %d flows", i, c.Frames, c.Flow.Flows)
		}
	}
	if err := r.stop(); err != nil {
		t.Fatal(err)
	}
	return x.settle(conf, tap)
}

// TestHotIsSplit has the load of an interface rise and fall: it is split, and folded, if that helps.
func TestHotIsSplit(t *testing.T) {
	if !ownNetwork(t) {
		return
	}
	pod := space(t)
	connect(t, pod, "veth0", pods)
	r := startHere(t, testConfig(t, tokenRule))
	until(t, "the interface", func() bool { return len(r.interfaces()) == 1 })
	tap := r.interfaces()[0]
	x := &traffic{t: t, r: r, tap: tap}
	defer x.serve(pod)()
	stop := make(chan struct{})
	done := make(chan struct{})
	var first atomic.Bool // between two hosts only
	first.Store(true)
	go func() {
		defer close(done)
		for n := 0; ; n++ {
			select {
			case <-stop:
				return
			default:
			}
			x.keepUp()
			if first.Load() {
				n = 0
			}
			x.end(x.open(n))
		}
	}()
	// pace has so many seconds pass, in each of which lanes work so long on each ring's frames, and two processors are idle.
	pace := func(n int, load float64) {
		for range n {
			was := x.count.Load()
			until(t, "traffic", func() bool { return x.count.Load() > was+pods })
			r.with(func() {
				now := r.measured.Add(time.Second)
				for _, m := range tap.members() {
					m.busy.Store(m.was + int64(load*float64(time.Second)))
				}
				r.measure(now, 2)
			})
		}
	}
	rings := func() (n int) {
		r.with(func() { n = tap.reading })
		return n
	}
	r.with(func() { r.measured = time.Now() })
	pace(2*hotFor, 0.9)
	if n := rings(); n != 1 {
		t.Errorf("traffic between two hosts was split: %d rings", n)
	}
	first.Store(false)
	if cap(r.lanes) > 1 {
		until(t, "a split", func() bool { // the real pace sees no load, and may come between
			pace(hotFor, 0.9)
			return rings() == 2
		})
		r.with(func() { tap.heat.cold = coldFor - 1 })
		until(t, "a fold", func() bool {
			pace(1, 0.1)
			return rings() == 1
		})
	}
	close(stop)
	<-done
	if err := r.stop(); err != nil {
		t.Fatal(err)
	}
}

// settle compares what was told with what was sent. It reports whether no frame was lost; else it looks at their number alone.
func (x *traffic) settle(conf *Config, tap *tap) bool {
	t := x.t
	stats := tap.readStats()
	var frames uint64
	for _, m := range tap.members() {
		frames += m.tap.Counters().Frames
	}
	if frames != stats.Packets-stats.Drops {
		t.Errorf("%d frames were looked at, the kernel has counted %+v", frames, stats)
	}
	if stats.Drops > 0 {
		return false
	}
	text, err := os.ReadFile(conf.Paths.EVE())
	if err != nil {
		t.Fatal(err)
	}
	alerts, flows := int64(0), map[string]int{}
	for line := range strings.Lines(string(text)) {
		var ev struct {
			Type    string `json:"event_type"`
			Iface   string `json:"in_iface"`
			Proto   string `json:"proto"`
			SrcPort int    `json:"src_port"`
			DstPort int    `json:"dest_port"`
			Dst     string `json:"dest_ip"`
			Flow    struct {
				ToServer int `json:"pkts_toserver"`
				ToClient int `json:"pkts_toclient"`
			}
			Anomaly struct{ Event string }
		}
		if err := json.Unmarshal([]byte(line), &ev); err != nil {
			t.Fatal(err)
		}
		switch {
		case ev.Type == "stats" || strings.HasPrefix(ev.Anomaly.Event, "evidence."): // there are more alerts at once than slices
		case ev.Iface != "veth0":
			t.Errorf("an event of interface %q", ev.Iface)
		case ev.Type == "alert":
			alerts++
		case ev.Type == "flow" && ev.DstPort == listen:
			flows[fmt.Sprint(ev.SrcPort, " ", ev.Dst)]++
			if ev.Flow.ToServer < 3 || ev.Flow.ToClient < 3 {
				t.Errorf("a flow of which one direction is missing: %s", line)
			}
		case ev.Type == "anomaly":
			t.Errorf("anomaly %s: %s", ev.Anomaly.Event, line)
		}
	}
	if alerts != x.tokens.Load() {
		t.Errorf("%d alerts of %d tokens", alerts, x.tokens.Load())
	}
	x.conns.Range(func(conn, _ any) bool {
		if n := flows[conn.(string)]; n != 1 {
			t.Errorf("connection %s: %d flows", conn, n)
		}
		return !t.Failed()
	})
	t.Logf("%d connections, %d tokens, %d frames, %+v", x.count.Load(), alerts, frames, stats)
	return true
}
