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
	b := &both{eve, NewAlertLog()}
	defer b.Close()
	_, f := b.log.snapshot(true)
	const n = followQueue / 2
	go func() {
		for i := range n {
			b.Write(&alert.Event{Time: int64(i), Type: "alert", Alert: &alert.Alert{}})
			b.Write(&alert.Event{Time: int64(i), Type: "flow"}) // nothing that is followed
		}
	}()
	for i := range n {
		line := <-f.lines
		if got, err := os.ReadFile(path); err != nil || !bytes.Contains(got, line) {
			t.Fatalf("alert %d was told before it was written (%v): %s", i, err, line)
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
