package daemon

import (
	"slices"
	"time"

	"weir/alert"
)

// maxSeen bounds each list of names in a Seen; ours.
const maxSeen = 200

// Seen sums up the events that a filter was held against, so that an empty answer can say why it is one.
type Seen struct {
	Since     time.Time `json:"since"`               // from then on every event was looked at
	Events    int       `json:"events"`              // that there were, as far as the time goes that was asked for
	Matched   int       `json:"matched"`             // of them
	Last      time.Time `json:"last,omitzero"`       // time of the last one before the time that was asked for
	Workloads []string  `json:"workloads,omitempty"` // names in those events, each once, not all if there are many
	Protocols []string  `json:"protocols,omitempty"`
	Rules     []string  `json:"rules,omitempty"`
	Severity  string    `json:"severity,omitempty"` // the highest
}

// match holds f against an event and notes it.
func (s *Seen) match(f *Filter, ev *alert.Event) bool {
	if at := time.Unix(0, ev.Time).UTC(); at.Before(f.Since) {
		if at.After(s.Last) {
			s.Last = at
		}
		return false
	}
	s.Events++
	if f.Match(ev) {
		s.Matched++
		return true
	}
	for _, w := range []*alert.Workload{ev.Weir.Src, ev.Weir.Dst} {
		if names := w.Names(); len(names) > 0 {
			s.Workloads = once(s.Workloads, names[0])
		}
	}
	s.Protocols, s.Rules = once(s.Protocols, ev.AppProto), once(s.Rules, ev.Weir.Rule)
	if rank(ev.Weir.Severity) > rank(s.Severity) {
		s.Severity = ev.Weir.Severity
	}
	return false
}

// once adds a name to a list that is sorted and has each once.
func once(list []string, name string) []string {
	at, found := slices.BinarySearch(list, name)
	if found || name == "" || len(list) >= maxSeen {
		return list
	}
	return slices.Insert(list, at, name)
}

// add sums up what two places had.
func (s *Seen) add(t *Seen) {
	s.Events += t.Events
	s.Matched += t.Matched
	if t.Last.After(s.Last) {
		s.Last = t.Last
	}
	for _, name := range t.Workloads {
		s.Workloads = once(s.Workloads, name)
	}
	for _, name := range t.Protocols {
		s.Protocols = once(s.Protocols, name)
	}
	for _, name := range t.Rules {
		s.Rules = once(s.Rules, name)
	}
	if rank(t.Severity) > rank(s.Severity) {
		s.Severity = t.Severity
	}
}
