package engine

import (
	"cmp"
	"math/bits"
	"slices"

	"weir/dissect"
	"weir/flow"
	"weir/policy"
	"weir/wire"
)

// judge is what is remembered of a conversation of which the policy cannot say yet, by its ends alone, all that it will ever say.
type judge struct {
	law     *law
	context policy.Context
	base    policy.Verdict // of what is known without any message
	worst   policy.Verdict // what the conversation's event tells: that it was denied, if it was
	could   protocols      // what datagrams of which nobody knows the protocol may be
	open    []*words
	spare   *words // for the next message
	past    uint64 // messages up to this ID are not judged any more, unless they are open: there were too many at a time
	pending int    // bytes of the initiator that came since it is waited for a verdict
	since   int64  // ns: when that began; 0: it is not waited for
	told    [maxDenials]int32
	denials int
	late    bool   // its deadline was over: it is what the rule says for that
	stop    bool   // it was denied
	through uint64 // ID of the one message that is under way and was let through, when the last packet came; 0: there is none
	moved   bool   // a message came to its end among the bytes at hand: those before it do not wait
}

// words are what the policy looks at in a message.
type words struct {
	id      uint64
	acts    bool // it does something, or has what a rule asks for
	likely  bool // it is allowed, unless more is to come that is not
	quiet   bool // it has none of that, and its protocol has messages that only keep the conversation going
	inner   bool // it is a call of gRPC: HTTP/2's message says the same, and both are looked at as one
	verdict policy.Verdict
	fields  policy.Fields
}

var grpcNumber = numberOf[index(&dissect.GRPC)]

// Ours.
const (
	maxOpenWords  = 128      // messages of a conversation that are under way at a time; then the oldest is judged by what was seen of it
	maxDenials    = 8        // rules by which a conversation was denied, told each; further ones are counted
	maxSpareWords = 16 << 10 // bytes of what is kept for the next message
	judgeSize     = 256      // bytes that it is counted for
	wordsSize     = 512      // likewise
)

// engage begins to judge what is said in the present flow, if that matters to the policy.
func (l *Lane) engage(a *app) {
	w := l.rules.law
	a.law, a.judge = w, nil
	if w == nil || l.neighbours() {
		return
	}
	j := &judge{law: w}
	l.context(w.policy, &j.context)
	j.base = w.policy.Decide(&j.context)
	if j.base.Final {
		return
	}
	j.worst = j.base
	a.judge = j
}

// speaks tells the policy what the present flow's protocol may be, by now.
func (l *Lane) speaks(a *app, j *judge) {
	c := &j.context
	c.App, c.Could = policy.AppNone, nil
	stream := l.fl.Key.Proto == wire.ProtoTCP
	partial := l.fl.Anomalies&flow.Midstream != 0 // what began before it was watched may be anything
	switch {
	case a.proto != nil && a.sure != unrecognised && a.unsure:
		var s protocols
		s.add(index(a.proto))
		j.be(&s)
	case a.proto != nil && a.sure != unrecognised:
		c.App = numberOf[index(a.proto)]
	case stream && a.at[wire.ToServer] == fresh:
		if !a.alive.empty() && !partial {
			j.be(&a.alive)
		}
	case !stream && a.datagrams < maxDatagrams && !j.could.empty():
		c.Could = j.could[:]
	case !partial:
		c.App = policy.AppUnknown
	}
}

// be adds a set of protocols to what a conversation may be.
func (j *judge) be(s *protocols) {
	j.could = protocols{}
	for i, word := range s {
		for ; word != 0; word &= word - 1 {
			j.could.add(uint8(numberOf[64*i+bits.TrailingZeros64(word)]))
		}
	}
	j.context.Could = j.could[:]
}

// judgeBytes asks the policy again, now that n bytes of a direction of the present flow have been dealt with.
func (l *Lane) judgeBytes(a *app, dir wire.Dir, n int) {
	if a.law != l.rules.law {
		l.engage(a)
	}
	j := a.judge
	if j == nil || j.late {
		return
	}
	app, could := j.context.App, j.context.Could != nil
	l.speaks(a, j)
	if j.context.App != app || could || j.context.Could != nil {
		v := j.law.policy.Decide(&j.context)
		changed := v != j.base
		if j.base = v; changed && v.Action != policy.Undecided {
			l.decided(nil, j, &v)
		}
	}
	rule, waits := l.waits(a, j)
	if dir == wire.ToServer && j.moved {
		j.moved, j.pending, j.since = false, 0, 0
		n = min(n, j.waiting(a))
	}
	if !waits {
		j.pending, j.since = 0, 0
		return
	}
	if dir == wire.ToServer {
		j.pending += n
	}
	if j.since == 0 && j.pending > 0 {
		j.since = l.t.now
		l.t.await(l.fl)
	}
	l.overdue(j, rule)
}

// waits reports whether something of the conversation has come of which the policy cannot say yet what is to become of it, and for which rule.
func (l *Lane) waits(a *app, j *judge) (rule int32, waits bool) {
	for _, w := range j.open {
		if w.verdict.Action == policy.Undecided && !w.quiet && !w.likely {
			return w.verdict.Rule, true
		}
	}
	if j.base.Action != policy.Undecided {
		return 0, false
	}
	if j.context.Proto != wire.ProtoTCP { // each datagram is whole
		return j.base.Rule, j.context.App == policy.AppNone
	}
	at := a.at[wire.ToServer]
	if l.fl.Anomalies&flow.Midstream != 0 && at != parsed { // what it is may be past: its rules, or those of an upgrade, are not to cut what they allow
		return j.base.Rule, l.t.closed.Load()
	}
	return j.base.Rule, at == fresh || at == parsed && a.work != nil && a.need[wire.ToServer] > 0
}

// waiting returns how much of the messages that are under way has come, in bytes.
func (j *judge) waiting(a *app) (n int) {
	if a.work != nil {
		n = a.held
	}
	for _, w := range j.open {
		if w.verdict.Action == policy.Undecided {
			n += w.fields.Bytes()
		}
	}
	return n
}

// overdue applies what a rule says of conversations that stay undecided, if it is time.
func (l *Lane) overdue(j *judge, rule int32) {
	d := policy.DefaultDeadline
	if rule >= 0 {
		d = j.law.policy.Set().Rules[rule].Undecided
	}
	if j.since == 0 || j.pending <= d.Bytes && l.t.now-j.since < int64(d.Seconds)*1e9 {
		return
	}
	j.late = true
	l.decided(nil, j, &policy.Verdict{Action: d.Action, Mode: j.base.Mode, Rule: rule, Why: whyOverdue})
}

const whyOverdue = "nobody could tell in time what it is: the rule's `undecided`"

// judgeMessage asks the policy about a message of the initiator, as far as it has come.
func (l *Lane) judgeMessage(m *dissect.Message) {
	j := l.a.judge
	if j == nil || j.late || m.Dir != wire.ToServer || m.Protocol != l.a.proto && m.With == 0 || l.a.law != l.rules.law {
		return
	}
	w := l.words(j, cmp.Or(m.With, m.ID), len(m.Parts) > 0)
	if w == nil { // it only ends something
		return
	}
	for i := range m.Parts {
		p := &m.Parts[i]
		if f := m.Protocol.Base + int(p.Field); p.View == 0 && j.law.asks[f] {
			w.fields.Add(firstOf[f], p.Value, p.Bytes, p.More, p.Cut)
			w.acts = w.acts || acts[f] || j.law.policy.Asks(firstOf[f])
		}
	}
	w.fields.Complete = m.End && m.With == 0
	w.inner = w.inner || m.With != 0
	w.quiet = !w.acts && hasActs.has(index(m.Protocol))
	if !w.verdict.Settled && !w.quiet {
		app := j.context.App
		j.context.App, j.context.Could, j.context.Fields = numberOf[index(m.Protocol)], nil, &w.fields
		if w.inner {
			j.context.App = grpcNumber
		}
		v := j.law.policy.Decide(&j.context)
		changed := v.Action != w.verdict.Action || v.Rule != w.verdict.Rule
		if w.verdict = v; changed && v.Action != policy.Undecided {
			l.decided(m, j, &v)
		}
		if w.likely = false; v.Action == policy.Undecided {
			w.fields.Complete = true
			w.likely = j.law.policy.Decide(&j.context).Action == policy.Allow
			w.fields.Complete = false
		}
		j.context.App, j.context.Fields = app, nil
	}
	if w.fields.Complete {
		j.over(w)
	}
}

// words returns what is remembered of a message; nil: nothing, and it does not begin.
func (l *Lane) words(j *judge, id uint64, begins bool) *words {
	for _, w := range j.open {
		if w.id == id {
			return w
		}
	}
	if !begins || id <= j.past {
		return nil
	}
	if len(j.open) == maxOpenWords {
		l.cutShort(j, j.open[0])
	}
	w := j.spare
	if j.spare = nil; w == nil {
		w = &words{}
	}
	w.id = id
	j.open = append(j.open, w)
	return w
}

// cutShort judges a message by what was seen of it: too many are under way.
func (l *Lane) cutShort(j *judge, w *words) {
	if w.verdict.Action == policy.Undecided && !w.likely && !w.quiet {
		l.decided(nil, j, &policy.Verdict{Action: policy.Deny, Mode: j.base.Mode, Rule: w.verdict.Rule, Why: whyTooMany})
	}
	j.past = max(j.past, w.id)
	j.over(w)
}

const whyTooMany = "too many messages are under way, and this one is not known yet"

func (j *judge) over(w *words) {
	j.moved = true
	i := slices.Index(j.open, w)
	j.open = slices.Delete(j.open, i, i+1)
	if w.fields.Size() <= maxSpareWords {
		w.fields.Reset()
		*w = words{fields: w.fields}
		j.spare = w
	}
}

// decided takes note of a verdict, and tells a denial.
func (l *Lane) decided(m *dissect.Message, j *judge, v *policy.Verdict) {
	l.counted(j.law, v)
	if j.worst.Action != policy.Deny {
		j.worst = *v
	}
	if v.Action != policy.Deny {
		return
	}
	was := j.stop
	j.stop = true
	if m != nil && j.base.Action == policy.Deny { // that was told of the conversation
		return
	}
	if j.denials == maxDenials || (v.Rule >= 0 || was && m == nil) && slices.Contains(j.told[:j.denials], v.Rule) {
		return
	}
	j.told[j.denials] = v.Rule
	j.denials++
	l.denied(m, j.law, &j.context, v)
}
