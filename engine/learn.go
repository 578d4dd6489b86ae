package engine

import (
	"slices"
	"strings"

	"weir/dissect"
	"weir/flow"
	"weir/policy"
	"weir/wire"
)

// Learn is where what workloads say to each other is noted, for a policy to be made of it.
type Learn struct {
	// Party says who an end is; groups are those that the policy has it in. It may be called by many at once.
	Party func(s *policy.Subject, groups []string) policy.Party
	// Exchange takes a table that is to be learned from, and gives an empty one. It does not wait.
	Exchange func(*policy.Seen) *policy.Seen
}

// Terms are what is learned of the fields that there are.
var Terms = policy.NewTerms(dissect.FieldNames, func() (names []string) {
	for _, p := range dissect.Protocols {
		names = append(names, p.Name)
	}
	return names
}())

// noteAge is how long a lane keeps what it noted to itself, in ns.
const noteAge = 1_000_000_000

// notes is what a lane notes of what is said.
type notes struct {
	seen    *policy.Seen
	words   []policy.Word // scratch
	said    policy.Observation
	law     *policy.Policy // that parties are of; nil: none
	parties map[someone]policy.Party
}

// wants returns the fields that are learned, by number; nil: nothing is.
func (n *Learn) wants() dissect.Wants {
	if n == nil {
		return nil
	}
	out := make(dissect.Wants, len(dissect.FieldNames))
	for i, first := range firstOf {
		out[i] = Terms.Learned(first)
	}
	return out
}

// refusals are the fields in which a server says that it will not.
var refusals = func() dissect.Wants {
	out := make(dissect.Wants, len(dissect.FieldNames))
	for i, name := range dissect.FieldNames {
		out[i] = slices.Contains([]string{"http.status", "postgresql.error", "mysql.error", "redis.error", "mongodb.error", "cassandra.error"}, name)
	}
	return out
}()

// noteMessage notes a message of who began the present conversation, once its words are there; and that one was refused.
func (l *Lane) noteMessage(m *dissect.Message) {
	a := l.a
	if l.e.cfg.Learn == nil || m.Protocol == &dissect.Raw {
		return
	}
	if m.Dir == wire.ToClient {
		if a.markTx == m.Tx && a.mark != 0 && refuses(m) {
			l.learn.seen.Refuse(a.mark)
			a.mark = 0
		}
		return
	}
	if m.ID <= a.noted {
		return
	}
	n := &l.learn
	n.words = n.words[:0]
	for i := range m.Parts {
		if p := &m.Parts[i]; p.View == 0 && p.Off == 0 && l.e.learned[m.Protocol.Base+int(p.Field)] {
			n.words = append(n.words, policy.Word{Field: firstOf[m.Protocol.Base+int(p.Field)], Value: p.Bytes})
		}
	}
	if len(n.words) == 0 {
		i := 0 // of the part by which it is known
		if hasActs.has(index(m.Protocol)) {
			i = slices.IndexFunc(m.Parts, func(p dissect.Part) bool { return acts[m.Protocol.Base+int(p.Field)] })
		}
		if !m.End || i < 0 || len(m.Parts) == 0 {
			return
		}
		n.words = append(n.words, policy.Word{Field: firstOf[m.Protocol.Base+int(m.Parts[i].Field)]})
	}
	a.noted = m.ID
	a.mark, a.markTx = l.note(numberOf[index(m.Protocol)], n.words), m.Tx
}

// refuses reports whether an answer says that what was asked is not done.
func refuses(m *dissect.Message) bool {
	for i := range m.Parts {
		p := &m.Parts[i]
		if !refusals[m.Protocol.Base+int(p.Field)] || len(p.Bytes) == 0 {
			continue
		}
		if !strings.HasSuffix(m.Protocol.Fields[p.Field].Name, ".status") || p.Bytes[0] == '4' || p.Bytes[0] == '5' {
			return true
		}
	}
	return false
}

// noteUnknown notes, once, that the present conversation is in no known protocol, when both ends have spoken: it may go on for days.
func (l *Lane) noteUnknown(a *app) {
	if l.e.cfg.Learn == nil || a.unknown&unknownNoted != 0 || a.raw[0] == 0 || a.raw[1] == 0 || l.partial() {
		return
	}
	a.unknown |= unknownNoted
	l.note(policy.AppUnknown, nil)
}

// noteFlow notes a conversation that is over, if its end took part in it: a scan teaches nothing.
func (l *Lane) noteFlow(fl *flow.Flow[conn]) {
	s, c := &fl.Dirs[wire.ToServer], &fl.Dirs[wire.ToClient]
	if l.e.cfg.Learn == nil || s.Packets == 0 {
		return
	}
	if fl.Key.Proto == wire.ProtoTCP && (fl.State == flow.StateNew || c.Flags&wire.SYN == 0 && fl.S.app == nil) {
		return
	}
	app := policy.AppNone
	if a := fl.S.app; a != nil {
		if a.unknown&tunnelNoted != 0 && a.raw == [2]uint64{} {
			return
		}
		app = policy.AppUnknown
		if a.proto != nil && a.sure != unrecognised && !a.unsure {
			app = numberOf[index(a.proto)]
		}
	}
	if c.Packets == 0 && app < 0 && s.Packets < unanswered || app == policy.AppUnknown && fl.S.app.unknown&unknownNoted != 0 {
		return
	}
	if a := fl.S.app; a != nil && a.rare != nil && a.rare.orig != nil {
		l.note(numberOf[index(a.rare.orig)], nil)
	}
	l.note(app, nil)
}

// unanswered is how many packets nobody answers, in no protocol that is known, make a conversation: some only send. Ours.
const unanswered = 8

// note notes what was said in the present flow.
func (l *Lane) note(app int, words []policy.Word) policy.Mark {
	n := &l.learn
	if n.seen == nil {
		n.seen = policy.NewSeen(Terms)
	}
	if l.neighbours() {
		return 0
	}
	from, to := l.ends(wire.ToServer)
	n.said = policy.Observation{Time: l.t.now, From: l.partyOf(from), To: l.partyOf(to), Proto: l.fl.Key.Proto, Port: l.port(), App: app, Words: words}
	mark, ok := n.seen.Note(&n.said)
	if !ok {
		n.seen = l.e.cfg.Learn.Exchange(n.seen)
		mark, _ = n.seen.Note(&n.said)
	}
	return mark
}

// partyOf says who an end is to the learner.
func (l *Lane) partyOf(end party) policy.Party {
	n := &l.learn
	var law *policy.Policy
	if w := l.rules.law; w != nil {
		law = w.policy
	}
	if n.parties == nil || n.law != law || len(n.parties) >= maxSomeones {
		n.parties, n.law = map[someone]policy.Party{}, law
	}
	s := someone{end.at, end.who}
	p, ok := n.parties[s]
	if !ok {
		subject := l.e.subject(end)
		var groups []string
		if law != nil {
			groups = law.Groups(l.identify(law, end))
		}
		p = l.e.cfg.Learn.Party(subject, groups)
		n.parties[s] = p
	}
	return p
}

// handOver gives away what was noted if it is old, or at the end.
func (l *Lane) handOver(now int64, end bool) {
	n := &l.learn
	if n.seen == nil || n.seen.Empty() {
		return
	}
	if at := n.seen.Since(); end || now-at > noteAge || at-now > noteAge {
		n.seen = l.e.cfg.Learn.Exchange(n.seen)
	}
}
