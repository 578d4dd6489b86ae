package alert

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"
	"testing"
)

// TestFileRotatesUnderReader has a log shipper follow the file by its name while it is rotated again and again under load: it gets every event
// once, and the files together never take more than they may.
func TestFileRotatesUnderReader(t *testing.T) {
	const (
		size, keep = 64 << 10, 3
		n          = 20_000
	)
	dir := t.TempDir()
	path := filepath.Join(dir, "eve.json")
	f := newFile(t, path, size, keep)
	q := NewQueue(f, true)
	next := make(chan struct{}, 200) // the reader is never further behind than half a file
	got := make(chan error, 1)
	go func() { got <- tail(path, n, next) }()
	for i := range n {
		next <- struct{}{}
		q.Put(numbered(i))
		if i%1000 == 0 {
			if total := bytesIn(t, dir); total > (keep+1)*size {
				t.Fatalf("the files take %d bytes, %d are allowed", total, (keep+1)*size)
			}
		}
	}
	if err := errors.Join(q.Close(), <-got); err != nil {
		t.Fatal(err)
	}
	files, _ := os.ReadDir(dir)
	if len(files) != keep+1 || q.Dropped()+q.Failed() > 0 {
		t.Errorf("%d files, want %d; %d events dropped, %d failed", len(files), keep+1, q.Dropped(), q.Failed())
	}
	all := ids(t, path+".3", path+".2", path+".1", path)
	for i, id := range all {
		if id != all[0]+i {
			t.Fatalf("event %d follows on %d", id, all[max(i-1, 0)])
		}
	}
	if all[len(all)-1] != n-1 {
		t.Errorf("the last event is %d, want %d", all[len(all)-1], n-1)
	}
}

// tail reads n numbered events from the file of this name, as it is rotated: to the end of one, then of the next.
func tail(path string, n int, seen <-chan struct{}) error {
	f, err := os.Open(path)
	if err != nil {
		return err
	}
	defer func() { f.Close() }()
	var rest []byte
	buf := make([]byte, 16<<10)
	for want := 0; want < n; {
		k, err := f.Read(buf)
		if err != nil && err != io.EOF {
			return err
		}
		rest = append(rest, buf[:k]...)
		for {
			line, after, whole := bytes.Cut(rest, []byte("\n"))
			if !whole {
				break
			}
			if e, err := ParseEVE(line); err != nil || int(e.FlowID) != want {
				return fmt.Errorf("event %d: got %q, %v", want, line, err)
			}
			rest = after
			want++
			<-seen
		}
		if k > 0 {
			continue
		}
		now, err := os.Open(path)
		if errors.Is(err, fs.ErrNotExist) {
			continue // between two renames
		} else if err != nil {
			return err
		}
		a, errA := f.Stat()
		b, errB := now.Stat()
		if err := errors.Join(errA, errB); err != nil {
			return err
		}
		if at, err := f.Seek(0, io.SeekCurrent); err != nil || os.SameFile(a, b) || at < a.Size() {
			now.Close()
			continue
		}
		if len(rest) > 0 {
			return fmt.Errorf("a file ends within a line: %q", rest)
		}
		f.Close()
		f = now
	}
	return nil
}

// bytesIn adds up the sizes of the files in a folder.
func bytesIn(t *testing.T, dir string) (n int64) {
	t.Helper()
	files, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	sizes := map[uint64]int64{} // by inode: one that is renamed meanwhile may come twice
	for _, d := range files {
		if fi, err := d.Info(); err == nil {
			sizes[fi.Sys().(*syscall.Stat_t).Ino] = fi.Size()
		}
	}
	for _, size := range sizes {
		n += size
	}
	return n
}
