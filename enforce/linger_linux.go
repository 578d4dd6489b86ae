package enforce

import (
	"runtime"
	"sync/atomic"
	"time"
)

// ours
const (
	lingerFor  = 60 * time.Microsecond // that a queue which has become empty is looked at before its goroutine sleeps: an answer to what was let through comes within that time, and to be woken takes as long
	lingerVain = 8                     // where that was in vain so often, it is done after one of so many powers of two
)

// linger says whether it is worth while to wait for a packet awake. Where nothing comes it is done less and less often, so that what trickles in costs no more for it.
type linger struct {
	vain int // how often in a row nothing came
	skip int // times that it is left out
}

// may reports whether to linger now.
func (l *linger) may() bool {
	if l.skip == 0 {
		return true
	}
	l.skip--
	return false
}

// was takes note of whether something came.
func (l *linger) was(worthWhile bool) {
	if worthWhile {
		*l = linger{}
		return
	}
	l.vain = min(l.vain+1, lingerVain)
	l.skip = 1<<l.vain - 1
}

// lingers looks for a while whether a packet comes, and reports whether one did. Others that want the processor get it.
func (q *queue) lingers(fd uintptr) bool {
	if !q.linger.may() || !q.pool.awake.take() {
		return false
	}
	defer q.pool.awake.give()
	for start := time.Now(); ; {
		runtime.Gosched()
		if q.waits(fd) {
			q.linger.was(true)
			return true
		}
		if time.Since(start) > lingerFor {
			q.linger.was(false)
			return false
		}
	}
}

// seats are for so many queues to linger at a time: where there is one processor it is for those who are to send something.
type seats struct {
	left atomic.Int32
}

func newSeats(processors int) *seats {
	s := &seats{}
	s.left.Store(int32(processors / 2))
	return s
}

func (s *seats) take() bool {
	if s.left.Add(-1) >= 0 {
		return true
	}
	s.left.Add(1)
	return false
}

func (s *seats) give() { s.left.Add(1) }
