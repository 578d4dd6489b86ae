package daemon

import (
	"bytes"
	"os"
	"path/filepath"
	"testing"

	"weir/alert"
)

// TestToldIsWritten looks into the file for every alert that a follower gets: it must be there already.
func TestToldIsWritten(t *testing.T) {
	path := filepath.Join(t.TempDir(), "eve.json")
	eve, err := alert.NewFile(path, 0, 0)
	if err != nil {
		t.Fatal(err)
	}
	s := &sink{eve: eve, events: NewEventLog(1 << 20), alerts: NewEventLog(1 << 20)}
	defer s.Close()
	_, f := s.alerts.open(&Filter{})
	const n = 200
	go func() {
		for i := range n {
			s.Write(&alert.Event{Time: int64(i), Type: "alert", Alert: &alert.Alert{}})
			s.Write(&alert.Event{Time: int64(i), Type: "flow"}) // nothing that is followed
		}
	}()
	for got := 0; got < n; {
		<-f.wake
		lines, missed := s.alerts.take(f)
		if missed > 0 {
			t.Fatalf("%d lines missed", missed)
		}
		for _, line := range lines {
			if file, err := os.ReadFile(path); err != nil || !bytes.Contains(file, line) {
				t.Fatalf("alert %d was told before it was written (%v): %s", got, err, line)
			}
			got++
		}
	}
}

func TestWholeLines(t *testing.T) {
	for _, c := range []struct{ data, want string }{{"a\nb", "a"}, {"b", ""}, {"b\n", "b"}, {"", ""}} {
		if _, line, err := wholeLines([]byte(c.data), true); string(line) != c.want || err != nil {
			t.Errorf("%q: got %q, %v, want %q", c.data, line, err, c.want)
		}
	}
}
