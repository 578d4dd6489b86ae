package daemon

import (
	"fmt"
	"os"
	"testing"
	"time"

	"weir/pcapstore"
)

func TestDays(t *testing.T) {
	for text, want := range map[string]time.Duration{"30d": 30 * 24 * time.Hour, "2w": 14 * 24 * time.Hour, "1h30m": 90 * time.Minute, "0s": 0} {
		var d Duration
		if err := d.UnmarshalText([]byte(text)); err != nil || d.Duration() != want {
			t.Errorf("%s: got %s, %v", text, d, err)
		}
	}
	for _, text := range []string{"", "5", "d", "-1d", "1y"} {
		var d Duration
		if err := d.UnmarshalText([]byte(text)); err == nil {
			t.Errorf("%q: got %s", text, d)
		}
	}
}

// TestRetain has slices of this moment and of a year ago: the old one goes.
func TestRetain(t *testing.T) {
	conf := testConfig(t, "")
	conf.Pcap.Age = Duration(time.Hour)
	store, err := pcapstore.Open(conf.Paths.Pcap(), pcapstore.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer store.Close()
	now := time.Now()
	for name, at := range map[string]time.Time{"0123456789abcdef": now.Add(-365 * 24 * time.Hour), "fedcba9876543210": now} {
		file := conf.Paths.Pcap() + "/" + sliceFile(at, name)
		if err := os.WriteFile(file, nil, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	d := newDaemon(conf, testLog(t))
	d.store = store
	go d.retain(t.Context())
	until(t, "the old one to go", func() bool { return store.Counters().Removed == 1 })
	left, err := os.ReadDir(conf.Paths.Pcap())
	if err != nil || len(left) != 1 || left[0].Name() != sliceFile(now, "fedcba9876543210") {
		t.Errorf("left: %v, %v", left, err)
	}
}

func TestClockWasSet(t *testing.T) {
	for _, c := range []struct {
		clock, passed time.Duration
		want          bool
	}{{time.Minute, time.Minute, false}, {time.Hour, time.Hour, false}, {90 * time.Second, time.Minute, false}, {time.Hour, time.Minute, true}, {-time.Hour, time.Minute, true}} {
		if got := wasSet(c.clock, c.passed); got != c.want {
			t.Errorf("the clock went on by %s in %s: set: %t", c.clock, c.passed, got)
		}
	}
}

// sliceFile is the name of a slice's file: FORMAT.md.
func sliceFile(at time.Time, id string) string {
	return fmt.Sprintf("%016d-%s.pcapng", at.UnixMicro(), id)
}
