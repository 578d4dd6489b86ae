package enforce

import (
	"testing"
	"time"

	"weir/engine"
)

// TestLinger: where nothing comes it is waited awake less and less often, where something comes each time.
func TestLinger(t *testing.T) {
	var l linger
	tried := 0
	for range 10_000 {
		if l.may() {
			tried++
			l.was(false)
		}
	}
	if tried > 10_000>>lingerVain+lingerVain {
		t.Errorf("in vain %d times of 10000", tried)
	}
	for !l.may() {
	}
	l.was(true)
	for i := range 100 {
		if !l.may() {
			t.Fatalf("left out, though something came %d times in a row", i+1)
		}
		l.was(true)
	}
	for processors, want := range []int{0, 0, 1, 1, 2} {
		s, n := newSeats(processors), 0
		for s.take() {
			n++
		}
		if n != want {
			t.Errorf("of %d processors %d are taken", processors, n)
		}
		if n > 0 {
			if s.give(); !s.take() || s.take() {
				t.Error("a seat that was given back is not there, or twice")
			}
		}
	}
}

// TestBatchesComeBack: a batch that a queue got for what waits is given back, whether time passes first or the queue is closed.
func TestBatchesComeBack(t *testing.T) {
	_, pod := pair(t)
	pool := NewPool(make([]*engine.Lane, 2))
	defer pool.Close()
	conf := Config{Open: pod.open, Tick: func(*engine.Lane, int64, func(*engine.Cut)) {}}
	all := func(when string) {
		t.Helper()
		if n := len(pool.free); n != cap(pool.free) {
			t.Errorf("%s: %d of %d batches are there", when, n, cap(pool.free))
		}
	}
	q, err := newQueue(&conf, pool, queueNumber)
	if err != nil {
		t.Fatal(err)
	}
	q.b = pool.try()
	q.holds().f.SetReadDeadline(time.Unix(1, 0))
	if !q.serve() {
		t.Error("it ends when time passes")
	}
	all("a tick")
	q.b = pool.try()
	q.close()
	q.run()
	all("closed")
}
