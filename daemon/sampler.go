package daemon

import (
	"fmt"
	"time"

	"weir/alert"
	"weir/engine"
)

// ours
const (
	sampleEvery = time.Second
	rateWindow  = 10 // samples: rates are those of the last 10 s
	dropsEvery  = 10 * time.Second
)

// window holds the last samples of some counters, for their rates.
type window[T any] struct {
	at  [rateWindow]time.Time
	had [rateWindow]T
	n   int // samples ever
}

func (w *window[T]) add(at time.Time, v T) {
	w.at[w.n%rateWindow], w.had[w.n%rateWindow] = at, v
	w.n++
}

// since returns the oldest sample and how long ago it was, in seconds; 0 if there is none yet.
func (w *window[T]) since(now time.Time) (had T, seconds float64) {
	if w.n == 0 {
		return had, 0
	}
	i := 0
	if w.n > rateWindow {
		i = w.n % rateWindow
	}
	return w.had[i], now.Sub(w.at[i]).Seconds()
}

// last returns the newest sample, or a zero one.
func (w *window[T]) last() (had T) {
	if w.n > 0 {
		had = w.had[(w.n-1)%rateWindow]
	}
	return had
}

// perSecond is the rate at which a counter rose.
func perSecond(now, before uint64, seconds float64) float64 {
	if seconds <= 0 || now < before {
		return 0
	}
	return float64(now-before) / seconds
}

// tapSample is what one interface has counted.
type tapSample struct{ packets, drops, freezes, cut uint64 }

// tapWatch is what is remembered of an interface between samples.
type tapWatch struct {
	window[tapSample]
	told   uint64    // drops that were told
	toldAt time.Time // zero: never
}

// losses are what was lost so far, by where.
type losses [len(lossKinds)]uint64

// lossKinds are the ways in which something is lost, as metrics call them, and what it is that is lost there.
var lossKinds = [...]struct{ reason, what string }{
	{"ring", "frames: the kernel's ring was full"},
	{"overload", "frames: of flows that were left out, for an interface brought more than can be inspected"},
	{"cut", "ends of frames: longer than a block of the ring"},
	{"queue", "events: the queue to eve.json was full"},
	{"budget", "holes in streams: the memory for reassembly was used up"},
	{"disk", "packets of slices: a limit or the disk kept them out"},
}

// sampler looks at all counters once a second: for rates, and so that a loss is told soon after it happened.
func (d *Daemon) sampler() (stop func()) {
	quit, done := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(done)
		tick := time.NewTicker(sampleEvery)
		defer tick.Stop()
		next := time.Now().Add(d.conf.Events.Stats.Duration())
		for {
			select {
			case now := <-tick.C:
				d.sample(now)
				d.expireLists(now)
				if every := d.conf.Events.Stats.Duration(); every > 0 && !now.Before(next) {
					next = now.Add(every)
					d.tellStats(now)
				}
			case <-quit:
				return
			}
		}
	}()
	return func() {
		close(quit)
		<-done
	}
}

func (d *Daemon) sample(now time.Time) {
	d.mu.Lock()
	defer d.mu.Unlock()
	sum := d.gone
	for _, t := range d.taps {
		c := t.counters()
		sum.Add(c)
		t.watch.add(now, tapSample{c.Frames, c.Drops, c.Freezes, c.Cut})
		if now.Sub(t.watch.toldAt) >= dropsEvery {
			d.tellDrops(t, c.Drops, now)
		}
	}
	for t := range d.ending {
		sum.Add(t.counters())
	}
	d.lost.add(now, d.losses(&sum))
}

// tellDrops tells that an interface has lost frames, if it has since that was told last. d.mu is held.
func (d *Daemon) tellDrops(t *tap, drops uint64, now time.Time) {
	n := drops - t.watch.told
	if n == 0 {
		return
	}
	t.watch.told, t.watch.toldAt = drops, now
	why := fmt.Sprintf("%d frames were lost before Weir could read them: not inspected, not kept (raise [capture] ring; weir status has the rates)", n)
	d.queue.Put(&alert.Event{Time: now.UnixNano(), Type: "anomaly", Iface: t.iface.Name,
		Anomaly: &alert.Anomaly{Type: "capture", Event: "capture.drops", Layer: "capture", Detail: why},
		Weir:    alert.Weir{Lost: n, DropsBefore: drops}})
}

// losses returns what was lost so far; c is what all taps counted.
func (d *Daemon) losses(c *engine.Counters) losses {
	return losses{c.Drops, c.LeftOut, c.Cut, d.queue.Dropped(), c.Flow.BudgetGaps, d.store.Counters().NotStored}
}

// tellStats writes the event with all counters.
func (d *Daemon) tellStats(now time.Time) {
	s := d.Snapshot()
	d.queue.Put(statsEvent(now.UnixNano(), s.Stats()))
}

// statsEvent is the event with counters, of the daemon and of a replay.
func statsEvent(at int64, stats map[string]any) *alert.Event {
	return &alert.Event{Time: at, Type: "stats", Stats: stats}
}

// Stats returns all that is counted under the names of Suricata's stats event, and Weir's own under "weir".
func (s *Snapshot) Stats() map[string]any {
	out := s.Counters.Stats()
	out["uptime"] = int64(s.Uptime.Seconds())
	own := out["weir"].(map[string]any)
	own["interfaces"] = s.Interfaces
	own["attach_failures"] = sum(s.AttachFailures)
	own["events_dropped"], own["events_failed"] = s.EventsDropped, s.EventsFailed
	own["slices_written"], own["slices_failed"], own["slice_bytes"] = s.Slices, s.SlicesFailed, s.SliceBytes
	own["slice_packets_not_stored"] = s.Drops["disk"]
	own["native_bytes"] = sum(s.Native)
	return out
}

func sum[N int64 | uint64](m map[string]N) (n N) {
	for _, v := range m {
		n += v
	}
	return n
}
