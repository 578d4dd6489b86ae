package daemon

import (
	"log/slog"
	"os"
	"sync/atomic"
	"time"
)

// ours
const (
	logWaiting = 1024        // lines that wait for a log that does not take them; more are lost, and that is told
	logFlush   = time.Second // that an end waits for them
)

// logQueue takes lines to the log on a goroutine of its own: nobody waits for a journal that does not read, as where its disk hangs, nor
// for a pipe that is full. Where nobody reads any more, they are lost.
type logQueue struct {
	f    *os.File
	tell *slog.Logger // onto f, without a queue
	ch   chan logLine
	lost atomic.Uint64 // lines, and not told of yet
}

// logLine is a line, or somebody who wants to know that those before have been written.
type logLine struct {
	text    []byte
	written chan struct{}
}

func newLogQueue(f *os.File) *logQueue {
	q := &logQueue{f: f, tell: slog.New(logHandler(f, f)), ch: make(chan logLine, logWaiting)}
	go q.run()
	return q
}

// Write implements io.Writer. It never waits.
func (q *logQueue) Write(line []byte) (int, error) {
	select {
	case q.ch <- logLine{text: append([]byte(nil), line...)}:
	default:
		q.lost.Add(1)
	}
	return len(line), nil
}

func (q *logQueue) run() {
	for l := range q.ch {
		if l.written != nil {
			close(l.written)
			continue
		}
		if _, err := q.f.Write(l.text); err != nil {
			q.lost.Add(1)
			continue
		}
		if len(q.ch) == 0 { // what was lost is younger than what waited
			if n := q.lost.Swap(0); n > 0 {
				q.tell.Warn("lines of this log were lost: nobody took them", "lines", n)
			}
		}
	}
}

// flush waits until what was written so far has been taken, but not for long.
func (q *logQueue) flush() {
	late := time.After(logFlush)
	l := logLine{written: make(chan struct{})}
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
