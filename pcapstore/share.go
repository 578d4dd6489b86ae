package pcapstore

import (
	"cmp"
	"sync"
)

// shares bounds the slices that are open at once, so that one cause cannot take the room of all others: it has at most two thirds, and of
// what others leave two thirds again.
type shares struct {
	mu   sync.Mutex
	open int
	of   map[string]int // by cause
}

// ours: a cause may have as many slices open as this times what it leaves
const shareOfRest = 2

// take makes room for one more slice of a cause, most of all at once.
func (s *shares) take(cause string, most int) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	switch {
	case s.open >= most:
		return ErrTooManyOpen
	case s.of[cause] >= shareOfRest*(most-s.open):
		return ErrTooManyAlike
	}
	if s.of == nil {
		s.of = map[string]int{}
	}
	s.open++
	s.of[cause]++
	return nil
}

func (s *shares) give(cause string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.open--
	if s.of[cause]--; s.of[cause] == 0 {
		delete(s.of, cause)
	}
}

// cause is the rule that a slice is for, and whom it concerns: a workload, else the interface, for addresses may be forged.
func (m *Meta) cause() string {
	who := ""
	if len(m.Interfaces) > 0 {
		who = m.Interfaces[0].Name
	}
	if len(m.Workloads) > 0 {
		who = cmp.Or(m.Workloads[0], who)
	}
	return m.Rule + "\x00" + who
}
