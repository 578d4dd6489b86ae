package policy

import (
	"cmp"
	"slices"
	"strings"
	"sync"
)

// Limits of what is learned, ours. What they keep out is counted where it would have stood, and proposals say so.
const (
	learnBytes   = 24 << 20 // bytes in all
	partyBytes   = 2 << 20  // of what one party began
	edgesOf      = 1024     // of what one party began: pairs of end, port and protocol
	verbsOf      = 64       // of one kind of message
	shapesOf     = 32       // kinds of messages of one edge
	edgeCost     = 400      // bytes that an edge takes by itself
	nameOfNobody = Unknown
)

// Learner keeps what was said between whom, in patterns. It is bounded, and says what it could not keep. Its methods may be called from any goroutine.
type Learner struct {
	terms *Terms

	mu      sync.Mutex
	parties parties
	edges   map[edgeKey]*edge
	left    int    // bytes
	lost    uint64 // observations that never got here
	first   int64  // of all observations; 0: there was none
	last    int64
	recent  recent
}

// NewLearner returns a Learner that knows nothing.
func NewLearner(t *Terms) *Learner {
	l := &Learner{terms: t, edges: map[edgeKey]*edge{}}
	l.Bound(learnBytes)
	l.parties.begin()
	l.meet()
	return l
}

// Bound makes the memory that a Learner may take less than it has by default. It is called before it learns.
func (l *Learner) Bound(bytes int64) {
	n := int(min(bytes, learnBytes))
	l.recent.most = n / recentPart
	l.left = n - 2*l.recent.most
}

// LearnerBytes is what a Learner takes at most.
const LearnerBytes = learnBytes

// edgeKey is what two parties say to each other in one protocol at one port.
type edgeKey struct {
	from, to Party
	proto    uint8
	port     uint16
	app      string // name of the protocol; "" nothing was said, AppUnknownName
}

// AppUnknownName is what rules and events call the protocol that nobody understands.
const AppUnknownName = "unknown"

// edge is what was said on one.
type edge struct {
	Tally
	shapes map[string]*shape // by the fields of a message
	odd    uint64            // messages with a value that cannot be written as a pattern
	shown  string            // one of those, as far as it can be shown
	cut    uint64            // messages with more values than are told apart
	kinds  uint64            // messages of kinds that found no room
}

// shape is one kind of message: which fields it has.
type shape struct {
	verb    string             // its field, "" if it has none
	objects []string           // fields, sorted
	verbs   map[string]*spoken // by pattern; "" alone where there is no verb
	apart   map[string]*beside // by field
	count   uint64
	dropped uint64 // messages whose verb found no room
}

// spoken is what is known of a verb.
type spoken struct {
	Tally
	objects []*values // as shape.objects
}

// beside are the values of a field that stands apart.
type beside struct {
	*values
	count uint64 // messages that had it
}

// Merge takes in what was noted.
func (l *Learner) Merge(s *Seen) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.meet()
	l.lost += s.lost
	for i := range s.list {
		e := &s.list[i]
		key := seenKey(s.keys[e.off:][:e.n])
		l.observe(key, Tally{Count: uint64(e.count), Refused: uint64(e.refused), First: e.first, Last: e.last})
		l.recent.keep(Mark(e.hash), noted{key, e.first, e.last})
	}
	for _, n := range l.recent.refused(s.late) {
		l.observe(n.key, Tally{Refused: 1, First: n.first, Last: n.last})
	}
}

// appName returns the name of a protocol's number.
func (l *Learner) appName(app int) string {
	switch {
	case app == AppNone:
		return ""
	case app < 0 || app >= len(l.terms.protocols):
		return AppUnknownName
	}
	return l.terms.protocols[app]
}

// observe takes in one thing that was said. l.mu is held.
func (l *Learner) observe(k seenKey, t Tally) {
	if l.first == 0 || t.First < l.first {
		l.first = t.First
	}
	l.last = max(l.last, t.Last)
	from := l.parties.known(k.from())
	e := l.edge(edgeKey{from, l.parties.known(k.to()), k.proto(), k.port(), l.appName(k.app())})
	if e == nil {
		l.parties.list[from].dropped += t.Count
		return
	}
	e.add(t)
	if !k.hasWords() {
		return
	}
	if k.flags()&tooMany != 0 {
		e.cut += t.Count
	}
	if k.flags()&oddWord != 0 {
		e.odd += t.Count
		k.words(func(field int, odd bool, p []byte) {
			if odd && field < len(l.terms.fields) {
				e.shown = l.terms.fields[field] + " " + string(p)
			}
		})
		return
	}
	m := l.read(k)
	e.say(m, t, &room{&l.left, &l.parties.list[from].left})
}

// edge returns the edge of a key, a new one if there is room, else nil.
func (l *Learner) edge(k edgeKey) *edge {
	e := l.edges[k]
	p := &l.parties.list[k.from]
	if e != nil || p.edges >= edgesOf || l.left < edgeCost || p.left < edgeCost {
		return e
	}
	e = &edge{shapes: map[string]*shape{}}
	l.edges[k] = e
	p.edges++
	l.left -= edgeCost
	p.left -= edgeCost
	return e
}

// said is what a key says of a message.
type said struct {
	verb    Named
	objects []Named
	apart   []Named
}

// Named is a value of a field.
type Named struct{ Field, Value string }

// read sorts a message's words by what they are in a rule. Of a message without any that is learned, the fields that it has are what is learned.
func (l *Learner) read(k seenKey) (m said) {
	var others []Named
	k.words(func(field int, _ bool, p []byte) {
		if field >= len(l.terms.fields) {
			return
		}
		n := Named{l.terms.fields[field], string(p)}
		switch term := l.terms.of[field]; {
		case term.role == verb && m.verb.Field == "":
			m.verb = n
		case term.role == verb || term.role == object:
			m.objects = append(m.objects, n)
		case term.role == apart:
			m.apart = append(m.apart, n)
		default:
			others = append(others, n)
		}
	})
	if m.verb.Field == "" && len(m.objects) == 0 && len(m.apart) == 0 && len(others) > 0 {
		m.objects = others[:1]
	}
	slices.SortFunc(m.objects, func(a, b Named) int { return cmp.Or(cmp.Compare(a.Field, b.Field), cmp.Compare(a.Value, b.Value)) })
	return m
}

// fields returns the fields that a message's objects have, sorted, each once.
func (m *said) fields() (out []string) {
	for _, o := range m.objects {
		if len(out) == 0 || out[len(out)-1] != o.Field {
			out = append(out, o.Field)
		}
	}
	return out
}

// say takes in a message.
func (e *edge) say(m said, t Tally, room *room) {
	s := e.shape(m.verb.Field, m.fields(), room)
	if s == nil {
		e.kinds += t.Count
		return
	}
	s.count += t.Count
	for _, a := range m.apart {
		b := s.besides(a.Field)
		b.count += t.Count
		b.add(a.Value, t, room)
	}
	v := s.spoken(m.verb.Value, t, room)
	if v == nil {
		s.dropped += t.Count
		return
	}
	v.Tally.add(t)
	at := 0
	for _, o := range m.objects {
		for s.objects[at] != o.Field {
			at++
		}
		v.objects[at].add(o.Value, t, room)
	}
}

// shape returns what is known of messages with such fields, nil if there is no room for another kind.
func (e *edge) shape(verb string, objects []string, room *room) *shape {
	name := verb + "|" + strings.Join(objects, "|")
	s := e.shapes[name]
	if s == nil && len(e.shapes) < shapesOf && room.take(edgeCost) {
		s = &shape{verb: verb, objects: objects, verbs: map[string]*spoken{}, apart: map[string]*beside{}}
		e.shapes[name] = s
	}
	return s
}

// besides returns what is known of a field that stands apart.
func (s *shape) besides(field string) *beside {
	b := s.apart[field]
	if b == nil {
		b = &beside{values: newValues(styleOf(field))}
		s.apart[field] = b
	}
	return b
}

// spoken returns what is known of a verb, nil if there is no room for another.
func (s *shape) spoken(name string, t Tally, room *room) *spoken {
	v := s.verbs[name]
	if v != nil || t.Count == 0 || len(s.verbs) >= verbsOf && !s.yield(t, room) || !room.take(len(name)) {
		return v
	}
	v = &spoken{objects: make([]*values, len(s.objects))}
	for i, f := range s.objects {
		v.objects[i] = newValues(styleOf(f))
	}
	s.verbs[name] = v
	return v
}

// yield forgets the weakest verb for one that is new, if one is weak.
func (s *shape) yield(t Tally, room *room) bool {
	if !t.accepted() {
		return false
	}
	worst, found := "", false
	for _, name := range sortedKeys(s.verbs) {
		if v := s.verbs[name]; v.weak() && (!found || weaker(&v.Tally, &s.verbs[worst].Tally)) {
			worst, found = name, true
		}
	}
	if !found {
		return false
	}
	old := s.verbs[worst]
	for _, o := range old.objects {
		for p := range o.of {
			room.back(1, len(p))
		}
	}
	room.back(1, len(worst))
	delete(s.verbs, worst)
	s.dropped += old.Count
	return true
}

// styleOf is how values of a field become patterns; of one that is not learned, only that there is one.
func styleOf(field string) style {
	if t := vocabulary[field]; t.role != noRole {
		return t.style
	}
	return styleExists
}

// sortedEdges are the edges in an order that does not change.
func (l *Learner) sortedEdges() []edgeKey {
	out := make([]edgeKey, 0, len(l.edges))
	for k := range l.edges {
		out = append(out, k)
	}
	name := func(p Party) string { return l.parties.list[p].name }
	slices.SortFunc(out, func(a, b edgeKey) int {
		return cmp.Or(cmp.Compare(name(a.from), name(b.from)), cmp.Compare(name(a.to), name(b.to)), cmp.Compare(a.proto, b.proto), cmp.Compare(a.port, b.port), cmp.Compare(a.app, b.app))
	})
	return out
}

// Extent says how much is known.
type Extent struct {
	Parties, Edges int
	First, Last    int64 // ns since the epoch; 0: nothing is
	Lost           uint64
}

// Extent says how much is known.
func (l *Learner) Extent() Extent {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.meet()
	return Extent{len(l.parties.list), len(l.edges), l.first, l.last, l.lost}
}
