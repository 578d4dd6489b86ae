package daemon

import (
	"encoding/binary"
	"fmt"
	"sync"
	"time"

	"weir/alert"
)

// ours
const (
	eventLogBytes = 8 << 20 // of the last events of all types
	alertLogBytes = 4 << 20 // of the last alerts: a flood of other events does not push them out
	followBytes   = 1 << 20 // of lines that may wait for one follower; more are missed, and that is told
	logHead       = 12      // bytes before a line: when it came, ns since the epoch, and its length
	logPiece      = 256 << 10
)

// EventLog holds the last events, as EVE lines in a ring of fixed size, for those who ask over the control socket. Its methods may be called
// from any goroutine; none of them waits for a follower.
type EventLog struct {
	mu         sync.Mutex
	buf        []byte
	head, tail uint64 // positions, which count all bytes that were ever laid into the ring: of the next line, of the oldest
	kept       int    // lines
	begun      time.Time
	followers  map[*follower]struct{}
}

// follower is one who wants every line that meets a filter as it comes. Its fields are guarded by EventLog.mu.
type follower struct {
	filter *Filter
	lines  [][]byte
	bytes  int
	missed uint64        // lines that found no room after those
	wake   chan struct{} // has a value if there is something to take
}

// NewEventLog returns an empty log that keeps lines of so many bytes. The memory is used as it fills.
func NewEventLog(bytes int) *EventLog {
	return &EventLog{buf: make([]byte, bytes), begun: time.Now(), followers: map[*follower]struct{}{}}
}

// Add appends an event's line, without its newline. Both are borrowed until it returns.
func (l *EventLog) Add(ev *alert.Event, line []byte) {
	var head [logHead]byte
	binary.LittleEndian.PutUint64(head[:], uint64(time.Now().UnixNano()))
	binary.LittleEndian.PutUint32(head[8:], uint32(len(line)))
	l.mu.Lock()
	defer l.mu.Unlock()
	if n := uint64(logHead + len(line)); n <= uint64(len(l.buf)) {
		for l.head+n-l.tail > uint64(len(l.buf)) {
			l.tail += logHead + uint64(l.lengthAt(l.tail))
			l.kept--
		}
		l.lay(head[:])
		l.lay(line)
		l.kept++
	}
	if len(l.followers) == 0 {
		return
	}
	var own []byte
	for f := range l.followers {
		if f.filter.Match(ev) {
			if own == nil {
				own = append(own, line...)
			}
			f.put(own)
		}
	}
}

func (l *EventLog) lay(b []byte) {
	off := int(l.head % uint64(len(l.buf)))
	n := copy(l.buf[off:], b)
	copy(l.buf, b[n:])
	l.head += uint64(len(b))
}

// read copies bytes out of the ring.
func (l *EventLog) read(b []byte, at uint64) {
	n := copy(b, l.buf[at%uint64(len(l.buf)):])
	copy(b[n:], l.buf)
}

func (l *EventLog) lengthAt(at uint64) uint32 {
	var b [4]byte
	l.read(b[:], at+8)
	return binary.LittleEndian.Uint32(b[:])
}

func (f *follower) put(line []byte) {
	if f.missed > 0 || f.bytes+len(line) > followBytes {
		f.missed++
	} else {
		f.lines = append(f.lines, line)
		f.bytes += len(line)
	}
	select {
	case f.wake <- struct{}{}:
	default:
	}
}

// take returns what waits for a follower: lines, and how many were missed after them.
func (l *EventLog) take(f *follower) (lines [][]byte, missed uint64) {
	l.mu.Lock()
	defer l.mu.Unlock()
	lines, missed = f.lines, f.missed
	f.lines, f.bytes, f.missed = nil, 0, 0
	return lines, missed
}

// missedLine is what a follower that was too slow gets in place of lines.
func missedLine(n uint64) []byte {
	return fmt.Appendf(nil, `{"timestamp":"%s","event_type":"missed","weir":{"missed":%d}}`, time.Now().UTC().Format("2006-01-02T15:04:05.000000+0000"), n)
}

// extent says what a log holds at one moment.
type extent struct {
	from, to uint64 // positions
	lines    int
	since    time.Time // from then on every event is there
}

// open returns what is kept, and, if filter is not nil, a follower for all that comes later and meets it.
func (l *EventLog) open(filter *Filter) (extent, *follower) {
	l.mu.Lock()
	defer l.mu.Unlock()
	x := extent{from: l.tail, to: l.head, lines: l.kept, since: l.begun}
	if l.tail > 0 {
		var b [8]byte
		l.read(b[:], l.tail)
		x.since = time.Unix(0, int64(binary.LittleEndian.Uint64(b[:])))
	}
	if filter == nil {
		return x, nil
	}
	f := &follower{filter: filter, wake: make(chan struct{}, 1)}
	l.followers[f] = struct{}{}
	return x, f
}

func (l *EventLog) leave(f *follower) {
	l.mu.Lock()
	defer l.mu.Unlock()
	delete(l.followers, f)
}

// each calls fn with the lines of an extent, oldest first, as far as they are still kept. They are borrowed. The log is held
// for the copy of a piece at a time.
func (l *EventLog) each(x extent, fn func(line []byte)) {
	var piece []byte
	for at := x.from; at < x.to; {
		piece, at = l.piece(piece[:0], at, x.to)
		for b := piece; len(b) >= logHead; {
			n := binary.LittleEndian.Uint32(b[8:])
			fn(b[logHead:][:n])
			b = b[logHead+n:]
		}
	}
}

// piece appends whole lines from a position on, and returns the position behind them.
func (l *EventLog) piece(b []byte, at, to uint64) ([]byte, uint64) {
	l.mu.Lock()
	defer l.mu.Unlock()
	at = max(at, l.tail)
	for at < to {
		n := logHead + int(l.lengthAt(at))
		if len(b) > 0 && len(b)+n > logPiece {
			break
		}
		b = append(b, make([]byte, n)...)
		l.read(b[len(b)-n:], at)
		at += uint64(n)
	}
	return b, at
}
