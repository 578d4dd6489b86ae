package policy

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
)

// ours
const (
	portsFold     = 16 // as many ports of one thing that two say to each other are any port
	addressesFold = 8  // as many addresses with the same to say are `external`, or `unknown`
	apartMost     = 8  // values of a condition that stands apart: with more it is left out
	refusedMost   = 8  // things in one place that are proposed though they were always refused; of more none is
	namedMost     = 8  // things that a note names
)

// Proposal is what was learned, as a policy: groups and rules that would allow it, in an order and with notes for people.
type Proposal struct {
	Groups []ProposedGroup
	Rules  []ProposedRule
	Notes  []string // what holds for all of it: what it lacks
	First  int64    // ns since the epoch
	Last   int64
}

// ProposedGroup is a group that is not there yet.
type ProposedGroup struct {
	Group
	Members []string // who was seen of it
	More    bool     // and others
}

// ProposedRule is a rule with what it was made from.
type ProposedRule struct {
	Rule
	Tally
	Notes []string // what to look at before it is approved
}

// Propose makes a policy of what was said since a time (ns since the epoch; 0: ever), as far as present does not allow it; what present explicitly denies is noted and
// not proposed. Nothing that was always refused is proposed, and nothing that did not fit: both are noted.
func (l *Learner) Propose(present *Set, since int64) *Proposal {
	p := proposer{present: present, rules: newIndex(present), out: &Proposal{}, parties: map[Party]string{}, ids: map[string]bool{}, groups: map[string]bool{}}
	for i := range present.Rules {
		p.ids[present.Rules[i].ID] = true
	}
	for _, g := range present.Groups {
		p.groups[g.Name] = true
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.meet()
	p.list = l.parties.list
	p.out.First, p.out.Last = max(l.first, since), l.last
	blocks := p.blocks(l, since)
	for i := range blocks {
		p.block(&blocks[i])
	}
	p.lacks(l)
	slices.SortFunc(p.out.Groups, func(a, b ProposedGroup) int { return strings.Compare(a.Name, b.Name) })
	return p.out
}

type proposer struct {
	present *Set
	rules   *index // of present
	list    []party
	parties map[Party]string // names under which they were proposed
	ids     map[string]bool  // that there are
	groups  map[string]bool  // likewise
	out     *Proposal
}

// block is what is said from one to another in one protocol, at all of its ports alike.
type block struct {
	from, to Party
	proto    uint8
	app      string
	ports    []uint16
	edge     *edge
	notes    []string
}

// blocks puts together what a rule can say together. l.mu is held; what comes back is a copy.
func (p *proposer) blocks(l *Learner, since int64) (out []block) {
	stand := p.standIns(l, since)
	type same struct { // port aside
		edgeKey
		kinds string // of messages: what a rule says of one port would be of all
	}
	at := map[same]int{}
	for _, k := range l.sortedEdges() {
		e := l.edges[k]
		if e.Last < since {
			continue
		}
		if k.app == "" && saysMore(l, k, since) {
			continue
		}
		from := cmp.Or(stand[standIn{k.from, k.to, true, k.proto, k.port, k.app}], k.from)
		to := cmp.Or(stand[standIn{k.to, k.from, false, k.proto, k.port, k.app}], k.to)
		one := same{kinds: strings.Join(sortedKeys(e.shapes), "\n"), edgeKey: edgeKey{from: from, to: to, proto: k.proto, app: k.app}}
		i, ok := at[one]
		if !ok {
			i = len(out)
			at[one] = i
			out = append(out, block{from: from, to: to, proto: k.proto, app: k.app, edge: &edge{shapes: map[string]*shape{}}})
		}
		b := &out[i]
		if !slices.Contains(b.ports, k.port) {
			b.ports = append(b.ports, k.port)
		}
		left := 1 << 40
		b.edge.take(marshalEdge(k, e), since, &room{&left, &left})
	}
	return out
}

// saysMore reports whether connections on which nothing was said are of a port at which something is said.
func saysMore(l *Learner, k edgeKey, since int64) bool {
	for _, x := range l.sortedEdges() {
		if x.from == k.from && x.to == k.to && x.proto == k.proto && x.port == k.port && x.app != "" && l.edges[x].Last >= since {
			return true
		}
	}
	return false
}

// standIn is an address that has something in common with others: whom it speaks to, in which direction, and how.
type standIn struct {
	address, other Party
	initiates      bool
	proto          uint8
	port           uint16
	app            string
}

// standIns finds addresses for which the built-in group that they are in is to stand, since there are too many of them.
func (p *proposer) standIns(l *Learner, since int64) map[standIn]Party {
	alike := map[standIn][]Party{}
	note := func(s standIn) {
		if a := s.address; l.parties.list[a].builtin != "" {
			s.address = l.builtin(l.parties.list[a].builtin)
			alike[s] = append(alike[s], a)
		}
	}
	for _, k := range l.sortedEdges() {
		if l.edges[k].Last >= since {
			note(standIn{k.from, k.to, true, k.proto, k.port, k.app})
			note(standIn{k.to, k.from, false, k.proto, k.port, k.app})
		}
	}
	out := map[standIn]Party{}
	for s, list := range alike {
		if len(list) > addressesFold {
			for _, a := range list {
				one := s
				one.address = a
				out[one] = s.address
			}
		}
	}
	p.list = l.parties.list
	return out
}

// builtin returns the party of a built-in group. l.mu is held.
func (l *Learner) builtin(name string) Party {
	l.parties.mu.Lock()
	n := l.parties.number(party{name: name})
	l.parties.mu.Unlock()
	l.meet()
	return n
}

// take adds what was said since a time of another edge.
func (e *edge) take(s stateEdge, since int64, room *room) {
	e.add(s.Tally)
	e.odd, e.cut, e.kinds = e.odd+s.Odd, e.cut+s.Cut, e.kinds+s.Kinds
	e.shown = cmp.Or(e.shown, s.Shown)
	for i := range s.Shapes {
		x := &s.Shapes[i]
		for name, v := range x.Verbs {
			if v.Last < since {
				delete(x.Verbs, name) // of the copy
				continue
			}
			for _, o := range v.Objects {
				o.since(since)
			}
		}
		for _, a := range x.Apart {
			a.since(since)
		}
		if len(x.Verbs) > 0 {
			e.restore(x, room)
		}
	}
}

// since leaves out what was not seen since a time. Of is replaced: it is another's.
func (s *stateValues) since(t int64) {
	own := map[string]*Tally{}
	for p, v := range s.Of {
		if v.Last >= t {
			own[p] = v
		}
	}
	s.Of = own
}

// group returns the name of the group that stands for a party, and proposes it if it is not there.
func (p *proposer) group(n Party) string {
	if name, ok := p.parties[n]; ok {
		return name
	}
	x := &p.list[n]
	name := x.name
	if len(x.members) > 0 {
		if i := slices.IndexFunc(p.present.Groups, func(g Group) bool { return x.sample.IsOne(g.Match) }); i >= 0 {
			p.parties[n] = p.present.Groups[i].Name
			return p.parties[n]
		}
	}
	if len(x.match) == 0 {
		if !slices.Contains(Builtin, name) && !p.groups[name] { // it was there once
			name = Unknown
		}
		p.parties[n] = name
		return name
	}
	for i := 2; p.groups[name] || name == Default || name == Any || slices.Contains(Builtin, name); i++ {
		name = fmt.Sprintf("%s-%d", x.name, i)
	}
	p.groups[name] = true
	p.parties[n] = name
	p.out.Groups = append(p.out.Groups, ProposedGroup{Group: Group{Name: name, Match: x.lines()}, Members: x.members, More: x.more})
	return name
}

// block proposes rules for what two say to each other in one protocol.
func (p *proposer) block(b *block) {
	if !b.edge.accepted() {
		p.nothing(b)
		return
	}
	if b.proto == 0 { // RFC 8200 has it for its options: no rule can name it, for there it is any
		p.out.Notes = append(p.out.Notes, fmt.Sprintf("not proposed: IP protocol 0, from %s to %s: no rule can name it", p.list[b.from].name, p.list[b.to].name))
		return
	}
	if anything := b.app == "" || b.app == AppUnknownName; anything && len(b.ports) > portsFold {
		what := "connections on which nothing was said"
		if b.app != "" {
			what = "conversations that nobody understands"
		}
		p.out.Notes = append(p.out.Notes, fmt.Sprintf("not proposed: %s, from %s to %s at %d ports (a scan?)", what, p.list[b.from].name, p.list[b.to].name, len(b.ports)))
		return
	}
	r := ProposedRule{Rule: Rule{From: []string{p.group(b.from)}, To: []string{p.group(b.to)}, Protocol: b.app, Action: Allow, Undecided: DefaultDeadline}, Tally: b.edge.Tally}
	r.Ports = b.portList()
	switch {
	case b.app == "":
		r.Notes = append(r.Notes, "connections on which nothing was ever said: this allows anything to be said")
	case b.app == AppUnknownName:
		r.Protocol = ""
		r.Notes = append(r.Notes, "nobody understands what was said: this allows anything to be said")
	}
	if len(b.ports) > portsFold {
		r.Notes = append(r.Notes, fmt.Sprintf("%d ports were seen: this allows all of them", len(b.ports)))
	}
	if e := b.edge; e.odd > 0 {
		r.Notes = append(r.Notes, fmt.Sprintf("left out: %d messages with a value that cannot be written as a pattern, as %q", e.odd, e.shown))
	}
	if e := b.edge; e.cut+e.kinds > 0 {
		r.Notes = append(r.Notes, fmt.Sprintf("left out: what found no room of %d messages", e.cut+e.kinds))
	}
	if len(b.edge.shapes) == 0 {
		p.add(r)
		return
	}
	notes, made := r.Notes, 0
	for _, name := range sortedKeys(b.edge.shapes) {
		for _, x := range b.edge.rules(b.edge.shapes[name], r) {
			made++
			x.Notes = append(slices.Clone(notes), x.Notes...)
			if p.add(x) {
				notes = nil // once is enough
			}
		}
	}
	if made == 0 {
		p.nothing(b)
	}
}

// nothing notes that all that was said was refused, or cannot be written down.
func (p *proposer) nothing(b *block) {
	p.out.Notes = append(p.out.Notes, fmt.Sprintf("left out: %s from %s to %s: of %d messages and connections nothing was accepted that could be allowed",
		cmp.Or(b.app, "any protocol"), p.list[b.from].name, p.list[b.to].name, b.edge.Count))
}

// add proposes a rule as far as the present policy does not allow what it says, and reports whether anything was left of it.
func (p *proposer) add(r ProposedRule) bool {
	ports, patterns, denied := p.missing(&r.Rule)
	if i := r.pivot(); i >= 0 {
		if len(patterns) == 0 {
			ports = nil
		}
		r.Where = slices.Clone(r.Where)
		r.Where[i] = Condition{r.Where[i].Field, patterns}
	}
	if len(denied) > 0 {
		p.out.Notes = append(p.out.Notes, fmt.Sprintf("%s to %s, %s: not proposed, since a rule denies it: %s", r.From[0], r.To[0], cmp.Or(r.Protocol, "any protocol"), some8(denied)))
	}
	if len(ports) == 0 {
		return false
	}
	r.Ports = ports
	id := r.From[0] + "-to-" + r.To[0]
	if r.Protocol != "" {
		id += "-" + r.Protocol
	}
	r.ID = id
	for i := 2; p.ids[r.ID]; i++ {
		r.ID = fmt.Sprintf("%s-%d", id, i)
	}
	p.ids[r.ID] = true
	p.out.Rules = append(p.out.Rules, r)
	return true
}

// pivot is the condition by whose patterns a rule is taken apart: the last of those with the most; -1 without conditions.
func (r *Rule) pivot() int {
	best := -1
	for i := range r.Where {
		if best < 0 || len(r.Where[i].Patterns) >= len(r.Where[best].Patterns) {
			best = i
		}
	}
	return best
}

// missing says which ports and which patterns of the pivot of a rule the present policy does not allow; denied are the ids of rules that deny some, which are
// not among them.
func (p *proposer) missing(r *Rule) (ports []Port, patterns, denied []string) {
	pivot := r.pivot()
	try := func(port Port, pattern string) bool {
		w := Words{From: r.From, To: r.To, Ports: port, Protocol: r.Protocol}
		for i, c := range r.Where {
			if i == pivot {
				w.Where = append(w.Where, Named{c.Field, pattern})
				continue
			}
			for _, x := range c.Patterns {
				w.Where = append(w.Where, Named{c.Field, x})
			}
		}
		a, rule, _ := p.rules.verdict(&w)
		if a == Deny && rule >= 0 {
			if id := p.present.Rules[rule].ID; !slices.Contains(denied, id) {
				denied = append(denied, id)
			}
		}
		return a == Deny && rule < 0
	}
	for _, port := range r.Ports {
		if pivot < 0 {
			if try(port, "") {
				ports = append(ports, port)
			}
			continue
		}
		needed := false
		for _, x := range r.Where[pivot].Patterns {
			if try(port, x) {
				needed = true
				if !slices.Contains(patterns, x) {
					patterns = append(patterns, x)
				}
			}
		}
		if needed {
			ports = append(ports, port)
		}
	}
	return ports, patterns, denied
}

// lacks notes what all of the proposal lacks. l.mu is held.
func (p *proposer) lacks(l *Learner) {
	note := func(n uint64, format string) {
		if n > 0 {
			p.out.Notes = append(p.out.Notes, fmt.Sprintf(format, n))
		}
	}
	note(l.lost, "%d things that were said came too fast to be noted: they may be missing here")
	note(l.parties.refused(0), "%d ends found no room and count as external or unknown")
	for i := range l.parties.list {
		if x := &l.parties.list[i]; x.dropped > 0 {
			p.out.Notes = append(p.out.Notes, fmt.Sprintf("%s began more than is kept of one: %d messages and connections are missing here (does it scan?)", x.name, x.dropped))
		}
	}
}
