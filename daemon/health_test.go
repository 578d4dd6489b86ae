package daemon

import (
	"log/slog"
	"strings"
	"testing"
	"time"

	"weir/workload"
)

func TestPatience(t *testing.T) {
	for watchdog, want := range map[time.Duration]time.Duration{
		0: mostPatience, 3 * time.Second: leastPatience, 9 * time.Second: 3 * time.Second, 30 * time.Second: mostPatience, time.Hour: mostPatience,
	} {
		if got := patience(watchdog); got != want {
			t.Errorf("WatchdogSec=%s: got %s, want %s", watchdog, got, want)
		}
	}
}

// TestHealthy makes each part stand still in turn. The third tap's interface is gone, and its only ring read to its end: its flows end.
func TestHealthy(t *testing.T) {
	var log strings.Builder
	d := &Daemon{patience: mostPatience, taps: map[tapID]*tap{}, log: slog.New(newJournalHandler(&log))}
	end := &tap{iface: workload.Interface{Name: "veth3"}, member: member{folded: true}}
	d.ending = map[*tap]bool{end: true}
	one, two := tapID{1, hostEnd}, tapID{2, hostEnd}
	d.taps[one], d.taps[two] = &tap{iface: workload.Interface{Name: "veth1"}}, &tap{iface: workload.Interface{Name: "veth2"}}
	now, old := time.Now().UnixNano(), time.Now().Add(-time.Minute).UnixNano()
	for _, c := range []struct {
		turn, one, two, three int64
		over                  bool
		want                  string
	}{
		{now, now, now, now, false, ""},
		{now, now, old, now, false, "veth2 has not been served for 1m0s"},
		{old, now, now, now, false, "the daemon has not come back from news of an interface for 1m0s"},
		{now, now, now, old, false, ""},
		{now, now, now, old, true, "veth3 has not been served for 1m0s"},
		{now, now, now, now, true, ""},
	} {
		d.turn.Store(c.turn)
		d.taps[one].seen.Store(c.one)
		d.taps[two].seen.Store(c.two)
		end.seen.Store(c.three)
		end.over = c.over
		got := ""
		if err := d.working(); err != nil {
			got = err.Error()
		}
		if got != c.want {
			t.Errorf("got %q, want %q", got, c.want)
		}
	}
	if got := strings.Count(log.String(), "<3>msg=\"hangs"); got != 2 || !strings.HasSuffix(log.String(), "<6>msg=\"goes on\"\n") {
		t.Errorf("log:\n%s", log.String())
	}
}
