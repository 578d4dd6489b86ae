package daemon

import (
	"testing"
	"time"
)

func TestHeat(t *testing.T) {
	type pace struct {
		loads        []float64
		lost         bool
		spare, moves float64
		n            int
		split, fold  int // how often of the n
	}
	one, two := func(l float64) []float64 { return []float64{l} }, func(a, b float64) []float64 { return []float64{a, b} }
	for _, c := range []struct {
		name  string
		paces []pace
	}{
		{"quiet", []pace{{loads: one(0.1), spare: 2, moves: 0.5, n: 100}}},
		{"hot", []pace{{loads: one(0.9), spare: 2, moves: 0.5, n: 2}, {loads: one(0.9), spare: 2, moves: 0.5, n: 1, split: 1}}},
		{"hot, not for long enough", []pace{{loads: one(0.9), spare: 2, moves: 0.5, n: 2}, {loads: one(0.2), spare: 2, moves: 0.5, n: 1}, {loads: one(0.9), spare: 2, moves: 0.5, n: 2}}},
		{"losing", []pace{{loads: one(0.6), lost: true, spare: 2, moves: 0.5, n: 3, split: 1}}},
		{"losing for another's sake", []pace{{loads: one(0.1), lost: true, spare: 2, moves: 0.5, n: 100}}},
		{"no lane or processor to spare", []pace{{loads: one(1), spare: 0.2, moves: 0.5, n: 100}}},
		{"one pair of hosts", []pace{{loads: one(1), spare: 2, moves: 0.02, n: 100}, {loads: one(1), spare: 2, moves: 0.99, n: 100}}},
		{"split and still hot", []pace{{loads: two(0.95, 0.5), spare: 2, moves: 0.5, n: 3, split: 1}}},
		{"split and of use", []pace{{loads: two(0.4, 0.4), spare: 1, moves: 0.5, n: 200}}},
		{"split and cold", []pace{{loads: two(0.1, 0.1), spare: 2, moves: 0.5, n: 59}, {loads: two(0.1, 0.1), spare: 2, moves: 0.5, n: 1, fold: 1},
			{loads: one(1), spare: 2, moves: 0.5, n: 200}, {loads: one(1), spare: 2, moves: 0.5, n: 200, split: 1}}},
		{"split and of no use", []pace{{loads: two(0.7, 0.01), spare: 1, moves: 0.5, n: 60, fold: 1}}},
	} {
		var h heat
		now := time.Unix(1_700_000_000, 0)
		for i, p := range c.paces {
			split, fold := 0, 0
			for range p.n {
				now = now.Add(paceEvery)
				s, f := h.step(now, p.loads, p.lost, p.spare, p.moves)
				if s {
					split++
					h.until = now.Add(time.Hour)
				}
				if f {
					fold++
				}
			}
			if split != p.split || fold != p.fold {
				t.Errorf("%s, %d: split %d times, folded %d times, want %d, %d", c.name, i, split, fold, p.split, p.fold)
			}
		}
	}
}

func TestProcessors(t *testing.T) {
	_, all, n, err := idleTime()
	if err != nil || n < 1 || all == 0 {
		t.Fatalf("%d processors, %d ticks: %v", n, all, err)
	}
	var p processors
	if got := p.step(); got != 0 {
		t.Errorf("before anything was measured: %v idle", got)
	}
	p.idle, p.all = 0, 1
	if got := p.step(); got < 0 || got > float64(n) {
		t.Errorf("got %v idle processors of %d", got, n)
	}
}
