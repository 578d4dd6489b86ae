package daemon

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"weir/alert"
)

var historyTime = time.Date(2026, 1, 2, 3, 0, 0, 0, time.UTC)

// historyAlert is the alert of one minute.
func historyAlert(minute int) *alert.Event {
	return &alert.Event{Time: historyTime.Add(time.Duration(minute) * time.Minute).UnixNano(), Type: "alert", FlowID: uint64(minute), Alert: &alert.Alert{},
		Weir: alert.Weir{Rule: fmt.Sprint("rule.", minute%3), Severity: []string{"low", "high"}[minute%2], Src: &alert.Workload{Name: "web"}}}
}

func eveLines(t testing.TB, events ...*alert.Event) []byte {
	t.Helper()
	var out []byte
	for _, ev := range events {
		line, err := alert.AppendEVE(nil, ev)
		if err != nil {
			t.Fatal(err)
		}
		out = append(append(out, line...), '\n')
	}
	return out
}

// writeHistory writes alerts of the minutes 0 to 29 into eve.json and two rotated files, with other events between them.
func writeHistory(t testing.TB) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "eve.json")
	for i, name := range []string{path + ".2", path + ".1", path} {
		var b []byte
		for m := 10 * i; m < 10*i+10; m++ {
			late := &alert.Event{Time: historyTime.Add(-time.Hour).UnixNano(), Type: "flow", FlowID: 1000} // told now, of an hour ago
			b = append(b, eveLines(t, historyAlert(m), late, &alert.Event{Time: late.Time, Type: "http", App: &alert.App{Name: "http",
				Text: []byte(`"http":{"url":"/?\"event_type\":\"alert\"` + strings.Repeat("x", 5000) + `"}`)}})...)
		}
		if i == 2 {
			b = append(b, `{"timestamp":"2026-01-02T03:`...) // torn
		}
		if err := os.WriteFile(name, b, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return path
}

func flowIDs(t testing.TB, lines [][]byte) (out []uint64) {
	t.Helper()
	for _, l := range lines {
		ev, err := alert.ParseEVE(l)
		if err != nil {
			t.Fatal(err)
		}
		out = append(out, ev.FlowID)
	}
	return out
}

func TestHistory(t *testing.T) {
	path := writeHistory(t)
	at := func(minute int) time.Time { return historyTime.Add(time.Duration(minute) * time.Minute) }
	for _, c := range []struct {
		f         Filter
		last      int
		want      string
		from      int // minute that Seen.Since must be at
		events    int
		lastThere int // minute of Seen.Last; -1: none
	}{
		{Filter{}, 3, "[27 28 29]", 27, 3, -1},
		{Filter{}, 1000, "[0 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19 20 21 22 23 24 25 26 27 28 29]", 0, 30, -1},
		{Filter{Since: at(25)}, 1000, "[25 26 27 28 29]", 23, 5, 24},
		{Filter{Since: at(18), Severity: "high"}, 1000, "[19 21 23 25 27 29]", 16, 12, 17},
		{Filter{Rule: "rule.1"}, 4, "[19 22 25 28]", 19, 11, -1},
		{Filter{Workload: "db"}, 5, "[]", 0, 30, -1},
		{Filter{Since: at(60)}, 5, "[]", 28, 0, 29},
	} {
		h, err := ReadHistory(path, 4, &c.f, c.last)
		if err != nil {
			t.Fatal(err)
		}
		last := -1
		if !h.Seen.Last.IsZero() {
			last = int(h.Seen.Last.Sub(historyTime) / time.Minute)
		}
		if got := fmt.Sprint(flowIDs(t, h.Lines)); got != c.want || !h.Seen.Since.Equal(at(c.from)) || h.Cut || h.Seen.Events != c.events || last != c.lastThere {
			t.Errorf("%+v: got %s since %s, cut %v, %d events, last %d; want %+v", c.f, got, h.Seen.Since, h.Cut, h.Seen.Events, last, c)
		}
	}
	// What is too much to read is not, and that is known.
	h, err := readHistory(path, 4, &Filter{Workload: "db"}, 5, 1)
	if err != nil || !h.Cut || !h.Seen.Since.Equal(at(20)) || h.Seen.Events != 10 {
		t.Errorf("too much to read: got %+v, %v", h, err)
	}
	// Between the opening of two files the first one is rotated: it turns up again.
	if err := os.Remove(path + ".1"); err != nil {
		t.Fatal(err)
	}
	if err := os.Link(path, path+".1"); err != nil {
		t.Fatal(err)
	}
	h, err = ReadHistory(path, 4, &Filter{}, 1000)
	if err != nil || len(h.Lines) != 20 || h.Files != 2 {
		t.Errorf("with a file that was rotated meanwhile: got %d lines of %d files, %v; want 20 of 2", len(h.Lines), h.Files, err)
	}
	if h, err := ReadHistory(filepath.Join(t.TempDir(), "none"), 4, &Filter{}, 10); err != nil || h.Files != 0 || len(h.Lines) != 0 {
		t.Errorf("without a file: got %+v, %v", h, err)
	}
}

// Lines longer than a block, and a file that never ends a line.
func TestHistoryLongLines(t *testing.T) {
	path := filepath.Join(t.TempDir(), "eve.json")
	long := historyAlert(1)
	long.Weir.Why = strings.Repeat("y", 3*historyBlock)
	if err := os.WriteFile(path, eveLines(t, historyAlert(0), long, historyAlert(2)), 0o600); err != nil {
		t.Fatal(err)
	}
	h, err := ReadHistory(path, 0, &Filter{}, 10)
	if got := fmt.Sprint(flowIDs(t, h.Lines)); err != nil || got != "[0 1 2]" {
		t.Errorf("got %s, %v", got, err)
	}
	if err := os.WriteFile(path, bytes.Repeat([]byte{'x'}, 10*historyBlock), 0o600); err != nil {
		t.Fatal(err)
	}
	if h, err := ReadHistory(path, 0, &Filter{}, 10); err != nil || len(h.Lines) != 0 {
		t.Errorf("no line at all: got %d, %v", len(h.Lines), err)
	}
}

// Alerts of the past come from the file, those that the daemon has in memory only once, then those that come.
func TestAlertReader(t *testing.T) {
	path := writeHistory(t)
	log := NewEventLog(1 << 20)
	for m := 25; m < 31; m++ { // one is not in the file: the disk was full
		told(t, log, historyAlert(m))
	}
	_, socket := serve(t, ControlHandlers{Alerts: log, Events: log, Status: func() Status { return Status{Events: EventsStatus{Path: path}} }})
	read := func(r *AlertReader, show func(line []byte) error) (string, error) {
		var lines [][]byte
		err := r.Run(context.Background(), func(l []byte) error {
			lines = append(lines, bytes.Clone(l))
			return show(l)
		})
		return fmt.Sprint(flowIDs(t, lines)), err
	}
	all := func([]byte) error { return nil }
	r := &AlertReader{Daemon: Dial(socket), Path: "elsewhere", Ask: Ask{Last: -1, Filter: Filter{Since: historyTime.Add(22 * time.Minute)}}}
	if got, err := read(r, all); got != "[22 23 24 25 26 27 28 29 30]" || err != nil || len(r.Notes()) != 0 {
		t.Errorf("got %s, %v, %v", got, err, r.Notes())
	}
	enough := errors.New("enough")
	n := 0
	r = &AlertReader{Daemon: Dial(socket), Ask: Ask{Last: 2, Follow: true, Filter: Filter{Rule: "rule.0"}}}
	got, err := read(r, func([]byte) error {
		switch n++; n {
		case 3: // 30, of memory alone: it follows now
			for m := range 4 {
				told(t, log, historyAlert(31+m))
			}
		case 4:
			return enough
		}
		return nil
	})
	if got != "[24 27 30 33]" || err != enough {
		t.Errorf("followed: got %s, %v", got, err)
	}
	r = &AlertReader{Daemon: Dial(socket), Ask: Ask{Last: -1, Filter: Filter{Since: historyTime.Add(-time.Hour)}}}
	if _, err := read(r, all); err != nil || len(r.Notes()) != 1 || !strings.Contains(r.Notes()[0], path+" reaches back to 2026-01-02 03:00:00 UTC only") {
		t.Errorf("beyond the reach: %v, %v", err, r.Notes())
	}
	r = &AlertReader{Daemon: Dial(socket), Rules: []string{"my.rule"}, Ask: Ask{Last: 10, Filter: Filter{Rule: "my.rle"}}}
	if _, err := read(r, all); err == nil || err.Error() != "--rule: there is no rule my.rle (did you mean my.rule?)" {
		t.Errorf("a mistyped rule: %v", err)
	}
	r = &AlertReader{Daemon: Dial(socket), Rules: []string{"my.rule"}, Ask: Ask{Last: 10, Filter: Filter{Rule: "my.rule"}}}
	if _, err := read(r, all); err != nil || len(r.Notes()) != 1 || !strings.Contains(r.Notes()[0], "none of 30 alerts since 2026-01-02 03:00:00 UTC meets --rule my.rule (rules there are: rule.0, rule.1, rule.2)") {
		t.Errorf("a rule without alerts: %v, %v", err, r.Notes())
	}
	// Without a daemon the past is there all the same, and it is said.
	r = &AlertReader{Daemon: Dial(filepath.Join(t.TempDir(), "none")), Path: path, Ask: Ask{Last: 2}}
	if got, err := read(r, all); got != "[28 29]" || err != nil || !strings.Contains(strings.Join(r.Notes(), "\n"), "the daemon does not run") {
		t.Errorf("without a daemon: got %s, %v, %v", got, err, r.Notes())
	}
	r = &AlertReader{Daemon: r.Daemon, Path: path, Ask: Ask{Last: 2, Follow: true}}
	if _, err := read(r, all); !IsNotRunning(err) {
		t.Errorf("nobody to follow: %v", err)
	}
}

// 256 MiB of events without an alert among them: what an answer costs at the most.
func BenchmarkHistory(b *testing.B) {
	path := filepath.Join(b.TempDir(), "eve.json")
	line := eveLines(b, testExchange())
	if err := os.WriteFile(path, bytes.Repeat(line, (64<<20)/len(line)), 0o600); err != nil {
		b.Fatal(err)
	}
	b.SetBytes(64 << 20)
	for b.Loop() {
		if h, err := ReadHistory(path, 4, &Filter{}, 1000); err != nil || len(h.Lines) > 0 {
			b.Fatal(err)
		}
	}
}
