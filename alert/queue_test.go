package alert

import (
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

// gate is a Sink that takes an event only when it is let.
type gate struct {
	let     chan struct{} // nil: always
	entered chan struct{}
	got     []*Event
	fails   int // the next so many writes fail
	flushed int
	closed  int
}

var errFull = errors.New("full")

func (g *gate) Write(e *Event) error {
	if g.let != nil {
		g.entered <- struct{}{}
		<-g.let
	}
	if g.fails > 0 {
		g.fails--
		return errFull
	}
	g.got = append(g.got, e)
	return nil
}

func (g *gate) Flush() error { g.flushed++; return nil }

func (g *gate) Close() error { g.closed++; return nil }

func TestQueueDrops(t *testing.T) {
	g := &gate{let: make(chan struct{}), entered: make(chan struct{}, 100)}
	q := newQueue(g, false, 4)
	q.Put(&Event{Time: 1})
	<-g.entered // it has the first: the queue is empty
	if q.Busy() <= 0 {
		t.Error("a write is under way, but that is not told")
	}
	for i := range 10 {
		q.Put(&Event{Time: int64(i + 2)})
	}
	if got := q.Dropped(); got != 6 {
		t.Errorf("got %d dropped, want 6", got)
	}
	close(g.let)
	if err := q.Close(); err != nil {
		t.Fatal(err)
	}
	if q.Busy() != 0 {
		t.Error("nothing is written any more, but the queue says it is busy")
	}
	told := 0
	for i, e := range g.got {
		if e.Anomaly == nil {
			continue
		}
		told++
		if a := e.Anomaly; a.Type != "output" || a.Event != "output.dropped" || a.Detail != "6 events were dropped: the output did not take them fast enough" {
			t.Errorf("got %+v", a)
		}
		if i != 5 || e.Time != 5 {
			t.Errorf("told as number %d, at %d; want 5, 5", i, e.Time)
		}
	}
	if told != 1 || len(g.got) != 6 {
		t.Errorf("told %d times in %d events, want 1 in 6", told, len(g.got))
	}
	q.Put(&Event{})
	if got := q.Dropped(); got != 7 {
		t.Errorf("after Close: got %d dropped, want 7", got)
	}
}

func TestQueueWaits(t *testing.T) {
	g := &gate{}
	q := newQueue(g, true, 2)
	var wg sync.WaitGroup
	for range 4 {
		wg.Go(func() {
			for range 1000 {
				q.Put(&Event{})
			}
		})
	}
	wg.Wait()
	if err := errors.Join(q.Close(), q.Close()); err != nil {
		t.Fatal(err)
	}
	if len(g.got) != 4000 || q.Dropped() != 0 || g.closed != 1 {
		t.Errorf("got %d events, %d dropped, closed %d times; want 4000, 0, 1", len(g.got), q.Dropped(), g.closed)
	}
}

// TestQueueCloseRace closes while others put: nothing panics, every event is either written or counted.
func TestQueueCloseRace(t *testing.T) {
	g := &gate{}
	q := newQueue(g, false, 8)
	var wg sync.WaitGroup
	for range 4 {
		wg.Go(func() {
			for range 2000 {
				q.Put(&Event{})
			}
		})
	}
	q.Close()
	wg.Wait()
	written := 0
	for _, e := range g.got {
		if e.Anomaly == nil {
			written++
		}
	}
	if got := uint64(written) + q.Dropped(); got != 8000 {
		t.Errorf("got %d events, want 8000", got)
	}
}

func TestQueueErrors(t *testing.T) {
	g := &gate{fails: 3}
	q := newQueue(g, true, 4)
	for range 5 {
		q.Put(&Event{})
	}
	for range 2 {
		if err := q.Close(); !errors.Is(err, errFull) {
			t.Errorf("got %v, want %v", err, errFull)
		}
	}
	if q.Failed() != 3 || len(g.got) != 2 {
		t.Errorf("got %d failed, %d written; want 3, 2", q.Failed(), len(g.got))
	}
}

func TestQueueNil(t *testing.T) {
	q := NewQueue(nil, false)
	e := &Event{}
	if got := testing.AllocsPerRun(100, func() { q.Put(e) }); got != 0 {
		t.Errorf("got %v allocations, want 0", got)
	}
	if err := errors.Join(q.Close(), q.Close()); err != nil || q.Dropped() != 0 {
		t.Errorf("got %v, %d dropped", err, q.Dropped())
	}
}

// TestQueueFlushes: what a sink buffers is written out soon, though no further event comes.
func TestQueueFlushes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := &gate{}
		q := newQueue(g, false, 4)
		time.Sleep(time.Second)
		synctest.Wait()
		before := g.flushed
		q.Put(&Event{})
		time.Sleep(time.Second)
		synctest.Wait()
		if got := g.flushed - before; got != 1 {
			t.Errorf("flushed %d times, want once", got)
		}
		q.Close()
	})
}

// TestQueueLimit: events that are large find no room before there are many.
func TestQueueLimit(t *testing.T) {
	g := &gate{let: make(chan struct{}), entered: make(chan struct{})}
	q := newQueue(g, false, 100)
	q.Limit(10_000)
	big := &Event{Type: "http", App: appOf("http", []KV{{"url", strings.Repeat("x", 3000)}})}
	for range 4 {
		q.Put(big)
	}
	if n := q.Dropped(); n != 2 {
		t.Errorf("%d of 4 events of 4 kB are dropped with room for 10 kB, want 2", n)
	}
	for range 2 {
		<-g.entered
		g.let <- struct{}{}
	}
	<-g.entered // of the drops
	g.let <- struct{}{}
	q.Put(big)
	<-g.entered
	g.let <- struct{}{}
	if err := q.Close(); err != nil || q.Dropped() != 2 || q.Waiting() != 0 {
		t.Errorf("once they are written: %v, %d dropped, %d bytes waiting", err, q.Dropped(), q.Waiting())
	}
}

// TestQueueKeepsRoomForAlerts: while a sink takes nothing, a flood of other events does not push out alerts; those that find no room
// after all are told as what they are.
func TestQueueKeepsRoomForAlerts(t *testing.T) {
	for name, limit := range map[string]int64{"by number": 0, "by bytes": 80 * eventSize} {
		t.Run(name, func(t *testing.T) {
			g := &gate{let: make(chan struct{}), entered: make(chan struct{}, 100)}
			q := newQueue(g, false, 80)
			q.Limit(limit)
			q.Put(&Event{Type: "flow"})
			<-g.entered
			for range 100 {
				if !q.Full() {
					q.Put(&Event{Type: "flow"})
				}
			}
			if !q.Full() {
				t.Error("a flow more would find room")
			}
			kinds := []string{"alert", "info", "drop"}
			for i := range 30 {
				q.Put(&Event{Type: kinds[i%len(kinds)]})
			}
			lost := q.DroppedAlerts()
			close(g.let)
			if err := q.Close(); err != nil {
				t.Fatal(err)
			}
			got, said := 0, ""
			for _, e := range g.got {
				switch e.Type {
				case "alert", "info", "drop":
					got++
				case "anomaly":
					said += e.Anomaly.Detail
				}
			}
			if got < 9 || lost == 0 || got+int(lost) != 30 {
				t.Errorf("%d of 30 alerts and drops were written, %d counted as lost", got, lost)
			}
			if want := fmt.Sprintf(", %d of them alerts or drops:", lost); !strings.Contains(said, want) {
				t.Errorf("told %q, want %q in it", said, want)
			}
		})
	}
}
