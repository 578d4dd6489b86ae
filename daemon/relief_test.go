package daemon

import (
	"testing"
	"time"

	"weir/capture"
	"weir/wire"
)

func TestRelief(t *testing.T) {
	var r relief
	fat := []wire.Key{{APort: 1}, {APort: 2}}
	now := int64(time.Second)
	step := func(after time.Duration, lost bool, keys []wire.Key, changed bool, out int) {
		t.Helper()
		now += after.Nanoseconds()
		if got := r.step(now, lost, func(n int) []wire.Key { return keys[:min(n, len(keys))] }); got != changed || len(r.out) != out {
			t.Fatalf("after %s: changed %v, %d left out; want %v, %d", after, got, len(r.out), changed, out)
		}
	}
	const often = reliefAfter / 2
	lose := func(keys []wire.Key, changed bool, out int) { // for long enough, but for the last loss nothing is done
		t.Helper()
		before := len(r.out)
		step(2*reliefAfter, true, keys, false, before)
		step(often, true, keys, false, before)
		step(often, true, keys, changed, out)
	}
	step(0, false, fat, false, 0)
	step(0, true, fat, false, 0)             // a burst
	step(2*reliefAfter, true, fat, false, 0) // another one
	lose(nil, false, 0)                      // nothing brings much
	lose(fat[:1], true, 1)
	step(reliefSettle/2, true, fat[1:], false, 1) // lost before
	step(reliefSettle, true, fat[1:], true, 2)
	for range 10 {
		if step(reliefSettle+1, true, fat, true, min(len(r.out)+2, capture.MaxBypass)); len(r.out) == capture.MaxBypass {
			break
		}
	}
	step(reliefSettle+1, true, fat, false, capture.MaxBypass)
	step(reliefLeast, false, fat, true, 0)
	for want := 2 * reliefLeast; want <= 2*reliefMost; want *= 2 { // it is as it was: at once, and longer each time
		step(time.Millisecond, true, nil, false, 0)
		step(time.Millisecond, true, fat, true, 2)
		if want := min(want, reliefMost); r.period != want {
			t.Fatalf("left out for %s, want %s", r.period, want)
		}
		step(r.period, false, fat, true, 0)
	}
	step(reliefMost+1, false, fat, false, 0)
	lose(fat, true, 2)
	if r.period != reliefLeast {
		t.Errorf("after a quiet time left out for %s, want %s", r.period, reliefLeast)
	}
}

// TestReliefClock: times are since the start, whatever the system's clock says.
func TestReliefClock(t *testing.T) {
	d, m := &Daemon{started: time.Now()}, &member{}
	d.relieve(nil, m, nil, nil, d.started.Add(time.Minute), []wire.Frame{{Flag: wire.FlagLoss}})
	if got := time.Duration(m.relief.lost); got != time.Minute {
		t.Errorf("a loss a minute after the start is noted at %s", got)
	}
}
