package policy

import (
	"bytes"
	"hash/maphash"
)

// ours
const (
	seenFirst = 64        // entries that a table begins with; it grows by doubling
	seenMost  = 2048      // entries of a table that is full
	seenBytes = 256 << 10 // bytes of keys, likewise
	memoSize  = 1024      // what was said word for word is found without making a pattern of it; a power of 2
)

// Seen is what was said since a table was empty, each thing once with how often: what the packet path writes, and hands to a
// Learner when it is full or some time has passed. It belongs to one goroutine at a time. What is known already costs no allocation.
type Seen struct {
	terms *Terms
	slots []uint32 // by hash: 1 + number of the entry, 0 if free; twice as many as entries fit, a power of 2
	memo  []memo
	list  []entry
	keys  []byte // of the entries
	key   []byte // of the observation at hand
	lost  uint64
	late  []Mark // refusals of what is not in it
}

// memo leads from what was said, word for word, to its entry. Hashes are of a seed that nobody outside knows: two that are the same are of the same.
type memo struct {
	hash uint64
	n    uint32 // as in slots
}

type entry struct {
	hash        uint64
	off, n      uint32 // of the key in keys
	count       uint32
	refused     uint32
	first, last int64
}

// Mark names what was noted, so that its answer can be told. The zero Mark names nothing.
type Mark uint64

// NewSeen returns an empty table.
func NewSeen(t *Terms) *Seen {
	return &Seen{terms: t, slots: make([]uint32, 2*seenFirst), memo: make([]memo, memoSize)}
}

// Note writes an observation down. It reports false if there is no room: then the table is to be handed over, and the observation noted
// in another one.
func (s *Seen) Note(o *Observation) (Mark, bool) {
	s.key = o.appendRaw(s.key[:0])
	raw := maphash.Bytes(s.terms.seed, s.key)
	m := &s.memo[raw%memoSize]
	if m.hash == raw && m.n > 0 {
		return s.again(&s.list[m.n-1], o), true
	}
	s.key = o.appendKey(s.key[:0], s.terms)
	h := maphash.Bytes(s.terms.seed, s.key) | 1
	if n := s.find(h, s.key); n > 0 {
		*m = memo{raw, n}
		return s.again(&s.list[n-1], o), true
	}
	if len(s.list) == seenMost || len(s.keys)+len(s.key) > seenBytes {
		return 0, false
	}
	if len(s.list)*2 >= len(s.slots) {
		s.grow()
	}
	s.list = append(s.list, entry{hash: h, off: uint32(len(s.keys)), n: uint32(len(s.key)), count: 1, first: o.Time, last: o.Time})
	s.keys = append(s.keys, s.key...)
	n := uint32(len(s.list))
	s.put(h, n)
	*m = memo{raw, n}
	return Mark(h), true
}

func (s *Seen) again(e *entry, o *Observation) Mark {
	e.count++
	e.last = o.Time
	return Mark(e.hash)
}

// Refuse says that what was noted was refused by who was asked: an HTTP status from 400 on, an error of a database. It may have been noted in
// another table, of the same Terms, which was handed over meanwhile or is another lane's.
func (s *Seen) Refuse(m Mark) {
	for i := uint64(m); m != 0; i++ {
		n := s.slots[i&uint64(len(s.slots)-1)]
		if n == 0 {
			if len(s.late) < lateMost {
				s.late = append(s.late, m)
			}
			return
		}
		if e := &s.list[n-1]; e.hash == uint64(m) {
			e.refused++
			return
		}
	}
}

// Lose counts observations that could not be noted anywhere: what is learned lacks them, and says so.
func (s *Seen) Lose(n uint64) { s.lost += n }

// Empty reports whether nothing was noted.
func (s *Seen) Empty() bool { return len(s.list) == 0 && s.lost == 0 && len(s.late) == 0 }

// Since returns the time of the oldest entry, 0 if there is none.
func (s *Seen) Since() int64 {
	if len(s.list) == 0 {
		return 0
	}
	return s.list[0].first
}

// Reset empties the table. Its memory stays.
func (s *Seen) Reset() {
	clear(s.slots)
	clear(s.memo)
	s.list, s.keys, s.lost, s.late = s.list[:0], s.keys[:0], 0, s.late[:0]
}

// find returns what slots has of a key, 0 if it is not there.
func (s *Seen) find(h uint64, k []byte) uint32 {
	for i := h; ; i++ {
		n := s.slots[i&uint64(len(s.slots)-1)]
		if n == 0 {
			return 0
		}
		if e := &s.list[n-1]; e.hash == h && bytes.Equal(s.keys[e.off:][:e.n], k) {
			return n
		}
	}
}

func (s *Seen) put(h uint64, n uint32) {
	for i := h; ; i++ {
		if at := &s.slots[i&uint64(len(s.slots)-1)]; *at == 0 {
			*at = n
			return
		}
	}
}

func (s *Seen) grow() {
	s.slots = make([]uint32, 2*len(s.slots))
	for i := range s.list {
		s.put(s.list[i].hash, uint32(i+1))
	}
}

// Count returns how much was noted.
func (s *Seen) Count() (n uint64) {
	for i := range s.list {
		n += uint64(s.list[i].count)
	}
	return n + s.lost
}
