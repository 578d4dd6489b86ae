package pcapstore

import (
	"errors"
	"os"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

func TestDiskGone(t *testing.T) {
	s := open(t, Options{})
	l, err := s.Begin(testMeta(1))
	if err != nil {
		t.Fatal(err)
	}
	l.file.Close() // what an error of the disk looks like from here
	for range 2000 {
		err = errors.Join(err, l.Add(frame(udp, 1), ""))
	}
	if e := l.Close(); err == nil || e == nil {
		t.Errorf("got %v and %v, want the disk's error", err, e)
	}
	if got := names(t, s.Dir()); got != "" || s.Counters().Failed != 1 || s.Usage() != 0 || s.Counters().NotStored == 0 {
		t.Errorf("left behind: %q, %d bytes, %+v", got, s.Usage(), s.Counters())
	}
	if s, err := Open(t.TempDir(), Options{MinFree: 1 << 60}); err != nil {
		t.Fatal(err)
	} else if _, err := s.Begin(testMeta(1)); !errors.Is(err, ErrNoSpace) {
		t.Errorf("full disk: got %v, want %v", err, ErrNoSpace)
	}
}

// TestDiskStuck adds to a slice while a write to the disk does not come back: nobody waits for it, and packets are counted, not stored.
func TestDiskStuck(t *testing.T) {
	s := open(t, Options{Queue: 1 << 20})
	s.disk.Lock() // what a disk that does not answer looks like from here
	l, err := s.Begin(testMeta(1))
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan error)
	go func() {
		for range 10_000 {
			if err := l.Add(frame(udp, 1), "a comment: written at once"); err != nil {
				done <- err
				return
			}
		}
		done <- l.Close()
	}()
	select {
	case err := <-done:
		if err != nil {
			t.Error(err)
		}
	case <-time.After(10 * time.Second):
		t.Error("a tap waits for the disk")
	}
	for end := time.Now().Add(10 * time.Second); s.Busy() == 0; time.Sleep(time.Millisecond) {
		if time.Now().After(end) {
			t.Fatal("the disk is busy, but that is not told")
		}
	}
	s.disk.Unlock()
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	if c := s.Counters(); c.Written != 1 || c.NotStored == 0 || s.Busy() != 0 {
		t.Errorf("got %+v", c)
	}
}

// TestReserve writes slices to a small file system until it is full: all but a sixteenth of it is used, what is refused is counted, and with
// room again slices are written again.
func TestReserve(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("needs root: mounts a file system")
	}
	dir := t.TempDir()
	if err := unix.Mount("weir-test", dir, "tmpfs", 0, "size=4m"); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { unix.Unmount(dir, 0) })
	s, err := Open(dir+"/pcap", Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	one := func(n int) error {
		l, err := s.Begin(testMeta(int64(n)))
		if err != nil {
			return err
		}
		for range 500 {
			l.Add(frame(udp, 1), "") // its error is that of Close
		}
		return l.Close()
	}
	written := 0
	for err = one(written); err == nil; err = one(written) {
		written++
	}
	free, e := s.Free()
	if !errors.Is(err, ErrNoSpace) || e != nil || written == 0 || free > 1<<20 {
		t.Fatalf("%d slices, then %v; %d bytes are free, %v", written, err, free, e)
	}
	all, err := s.List()
	if err != nil || len(all) != written {
		t.Fatalf("%d slices are listed, %v; want %d", len(all), err, written)
	}
	for i := range all[:len(all)/2] {
		if err := s.Remove(all[i].ID); err != nil {
			t.Fatal(err)
		}
	}
	if err := one(written); err != nil {
		t.Errorf("with room again: %v", err)
	}
}
