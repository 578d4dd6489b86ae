package weir_test

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// town is a host's network namespace with a bridge, and workloads behind veths of it.
type town struct {
	t    testing.TB
	host string
}

func newTown(t testing.TB) *town {
	needs(t, "ip", "nft", "nsenter")
	w := &town{t, fmt.Sprintf("wtown-%d", os.Getpid())}
	w.ip("netns", "add", w.host)
	t.Cleanup(func() { w.ip("netns", "del", w.host) })
	w.ip("-n", w.host, "link", "set", "lo", "up")
	w.ip("-n", w.host, "link", "add", "br0", "type", "bridge")
	w.ip("-n", w.host, "link", "set", "br0", "up")
	w.ip("-n", w.host, "addr", "add", "10.77.0.1/24", "dev", "br0")
	w.ip("-n", w.host, "addr", "add", "fd77::1/64", "dev", "br0", "nodad")
	return w
}

func (w *town) ip(args ...string) { w.t.Helper(); command(w.t, "ip", args...) }

// workload makes a network namespace with the n-th addresses.
func (w *town) workload(name string, n int) {
	w.t.Helper()
	w.ip("netns", "add", name)
	w.t.Cleanup(func() { w.ip("netns", "del", name) })
	veth := fmt.Sprintf("veth%d", n)
	w.ip("-n", w.host, "link", "add", veth, "type", "veth", "peer", "name", "eth0", "netns", name)
	w.ip("-n", w.host, "link", "set", veth, "master", "br0", "up")
	w.ip("-n", name, "link", "set", "lo", "up")
	w.ip("-n", name, "link", "set", "eth0", "up")
	w.ip("-n", name, "addr", "add", fmt.Sprintf("10.77.0.%d/24", n), "dev", "eth0")
	w.ip("-n", name, "addr", "add", fmt.Sprintf("fd77::%d/64", n), "dev", "eth0", "nodad")
}

// dial connects from a workload.
func (w *town) dial(from, to string) (c net.Conn, err error) {
	inNamespace(w.t, from, func() error {
		c, err = net.DialTimeout("tcp", to, 5*time.Second)
		return nil
	})
	return c, err
}

// counter is a server that keeps count of what it reads.
type counter struct {
	mu   sync.Mutex
	read strings.Builder
	came chan bool  // connections
	errs chan error // how each ended
}

// listen runs fn for each connection to a port of a workload.
func (w *town) listen(name, at string, fn func(net.Conn)) {
	w.t.Helper()
	var l net.Listener
	inNamespace(w.t, name, func() (err error) {
		l, err = net.Listen("tcp", at)
		return err
	})
	w.t.Cleanup(func() { l.Close() })
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			go fn(c)
		}
	}()
}

// take reads all that comes, and answers each line.
func (s *counter) take(c net.Conn) {
	defer c.Close()
	s.came <- true
	b := make([]byte, 4096)
	for {
		n, err := c.Read(b)
		s.mu.Lock()
		s.read.Write(b[:n])
		s.mu.Unlock()
		if err != nil {
			s.errs <- err
			return
		}
	}
}

func (s *counter) text() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.read.String()
}

const protectPolicy = `
[modes]
default = "discover"
web = "protect"
[[groups]]
name = "web"
match = ["name=wweb*"]
[[groups]]
name = "shop"
match = ["name=wshop*"]
[[policy]]
id = "shop-to-web"
from = ["shop", "web"]
to = ["web"]
ports = ["tcp/80", "tcp/81"]
protocol = "http"
where = { "http.method" = ["GET"], "http.path" = ["/ok", "/orders/{id}"] }
action = "allow"
undecided = { bytes = 4096, seconds = 2, action = "deny" }
`

// protect starts a daemon with a policy, and waits until the workload is protected.
func (w *town) protect(bin, policy, name string) *daemonProcess {
	w.t.Helper()
	d := startDaemon(w.t, bin, w.host, "")
	d.stop()
	dir := filepath.Join(d.dir, "policy.d")
	if err := os.MkdirAll(dir, 0o750); err != nil {
		w.t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "a.toml"), []byte(policy), 0o600); err != nil {
		w.t.Fatal(err)
	}
	d.replace("[capture]", fmt.Sprintf("policy = %q\n[capture]", dir))
	d.launch(w.host)
	w.eventually("the rules are there", func() bool {
		return w.tables(name) > 0
	})
	return d
}

// tables returns how many tables of rules are in a workload's namespace.
func (w *town) tables(name string) int {
	w.t.Helper()
	return strings.Count(command(w.t, "nsenter", "--net=/run/netns/"+name, "nft", "list", "tables"), "weir")
}

func (w *town) eventually(what string, is func() bool) {
	w.t.Helper()
	for end := time.Now().Add(10 * time.Second); !is(); time.Sleep(10 * time.Millisecond) {
		if time.Now().After(end) {
			w.t.Fatalf("not within 10 s: %s", what)
		}
	}
}

// TestProtect: a workload is protected by a policy: what it allows passes, of what it does not the server gets nothing that matters, and both ends
// know at once.
func TestProtect(t *testing.T) {
	w := newTown(t)
	web, shop := fmt.Sprintf("wweb-%d", os.Getpid()), fmt.Sprintf("wshop-%d", os.Getpid())
	w.workload(web, 2)
	w.workload(shop, 3)
	served := new(atomic.Int64)
	mux := http.NewServeMux()
	mux.HandleFunc("/", func(rw http.ResponseWriter, r *http.Request) {
		served.Add(1)
		io.WriteString(rw, "ok")
	})
	var l net.Listener
	inNamespace(t, web, func() (err error) {
		l, err = net.Listen("tcp", ":80")
		return err
	})
	srv := &http.Server{Handler: mux}
	go srv.Serve(l)
	t.Cleanup(func() { srv.Close() })
	raw := &counter{came: make(chan bool, 100), errs: make(chan error, 100)}
	w.listen(web, ":81", raw.take)
	w.listen(web, ":82", raw.take)
	d := w.protect(buildWeir(t), protectPolicy, web)

	for _, to := range []string{"10.77.0.2", "[fd77::2]"} {
		t.Run("allowed "+to, func(t *testing.T) {
			before := served.Load()
			c := &http.Client{Transport: &http.Transport{DialContext: func(ctx context.Context, network, addr string) (net.Conn, error) { return w.dial(shop, addr) }}}
			for i := range 2000 {
				r, err := c.Get(fmt.Sprintf("http://%s/orders/%d", to, i))
				if err != nil {
					t.Fatalf("request %d: %v\n%s", i, err, d.lines())
				}
				io.Copy(io.Discard, r.Body)
				r.Body.Close()
			}
			if n := served.Load() - before; n != 2000 {
				t.Errorf("%d requests served", n)
			}
			c.CloseIdleConnections()
		})
		t.Run("path "+to, func(t *testing.T) {
			before := served.Load()
			c, err := w.dial(shop, to+":80")
			if err != nil {
				t.Fatal(err)
			}
			defer c.Close()
			fmt.Fprintf(c, "GET /ok HTTP/1.1\r\nHost: a\r\n\r\n")
			r := bufio.NewReader(c)
			if _, err := http.ReadResponse(r, nil); err != nil {
				t.Fatal(err)
			}
			began := time.Now()
			fmt.Fprintf(c, "GET /admin HTTP/1.1\r\nHost: a\r\n\r\n")
			c.SetReadDeadline(time.Now().Add(5 * time.Second))
			if _, err := http.ReadResponse(r, nil); err == nil || errors.Is(err, os.ErrDeadlineExceeded) {
				t.Errorf("the client is not told: %v", err)
			}
			if took := time.Since(began); took > time.Second {
				t.Errorf("the client is told after %s", took)
			}
			if n := served.Load() - before; n != 1 {
				t.Errorf("%d requests served", n)
			}
		})
		t.Run("ssh "+to, func(t *testing.T) {
			c, err := w.dial(shop, to+":81")
			if err != nil {
				t.Fatal(err)
			}
			defer c.Close()
			<-raw.came // else there is nobody to be told
			fmt.Fprintf(c, "SSH-2.0-OpenSSH_9.2\r\n")
			c.SetReadDeadline(time.Now().Add(5 * time.Second))
			if _, err := c.Read(make([]byte, 1)); err == nil || errors.Is(err, os.ErrDeadlineExceeded) {
				t.Errorf("the client is not told: %v", err)
			}
			select {
			case err := <-raw.errs:
				if err == io.EOF {
					t.Errorf("the server thinks that the client is done")
				}
			case <-time.After(5 * time.Second):
				t.Error("the server is not told")
			}
			if got := raw.text(); got != "" {
				t.Errorf("the server has %q", got)
			}
		})
		t.Run("port "+to, func(t *testing.T) {
			began := time.Now()
			if c, err := w.dial(shop, to+":82"); err == nil {
				c.Close()
				t.Error("connected")
			}
			if took := time.Since(began); took > time.Second {
				t.Errorf("the client is told after %s", took)
			}
		})
		t.Run("inside "+to, func(t *testing.T) {
			for _, at := range []string{to, "127.0.0.1"} {
				before := served.Load()
				c, err := w.dial(web, at+":80")
				if err != nil {
					t.Fatal(err)
				}
				fmt.Fprintf(c, "GET /ok HTTP/1.1\r\nHost: a\r\n\r\n")
				r := bufio.NewReader(c)
				c.SetReadDeadline(time.Now().Add(5 * time.Second))
				if _, err := http.ReadResponse(r, nil); err != nil {
					t.Fatal(err)
				}
				fmt.Fprintf(c, "DELETE /ok HTTP/1.1\r\nHost: a\r\n\r\n")
				if _, err := http.ReadResponse(r, nil); err == nil || errors.Is(err, os.ErrDeadlineExceeded) {
					t.Errorf("%s: the client is not told: %v", at, err)
				}
				c.Close()
				if n := served.Load() - before; n != 1 {
					t.Errorf("%s: %d requests served", at, n)
				}
			}
		})
	}
	t.Run("quarantine", func(t *testing.T) {
		if _, text, code := d.weir("quarantine", web, "--allow", "10.77.0.3/tcp/80"); code != 0 {
			t.Fatal(text)
		}
		began := time.Now()
		if c, err := w.dial(shop, "[fd77::2]:80"); err == nil {
			c.Close()
			t.Error("connected")
		}
		if took := time.Since(began); took > 2*time.Second {
			t.Errorf("the client is told after %s", took)
		}
		if c, err := w.dial(shop, "10.77.0.2:80"); err != nil {
			t.Errorf("who is allowed: %v", err)
		} else {
			c.Close()
		}
		if out, _, _ := d.weir("quarantine"); !strings.Contains(out, web) || !strings.Contains(out, "cut off") || !strings.Contains(out, "10.77.0.3") {
			t.Errorf("listed: %s", out)
		}
		if _, text, code := d.weir("quarantine", web, "--lift"); code != 0 {
			t.Fatal(text)
		}
		c, err := w.dial(shop, "[fd77::2]:80")
		if err != nil {
			t.Fatalf("let in again: %v", err)
		}
		c.Close()
	})
	events := d.stop()
	if n := w.tables(web); n > 0 {
		t.Errorf("%d tables are left in the namespace", n)
	}
	blocked, drops := 0, 0
	for line := range strings.Lines(string(events)) {
		if strings.Contains(line, `"event_type":"drop"`) {
			if drops++; !strings.Contains(line, `"drop":{"len":`) || !strings.Contains(line, `"reason":"policy"`) || !strings.Contains(line, `"verdict":{"action":"deny"`) {
				t.Errorf("a drop: %s", line)
			}
		}
		if strings.Contains(line, `"action":"blocked"`) && strings.Contains(line, `"engine":"policy"`) {
			blocked++
		}
		if strings.Contains(line, `"engine":"policy"`) && strings.Contains(line, `"action":"allowed"`) {
			t.Errorf("told as allowed: %s", line)
		}
	}
	if drops != 10 {
		t.Errorf("%d conversations were told as cut off, want 10", drops)
	}
	if blocked != 10 {
		t.Errorf("%d alerts of what was blocked, want 10", blocked)
	}
}
