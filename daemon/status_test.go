package daemon

import (
	"flag"
	"os"
	"strings"
	"testing"
	"time"
)

var update = flag.Bool("update", false, "rewrite the expected output")

func testStatus() Status {
	at := time.Date(2025, 1, 2, 3, 4, 5, 0, time.UTC)
	return Status{
		Version: "1.2.3", Started: at, Ready: true, Config: "/etc/weir/weir.toml", Rules: 311, RulesLoaded: at.Add(26 * time.Hour),
		Interfaces: []InterfaceStatus{
			{Name: "veth12ab", Workload: "shop/cart", Who: WorkloadStatus{ID: "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef", Name: "cart",
				Pod: "cart-0", Namespace: "shop", Image: "example.org/cart:1"}, Packets: 1000, Drops: 10, Freezes: 1, Flows: 7, PacketsPerSecond: 123.4, DropsPerSecond: 0.5, FreezesPerSecond: 0.1,
				RecentSince: at.Add(26 * time.Hour)},
			{Name: "vethevil", Workload: "x\x1b[2J\u009b", Packets: 5},
			{Name: "veth0"},
		},
		Memory: MemoryStatus{Taken: 330 << 20, Go: 300 << 20, Rings: 24 << 20, Hyperscan: 1500 << 10, Recent: 64 << 20, Inspect: 3 << 20, Held: 640 << 10, Budget: 1 << 30},
		Slices: SlicesStatus{Dir: "/var/lib/weir/pcap", Bytes: 12345678, Quota: 10 << 30, Free: 99 << 30, Written: 5, Failed: 1, Refused: 2, NotStored: 3, Removed: 4},
		Events: EventsStatus{Path: "/var/log/weir/eve.json", Alerts: 8, HeldBack: 9, Dropped: 10, Failed: 11},
		Gates: GatesStatus{Protected: 3, NotProtected: 1, Quarantined: 2, Rules: 4, Memory: 5 << 20,
			GateStatus: GateStatus{Packets: 1000, Waiting: 6, Dropped: 70, Missed: 8, Undecided: 9, Denied: 10, Hangs: 11}},
		Lost:         []LossStatus{{"ring", "frames", 10, 0.5, 0.99}, {"disk", "packets of slices", 3, 0, 0}},
		NotWatched:   []NotWatched{{"veth7", "permission denied (run as root)"}},
		NotInspected: []NotInspected{{"tls", 12, 9 << 20}, {"budget", 1, 100}},
		Warnings:     []string{"veth9: no permission (run as root)"},
	}
}

func TestStatusTable(t *testing.T) {
	for _, c := range []struct {
		file string
		s    Status
	}{
		{"testdata/status.txt", testStatus()},
		{"testdata/status_empty.txt", Status{Version: "1.2.3", Started: time.Date(2025, 1, 3, 6, 0, 0, 0, time.UTC)}},
	} {
		var b strings.Builder
		c.s.normalise()
		if err := c.s.WriteTable(&b, time.Date(2025, 1, 3, 6, 30, 7, 0, time.UTC)); err != nil {
			t.Fatal(err)
		}
		if *update {
			if err := os.WriteFile(c.file, []byte(b.String()), 0o644); err != nil {
				t.Fatal(err)
			}
		}
		want, err := os.ReadFile(c.file)
		if err != nil {
			t.Fatal(err)
		}
		if got := b.String(); got != string(want) {
			t.Errorf("%s:\n%s\nwant\n%s", c.file, got, want)
		}
	}
}

func TestAge(t *testing.T) {
	now := time.Date(2025, 1, 2, 3, 4, 5, 0, time.UTC)
	for _, c := range []struct {
		d    time.Duration
		want string
	}{{0, "0s"}, {59900 * time.Millisecond, "59s"}, {61 * time.Second, "1m"}, {59*time.Minute + 59*time.Second, "59m"}, {time.Hour, "1h0m"}, {47*time.Hour + time.Minute, "47h1m"}, {50 * time.Hour, "2d"}} {
		if got := age(now, now.Add(-c.d)); got != c.want {
			t.Errorf("%v: got %s, want %s", c.d, got, c.want)
		}
	}
}
