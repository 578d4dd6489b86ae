package daemon

import (
	"os"
	"strings"
	"testing"
	"time"

	"weir/alert"
	"weir/workload"
)

func TestWindow(t *testing.T) {
	var w window[uint64]
	at := time.Unix(1000, 0)
	if _, seconds := w.since(at); seconds != 0 {
		t.Errorf("no sample yet: %v s", seconds)
	}
	for n := range 30 {
		w.add(at.Add(time.Duration(n)*time.Second), uint64(100*n))
		now := at.Add(time.Duration(n)*time.Second + 500*time.Millisecond)
		before, seconds := w.since(now)
		if want := float64(min(n, rateWindow-1)) + 0.5; seconds != want {
			t.Errorf("after %d samples: %v s, want %v", n+1, seconds, want)
		}
		if got := perSecond(uint64(100*n+50), before, seconds); got != 100 {
			t.Errorf("after %d samples: %v per second, want 100", n+1, got)
		}
	}
	if got := perSecond(5, 10, 1) + perSecond(5, 1, 0); got != 0 {
		t.Errorf("a counter that went back, and no time: got %v", got)
	}
}

// collect is a sink that keeps events.
type collect struct{ got []*alert.Event }

func (c *collect) Write(ev *alert.Event) error { c.got = append(c.got, ev); return nil }
func (c *collect) Close() error                { return nil }

// A loss is told with its number, and only if there is more than was told.
func TestTellDrops(t *testing.T) {
	out := &collect{}
	d := &Daemon{queue: alert.NewQueue(out, true)}
	x := &tap{iface: workload.Interface{Name: "veth1"}}
	now := time.Unix(1000, 0)
	for _, drops := range []uint64{0, 5, 5, 12} {
		d.tellDrops(x, drops, now)
		now = now.Add(time.Second)
	}
	d.queue.Close()
	if len(out.got) != 2 {
		t.Fatalf("%d events, want 2", len(out.got))
	}
	ev := out.got[1]
	if ev.Type != "anomaly" || ev.Anomaly.Event != "capture.drops" || ev.Iface != "veth1" || ev.Weir.Lost != 7 || ev.Weir.DropsBefore != 12 || !strings.HasPrefix(ev.Anomaly.Detail, "7 frames were lost") {
		t.Errorf("got %+v, %+v", ev, ev.Anomaly)
	}
	if now.Sub(x.watch.toldAt) >= dropsEvery {
		t.Error("it is not remembered when it was told")
	}
}

// What the live stats event has beside what a replay has is documented.
func TestDocsStats(t *testing.T) {
	text, err := os.ReadFile("../docs/events.md")
	if err != nil {
		t.Fatal(err)
	}
	for name, group := range (&Snapshot{}).Stats() {
		members, ok := group.(map[string]any)
		if !ok {
			members = map[string]any{"": nil}
		}
		for m := range members {
			if full := strings.TrimSuffix(name+"."+m, "."); !strings.Contains(string(text), "`"+full+"`") {
				t.Errorf("docs/events.md: no row for %s", full)
			}
		}
	}
}
