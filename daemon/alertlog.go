package daemon

import (
	"fmt"
	"sync"
)

// ours
const (
	alertLogLines = 1000    // EVE lines that are kept
	alertLogBytes = 8 << 20 // of them together
	followQueue   = 256     // lines that may wait for one follower; more are missed, and that is told
)

// AlertLog holds the last events, as EVE lines, for those who ask over the control socket. Its methods may be called
// from any goroutine; none of them waits for a follower.
type AlertLog struct {
	mu        sync.Mutex
	lines     [][]byte // oldest first
	bytes     int
	followers map[*follower]struct{}
}

// follower is one who wants every line as it comes.
type follower struct {
	lines  chan []byte
	missed uint64 // lines that found the channel full; guarded by AlertLog.mu
}

// NewAlertLog returns an empty log.
func NewAlertLog() *AlertLog { return &AlertLog{followers: map[*follower]struct{}{}} }

// Add appends a line, without its newline. It is copied.
func (a *AlertLog) Add(line []byte) {
	line = append([]byte(nil), line...)
	a.mu.Lock()
	defer a.mu.Unlock()
	a.lines = append(a.lines, line)
	a.bytes += len(line)
	for len(a.lines) > alertLogLines || a.bytes > alertLogBytes && len(a.lines) > 1 {
		a.bytes -= len(a.lines[0])
		a.lines[0] = nil
		a.lines = a.lines[1:]
	}
	for f := range a.followers {
		f.put(line)
	}
}

func (f *follower) put(line []byte) {
	if f.missed > 0 {
		select {
		case f.lines <- missedLine(f.missed):
			f.missed = 0
		default:
			f.missed++
			return
		}
	}
	select {
	case f.lines <- line:
	default:
		f.missed++
	}
}

// missedLine is what a follower that was too slow gets in place of the lines.
func missedLine(n uint64) []byte {
	return fmt.Appendf(nil, `{"event_type":"missed","weir":{"missed":%d}}`, n)
}

// snapshot returns the lines kept, oldest first, and, if follow, a follower that gets all later ones.
func (a *AlertLog) snapshot(follow bool) ([][]byte, *follower) {
	a.mu.Lock()
	defer a.mu.Unlock()
	lines := append([][]byte(nil), a.lines...)
	if !follow {
		return lines, nil
	}
	f := &follower{lines: make(chan []byte, followQueue)}
	a.followers[f] = struct{}{}
	return lines, f
}

func (a *AlertLog) leave(f *follower) {
	a.mu.Lock()
	defer a.mu.Unlock()
	delete(a.followers, f)
}
