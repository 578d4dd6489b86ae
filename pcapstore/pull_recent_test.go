package pcapstore

import (
	"bytes"
	"context"
	"errors"
	"net/netip"
	"os"
	"strings"
	"testing"

	"weir/wire"
)

// inMemory is a capture of recent packets, as the daemon hands it out: one interface after the other.
func inMemory(t *testing.T, lines ...line) PullOptions {
	t.Helper()
	var b bytes.Buffer
	w := NewWriter(&b, PcapNG, "weir 1", "recent")
	for _, name := range []string{"veth1", "lo"} {
		for _, x := range lines {
			if name != testMeta(1).Interfaces[x.iface].Name {
				continue
			}
			i, err := w.Interface(testMeta(1).Interfaces[x.iface])
			if err != nil {
				t.Fatal(err)
			}
			if err := w.Packet(i, frame(x.data, storeTime+x.at), Note{}); err != nil {
				t.Fatal(err)
			}
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return PullOptions{App: "weir 1", Recent: bytes.NewReader(b.Bytes()), RecentSize: int64(b.Len())}
}

func pullWith(t *testing.T, s *Store, query string, o PullOptions) (string, PullCounters) {
	t.Helper()
	var b bytes.Buffer
	c, err := s.Pull(context.Background(), &b, parse(t, query), o)
	if err != nil {
		t.Fatalf("%s: %v", query, err)
	}
	return dump(t, b.Bytes()), c
}

// Packets in memory come between those of slices, and once only.
func TestPullRecent(t *testing.T) {
	s := open(t, Options{})
	fill(t, s, 1, "a", line{at: 10, data: udp}, line{at: 30, data: udp, comment: "found"}, line{at: 50, data: udp, iface: 1})
	o := inMemory(t, line{at: 5, data: udp, iface: 1}, line{at: 30, data: udp}, line{at: 30, data: udp + "x"}, line{at: 40, data: udp}, line{at: 50, data: udp, iface: 1}, line{at: 50, data: udp})
	want := `5 lo 42/42 "" -0
10 veth1 42/42 "" -0
30 veth1 42/42 "found" -0
30 veth1 43/43 "" -0
40 veth1 42/42 "" -0
50 lo 42/42 "" -0
50 veth1 42/42 "" -0
lo () 3 -0
veth1 (shop/cart) 6 -0
`
	got, c := pullWith(t, s, "udp", o)
	if got != want || c.Packets != 7 || c.Recent != 4 || c.Twice != 2 || c.Read != 1 || c.Open != 0 {
		t.Errorf("got %+v\n%s\nwant\n%s", c, got, want)
	}
	// Without any slice too.
	s = open(t, Options{})
	if got, c := pullWith(t, s, "udp", inMemory(t, line{at: 2, data: udp}, line{at: 1, data: udp, iface: 1})); c.Recent != 2 || !strings.HasPrefix(got, "1 lo") {
		t.Errorf("got %+v\n%s", c, got)
	}
	o = inMemory(t, line{at: 2, data: udp})
	o.RecentSize -= 9 // the daemon died over it
	if _, err := s.Pull(context.Background(), &bytes.Buffer{}, parse(t, "udp"), o); err == nil {
		t.Error("an answer that is cut short is taken for whole")
	}
}

// A slice that is still being written is read as far as it is on disk, and the rest comes from memory.
func TestPullOfAnOpenSlice(t *testing.T) {
	s := open(t, Options{})
	m := testMeta(1_700_000_000)
	m.Reach, m.Overwritten = storeTime+1, 3
	l, err := s.Begin(m)
	if err != nil {
		t.Fatal(err)
	}
	add := func(at int64, comment string) {
		if err := l.Add(frame(udp, storeTime+at), comment); err != nil {
			t.Fatal(err)
		}
	}
	add(1, "")
	add(2, "found") // it is on disk with all before it
	add(3, "")      // in the writer's buffer
	query := "alert " + l.ID()
	got, c := pullWith(t, s, query, PullOptions{})
	if want := "1 veth1 42/42 \"\" -0\n2 veth1 42/42 \"found\" -0\nveth1 (shop/cart) 2 -0\n"; got != want || c.Open != 1 || len(c.Damaged) != 0 {
		t.Errorf("got %+v\n%s\nwant\n%s", c, got, want)
	}
	if found, err := s.Select(context.Background(), parse(t, query)); err != nil || len(found) != 1 || !found[0].Open || found[0].ID != l.ID() {
		t.Errorf("listed: %+v, %v", found, err)
	}
	got, c = pullWith(t, s, query, inMemory(t, line{at: 2, data: udp}, line{at: 3, data: udp}))
	if want := "1 veth1 42/42 \"\" -0\n2 veth1 42/42 \"found\" -0\n3 veth1 42/42 \"\" -0\nveth1 (shop/cart) 3 -0\n"; got != want || c.Recent != 1 || c.Packets != 3 {
		t.Errorf("with memory: got %+v\n%s\nwant\n%s", c, got, want)
	}
	// A block that is written in part.
	part := s.Dir() + "/" + hiddenName(l.name)
	f, err := os.OpenFile(part, os.O_APPEND|os.O_WRONLY, 0)
	if err != nil {
		t.Fatal(err)
	}
	f.Write([]byte{6, 0, 0, 0, 100, 0, 0, 0, 1})
	f.Close()
	if _, c := pullWith(t, s, query, PullOptions{}); c.Packets != 2 || len(c.Damaged) != 0 {
		t.Errorf("with half a block: got %+v", c)
	}
	// What is pulled says of itself that it was not complete, and neither is it removed nor listed.
	var b bytes.Buffer
	if _, err := s.Pull(context.Background(), &b, parse(t, query), PullOptions{App: "weir 1"}); err != nil {
		t.Fatal(err)
	}
	var i Info
	if !readInfo(bytes.NewReader(b.Bytes()), int64(b.Len()), &i) || i.Closing.Why != "it was still being written" || i.Meta.Reach != m.Reach || i.Meta.Overwritten != 3 {
		t.Errorf("got %+v", i)
	}
	if list, err := s.List(); err != nil || len(list) != 0 {
		t.Errorf("an open slice is listed: %v, %v", list, err)
	}
	var e *Empty
	if _, err := s.Pull(context.Background(), &b, parse(t, "before 2023-11-14T22:13:20.000000001Z"), PullOptions{}); !errors.As(err, &e) || !strings.Contains(e.Why, "outside the retention") {
		t.Errorf("before it: %v", err)
	}
}

// One that is finished between the look into the folder and its opening is read under its new name.
func TestPullOfASliceThatIsFinishedMeanwhile(t *testing.T) {
	s := open(t, Options{})
	l, err := s.Begin(testMeta(1_700_000_000))
	if err != nil {
		t.Fatal(err)
	}
	for n := range int64(3) {
		if err := l.Add(frame(udp, storeTime+n+1), "found"); err != nil {
			t.Fatal(err)
		}
	}
	var b bytes.Buffer
	c, err := s.Pull(context.Background(), &b, parse(t, "alert "+l.ID()), PullOptions{Progress: func(*PullCounters) { l.Close() }})
	if err != nil || c.Packets != 3 || c.Open != 0 || c.Gone != 0 {
		t.Errorf("got %+v, %v", c, err)
	}
}

// As a table: when, who, how much, and the comment; nothing of what packets carry, and nothing that commands a terminal.
func TestPullTable(t *testing.T) {
	s := open(t, Options{})
	m := testMeta(1_700_000_000)
	m.Src, m.Severity = netip.MustParseAddrPort("10.0.0.1:1000"), "critical"
	m.Interfaces[0].Name = "veth1\x1b[2J"
	l, err := s.Begin(m)
	if err != nil {
		t.Fatal(err)
	}
	tcp := udp[:16] + "\x00\x38" + udp[18:23] + "\x06" + udp[24:34] + "\x03\xe8\x00\x50" + strings.Repeat("\x00", 8) + "\x50\x18" + strings.Repeat("\x00", 6) + "4929123456789015"
	back := udp[:26] + udp[30:34] + udp[26:30] + udp[36:38] + udp[34:36] + udp[38:]
	l.Add(&wire.Frame{Data: []byte(udp), Time: storeTime - 1_500_000, Len: 42, Link: wire.LinkEthernet}, "")
	l.Lost(0, 7)
	l.Add(&wire.Frame{Data: []byte(tcp), Time: storeTime, Len: 70, Link: wire.LinkEthernet}, "pci.pan: http.request.body 492912******9015\nother: x\x1b]0;y\a")
	l.Add(&wire.Frame{Data: []byte(back), Time: storeTime + 2_000_000_000, Len: 42, Link: wire.LinkEthernet}, "")
	l.Add(&wire.Frame{Data: []byte(strings.Repeat("\xff", 12) + "\x08\x06" + strings.Repeat("\x00", 28)), Time: storeTime + 2_000_000_001, Len: 42, Link: wire.LinkEthernet}, "")
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	var b bytes.Buffer
	if _, err := s.Pull(context.Background(), &b, Alert(l.ID()), PullOptions{Format: Table}); err != nil {
		t.Fatal(err)
	}
	want := `slice ` + l.ID() + `  pci.pan  critical  alert of 2023-11-14 22:13:20.000000, from which seconds are counted; > is from 10.0.0.1:1000
        SECONDS  INTERFACE         FROM > TO                                       PROTOCOL   BYTES PAYLOAD  FLAGS       COMMENT
      -0.001500  veth1?[2J       > 10.0.0.1:1000 > 10.0.0.2:53                     udp           42       0
      +0.000000  veth1?[2J       > 10.0.0.1:1000 > 10.0.0.2:80                     tcp           70      16  PSH,ACK     7 lost before; pci.pan: http.request.body 492912******9015; other: x?]0;y?
      +2.000000  veth1?[2J       < 10.0.0.2:53 > 10.0.0.1:1000                     udp           42       0
      +2.000000  veth1?[2J         -                                               arp           42       -
`
	if got := b.String(); got != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
	b.Reset()
	if _, err := s.Pull(context.Background(), &b, parse(t, "udp"), inMemoryTable(t)); err != nil || !strings.Contains(b.String(), "22:13:20.000000  lo") || !strings.Contains(b.String(), "TIME (UTC)") {
		t.Errorf("of several: %v\n%s", err, b.String())
	}
}

func inMemoryTable(t *testing.T) PullOptions {
	o := inMemory(t, line{at: 5, data: udp, iface: 1})
	o.Format = Table
	return o
}
