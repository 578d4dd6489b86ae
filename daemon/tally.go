package daemon

import (
	"maps"
	"sync"
)

// tally counts the alerts that were told. Its methods may be called from any goroutine; alerts are rare enough for a lock, which
// nobody holds for long.
type tally struct {
	mu sync.Mutex
	n  map[AlertLabels]uint64
}

func (t *tally) count(l AlertLabels) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.n == nil {
		t.n = map[AlertLabels]uint64{}
	}
	t.n[l]++
}

// read returns what was counted so far.
func (t *tally) read() map[AlertLabels]uint64 {
	t.mu.Lock()
	defer t.mu.Unlock()
	return maps.Clone(t.n)
}

// total returns all alerts together.
func (t *tally) total() (n uint64) {
	for _, v := range t.read() {
		n += v
	}
	return n
}
