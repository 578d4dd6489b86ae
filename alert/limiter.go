package alert

import (
	"container/list"
	"sync"
)

// Ours.
const (
	limitBurst = 100  // alerts of one rule and workload at once
	limitRate  = 10   // alerts per second after that
	limitKeys  = 4096 // pairs of rule and workload that are remembered
	limitBack  = 60e9 // ns that a clock may run behind another's; more: it was set back, or another recording has begun
)

// Limiter holds back floods of equal alerts, so that they do not push out others and their evidence: one token bucket
// for each rule and workload. Its methods may be called from any goroutine.
type Limiter struct {
	Burst     int // alerts of one rule and workload at once; set before use
	PerSecond int // alerts per second after that; set before use

	mu      sync.Mutex
	buckets map[limitKey]*list.Element
	used    list.List // of *bucket, the most recently used first
}

type limitKey struct{ rule, who string }

type bucket struct {
	key    limitKey
	tokens float64
	last   int64 // ns since the epoch
	held   uint64
}

// NewLimiter returns a Limiter with full buckets.
func NewLimiter() *Limiter {
	return &Limiter{Burst: limitBurst, PerSecond: limitRate, buckets: map[limitKey]*list.Element{}}
}

// Allow reports whether an alert of rule, concerning who, may be told at now (ns since the epoch, the time of the
// event), and if so how many were held back since the last that was. Beyond 4096 pairs the least recently used one is
// forgotten, and its bucket full again.
func (l *Limiter) Allow(rule, who string, now int64) (ok bool, heldBack uint64) {
	l.mu.Lock()
	defer l.mu.Unlock()
	b := l.bucket(limitKey{rule, who}, now)
	elapsed := float64(now) - float64(b.last)
	switch {
	case elapsed > 0:
		b.tokens = min(float64(l.Burst), b.tokens+elapsed*float64(l.PerSecond)/1e9)
		b.last = now
	case elapsed < -limitBack:
		b.last = now
	}
	if b.tokens < 1 {
		b.held++
		return false, 0
	}
	b.tokens--
	heldBack, b.held = b.held, 0
	return true, heldBack
}

func (l *Limiter) bucket(k limitKey, now int64) *bucket {
	if el := l.buckets[k]; el != nil {
		l.used.MoveToFront(el)
		return el.Value.(*bucket)
	}
	if l.used.Len() >= limitKeys {
		el := l.used.Back()
		b := el.Value.(*bucket)
		delete(l.buckets, b.key)
		*b = bucket{key: k, tokens: float64(l.Burst), last: now}
		l.used.MoveToFront(el)
		l.buckets[k] = el
		return b
	}
	b := &bucket{key: k, tokens: float64(l.Burst), last: now}
	l.buckets[k] = l.used.PushFront(b)
	return b
}
