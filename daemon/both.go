package daemon

import (
	"weir/alert"
)

// both writes events to eve.json, and alerts to those who ask over the control socket too.
type both struct {
	eve *alert.File
	log *AlertLog
}

// Write implements alert.Sink. The file comes first: what somebody has seen must not be gone after a crash.
func (b *both) Write(ev *alert.Event) error {
	err := b.eve.Write(ev)
	if ev.Type != "alert" && ev.Type != "info" {
		return err
	}
	line, lerr := alert.AppendEVE(nil, ev)
	if lerr == nil {
		b.log.Add(line)
	}
	return err // lerr is the file's, too
}

// Close implements alert.Sink.
func (b *both) Close() error { return b.eve.Close() }
