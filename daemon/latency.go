package daemon

import (
	"sync"
	"time"
)

// latencyBounds are the upper bounds of the histogram's buckets.
var latencyBounds = [...]time.Duration{
	time.Millisecond, 5 * time.Millisecond, 20 * time.Millisecond, 100 * time.Millisecond, 500 * time.Millisecond, 2 * time.Second, 10 * time.Second,
}

// latency counts how long alerts took. Its methods may be called from any goroutine; alerts are rare enough for a lock.
type latency struct {
	mu      sync.Mutex
	count   uint64
	sum     time.Duration
	buckets [len(latencyBounds)]uint64
}

// observe counts an alert whose packet arrived took ago.
func (l *latency) observe(took time.Duration) {
	took = max(took, 0) // the clock was set
	l.mu.Lock()
	defer l.mu.Unlock()
	l.count++
	l.sum += took
	for i, bound := range latencyBounds {
		if took <= bound {
			l.buckets[i]++
		}
	}
}

// read returns what was counted so far.
func (l *latency) read() Latency {
	l.mu.Lock()
	defer l.mu.Unlock()
	out := Latency{Count: l.count, Sum: l.sum.Seconds(), Buckets: make(map[float64]uint64, len(latencyBounds))}
	for i, bound := range latencyBounds {
		out.Buckets[bound.Seconds()] = l.buckets[i]
	}
	return out
}
