package dlp

import "hash/maphash"

// A memo knows what Hyperscan said of bytes that came before: the same pages, answers and statements are sent over and over. What it says depends
// on nothing but its patterns and all bytes of the value so far, and is only where which pattern ends: all that is made of that — what stands
// around, in which message, how often — is worked out anew each time. A value is known by a digest of 128 bits under keys that are drawn for each
// Database, so that whoever sends the bytes cannot make two of them meet.
//
// What came once is only noted, so that what never comes again costs little; and while little comes again, the memo rests.
type memo struct {
	seeds *[2]maphash.Seed // the Database's: a value may go on with another Scanner
	once  [memoOnce]uint32 // by digest, some of its bits: it came once
	keys  [memoSets][memoWays]digest
	sets  [memoSets]memoSet
	turn  [memoSets]uint8 // whose place is taken next
	bytes int             // of C memory
	told  [memoRegions]region

	asked, met int // since it was last looked whether it is worth while
	rest       int // so many values are not asked for
}

type memoSet [memoWays]remembered

// remembered is what Hyperscan said of some bytes.
type remembered struct {
	regions [memoRegions]region
	n       int
	matcher *matcher     // of the stream
	stream  nativeStream // as it was behind them; none: a whole value
	size    int          // of the stream
}

// digest stands for a matcher and the bytes of a value so far. The zero digest stands for what is not asked for.
type digest [2]uint64

// ours
const (
	memoStreams = 256 // sets of values that are open
	memoSets    = memoStreams + 1024
	memoWays    = 4
	memoOnce    = 1 << 14
	memoRegions = 2       // of what is remembered
	memoBytes   = 1 << 20 // of C memory
	memoTurn    = 4096    // questions
	memoWorth   = 8       // one of so many is answered, or it rests
	memoRest    = 16 * memoTurn
)

// free gives C memory back.
func (m *memo) free() {
	for i := range m.sets {
		for k := range m.sets[i] {
			m.forget(&m.sets[i][k])
		}
	}
}

func (m *memo) forget(e *remembered) {
	if e.stream.st != nil {
		e.stream.close()
		m.bytes -= e.size
		e.stream, e.size = nativeStream{}, 0
	}
}

// begin returns the digest of a value that has no bytes yet.
func (m *memo) begin(by *matcher) digest {
	if m.rest > 0 {
		m.rest--
		return digest{}
	}
	return digest{by.native.id(), 1}
}

// after returns the digest of a value with more bytes.
func (m *memo) after(d digest, b []byte) digest {
	all := [4]uint64{d[0], d[1], uint64(len(b))}
	for i, seed := range m.seeds {
		all[3] = maphash.Bytes(seed, b)
		d[i] = maphash.Comparable(seed, all)
	}
	d[0] |= 1 // it is not zero
	return d
}

// set returns in which set a digest is.
func (d digest) set(open bool) uint64 {
	if open {
		return d[1] % memoStreams
	}
	return memoStreams + d[1]%(memoSets-memoStreams)
}

// find returns what is known of a value, nil if that is nothing.
func (m *memo) find(d digest, open bool) *remembered {
	if m.asked++; m.asked == memoTurn {
		if m.met*memoWorth < m.asked {
			m.rest = memoRest
		}
		m.asked, m.met = 0, 0
	}
	at := d.set(open)
	for i := range m.keys[at] {
		if m.keys[at][i] == d {
			m.met++
			return &m.sets[at][i]
		}
	}
	return nil
}

// regions returns what was said, in scratch.
func (m *memo) regions(e *remembered) []region {
	return m.told[:copy(m.told[:], e.regions[:e.n])]
}

// keep remembers what was said of a value, if it came before: v is it, if it is open.
func (m *memo) keep(d digest, regions []region, v *openValue) {
	if len(regions) > memoRegions {
		return
	}
	once, tag := &m.once[d[1]>>32%memoOnce], uint32(d[0]>>32)
	if *once != tag {
		*once = tag
		return
	}
	at := d.set(v != nil)
	i := m.turn[at] % memoWays
	m.turn[at]++
	e := &m.sets[at][i]
	m.keys[at][i] = digest{}
	if v != nil && !m.copy(e, v) {
		return
	}
	e.n = copy(e.regions[:], regions)
	m.keys[at][i] = d
}

// copy makes e's stream what v's is now; false if there is no room.
func (m *memo) copy(e *remembered, v *openValue) bool {
	by := v.class.matcher
	if e.matcher != by {
		m.forget(e)
	}
	if e.stream.st == nil {
		size := by.native.streamSize()
		if m.bytes+size > memoBytes {
			return false
		}
		st, ok := by.native.open()
		if !ok {
			return false
		}
		e.matcher, e.stream, e.size = by, st, size
		m.bytes += size
	}
	return e.stream.copy(v.stream)
}
