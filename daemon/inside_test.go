package daemon

import (
	"bytes"
	"fmt"
	"io"
	"net"
	"os"
	"strings"
	"testing"
	"time"

	"weir/alert"
)

// named makes a network namespace with a name, behind a veth of the box: NAME with 10.7.N.1 there, eth0 with 10.7.N.2 and fd07:N::2 inside.
func namedSpace(t *testing.T, name string, n int) *os.File {
	t.Helper()
	command(t, "ip", "netns", "add", name)
	command(t, "ip", "-n", name, "link", "set", "lo", "up")
	command(t, "ip", "link", "add", "veth-"+name, "type", "veth", "peer", "name", "eth0", "netns", name)
	command(t, "ip", "addr", "add", fmt.Sprintf("10.7.%d.1/24", n), "dev", "veth-"+name)
	command(t, "ip", "link", "set", "veth-"+name, "up")
	command(t, "ip", "-n", name, "addr", "add", fmt.Sprintf("10.7.%d.2/24", n), "dev", "eth0")
	command(t, "ip", "-n", name, "addr", "add", fmt.Sprintf("fd07:%d::2/64", n), "dev", "eth0", "nodad")
	command(t, "ip", "-n", name, "link", "set", "eth0", "up")
	command(t, "ip", "-n", name, "route", "add", "default", "via", fmt.Sprintf("10.7.%d.1", n))
	f, err := os.Open("/run/netns/" + name)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { f.Close() })
	return f
}

// echo answers connections in a namespace with what they say.
func echo(t *testing.T, ns *os.File, addr string) {
	t.Helper()
	in(t, ns, func() error {
		l, err := net.Listen("tcp", addr)
		if err != nil {
			return err
		}
		t.Cleanup(func() { l.Close() })
		go func() {
			for {
				c, err := l.Accept()
				if err != nil {
					return
				}
				go func() {
					io.Copy(c, c)
					c.Close()
				}()
			}
		}()
		return nil
	})
}

// dial connects in a namespace, from a port.
func dialIn(t *testing.T, ns *os.File, from int, addr string) (c net.Conn) {
	t.Helper()
	in(t, ns, func() (err error) {
		d := net.Dialer{LocalAddr: &net.TCPAddr{Port: from}, Timeout: 10 * time.Second}
		c, err = d.Dial("tcp", addr)
		return err
	})
	t.Cleanup(func() { c.Close() })
	return c
}

// say sends something and waits until it has come back.
func say(t *testing.T, c net.Conn, text string) {
	t.Helper()
	if _, err := io.WriteString(c, text); err != nil {
		t.Fatal(err)
	}
	c.SetReadDeadline(time.Now().Add(10 * time.Second))
	if _, err := io.ReadFull(c, make([]byte, len(text))); err != nil {
		t.Fatal(err)
	}
}

// packets returns how many packets of each interface were inspected.
func (d *boxedDaemon) packets() map[string]uint64 {
	d.t.Helper()
	s, err := d.client.Status()
	if err != nil {
		d.t.Fatal(err)
	}
	n := map[string]uint64{}
	for _, i := range s.Interfaces {
		n[i.Name] = i.Packets
	}
	return n
}

// watches waits until a daemon watches exactly these interfaces.
func (d *boxedDaemon) watches(names ...string) {
	d.t.Helper()
	var got []string
	defer func() {
		if d.t.Failed() {
			d.t.Logf("watched are %v", got)
		}
	}()
	until(d.t, fmt.Sprint(names, " to be watched"), func() bool {
		s, err := d.client.Status()
		if err != nil {
			d.t.Fatal(err)
		}
		got = nil
		for _, i := range s.Interfaces {
			got = append(got, i.Name)
		}
		return strings.Join(got, " ") == strings.Join(names, " ")
	})
}

// parse returns the events of a type.
func parse(t *testing.T, eve []byte, typ string) (list []*alert.Event) {
	t.Helper()
	for line := range bytes.Lines(eve) {
		ev, err := alert.ParseEVE(line)
		if err != nil {
			t.Fatal(err)
		}
		if ev.Type == typ {
			list = append(list, ev)
		}
	}
	return list
}

// TestLoopback: what is said on the loopback interfaces of two namespaces, between the same addresses and ports at the same time, is found in
// each, once, and named; that of a namespace's own address, too.
func TestLoopback(t *testing.T) {
	if !box(t, "ip") {
		return
	}
	cart, pay := namedSpace(t, "cart", 1), namedSpace(t, "pay", 2)
	d := startDaemon(t)
	d.watches("veth-cart", "veth-cart/lo", "veth-pay", "veth-pay/lo")
	type talk struct {
		who   string
		ns    *os.File
		conns []net.Conn
	}
	talks := []*talk{{who: "cart", ns: cart}, {who: "pay", ns: pay}}
	to := func(n int) []string {
		return []string{"127.0.0.1:8080", "[::1]:8080", fmt.Sprintf("10.7.%d.2:8081", n), fmt.Sprintf("[fd07:%d::2]:8081", n)}
	}
	for n, x := range talks {
		echo(t, x.ns, ":8080")
		echo(t, x.ns, ":8081")
		for i, addr := range to(n + 1) {
			x.conns = append(x.conns, dialIn(t, x.ns, 40000+i, addr))
		}
	}
	for i := range 4 { // a token in pieces, those of both namespaces in turn
		for _, piece := range []string{"the token is WEIR", "TOKEN-7f", "3a91 and more"} {
			for _, x := range talks {
				say(t, x.conns[i], piece)
			}
		}
	}
	eve := d.stop()
	seen := map[string]int{}
	for _, ev := range parse(t, eve, "alert") {
		if ev.Weir.Src == nil || ev.Weir.Dst == nil || ev.Weir.Src.Name != ev.Weir.Dst.Name || ev.Iface != "veth-"+ev.Weir.Src.Name+"/lo" {
			t.Errorf("on %s from %+v to %+v", ev.Iface, ev.Weir.Src, ev.Weir.Dst)
			continue
		}
		seen[fmt.Sprint(ev.Weir.Src.Name, " ", min(ev.Src.Port(), ev.Dst.Port()), " ", max(ev.Src.Port(), ev.Dst.Port()))]++
	}
	for _, x := range talks {
		for i := range 4 {
			key := fmt.Sprint(x.who, " ", 8080+i/2, " ", 40000+i)
			if seen[key] != 2 { // in the request and in the answer
				t.Errorf("%s: %d alerts, want 2", key, seen[key])
			}
		}
	}
	if len(seen) != 8 {
		t.Errorf("alerts of %v", seen)
	}
	for _, ev := range parse(t, eve, "flow") {
		if ev.Iface == "veth-cart/lo" && ev.Src.Port() == 40000 && (ev.Flow.PktsToServer > 12 || ev.Flow.PktsToServer < 4) {
			t.Errorf("a flow of %d packets to the server: are they taken twice?", ev.Flow.PktsToServer)
		}
	}
}

// TestAttachInside listens on the workloads' ends: each frame is taken there and not on the host's ends, a conversation of two workloads is
// told once.
func TestAttachInside(t *testing.T) {
	if !box(t, "ip") {
		return
	}
	if err := os.WriteFile("/proc/sys/net/ipv4/ip_forward", []byte("1"), 0o644); err != nil {
		t.Fatal(err)
	}
	cart, pay := namedSpace(t, "cart", 1), namedSpace(t, "pay", 2)
	d := startDaemon(t, func(c *Config) { c.Capture.Attach, c.Capture.Loopback = AttachNetns, false })
	d.watches("veth-cart/peer", "veth-pay/peer")
	d.workload(func(w *InterfaceWorkload) bool { return w.Name == "cart" && len(w.Addresses) == 2 })
	d.workload(func(w *InterfaceWorkload) bool { return w.Name == "pay" && len(w.Addresses) == 2 })
	until(t, "the sockets of the hosts' ends to be closed", func() bool {
		b, err := os.ReadFile("/proc/net/packet")
		return err == nil && bytes.Count(b, []byte("\n")) == 1 // the head alone
	})
	echo(t, pay, ":8080")
	before := d.packets()
	say(t, dialIn(t, cart, 40000, "10.7.2.2:8080"), "WEIRTOKEN-7f3a91")
	until(t, "both ends to be read", func() bool { // a daemon that stops reads one after the other
		now := d.packets()
		return now["veth-cart/peer"]-before["veth-cart/peer"] >= 7 && now["veth-pay/peer"]-before["veth-pay/peer"] >= 7
	})
	eve := d.stop()
	alerts := parse(t, eve, "alert")
	for _, ev := range alerts {
		if ev.Weir.Src == nil || ev.Weir.Dst == nil || !strings.HasSuffix(ev.Iface, "/peer") {
			t.Errorf("on %s from %+v to %+v", ev.Iface, ev.Weir.Src, ev.Weir.Dst)
		}
	}
	if len(alerts) != 2 {
		t.Errorf("%d alerts, want one for the request and one for the answer", len(alerts))
	}
	ids := map[uint64]int{}
	for _, ev := range parse(t, eve, "flow") {
		if ev.Dst.Port() == 8080 {
			ids[ev.FlowID]++
		}
	}
	if len(ids) != 1 {
		t.Errorf("flow events of ids %v, want one", ids)
	}
}

// TestAttachAuto: where the host's end shows one direction alone, since answers come another way, the workload's end is listened on.
func TestAttachAuto(t *testing.T) {
	if !box(t, "ip") {
		return
	}
	for _, file := range []string{"conf/all/rp_filter", "conf/default/rp_filter"} {
		if err := os.WriteFile("/proc/sys/net/ipv4/"+file, []byte("0"), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	cart := namedSpace(t, "cart", 1)
	// What goes to the namespace takes another veth, which nobody watches.
	command(t, "ip", "link", "add", "other", "type", "veth", "peer", "name", "eth1", "netns", "cart")
	command(t, "ip", "link", "set", "other", "up")
	command(t, "ip", "-n", "cart", "link", "set", "eth1", "up")
	command(t, "ip", "addr", "add", "10.8.0.1/24", "dev", "other")
	command(t, "ip", "-n", "cart", "addr", "add", "10.8.0.2/24", "dev", "eth1")
	command(t, "ip", "route", "add", "10.7.1.2/32", "via", "10.8.0.2", "dev", "other")
	command(t, "ip", "netns", "exec", "cart", "sh", "-c", "echo 0 >/proc/sys/net/ipv4/conf/all/rp_filter; echo 0 >/proc/sys/net/ipv4/conf/eth1/rp_filter; echo 0 >/proc/sys/net/ipv4/conf/eth0/rp_filter")
	own, err := os.Open("/proc/self/ns/net")
	if err != nil {
		t.Fatal(err)
	}
	defer own.Close()
	echo(t, own, ":8080")
	d := startDaemon(t, func(c *Config) { c.Capture.Loopback = false })
	d.watches("veth-cart")
	for i := range sidedLeast {
		c := dialIn(t, cart, 40000+i, "10.7.1.1:8080")
		for range 10 {
			say(t, c, "hello")
		}
		c.Close()
	}
	d.watches("veth-cart/peer")
	say(t, dialIn(t, cart, 41000, "10.7.1.1:8080"), "WEIRTOKEN-7f3a91")
	eve := d.stop()
	if got := parse(t, eve, "alert"); len(got) != 1 || got[0].Iface != "veth-cart/peer" {
		t.Errorf("%d alerts: %+v", len(got), got)
	}
	told := 0
	for _, ev := range parse(t, eve, "anomaly") {
		if ev.Anomaly.Event == "capture.one_sided" {
			told++
		}
	}
	if told != 1 {
		t.Errorf("the change was told %d times", told)
	}
}

// TestInsideEnds: namespaces come, talk and go, by their names alone. Each really ends, and leaves no descriptor and no memory of rings.
func TestInsideEnds(t *testing.T) {
	if !box(t, "ip") {
		return
	}
	d := startDaemon(t)
	round := func(n int) {
		name := fmt.Sprint("job", n)
		command(t, "ip", "netns", "add", name)
		command(t, "ip", "-n", name, "link", "set", "lo", "up")
		command(t, "ip", "link", "add", "veth-"+name, "type", "veth", "peer", "name", "eth0", "netns", name)
		d.watches("veth-"+name, "veth-"+name+"/lo")
		func() {
			f, err := os.Open("/run/netns/" + name)
			if err != nil {
				t.Fatal(err)
			}
			defer f.Close()
			in(t, f, func() error {
				l, err := net.Listen("tcp", "127.0.0.1:0")
				if err != nil {
					return err
				}
				defer l.Close()
				c, err := net.Dial("tcp", l.Addr().String())
				if err != nil {
					return err
				}
				defer c.Close()
				_, err = io.WriteString(c, "WEIRTOKEN-7f3a91")
				return err
			})
		}()
		command(t, "ip", "netns", "del", name)
		d.watches()
	}
	round(0)
	before := descriptorsOpen(t)
	for n := range 8 {
		round(n + 1)
	}
	until(t, "descriptors to be closed", func() bool { return descriptorsOpen(t) <= before })
	s, err := d.client.Status()
	if err != nil {
		t.Fatal(err)
	}
	if s.Memory.Rings != 0 {
		t.Errorf("%d bytes of rings are left", s.Memory.Rings)
	}
	if got := len(parse(t, d.stop(), "alert")); got != 9 {
		t.Errorf("%d alerts, want 9", got)
	}
}

func descriptorsOpen(t *testing.T) int {
	t.Helper()
	list, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		t.Fatal(err)
	}
	return len(list)
}
