package pcapstore

import (
	"strconv"
	"time"
)

// Expire removes the finished slices whose alert was before a time, pinned ones excepted, and returns how many. Errors: those of the file system.
func (s *Store) Expire(before time.Time) (removed int, err error) {
	if s.lock == nil {
		return 0, ErrView
	}
	s.disk.Lock()
	defer s.disk.Unlock()
	if s.closed.Load() {
		return 0, nil
	}
	all, err := s.scan()
	if err != nil {
		return 0, err
	}
	for _, e := range all {
		if us, err := strconv.ParseInt(e.name[:timeDigits], 10, 64); err != nil || us >= before.UnixMicro() {
			break // the oldest come first
		}
		if e.pinned {
			continue
		}
		if err := s.remove(e); err != nil {
			return removed, err
		}
		s.removed.Add(1)
		removed++
	}
	return removed, nil
}
