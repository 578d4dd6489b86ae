package daemon

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net/http"
	"strconv"
	"time"

	"weir/alert"
)

// ours
const (
	logReaders   = 4      // that go through a log at once; further ones wait
	maxLast      = 10_000 // events of the past that one answer has
	seenLineHead = `{"event_type":"seen","weir":`
)

// stream answers with a line that holds a Seen, the last events of a log that meet a filter, and, if the reader follows, those that come.
func (c *Control) stream(log *EventLog) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		v := r.URL.Query()
		filter, err := parseFilter(v)
		follow, last := false, maxLast
		if text := v.Get("follow"); text != "" && err == nil {
			follow, err = strconv.ParseBool(text)
		}
		if text := v.Get("last"); text != "" && err == nil {
			last, err = strconv.Atoi(text)
		}
		if err != nil {
			writeError(w, http.StatusBadRequest, err.Error())
			return
		}
		if follow {
			select {
			case c.followers <- struct{}{}:
				defer func() { <-c.followers }()
			default:
				writeError(w, http.StatusServiceUnavailable, fmt.Sprintf("%d follow already (end one of them; without -f there is an answer)", controlFollow))
				return
			}
		}
		select {
		case c.readers <- struct{}{}:
		case <-r.Context().Done():
			return
		}
		var live *Filter
		if follow {
			live = filter
		}
		x, f := log.open(live)
		if f != nil {
			defer log.leave(f)
		}
		lines, seen := past(log, x, filter, min(max(last, 0), maxLast))
		<-c.readers
		w.Header().Set("Content-Type", "application/x-ndjson")
		out := http.NewResponseController(w)
		if !writeLine(w, out, seenLine(seen)) || !writeLines(w, out, lines, 0) {
			return
		}
		for f != nil {
			select {
			case <-r.Context().Done():
				return
			case <-f.wake:
				if lines, missed := log.take(f); !writeLines(w, out, lines, missed) {
					return
				}
			}
		}
	}
}

// past returns the last lines of an extent that meet a filter, and what was seen of the rest.
func past(log *EventLog, x extent, filter *Filter, last int) (lines [][]byte, seen *Seen) {
	seen = &Seen{Since: x.since.UTC()}
	if last == 0 && filter.Since.IsZero() {
		seen.Events = x.lines // who wants none of them need not wait for them
		return nil, seen
	}
	log.each(x, func(line []byte) {
		ev, err := alert.ParseEVE(line)
		if err != nil || !seen.match(filter, ev) {
			return
		}
		if len(lines) == last {
			lines[0] = nil
			lines = lines[1:]
		}
		if last > 0 {
			lines = append(lines, bytes.Clone(line))
		}
	})
	return lines, seen
}

func seenLine(s *Seen) []byte {
	b, _ := json.Marshal(s) // texts, numbers and times in range: it cannot fail
	return append(append([]byte(seenLineHead), b...), '}')
}

// parseSeen reads what seenLine wrote.
func parseSeen(line []byte) (*Seen, error) {
	var in struct {
		Weir Seen `json:"weir"`
	}
	err := json.Unmarshal(line, &in)
	return &in.Weir, err
}

// writeLines writes lines, and how many were missed after them.
func writeLines(w http.ResponseWriter, out *http.ResponseController, lines [][]byte, missed uint64) bool {
	for _, line := range lines {
		if !writeLine(w, out, line) {
			return false
		}
	}
	if missed > 0 && !writeLine(w, out, missedLine(missed)) {
		return false
	}
	return out.Flush() == nil
}

func writeLine(w http.ResponseWriter, out *http.ResponseController, line []byte) bool {
	if out.SetWriteDeadline(time.Now().Add(controlWrite)) != nil {
		return false
	}
	_, err := w.Write(append(line[:len(line):len(line)], '\n'))
	return err == nil
}
