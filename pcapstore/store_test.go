package pcapstore

import (
	"errors"
	"fmt"
	"io"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/gopacket/pcapgo"

	"weir/capture"
	"weir/wire"
)

// udp is an Ethernet frame with an empty UDP datagram from 10.0.0.1:1000 to 10.0.0.2:53.
const udp = "\x02\x00\x00\x00\x00\x01\x02\x00\x00\x00\x00\x02\x08\x00" +
	"\x45\x00\x00\x1c\x00\x00\x00\x00\x40\x11\x66\xcf\x0a\x00\x00\x01\x0a\x00\x00\x02" +
	"\x03\xe8\x00\x35\x00\x08\x00\x00"

const second = int64(1e9)

func open(t *testing.T, o Options) *Store {
	t.Helper()
	s, err := Open(filepath.Join(t.TempDir(), "pcap"), o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	return s
}

func testMeta(sec int64) Meta {
	return Meta{
		Alert: fmt.Sprint("alert-", sec), Rule: "pci.pan", Time: sec * second, FlowID: 1<<63 + 5, CommunityID: "1:abc=",
		Src: netip.MustParseAddrPort("10.0.0.1:1000"), Dst: netip.MustParseAddrPort("[2001:db8::1]:53"), Proto: 17,
		Workloads:  []string{"shop/cart", "dns"},
		Interfaces: []capture.Interface{{Name: "veth1", Description: "shop/cart", Link: wire.LinkEthernet}, {Name: "lo", Link: wire.LinkEthernet}},
	}
}

// write makes one slice with n packets.
func write(t *testing.T, s *Store, m Meta, n int) *Slice {
	t.Helper()
	l, err := s.Begin(m)
	if err != nil {
		t.Fatal(err)
	}
	for i := range n {
		if err := l.Add(frame(udp, m.Time+int64(i)), ""); err != nil {
			t.Fatal(err)
		}
	}
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	return l
}

func names(t *testing.T, dir string) string {
	t.Helper()
	list, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	var out []string
	for _, d := range list {
		out = append(out, d.Name())
	}
	return strings.Join(out, " ")
}

func TestSliceReadsBack(t *testing.T) {
	for _, queue := range []int64{0, 1 << 20} {
		t.Run(fmt.Sprint("queue ", queue), func(t *testing.T) {
			s := open(t, Options{App: "weir 1.2", Queue: queue})
			l, err := s.Begin(testMeta(1_700_000_000))
			if err != nil {
				t.Fatal(err)
			}
			at := 1_700_000_000*second + 123_456_789
			tagged := frame(udp, at+1)
			tagged.Flag, tagged.VLAN, tagged.Iface = wire.FlagVLAN|wire.FlagOutgoing, 0x8100602a, 1
			cut := frame(udp[:30], at+2)
			cut.Len = 9000
			for i, f := range []*wire.Frame{frame(udp, at), tagged, cut} {
				if i == 2 {
					l.Lost(0, 7)
				}
				if err := l.Add(f, []string{"pci.pan, critical: 4111********1111", "", ""}[i]); err != nil {
					t.Fatal(err)
				}
			}
			l.Also("alert-2", "other.rule")
			if err := l.Close(); err != nil {
				t.Fatal(err)
			}
			if err := s.Close(); err != nil {
				t.Fatal(err)
			}
			checkFile(t, l.Path(), at)
			checkInfo(t, s.Dir(), l, at)
		})
	}
}

func checkFile(t *testing.T, path string, at int64) {
	f, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	st, _ := f.Stat()
	dir, _ := os.Stat(filepath.Dir(path))
	if got, want := fmt.Sprint(st.Mode(), dir.Mode()), "-rw------- drwx------"; got != want {
		t.Errorf("modes: got %s, want %s", got, want)
	}
	if got, want := filepath.Base(path)[:17], "1700000000000000-"; got != want {
		t.Errorf("name: got %s, want %s", got, want)
	}
	r, err := pcapgo.NewNgReader(f, pcapgo.NgReaderOptions{WantMixedLinkType: true})
	if err != nil {
		t.Fatal(err)
	}
	want := []struct {
		data string
		len  int
		name string
	}{{udp, len(udp), "veth1"}, {udp[:12] + "\x81\x00\x60\x2a" + udp[12:], len(udp) + 4, "lo"}, {udp[:30], 9000, "veth1"}}
	for i, w := range want {
		data, ci, err := r.ReadPacketData()
		if err != nil {
			t.Fatalf("packet %d: %v", i, err)
		}
		iface, _ := r.Interface(ci.InterfaceIndex)
		if string(data) != w.data || ci.Length != w.len || iface.Name != w.name || ci.Timestamp.UnixNano() != at+int64(i) {
			t.Errorf("packet %d: got %x of %d at %d on %s", i, data, ci.Length, ci.Timestamp.UnixNano(), iface.Name)
		}
	}
	if _, _, err := r.ReadPacketData(); err != io.EOF {
		t.Errorf("after the last packet: got %v, want EOF", err)
	}
	iface, _ := r.Interface(0)
	if iface.Statistics.PacketsDropped != 7 {
		t.Errorf("drops of the interface: got %d, want 7", iface.Statistics.PacketsDropped)
	}
	if got := r.SectionInfo().Application; got != "weir 1.2" {
		t.Errorf("application: got %q", got)
	}
}

func checkInfo(t *testing.T, dir string, l *Slice, at int64) {
	v, err := View(dir)
	if err != nil {
		t.Fatal(err)
	}
	defer v.Close()
	for _, id := range []string{l.ID(), "alert-1700000000", "alert-2"} {
		found, err := v.Find(id)
		if err != nil || len(found) != 1 {
			t.Fatalf("Find(%q): got %v, %v", id, found, err)
		}
		i := found[0]
		want := testMeta(1_700_000_000)
		want.Slice, want.Interfaces = l.ID(), nil
		if got, want := fmt.Sprintf("%+v", i.Meta), fmt.Sprintf("%+v", want); got != want {
			t.Errorf("meta: got %s\nwant %s", got, want)
		}
		wantClosing := Closing{Packets: 3, Bytes: uint64(2*len(udp) + 34), First: at, Last: at + 2, Lost: 7,
			Alerts: []string{"alert-2"}, Rules: []string{"other.rule"}}
		if got, want := fmt.Sprintf("%+v", i.Closing), fmt.Sprintf("%+v", wantClosing); got != want || !i.Complete {
			t.Errorf("closing: got %s\nwant %s", got, want)
		}
		if i.Path != l.Path() || i.ID != l.ID() {
			t.Errorf("got %s at %s, want %s at %s", i.ID, i.Path, l.ID(), l.Path())
		}
	}
	if _, err := v.Find("nothing"); !errors.Is(err, ErrNotFound) {
		t.Errorf("Find of nothing: got %v", err)
	}
	if _, err := v.Begin(Meta{}); !errors.Is(err, ErrView) {
		t.Errorf("Begin in a view: got %v", err)
	}
}

func TestWiresharkReadsASlice(t *testing.T) {
	tool, err := exec.LookPath("capinfos")
	if err != nil {
		t.Skip("capinfos is not installed (apt-get install wireshark-common)")
	}
	s := open(t, Options{App: "weir 1.2"})
	l := write(t, s, testMeta(1_700_000_000), 3)
	out, err := exec.Command(tool, "-M", l.Path()).CombinedOutput()
	for _, want := range []string{"Number of packets:   3", "weir 1.2", "Name = veth1", "Description = shop/cart", "Number of stat entries = 1", `{"weir":1,`} {
		if err != nil || !strings.Contains(string(out), want) {
			t.Fatalf("capinfos: %v, no %q in\n%s", err, want, out)
		}
	}
	tool, err = exec.LookPath("tshark")
	if err != nil {
		t.Skip("tshark is not installed (apt-get install tshark)")
	}
	out, err = exec.Command(tool, "-r", l.Path(), "-T", "fields", "-e", "frame.interface_name", "-e", "ip.dst").CombinedOutput()
	if got, want := strings.Count(string(out), "veth1\t10.0.0.2\n"), 3; err != nil || got != want {
		t.Errorf("tshark: %v\n%s", err, out)
	}
}

func TestQuotaRemovesTheOldestButPinned(t *testing.T) {
	s := open(t, Options{Quota: 20_000})
	os.WriteFile(filepath.Join(s.Dir(), "0-notes.pcapng"), make([]byte, 30_000), 0o600)
	first := write(t, s, testMeta(1), 1)
	if err := s.Pin(first.ID(), true); err != nil {
		t.Fatal(err)
	}
	for i := range int64(60) {
		write(t, s, testMeta(2+i), 1)
		if s.Usage() > 20_000 {
			t.Fatalf("usage is %d", s.Usage())
		}
	}
	list, err := s.List()
	if err != nil {
		t.Fatal(err)
	}
	c := s.Counters()
	if int(c.Written-c.Removed) != len(list) || c.Written != 61 || c.Removed == 0 {
		t.Errorf("counters %+v, %d slices left", c, len(list))
	}
	if list[0].ID != first.ID() || !list[0].Pinned || list[len(list)-1].Meta.Alert != "alert-61" {
		t.Errorf("kept from %+v to %+v", list[0], list[len(list)-1])
	}
	if !strings.Contains(names(t, s.Dir()), "0-notes.pcapng") {
		t.Error("a file that is no slice was removed")
	}
}

func TestFullOfPinned(t *testing.T) {
	s := open(t, Options{Quota: 4000})
	var l *Slice
	for s.Usage() < 3000 {
		l = write(t, s, testMeta(s.Usage()), 1)
		if err := s.Pin(l.ID(), true); err != nil {
			t.Fatal(err)
		}
	}
	m := testMeta(9999)
	n, err := s.Begin(m)
	if err != nil {
		t.Fatal(err)
	}
	for range 20 {
		n.Add(frame(udp, 1), "")
	}
	if err := n.Close(); !errors.Is(err, ErrFull) {
		t.Errorf("got %v, want %v", err, ErrFull)
	}
	if got := names(t, s.Dir()); strings.Contains(got, ".part") || s.Counters().Failed != 1 {
		t.Errorf("left behind: %s, %+v", got, s.Counters())
	}
	if err := s.Remove(l.ID()); err != nil {
		t.Fatal(err)
	}
	write(t, s, m, 1)
}

func TestLimits(t *testing.T) {
	s := open(t, Options{MaxOpen: 2, MaxSlice: 1000})
	a, err := s.Begin(testMeta(1))
	if err != nil {
		t.Fatal(err)
	}
	b, _ := s.Begin(testMeta(2))
	if _, err := s.Begin(testMeta(3)); !errors.Is(err, ErrTooManyOpen) {
		t.Errorf("third slice: got %v, want %v", err, ErrTooManyOpen)
	}
	if err := b.Close(); !errors.Is(err, ErrEmpty) {
		t.Errorf("empty slice: got %v, want %v", err, ErrEmpty)
	}
	for range 100 {
		if err := a.Add(frame(udp, 1), ""); err != nil {
			t.Fatal(err)
		}
	}
	if err := a.Close(); err != nil {
		t.Fatal(err)
	}
	found, err := s.Find(a.ID())
	if err != nil {
		t.Fatal(err)
	}
	if c := found[0].Closing; c.Packets+c.NotStored != 100 || c.NotStored == 0 || c.Why != "size of a slice" {
		t.Errorf("closing: %+v", c)
	}
	if got := names(t, s.Dir()); got != filepath.Base(a.Path()) {
		t.Errorf("folder: %s", got)
	}
}

func TestSalvage(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "pcap")
	s, err := Open(dir, Options{})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := Open(dir, Options{}); !errors.Is(err, ErrInUse) {
		t.Errorf("second writer: got %v, want %v", err, ErrInUse)
	}
	l, _ := s.Begin(testMeta(1))
	for i := range 2000 {
		l.Add(frame(udp, second+int64(i)), "")
	}
	s.Begin(testMeta(2)) // nothing of it is on disk
	s.Close()
	// A crash in the middle of a block.
	hidden := filepath.Join(dir, hiddenName(l.name))
	f, err := os.OpenFile(hidden, os.O_APPEND|os.O_WRONLY, 0)
	if err != nil {
		t.Fatal(err)
	}
	st, _ := f.Stat()
	f.WriteString("\x06\x00\x00\x00\x60\x00\x00\x00half a block")
	f.Close()
	s, err = Open(dir, Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	if got := names(t, dir); got != l.name || s.Counters().Saved != 1 || s.Usage() != st.Size() {
		t.Errorf("got %q, %d bytes of %d, %+v", got, s.Usage(), st.Size(), s.Counters())
	}
	found, err := s.Find(l.ID())
	if err != nil || found[0].Complete || found[0].Meta.Alert != "alert-1" {
		t.Errorf("got %+v, %v", found, err)
	}
}

// What cannot be put in order is told: a store that goes on without it would count wrong.
func TestSalvageFails(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "pcap")
	s, err := Open(dir, Options{})
	if err != nil {
		t.Fatal(err)
	}
	l, _ := s.Begin(testMeta(1))
	for i := range 2000 {
		l.Add(frame(udp, second+int64(i)), "")
	}
	s.Close()
	if err := os.Mkdir(filepath.Join(dir, l.name), 0o700); err != nil { // its name is taken
		t.Fatal(err)
	}
	if s, err := Open(dir, Options{}); err == nil {
		s.Close()
		t.Error("got no error")
	}
}

// An existing folder is closed to others only if nobody can be using it for something else.
func TestFolderMode(t *testing.T) {
	for _, c := range []struct {
		name string
		mode os.FileMode
		file bool
		want os.FileMode
	}{
		{"empty", 0o755, false, 0o700},
		{"in use", 0o755, true, 0o755},
		{"like /tmp", 0o777 | os.ModeSticky, false, 0o777 | os.ModeSticky},
	} {
		dir := t.TempDir()
		if err := os.Chmod(dir, c.mode); err != nil {
			t.Fatal(err)
		}
		if c.file {
			os.WriteFile(filepath.Join(dir, "x"), nil, 0o600)
		}
		s, err := Open(dir, Options{})
		if err != nil {
			t.Fatal(err)
		}
		s.Close()
		st, _ := os.Stat(dir)
		if got := st.Mode() &^ os.ModeDir; got != c.want {
			t.Errorf("%s: got %v, want %v", c.name, got, c.want)
		}
	}
}

// Bytes from outside never reach a path, and the file stays readable whatever they are.
func TestHostileMeta(t *testing.T) {
	s := open(t, Options{})
	evil := strings.Repeat("../../\x00\n\xff\"", 20_000)
	m := Meta{Alert: evil, Rule: evil, AppProto: evil, CommunityID: evil, Workloads: []string{evil, evil}, Time: -1 << 63,
		Interfaces: []capture.Interface{{Name: evil, Description: evil}}}
	l, err := s.Begin(m)
	if err != nil {
		t.Fatal(err)
	}
	if err := l.Add(frame(udp, 1<<63-1), evil); err != nil {
		t.Fatal(err)
	}
	for i := range 200 {
		l.Also(fmt.Sprint(i, evil), fmt.Sprint(i, evil))
	}
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	if got := sliceID(names(t, s.Dir())); got != l.ID() {
		t.Errorf("folder: %s", names(t, s.Dir()))
	}
	if list, err := s.List(); err != nil || len(list) != 1 || !list[0].Complete || len(list[0].Closing.Alerts) != maxFurther {
		t.Errorf("got %d slices, %v", len(list), err)
	}
	f, _ := os.Open(l.Path())
	defer f.Close()
	r, err := pcapgo.NewNgReader(f, pcapgo.DefaultNgReaderOptions)
	if err != nil {
		t.Fatal(err)
	}
	if data, _, err := r.ReadPacketData(); err != nil || string(data) != udp {
		t.Errorf("got %x, %v", data, err)
	}
}

func TestReplayGivesTheSameIDs(t *testing.T) {
	dir := t.TempDir()
	var got []string
	for range 2 {
		s, err := Open(dir, Options{})
		if err != nil {
			t.Fatal(err)
		}
		got = append(got, write(t, s, testMeta(1), 1).ID()+write(t, s, testMeta(1), 1).ID())
		if n := s.files.Load(); n != 2 {
			t.Errorf("got %d files, want 2", n)
		}
		s.Close()
	}
	if got[0] != got[1] || got[0][:16] == got[0][16:] {
		t.Errorf("ids: %v", got)
	}
}

func TestAddAllocatesNothing(t *testing.T) {
	s := open(t, Options{Queue: 1}) // everything but the first packet is counted and dropped
	l, _ := s.Begin(testMeta(1))
	f := frame(udp, 1)
	l.Add(f, "")
	if got := testing.AllocsPerRun(1000, func() { l.Add(f, "") }); got != 0 {
		t.Errorf("dropped: got %v allocations, want 0", got)
	}
	l.Close()
	s = open(t, Options{MaxSlice: 1 << 30})
	l, _ = s.Begin(testMeta(1))
	l.Add(f, "")
	if got := testing.AllocsPerRun(1000, func() { l.Add(f, "") }); got != 0 {
		t.Errorf("written: got %v allocations, want 0", got)
	}
	l.Close()
}

func BenchmarkSliceAdd(b *testing.B) {
	s, err := Open(filepath.Join(b.TempDir(), "pcap"), Options{Quota: 1 << 40, MaxSlice: 1 << 39, Queue: 1})
	if err != nil {
		b.Fatal(err)
	}
	s.o.Queue = 1 << 40
	l, err := s.Begin(testMeta(1))
	if err != nil {
		b.Fatal(err)
	}
	l.w.w = io.Discard
	f := &wire.Frame{Data: make([]byte, 1400), Link: wire.LinkEthernet}
	b.SetBytes(1400)
	b.ReportAllocs()
	for b.Loop() {
		l.Add(f, "")
	}
}
