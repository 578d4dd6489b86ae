package engine

import (
	"net/netip"
	"slices"
	"sync/atomic"

	"weir/dissect"
	"weir/flow"
	"weir/policy"
	"weir/wire"
	"weir/workload"
)

// law is the policy in force, and what lanes need beside it.
type law struct {
	policy *policy.Policy
	asks   dissect.Wants   // fields that its rules look at
	names  bool            // its groups ask for DNS names
	hits   []atomic.Uint64 // by rule: conversations and messages that it decided; the last is for no rule
}

// SetPolicy puts p in force for every block that begins from now on; nil: none. Conversations that are under way are judged anew.
func (e *Engine) SetPolicy(p *policy.Policy) {
	e.setting.Lock()
	defer e.setting.Unlock()
	if p == nil {
		e.law = nil
	} else {
		w := &law{policy: p, asks: make(dissect.Wants, len(dissect.FieldNames)), hits: make([]atomic.Uint64, len(p.Set().Rules)+1)}
		w.names = asksNames(p.Set())
		for i := range w.asks {
			w.asks[i] = p.Asks(firstOf[i]) || acts[i] || w.names && nameFields[i]
		}
		e.law = w
	}
	e.arm()
}

// PolicyHits returns how often each rule of the policy in force has decided, by its index; the last is for where no rule did. nil: there is no policy.
func (e *Engine) PolicyHits() []uint64 {
	w := e.rules.Load().law
	if w == nil {
		return nil
	}
	out := make([]uint64, len(w.hits))
	for i := range w.hits {
		out[i] = w.hits[i].Load()
	}
	return out
}

// FieldNumber returns the number by which the engine tells the policy of a field, false if there is none of that name.
func FieldNumber(name string) (int, bool) {
	i := slices.Index(dissect.FieldNames, name)
	return i, i >= 0
}

// sameAs are fields that are another one's to the policy: a query that is asked once more has its name in a field of its own, so that nothing in it is found twice.
var sameAs = map[string]string{"dns.question": "dns.query"}

// firstOf is the number of the first field that has the same name, for protocols that share fields.
var firstOf = func() []int {
	out := make([]int, len(dissect.FieldNames))
	for i, name := range dissect.FieldNames {
		if other, ok := sameAs[name]; ok {
			name = other
		}
		out[i] = slices.Index(dissect.FieldNames, name)
	}
	return out
}()

// ProtocolNumber returns the number by which the engine tells the policy of a protocol, false if there is none of that name.
func ProtocolNumber(name string) (int, bool) {
	i := slices.IndexFunc(dissect.Protocols, func(p *dissect.Protocol) bool { return p.Name == name })
	return i, i >= 0
}

// numberOf is that of each of dissect.Protocols: of several with one name the first's.
var numberOf = func() []int {
	out := make([]int, len(dissect.Protocols))
	for i, p := range dissect.Protocols {
		out[i], _ = ProtocolNumber(p.Name)
	}
	return out
}()

// acts are the fields that say what a message does, by number; hasActs the protocols that have some.
var acts, hasActs = func() (of dissect.Wants, has protocols) {
	of = make(dissect.Wants, len(dissect.FieldNames))
	for i, p := range dissect.Protocols {
		for k, f := range p.Fields {
			if policy.Acts(f.Name) {
				of[p.Base+k] = true
				has.add(uint8(i))
			}
		}
	}
	return of, has
}()

// groups remembers which groups the ends of conversations are in.
type groups struct {
	of    *policy.Policy
	names uint32 // changes of names that known knows of
	known map[someone]policy.Identity
}

type someone struct {
	at  netip.Addr
	who *workload.Workload
}

// maxSomeones are remembered by a lane; then it begins anew.
const maxSomeones = 1 << 14

func (g *groups) identify(p *policy.Policy, names *names, m someone, subject func() *policy.Subject) policy.Identity {
	if n := names.changes.Load(); g.of != p || g.names != n {
		g.of, g.names = p, n
		clear(g.known)
	}
	if id, ok := g.known[m]; ok {
		return id
	}
	if g.known == nil {
		g.known = make(map[someone]policy.Identity)
	}
	if len(g.known) >= maxSomeones {
		clear(g.known)
	}
	id := p.Identify(subject())
	g.known[m] = id
	return id
}

// identify returns the groups of one end of the present flow.
func (l *Lane) identify(p *policy.Policy, end party) policy.Identity {
	return l.groups.identify(p, &l.e.names, someone{end.at, end.who}, func() *policy.Subject {
		s := l.e.subject(end)
		if l.rules.law.names {
			s.Names = l.e.names.lead(s.Addr, l.t.now)
		}
		return s
	})
}

// subject describes one end of a conversation to the policy.
func (e *Engine) subject(end party) *policy.Subject {
	s := SubjectOf(end.who, end.at.Unmap())
	if h := e.host.Load(); h != nil && end.who == nil {
		s.Host = slices.Contains(*h, s.Addr)
	}
	return s
}

// SubjectOf describes a workload at one of its addresses to the policy; nil: it is not known who is there.
func SubjectOf(w *workload.Workload, at netip.Addr) *policy.Subject {
	if w == nil {
		return &policy.Subject{Addr: at}
	}
	return &policy.Subject{Name: w.Name, Pod: w.Pod, Namespace: w.Namespace, Image: w.Image, Labels: w.Labels, Addr: at, Workload: true}
}

// SetHost tells the addresses of the host itself.
func (e *Engine) SetHost(addrs []netip.Addr) { e.host.Store(&addrs) }

// context makes what is known of the present flow by its ends alone.
func (l *Lane) context(p *policy.Policy, c *policy.Context) {
	from, to := l.ends(wire.ToServer)
	*c = policy.Context{From: l.identify(p, from), To: l.identify(p, to), Proto: l.fl.Key.Proto, Port: l.port(), App: policy.AppNone}
}

// port returns what the policy calls the port of the present flow: the responder's; of ICMP, type and code.
func (l *Lane) port() uint16 {
	k := &l.fl.Key
	mine, other := k.APort, k.BPort
	if !l.fl.AInitiates {
		mine, other = other, mine
	}
	switch k.Proto {
	case wire.ProtoICMP, wire.ProtoICMPv6:
		code := uint16(0)
		if _, paired := wire.Counterpart(k.Proto, uint8(mine)); !paired {
			code = other & 0xff
		}
		return mine<<8 | code
	case wire.ProtoTCP, wire.ProtoUDP, wire.ProtoSCTP:
		return other
	}
	return 0
}

// met asks the policy about the present flow when its first packet comes.
func (l *Lane) met() policy.Verdict {
	w := l.rules.law
	l.context(w.policy, &l.asked)
	v := w.policy.Decide(&l.asked)
	if v.Action != policy.Undecided {
		l.counted(w, &v)
	}
	if v.Action == policy.Deny {
		l.denied(nil, w, &l.asked, &v)
	}
	return v
}

func (l *Lane) counted(w *law, v *policy.Verdict) {
	i := int(v.Rule)
	if i < 0 {
		i = len(w.hits) - 1
	}
	w.hits[i].Add(1)
}

// first reports whether the present packet is its flow's first.
func first(fl *flow.Flow[conn]) bool { return fl.Dirs[0].Packets+fl.Dirs[1].Packets == 1 }
