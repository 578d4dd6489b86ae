package dlp

import (
	"crypto/sha256"
	"hash"
	"slices"

	"weir/dissect"
	"weir/edm"
)

// Counters of a Scanner, all counted up from its making. They are read by its owner.
type Counters struct {
	Parts      uint64 // parts scanned
	Bytes      uint64 // bytes scanned
	Known      uint64 // parts of which the memo knew what Hyperscan says
	Candidates uint64 // regions in which Hyperscan saw an end
	Confirmed  uint64 // matches that the confirming machine found
	Refused    uint64 // of these, dropped by validators, entropy or context
	Allowed    uint64 // of these, dropped by allow-lists
	Given      uint64 // of these, given up for a surer finding of another rule in the same bytes
	Unsure     uint64 // of these, less sure than their rule asks for: they raise nothing
	Hits       uint64
	Cut        uint64 // matches longer than what is kept of a value; their hits are not Exact
	Shed       uint64 // times that something was not looked at, for want of budget
	ShedBytes  uint64 // bytes that were not looked at then
}

// Reasons of GaveUp.
const (
	whySteps  = "dlp.confirm_budget" // confirming candidates cost more than the flow may use
	whyOpen   = "dlp.open_budget"    // too many values were open
	whyNative = "dlp.hyperscan"      // Hyperscan failed
	whyHeld   = "dlp.held_budget"    // too many findings waited for a keyword or a required rule
)

// A Scanner is one lane's scratch: it finds what a Database's rules describe in messages. One goroutine uses it at a time. It holds C
// memory until Close.
type Scanner struct {
	Count  Counters
	Silent bool // nobody reads Masked and Excerpt of hits: they are left empty
	// Excerpts asks for an Excerpt of every hit, not only of those up to the one that is raised.
	Excerpts bool
	// Patience is how many times as much as in traffic candidates may cost, where nobody waits; 0: as in traffic.
	Patience int
	// Refused is told of each match that is no finding, for who asks why; nil: nobody does. Compile with Options.Unsieved for that.
	Refused func(*Refusal)

	db      *Database
	file    string // that what is inspected stands in; "" none
	native  nativeScan
	fitted  []*Database // whose patterns the scratch is fit for; pointers are compared only
	m       machine
	masker  Masker
	normal  []byte // a value without what people write into it
	finder  edm.Finder
	exact   []exactState // of a value that is whole
	members []edm.Member // of the row at hand
	mac     hash.Hash
	macKey  []byte
	here    text
	joined  []byte  // tail and part of the value at hand, one after the other
	text    []byte  // what the hits of the last call found, one after the other
	stops   []int64 // by pattern: the last end in the part at hand
	runs    []ruleRun
	passed  []passed // matches of the evaluation at hand that are findings
	pools   []pool
	memo    *memo // made when it is first asked
	share   int   // steps that the rule at hand may still spend
	lost    int64 // bytes that the evaluation at hand did not look at
	gave    uint64
	why     string
	sums    [sha256.Size]byte
}

// pool keeps values' memory for the next value of the class.
type pool struct {
	class *class
	free  []*openValue
}

// ours
const (
	maxPooled   = 16      // closed values kept per class and Scanner
	maxJoined   = 1 << 20 // bytes of scratch that are kept
	stepsStart  = 1 << 18 // steps that a flow's candidates may cost beyond stepsByte
	stepsByte   = 32      // steps that each byte scanned adds
	maxPart     = 1 << 24 // bytes of one part that add steps
	stepsMost   = 1 << 22 // steps that may be saved up
	maxPatience = 64      // times
	ruleShare   = 4       // one rule may spend this part of them on one part of a value
)

// NewScanner returns a Scanner for db.
func (db *Database) NewScanner() (*Scanner, error) {
	n, err := newNativeScan()
	if err != nil {
		return nil, err
	}
	s := &Scanner{native: n}
	if err := s.Use(db); err != nil {
		s.Free()
		return nil, err
	}
	return s, nil
}

// Use swaps the rules. Values that are open finish with the rules they began with.
func (s *Scanner) Use(db *Database) error {
	if s.db == db {
		return nil
	}
	if err := s.fit(db); err != nil {
		return err
	}
	db.retain()
	s.drain()
	if s.db != nil {
		s.db.release()
	}
	s.db, s.masker.Last4 = db, db.last4
	return nil
}

// fit makes the scratch large enough for db.
func (s *Scanner) fit(db *Database) error {
	if slices.Contains(s.fitted, db) {
		return nil
	}
	for _, m := range db.matchers {
		if err := s.native.fit(m.native, db.patterns()); err != nil {
			return err
		}
	}
	if len(s.stops) < db.patterns() {
		s.stops = make([]int64, db.patterns())
	}
	if len(s.fitted) == 4 {
		s.fitted = slices.Delete(s.fitted, 0, 1)
	}
	s.fitted = append(s.fitted, db)
	return nil
}

func (s *Scanner) drain() {
	for _, p := range s.pools {
		for _, v := range p.free {
			v.destroy()
		}
	}
	s.pools = nil
	s.memo = nil
}

// Trim lets go of memory that is kept for reuse.
func (s *Scanner) Trim() {
	s.drain()
	s.joined, s.text, s.runs, s.exact = nil, nil, nil, nil
}

// Free releases the Scanner's C memory and its hold on the Database. States that were used with it are not its business.
func (s *Scanner) Free() {
	s.drain()
	if s.db != nil {
		s.db.release()
		s.db = nil
	}
	s.native.free()
}

// Found returns what a hit of the last Inspect or Close found, as it stood in the view that showed it: for masking it wherever else it is written,
// and nothing else. It is borrowed until the next call of either; nil if it is not known whole.
func (s *Scanner) Found(h *Hit) []byte {
	if h.text.end > len(s.text) || h.text.at == h.text.end {
		return nil
	}
	return s.text[h.text.at:h.text.end]
}

// textSpan is a part of Scanner.text.
type textSpan struct{ at, end int }

// keep appends what was found to the text.
func (s *Scanner) keep(b []byte) textSpan {
	if s.Silent {
		return textSpan{}
	}
	at := len(s.text)
	s.text = append(s.text, b...)
	return textSpan{at, len(s.text)}
}

// GaveUp returns how many bytes were not looked at since it was last asked, and a constant that says why. What it tells belongs to the
// flow inspected last: ask after each Inspect.
func (s *Scanner) GaveUp() (bytes uint64, why string) {
	bytes, why = s.gave, s.why
	s.gave, s.why = 0, ""
	return bytes, why
}

func (s *Scanner) giveUp(n int64, why string) {
	s.Count.Shed++
	s.Count.ShedBytes += uint64(n)
	s.gave += uint64(n)
	s.why = why
}

// State is what detection keeps with one flow. The zero value is ready. It is used with one Scanner at a time, but any. It is empty, and holds no
// C memory, once every message ended or Close was called.
type State struct {
	open     *openValue // newest first
	messages *message   // newest first
	opened   int32
	known    int32 // messages
	steps    int32 // what confirming candidates may still cost, less stepsStart
	size     int   // bytes of all of it
}

// Empty reports whether nothing is kept, but what Debt returns.
func (st *State) Empty() bool { return st.open == nil && st.messages == nil }

// Size returns the bytes that are kept, C memory included.
func (st *State) Size() int { return st.size }

// Debt returns what candidates have cost beyond what the flow's bytes allow, for a later Owe.
func (st *State) Debt() int32 { return min(st.steps, 0) }

// Owe makes an empty State owe what another one of the same flow did.
func (st *State) Owe(debt int32) { st.steps = debt }

// ours
const (
	maxOpen     = 128 // values open in a flow; HTTP/2 allows 100 streams by default
	maxMessages = 128 // messages of a flow with findings that have not ended
)

// Inspect looks for the rules' patterns in the parts of m and appends what it found. It allocates nothing when it finds nothing in whole values.
// Nothing that it returns shares memory with m.
func (s *Scanner) Inspect(st *State, m *dissect.Message, hits []Hit) []Hit {
	s.text = s.text[:0]
	for i := range m.Parts {
		p := &m.Parts[i]
		if st.open != nil {
			if v := st.find(m, p); v != nil {
				hits = s.more(st, v, m, p, hits)
				continue
			}
		}
		c := s.db.class(m, p.Field)
		if c == nil {
			continue
		}
		if p.More {
			hits = s.begin(st, c, m, p, hits)
		} else if len(p.Bytes) > 0 {
			hits = s.whole(st, c, m, p, hits)
		}
	}
	if m.End && (st.open != nil || st.messages != nil) {
		hits = s.endMessage(st, m.ID, m.Dir, hits)
	}
	return hits
}

// Close ends what is open: the flow brings no more. st is as new afterwards.
func (s *Scanner) Close(st *State, hits []Hit) []Hit {
	s.text = s.text[:0]
	for st.open != nil {
		hits = s.finish(st, st.open, hits)
	}
	for m := st.messages; m != nil && s.Refused != nil; m = m.next {
		s.refuseHeld(m)
	}
	st.messages = nil
	*st = State{}
	return hits
}

// whole scans a value, or the last piece of one, that no stream is open for.
func (s *Scanner) whole(st *State, c *class, m *dissect.Message, p *dissect.Part, hits []Hit) []Hit {
	s.spend(st, len(p.Bytes))
	if len(p.Bytes) < c.least && c.exact == nil {
		return hits
	}
	regions, err := s.saidWhole(c, p.Bytes)
	if err != nil {
		s.giveUp(int64(len(p.Bytes)), whyNative)
		return hits
	}
	brief := c.brief != nil && p.Off == 0 && len(p.Bytes) <= c.briefMost
	if len(regions) == 0 && c.exact == nil && !brief {
		return hits
	}
	at := site{st: st, class: c, message: m.ID, dir: m.Dir, field: p.Field, spec: &m.Protocol.Fields[p.Field], value: p.Value, view: p.View, shifts: p.Shifts, base: p.Off}
	t := &s.here
	*t = text{b: p.Bytes, base: p.Off, first: p.Off == 0, fresh: true, final: true}
	s.runs = s.runs[:0]
	if c.exact != nil {
		s.exact = c.startExact(s.exact, p.Off)
		hits = s.exactly(&at, t, s.exact, hits)
	}
	s.runs, hits = s.evaluate(&at, t, regions, s.runs, hits)
	if brief {
		hits = s.briefly(&at, t, hits)
	}
	return hits
}

// saidWhole returns what Hyperscan says of a whole value.
func (s *Scanner) saidWhole(c *class, b []byte) ([]region, error) {
	m := s.memoOf(c)
	if m == nil {
		return s.native.block(c.matcher.native, b)
	}
	d := m.begin(c.matcher)
	if d == (digest{}) {
		return s.native.block(c.matcher.native, b)
	}
	d = m.after(d, b)
	if regions, _, ok := m.find(&m.whole, d); ok {
		s.Count.Known++
		return regions, nil
	}
	regions, err := s.native.block(c.matcher.native, b)
	if err == nil {
		m.keep(&m.whole, d, regions, nativeStream{})
	}
	return regions, err
}

// memoOf returns the memo for values of a class; nil for those of other rules than are in force, and for files.
func (s *Scanner) memoOf(c *class) *memo {
	if c.db != s.db || s.db.seeds == nil {
		return nil
	}
	if s.memo == nil {
		s.memo = newMemo(s.db.seeds)
	}
	return s.memo
}

// spend counts a part and gives the flow what its bytes allow.
func (s *Scanner) spend(st *State, n int) {
	s.Count.Parts++
	s.Count.Bytes += uint64(n)
	factor := int64(max(1, min(s.Patience, maxPatience)))
	more := min(int64(n), maxPart/factor) * stepsByte * factor
	st.steps = int32(min(int64(st.steps)+more, max(stepsMost*factor, more)))
}
