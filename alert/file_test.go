package alert

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"testing/synctest"
	"time"
)

func numbered(i int) *Event { return &Event{Time: noon, Type: "alert", FlowID: uint64(i)} }

// ids reads the flow ids of the lines of files, in order; every line must be whole.
func ids(t *testing.T, paths ...string) (out []int) {
	t.Helper()
	for _, p := range paths {
		b, err := os.ReadFile(p)
		if err != nil {
			t.Fatal(err)
		}
		for line := range bytes.Lines(b) {
			e, err := ParseEVE(line)
			if err != nil || line[len(line)-1] != '\n' {
				t.Fatalf("%s: torn: %q, %v", p, line, err)
			}
			out = append(out, int(e.FlowID))
		}
	}
	return out
}

func newFile(t *testing.T, path string, size int64, keep int) *File {
	t.Helper()
	f, err := NewFile(path, size, keep)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { f.Close() })
	return f
}

func write(t *testing.T, s Sink, events ...*Event) {
	t.Helper()
	for _, e := range events {
		if err := s.Write(e); err != nil {
			t.Fatal(err)
		}
	}
}

func TestFile(t *testing.T) {
	defer syscall.Umask(syscall.Umask(0o077))
	path := filepath.Join(t.TempDir(), "eve.json")
	f := newFile(t, path, 0, 0)
	write(t, f, numbered(1), &Event{Time: noon, Type: "flow", FlowID: 2})
	if got, want := fmt.Sprint(ids(t, path)), "[1]"; got != want {
		t.Errorf("before Close: got %s, want %s: an alert does not wait, a flow does", got, want)
	}
	st, err := os.Stat(path)
	if err != nil || st.Mode().Perm() != 0o640 {
		t.Errorf("got %v, %v; want mode 0640", st.Mode(), err)
	}
	if err := errors.Join(f.Close(), f.Close()); err != nil {
		t.Fatal(err)
	}
	if err := f.Write(numbered(3)); !errors.Is(err, os.ErrClosed) {
		t.Errorf("after Close: got %v", err)
	}
	if err := f.Reopen(); !errors.Is(err, os.ErrClosed) {
		t.Errorf("after Close: got %v", err)
	}
	f = newFile(t, path, 0, 0)
	write(t, f, numbered(4))
	if got, want := fmt.Sprint(ids(t, path)), "[1 2 4]"; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
}

func TestFileModeAndTornEnd(t *testing.T) {
	path := filepath.Join(t.TempDir(), "eve.json")
	if err := os.WriteFile(path, []byte("{\"torn"), 0o666); err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(path, 0o664); err != nil {
		t.Fatal(err)
	}
	write(t, newFile(t, path, 0, 0), numbered(1))
	b, _ := os.ReadFile(path)
	if first, rest, _ := strings.Cut(string(b), "\n"); first != `{"torn` || !json.Valid([]byte(rest)) {
		t.Errorf("got %q", b)
	}
	if st, _ := os.Stat(path); st.Mode().Perm() != 0o640 {
		t.Errorf("got %v, want 0640", st.Mode())
	}
}

func TestFileRotates(t *testing.T) {
	line, _ := AppendEVE(nil, numbered(10))
	one := int64(len(line) + 1)
	dir := t.TempDir()
	path := filepath.Join(dir, "eve.json")
	f := newFile(t, path, 3*one, 2)
	for i := 10; i < 21; i++ {
		write(t, f, numbered(i))
	}
	if got, want := fmt.Sprint(ids(t, path+".2", path+".1", path)), "[13 14 15 16 17 18 19 20]"; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
	files, _ := os.ReadDir(dir)
	if len(files) != 3 {
		t.Errorf("got %v, want 3 files", files)
	}
	if st, _ := os.Stat(path + ".1"); st.Size() != 3*one {
		t.Errorf("got %d bytes, want %d", st.Size(), 3*one)
	}
}

func TestFileRotatesAtOpenAndBuffered(t *testing.T) {
	path := filepath.Join(t.TempDir(), "eve.json")
	f := newFile(t, path, 500, 1)
	long := &Event{Time: noon, Type: "flow", FlowID: 9, Iface: strings.Repeat("x", 1000)}
	write(t, f, &Event{Time: noon, Type: "flow", FlowID: 1}, long) // neither is urgent
	if got := fmt.Sprint(ids(t, path+".1")); got != "[1]" {
		t.Errorf("got %s, want [1]", got)
	}
	f.Close()
	f = newFile(t, path, 500, 1)
	write(t, f, numbered(2))
	if got := fmt.Sprint(ids(t, path+".1", path)); got != "[9 2]" {
		t.Errorf("got %s, want [9 2]", got)
	}
}

// TestFileMovedAway: when others have moved or truncated the file, the older ones stay as they are.
func TestFileMovedAway(t *testing.T) {
	path := filepath.Join(t.TempDir(), "eve.json")
	f := newFile(t, path, 300, 1)
	if err := os.WriteFile(path+".1", []byte("old"), 0o600); err != nil {
		t.Fatal(err)
	}
	write(t, f, numbered(10), numbered(11), numbered(12))
	if err := os.Truncate(path, 0); err != nil {
		t.Fatal(err)
	}
	write(t, f, numbered(13), numbered(14))
	if err := os.Rename(path, path+".moved"); err != nil {
		t.Fatal(err)
	}
	for i := 15; i < 18; i++ {
		write(t, f, numbered(i))
	}
	if b, err := os.ReadFile(path + ".1"); string(b) != "old" {
		t.Errorf("got %q, %v: an older file was pushed out", b, err)
	}
	if got := fmt.Sprint(ids(t, path+".moved", path)); got != "[13 14 15 16 17]" {
		t.Errorf("got %s, want [13 14 15 16 17]", got)
	}
}

func TestFileKeepsNone(t *testing.T) {
	dir := t.TempDir()
	f := newFile(t, filepath.Join(dir, "eve.json"), 200, 0)
	for i := range 20 {
		write(t, f, numbered(i))
	}
	if files, _ := os.ReadDir(dir); len(files) != 1 {
		t.Errorf("got %v, want one file", files)
	}
}

func TestFileReopen(t *testing.T) {
	path := filepath.Join(t.TempDir(), "eve.json")
	f := newFile(t, path, 0, 0)
	write(t, f, numbered(1), &Event{Time: noon, Type: "flow", FlowID: 2})
	if err := os.Rename(path, path+".old"); err != nil {
		t.Fatal(err)
	}
	write(t, f, numbered(3))
	if err := f.Reopen(); err != nil {
		t.Fatal(err)
	}
	write(t, f, numbered(4))
	if got := fmt.Sprint(ids(t, path+".old"), ids(t, path)); got != "[1 2 3] [4]" {
		t.Errorf("got %s, want [1 2 3] [4]", got)
	}
	// What cannot be opened leaves the old file in use.
	if err := errors.Join(os.Rename(path, path+".2"), os.Mkdir(path, 0o700)); err != nil {
		t.Fatal(err)
	}
	if err := f.Reopen(); err == nil {
		t.Error("no error")
	}
	write(t, f, numbered(5))
	if got := fmt.Sprint(ids(t, path+".2")); got != "[4 5]" {
		t.Errorf("got %s, want [4 5]", got)
	}
}

func TestFileReopenRace(t *testing.T) {
	path := filepath.Join(t.TempDir(), "eve.json")
	f := newFile(t, path, 0, 0)
	var wg sync.WaitGroup
	wg.Go(func() {
		for range 100 {
			f.Reopen()
		}
	})
	for i := range 500 {
		write(t, f, numbered(i))
	}
	wg.Wait()
	if got := len(ids(t, path)); got != 500 {
		t.Errorf("got %d lines, want 500", got)
	}
}

// TestFileTimer: what is not urgent is in the file soon, though no further event comes.
func TestFileTimer(t *testing.T) {
	path := filepath.Join(t.TempDir(), "eve.json")
	synctest.Test(t, func(t *testing.T) {
		f, err := NewFile(path, 0, 0)
		if err != nil {
			t.Fatal(err)
		}
		for i := range 3 {
			write(t, f, &Event{Time: noon, Type: "flow", FlowID: uint64(i)})
			time.Sleep(2 * flushInterval)
			synctest.Wait()
			if got := len(ids(t, path)); got != i+1 {
				t.Errorf("got %d lines, want %d", got, i+1)
			}
		}
		f.Close()
	})
}

func TestFileDeviceFull(t *testing.T) {
	if _, err := os.Stat("/dev/full"); err != nil {
		t.Skip("no /dev/full here")
	}
	dir := t.TempDir()
	link := filepath.Join(dir, "eve.json")
	if err := os.Symlink("/dev/full", link); err != nil {
		t.Fatal(err)
	}
	f := newFile(t, link, 10, 1) // no regular file: not rotated
	for i := range 3 {
		if err := f.Write(numbered(i)); !errors.Is(err, syscall.ENOSPC) {
			t.Fatalf("got %v, want %v", err, syscall.ENOSPC)
		}
	}
	if err := os.Remove(link); err != nil {
		t.Fatal(err)
	}
	f.max = 0
	if err := f.Reopen(); err != nil {
		t.Fatal(err)
	}
	write(t, f, numbered(3))
	if got := fmt.Sprint(ids(t, link)); got != "[0 1 2 3]" {
		t.Errorf("got %s, want [0 1 2 3]: kept until there is room", got)
	}
}

// TestFileBacklog: what a long failure leaves no room for is counted and told.
func TestFileBacklog(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "eve.json")
	f := newFile(t, path, 0, 0)
	disk := &leaky{err: syscall.ENOSPC}
	f.l.w = disk
	long := &Event{Time: noon, Type: "alert", FlowID: 1, Iface: strings.Repeat("x", 100_000)}
	for range 15 {
		if err := f.Write(long); !errors.Is(err, syscall.ENOSPC) {
			t.Fatalf("got %v", err)
		}
	}
	if got := len(f.l.buf); got > maxBacklog {
		t.Errorf("backlog of %d bytes", got)
	}
	if n, failing := f.Lost(); n != 5 || !errors.Is(failing, syscall.ENOSPC) {
		t.Errorf("got %d lost, %v", n, failing)
	}
	disk.room = 1 << 30
	write(t, f, numbered(2))
	if n, failing := f.Lost(); n != 5 || failing != nil {
		t.Errorf("with room again: got %d lost, %v", n, failing)
	}
	lines := strings.Split(strings.TrimSpace(disk.String()), "\n")
	last, err := ParseEVE([]byte(lines[len(lines)-1]))
	if err != nil || last.Anomaly == nil || last.Anomaly.Event != "output.lost" || last.Weir.Why != "5 events could not be written: make room on the disk" {
		t.Errorf("got %+v, %v", last, err)
	}
	if got := len(lines); got != 12 {
		t.Errorf("got %d lines, want 10, the event and what tells", got)
	}
}

// leaky is a disk: it takes room bytes, and then fails.
type leaky struct {
	bytes.Buffer
	room int
	err  error
}

func (d *leaky) Write(b []byte) (int, error) {
	n := min(len(b), d.room)
	d.room -= n
	d.Buffer.Write(b[:n])
	if n < len(b) {
		return n, d.err
	}
	return n, nil
}

// TestWriterRetries writes to a disk that is full again and again: in the end every line is there, whole and once.
func TestWriterRetries(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	for range 50 {
		disk := &leaky{err: syscall.ENOSPC}
		if r.IntN(2) == 0 {
			disk.err = nil // a short write without an error is one too
		}
		w := &writer{lines{w: disk}}
		var want bytes.Buffer
		for i := range 300 {
			e := numbered(i)
			line, _ := AppendEVE(nil, e)
			want.Write(append(line, '\n'))
			w.Write(e)
			if r.IntN(3) == 0 {
				disk.room = r.IntN(400)
				w.Flush()
			}
		}
		disk.room = 1 << 30
		if err := w.Close(); err != nil {
			t.Fatal(err)
		}
		if disk.String() != want.String() {
			t.Fatalf("got\n%s\nwant\n%s", disk.String(), want.String())
		}
	}
}

func TestNewWriter(t *testing.T) {
	var out bytes.Buffer
	w := NewWriter(&out)
	write(t, w, numbered(1), numbered(2))
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	if got := strings.Count(out.String(), "\n"); got != 2 {
		t.Errorf("got %d lines, want 2", got)
	}
}

func TestFileAstray(t *testing.T) {
	path := filepath.Join(t.TempDir(), "eve.json")
	f := newFile(t, path, 0, 0)
	if f.Astray() {
		t.Error("it is there")
	}
	for what, do := range map[string]func() error{
		"removed":              func() error { return os.Remove(path) },
		"renamed":              func() error { return os.Rename(path, path+".1") },
		"another in its place": func() error { return errors.Join(os.Rename(path, path+".1"), os.WriteFile(path, nil, 0o600)) },
	} {
		if err := do(); err != nil || !f.Astray() {
			t.Errorf("%s: not seen, %v", what, err)
		}
		if err := f.Reopen(); err != nil || f.Astray() {
			t.Errorf("%s: opened anew, it is not there, %v", what, err)
		}
	}
}
