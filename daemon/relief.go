package daemon

import (
	"time"

	"weir/capture"
	"weir/engine"
	"weir/wire"
)

// relief leaves out the flows that bring most of an interface while more comes than can be inspected: else the ring would lose frames of
// all its flows alike, and one bulk transfer would blind Weir to everything else. After a while they are let in again; if that makes the ring
// lose frames, they are left out at once, and for longer. It belongs to a ring's goroutine. Its times are since the daemon started: the system's
// clock may be set back, and a flow must not be left out until that time comes again.
type relief struct {
	out    []wire.Key
	since  int64 // ns: when the last of them was left out
	until  int64 // ns: when they are let in
	period time.Duration
	ended  int64 // ns: when they were let in last

	losing int64 // ns: since when frames have been lost again and again
	lost   int64 // ns: when some were last
}

// ours
const (
	reliefShare  = 4                      // a flow must bring at least 1/reliefShare of the bytes to be left out
	reliefLeast  = time.Second            // for which flows are left out
	reliefMost   = 16 * time.Second       //
	reliefSettle = 300 * time.Millisecond // after which what the ring had lost before has been read
	reliefAfter  = 500 * time.Millisecond // that frames must have been lost for: a burst is over sooner, and costs less than leaving flows out
)

// relieve leaves flows out of a ring that loses frames, or lets them in again, after a block or a tick at now.
func (d *Daemon) relieve(t *tap, m *member, ring *capture.Ring, lane *engine.Lane, now time.Time, frames []wire.Frame) {
	lost := len(frames) > 0 && frames[0].Flag&wire.FlagLoss != 0
	some := len(m.relief.out) > 0
	if !m.relief.step(now.Sub(d.started).Nanoseconds(), lost, func(n int) []wire.Key { return lane.Shed(m.tap, n, reliefShare) }) {
		return
	}
	if !some {
		t.out.begin(t)
	}
	if err := ring.LeaveOut(m.relief.out); err != nil {
		d.log.Warn("flows are not left out", "interface", t.iface.Name, "problem", err)
	}
	if len(m.relief.out) == 0 {
		t.out.end(t)
	}
}

// step is told, with each block, whether the ring lost frames before it. shed chooses up to n flows to leave out. It reports whether r.out
// has changed, so that the ring has to be told.
func (r *relief) step(now int64, lost bool, shed func(n int) []wire.Key) (changed bool) {
	if len(r.out) > 0 && now >= r.until {
		r.out, r.ended = nil, now
		return true
	}
	if !lost {
		return false
	}
	if now-r.lost > reliefAfter.Nanoseconds() {
		r.losing = now
	}
	r.lost = now
	again := r.ended > 0 && now-r.ended < r.period.Nanoseconds() // it is still as it was: no need to wait and see
	if !again && now-r.losing < reliefAfter.Nanoseconds() || len(r.out) > 0 && now-r.since < reliefSettle.Nanoseconds() {
		return false
	}
	keys := shed(capture.MaxBypass - len(r.out))
	if len(keys) == 0 {
		return false
	}
	if len(r.out) == 0 {
		if again {
			r.period = min(2*r.period, reliefMost)
		} else {
			r.period = reliefLeast
		}
	}
	r.out = append(r.out, keys...)
	r.since, r.until = now, now+r.period.Nanoseconds()
	return true
}
