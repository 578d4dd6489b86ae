package budget

import (
	"sync"
	"testing"
)

// owner uses as much as it can get, up to what it wants, and gets rid of what is too much.
type owner struct {
	s     *Share
	wants int64
}

func (o *owner) block() {
	o.s.Settle()
	for o.s.Over() {
		o.s.Use(-1)
	}
	for o.s.Used() > o.wants {
		o.s.Use(-1)
	}
	for o.s.Used() < o.wants && o.s.Fits(1) {
		o.s.Use(1)
	}
}

func blocks(n int, owners ...*owner) {
	for range n {
		for _, o := range owners {
			o.block()
		}
	}
}

func TestShares(t *testing.T) {
	b := New(1000)
	hot := &owner{s: b.Open(10, 10), wants: 5000}
	idle := &owner{s: b.Open(10, 10)}
	blocks(100, hot, idle)
	if got := hot.s.Used(); got < 970 || idle.s.Used() != 0 {
		t.Errorf("beside an idle one: %d of 1000", got)
	}
	idle.wants = 300
	blocks(100, hot, idle)
	if got := idle.s.Used(); got != 300 {
		t.Errorf("less than its part, which another one had: %d, want 300", got)
	}
	if got := hot.s.Used(); got < 650 {
		t.Errorf("the other one: %d, want about 700", got)
	}
	idle.wants = 5000
	blocks(100, hot, idle)
	for _, o := range []*owner{hot, idle} {
		if got := o.s.Used(); got < 480 || got > 520 {
			t.Errorf("both want all: %d, want about 500", got)
		}
	}
	b.Set(200)
	blocks(100, hot, idle)
	for _, o := range []*owner{hot, idle} {
		if got := o.s.Used(); got < 80 || got > 100 {
			t.Errorf("of 200: %d, want about 100", got)
		}
	}
	b.Set(1000)
	hot.wants = 0
	blocks(100, hot, idle)
	if got := idle.s.Used(); got < 970 {
		t.Errorf("once more alone: %d of 1000", got)
	}
	hot.s.Close()
	idle.s.Close()
	if b.Taken() != 0 || b.lacked.Load() != 0 || b.shares.Load() != 0 {
		t.Errorf("after all: %d taken, %d lacked, %d shares", b.Taken(), b.lacked.Load(), b.shares.Load())
	}
}

// TestLeast: a share has something even if others have all.
func TestLeast(t *testing.T) {
	b := New(100)
	first := &owner{s: b.Open(0, 1), wants: 100}
	blocks(3, first)
	second := b.Open(10, 1)
	if !second.Fits(10) {
		t.Error("nothing is left, and it has nothing")
	}
	blocks(20, first)
	if got := first.s.Used(); got > 90 {
		t.Errorf("the other one has %d of what are 90 now", got)
	}
}

func TestAlone(t *testing.T) {
	s := Alone(100)
	if !s.Fits(100) || s.Fits(101) || s.Over() {
		t.Error("100 fit, 101 do not")
	}
	s.Use(100)
	if s.Settle(); s.Over() || s.Fits(1) || s.Room() != 0 {
		t.Error("100 are used, and that is all")
	}
}

// TestManyOwners has owners in goroutines of their own take and give; in the end the books are right.
func TestManyOwners(t *testing.T) {
	const total, owners = 10_000, 50
	b := New(total)
	var wg sync.WaitGroup
	for i := range owners {
		wg.Go(func() {
			o := &owner{s: b.Open(10, 16)}
			for round := range 200 {
				o.wants = int64((i*37 + round*101) % 3000)
				o.block()
				if o.s.Used() > total {
					t.Error("one has more than all")
				}
			}
			o.s.Close()
		})
	}
	wg.Wait()
	if b.Taken() != 0 || b.lacked.Load() != 0 {
		t.Errorf("%d taken, %d lacked", b.Taken(), b.lacked.Load())
	}
}
