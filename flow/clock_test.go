package flow

import (
	"testing"
	"time"

	"weir/wire"
)

// TestClockSetBack sets the clock back by hours: flows that begin then live as long as any, and those from before end in time too.
func TestClockSetBack(t *testing.T) {
	table := New[int](DefaultLimits, Linux, ChecksumIgnore)
	ends := 0
	table.OnEnd(func(*Flow[int], []Chunk, Reason) { ends++ })
	frame := &wire.Frame{Len: 60, Time: int64(10 * time.Hour)}
	for n := range 5 {
		table.Push(udp(n, frame, []byte("query")))
	}
	table.Tick(frame.Time)

	frame.Time -= int64(3 * time.Hour)
	begun := frame.Time
	f, _ := table.Push(udp(100, frame, []byte("query")))
	for range 10 {
		table.Tick(frame.Time)
		frame.Time += int64(time.Second)
	}
	if g, _ := table.Push(udp(100, frame, []byte("query"))); g != f || ends > 0 {
		t.Fatalf("%d flows have ended, that of the second packet is another one: %t", ends, g != f)
	}
	table.Tick(begun + int64(IdleOther+IdleOther/8))
	if ends != 5 {
		t.Errorf("%d flows from before have ended, want 5", ends)
	}
	table.Tick(begun + int64(2*IdleOther))
	if ends != 6 {
		t.Errorf("%d flows have ended, want all 6", ends)
	}

	// A recording whose time goes to and fro is not looked through for each packet.
	for n := range 1000 {
		table.Push(udp(n, frame, nil))
		table.Tick(frame.Time)
	}
	back := 0
	for n := range 1000 {
		frame.Time += int64(2*backMost) * int64(1-2*(n%2))
		table.Push(udp(1000, frame, nil))
		if table.Tick(frame.Time); table.sinceBack == 0 {
			back++
		}
	}
	if back > 2 || table.c.n.Active != 1001 {
		t.Errorf("all of %d flows were looked through %d times for 1000 packets", table.c.n.Active, back)
	}
}
