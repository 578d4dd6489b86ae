package engine

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"weir/alert"
	"weir/budget"
	"weir/dissect"
	"weir/flow"
	"weir/pcapstore"
	"weir/policy"
	"weir/wire"
)

// TestBulkOfHeld: of packets that are held those are kept whole among the recent ones that have to do with a verdict, and of those that only go on with what was let through the beginning.
func TestBulkOfHeld(t *testing.T) {
	set, problems := policy.Parse("policy.toml", []byte(`
[modes]
default = "protect"
[[policy]]
id = "ok"
protocol = "http"
where = { "http.method" = ["POST"], "http.path" = ["/upload"] }
action = "allow"
`), policy.Options{Fields: dissect.FieldNames})
	for _, p := range problems {
		t.Fatal(p)
	}
	law, problems := policy.Compile(set, time.Time{}, FieldNumber, ProtocolNumber)
	for _, p := range problems {
		t.Fatal(p)
	}
	store, err := pcapstore.Open(t.TempDir()+"/pcap", pcapstore.Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { store.Close() })
	budgets := DefaultBudgets(flow.DefaultLimits)
	budgets.Recent, budgets.RecentMost = budget.New(1<<20), 1<<20
	blocked := 0
	e := New(Config{Budgets: budgets, Flow: flow.DefaultLimits, Checksum: flow.ChecksumIgnore, Dissect: dissect.DefaultLimits, Store: store, Post: time.Hour,
		Events: map[string]bool{"alert": true}, Emit: func(ev *alert.Event) {
			if ev.Alert.Action == "blocked" {
				blocked++
			}
		}})
	e.SetPolicy(law)
	k := &talk{lane: e.NewLane(), tap: e.NewTap(TapConfig{Cut: func(*Cut) {}}), seq: [2]uint32{1000, 2000}, now: 1e18, held: true}
	t.Cleanup(k.lane.Free)
	k.tap.resizeRecent(1 << 20)
	k.say(wire.ToServer, 0x02, "")
	k.seq[wire.ToServer]++
	k.say(wire.ToClient, 0x12, "")
	k.seq[wire.ToClient]++
	const size = 10_000
	body := strings.Repeat("x", size)
	post := func(path string, n int) string {
		return fmt.Sprintf("POST %s HTTP/1.1\r\nHost: a\r\nContent-Length: %d\r\n\r\n", path, n)
	}
	k.say(wire.ToServer, 0x18, post("/upload", 4*size)+body)                            // begins
	k.say(wire.ToServer, 0x18, body)                                                    // goes on
	k.say(wire.ToServer, 0x18, body)                                                    // likewise
	k.say(wire.ToServer, 0x18, body+post("/upload", 2*size))                            // ends, and begins
	k.say(wire.ToClient, 0x18, "HTTP/1.1 200 OK\r\nContent-Length: 10000\r\n\r\n"+body) // an answer
	k.say(wire.ToServer, 0x18, body)
	k.say(wire.ToServer, 0x18, body+post("/secret", 2*size)) // the end, and what is denied
	if blocked != 1 {
		t.Errorf("%d alerts of what was blocked", blocked)
	}
	var c pcapstore.RecentCopy
	var got []string
	k.tap.copyRecent(&c)
	c.Frames(func(_ uint64, f *wire.Frame) error {
		what := "whole"
		if len(f.Data) < int(f.Len) {
			what = fmt.Sprint(len(f.Data))
		}
		got = append(got, what)
		return nil
	})
	want := []string{"whole", "whole", "whole", "2048", "2048", "whole", "2048", "2048", "whole"}
	if !slices.Equal(got, want) {
		t.Errorf("kept %v, want %v", got, want)
	}
}
