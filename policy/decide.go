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
	b := p.bucket(c)
	v := Verdict{Mode: b.mode, Rule: -1, Final: b.final, Action: Deny, Why: whyNone}
	var first *listed // that may match
	next := 0         // behind the one that does
	for next < len(b.rules) {
		r := &b.rules[next]
		next++
		a := r.judge(p, c)
		if a == yes {
			v.Rule, v.Action, v.Why = r.index, r.action, whyRule
			break
		}
		if a == no {
			continue
		}
		if first == nil {
			first = r
		} else if first.action != r.action {
			return undecided(v, first, c)
		}
	}
	if first != nil {
		if first.action != v.Action {
			return undecided(v, first, c)
		}
		v.Why = whySame
	}
	v.Settled = v.Final || p.settled(b, c, v.Action)
	return v
}

func undecided(v Verdict, first *listed, c *Context) Verdict {
	v.Action, v.Rule, v.Why = Undecided, first.index, whyMessage
	if c.App == AppNone {
		v.Why = whyProtocol
	}
	return v
}

// settled reports whether the action is the same whatever is said in this protocol.
func (p *Policy) settled(b *bucket, c *Context, a Action) bool {
	for i := range b.rules {
		r := &b.rules[i]
		speaks := p.speaks(c.App, int(r.app), false)
		if speaks == no {
			continue
		}
		if r.action != a {
			return false
		}
		if speaks == yes && len(r.where) == 0 {
			return true
		}
	}
	return a == Deny
}

// isOne reports whether an identity is in one of the groups; without any, anybody will do.
func (id *identity) isOne(groups []int32) bool {
	return len(groups) == 0 || slices.ContainsFunc(groups, func(g int32) bool { return id.words[g/64]>>(g%64)&1 != 0 })
}

func (r *rule) forPort(proto uint8, port uint16) bool {
	return len(r.ports) == 0 || slices.ContainsFunc(r.ports, func(p Port) bool { return p.has(proto, port) })
}

// judge reports whether a rule that is for the ends and the port matches.
func (r *listed) judge(p *Policy, c *Context) answer {
	complete := c.Fields != nil && c.Fields.Complete
	out := p.speaks(c.App, int(r.app), complete)
	if c.App == AppNone && c.Could != nil && out == maybe && !p.could(c.Could, int(r.app)) {
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
	case app == AppUnknown || len(p.parents) == 0:
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
		if uint(app) >= uint(len(p.parents)) {
			return false
		}
		if app = p.parents[app]; app == of {
			return of != noApp
		}
	}
	return false
}
