package enforce

import "testing"

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
