package daemon

import (
	"net/netip"
	"os"
	"testing"

	"weir/workload"
)

// TestTranslated: what is said to a service's address is named by the workload behind it, which the host's connection table tells; and the
// client by itself where the host speaks for it.
func TestTranslated(t *testing.T) {
	if !box(t, "ip", "nft") {
		return
	}
	if err := os.WriteFile("/proc/sys/net/ipv4/ip_forward", []byte("1"), 0o644); err != nil {
		t.Fatal(err)
	}
	cart, pay := namedSpace(t, "cart", 1), namedSpace(t, "pay", 2)
	for _, rule := range []string{
		"add table ip nat", "add chain ip nat pre { type nat hook prerouting priority -100; }", "add chain ip nat post { type nat hook postrouting priority 100; }",
		"add rule ip nat pre ip daddr 10.96.0.10 tcp dport 80 dnat to 10.7.2.2:8080", "add rule ip nat post ip saddr 10.7.1.2 masquerade",
	} {
		command(t, "nft", rule)
	}
	d := startDaemon(t)
	for _, name := range []string{"cart", "pay"} {
		d.workload(func(w *InterfaceWorkload) bool { return w.Name == name && len(w.Addresses) == 2 })
	}
	echo(t, pay, ":8080")
	var known workload.Translations // as the daemon is told: what is said before that goes by other names
	if err := workload.WatchTranslations(t.Context(), &known, func() { t.Error("a translation was missed") }); err != nil {
		t.Fatal(err)
	}
	c := dialIn(t, cart, 40000, "10.96.0.10:80")
	until(t, "the translation", func() bool {
		_, ok := known.Other(workload.Tuple{Proto: 6, From: netip.MustParseAddrPort("10.7.1.2:40000"), To: netip.MustParseAddrPort("10.96.0.10:80")})
		return ok
	})
	say(t, c, "WEIRTOKEN-7f3a91")
	eve := d.stop()
	ports := map[uint16]int{}
	for _, ev := range parse(t, eve, "alert") {
		from, to := ev.Weir.Src, ev.Weir.Dst
		if from == nil || to == nil {
			t.Errorf("on %s from %v %+v to %v %+v", ev.Iface, ev.Src, from, ev.Dst, to)
			continue
		}
		if ev.Src.Port() == 80 || ev.Src.Port() == 8080 { // an alert of the answer goes the other way
			from, to = to, from
		}
		if from.Name != "cart" || to.Name != "pay" {
			t.Errorf("on %s from %v %s to %v %s", ev.Iface, ev.Src, from.Name, ev.Dst, to.Name)
		}
		if ev.Iface == "veth-cart" && (to.Address != "10.7.2.2:8080" || from.Address != "" || to.Service != "") ||
			ev.Iface == "veth-pay" && (from.Address != "10.7.1.2:40000" || to.Address != "" || to.Service != "10.96.0.10:80") {
			t.Errorf("on %s: addresses behind the event's: %q, %q, service %q", ev.Iface, from.Address, to.Address, to.Service)
		}
		ports[min(ev.Src.Port(), ev.Dst.Port())]++
	}
	if n := ports[80] + ports[8080]; n != 2 {
		t.Errorf("alerts by port of the server: %v, want one of what was said and one of the answer", ports)
	}
	told := 0
	for _, ev := range parse(t, eve, "flow") {
		if ev.Proto == 6 { // the interfaces' own ICMPv6 may come while they are watched
			told++
		}
	}
	if told != 1 {
		t.Errorf("the conversation was told %d times", told)
	}
}
