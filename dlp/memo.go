package dlp

import (
	"hash/maphash"
	"runtime"
	"slices"
	"unsafe"
)

// A memo knows what Hyperscan said of bytes that came before: the same pages, answers and statements are sent over and over. What it says depends
// on nothing but its patterns and all bytes of the value so far, and is only where which pattern ends: all that is made of that — what stands
// around, in which message, how often — is worked out anew each time. A value is known by a digest of 128 bits under keys that are drawn for each
// Database, so that whoever sends the bytes cannot make two of them meet.
//
// What came once is only noted, so that what never comes again costs little; and while little comes again, the memo rests.
type memo struct {
	seeds  *[2]maphash.Seed // the Database's: a value may go on with another Scanner
	once   []uint32         // by digest, some of its bits: it came once
	open   memoTable        // of values of which more comes
	whole  memoTable        // of those that are over
	told   [memoRegions]region
	freeze [memoFrozen]byte // scratch

	asked, met int // since it was last looked whether it is worth while
	rest       int // so many values are not asked for
	rested     int // so many were not, the last time
}

// memoTable holds what is known by digest: a digest has memoWays places.
type memoTable struct {
	keys   []digest
	said   []said
	turn   []uint8 // by digest: whose place is taken next
	frozen []byte  // memoFrozen bytes for each place: the streams behind the bytes; nil: nothing comes behind them
}

// said is what Hyperscan said of some bytes.
type said struct {
	regions [memoRegions]region
	n       uint32
	frozen  uint32 // bytes
}

// digest stands for a matcher and the bytes of a value so far. The zero digest stands for what is not asked for.
type digest [2]uint64

// ours
const (
	memoAll     = 1 << 15 // values of a kind, open or whole, that the memos of all lanes know
	memoMost    = 1 << 13 // of one lane
	memoLeast   = 1 << 9
	memoWays    = 4
	memoOnce    = 8 // times as many are noted
	memoRegions = 2
	memoFrozen  = 224  // bytes
	memoTurn    = 4096 // questions
	memoWorth   = 8    // one of so many is answered, or it rests
	memoRest    = 16 * memoTurn
)

// memoValues returns how many values of a kind a lane's memo knows: the more lanes there are, the fewer.
func memoValues() int {
	n := memoMost
	for n > memoLeast && n*runtime.GOMAXPROCS(0) > memoAll {
		n /= 2
	}
	return n
}

// MemoBytes returns the bytes that a Scanner takes, at most, for what it remembers of what was scanned.
func MemoBytes() int64 {
	place := int(unsafe.Sizeof(digest{}) + unsafe.Sizeof(said{}))
	return int64(memoValues() * (2*place + memoFrozen + 4*memoOnce))
}

func newMemo(seeds *[2]maphash.Seed) *memo {
	n := memoValues()
	m := &memo{seeds: seeds, once: make([]uint32, memoOnce*n), open: newMemoTable(n), whole: newMemoTable(n)}
	m.open.frozen = make([]byte, memoFrozen*n)
	return m
}

func newMemoTable(n int) memoTable {
	return memoTable{keys: make([]digest, n), said: make([]said, n), turn: make([]uint8, n/memoWays)}
}

// begin returns the digest of a value that has no bytes yet.
func (m *memo) begin(by *matcher) digest {
	if m.rest > 0 {
		m.rest--
		return digest{}
	}
	return digest{by.native.id(), 1}
}

// after returns the digest of a value with more bytes; with none, that of one that is over.
func (m *memo) after(d digest, b []byte) digest {
	all := [4]uint64{d[0], d[1], uint64(len(b))}
	for i, seed := range m.seeds {
		all[3] = maphash.Bytes(seed, b)
		d[i] = maphash.Comparable(seed, all)
	}
	d[0] |= 1 // it is not zero
	return d
}

// find returns what was said under a digest; false if that is not known. It is borrowed until the next call.
func (m *memo) find(t *memoTable, d digest) (regions []region, frozen []byte, ok bool) {
	m.look()
	first := t.first(d)
	i := slices.Index(t.keys[first:first+memoWays], d)
	if i < 0 {
		return nil, nil, false
	}
	m.met++
	i += first
	e := &t.said[i]
	if t.frozen != nil {
		frozen = t.frozen[i*memoFrozen:][:e.frozen]
	}
	return m.told[:copy(m.told[:], e.regions[:e.n])], frozen, true
}

// first returns the first place of a digest.
func (t *memoTable) first(d digest) int { return int(d[1]%uint64(len(t.turn))) * memoWays }

// look decides from time to time whether the memo is to rest, each time twice as long as before.
func (m *memo) look() {
	if m.asked++; m.asked < memoTurn {
		return
	}
	if m.met*memoWorth < m.asked {
		m.rest = min(max(2*m.rested, memoTurn), memoRest)
	}
	m.rested = m.rest
	m.asked, m.met = 0, 0
}

// keep remembers what was said under a digest, if it came before: st is the stream of a value of which more comes.
func (m *memo) keep(t *memoTable, d digest, regions []region, st nativeStream) {
	if len(regions) > memoRegions {
		return
	}
	once, tag := &m.once[d[1]>>32%uint64(len(m.once))], uint32(d[0]>>32)
	if *once != tag {
		*once = tag
		return
	}
	n := 0
	if t.frozen != nil {
		if n = st.freeze(m.freeze[:]); n == 0 { // it takes nobody's place
			return
		}
	}
	first := t.first(d)
	turn := &t.turn[first/memoWays]
	i := first + int(*turn)
	*turn = (*turn + 1) % memoWays
	e := &t.said[i]
	if n > 0 {
		e.frozen = uint32(copy(t.frozen[i*memoFrozen:], m.freeze[:n]))
	}
	e.n = uint32(copy(e.regions[:], regions))
	t.keys[i] = d
}
