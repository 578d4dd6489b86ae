package pcapstore

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"

	"weir/wire"
)

// copied returns the times of the frames in a copy of r; between the steps add is called, as the owner of r would.
func copied(t *testing.T, c *RecentCopy, r *Recent, add func()) (times []int64) {
	t.Helper()
	c.Begin(r)
	for c.Step(r) {
		add()
	}
	err := c.Frames(func(flow uint64, f *wire.Frame) error {
		if flow != uint64(f.Time%40) || len(f.Data) > 0 && f.Data[len(f.Data)-1] != byte(f.Time) {
			t.Fatalf("frame %d came back changed", f.Time)
		}
		times = append(times, f.Time)
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return times
}

// A copy holds the newest frames in order, none left out, whatever their sizes are and wherever the ring wraps.
func TestRecentCopy(t *testing.T) {
	rnd := rand.New(rand.NewPCG(3, 4))
	var c RecentCopy
	for _, size := range []int{64 << 10, 3 << 20} {
		r := NewRecent(size)
		if got := copied(t, &c, r, func() {}); len(got) > 0 {
			t.Errorf("an empty ring has frames %v", got)
		}
		n := int64(0)
		add := func() {
			n++
			data := make([]byte, rnd.IntN(3000))
			if rnd.IntN(50) == 0 {
				data = make([]byte, rnd.IntN(50<<10))
			}
			if len(data) > 0 {
				data[len(data)-1] = byte(n)
			}
			r.Add(&wire.Frame{Data: data, Time: n}, uint64(n%40))
		}
		for range 6000 {
			add()
			if n%97 != 0 && n > 10 {
				continue
			}
			got := copied(t, &c, r, func() {})
			if len(got) == 0 || got[0] != r.Oldest() || got[len(got)-1] != n || int64(len(got)) != n-got[0]+1 || c.Overwritten() != 0 {
				t.Fatalf("%d bytes, after %d frames: got %d of them, from %d on, want all from %d on", size, n, len(got), got[0], r.Oldest())
			}
		}
	}
}

// A tap that adds as fast as it can while its packets are copied: what comes is whole and in order, and what is not there is counted.
func TestRecentCopyOvertaken(t *testing.T) {
	r := NewRecent(4 << 20)
	n := int64(0)
	add := func(bytes int) {
		for end := r.head + uint64(bytes); r.head < end; {
			n++
			data := make([]byte, 900)
			data[899] = byte(n)
			r.Add(&wire.Frame{Data: data, Time: n}, uint64(n%40))
		}
	}
	for _, between := range []int{copyStep / 2, 3 * copyStep, 100 * copyStep} {
		add(5 << 20)
		before, oldest := n, r.Oldest()
		var c RecentCopy
		got := copied(t, &c, r, func() { add(between) })
		if !slices.IsSorted(got) || len(got) == 0 || got[0] != oldest || got[len(got)-1] > before {
			t.Fatalf("%d bytes between steps: got %d frames, from %v on", between, len(got), got[:min(1, len(got))])
		}
		missing := before - oldest + 1 - int64(len(got))
		if (missing > 0) != (c.Overwritten() > 0) || (between < copyStep) != (missing == 0) {
			t.Errorf("%d bytes between steps: %d frames are missing, %d bytes are told as overwritten", between, missing, c.Overwritten())
		}
	}
}

func TestRecentCopyOfNone(t *testing.T) {
	var c RecentCopy
	c.Begin(nil)
	if c.Step(nil) || c.Frames(func(uint64, *wire.Frame) error { return fmt.Errorf("a frame") }) != nil {
		t.Error("a nil Recent has packets")
	}
}

// How long a tap waits for one step.
func BenchmarkRecentCopyStep(b *testing.B) {
	r := NewRecent(8 << 20)
	f := &wire.Frame{Data: make([]byte, 200)}
	for range 40_000 {
		r.Add(f, 1)
	}
	var c RecentCopy
	c.Begin(r)
	b.SetBytes(copyStep)
	for b.Loop() {
		if !c.Step(r) {
			c.Begin(r)
		}
	}
}
