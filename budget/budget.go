// Package budget divides what is limited among those that need it, each in a goroutine of its own: flows and bytes among taps. What
// nobody needs may be taken by anyone; what several need is divided into equal parts. It knows nothing of what is counted.
package budget

import "sync/atomic"

// Budget is an amount that Shares are taken from. Its methods may be called from any goroutine.
type Budget struct {
	total  atomic.Int64
	taken  atomic.Int64 // by all shares
	lacked atomic.Int64 // what shares with less than an equal part asked for in vain
	shares atomic.Int64
}

// New returns a Budget of an amount.
func New(total int64) *Budget {
	b := &Budget{}
	b.total.Store(total)
	return b
}

// Set changes the amount. If it becomes less than what is taken, shares give back what they have beyond an equal part, each the next time
// it settles.
func (b *Budget) Set(total int64) { b.total.Store(total) }

// Total returns the amount.
func (b *Budget) Total() int64 { return b.total.Load() }

// Taken returns what shares have taken, used or not. It may exceed the amount for as long as they have not settled.
func (b *Budget) Taken() int64 { return b.taken.Load() }

// part is what each share may have in any case.
func (b *Budget) part() int64 { return b.total.Load() / max(1, b.shares.Load()) }

// Share is what one owner has taken of a Budget. One goroutine uses it at a time. What is used is only counted: its owner asks before it
// uses more, and when it has more than it may, gets rid of some.
type Share struct {
	b     *Budget
	chunk int64 // is taken at once, so that few ask
	least int64
	have  int64
	used  int64
	lack  int64 // its part of b.lacked
}

// Open adds a share, which asks for chunk at once. It has least in any case, even if nothing is left.
func (b *Budget) Open(least, chunk int64) *Share {
	b.shares.Add(1)
	b.taken.Add(least)
	return &Share{b: b, chunk: max(1, chunk), least: least, have: least}
}

// Alone returns a share that has all of a Budget of its own.
func Alone(total int64) *Share { return New(total).Open(total, total) }

// Close gives all back. The share is not used any more.
func (s *Share) Close() {
	s.want(0)
	s.b.taken.Add(-s.have)
	s.b.shares.Add(-1)
	s.have, s.least = 0, 0
}

// Use counts n more as used; fewer if n is negative.
func (s *Share) Use(n int64) { s.used += n }

// Used returns what is used.
func (s *Share) Used() int64 { return s.used }

// Room returns how much more may be used without asking; it is negative if too much is.
func (s *Share) Room() int64 { return s.have - s.used }

// Fits reports whether n more may be used. It takes more from the budget if that is needed.
func (s *Share) Fits(n int64) bool {
	lacks := s.used + n - s.have
	return lacks <= 0 || s.ask(lacks)
}

// Over reports whether more is used than may be.
func (s *Share) Over() bool { return s.used > s.have && !s.ask(s.used-s.have) }

// ask takes n more, and what is missing to a chunk if there is as much.
func (s *Share) ask(n int64) bool {
	chunk := (n + s.chunk - 1) / s.chunk * s.chunk
	if s.take(chunk) {
		s.want(0)
		return true
	}
	if s.have+chunk <= s.b.part() {
		s.want(chunk) // it is others that have too much
	}
	return s.take(n)
}

func (s *Share) take(n int64) bool {
	b := s.b
	free := b.total.Load() - n
	if s.have+n > b.part() {
		free -= b.lacked.Load() - s.lack // that is for those with less
	}
	for {
		taken := b.taken.Load()
		if taken > free {
			return false
		}
		if b.taken.CompareAndSwap(taken, taken+n) {
			s.have += n
			return true
		}
	}
}

// want says what s lacks.
func (s *Share) want(n int64) {
	if n != s.lack {
		s.b.lacked.Add(n - s.lack)
		s.lack = n
	}
}

// Ours.
const settlePart = 16 // a share gives others at most this part of what it has at once: what it gives up for that takes time

// Settle gives back what is not used, and what others lack if s has more than an equal part. It is called now and then, as once for each
// block of packets; afterwards Over may be true.
func (s *Share) Settle() {
	b := s.b
	if spare := min(s.have-s.used-s.chunk, s.have-s.least); spare >= s.chunk {
		s.give(spare / s.chunk * s.chunk)
	}
	if s.used <= s.have {
		s.want(0)
	}
	short := b.taken.Load() + b.lacked.Load() - b.total.Load()
	if short <= 0 {
		return
	}
	if beyond := s.have - max(s.least, b.part()); beyond > 0 {
		s.give(min(beyond, short, max(s.chunk, s.have/settlePart)))
	}
}

func (s *Share) give(n int64) {
	s.have -= n
	s.b.taken.Add(-n)
}
