package alert

import (
	"strconv"
	"testing"
	"time"
)

// told counts the alerts that l allows of n that come step apart, and what they say was held back.
func told(l *Limiter, rule, who string, from int64, step time.Duration, n int) (allowed int, held uint64) {
	for i := range n {
		ok, h := l.Allow(rule, who, from+int64(i)*int64(step))
		if ok {
			allowed++
		}
		held += h
	}
	return allowed, held
}

func TestLimiter(t *testing.T) {
	l := NewLimiter()
	if got, held := told(l, "r", "w", noon, 0, 1000); got != 100 || held != 0 {
		t.Errorf("burst: got %d and %d held back, want 100 and 0", got, held)
	}
	if ok, _ := l.Allow("r", "other", noon); !ok {
		t.Error("another workload is held back")
	}
	if ok, _ := l.Allow("other", "w", noon); !ok {
		t.Error("another rule is held back")
	}
	if ok, held := l.Allow("r", "w", noon+100e6); !ok || held != 900 {
		t.Errorf("after 100 ms: got %v, %d held back; want true, 900", ok, held)
	}
	if ok, held := l.Allow("r", "w", noon+200e6); !ok || held != 0 {
		t.Errorf("after 200 ms: got %v, %d held back; want true, 0", ok, held)
	}
	// 10 s at 1000/s: 10 a second.
	if got, _ := told(l, "r", "w", noon+200e6, time.Millisecond, 10_001); got != 100 {
		t.Errorf("in 10 s: got %d, want 100", got)
	}
	// After a rest of an hour there is one burst, not more.
	if got, _ := told(l, "r", "w", noon+3600e9, 0, 1000); got != 100 {
		t.Errorf("after a rest: got %d, want 100", got)
	}
}

// TestLimiterClock: times that go back and forth give nothing; a clock that was set back does not hold alerts back for
// ever.
func TestLimiterClock(t *testing.T) {
	l := NewLimiter()
	told(l, "r", "w", noon, 0, 100)
	allowed := 0
	for i := range 10_000 {
		if ok, _ := l.Allow("r", "w", noon-int64(i%2)*50e6); ok {
			allowed++
		}
	}
	if allowed != 0 {
		t.Errorf("to and fro: got %d, want 0", allowed)
	}
	l.Allow("r", "w", noon-3600e9)
	if ok, _ := l.Allow("r", "w", noon-3599e9); !ok {
		t.Error("held back after the clock was set back")
	}
}

func TestLimiterKeys(t *testing.T) {
	l := NewLimiter()
	told(l, "r", "busy", noon, 0, 100)
	for i := range 3 * limitKeys {
		l.Allow("r", strconv.Itoa(i), noon)
		if ok, _ := l.Allow("r", "busy", noon); ok {
			t.Fatal("a pair in use was forgotten")
		}
	}
	if got := len(l.buckets); got != limitKeys || l.used.Len() != limitKeys {
		t.Errorf("got %d and %d pairs, want %d", got, l.used.Len(), limitKeys)
	}
}

func TestLimiterAllocs(t *testing.T) {
	l, now := NewLimiter(), int64(noon)
	l.Allow("r", "w", now)
	if got := testing.AllocsPerRun(100, func() { now++; l.Allow("r", "w", now) }); got != 0 {
		t.Errorf("got %v allocations, want 0", got)
	}
}
