package alert

import (
	"bytes"
	"fmt"
	"io"
)

// Ours.
const (
	writeSize  = 64 << 10 // bytes of lines that are gathered for one write
	maxBacklog = 1 << 20  // bytes of lines kept while they cannot be written; further ones are lost, and counted
)

// lines is a buffer of whole lines on their way to w. After an error it keeps what was not written, the line that was
// written in part too, and goes on from there: nothing is torn or told twice.
type lines struct {
	w       io.Writer
	buf     []byte // begins with the first line that is not written whole
	done    int    // bytes of buf that are written: the beginning of a line
	written int64  // bytes that w has taken
	lost    uint64 // lines that found the backlog full and are not told of yet
	gone    uint64 // lines that found the backlog full, ever
}

// add appends the event's line and returns its length.
func (l *lines) add(e *Event) (int, error) {
	before := len(l.buf)
	b, err := AppendEVE(l.buf, e)
	if err != nil {
		return 0, err
	}
	l.buf = append(b, '\n')
	return len(l.buf) - before, nil
}

// flush writes the first end bytes of buf.
func (l *lines) flush(end int) error {
	want := end - l.done
	if want <= 0 {
		return nil
	}
	n, err := l.w.Write(l.buf[l.done:end])
	if err == nil && n < want {
		err = io.ErrShortWrite
	}
	n = max(0, min(n, want))
	l.done += n
	l.written += int64(n)
	whole := bytes.LastIndexByte(l.buf[:l.done], '\n') + 1
	l.buf = l.buf[:copy(l.buf, l.buf[whole:])]
	l.done -= whole
	return err
}

// shed takes back the last line, of n bytes, if there is no room for it and nothing of it was written.
func (l *lines) shed(n int) {
	if at := len(l.buf) - n; len(l.buf) > maxBacklog && l.done <= at {
		l.buf = l.buf[:at]
		l.lost++
		l.gone++
	}
}

// tell adds an event that says how many events were lost, once lines are taken again. Its time is that of the event
// that came through.
func (l *lines) tell(now int64) error {
	if l.lost == 0 {
		return nil
	}
	n := l.lost
	l.lost = 0
	_, err := l.add(&Event{Time: now, Type: "anomaly", Anomaly: &Anomaly{Type: "output", Event: "output.lost", Layer: "output",
		Detail: fmt.Sprintf("%d events could not be written: make room on the disk", n)}})
	return err
}

// writer is the Sink of NewWriter.
type writer struct{ lines }

// NewWriter returns a Sink that writes events to w as EVE lines. It is buffered; a Queue flushes it. Close does not
// close w.
func NewWriter(w io.Writer) Sink { return &writer{lines{w: w}} }

// Write implements Sink. After an error the lines are kept, as far as there is room, and tried again with the next.
func (w *writer) Write(e *Event) error {
	n, err := w.add(e)
	if err != nil || len(w.buf) < writeSize {
		return err
	}
	if err := w.flush(len(w.buf)); err != nil {
		w.shed(n)
		return err
	}
	return w.tell(e.Time)
}

// Flush writes out what is buffered.
func (w *writer) Flush() error { return w.flush(len(w.buf)) }

// Close implements Sink.
func (w *writer) Close() error { return w.Flush() }
