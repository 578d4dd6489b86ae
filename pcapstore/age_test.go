package pcapstore

import (
	"slices"
	"testing"
	"time"
)

func TestExpire(t *testing.T) {
	s := open(t, Options{})
	var ids []string
	for sec := range int64(4) {
		l, err := s.Begin(testMeta(10 + sec))
		if err != nil {
			t.Fatal(err)
		}
		l.Add(frame(udp, 10+sec), "")
		if err := l.Close(); err != nil {
			t.Fatal(err)
		}
		ids = append(ids, l.ID())
	}
	if err := s.Pin(ids[0], true); err != nil {
		t.Fatal(err)
	}
	n, err := s.Expire(time.Unix(13, 0))
	left, lerr := s.List()
	var got []string
	for _, i := range left {
		got = append(got, i.ID)
	}
	if n != 2 || err != nil || lerr != nil || !slices.Equal(got, []string{ids[0], ids[3]}) || s.Counters().Removed != 2 {
		t.Errorf("%d are gone (%v), %v are left (%v); want 2 gone, and %v and %v left", n, err, got, lerr, ids[0], ids[3])
	}
	if n, err := s.Expire(time.Unix(0, 0)); n != 0 || err != nil {
		t.Errorf("none is that old: %d, %v", n, err)
	}
}
