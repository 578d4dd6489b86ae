package daemon

import (
	"weir/alert"
)

// both writes events to eve.json, and alerts to those who ask over the control socket too.
type both struct {
	eve *alert.File
	log *AlertLog
}

// Write implements alert.Sink.
func (b *both) Write(ev *alert.Event) error {
	if ev.Type == "alert" || ev.Type == "info" {
		line, err := alert.AppendEVE(nil, ev)
		if err != nil {
			return err
		}
		b.log.Add(line)
	}
	return b.eve.Write(ev)
}

// Close implements alert.Sink.
func (b *both) Close() error { return b.eve.Close() }
