package pcapstore

import (
	"errors"
	"fmt"
	"testing"

	"weir/capture"
)

// TestFloodLeavesRoom has slices of one rule and workload begun until none is let in: those of others are, and all of it once they end.
func TestFloodLeavesRoom(t *testing.T) {
	s := open(t, Options{MaxOpen: 16, Queue: 1 << 20})
	flood := func(m Meta) (all []*Slice) {
		for {
			l, err := s.Begin(m)
			if errors.Is(err, ErrTooManyAlike) || errors.Is(err, ErrTooManyOpen) {
				return all
			}
			if err != nil {
				t.Fatal(err)
			}
			all = append(all, l)
		}
	}
	var all []*Slice
	for i, c := range []struct {
		m    Meta
		want int
	}{
		{Meta{Rule: "a", Workloads: []string{"shop/web", "shop/db"}}, 11},
		{Meta{Rule: "a", Workloads: []string{"shop/api", "shop/db"}}, 4},
		{Meta{Rule: "b", Workloads: []string{"shop/web"}}, 1},
	} {
		got := flood(c.m)
		if len(got) != c.want {
			t.Errorf("%d: %d slices are open, want %d", i, len(got), c.want)
		}
		all = append(all, got...)
	}
	if n := s.Counters().Refused; n != 3 {
		t.Errorf("%d counted as refused, want 3", n)
	}
	for _, l := range all {
		l.Close() // empty
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	if s.open.open != 0 || len(s.open.of) != 0 {
		t.Errorf("all are closed, but %d are counted as open, of %v", s.open.open, s.open.of)
	}
}

// TestCauses: addresses make no cause, for they may be forged.
func TestCauses(t *testing.T) {
	on := func(iface string) []capture.Interface { return []capture.Interface{{Name: iface}} }
	seen := map[string]string{}
	for name, m := range map[string]Meta{
		"unnamed": {Rule: "a", Interfaces: on("veth1")}, "elsewhere": {Rule: "a", Interfaces: on("veth2")},
		"named": {Rule: "a", Workloads: []string{"web"}, Interfaces: on("veth1")}, "other rule": {Rule: "b", Interfaces: on("veth1")},
	} {
		key := fmt.Sprintf("%q", m.cause())
		if seen[key] != "" {
			t.Errorf("%s and %s are one cause, %s", name, seen[key], key)
		}
		seen[key] = name
	}
}
