package weir_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

// inside runs fn on a thread in a network namespace; the thread ends with it.
func inside(t *testing.T, ns string, fn func() error) {
	t.Helper()
	done := make(chan error, 1)
	go func() {
		runtime.LockOSThread() // never unlocked
		f, err := os.Open(filepath.Join("/run/netns", ns))
		if err == nil {
			defer f.Close()
			err = unix.Setns(int(f.Fd()), unix.CLONE_NEWNET)
		}
		if err == nil {
			err = fn()
		}
		done <- err
	}()
	if err := <-done; err != nil {
		t.Fatalf("in %s: %v", ns, err)
	}
}

// bridged makes a host namespace with a bridge and n workloads on it, WORKLOAD0 with 10.98.0.1, fd98::1 and so on, behind veth0 and so on.
func bridged(t *testing.T, n int) (host string, workloads []string) {
	t.Helper()
	host = fmt.Sprintf("weir-host-%d", os.Getpid())
	add := func(ns string) {
		command(t, "ip", "netns", "add", ns)
		t.Cleanup(func() { command(t, "ip", "netns", "del", ns) })
		command(t, "ip", "-n", ns, "link", "set", "lo", "up")
	}
	add(host)
	command(t, "ip", "-n", host, "link", "add", "br0", "type", "bridge")
	command(t, "ip", "-n", host, "link", "set", "br0", "up")
	for i := range n {
		ns := fmt.Sprintf("weir-load%d-%d", i, os.Getpid())
		workloads = append(workloads, ns)
		add(ns)
		command(t, "ip", "-n", host, "link", "add", fmt.Sprint("veth", i), "type", "veth", "peer", "name", "eth0", "netns", ns)
		command(t, "ip", "-n", host, "link", "set", fmt.Sprint("veth", i), "master", "br0", "up")
		command(t, "ip", "-n", ns, "addr", "add", fmt.Sprintf("10.98.0.%d/24", i+1), "dev", "eth0")
		command(t, "ip", "-n", ns, "addr", "add", fmt.Sprintf("fd98::%d/64", i+1), "dev", "eth0", "nodad")
		command(t, "ip", "-n", ns, "link", "set", "eth0", "up")
	}
	return host, workloads
}

// serveHTTP answers every request at an address in a namespace, until the test ends.
func serveHTTP(t *testing.T, ns, addr string) {
	inside(t, ns, func() error {
		l, err := net.Listen("tcp", addr)
		if err != nil {
			return err
		}
		s := &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			io.Copy(io.Discard, r.Body)
			fmt.Fprint(w, "thanks")
		})}
		go s.Serve(l)
		t.Cleanup(func() { s.Close() })
		return nil
	})
}

// post sends a body over a connection of its own.
func post(t *testing.T, ns, addr, body string) {
	t.Helper()
	inside(t, ns, func() error {
		c, err := net.Dial("tcp", addr)
		if err != nil {
			return err
		}
		defer c.Close()
		if _, err := fmt.Fprintf(c, "POST /orders HTTP/1.1\r\nHost: shop\r\nConnection: close\r\nContent-Length: %d\r\n\r\n%s", len(body), body); err != nil {
			return err
		}
		answer, err := io.ReadAll(c)
		if err == nil && !strings.Contains(string(answer), "thanks") {
			err = errors.New("no answer")
		}
		return err
	})
}

type twinEvent struct {
	Type    string `json:"event_type"`
	SrcPort int    `json:"src_port"`
	FlowID  uint64 `json:"flow_id"`
	Proto   string
	SrcIP   string `json:"src_ip"`
	Weir    struct {
		Src, Dst struct{ Name string }
		Rule     string
	}
}

// TestLiveTwin: what two workloads say to each other is told once, with both named; and inspected all the same where one of the two taps is
// not there, where the source is spoofed, and where nobody knows the workloads.
func TestLiveTwin(t *testing.T) {
	needs(t, "ip")
	bin := buildWeir(t)
	const token = "WEIRTOKEN-7f3a91"
	for _, c := range []struct {
		name    string
		exclude string
		server  string
		named   bool
		spoof   bool
		want    map[string]int
	}{
		{"IPv4", "", "10.98.0.2:80", true, false, map[string]int{"alert": 1, "http": 1, "flow": 1}},
		{"IPv6", "", "[fd98::2]:80", true, false, map[string]int{"alert": 1, "http": 1, "flow": 1}},
		{"the initiator's interface is excluded", "veth0", "10.98.0.2:80", false, false, map[string]int{"alert": 1, "http": 1, "flow": 1}},
		{"the other interface is excluded", "veth1", "10.98.0.2:80", false, false, map[string]int{"alert": 1, "http": 1, "flow": 1}},
		{"another workload takes the initiator's address", "", "10.98.0.2:80", false, true, map[string]int{"alert": 1, "http": 1, "flow": 1}},
	} {
		t.Run(c.name, func(t *testing.T) {
			host, loads := bridged(t, 3)
			d := startDaemon(t, bin, host, liveRules(t), exclude(c.exclude))
			serveHTTP(t, loads[1], c.server)
			from := loads[0]
			if c.spoof { // its own address is gone; the workload table still has it
				from = loads[2]
				command(t, "ip", "-n", loads[0], "link", "set", "eth0", "down")
				command(t, "ip", "-n", from, "addr", "flush", "dev", "eth0")
				command(t, "ip", "-n", from, "addr", "add", "10.98.0.1/24", "dev", "eth0")
			}
			post(t, from, c.server, token)
			until(t, "the alert", func() bool {
				eve, _ := os.ReadFile(d.dir + "/log/eve.json")
				return strings.Contains(string(eve), `"event_type":"alert"`)
			})
			got := map[string]int{}
			ids := map[uint64]bool{}
			for line := range strings.Lines(string(d.stop())) {
				var ev twinEvent
				if err := json.Unmarshal([]byte(line), &ev); err != nil {
					t.Fatalf("eve.json: %v", err)
				}
				if ev.Proto != "TCP" {
					continue
				}
				got[ev.Type]++
				ids[ev.FlowID] = true
				from, to := loads[0], loads[1]
				if ev.Type == "fileinfo" && ev.Weir.Src.Name == to { // the one of the answer comes from the server
					from, to = to, from
				}
				if c.named && (ev.Weir.Src.Name != from || ev.Weir.Dst.Name != to) {
					t.Errorf("%s names %q and %q, want %q and %q", ev.Type, ev.Weir.Src.Name, ev.Weir.Dst.Name, from, to)
				}
			}
			for typ, n := range c.want {
				// An address that two workloads have is nobody's: then both taps may tell what they see, but for the alert.
				if got[typ] != n && !(c.spoof && typ != "alert" && got[typ] == 2*n) {
					t.Errorf("%d events %s, want %d: %v", got[typ], typ, n, got)
				}
			}
			if len(ids) != 1 && !c.spoof {
				t.Errorf("%d flow ids, want one", len(ids))
			}
		})
	}
}

func exclude(iface string) string {
	if iface == "" {
		return ""
	}
	return fmt.Sprintf("exclude = [%q]", iface)
}
