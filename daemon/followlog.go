package daemon

import (
	"context"
	"errors"
	"os"
	"time"
)

// ours: how often eve.json is looked for. It is missed twice before it is made anew, for who renames it makes the new one, and sends a signal.
const lookForLog = time.Second

// ours: how long a reload waits for eve.json to be opened anew
const reopenMost = 2 * time.Second

// followLog opens eve.json anew when a signal asks for it, and where somebody has renamed or removed it and told nobody: else events would
// go where nobody looks for them. It is alone, for a disk that does not answer may keep it.
func (d *Daemon) followLog(ctx context.Context) {
	tick := time.NewTicker(lookForLog)
	defer tick.Stop()
	missed := false
	for {
		select {
		case <-d.renamed:
			d.reopenLog()
		case <-tick.C:
			astray := d.eve.Astray()
			if astray && missed {
				d.log.Warn("eve.json was renamed or removed: it is made anew", "path", d.conf.Paths.EVE())
				d.reopenLog()
				astray = false
			}
			missed = astray
		case <-ctx.Done():
			return
		}
	}
}

func (d *Daemon) reopenLog() {
	if err := d.eve.Reopen(); err != nil && !errors.Is(err, os.ErrClosed) {
		d.log.Error("reopen", "file", d.conf.Paths.EVE(), "problem", err)
	}
}

// reopenLogSoon is reopenLog for who does not wait for a disk that does not answer. It is opened anew then once that does.
func (d *Daemon) reopenLogSoon() {
	if !d.reopening.CompareAndSwap(false, true) { // what hangs still does that
		return
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		defer d.reopening.Store(false)
		d.reopenLog()
	}()
	select {
	case <-done:
	case <-time.After(reopenMost):
		d.log.Warn("reload: eve.json is opened anew once a write to it comes back", "path", d.conf.Paths.EVE())
	}
}
