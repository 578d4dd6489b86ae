package daemon

import (
	"fmt"
	"time"
)

// outputs watches what leaves the daemon, events and evidence, and logs when one begins to fail and when it works again. Inspection goes
// on meanwhile; what is lost is counted, and told by an event once events are taken again.
type outputs struct {
	d    *Daemon
	seen [numOutputs]uint64    // failures, as counted when they were looked at last
	bad  [numOutputs]time.Time // when it last failed; zero: it works
}

const (
	eventOutput = iota
	sliceOutput
	numOutputs
)

// ours
const (
	stuckAfter = 5 * time.Second  // of one write: the disk does not answer
	wellAfter  = 10 * time.Second // without a failure an output works again
)

// look is called about every second.
func (o *outputs) look() {
	d := o.d
	st := d.store.Counters()
	_, failing := d.eve.Lost()
	o.judge(eventOutput, "events", d.conf.Paths.EVE(), d.queue.Failed()+d.queue.Dropped(), d.queue.Busy(), failing)
	o.judge(sliceOutput, "slices", d.conf.Paths.Pcap(), st.Failed+st.Refused, d.store.Busy(), nil)
}

// judge logs how an output is; err is why it fails, as far as that is known.
func (o *outputs) judge(n int, what, where string, failures uint64, busy time.Duration, err error) {
	failed := failures != o.seen[n]
	o.seen[n] = failures
	now := time.Now()
	switch {
	case failed || busy > stuckAfter:
		if o.bad[n].IsZero() {
			o.d.log.Error("an output fails: inspection goes on", "output", what, "path", where, "problem", why(busy, err))
		}
		o.bad[n] = now
	case !o.bad[n].IsZero() && now.Sub(o.bad[n]) > wellAfter:
		o.bad[n] = time.Time{}
		o.d.log.Info("an output works again", "output", what, "path", where)
	}
}

// why says what is wrong with an output, as far as is known.
func why(busy time.Duration, err error) string {
	switch {
	case busy > stuckAfter:
		return fmt.Sprintf("a write has not come back for %s (is the disk gone?)", busy.Round(time.Second))
	case err != nil:
		return err.Error()
	}
	return "writes fail, or are too slow (is the disk full? weir status)"
}
