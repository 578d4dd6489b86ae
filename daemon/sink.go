package daemon

import (
	"weir/alert"
)

// sink writes events to eve.json, and keeps the last of them for those who ask over the control socket. An event is made a line once.
type sink struct {
	eve            *alert.File
	events, alerts *EventLog
	processes      *processes // nil: nobody asks
	line           []byte
}

// Write implements alert.Sink. The file comes first: what somebody has seen must not be gone after a crash. Who reads the file first, then a
// log, misses nothing.
func (s *sink) Write(ev *alert.Event) error {
	if s.processes != nil {
		s.processes.name(ev)
	}
	line, err := alert.AppendEVE(s.line[:0], ev)
	if err != nil {
		return err
	}
	s.line = line
	err = s.eve.WriteLine(ev, line)
	if ev.Type != "stats" {
		s.events.Add(ev, line)
	}
	if isAlert(ev.Type) {
		s.alerts.Add(ev, line)
	}
	return err
}

func isAlert(typ string) bool { return typ == "alert" || typ == "info" }

// Close implements alert.Sink.
func (s *sink) Close() error { return s.eve.Close() }
