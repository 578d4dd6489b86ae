package policy

import (
	"math/bits"
	"slices"
)

// Why a verdict is as it is.
const (
	whyRule     = "a rule matches"
	whyNone     = "no rule matches"
	whyProtocol = "the protocol is not known yet"
	whyMessage  = "the message is not known yet"
	whySame     = "what is not known yet makes no difference"
)

// answer says whether a rule matches.
type answer uint8

const (
	no answer = iota
	maybe
	yes
)

// Decide says what is to become of a conversation, or of the present message of it. The first rule that matches decides. If it is not known yet whether one
// does, the answer is Undecided, unless it makes no difference. If none matches, it is Deny: what comes of that is a matter of the mode.
func (p *Policy) Decide(c *Context) Verdict {
	from, to := p.of(c.From), p.of(c.To)
	v := Verdict{Mode: p.mode(from, to), Rule: -1, Final: true, Settled: true}
	first := int32(-1) // that may match
	pending := Undecided
	sure := false // a rule matches: what follows is only asked for Final and Settled
	for i := range p.rules {
		r := &p.rules[i]
		if !from.isOne(r.from) || !to.isOne(r.to) || !r.forPort(c.Proto, c.Port) {
			continue
		}
		if !sure {
			switch r.judge(p, c) {
			case yes:
				v.Rule, v.Action, sure = r.index, r.action, true
			case maybe:
				if first < 0 {
					first, pending = r.index, r.action
				} else if pending != r.action {
					return undecided(v, first, c)
				}
			}
		}
	}
	v.Why = whyRule
	if !sure {
		v.Action, v.Why = Deny, whyNone
	}
	if first >= 0 {
		if pending != v.Action {
			return undecided(v, first, c)
		}
		v.Why = whySame
	}
	v.Final, v.Settled = p.stays(c, from, to, v.Action)
	return v
}

func undecided(v Verdict, first int32, c *Context) Verdict {
	v.Action, v.Rule, v.Why, v.Final, v.Settled = Undecided, first, whyMessage, false, false
	if c.App == AppNone {
		v.Why = whyProtocol
	}
	return v
}

// stays reports whether the action is the same whatever is said later: in any protocol, and in this one.
func (p *Policy) stays(c *Context, from, to *identity, a Action) (final, settled bool) {
	final, settled = true, true
	for i := range p.rules {
		r := &p.rules[i]
		if !from.isOne(r.from) || !to.isOne(r.to) || !r.forPort(c.Proto, c.Port) {
			continue
		}
		if r.action != a {
			final = false
			if p.speaks(c.App, r.app, false) != no {
				settled = false
			}
		}
		if r.app == noApp && len(r.where) == 0 {
			return final, settled
		}
	}
	return final && a == Deny, settled && a == Deny
}

// isOne reports whether an identity is in one of the groups; without any, anybody will do.
func (id *identity) isOne(groups []int32) bool {
	return len(groups) == 0 || slices.ContainsFunc(groups, func(g int32) bool { return id.words[g/64]>>(g%64)&1 != 0 })
}

func (r *rule) forPort(proto uint8, port uint16) bool {
	return len(r.ports) == 0 || slices.ContainsFunc(r.ports, func(p Port) bool { return p.has(proto, port) })
}

// judge reports whether a rule that is for the ends and the port matches.
func (r *rule) judge(p *Policy, c *Context) answer {
	complete := c.Fields != nil && c.Fields.Complete
	out := p.speaks(c.App, r.app, complete)
	if c.App == AppNone && c.Could != nil && out == maybe && !p.could(c.Could, r.app) {
		out = no
	}
	if out == no || len(r.where) == 0 {
		return out
	}
	if c.Fields == nil {
		return maybe
	}
	for i := range r.where {
		if out = min(out, r.where[i].judge(c.Fields, r.action)); out == no {
			return no
		}
	}
	return out
}

// speaks reports whether a conversation in protocol app is one in protocol want.
func (p *Policy) speaks(app, want int, complete bool) answer {
	switch {
	case want == noApp || app == want:
		return yes
	case app == AppNone:
		return maybe
	case app == AppUnknown:
		return no
	case p.isForm(app, want):
		return yes
	case p.isForm(want, app) && !complete: // the message may still turn out to be one
		return maybe
	}
	return no
}

// could reports whether a conversation that is in one of a set of protocols may be one in protocol want.
func (p *Policy) could(set []uint64, want int) bool {
	for i, word := range set {
		for ; word != 0; word &= word - 1 {
			app := 64*i + bits.TrailingZeros64(word)
			if app == want || p.isForm(app, want) || p.isForm(want, app) {
				return true
			}
		}
	}
	return false
}

func (p *Policy) isForm(app, of int) bool {
	for range forms {
		up, ok := p.parents[app]
		if !ok {
			return false
		}
		if app = up; app == of {
			return true
		}
	}
	return false
}

func (c *condition) judge(f *Fields, a Action) answer {
	found, all, one, open := false, true, false, !f.Complete
	for i := range f.values {
		v := &f.values[i]
		if v.field != c.field {
			continue
		}
		found = true
		open = open || v.open
		fits := c.fits(f.text[v.at:v.to])
		if a == Deny {
			one = one || fits && !v.open || v.cut
		} else if (!fits || v.cut) && !v.open {
			all = false
		}
	}
	switch {
	case a == Deny && (one || f.over):
		return yes
	case a == Deny && !open, a == Allow && (!all || f.over):
		return no
	case a == Allow && !open && found:
		return yes
	case a == Allow && !open:
		return no
	}
	return maybe
}

func (c *condition) fits(s []byte) bool {
	for i := range c.patterns {
		if c.patterns[i].fits(s) {
			return true
		}
	}
	return false
}
