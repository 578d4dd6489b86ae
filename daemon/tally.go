package daemon

import (
	"maps"
	"sync"

	"weir/rules"
)

// tally counts the alerts that were told. Its methods may be called from any goroutine; alerts are rare enough for a lock, which
// nobody holds for long.
type tally struct {
	mu sync.Mutex
	n  map[AlertLabels]uint64
}

// newTally returns a tally that knows what there may be, at nought: a counter that is not there until the first alert hides that alert from
// whoever watches for its increase.
func newTally() *tally {
	t := &tally{n: map[AlertLabels]uint64{}}
	for _, engine := range append([]string{"protocol"}, rules.Engines...) {
		t.n[AlertLabels{engine, "allowed"}] = 0
	}
	return t
}

func (t *tally) count(l AlertLabels) {
	t.mu.Lock()
	defer t.mu.Unlock()
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
