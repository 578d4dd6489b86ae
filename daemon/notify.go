package daemon

import (
	"context"
	"fmt"
	"strings"
	"time"

	sd "github.com/coreos/go-systemd/v22/daemon"
	"golang.org/x/sys/unix"
)

// Notifier tells systemd how the daemon is (sd_notify). Where it was not started by systemd, nothing is told and
// nothing fails.
type Notifier struct {
	send func(state string) // replaced in tests
}

// NewNotifier returns a Notifier for the socket that systemd named.
func NewNotifier() *Notifier {
	return &Notifier{send: func(state string) {
		sd.SdNotify(false, state) // its only error is that nobody listens
	}}
}

// Ready says that start or reload is done.
func (n *Notifier) Ready(status string) { n.send(sd.SdNotifyReady + "\n" + statusLine(status)) }

// Reloading says that a reload has begun; Ready must follow, also if it failed.
func (n *Notifier) Reloading() {
	var t unix.Timespec
	if err := unix.ClockGettime(unix.CLOCK_MONOTONIC, &t); err != nil {
		return
	}
	n.send(fmt.Sprintf("%s\nMONOTONIC_USEC=%d", sd.SdNotifyReloading, t.Nano()/1000))
}

// Stopping says that the daemon is about to end.
func (n *Notifier) Stopping() { n.send(sd.SdNotifyStopping) }

// Status sets the line that systemctl status shows.
func (n *Notifier) Status(text string) { n.send(statusLine(text)) }

// Interval returns the unit's WatchdogSec, 0 if it has none.
func (n *Notifier) Interval() time.Duration {
	interval, err := sd.SdWatchdogEnabled(false)
	if err != nil {
		return 0
	}
	return interval
}

// Watchdog keeps systemd's watchdog quiet until ctx ends, for as long as working returns nil: it says what hangs, and
// is called from one goroutine, a few times in the interval. Once it does not, systemd kills and restarts the daemon. What hangs
// stands in the status, and after it line again. It returns at once where the unit has no WatchdogSec.
func (n *Notifier) Watchdog(ctx context.Context, working func() error, line func() string) {
	interval := n.Interval()
	if interval <= 0 {
		return
	}
	tick := time.NewTicker(interval / 4)
	defer tick.Stop()
	n.watch(ctx, tick.C, working, line)
}

func (n *Notifier) watch(ctx context.Context, tick <-chan time.Time, working func() error, line func() string) {
	for hung := false; ; {
		if err := working(); err != nil {
			hung = true
			n.Status("hangs: " + err.Error())
		} else {
			n.send(sd.SdNotifyWatchdog)
			if hung {
				hung = false
				n.Status(line())
			}
		}
		select {
		case <-ctx.Done():
			return
		case <-tick:
		}
	}
}

// statusLine makes an assignment of one line: a newline would begin another.
func statusLine(text string) string {
	return "STATUS=" + strings.Join(strings.Fields(text), " ")
}
