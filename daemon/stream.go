package daemon

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"sync"
)

// ours
const (
	maxEVELine   = 4 << 20  // bytes
	streamBuffer = 64 << 20 // bytes of lines that wait until they are shown
)

// Ask says which events are wanted.
type Ask struct {
	Alerts bool // of the alerts' log; else all types
	Filter Filter
	Follow bool // those that come, too
	Last   int  // of the past, at most; < 0: all that are kept
}

// Events calls head with what the daemon's memory has, then line with each event, an EVE line without its newline, oldest first; if a.Follow
// is set also with those that come, until ctx ends, the daemon ends or a function returns an error, which comes back. A line for which Missed
// reports true says how many lines could not be given. Lines are read as they come, so a caller that is slow keeps nobody waiting.
func (c *Client) Events(ctx context.Context, a Ask, head func(*Seen) error, line func([]byte) error) error {
	v := a.Filter.values()
	if a.Follow {
		v.Set("follow", "1")
	}
	if a.Last >= 0 {
		v.Set("last", strconv.Itoa(a.Last))
	}
	path := "/events?"
	if a.Alerts {
		path = "/alerts?"
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	r, err := c.send(ctx, http.MethodGet, path+v.Encode(), nil)
	if err != nil {
		return err
	}
	defer r.Body.Close()
	if r.StatusCode != http.StatusOK {
		return c.refused(r)
	}
	q := lineQueue{wake: make(chan struct{}, 1)}
	go q.read(r.Body)
	for begun := false; ; {
		lines, missed, over, end := q.take()
		for _, l := range lines {
			if begun {
				err = line(l)
			} else {
				begun = true
				var seen *Seen
				if seen, err = parseSeen(l); err == nil {
					err = head(seen)
				}
			}
			if err != nil {
				return err
			}
		}
		if missed > 0 {
			if err := line(missedLine(missed)); err != nil {
				return err
			}
		}
		if over {
			return c.ended(ctx, end, a.Follow)
		}
		select {
		case <-q.wake:
		case <-ctx.Done():
			return nil
		}
	}
}

// ended says why a stream of lines is over.
func (c *Client) ended(ctx context.Context, err error, follow bool) error {
	switch {
	case ctx.Err() != nil:
		return nil
	case err == nil && follow, errors.Is(err, io.ErrUnexpectedEOF):
		return c.failed("the daemon has ended", "systemctl status weir")
	case err != nil:
		return fmt.Errorf("control socket %s: %w", c.socket, err)
	}
	return nil
}

// lineQueue is what has been read and is not shown yet.
type lineQueue struct {
	mu     sync.Mutex
	lines  [][]byte
	bytes  int
	missed uint64 // lines that found no room after those
	over   bool   // nothing more will come
	err    error  // why, nil if that is the end
	wake   chan struct{}
}

// read takes lines until there are no more.
func (q *lineQueue) read(r io.Reader) {
	lines := bufio.NewScanner(r)
	lines.Buffer(make([]byte, 0, 64<<10), maxEVELine)
	lines.Split(wholeLines)
	for lines.Scan() {
		q.put(bytes.Clone(lines.Bytes()), false, nil)
	}
	q.put(nil, true, lines.Err())
}

// wholeLines is bufio.ScanLines without the end of a line that the daemon did not live to finish.
func wholeLines(data []byte, end bool) (int, []byte, error) {
	if end && bytes.IndexByte(data, '\n') < 0 {
		return len(data), nil, nil
	}
	return bufio.ScanLines(data, false)
}

func (q *lineQueue) put(line []byte, over bool, err error) {
	q.mu.Lock()
	defer q.mu.Unlock()
	switch {
	case over:
		q.over, q.err = true, err
	case q.missed > 0 || q.bytes+len(line) > streamBuffer:
		q.missed++
	default:
		q.lines = append(q.lines, line)
		q.bytes += len(line)
	}
	select {
	case q.wake <- struct{}{}:
	default:
	}
}

func (q *lineQueue) take() (lines [][]byte, missed uint64, over bool, err error) {
	q.mu.Lock()
	defer q.mu.Unlock()
	lines, missed = q.lines, q.missed
	q.lines, q.bytes, q.missed = nil, 0, 0
	return lines, missed, q.over, q.err
}

// Missed reports whether a line says how many lines could not be given.
func Missed(line []byte) (n uint64, ok bool) {
	if !bytes.Contains(line, []byte(`"event_type":"missed"`)) { // inside a string the quotes would have backslashes
		return 0, false
	}
	var in struct {
		Weir struct{ Missed uint64 }
	}
	err := json.Unmarshal(line, &in)
	return in.Weir.Missed, err == nil
}

// Notes says, for people, what an answer out of memory lacks, or why it is empty; shown is how many events it has.
func (a *Ask) Notes(s *Seen, shown int) (out []string) {
	if shown == 0 {
		out = append(out, a.Filter.whyNone(s, "event", "the daemon's memory"))
	}
	if !a.Filter.Since.IsZero() && a.Filter.Since.Before(s.Since) {
		out = append(out, "the daemon's memory goes back to "+utcTime(s.Since)+" only: eve.json has what was before")
	}
	return out
}
