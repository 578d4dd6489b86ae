package dlp

import (
	"bytes"
	"math"
	"regexp"
)

type verdict uint8

const (
	fail verdict = iota
	pass
	wait // for what comes after the match
	drop // an allow-list covers it: nor is anything inside it a finding
)

// found is a match with its secret. Spans are in text.
type found struct {
	t          *text
	match      []byte
	secret     []byte
	start, end int // of the secret
	mStart     int
	mEnd       int
	complete   bool // it is not cut
	file       string
	row        uint64 // of exact data, which tells different findings apart; 0: their values do
	shown      string // instead of what stands around it; ""
}

func (t *text) found(r *rule, m *match) found {
	f := found{t: t, start: int(m.start), end: int(m.end), mStart: int(m.start), mEnd: int(m.end), complete: !m.cut}
	for g := range r.prog.groups {
		if a, b := m.group[2*g], m.group[2*g+1]; a >= 0 && b > a {
			f.start, f.end = int(a), int(b)
			break
		}
	}
	f.match, f.secret = t.b[f.mStart:f.mEnd], t.b[f.start:f.end]
	return f
}

// whole returns the secret, nil if it is cut.
func (f *found) whole() []byte {
	if !f.complete {
		return nil
	}
	return f.secret
}

// judge decides whether a match is a finding, and if so tells it. again says that the match was told before and has
// grown since.
func (s *Scanner) judge(at *site, t *text, r *rule, m *match, again bool, hits []Hit) (verdict, []Hit) {
	f := t.found(r, m)
	f.file = s.file
	test := publishedTest(f.secret)
	if r.misplaced(s.file) {
		return s.refuse(at, r, &f, whyName, r.Path, hits)
	}
	if failed := r.failed(&f); failed != "" {
		return s.refuse(at, r, &f, whyValidator, failed, hits)
	}
	if r.sides && !t.final && len(t.b)-f.end < sideBytes {
		return wait, hits
	}
	if r.Entropy > 0 && entropy(f.secret) <= r.Entropy {
		return s.refuse(at, r, &f, whyEntropy, "", hits)
	}
	if r.byLine && !t.final && len(t.b)-f.mEnd < maxLineWait && bytes.IndexByte(t.b[f.mEnd:], '\n') < 0 {
		return wait, hits
	}
	if a := allowing(r.allow, &f); a != nil {
		a.dropped.Add(1)
		s.Count.Allowed++
		_, hits = s.refuse(at, r, &f, whyAllowed, a.about, hits)
		return drop, hits
	}
	if r.ContextRequired && !hasWord(f.around(int(r.within)), r.Context) {
		if !t.final && len(t.b)-f.mEnd < int(r.within) {
			return wait, hits
		}
		return s.refuse(at, r, &f, whyContext, "", hits)
	}
	confidence, undecided := r.confidence(&f)
	if undecided || r.yields && !t.final && f.goesOn() {
		return wait, hits
	}
	s.passed = append(s.passed, passed{rule: r, found: f, confidence: confidence, test: test, again: again})
	if len(s.passed) == maxPassed {
		hits = s.resolve(at, t, hits)
	}
	return pass, hits
}

// failed returns the name of the first validator that does not hold, "" if all do.
func (r *rule) failed(f *found) string {
	if len(r.checks) == 0 {
		return ""
	}
	v := candidate{raw: f.secret, before: f.t.b[max(0, f.start-sideBytes):f.start], after: f.t.b[f.end:min(len(f.t.b), f.end+sideBytes)]}
	v.bare = v.strip()
	for _, c := range r.checks {
		if !c.ok(&v) {
			return c.name
		}
	}
	return ""
}

func (f *found) around(n int) []byte {
	return f.t.b[max(0, f.mStart-n):min(len(f.t.b), f.mEnd+n)]
}

// line returns the line that the match stands in, as far as it is in the text.
func (f *found) line() []byte {
	from := bytes.LastIndexByte(f.t.b[:f.mStart], '\n') + 1
	to := bytes.IndexByte(f.t.b[f.mEnd:], '\n')
	if to < 0 {
		return f.t.b[from:]
	}
	return f.t.b[from : f.mEnd+to]
}

func (f *found) target(name string) []byte {
	switch name {
	case "match":
		return f.match
	case "line":
		return f.line()
	}
	return f.secret
}

func matchAny(res []*regexp.Regexp, b []byte) bool {
	for _, re := range res {
		if re.Match(b) {
			return true
		}
	}
	return false
}

// entropy is Shannon's, in bits per byte.
func entropy(b []byte) float64 {
	if len(b) == 0 {
		return 0
	}
	var count [256]int
	for _, c := range b {
		count[c]++
	}
	h := 0.0
	for _, n := range count {
		if n > 0 {
			p := float64(n) / float64(len(b))
			h -= p * math.Log2(p)
		}
	}
	return h
}

// maxLineWait is how much after a match is waited for, for an allow-list to see the line.
const maxLineWait = 256 // bytes

// hasWord reports whether one of the words (lower case) stands in b as a word, in any case: "card" does in
// "card_number", "cardNumber" and "cards", and "pan" does not in "company".
func hasWord(b []byte, words []string) bool {
	for _, w := range words {
		if w == "" {
			continue
		}
		for i := 0; i+len(w) <= len(b); {
			j := indexFold(b[i:], w)
			if j < 0 {
				break
			}
			if isWord(b, i+j, i+j+len(w)) {
				return true
			}
			i += j + 1
		}
	}
	return false
}

func indexFold(b []byte, w string) int {
	lo, up := w[0], w[0]
	if lo >= 'a' && lo <= 'z' {
		up = lo - 0x20
	}
	begins := b[:max(0, len(b)-len(w)+1)]
	l, u := nextByte(begins, lo, 0), nextByte(begins, up, 0)
	for l < len(begins) || u < len(begins) {
		i := min(l, u)
		if equalFold(b[i:i+len(w)], w) {
			return i
		}
		if l == i {
			l = nextByte(begins, lo, i+1)
		}
		if u == i {
			u = nextByte(begins, up, i+1)
		}
	}
	return -1
}

// nextByte returns the index of the first c in b from some index on, len(b) if there is none.
func nextByte(b []byte, c byte, from int) int {
	if i := bytes.IndexByte(b[from:], c); i >= 0 {
		return from + i
	}
	return len(b)
}

// equalFold compares in ASCII's sense; w is lower case.
func equalFold(b []byte, w string) bool {
	for i := range b {
		c := b[i]
		if c >= 'A' && c <= 'Z' {
			c |= 0x20
		}
		if c != w[i] {
			return false
		}
	}
	return true
}

func isUpper(c byte) bool  { return c >= 'A' && c <= 'Z' }
func isLower(c byte) bool  { return c >= 'a' && c <= 'z' }
func isLetter(c byte) bool { return isUpper(c) || isLower(c) }
func isDigit(c byte) bool  { return c >= '0' && c <= '9' }

func isWord(b []byte, from, to int) bool {
	if from > 0 && isLetter(b[from]) && isLetter(b[from-1]) && !(isUpper(b[from]) && isLower(b[from-1])) {
		return false
	}
	if to == len(b) || !isLetter(b[to-1]) || !isLetter(b[to]) {
		return true
	}
	if isLower(b[to-1]) && isUpper(b[to]) {
		return true
	}
	plural := b[to] == 's' || b[to] == 'S'
	return plural && (to+1 == len(b) || !isLetter(b[to+1]))
}
