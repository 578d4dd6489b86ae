package weir_test

import (
	"slices"
	"strings"
	"testing"

	"weir/alert"
	"weir/flow"
)

// carrierNames are the names that are right for what a row of tunnels/labels.csv says is inside, or the carrier itself. The first line whose
// words stand in the row decides.
var carrierNames = []struct {
	words string
	names []string
}{
	{"openvpn", []string{"openvpn"}},
	{"wireguard", []string{"wireguard"}},
	{"protonvpn", []string{"wireguard", "openvpn"}},
	{"tailscale", []string{"tailscale", "wireguard"}},
	{"anyconnect", []string{"tls", "dtls"}},
	{"vmess over tls", []string{"tls"}},
	{"trojan", []string{"tls"}},
	{"ultrasurf", []string{"tls", "ultrasurf"}},
	{"vmess", []string{"vmess"}},
	{"shadowsocks", []string{"shadowsocks"}},
	{"tinc", []string{"tinc"}},
	{"socks", []string{"socks"}},
	{"vxlan", []string{"vxlan"}},
	{"geneve", []string{"geneve"}},
	{"pptp", []string{"gre", "pptp"}},
	{"gre", []string{"gre"}},
	{"gtp", []string{"gtp"}},
	{"4in4", []string{"ipip"}},
	{"4in6", []string{"ipip"}},
	{"6in4", []string{"ipip"}},
	{"6in6", []string{"ipip"}},
	{"dnscrypt", []string{"dnscrypt"}},
	{"doq", []string{"quic", "doq"}},
	{"dns message as an http body", []string{"http2", "http", "dns"}},
	{"doh", []string{"tls", "http2", "doh"}},
	{"dot", []string{"tls", "dot"}},
	{"smb", []string{"smb"}},
	{"http", []string{"http"}},
	{"connect", []string{"http"}},
	{"tls", []string{"tls"}},
}

// TestConformanceTunnels looks for alerts where something hides in something else, for the carrier's name where that is what it is for, and for
// no alert at all in ordinary traffic. Alerts are those that tell of tunnels and violations: a rule that finds a secret finds no tunnel.
func TestConformanceTunnels(t *testing.T) {
	dir := corpus(t)
	rows := table(t, dir+"/tunnels/labels.csv")
	var want []playing
	for _, r := range rows {
		want = append(want, playing{pcap: r["pcap"], mode: flow.ChecksumAuto, rules: true})
	}
	runs := playAll(t, dir, want)
	met, all := map[string]int{}, map[string]int{}
	for i, r := range rows {
		alerts, names := alertsAndNames(runs[want[i]].events)
		var table string
		var ok bool
		switch r["verdict"] {
		case "tunnel", "mismatch", "smuggling":
			table, ok = "tunnels_alerts", slices.ContainsFunc(alerts, func(a string) bool {
				return strings.HasPrefix(a, "threat ") || strings.HasPrefix(a, "protocol ")
			})
		case "benign":
			table, ok = "tunnels_benign", len(alerts) == 0
		case "proxy", "vpn", "encapsulation":
			table, ok = "tunnels_named", carrierNamed(t, r, names)
		default:
			table, ok = "tunnels_carriers", carrierNamed(t, r, names)
		}
		all[table]++
		if ok {
			met[table]++
		} else {
			t.Logf("%s: %s: %s, %s, %s; got alerts: %s; names: %s", r["verdict"], r["pcap"], r["carrier"], r["inside"], r["note"],
				strings.Join(alerts, ", "), strings.Join(names, " "))
		}
	}
	for _, table := range []string{"tunnels_alerts", "tunnels_named", "tunnels_carriers", "tunnels_benign"} {
		score(t, table, met[table], all[table])
	}
}

// alertsAndNames returns what events tell: alerts as "ENGINE RULE", and names of protocols.
func alertsAndNames(events []*alert.Event) (alerts, names []string) {
	for _, ev := range events {
		if ev.Type == "alert" {
			alerts = append(alerts, ev.Weir.Engine+" "+ev.Weir.Rule)
		}
		names = append(append(names, ev.AppProto, ev.AppProtoOrig), ev.Weir.Inside...)
	}
	slices.Sort(alerts)
	slices.Sort(names)
	return slices.Compact(alerts), slices.DeleteFunc(slices.Compact(names), func(n string) bool { return n == "" })
}

// carrierNamed reports whether one of the names is right for a row.
func carrierNamed(t *testing.T, row map[string]string, names []string) bool {
	for _, text := range []string{row["inside"], row["note"], row["carrier"]} {
		for _, c := range carrierNames {
			if strings.Contains(strings.ToLower(text), c.words) {
				return slices.ContainsFunc(c.names, func(n string) bool { return slices.Contains(names, n) })
			}
		}
	}
	t.Fatalf("%s: no names for %q in %q", row["pcap"], row["inside"], row["carrier"])
	return false
}
