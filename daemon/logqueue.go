package daemon

import (
	"context"
	"log/slog"
	"os"
	"sync/atomic"
	"time"
)

// ours
const (
	logWaiting = 1024        // lines that wait for a log that does not take them; more are lost, and that is told
	logFlush   = time.Second // that an end waits for them
	logLate    = 50 * time.Millisecond
)

// logQueue takes lines to the log on a goroutine of its own: a journal that does not read, as where its disk hangs, or a pipe that is full
// keeps nobody for longer than a moment. Where nobody reads any more, lines are lost.
type logQueue struct {
	f    *os.File
	tell slog.Handler // onto f, without a queue
	ch   chan logLine
	lost atomic.Uint64 // lines, and not told of yet
	late atomic.Bool   // a line was not written in time, nor what came since
}

// logLine is a line that is to be written.
type logLine struct {
	text    []byte
	written chan struct{} // closed then
}

func newLogQueue(f *os.File) *logQueue {
	q := &logQueue{f: f, tell: logHandler(f, f), ch: make(chan logLine, logWaiting)}
	go q.run()
	return q
}

// Write implements io.Writer. What is logged is written when it returns, unless the log is late.
func (q *logQueue) Write(line []byte) (int, error) {
	l := logLine{append([]byte(nil), line...), make(chan struct{})}
	select {
	case q.ch <- l:
	default:
		q.lost.Add(1)
		return len(line), nil
	}
	if !q.late.Load() && !l.wait(logLate) {
		q.late.Store(true)
	}
	return len(line), nil
}

// wait reports whether the line was written in time.
func (l logLine) wait(most time.Duration) bool {
	select {
	case <-l.written:
		return true
	case <-time.After(most):
		return false
	}
}

func (q *logQueue) run() {
	for l := range q.ch {
		if len(l.text) > 0 {
			if _, err := q.f.Write(l.text); err != nil {
				q.lost.Add(1)
			}
		}
		close(l.written)
		empty := len(q.ch) == 0
		if empty {
			q.late.Store(false)
		}
		if empty || q.lost.Load() >= logWaiting {
			q.tellLost()
		}
	}
}

// tellLost tells how many lines were lost. Where more wait these may be older.
func (q *logQueue) tellLost() {
	n := q.lost.Load()
	if n == 0 {
		return
	}
	r := slog.NewRecord(time.Now(), slog.LevelWarn, "lines of this log were lost: nobody took them", 0)
	r.Add("lines", n)
	if q.tell.Handle(context.Background(), r) == nil {
		q.lost.Add(-n)
	}
}

// flush waits until what was written so far has been taken, but not for long.
func (q *logQueue) flush() {
	l, late := logLine{written: make(chan struct{})}, time.After(logFlush)
	select {
	case q.ch <- l:
	case <-late:
		return
	}
	select {
	case <-l.written:
	case <-late:
	}
}
