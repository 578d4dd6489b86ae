package dlp

import (
	"bytes"
	"slices"

	"weir/rules"
	"weir/wire"
)

// message is what was found in a message so far. It is made with the first finding or keyword and ends with the
// message.
type message struct {
	next  *message
	id    uint64
	dir   wire.Dir
	words []int32 // rules one of whose keywords occurred
	rules []tally
	held  []held
	size  int // bytes that it is counted for
}

// tally counts a rule's findings in a message.
type tally struct {
	rule     *rule
	count    int
	raised   bool
	distinct map[uint64]bool // fingerprints; true: seen in a field that is not derived
	quiet    int             // findings that raise nothing: they are not counted
	beyond   int             // different values beyond maxDistinct, as far as can be told
	spans    []span          // the last ones
	blanket  []uint32        // values told as a whole
}

// span is where something was found, in view 0.
type span struct {
	off, end   int64
	hitOff     int64 // as the Hit has it
	value      uint32
	field      uint8
	line, col  int
	derived    bool
	fp         uint64
	confidence uint8
	told       bool // by itself
	unsure     bool
}

// held is a finding that waits for a keyword or for the rules that its rule requires.
type held struct {
	rule *rule
	hit  Hit
	at   span
	text []byte // what was found
}

// ours
const (
	MaxHits     = 256  // findings of a rule in a message that are told one by one
	maxDistinct = 1024 // different values of a rule in a message that are told apart
	maxSpans    = 64   // places of a rule's findings in a message that are remembered
	maxHeld     = 64   // findings of a message that wait
	maxBlanket  = 64   // values of a message told as a whole
)

// ours: bytes that things are counted for
const (
	messageSize  = 160
	tallySize    = 256
	distinctSize = 32
	spanSize     = 72
	heldSize     = 512 // with what is shown of it
)

// weigh counts what m holds now.
func (st *State) weigh(m *message) {
	n := messageSize + 4*cap(m.words) + heldSize*cap(m.held)
	for i := range m.rules {
		t := &m.rules[i]
		n += tallySize + distinctSize*len(t.distinct) + spanSize*cap(t.spans)
	}
	st.size += n - m.size
	m.size = n
}

func (st *State) message(id uint64, dir wire.Dir, make bool) *message {
	for m := st.messages; m != nil; m = m.next {
		if m.id == id && m.dir == dir {
			return m
		}
	}
	if !make {
		return nil
	}
	m := &message{id: id, dir: dir, next: st.messages}
	st.messages = m
	st.known++
	st.weigh(m)
	if st.known > maxMessages {
		// The oldest loses its counts: its rules may raise once more.
		at := &st.messages
		for (*at).next != nil {
			at = &(*at).next
		}
		st.size -= (*at).size
		*at = nil
		st.known--
	}
	return m
}

// tally returns the counts of a rule. A rule that was loaded anew in the middle of a message goes on where it was.
func (m *message) tally(r *rule) *tally {
	for i := range m.rules {
		if t := &m.rules[i]; t.rule == r || t.rule.ID == r.ID {
			return t
		}
	}
	m.rules = append(m.rules, tally{rule: r, distinct: map[uint64]bool{}})
	return &m.rules[len(m.rules)-1]
}

func (s *Scanner) sawWord(at *site, w *keyword) {
	m := at.st.message(at.message, at.dir, true)
	for _, r := range w.rules {
		if at.class.has[r] && !slices.Contains(m.words, r) {
			m.words = append(m.words, r)
		}
	}
	at.st.weigh(m)
}

// tell makes a Hit of a finding, and appends it unless it has been told, must wait, or is given up for what another rule found there.
func (s *Scanner) tell(at *site, t *text, p *passed, given bool, hits []Hit) []Hit {
	r, f, confidence, test, again := p.rule, &p.found, p.confidence, p.test, p.again
	dataEnd := t.base + int64(len(t.b))
	if t.final && at.view == 0 {
		dataEnd++
	}
	from := at.source(t.base+int64(f.start), t.base+int64(f.end), dataEnd)
	sum, print := s.fingerprint(at.class.db.key, r, f)
	if f.row != 0 {
		sum = f.row
	}
	where := span{off: from.from, end: from.to, hitOff: from.off, value: at.value, field: uint8(at.field), derived: at.spec.Derived, fp: sum, confidence: confidence}
	where.unsure = Level(confidence) < r.MinConfidence
	if at.class.lines {
		where.line = at.lines + bytes.Count(t.b[:f.start], newline)
		where.col = f.start - bytes.LastIndexByte(t.b[:f.start], '\n')
	}
	h := Hit{
		Rule: r.Rule, Message: at.message, Dir: at.dir, Field: at.spec.Name, Value: at.value,
		Off: from.off, End: from.end, Exact: from.exact && f.complete, Fingerprint: print, Sum: sum, Confidence: confidence, Test: test, Grown: again, Unsure: where.unsure,
	}
	m := at.st.message(at.message, at.dir, true)
	defer at.st.weigh(m)
	n := m.tally(r)
	if again {
		return s.regrown(at, n, r, f, h, where, hits)
	}
	if n.known(&where) {
		return s.surer(at, m, n, r, f, h, where, hits)
	}
	switch h.Given = given || r.yields && m.given(r, &where); {
	case h.Given:
		s.Count.Given++
		h.Unsure = false
		s.refusePassed(at, p, whyGiven)
	case h.Unsure:
		s.Count.Unsure++
		s.refusePassed(at, p, whyUnsure)
	}
	where.told = !h.Given && r.stands(confidence)
	n.remember(where)
	if !test && n.count+n.quiet >= MaxHits {
		return s.further(at, n, r, f, h, where, hits)
	}
	s.show(&h, at, r, f, n)
	if h.Given || h.Unsure {
		n.quiet++
		h.text = s.keep(f.whole())
		s.Count.Hits++
		return append(hits, h)
	}
	if s.mustWait(m, r, f, &where) {
		if len(m.held) >= maxHeld {
			s.giveUp(int64(len(f.match)), whyHeld)
			return hits
		}
		m.held = append(m.held, held{rule: r, hit: h, at: where, text: bytes.Clone(f.whole())})
		return hits
	}
	h.text = s.keep(f.whole())
	return s.count(m, r, h, where, hits)
}

// show makes what may be told of what was found. What stands around it is told with the finding that is raised, and with test values.
func (s *Scanner) show(h *Hit, at *site, r *rule, f *found, n *tally) {
	if s.Silent {
		return
	}
	h.Masked = s.masked(r, f)
	if n.mayRaise(r, h) || h.Test || s.Excerpts {
		h.Excerpt = f.shown
		if r.Mask == maskRecord {
			h.Excerpt = h.Masked
		}
		if h.Excerpt == "" {
			h.Excerpt = s.masker.excerpt(f, h.Masked, at.spec.Privacy)
		}
	}
}

// mayRaise reports whether the rule's conditions may hold with h for the first time.
func (n *tally) mayRaise(r *rule, h *Hit) bool {
	switch {
	case n.raised || h.Given || h.Unsure:
		return false
	case r.Per != rules.PerMessage || r.keywords || len(r.needs) > 0: // that is known later
		return true
	}
	return len(n.distinct)+n.beyond+1 >= r.MinDistinct
}

// regrown tells that a finding told before turned out longer. It is not counted again.
func (s *Scanner) regrown(at *site, n *tally, r *rule, f *found, h Hit, where span, hits []Hit) []Hit {
	for i := range n.spans {
		if p := &n.spans[i]; p.value == where.value && p.field == where.field && p.off == where.off {
			if p.end >= where.end {
				return hits
			}
			p.end = where.end
		}
	}
	if n.count >= MaxHits {
		return hits
	}
	s.show(&h, at, r, f, n)
	h.text = s.keep(f.whole())
	h.Count, h.Distinct = n.count, len(n.distinct)+n.beyond
	return append(hits, h)
}

// surer tells a finding that is known once more if another view says better what it is, as one of a table with the names of its columns does.
func (s *Scanner) surer(at *site, m *message, n *tally, r *rule, f *found, h Hit, where span, hits []Hit) []Hit {
	for i := range n.spans {
		p := &n.spans[i]
		if p.fp != where.fp || p.value != where.value || p.field != where.field || p.off >= where.end || where.off >= p.end || p.unsure || !p.told {
			continue
		}
		if h.Unsure || h.Test || Level(where.confidence) <= Level(p.confidence) || n.count >= MaxHits || s.mustWait(m, r, f, &where) {
			break
		}
		p.confidence = where.confidence
		h.Off, h.Grown = p.hitOff, true
		s.show(&h, at, r, f, n)
		h.text = s.keep(f.whole())
		h.Count, h.Distinct = n.count, len(n.distinct)+n.beyond
		return append(hits, h)
	}
	return hits
}

// known reports whether the same source bytes, or the same value in a field that shows them again, have been told.
func (n *tally) known(w *span) bool {
	for i := range n.spans {
		p := &n.spans[i]
		if p.value == w.value && p.field == w.field && p.off < w.end && w.off < p.end && (w.unsure || !p.unsure) {
			return true
		}
	}
	plain, ok := n.distinct[w.fp]
	return ok && (w.derived || !plain) && !n.sameField(w)
}

// sameField reports whether a finding with this fingerprint stands elsewhere in the same field: that is a second one.
func (n *tally) sameField(w *span) bool {
	for i := range n.spans {
		if p := &n.spans[i]; p.fp == w.fp && p.field == w.field {
			return true
		}
	}
	return false
}

func (n *tally) remember(w span) {
	if len(n.spans) == maxSpans {
		n.spans = n.spans[:copy(n.spans, n.spans[1:])]
	}
	n.spans = append(n.spans, w)
}

// count appends h with the counts of its rule.
func (s *Scanner) count(m *message, r *rule, h Hit, where span, hits []Hit) []Hit {
	n := m.tally(r)
	if !h.Test {
		h.Raise = n.add(r, &where)
	}
	h.Count, h.Distinct = n.count, len(n.distinct)+n.beyond
	s.Count.Hits++
	return append(hits, h)
}

// add counts a finding, and reports whether the rule's conditions hold with it for the first time.
func (n *tally) add(r *rule, where *span) bool {
	n.count++
	if _, ok := n.distinct[where.fp]; ok || len(n.distinct) < maxDistinct {
		n.distinct[where.fp] = n.distinct[where.fp] || !where.derived
	} else {
		n.beyond++
	}
	if n.raised || len(n.distinct)+n.beyond < max(1, r.MinDistinct) {
		return false
	}
	n.raised = true
	return true
}

// further counts a finding beyond those that are told one by one.
func (s *Scanner) further(at *site, n *tally, r *rule, f *found, h Hit, where span, hits []Hit) []Hit {
	if h.Given || h.Unsure {
		n.quiet++
		return n.blanketHit(h, hits)
	}
	if !n.add(r, &where) {
		return n.blanketHit(h, hits)
	}
	n.raised = false // so that what stands around it is shown
	s.show(&h, at, r, f, n)
	n.raised, h.Raise = true, true
	h.text = s.keep(f.whole())
	h.Count, h.Distinct = n.count, len(n.distinct)+n.beyond
	return append(hits, h)
}

// blanketHit tells once for each value that more was found in it than is told one by one.
func (n *tally) blanketHit(h Hit, hits []Hit) []Hit {
	if slices.Contains(n.blanket, h.Value) || len(n.blanket) >= maxBlanket {
		return hits
	}
	n.blanket = append(n.blanket, h.Value)
	h.Exact = false
	h.Masked, h.Fingerprint = maskMany, ""
	h.Excerpt = maskMany
	h.Count, h.Distinct = n.count, len(n.distinct)+n.beyond
	return append(hits, h)
}

// tellCut tells of a match that began before what is kept: where it ends is known, what it is is not.
func (s *Scanner) tellCut(at *site, t *text, r *rule, last int64, hits []Hit) []Hit {
	if len(r.checks) > 0 || r.Entropy > 0 || len(r.allow) > 0 || r.ContextRequired || r.keywords || len(r.needs) > 0 {
		s.giveUp(maxMatch, whySteps)
		return hits // it cannot be confirmed
	}
	end := int(last - t.base)
	f := found{t: t, start: max(0, end-1), end: end, mStart: max(0, end-1), mEnd: end}
	f.match, f.secret = t.b[f.start:end], t.b[f.start:end]
	from := at.source(last-1, last, last)
	h := Hit{
		Rule: r.Rule, Message: at.message, Dir: at.dir, Field: at.spec.Name, Value: at.value,
		Off: from.off, End: from.end, Masked: maskMany, Excerpt: maskMany, Confidence: surePattern,
	}
	m := at.st.message(at.message, at.dir, true)
	defer at.st.weigh(m)
	where := span{off: from.from, end: from.to, value: at.value, field: uint8(at.field), derived: at.spec.Derived, fp: uint64(last)}
	n := m.tally(r)
	if n.known(&where) {
		return hits
	}
	n.remember(where)
	return s.count(m, r, h, where, hits)
}

// mustWait reports whether a keyword or a required rule has not been found yet.
func (s *Scanner) mustWait(m *message, r *rule, f *found, w *span) bool {
	if r.keywords && !slices.Contains(m.words, r.index) {
		found := false
		for _, k := range r.Keywords {
			found = found || indexFold(f.match, k) >= 0
		}
		if !found {
			return true
		}
	}
	return !m.complete(r, w)
}

// complete reports whether all that r requires was found near w.
func (m *message) complete(r *rule, w *span) bool {
	for _, q := range r.needs {
		if !m.near(&q, w) {
			return false
		}
	}
	return true
}

func (m *message) near(q *requirement, w *span) bool {
	for i := range m.rules {
		n := &m.rules[i]
		if n.rule.index != q.rule {
			continue
		}
		for j := range n.spans {
			if n.spans[j].within(q, w) {
				return true
			}
		}
	}
	return false
}

// within reports whether p is as near to w as q asks. Without a distance, anywhere in the message will do.
func (p *span) within(q *requirement, w *span) bool {
	if q.lines < 0 && q.columns <= 0 {
		return true
	}
	if p.field != w.field || p.value != w.value {
		return false
	}
	lines, cols := p.line-w.line, p.col-w.col
	return (q.lines < 0 || max(lines, -lines) <= q.lines) && (q.columns <= 0 || max(cols, -cols) <= q.columns)
}

// releaseHeld tells what has waited for what has been found now.
func (s *Scanner) releaseHeld(at *site, hits []Hit) []Hit {
	m := at.st.message(at.message, at.dir, false)
	if m == nil || len(m.held) == 0 {
		return hits
	}
	kept := m.held[:0]
	for _, h := range m.held {
		if h.rule.keywords && !slices.Contains(m.words, h.rule.index) || !m.complete(h.rule, &h.at) {
			kept = append(kept, h)
			continue
		}
		h.hit.text = s.keep(h.text)
		hits = s.count(m, h.rule, h.hit, h.at, hits)
	}
	clear(m.held[len(kept):])
	m.held = kept
	return hits
}

// endMessage ends what is open of a message, and forgets it.
func (s *Scanner) endMessage(st *State, id uint64, dir wire.Dir, hits []Hit) []Hit {
	for v := st.open; v != nil; {
		next := v.next
		if v.message == id && v.dir == dir {
			hits = s.finish(st, v, hits)
		}
		v = next
	}
	for at := &st.messages; *at != nil; at = &(*at).next {
		if (*at).id == id && (*at).dir == dir {
			if s.Refused != nil {
				s.refuseHeld(*at)
			}
			st.size -= (*at).size
			*at = (*at).next
			st.known--
			break
		}
	}
	if st.open == nil && st.messages == nil && st.steps > 0 {
		st.steps = 0
	}
	return hits
}

// Beyond calls yield with each rule that has found more in an open message than MaxHits, and how much more.
func (st *State) Beyond(yield func(r *rules.Rule, more int)) {
	for m := st.messages; m != nil; m = m.next {
		for i := range m.rules {
			if n := &m.rules[i]; n.count > MaxHits {
				yield(n.rule.Rule, n.count-MaxHits)
			}
		}
	}
}

func maskOf(r *rules.Rule) string {
	switch {
	case r.Mask != "":
		return r.Mask
	case r.Engine == rules.Signature:
		return "text"
	}
	return "secret"
}
