package daemon

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"slices"
	"strconv"
	"time"

	"weir/alert"
)

// ours
const (
	historyBlock = 1 << 20     // bytes that are read at once
	historyBytes = 256 << 20   // bytes that are read in all; what stands before is told as out of reach
	historySlack = time.Minute // alerts stand in the order of their times but for this
)

// History is what eve.json and its rotated files have of the past.
type History struct {
	Lines [][]byte // alerts that meet the filter, oldest first
	Seen  Seen     // of all alerts; Since is where reading ended
	Files int      // that there are
	Cut   bool     // there may be more before Since, which was too much to read
}

// ReadHistory reads alerts back from the end of the event log at path and its keep rotated files: the last ones that meet f, at most as many, no
// further back than f.Since and 256 MiB. Errors: those of the file system.
func ReadHistory(path string, keep int, f *Filter, last int) (*History, error) {
	return readHistory(path, keep, f, last, historyBytes)
}

func readHistory(path string, keep int, f *Filter, last int, left int64) (*History, error) {
	files, err := openHistory(path, keep)
	defer func() {
		for _, file := range files {
			file.Close()
		}
	}()
	if err != nil {
		return nil, fmt.Errorf("events: %w", err)
	}
	h := &History{Files: len(files)}
	for _, file := range files {
		done, err := h.read(file, f, last, &left)
		if err != nil {
			return nil, fmt.Errorf("events: %w", err)
		}
		if done {
			break
		}
	}
	slices.Reverse(h.Lines)
	return h, nil
}

// openHistory opens the files that are there, newest first. They may be rotated meanwhile: then a file turns up again under the next name.
func openHistory(path string, keep int) (files []*os.File, err error) {
	var seen []os.FileInfo
	for i := 0; i <= keep; i++ {
		name := path
		if i > 0 {
			name += "." + strconv.Itoa(i)
		}
		f, err := os.Open(name)
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil {
			return files, err
		}
		files = append(files, f)
		st, err := f.Stat()
		if err != nil {
			return files, err
		}
		if slices.ContainsFunc(seen, func(o os.FileInfo) bool { return os.SameFile(o, st) }) {
			files = files[:len(files)-1]
			f.Close()
			continue
		}
		seen = append(seen, st)
	}
	return files, nil
}

// read goes through a file from its end to its beginning, and reports whether enough is known before that.
func (h *History) read(f *os.File, filter *Filter, last int, left *int64) (done bool, err error) {
	st, err := f.Stat()
	if err != nil {
		return false, err
	}
	var rest []byte // the end of a line whose beginning is not read yet
	for end := st.Size(); end > 0; {
		if *left <= 0 {
			h.Cut = true
			return true, nil
		}
		n := min(end, historyBlock)
		end -= n
		*left -= n
		b := make([]byte, n, int(n)+len(rest))
		if _, err := f.ReadAt(b, end); err != nil {
			return false, err
		}
		b = append(b, rest...)
		if end > 0 { // the first line begins further in front
			i := bytes.IndexByte(b, '\n')
			if i < 0 {
				rest = b[:min(len(b), maxEVELine)]
				continue
			}
			rest, b = bytes.Clone(b[:i+1]), b[i+1:]
		}
		if h.lines(b, filter, last) {
			return true, nil
		}
	}
	return false, nil
}

// lines goes through whole lines backwards, and reports whether enough is known.
func (h *History) lines(b []byte, f *Filter, last int) (done bool) {
	for len(b) > 0 {
		b = bytes.TrimSuffix(b, []byte{'\n'})
		i := bytes.LastIndexByte(b, '\n') + 1
		line := b[i:]
		b = b[:i]
		typ := lineType(line)
		if !toldAtOnce[typ] {
			continue
		}
		at, ok := lineTime(line)
		if !ok {
			continue // torn by a full disk, or another's
		}
		if h.Seen.Since.IsZero() || at.Before(h.Seen.Since) {
			h.Seen.Since = at
		}
		if at.Before(f.Since.Add(-historySlack)) && (h.Seen.Matched > 0 || !h.Seen.Last.IsZero()) {
			return true
		}
		if !isAlert(typ) {
			continue
		}
		ev, err := alert.ParseEVE(line)
		if err != nil || !h.Seen.match(f, ev) {
			continue
		}
		h.Lines = append(h.Lines, bytes.Clone(line))
		if len(h.Lines) == last {
			return true
		}
	}
	return false
}

// toldAtOnce are the events whose time says when they were written: flows and exchanges are told when they are over.
var toldAtOnce = map[string]bool{"alert": true, "info": true, "anomaly": true, "drop": true, "stats": true}

// lineType reads the type of an EVE line; "" if it has none.
func lineType(line []byte) string {
	const member = `"event_type":"` // inside a string the quotes would have backslashes
	i := bytes.Index(line, []byte(member))
	if i < 0 {
		return ""
	}
	text := line[i+len(member):]
	return string(text[:max(0, bytes.IndexByte(text, '"'))])
}

// lineTime reads the time that an EVE line begins with.
func lineTime(line []byte) (time.Time, bool) {
	const begin, layout = `{"timestamp":"`, "2006-01-02T15:04:05.000000-0700"
	text, ok := bytes.CutPrefix(line, []byte(begin))
	if !ok || len(text) < len(layout) {
		return time.Time{}, false
	}
	t, err := time.Parse(layout, string(text[:len(layout)]))
	return t.UTC(), err == nil
}
