package daemon

import (
	"context"
	"time"
)

// ours
const (
	retainMost  = time.Minute // between two looks for slices that are too old; a tenth of what they may be if that is less
	retainLeast = time.Second //
	clockSet    = time.Minute // that the system's clock and the time that passes differ by: it was set
	clockTrust  = time.Hour   // until a clock that was set is believed: a wrong one must not cost all evidence
)

// retain removes slices that are older than the configuration has them be. It is alone, for a disk that does not answer may keep it.
func (d *Daemon) retain(ctx context.Context) {
	age := d.conf.Pcap.Age.Duration()
	if age == 0 {
		return
	}
	tick := time.NewTicker(min(max(age/10, retainLeast), retainMost))
	defer tick.Stop()
	last, trusted := time.Now(), time.Time{}
	for {
		now := time.Now()
		if wasSet(now.Round(0).Sub(last.Round(0)), now.Sub(last)) {
			trusted = now.Add(clockTrust)
			d.log.Warn("the clock was set: slices are not removed for their age for a while", "for", clockTrust)
		}
		if last = now; !now.Before(trusted) {
			n, err := d.store.Expire(now.Add(-age))
			if err != nil {
				d.log.Error("slices are not removed for their age", "path", d.store.Dir(), "problem", err)
			}
			if n > 0 {
				d.log.Info("slices were removed for their age", "slices", n, "age", age)
			}
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return
		}
	}
}

// wasSet reports whether the system's clock went on by much more or less than the time that has passed.
func wasSet(clock, passed time.Duration) bool { return (clock - passed).Abs() > clockSet }
