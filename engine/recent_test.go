package engine

import (
	"context"
	"fmt"
	"net/netip"
	"os"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"weir/alert"
	"weir/budget"
	"weir/dissect"
	"weir/dlp"
	"weir/flow"
	"weir/pcapstore"
	"weir/rules"
	"weir/wire"
	"weir/workload"
)

// nobodys is the beginning of a stream that no probe takes for its protocol.
var nobodys = "\x00\x01\x02" + strings.Repeat("some bytes of nobody's protocol ", 200)

// keptTalk is a talk whose tap keeps so many bytes of recent packets, and slices in a store.
func keptTalk(t *testing.T, recent int) (*talk, *pcapstore.Store) {
	t.Helper()
	store, err := pcapstore.Open(t.TempDir()+"/pcap", pcapstore.Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { store.Close() })
	path := t.TempDir() + "/rules.toml"
	if err := os.WriteFile(path, []byte("[[rules]]\nid = \"test.token\"\nregex = 'TOKEN-[0-9]{6}'\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	set, problems := rules.Load([]string{path}, rules.Options{Fields: dissect.FieldNames, Validators: dlp.Validators(), Masks: dlp.Masks()})
	if len(problems) > 0 {
		t.Fatal(problems)
	}
	db, err := dlp.Compile(set, dlp.Options{FingerprintKey: make([]byte, 32)})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(db.Close)
	budgets := DefaultBudgets(flow.DefaultLimits)
	budgets.Recent, budgets.RecentMost = budget.New(int64(recent)), int64(recent)
	e := New(Config{Budgets: budgets, Flow: flow.DefaultLimits, Checksum: flow.ChecksumIgnore, Dissect: dissect.DefaultLimits, Store: store, Post: time.Hour,
		Events: map[string]bool{"alert": true}, Emit: func(*alert.Event) {}})
	e.SetRules(db)
	k := &talk{lane: e.NewLane(), tap: e.NewTap(TapConfig{}), seq: [2]uint32{1000, 2000}, now: 1e18}
	t.Cleanup(k.lane.Free)
	if recent > 0 {
		k.tap.resizeRecent(int64(recent))
	}
	k.say(wire.ToServer, 0x02, "")
	k.seq[wire.ToServer]++
	k.say(wire.ToClient, 0x12, "")
	k.seq[wire.ToClient]++
	k.say(wire.ToServer, 0x10, "")
	return k, store
}

// matching returns how many recent packets meet a query, and holds them to be in the order they came.
func matching(t *testing.T, tap *Tap, query string) (n int) {
	t.Helper()
	q, err := pcapstore.ParseQuery(query, time.Now())
	if err != nil {
		t.Fatal(err)
	}
	var c pcapstore.RecentCopy
	last := int64(0)
	if _, err := tap.Packets(q, []string{"shop/cart"}, &c, func(f *wire.Frame) error {
		if n++; f.Time <= last {
			t.Errorf("%s: a packet of %d after one of %d", query, f.Time, last)
		}
		last = f.Time
		return nil
	}); err != nil {
		t.Fatal(err)
	}
	return n
}

func TestPackets(t *testing.T) {
	k, store := keptTalk(t, 1<<20)
	db := &workload.Workload{Name: "pg-0", Pod: "pg-0", Namespace: "db"}
	k.tap.e.SetWorkloads(workload.NewTable([]workload.Entry{{Workload: db, Addresses: []netip.Addr{netip.MustParseAddr("10.0.0.2")}}}))
	k.say(wire.ToServer, 0x18, nobodys)
	flows := map[uint64]bool{}
	var c pcapstore.RecentCopy
	k.tap.copyRecent(&c)
	c.Frames(func(flow uint64, _ *wire.Frame) error { flows[flow] = true; return nil })
	if len(flows) != 1 || matching(t, k.tap, "rule test.token") != 0 {
		t.Fatalf("flows %v", flows)
	}
	k.say(wire.ToServer, 0x18, "TOKEN-123456 "+nobodys)
	k.say(wire.ToClient, 0x18, nobodys)
	id := k.tap.slices[0].out.ID()
	for query, want := range map[string]int{
		"tcp": 6, "udp": 0, "port 40000": 6, "port 1": 0, "host 10.0.0.1 and net 10.0.0.0/8": 6, "not host 10.0.0.1": 0,
		"workload db/pg-0": 6, "pod db/pg-0": 6, "workload pg-0": 6, "workload shop/cart": 6, "workload web": 0,
		"after 2001-09-09T01:46:40.000004Z": 3, "before 2001-09-09T01:46:40.000004Z": 3, "rule test.token": 6, "alert " + id: 6, "alert 0123456789abcdef": 0,
	} {
		if got := matching(t, k.tap, query); got != want {
			t.Errorf("%s: got %d packets, want %d", query, got, want)
		}
	}
	for flow := range flows {
		if got := matching(t, k.tap, fmt.Sprintf("flow %d", flow)); got != 6 {
			t.Errorf("flow %d: got %d packets, want 6", flow, got)
		}
	}
	key := wire.Key{A: netip.MustParseAddr("::ffff:10.0.0.1").As16(), B: netip.MustParseAddr("::ffff:10.0.0.2").As16(), APort: 40000, BPort: 8080, Proto: 6}
	if got := matching(t, k.tap, fmt.Sprintf("community-id %q", wire.CommunityID(&key, 0))); got != 6 {
		t.Errorf("by Community ID: got %d packets, want 6", got)
	}
	k.lane.Close(k.tap)
	i := theSlice(t, store)
	if i.Meta.Reach != 1e18+1000 || i.Meta.Overwritten != 0 || i.Closing.Packets != 6 || !slices.Contains(i.Meta.Workloads, "db/pg-0") {
		t.Errorf("the slice: %+v", i)
	}
}

func theSlice(t *testing.T, store *pcapstore.Store) pcapstore.Info {
	t.Helper()
	list, err := store.List()
	if err != nil || len(list) != 1 {
		t.Fatalf("%d slices, %v", len(list), err)
	}
	return list[0]
}

// A slice says where it begins if memory does not hold the flow's beginning any more.
func TestSliceReach(t *testing.T) {
	k, store := keptTalk(t, 64<<10)
	for range 200 {
		k.say(wire.ToServer, 0x18, "\x00"+strings.Repeat("x", 1000))
		k.say(wire.ToClient, 0x10, "")
	}
	k.say(wire.ToServer, 0x18, " TOKEN-123456 "+nobodys)
	k.lane.Close(k.tap)
	m := theSlice(t, store).Meta
	c := theSlice(t, store).Closing
	if m.Overwritten == 0 || m.Overwritten+c.Packets != 3+2*200+1 || m.Reach != c.First || m.Reach <= 1e18+3000 {
		t.Errorf("got %+v, %+v", m, c)
	}
	k, store = keptTalk(t, 0) // none are kept
	k.say(wire.ToServer, 0x18, nobodys+" TOKEN-123456 "+nobodys)
	k.lane.Close(k.tap)
	if m := theSlice(t, store).Meta; m.Overwritten != 3 || m.Reach != m.Time {
		t.Errorf("without recent packets: got %+v", m)
	}
}

// A slice ends in time, with packets and without, though the clock was set back meanwhile.
func TestSliceClockSetBack(t *testing.T) {
	for _, quiet := range []bool{true, false} {
		k, _ := keptTalk(t, 4<<20)
		k.say(wire.ToServer, 0x18, "TOKEN-123456 "+nobodys)
		if len(k.tap.slices) != 1 {
			t.Fatalf("%d slices are open, want 1", len(k.tap.slices))
		}
		k.now -= int64(10 * time.Hour)
		for range 10 {
			if k.now += int64(10 * time.Minute); quiet {
				k.lane.Tick(k.tap, k.now)
			} else {
				k.say(wire.ToServer, 0x18, nobodys)
			}
		}
		if len(k.tap.slices) > 0 || k.tap.now > k.now {
			t.Errorf("quiet: %t: %d slices are open, the tap's time is %d ns ahead", quiet, len(k.tap.slices), k.tap.now-k.now)
		}
		k.lane.Close(k.tap)
	}
}

// Packets are read while the tap goes on, and come whole: run with -race.
func TestPacketsMeanwhile(t *testing.T) {
	k, _ := keptTalk(t, 4<<20)
	ctx, cancel := context.WithCancel(context.Background())
	var wg sync.WaitGroup
	wg.Go(func() {
		for n := 0; ctx.Err() == nil; n++ {
			k.say(wire.Dir(n%2), 0x18, "\x00"+strings.Repeat("x", 1+n%1400))
			if n%1000 == 0 {
				k.say(wire.ToServer, 0x18, " TOKEN-123456 "+nobodys)
			}
		}
	})
	var c pcapstore.RecentCopy
	q, _ := pcapstore.ParseQuery("port 8080 and rule test.token", time.Now())
	for range 20 {
		last := int64(0)
		if _, err := k.tap.Packets(q, nil, &c, func(f *wire.Frame) error {
			if f.Time <= last || f.Len != uint32(len(f.Data)) || string(f.Data[12:14]) != "\x08\x00" {
				return fmt.Errorf("a packet of %d after one of %d: % x", f.Time, last, f.Data[:14])
			}
			last = f.Time
			return nil
		}); err != nil {
			t.Error(err)
		}
	}
	cancel()
	wg.Wait()
}
