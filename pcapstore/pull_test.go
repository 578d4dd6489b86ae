package pcapstore

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"weir/capture"
	"weir/wire"
)

// line is a packet of a test's slice.
type line struct {
	at      int64 // ns after the store's first second
	iface   uint16
	data    string
	comment string
	lost    uint64
	wire    uint32 // bytes on the wire; 0: all
}

const storeTime = 1_700_000_000 * second

// fill writes one slice, of flow number n.
func fill(t *testing.T, s *Store, n int, rule string, lines ...line) *Slice {
	t.Helper()
	m := testMeta(1_700_000_000 + int64(n))
	m.Rule, m.FlowID, m.CommunityID = rule, uint64(n), fmt.Sprintf("1:%d=", n)
	m.Dst = netip.MustParseAddrPort("10.0.0.2:53")
	m.Workloads = []string{"shop/cart", fmt.Sprint("dns", n)}
	l, err := s.Begin(m)
	if err != nil {
		t.Fatal(err)
	}
	for _, x := range lines {
		if x.lost > 0 {
			l.Lost(x.iface, x.lost)
		}
		f := frame(x.data, storeTime+x.at)
		f.Iface = x.iface
		f.Len = max(x.wire, f.Len)
		if err := l.Add(f, x.comment); err != nil {
			t.Fatal(err)
		}
	}
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	return l
}

// pull returns what Pull wrote, one line for each packet: time, interface, length, comment, loss; then the interfaces' counts.
func pull(t *testing.T, s *Store, query string) (string, PullCounters) {
	t.Helper()
	var b bytes.Buffer
	var q *Query
	if query != "" {
		q = parse(t, query)
	}
	c, err := s.Pull(context.Background(), &b, q, PullOptions{App: "weir 1"})
	if err != nil {
		t.Fatalf("%s: %v", query, err)
	}
	return dump(t, b.Bytes()), c
}

func dump(t *testing.T, file []byte) string {
	t.Helper()
	r := reader{info: &Info{}, f: bytes.NewReader(file), size: int64(len(file))}
	r.scan(nil, 1<<30)
	if r.broken != nil {
		t.Fatal(r.broken)
	}
	var out strings.Builder
	var p stored
	for len(r.index) > 0 {
		if err := r.next(&p); err != nil {
			t.Fatal(err)
		}
		fmt.Fprintf(&out, "%d %s %d/%d %q -%d\n", p.frame.Time-storeTime, r.ifaces[p.frame.Iface].Name, len(p.frame.Data), p.frame.Len, p.note.Comment, p.note.Dropped)
	}
	for _, i := range r.ifaces {
		fmt.Fprintf(&out, "%s (%s) %d -%d\n", i.Name, i.Description, i.received, i.dropped)
	}
	return out.String()
}

func TestPullMerges(t *testing.T) {
	s := open(t, Options{})
	tcp := udp[:23] + "\x06" + udp[24:34] + "\x03\xe8\x00\x50" + strings.Repeat("\x50", 16)
	fill(t, s, 1, "a", line{at: 10, data: udp}, line{at: 30, data: udp, comment: "found", lost: 3}, line{at: 30, data: udp}, line{at: 50, data: udp, iface: 1})
	fill(t, s, 2, "b", line{at: 10, data: udp, iface: 1}, line{at: 20, data: udp, wire: 9000}, line{at: 30, data: tcp}, line{at: 30, data: udp},
		line{at: 50, data: udp, iface: 1, comment: "too"}, line{at: 60, data: udp, iface: 1, lost: 2})
	fill(t, s, 3, "c", line{at: 40, data: udp}, line{at: 35, data: udp})
	for query, want := range map[string]string{
		"": `10 veth1 42/42 "" -0
10 lo 42/42 "" -0
20 veth1 42/9000 "" -0
30 veth1 42/42 "found" -3
30 veth1 42/42 "" -0
30 veth1 54/54 "" -0
35 veth1 42/42 "" -0
40 veth1 42/42 "" -0
50 lo 42/42 "too" -0
60 lo 42/42 "" -2
veth1 (shop/cart) 8 -3
lo () 4 -2
`,
		"tcp": "30 veth1 54/54 \"\" -0\nveth1 (shop/cart) 3 -0\n",
		// What was lost before a packet that is left out is told with the next.
		"rule a and after 2023-11-14T22:13:20.00000004Z": "50 lo 42/42 \"\" -0\nlo () 1 -0\n",
		"rule b and after 2023-11-14T22:13:20.00000006Z": "60 lo 42/42 \"\" -2\nlo () 3 -2\n",
		"workload dns3":             "35 veth1 42/42 \"\" -0\n40 veth1 42/42 \"\" -0\nveth1 (shop/cart) 2 -0\n",
		"flow 3 and host 10.0.0.1":  "35 veth1 42/42 \"\" -0\n40 veth1 42/42 \"\" -0\nveth1 (shop/cart) 2 -0\n",
		"not rule a and not rule b": "35 veth1 42/42 \"\" -0\n40 veth1 42/42 \"\" -0\nveth1 (shop/cart) 2 -0\n",
	} {
		if got, _ := pull(t, s, query); got != want {
			t.Errorf("%s: got\n%s\nwant\n%s", query, got, want)
		}
	}
	if _, c := pull(t, s, ""); c.Twice != 2 || c.Packets != 10 || c.Slices != 3 || c.Looked != 12 || c.Lost != 5 {
		t.Errorf("counters: %+v", c)
	}
}

func TestPullOfOneSliceIsThatSlice(t *testing.T) {
	s := open(t, Options{MaxSlice: 500})
	l := fill(t, s, 1, "a", line{at: 1, data: udp}, line{at: 2, data: udp, comment: "found", lost: 4}, line{at: 3, data: udp}, line{at: 4, data: udp}, line{at: 5, data: udp})
	var b bytes.Buffer
	c, err := s.Pull(context.Background(), &b, Alert(l.ID()), PullOptions{App: ""})
	if err != nil {
		t.Fatal(err)
	}
	want, err := os.ReadFile(l.Path())
	if err != nil || !bytes.Equal(b.Bytes(), want) {
		t.Errorf("%v: got\n%q\nwant\n%q", err, b.Bytes(), want)
	}
	if c.NotStored != 1 {
		t.Errorf("not stored: got %d, want 1", c.NotStored)
	}
}

func TestPullClassic(t *testing.T) {
	s := open(t, Options{})
	fill(t, s, 1, "a", line{at: 1000, data: udp, wire: 100}, line{at: 2000, data: udp, iface: 1})
	var b bytes.Buffer
	if _, err := s.Pull(context.Background(), &b, nil, PullOptions{Format: Pcap}); err != nil {
		t.Fatal(err)
	}
	f, err := capture.NewFile(&b, "pulled")
	if err != nil {
		t.Fatal(err)
	}
	got, err := f.Next()
	if err != nil || len(got) != 2 || got[0].Len != 100 || string(got[1].Data) != udp || got[1].Time != storeTime+2000 {
		t.Errorf("%v: got %v", err, got)
	}
}

func TestPullEmptySaysWhy(t *testing.T) {
	s := open(t, Options{})
	why := func(query string) string {
		t.Helper()
		var b bytes.Buffer
		_, err := s.Pull(context.Background(), &b, parse(t, query), PullOptions{})
		var e *Empty
		if !errors.As(err, &e) || b.Len() > 0 {
			t.Fatalf("%s: got %v, %d bytes", query, err, b.Len())
		}
		return e.Error()
	}
	if got := why("tcp"); !strings.Contains(got, "is empty") || !strings.Contains(got, s.Dir()) {
		t.Errorf("empty store: %s", got)
	}
	fill(t, s, 1, "pci.pan", line{at: 1, data: udp})
	fill(t, s, 2, "other", line{at: second, data: udp}, line{at: 2 * second, data: udp})
	for query, want := range map[string]string{
		"alert 123":                         "no slice has alert 123 (there are 2 slices from 2023-11-14T22:13:20Z to 2023-11-14T22:13:22Z: weir pcap ls shows them)",
		"alert 123 and tcp":                 "no slice has alert 123 (there are 2",
		"rule pci.pam and tcp":              "no slice has rule pci.pam (there are: other, pci.pan)",
		"workload web":                      "no slice has workload web (there are: dns1, dns2, shop/cart)",
		"flow 7":                            "no slice has flow 7 (there are 2 slices",
		"before 2023-11-01":                 "2023-11-01T00:00:00Z is outside the retention: the oldest packet of a slice is from 2023-11-14T22:13:20Z (the oldest",
		"after 2024-01-01 and rule pci.pan": "there is nothing after 2024-01-01T00:00:00Z: the newest packet of a slice is from 2023-11-14T22:13:22Z",
		"rule other and workload dns1":      "none of the 2 slices meets all of the query",
		"tcp":                               "no packet meets the query: 2 slices of 2 and 3 packets were looked at (weir pcap ls shows what there is)",
		"rule other and port 54":            "no packet meets the query: 1 slice of 2 and 2 packets were looked at",
		"not udp":                           "no packet meets the query: 2 slices of 2",
	} {
		if got := why(query); !strings.HasPrefix(got, want) {
			t.Errorf("%s: got %s, want %s", query, got, want)
		}
	}
}

func TestPullOfDamagedSlices(t *testing.T) {
	s := open(t, Options{})
	whole := fill(t, s, 1, "a", line{at: 1, data: udp})
	l := fill(t, s, 2, "b", line{at: 2, data: udp}, line{at: 3, data: udp})
	file, err := os.ReadFile(l.Path())
	if err != nil {
		t.Fatal(err)
	}
	second := strings.LastIndex(string(file), udp)
	if err := os.Truncate(l.Path(), int64(second)); err != nil {
		t.Fatal(err)
	}
	got, c := pull(t, s, "udp")
	if strings.Count(got, "42/42") != 2 || len(c.Damaged) != 1 || !strings.Contains(c.Damaged[0].Error(), l.ID()) {
		t.Errorf("got %+v\n%s", c, got)
	}
	// A slice that the quota removes meanwhile is no error.
	var b bytes.Buffer
	c, err = s.Pull(context.Background(), &b, nil, PullOptions{Progress: func(c *PullCounters) {
		if c.Read == 1 {
			os.Remove(whole.Path()) // the damaged one, whose times are not known, is read first
		}
	}})
	if err != nil || c.Gone != 1 || c.Packets != 1 {
		t.Errorf("got %+v, %v", c, err)
	}
}

func TestPullEndsWithItsContext(t *testing.T) {
	s := open(t, Options{})
	fill(t, s, 1, "a", line{at: 1, data: udp})
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	if _, err := s.Pull(ctx, io.Discard, nil, PullOptions{}); !errors.Is(err, context.Canceled) {
		t.Errorf("got %v", err)
	}
}

func TestSelect(t *testing.T) {
	s := open(t, Options{})
	a := fill(t, s, 1, "a", line{at: 1, data: udp})
	b := fill(t, s, 2, "b", line{at: 5, data: udp}, line{at: 2, data: udp[:23] + "\x06" + udp[24:] + strings.Repeat("\x50", 12)})
	for query, want := range map[string][]string{
		"udp": {a.ID(), b.ID()}, "tcp": {b.ID()}, "rule a": {a.ID()}, "rule a and tcp": nil, "alert " + b.ID(): {b.ID()}, "icmp": nil,
	} {
		got, err := s.Select(context.Background(), parse(t, query))
		var ids []string
		for _, i := range got {
			ids = append(ids, i.ID)
		}
		if err != nil || fmt.Sprint(ids) != fmt.Sprint(want) {
			t.Errorf("%s: got %v, %v, want %v", query, ids, err, want)
		}
	}
}

// TestPullOfEverything compares with the simplest merge: all packets of random slices, sorted.
func TestPullOfEverything(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 2))
	for range 20 {
		s := open(t, Options{})
		want := map[string]int{} // the most that one slice has of each packet
		for n := range 6 {
			var lines []line
			has := map[string]int{}
			for range 1 + rng.IntN(30) {
				x := line{at: int64(rng.IntN(20)), iface: uint16(rng.IntN(2)), data: udp[:40] + string(rune('a'+rng.IntN(2))) + "x"}
				lines = append(lines, x)
				k := fmt.Sprint(x)
				has[k]++
				want[k] = max(want[k], has[k])
			}
			fill(t, s, n, "r", lines...)
		}
		total := 0
		for _, n := range want {
			total += n
		}
		got, c := pull(t, s, "")
		last := 0
		for _, l := range strings.Split(got, "\n")[:c.Packets] {
			var at int
			fmt.Sscan(l, &at)
			if at < last {
				t.Fatalf("out of order:\n%s", got)
			}
			last = at
		}
		if int(c.Packets) != total || int(c.Packets+c.Twice) != int(c.Looked) {
			t.Errorf("got %+v, want %d packets", c, total)
		}
	}
}

func FuzzReader(f *testing.F) {
	var b bytes.Buffer
	w := NewWriter(&b, PcapNG, "weir", new(Meta).line())
	i, _ := w.Interface(capture.Interface{Name: "a", Link: wire.LinkEthernet})
	w.Packet(i, frame(udp, 1), Note{"c", 3})
	w.Packet(i, frame(udp, 0), Note{})
	w.stats[0].Comment = new(Closing).line()
	w.Close()
	f.Add(b.Bytes())
	f.Add(b.Bytes()[:b.Len()-5])
	q := &Query{&node{kind: kindUDP}}
	f.Fuzz(func(t *testing.T, data []byte) {
		for _, q := range []*Query{nil, q} {
			r := reader{info: &Info{}, f: bytes.NewReader(data), size: int64(len(data))}
			r.scan(q, 1<<20)
			var p stored
			for last := int64(0); len(r.index) > 0; last = p.frame.Time {
				if err := r.next(&p); err != nil {
					t.Fatalf("what was read once is not read again: %v", err)
				}
				if p.frame.Time < last {
					t.Fatal("out of order")
				}
			}
		}
	})
}

func TestWiresharkReadsAPull(t *testing.T) {
	tool, err := exec.LookPath("tshark")
	if err != nil {
		t.Skip("tshark is not installed (apt-get install tshark)")
	}
	s := open(t, Options{})
	fill(t, s, 1, "a", line{at: 1, data: udp}, line{at: 3, data: udp, comment: "found here"})
	fill(t, s, 2, "b", line{at: 2, data: udp, iface: 1, wire: 99})
	path := filepath.Join(t.TempDir(), "pulled.pcapng")
	f, err := os.Create(path)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := s.Pull(context.Background(), f, nil, PullOptions{App: "weir 1"}); err != nil {
		t.Fatal(err)
	}
	f.Close()
	out, err := exec.Command(tool, "-r", path, "-T", "fields", "-E", "separator=|",
		"-e", "frame.time_epoch", "-e", "frame.interface_name", "-e", "frame.len", "-e", "frame.comment").Output()
	want := "1700000000.000000001|veth1|42|\n1700000000.000000002|lo|99|\n1700000000.000000003|veth1|42|found here\n"
	if err != nil || string(out) != want {
		t.Errorf("%v: got\n%s\nwant\n%s", err, out, want)
	}
}
