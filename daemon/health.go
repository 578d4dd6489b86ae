package daemon

import (
	"time"
)

// ours
const (
	mostPatience  = 10 * time.Second // ticks come every second
	leastPatience = 2 * time.Second
)

// patience returns how long a tap, a lane or the daemon may take over one piece of work: a third of the watchdog's interval, so that
// what hangs is told before systemd acts.
func patience(watchdog time.Duration) time.Duration {
	if watchdog <= 0 {
		return mostPatience
	}
	return min(mostPatience, max(leastPatience, watchdog/3))
}

// healthy returns what hangs, nil if nothing does: every tap has come back from its ring and the lane that it worked with, or waited for,
// and the daemon has come back from the last news of interfaces. An output that hangs is no reason to start anew: what it does not
// take is counted, and inspection goes on (see outputs).
func (d *Daemon) healthy() error {
	if since := d.since(d.turn.Load()); since > d.patience {
		return hang{"the daemon has not come back from news of an interface", since}
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	for _, t := range d.taps {
		if err := d.served(t); err != nil {
			return err
		}
	}
	for t := range d.ending {
		if err := d.served(t); err != nil {
			return err
		}
	}
	return nil
}

// served returns what hangs of a tap: a ring, or its end. d.mu is held.
func (d *Daemon) served(t *tap) error {
	for _, m := range t.members() {
		if since := d.since(m.seen.Load()); since > d.patience && (!m.folded || t.over) {
			return hang{t.iface.Name + " has not been served", since}
		}
	}
	return nil
}

func (d *Daemon) since(t int64) time.Duration { return time.Since(time.Unix(0, t)) }

// hang is something that does not go on.
type hang struct {
	what  string
	since time.Duration
}

func (h hang) Error() string { return h.what + " for " + h.since.Round(time.Second).String() }

// working is healthy for the watchdog, and logs what it says when that begins and ends. It is called from one goroutine.
func (d *Daemon) working() error {
	err := d.healthy()
	switch {
	case err != nil && !d.hung:
		d.log.Error("hangs: systemd starts it anew if that goes on", "problem", err.Error())
	case err == nil && d.hung:
		d.log.Info("goes on")
	}
	d.hung = err != nil
	return err
}
