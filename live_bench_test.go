package weir_test

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"
)

const (
	benchRequest  = "GET /orders/1 HTTP/1.1\r\nHost: a.example\r\n\r\n"
	benchAnswer   = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"
	benchQuestion = "\x12\x34\x01\x00\x00\x01\x00\x00\x00\x00\x00\x00\x04tick\x04test\x00\x00\x01\x00\x01" // DNS: each message is judged
	benchUpload   = "POST /upload HTTP/1.1\r\nHost: a.example\r\nContent-Length: 1000000000000\r\n\r\n"
)

// benchPolicy protects wweb-*; rule is what allows.
func benchPolicy(failure, rule string) string {
	return fmt.Sprintf("[modes]\nweb = \"protect\"\n[failure]\nweb = %q\n[[groups]]\nname = \"web\"\nmatch = [\"name=wweb*\"]\n[[policy]]\nid = \"web\"\naction = \"allow\"\nundecided = { bytes = 4096, seconds = 5, action = \"allow\" }\n%s\n", failure, rule)
}

const judgedRule = "protocol = \"http\"\nwhere = { \"http.method\" = [\"GET\", \"POST\"], \"http.path\" = [\"/orders/{id}\", \"/upload\"] }"

// benchTown is a client and a server that answers each request, or swallows what is uploaded.
func benchTown(b *testing.B) (w *town, web, shop string) {
	w = newTown(b)
	web, shop = fmt.Sprintf("wweb-%d", os.Getpid()), fmt.Sprintf("wshop-%d", os.Getpid())
	w.workload(web, 2)
	w.workload(shop, 3)
	w.listen(web, ":80", func(c net.Conn) {
		defer c.Close()
		buf := make([]byte, 64<<10)
		for have := 0; ; {
			n, err := c.Read(buf[have:])
			if have += n; err != nil {
				return
			}
			if strings.HasPrefix(string(buf[:have]), "POST") {
				io.Copy(io.Discard, c)
				return
			}
			for ; have >= len(benchRequest); have -= len(benchRequest) {
				io.WriteString(c, benchAnswer)
			}
		}
	})
	return w, web, shop
}

// BenchmarkProtectLoad is what protecting a workload costs it, with the daemon as it runs on a host: nobody holds packets, each message is judged, or all of a connection
// is cleared.
func BenchmarkProtectLoad(b *testing.B) {
	for _, h := range []struct{ name, rule string }{{"none", ""}, {"judged", judgedRule}, {"cleared", "ports = [\"tcp/80\"]"}} {
		b.Run(h.name, func(b *testing.B) {
			w, web, shop := benchTown(b)
			var d *daemonProcess
			if h.rule != "" {
				d = w.protect(buildWeir(b), benchPolicy("open", h.rule), web)
			}
			var latencies []time.Duration
			cpu := d.cpu()
			for b.Loop() { // each time a second of each
				latencies = append(latencies, requests(b, w, shop, time.Second)...)
				b.ReportMetric(float64(connections(b, w, shop, time.Second)), "conn/s")
				b.ReportMetric(upload(b, w, shop, 2*time.Second), "Gb/s")
			}
			slices.Sort(latencies)
			b.ReportMetric(float64(latencies[len(latencies)/2].Nanoseconds())/1e3, "p50-µs")
			b.ReportMetric(float64(latencies[len(latencies)*99/100].Nanoseconds())/1e3, "p99-µs")
			b.ReportMetric(float64(len(latencies)), "requests")
			b.ReportMetric((d.cpu() - cpu).Seconds(), "weir-cpu-s")
			b.ReportMetric(0, "ns/op")
			if d != nil {
				d.stop()
			}
		})
	}
}

// cpu is the processor time that the daemon has taken; that of none is 0.
func (d *daemonProcess) cpu() time.Duration {
	if d == nil {
		return 0
	}
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", d.cmd.Process.Pid))
	if err != nil {
		d.t.Fatal(err)
	}
	fields := strings.Fields(string(text[strings.LastIndexByte(string(text), ')')+1:]))
	user, _ := strconv.Atoi(fields[11])
	system, _ := strconv.Atoi(fields[12])
	return time.Duration(user+system) * 10 * time.Millisecond
}

// requests asks on one connection, one request after the other, and returns what each took.
func requests(b *testing.B, w *town, from string, during time.Duration) (took []time.Duration) {
	c, err := w.dial(from, "10.77.0.2:80")
	if err != nil {
		b.Fatal(err)
	}
	defer c.Close()
	buf := make([]byte, len(benchAnswer))
	for end := time.Now().Add(during); ; {
		begin := time.Now()
		if begin.After(end) {
			return took
		}
		io.WriteString(c, benchRequest)
		if _, err := io.ReadFull(c, buf); err != nil {
			b.Fatal(err)
		}
		took = append(took, time.Since(begin))
	}
}

// connections counts connections with one request each.
func connections(b *testing.B, w *town, from string, during time.Duration) (n int) {
	inNamespace(b, from, func() error {
		for end := time.Now().Add(during); time.Now().Before(end); n++ {
			c, err := net.Dial("tcp", "10.77.0.2:80")
			if err != nil {
				return err
			}
			io.WriteString(c, benchRequest)
			_, err = io.ReadFull(c, make([]byte, len(benchAnswer)))
			c.(*net.TCPConn).SetLinger(0) // else ports run out
			c.Close()
			if err != nil {
				return err
			}
		}
		return nil
	})
	return int(float64(n) / during.Seconds())
}

// upload sends as much as goes in one request, and returns gigabits in a second.
func upload(b *testing.B, w *town, from string, during time.Duration) float64 {
	c, err := w.dial(from, "10.77.0.2:80")
	if err != nil {
		b.Fatal(err)
	}
	defer c.Close()
	io.WriteString(c, benchUpload)
	block, n := make([]byte, 128<<10), 0
	begin := time.Now()
	for time.Since(begin) < during {
		k, err := c.Write(block)
		if n += k; err != nil {
			b.Fatal(err)
		}
	}
	return float64(n) * 8 / 1e9 / time.Since(begin).Seconds()
}

// BenchmarkProtectOutage is how long traffic stands, and what is lost of it, when something happens to the daemon under load: connections that ask without end, and a question of
// DNS each millisecond.
func BenchmarkProtectOutage(b *testing.B) {
	for _, failure := range []string{"open", "closed"} {
		for _, x := range []struct {
			name string
			does func(d *daemonProcess, host string)
		}{
			{"nothing", func(*daemonProcess, string) { time.Sleep(time.Second) }},
			{"reload", func(d *daemonProcess, _ string) { d.weir("reload") }},
			{"kill", func(d *daemonProcess, host string) {
				d.cmd.Process.Kill()
				<-d.done
				time.Sleep(200 * time.Millisecond) // as systemd does
				d.launch(host)
			}},
			{"upgrade", func(d *daemonProcess, host string) {
				d.cmd.Process.Signal(syscall.SIGTERM)
				<-d.done
				d.launch(host)
			}},
			{"handover", func(d *daemonProcess, host string) {
				d.cmd.Process.Signal(syscall.SIGUSR2)
				<-d.done
				d.launch(host)
			}},
			{"SIGSTOP-3s", func(d *daemonProcess, _ string) {
				d.cmd.Process.Signal(syscall.SIGSTOP)
				time.Sleep(3 * time.Second)
				d.cmd.Process.Signal(syscall.SIGCONT)
			}},
		} {
			b.Run(failure+"/"+x.name, func(b *testing.B) {
				for b.Loop() {
					w, web, shop := benchTown(b)
					d := w.protect(buildWeir(b), benchPolicy(failure, judgedRule+"\n[[policy]]\nid = \"time\"\nports = [\"udp/7\"]\nprotocol = \"dns\"\nwhere = { \"dns.query\" = [\"tick.test\"] }\naction = \"allow\""), web)
					l := startLoad(b, w, web, shop)
					time.Sleep(500 * time.Millisecond)
					x.does(d, w.host)
					w.eventually("the rules are there", func() bool { return w.tables(web) > 0 })
					time.Sleep(2 * time.Second) // what was lost is sent again
					l.stop(b)
					d.stop()
				}
				b.ReportMetric(0, "ns/op")
			})
		}
	}
}

const loadConns = 8

// load is traffic that goes on until it is stopped.
type load struct {
	ends     atomic.Bool
	answered atomic.Int64
	broken   atomic.Int64
	longest  [loadConns]time.Duration // between two answers
	sent     int64
	come     atomic.Int64
	done     chan struct{}
}

func startLoad(b *testing.B, w *town, web, shop string) *load {
	l := &load{done: make(chan struct{}, loadConns+1)}
	for i := range loadConns {
		c, err := w.dial(shop, "10.77.0.2:80")
		if err != nil {
			b.Fatal(err)
		}
		go func() {
			defer func() { c.Close(); l.done <- struct{}{} }()
			r, buf, last := bufio.NewReader(c), make([]byte, len(benchAnswer)), time.Now()
			for !l.ends.Load() {
				c.SetDeadline(time.Now().Add(20 * time.Second))
				_, err := io.WriteString(c, benchRequest)
				if err == nil {
					_, err = io.ReadFull(r, buf)
				}
				if err != nil {
					l.broken.Add(1)
					return
				}
				l.answered.Add(1)
				l.longest[i] = max(l.longest[i], time.Since(last))
				last = time.Now()
			}
		}()
	}
	var server net.PacketConn
	inNamespace(b, web, func() (err error) { server, err = net.ListenPacket("udp", ":7"); return err })
	b.Cleanup(func() { server.Close() })
	go func() {
		for buf := make([]byte, 100); ; l.come.Add(1) {
			if _, _, err := server.ReadFrom(buf); err != nil {
				return
			}
		}
	}()
	var c net.Conn
	inNamespace(b, shop, func() (err error) { c, err = net.Dial("udp", "10.77.0.2:7"); return err })
	go func() {
		defer func() { c.Close(); l.done <- struct{}{} }()
		for tick := time.NewTicker(time.Millisecond); !l.ends.Load(); <-tick.C {
			if _, err := io.WriteString(c, benchQuestion); err == nil {
				l.sent++
			}
		}
	}()
	return l
}

func (l *load) stop(b *testing.B) {
	l.ends.Store(true)
	for range loadConns + 1 {
		<-l.done
	}
	time.Sleep(100 * time.Millisecond) // what is on its way
	b.ReportMetric(float64(slices.Max(l.longest[:]).Milliseconds()), "ms-stood")
	b.ReportMetric(float64(l.sent-l.come.Load()), "datagrams-lost")
	b.ReportMetric(float64(l.broken.Load()), "connections-broken")
	b.ReportMetric(float64(l.answered.Load()), "answers")
}

// BenchmarkProtectMany is what a host with 250 protected workloads and 10,000 rules takes: memory, and time until all of them are protected.
func BenchmarkProtectMany(b *testing.B) {
	const workloads, rules = 250, 10_000
	w := newTown(b)
	for i := range workloads {
		name := fmt.Sprintf("wweb-%d-%d", i, os.Getpid())
		w.ip("netns", "add", name)
		b.Cleanup(func() { w.ip("netns", "del", name) })
		w.ip("-n", w.host, "link", "add", fmt.Sprintf("veth%d", i), "up", "type", "veth", "peer", "name", "eth0", "netns", name)
		w.ip("-n", name, "link", "set", "eth0", "up")
	}
	var p strings.Builder
	p.WriteString("[modes]\ndefault = \"protect\"\n")
	for i := range workloads {
		fmt.Fprintf(&p, "[[groups]]\nname = \"g%d\"\nmatch = [\"name=wweb-%d-*\"]\n", i, i)
	}
	for i := range rules {
		fmt.Fprintf(&p, "[[policy]]\nid = \"r%d\"\nfrom = [\"g%d\"]\nto = [\"g%d\"]\nports = [\"tcp/80\"]\nprotocol = \"http\"\nwhere = { \"http.method\" = [\"GET\", \"POST\"], \"http.path\" = [\"/a%d/{id}\", \"/b/{uuid}/c\"] }\naction = \"allow\"\n",
			i, i%workloads, (i/workloads+i)%workloads, i)
	}
	d := startDaemon(b, buildWeir(b), w.host, "")
	d.stop()
	dir := filepath.Join(d.dir, "policy.d")
	if err := os.MkdirAll(dir, 0o750); err != nil {
		b.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "a.toml"), []byte(p.String()), 0o600); err != nil {
		b.Fatal(err)
	}
	for b.Loop() {
		began := time.Now()
		d.replace("[capture]", fmt.Sprintf("policy = %q\n[capture]", dir))
		d.launch(w.host)
		b.ReportMetric(time.Since(began).Seconds(), "s-ready")
		for i, end := 0, began.Add(2*time.Minute); i < workloads; {
			if w.tables(fmt.Sprintf("wweb-%d-%d", i, os.Getpid())) > 0 {
				i++
			} else if time.Now().After(end) {
				b.Fatalf("%d are protected\n%s", i, d.lines())
			}
		}
		b.ReportMetric(time.Since(began).Seconds(), "s-protected")
		b.ReportMetric(d.cpu().Seconds(), "cpu-s")
		b.ReportMetric(d.memory("VmRSS"), "MB")
		b.ReportMetric(d.memory("VmHWM"), "MB-most")
		began = time.Now()
		if _, text, code := d.weir("reload"); code != 0 {
			b.Fatal(text)
		}
		b.ReportMetric(time.Since(began).Seconds(), "s-reload")
		began = time.Now()
		d.stop()
		b.ReportMetric(time.Since(began).Seconds(), "s-stop")
		d.replace(fmt.Sprintf("policy = %q\n[capture]", dir), "[capture]")
	}
	b.ReportMetric(0, "ns/op")
}

// memory is a line of the daemon's status in /proc, in megabytes.
func (d *daemonProcess) memory(line string) float64 {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", d.cmd.Process.Pid))
	if err != nil {
		d.t.Fatal(err)
	}
	_, after, _ := strings.Cut(string(text), line+":")
	kB, _ := strconv.Atoi(strings.Fields(after)[0])
	return float64(kB) / 1000
}
