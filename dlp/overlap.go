package dlp

import (
	"cmp"
	"slices"

	"weir/rules"
)

// passed is a match that has passed all checks of its rule. It lives as long as the text that it stands in.
type passed struct {
	rule       *rule
	found      found
	confidence uint8
	test       bool
	again      bool
}

// ours
const (
	maxPassed = 256 // matches that are judged beside each other
	tokenWait = 64  // bytes after a match that are waited for, for a longer one of another rule to end
)

// goesOn reports whether the word that f ends in has not ended yet, so that another rule may still match more of it.
func (f *found) goesOn() bool {
	rest := f.t.b[f.end:]
	if len(rest) >= tokenWait {
		return false
	}
	for _, c := range rest {
		if !isWordByte(c) && !slices.Contains(inWords, c) {
			return false
		}
	}
	return true
}

// inWords are the bytes that tokens, tracks of cards and addresses have between letters and digits.
var inWords = []byte("-.=+/^@:%?~")

// resolve tells what has passed. Of what several rules find in the same bytes, rules that nobody asked for by name give way to what is surer.
func (s *Scanner) resolve(at *site, t *text, hits []Hit) []Hit {
	list := s.passed
	if len(list) > 1 {
		slices.SortStableFunc(list, func(a, b passed) int { return cmp.Compare(a.found.start, b.found.start) })
	}
	reach := 0 // bytes of the longest so far
	for i := range list {
		reach = max(reach, list[i].found.end-list[i].found.start)
	}
	for i := range list {
		p := &list[i]
		given := p.rule.yields && !p.again && givesWay(list, i, reach)
		hits = s.tell(at, t, p, given, hits)
	}
	clear(list)
	s.passed = list[:0]
	return hits
}

// givesWay reports whether something better overlaps the i-th of list, which is sorted by start.
func givesWay(list []passed, i, reach int) bool {
	p := &list[i]
	for j := i - 1; j >= 0 && list[j].found.start+reach > p.found.start; j-- {
		if list[j].found.end > p.found.start && list[j].covers(p) {
			return true
		}
	}
	for j := i + 1; j < len(list) && list[j].found.start < p.found.end; j++ {
		if list[j].covers(p) {
			return true
		}
	}
	return false
}

// covers reports whether p, which overlaps q, is told in q's stead.
func (p *passed) covers(q *passed) bool {
	return p.rule != q.rule && p.rule.stands(p.confidence) && p.rule.may(q.rule) && p.rank(q) > 0
}

// may reports whether a finding of r may take the place of one of q: what is only worth an info event hides no alert.
func (r *rule) may(q *rule) bool { return r.Severity > rules.Info || q.Severity == rules.Info }

// rank compares what two findings of the same bytes are worth: validated, then surer, then longer, then asked for, then first in the files.
func (p *passed) rank(q *passed) int {
	return cmp.Or(
		cmp.Compare(validated(p.rule), validated(q.rule)),
		cmp.Compare(p.confidence, q.confidence),
		cmp.Compare(p.found.end-p.found.start, q.found.end-q.found.start),
		cmp.Compare(asked(p.rule), asked(q.rule)),
		cmp.Compare(q.rule.index, p.rule.index),
	)
}

func validated(r *rule) int { return min(r.strong, sureDigit) / sureDigit }

func asked(r *rule) int {
	if r.Builtin {
		return 0
	}
	return 1
}

// stands reports whether a finding of r, so sure, is told by itself: only then anything gives way to it.
func (r *rule) stands(confidence uint8) bool {
	return r.Engine == rules.DLP && !r.SkipReport && len(r.needs) == 0 && !r.keywords && r.MinDistinct <= 1 && len(r.From)+len(r.To) == 0 && Level(confidence) >= r.MinConfidence
}

// given reports whether a finding of another rule that has been told already covers w.
func (m *message) given(r *rule, w *span) bool {
	for i := range m.rules {
		n := &m.rules[i]
		if n.rule.ID == r.ID || n.rule.Engine != rules.DLP || !n.rule.may(r) {
			continue
		}
		for j := range n.spans {
			p := &n.spans[j]
			if p.told && p.value == w.value && p.field == w.field && p.off < w.end && w.off < p.end && validated(n.rule) >= validated(r) && p.confidence >= w.confidence {
				return true
			}
		}
	}
	return false
}
