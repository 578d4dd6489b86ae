package alert

import (
	"fmt"
	"sync"
	"sync/atomic"
	"time"
)

// Ours.
const (
	queueSize  = 8192                   // events that wait for a sink
	queueSpare = 8                      // one part of so many is kept for alerts, which a flood of other events does not push out
	queueFlush = 250 * time.Millisecond // what a sink buffers is written out within this
)

// Queue takes events from many goroutines to one Sink, on a goroutine of its own.
type Queue struct {
	sink    Sink
	wait    bool
	ch      chan *Event
	done    chan struct{} // closed when the goroutine has ended
	most    atomic.Int64  // bytes of events that may wait; 0: only their number counts
	waiting atomic.Int64  // bytes
	dropped atomic.Uint64
	missed  atomic.Uint64 // alerts among those
	failed  atomic.Uint64
	began   atomic.Int64 // ns since the epoch: when the sink began what it does now; 0: it waits

	mu     sync.RWMutex // held for reading while ch is sent to, so that Close does not close it then
	closed bool

	err error // the first that the sink returned; the goroutine's until done is closed
}

// NewQueue starts a queue in front of s. If wait is set, Put waits for room: a file is replayed without loss. Else an
// event that finds no room is dropped and counted, and an anomaly "output.dropped" tells of it. A nil s takes nothing.
func NewQueue(s Sink, wait bool) *Queue { return newQueue(s, wait, queueSize) }

func newQueue(s Sink, wait bool, size int) *Queue {
	q := &Queue{sink: s, wait: wait}
	if s == nil {
		return q
	}
	q.ch, q.done = make(chan *Event, size), make(chan struct{})
	go q.run()
	return q
}

// Limit sets how many bytes of events may wait, about; an event that does not fit is dropped and counted as one that finds no room. A
// queue that waits for room has no such limit. Of both, bytes and number, one eighth is kept for alerts.
func (q *Queue) Limit(bytes int64) { q.most.Store(bytes) }

// Waiting returns the bytes of events that wait, about.
func (q *Queue) Waiting() int64 { return q.waiting.Load() }

// Full reports whether an event would find no room now; it counts as dropped then. So an event need not be made that nobody will see.
func (q *Queue) Full() bool {
	if q.sink == nil || q.wait {
		return false
	}
	full := !q.fits(false, eventSize)
	if full {
		q.dropped.Add(1)
	}
	return full
}

// fits reports whether there is room for an event of so many bytes.
func (q *Queue) fits(alert bool, size int64) bool {
	room, most := cap(q.ch), q.most.Load()
	limited := most > 0
	if !alert {
		room -= room / queueSpare
		most -= most / queueSpare
	}
	return len(q.ch) < room && (!limited || q.waiting.Load()+size <= most)
}

// raised reports whether an event says what a rule or a policy found.
func (e *Event) raised() bool { return e.Type == "alert" || e.Type == "info" || e.Type == "drop" }

// Put hands e over; it must not be changed any more. It may be called from any goroutine. After Close events are
// counted as dropped.
func (q *Queue) Put(e *Event) {
	if q.sink == nil {
		return
	}
	q.mu.RLock()
	defer q.mu.RUnlock()
	switch {
	case q.closed:
		q.drop(e)
	case q.wait:
		q.waiting.Add(int64(e.size()))
		q.ch <- e
	default:
		size := int64(e.size())
		if !q.fits(e.raised(), size) {
			q.drop(e)
			return
		}
		select {
		case q.ch <- e:
			q.waiting.Add(size)
		default:
			q.drop(e)
		}
	}
}

func (q *Queue) drop(e *Event) {
	q.dropped.Add(1)
	if e.raised() {
		q.missed.Add(1)
	}
}

// DroppedAlerts returns how many alerts, and drops of the policy, are among those that found no room.
func (q *Queue) DroppedAlerts() uint64 { return q.missed.Load() }

// Dropped returns the number of events that found no room.
func (q *Queue) Dropped() uint64 { return q.dropped.Load() }

// Failed returns the number of calls in which the sink returned an error.
func (q *Queue) Failed() uint64 { return q.failed.Load() }

// Busy returns how long the sink has been at its present write; 0: it is at none.
func (q *Queue) Busy() time.Duration {
	if t := q.began.Load(); t != 0 {
		return time.Since(time.Unix(0, t))
	}
	return 0
}

// Close writes what waits and closes the sink. It returns the first error that the sink ever returned; called again,
// the same.
func (q *Queue) Close() error {
	if q.sink == nil {
		return nil
	}
	q.mu.Lock()
	if !q.closed {
		q.closed = true
		close(q.ch)
	}
	q.mu.Unlock()
	<-q.done
	return q.err
}

// run writes events until ch is closed. An error does not end it: a disk that was full may have room again.
func (q *Queue) run() {
	defer close(q.done)
	flusher, _ := q.sink.(interface{ Flush() error })
	timer := time.NewTimer(queueFlush)
	defer timer.Stop()
	var told drops
	var last int64 // time of the last event: the clock of a replay is its file's
	armed := true
	for {
		select {
		case e, ok := <-q.ch:
			if !ok {
				q.tellDropped(&told, last)
				q.do(q.sink.Close)
				return
			}
			q.write(e)
			q.waiting.Add(-int64(e.size()))
			last = e.Time
			if len(q.ch) == 0 {
				q.tellDropped(&told, last)
			}
			if !armed {
				timer.Reset(queueFlush)
				armed = true
			}
		case <-timer.C:
			armed = false
			q.tellDropped(&told, last)
			if flusher != nil {
				q.do(flusher.Flush)
			}
		}
	}
}

func (q *Queue) write(e *Event) { q.do(func() error { return q.sink.Write(e) }) }

// do has the sink do something, and notes its error.
func (q *Queue) do(work func() error) {
	q.began.Store(time.Now().UnixNano())
	err := work()
	q.began.Store(0)
	if err == nil {
		return
	}
	q.failed.Add(1)
	if q.err == nil {
		q.err = err
	}
}

// drops counts events that found no room, and the alerts among them, as far as they were told of.
type drops struct{ events, alerts uint64 }

// tellDropped writes an event that says how many found no room since it was told last.
func (q *Queue) tellDropped(told *drops, now int64) {
	n := q.dropped.Load() - told.events
	if n == 0 {
		return
	}
	alerts := q.missed.Load() - told.alerts
	told.events += n
	told.alerts += alerts
	text := fmt.Sprintf("%d events were dropped: the output did not take them fast enough", n)
	if alerts > 0 {
		text = fmt.Sprintf("%d events were dropped, %d of them alerts or drops: the output did not take them fast enough", n, alerts)
	}
	q.write(&Event{Time: now, Type: "anomaly", Anomaly: &Anomaly{Type: "output", Event: "output.dropped", Layer: "output", Detail: text}})
}
