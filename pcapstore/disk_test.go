package pcapstore

import (
	"errors"
	"testing"
	"time"
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
	if got := names(t, s.Dir()); got != "" || s.Counters().Failed != 1 || s.Usage() != 0 {
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
