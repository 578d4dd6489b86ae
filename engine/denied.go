package engine

import (
	"hash/maphash"
	"sync"

	"weir/alert"
	"weir/dissect"
	"weir/policy"
	"weir/rules"
	"weir/wire"
)

// RuleDefault is the id that events give where no rule of the policy decided.
const RuleDefault = "default"

// denied tells that the policy denies the present flow, or a message in it.
func (l *Lane) denied(m *dissect.Message, w *law, c *policy.Context, v *policy.Verdict) {
	switch {
	case v.Mode == policy.Discover && v.Rule < 0: // that is what is learned from
		return
	case v.Mode == policy.Protect && !l.t.inline() && l.stopped(): // who stops it tells it
		return
	case l.a == nil && l.e.local(&l.fl.Key, l.fl.Start) && l.e.denials.again(&l.fl.Key, v.Rule, l.t.now): // both taps of a conversation see its beginning
		return
	}
	what := "conversation"
	switch {
	case m != nil:
		what = "message"
	case c.Fields == &l.wordless:
		what = "tunnel"
	}
	rule, detail := "policy."+RuleDefault, "no rule of the policy allows this "+what
	severity := rules.Medium
	if v.Rule >= 0 {
		r := &w.policy.Set().Rules[v.Rule]
		rule, detail, severity = r.ID, "a rule of the policy denies this "+what, rules.High
		if v.Why == whyOverdue || v.Why == whyTooMany {
			detail = v.Why
		}
	}
	ev := l.ownAlert(m, rule, "policy", "policy violation", detail, severity)
	if ev == nil {
		return
	}
	if l.t.inline() && v.Mode == policy.Protect {
		ev.Alert.Action = "blocked"
	}
	ev.Weir.Verdict, ev.Weir.Inside = w.told(v), l.inside()
	ev.Weir.Why = detail
	if v.Rule < 0 {
		ev.Weir.Why = l.drift(m, w, c)
	}
	l.raise(ev, rule)
}

// drift says in what the present conversation, or a message in it, differs from what the nearest rule allows.
func (l *Lane) drift(m *dissect.Message, w *law, c *policy.Context) string {
	o := policy.Observation{Proto: c.Proto, Port: c.Port, App: c.App}
	if c.Fields != nil {
		o.Words = c.Fields.AppendWords(nil)
	}
	words := Terms.Words(w.policy.Groups(c.From), w.policy.Groups(c.To), &o)
	near := w.policy.Set().Nearest(&words)
	if m != nil && near.Rule >= 0 && l.a != nil && l.a.work != nil {
		if r := l.a.find(m); r != nil && len(r.found) > 0 { // what was found in a message is not shown here either
			return "what is new is its " + near.Differs + "; the nearest rule is " + w.policy.Set().Rules[near.Rule].ID
		}
	}
	return near.Text
}

// denials remembers which conversations of two local workloads were denied as they began, for both their taps see that.
type denials struct {
	seed maphash.Seed
	mu   sync.Mutex
	last [1 << 10]struct {
		key  wire.Key
		rule int32
		at   int64 // ns
	}
}

// denialAge is how long the other tap may be behind, in ns.
const denialAge = 2_000_000_000

// again reports whether this was asked just now. now is ns since the epoch.
func (d *denials) again(k *wire.Key, rule int32, now int64) bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	s := &d.last[maphash.Comparable(d.seed, *k)%uint64(len(d.last))]
	if s.key == *k && s.rule == rule && now-s.at < denialAge && s.at-now < denialAge {
		return true
	}
	s.key, s.rule, s.at = *k, rule, now
	return false
}

// stopped reports whether the packets of the present flow are held by one of its ends, which tells of what it denies.
func (l *Lane) stopped() bool {
	held := l.e.cfg.Held
	if held == nil {
		return false
	}
	a, b := l.ends(wire.ToServer)
	return a.who != nil && held(a.who) || b.who != nil && held(b.who)
}

// told returns a verdict as events tell it.
func (w *law) told(v *policy.Verdict) *alert.Verdict {
	out := &alert.Verdict{Action: v.Action.String(), Rule: RuleDefault, Why: v.Why, Mode: v.Mode.String()}
	switch {
	case v.Rule >= 0:
		out.Rule = w.policy.Set().Rules[v.Rule].ID
	case v.Mode == policy.Discover && v.Action == policy.Deny:
		out.Action, out.Why = policy.Allow.String(), "no rule matches: it is learned from"
	}
	return out
}

// verdict returns what the policy says of the present flow, for its event; nil: there is no policy.
func (l *Lane) verdict() *alert.Verdict {
	w := l.rules.law
	if w == nil || l.neighbours() {
		return nil
	}
	if o := l.fl.S.own; o != nil && o.tunnel.law == w {
		return w.told(&o.tunnel.verdict)
	}
	if a := l.fl.S.app; a != nil && a.judge != nil && a.judge.law == w {
		return w.told(&a.judge.worst)
	}
	l.context(w.policy, &l.asked)
	v := w.policy.Decide(&l.asked)
	return w.told(&v)
}
