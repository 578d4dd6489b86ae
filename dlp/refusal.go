package dlp

import (
	"fmt"
	"slices"
	"strings"

	"weir/rules"
)

// A Refusal is a match of a rule's expression that is no finding. Like a Hit it is masked.
type Refusal struct {
	Rule     *rules.Rule
	Field    string
	Off, End int64  // of the value, in view 0
	Masked   string // by the rule's mask
	Why      string // for people
}

// Why a match is refused.
const (
	whyName      = "the file's name does not match its path"
	whyValidator = "refused by validator"
	whyEntropy   = "its entropy is too low"
	whyAllowed   = "left out by an allow-list"
	whyContext   = "none of its context words is near"
	whyKeyword   = "none of its keywords is in the message"
	whyGiven     = "another rule is surer of the same bytes"
	whyUnsure    = "not sure enough"
	whyRequired  = "a rule that it requires has found nothing near"
)

// refuse drops a match, and tells who asks of it. detail is what the reason is about.
func (s *Scanner) refuse(at *site, r *rule, f *found, why, detail string, hits []Hit) (verdict, []Hit) {
	s.Count.Refused++
	if s.Refused == nil {
		return fail, hits
	}
	switch why {
	case whyEntropy:
		detail = fmt.Sprintf("%.2f bits per byte, more than %g are asked for", entropy(f.secret), r.Entropy)
	case whyContext:
		detail = fmt.Sprintf("within %d bytes: %s", r.within, strings.Join(r.Context, ", "))
	}
	if detail != "" && why != whyValidator {
		why += ":"
	}
	from := at.source(f.t.base+int64(f.start), f.t.base+int64(f.end), f.t.base+int64(len(f.t.b))+1)
	s.Refused(&Refusal{Rule: r.Rule, Field: at.spec.Name, Off: from.off, End: from.end, Masked: s.masked(r, f), Why: strings.TrimSpace(why + " " + detail)})
	return fail, hits
}

// refusePassed tells of a match that has passed all checks, and raises nothing by itself all the same.
func (s *Scanner) refusePassed(at *site, p *passed, why string) {
	if s.Refused == nil {
		return
	}
	if why == whyUnsure {
		why = fmt.Sprintf("%s: %d %% is %s, its min_confidence is %s", why, p.confidence, Level(p.confidence), p.rule.MinConfidence)
	}
	f := &p.found
	from := at.source(f.t.base+int64(f.start), f.t.base+int64(f.end), f.t.base+int64(len(f.t.b))+1)
	s.Refused(&Refusal{Rule: p.rule.Rule, Field: at.spec.Name, Off: from.off, End: from.end, Masked: s.masked(p.rule, f), Why: why})
}

// refuseHeld tells of what has waited in vain until a message's end.
func (s *Scanner) refuseHeld(m *message) {
	for i := range m.held {
		h := &m.held[i]
		why := whyKeyword + ": " + strings.Join(h.rule.Keywords, ", ")
		if !h.rule.keywords || slices.Contains(m.words, h.rule.index) {
			var ids []string
			for _, q := range h.rule.Required {
				ids = append(ids, q.ID)
			}
			why = whyRequired + ": " + strings.Join(ids, ", ")
		}
		s.Refused(&Refusal{Rule: h.rule.Rule, Field: h.hit.Field, Off: h.hit.Off, End: h.hit.End, Masked: h.hit.Masked, Why: why})
	}
}
