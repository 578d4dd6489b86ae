package weir_test

import (
	"cmp"
	"fmt"
	"maps"
	"net/netip"
	"os"
	"slices"
	"strconv"
	"strings"
	"testing"

	"weir/alert"
	"weir/flow"
)

// Working at one protocol: `PROTOCOL=redis go test -v -run ConformanceProtocols .` looks at the rows of that protocol alone. It lists those
// that are missed, and flows of others that were taken for it. Without PROTOCOL, -v lists every miss (of the run with other ports only what
// the first run had right), and what they cost by protocol.

// TestConformanceProtocols compares the names of flows with those that other suites gave them: once as they were captured, and once with every
// port rewritten.
func TestConformanceProtocols(t *testing.T) {
	dir := corpus(t)
	var rows []*protocolRow
	for _, r := range table(t, dir+"/protocols/expected.csv") {
		switch {
		case r["scored"] != "1":
		case !isAddr(r["a_ip"]) || !isAddr(r["b_ip"]):
			t.Logf("left out: %s: no address: %q, %q", r["pcap"], r["a_ip"], r["b_ip"])
		default:
			rows = append(rows, newProtocolRow(t, r))
		}
	}
	missed := map[*protocolRow]bool{}
	var means []float64
	for _, ports := range []bool{false, true} {
		suffix, how := "", playing{mode: flow.ChecksumAuto}
		if ports {
			suffix, how = "_ports", playing{mode: flow.ChecksumIgnore, ports: true}
		}
		var want []playing
		for _, r := range rows {
			how.pcap = r.pcap
			want = append(want, how)
		}
		runs := playAll(t, dir, want)
		named := map[string]*namedFlows{}
		for p, run := range runs {
			named[p.pcap] = newNamedFlows(run.events, p)
		}
		means = append(means, protocolScores(t, rows, named, missed, suffix))
	}
	if lost := means[0] - means[1]; lost > maxPortLoss {
		t.Errorf("with other ports the mean of the core is %.2f points less, at most %.0f are allowed: what is named by its port?", 100*lost, 100*maxPortLoss)
	}
}

// maxPortLoss is how much of the mean may hang on ports.
const maxPortLoss = 0.02

func isAddr(s string) bool {
	_, err := netip.ParseAddr(s)
	return err == nil
}

// protocolScores compares all rows, tells what came of it and returns the mean of the core. missed are the rows that were missed before: they
// are not listed again.
func protocolScores(t *testing.T, rows []*protocolRow, named map[string]*namedFlows, missed map[*protocolRow]bool, suffix string) float64 {
	only := os.Getenv("PROTOCOL")
	core, whole := &captureMean{}, &captureMean{}
	for _, r := range rows {
		got := named[r.pcap].of(r)
		ok := slices.ContainsFunc(r.names, func(n string) bool { return slices.Contains(got, n) })
		mine := only == "" || slices.Contains(r.names, only)
		if mine {
			whole.add(r.pcap, r.wanted(), ok)
			if r.core {
				core.add(r.pcap, r.wanted(), ok)
			}
		}
		if !ok && !missed[r] && (mine || slices.Contains(got, only)) {
			t.Logf("%s: want %s, got %s", r, r.wanted(), strings.Join(got, " "))
		}
		missed[r] = missed[r] || !ok
	}
	if only != "" {
		fmt.Printf("%s%s: %d of %d flows, mean per capture %.2f %%\n", only, suffix, whole.met, whole.all, 100*whole.mean())
		return whole.mean()
	}
	t.Log("protocols_core"+suffix, core.misses())
	t.Log("protocols"+suffix, whole.misses())
	core.score(t, "protocols_core"+suffix)
	whole.score(t, "protocols"+suffix)
	return core.mean()
}

// captureMean is the share of items that are right, by capture, and its mean: no capture weighs more for its many flows.
type captureMean struct {
	met, all int
	of       map[string]*captureShare
}

type captureShare struct {
	met, all int
	missed   map[string]int // by the name wanted
}

func (m *captureMean) add(pcap, wanted string, ok bool) {
	if m.of == nil {
		m.of = map[string]*captureShare{}
	}
	c := m.of[pcap]
	if c == nil {
		c = &captureShare{missed: map[string]int{}}
		m.of[pcap] = c
	}
	c.all++
	m.all++
	if ok {
		c.met++
		m.met++
	} else {
		c.missed[wanted]++
	}
}

func (m *captureMean) mean() float64 {
	sum := 0.0
	for _, pcap := range slices.Sorted(maps.Keys(m.of)) { // floating-point sums are a matter of order
		sum += float64(m.of[pcap].met) / float64(m.of[pcap].all)
	}
	return sum / float64(max(1, len(m.of)))
}

// misses lists what is missed by the name wanted: the points that it costs, and the number of items, the dearest first.
func (m *captureMean) misses() string {
	type miss struct {
		name  string
		cost  float64
		count int
	}
	var list []miss
	for _, pcap := range slices.Sorted(maps.Keys(m.of)) {
		c := m.of[pcap]
		for _, name := range slices.Sorted(maps.Keys(c.missed)) {
			at := slices.IndexFunc(list, func(x miss) bool { return x.name == name })
			if at < 0 {
				at = len(list)
				list = append(list, miss{name: name})
			}
			list[at].cost += 100 * float64(c.missed[name]) / float64(c.all) / float64(len(m.of))
			list[at].count += c.missed[name]
		}
	}
	slices.SortFunc(list, func(a, b miss) int { return cmp.Or(cmp.Compare(b.cost, a.cost), cmp.Compare(a.name, b.name)) })
	var s strings.Builder
	fmt.Fprintf(&s, "%d of %d, mean per capture %.2f %%; missed (points, number):", m.met, m.all, 100*m.mean())
	for _, x := range list {
		fmt.Fprintf(&s, "\n\t%-24s %5.2f %5d", x.name, x.cost, x.count)
	}
	return s.String()
}

// score tells the mean, in hundredths of a percent.
func (m *captureMean) score(t *testing.T, name string) {
	t.Helper()
	score(t, name, int(m.mean()*10000), 10000)
}

// protocolRow is a flow with the names that are right for it.
type protocolRow struct {
	pcap  string
	proto uint8
	a, b  netip.AddrPort
	vlan  string
	names []string
	core  bool
}

func (r *protocolRow) String() string {
	return strings.TrimSpace(fmt.Sprint(r.pcap, " ", r.proto, " ", r.a, " ", r.b, " ", r.vlan))
}

func (r *protocolRow) wanted() string { return strings.Join(r.names, "+") }

// ipProtocols are names of IP protocols in the tables; others are told by number.
var ipProtocols = map[string]uint8{"icmp": 1, "igmp": 2, "tcp": 6, "udp": 17, "esp": 50, "icmpv6": 58, "pim": 103, "vrrp": 112, "pgm": 113, "sctp": 132}

// ipNames are the names of what an IP header carries itself: the member proto of an event tells them.
var ipNames = map[uint8][]string{
	1: {"icmp"}, 2: {"igmp"}, 50: {"esp", "ike"}, 58: {"icmpv6"}, 89: {"ospf"}, 103: {"pim", "ip-pim"}, 112: {"vrrp"}, 113: {"pgm"},
}

func newProtocolRow(t *testing.T, row map[string]string) *protocolRow {
	r := &protocolRow{
		pcap: row["pcap"], vlan: row["vlan"], core: row["tier"] == "core", names: strings.Split(row["protocol"], "+"),
		a: endOf(t, row["a_ip"], row["a_port"]), b: endOf(t, row["b_ip"], row["b_port"]),
	}
	proto, ok := ipProtocols[row["l4"]]
	if !ok {
		n, err := strconv.ParseUint(row["l4"], 10, 8)
		if err != nil {
			t.Fatalf("expected.csv: unknown protocol %q", row["l4"])
		}
		proto = uint8(n)
	}
	r.proto = proto
	return r
}

// flowEnds are what flows of a capture are found by: the ends in order. Only TCP, UDP and SCTP have ports.
type flowEnds struct {
	proto uint8
	a, b  netip.AddrPort
}

func newFlowEnds(proto uint8, a, b netip.AddrPort) flowEnds {
	if proto != 6 && proto != 17 && proto != 132 {
		a, b = netip.AddrPortFrom(a.Addr(), 0), netip.AddrPortFrom(b.Addr(), 0)
	}
	a, b = netip.AddrPortFrom(a.Addr().Unmap(), a.Port()), netip.AddrPortFrom(b.Addr().Unmap(), b.Port())
	if a.Compare(b) > 0 {
		a, b = b, a
	}
	return flowEnds{proto, a, b}
}

// namedFlows are the flows of a capture, with every name that events gave them over their life.
type namedFlows struct {
	ports *portMap // nil: ports are as in the tables
	flows map[flowEnds][]*namedFlow
}

type namedFlow struct {
	vlan  []string
	names []string
}

func newNamedFlows(events []*alert.Event, p playing) *namedFlows {
	n := &namedFlows{flows: map[flowEnds][]*namedFlow{}}
	if p.ports {
		n.ports = newPortMap(p.pcap)
	}
	byID := map[uint64]*namedFlow{}
	for _, ev := range events {
		if ev.FlowID == 0 || !ev.Src.IsValid() {
			continue
		}
		f := byID[ev.FlowID]
		if f == nil {
			f = &namedFlow{names: slices.Clone(ipNames[ev.Proto])}
			byID[ev.FlowID] = f
			for _, id := range ev.VLAN {
				f.vlan = append(f.vlan, strconv.Itoa(int(id)))
			}
			ends := newFlowEnds(ev.Proto, ev.Src, ev.Dst)
			n.flows[ends] = append(n.flows[ends], f)
		}
		for _, name := range append([]string{ev.AppProto, ev.AppProtoOrig, ev.AppProtoTS, ev.AppProtoTC}, ev.Weir.Inside...) {
			if name != "" && name != "failed" && !slices.Contains(f.names, name) {
				f.names = append(f.names, name)
			}
		}
	}
	return n
}

// of returns the names of a row's flow. Where several flows had its ends, in one VLAN or one after the other, those in
// its VLAN count, if there are any.
func (n *namedFlows) of(r *protocolRow) (names []string) {
	a, b := r.a, r.b
	if n.ports != nil {
		a, b = netip.AddrPortFrom(a.Addr(), n.ports.to[a.Port()]), netip.AddrPortFrom(b.Addr(), n.ports.to[b.Port()])
	}
	list := n.flows[newFlowEnds(r.proto, a, b)]
	inVLAN := slices.ContainsFunc(list, func(f *namedFlow) bool { return slices.Contains(f.vlan, r.vlan) })
	for _, f := range list {
		if inVLAN && !slices.Contains(f.vlan, r.vlan) {
			continue
		}
		names = append(names, f.names...)
	}
	if len(list) == 0 {
		names = append(names, "(no such flow)")
	}
	slices.Sort(names)
	return slices.Compact(names)
}
