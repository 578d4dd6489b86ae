package engine

import (
	"testing"
	"time"
)

// TestThresholds: different values in a window raise once in it; the same one again does not count.
func TestThresholds(t *testing.T) {
	x := newThresholds()
	const window = int64(10 * time.Minute)
	minute := int64(time.Minute)
	web, db := thresholdKey{rule: "card", who: "web"}, thresholdKey{rule: "card", who: "db"}
	for i, step := range []struct {
		key     thresholdKey
		sum     uint64
		at      int64 // minutes
		n       int
		reached bool
	}{
		{web, 1, 0, 1, false},
		{web, 1, 1, 1, false},
		{db, 2, 1, 1, false},
		{web, 2, 2, 2, false},
		{web, 3, 3, 3, true},
		{web, 4, 4, 3, false},  // told in this window already
		{web, 5, 20, 1, false}, // the others are too old
		{web, 6, 21, 2, false},
		{web, 7, 19, 3, true}, // another tap's clock is behind
		{db, 3, 5, 2, false},
	} {
		n, reached, forgot := x.count(step.key, step.sum, step.at*minute, window, 3)
		if n != step.n || reached != step.reached || forgot {
			t.Errorf("step %d: got %d, %v, %v; want %d, %v", i, n, reached, forgot, step.n, step.reached)
		}
	}
}

// TestThresholdBudget: at the budget those go that found nothing for longest, and it is told.
func TestThresholdBudget(t *testing.T) {
	x := newThresholds()
	told := false
	for i := range uint64(100_000) {
		_, _, forgot := x.count(thresholdKey{rule: "card", flow: i + 1}, i, 0, 0, 8)
		told = told || forgot
		if x.bytes > thresholdBytes {
			t.Fatalf("%d bytes", x.bytes)
		}
	}
	if !told {
		t.Error("nothing was forgotten")
	}
	sum := 0
	for el := x.used.Front(); el != nil; el = el.Next() {
		sum += thresholdSize + cap(el.Value.(*threshold).values)*seenValueSize
	}
	if sum != x.bytes || len(x.at) != x.used.Len() {
		t.Errorf("counted %d bytes, there are %d; %d in the map, %d in the list", x.bytes, sum, len(x.at), x.used.Len())
	}
}
