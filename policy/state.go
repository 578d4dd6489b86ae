package policy

import (
	"encoding/json"
	"fmt"
	"net/netip"
	"slices"
)

// stateVersion is that of what Marshal writes. Another one is not read.
const stateVersion = 1

// The form in which what is learned is kept: JSON, so that people can read it.
type (
	stateDoc struct {
		Version int          `json:"version"`
		First   int64        `json:"first,omitempty"`
		Last    int64        `json:"last,omitempty"`
		Lost    uint64       `json:"lost,omitempty"`
		Full    uint64       `json:"full,omitempty"`
		Parties []stateParty `json:"parties"`
		Edges   []stateEdge  `json:"edges"`
	}
	stateParty struct {
		Name    string       `json:"name"`
		Match   []string     `json:"match,omitempty"`
		Builtin string       `json:"builtin,omitempty"`
		Members []string     `json:"members,omitempty"`
		More    bool         `json:"more,omitempty"`
		Dropped uint64       `json:"dropped,omitempty"`
		Sample  *stateSample `json:"sample,omitempty"`
	}
	stateSample struct {
		Name      string            `json:"name,omitempty"`
		Pod       string            `json:"pod,omitempty"`
		Namespace string            `json:"namespace,omitempty"`
		Image     string            `json:"image,omitempty"`
		Labels    map[string]string `json:"labels,omitempty"`
		Addr      netip.Addr        `json:"addr,omitzero"`
		Names     []string          `json:"names,omitempty"`
		Workload  bool              `json:"workload,omitempty"`
		Host      bool              `json:"host,omitempty"`
	}
	stateEdge struct {
		From  int    `json:"from"` // index into Parties
		To    int    `json:"to"`
		Proto uint8  `json:"proto"`
		Port  uint16 `json:"port"`
		App   string `json:"app,omitempty"`
		Tally
		Shapes []stateShape `json:"shapes,omitempty"`
		Odd    uint64       `json:"odd,omitempty"`
		Shown  string       `json:"shown,omitempty"`
		Cut    uint64       `json:"cut,omitempty"`
		Kinds  uint64       `json:"kinds,omitempty"`
	}
	stateShape struct {
		Verb    string                  `json:"verb,omitempty"`
		Objects []string                `json:"objects,omitempty"`
		Verbs   map[string]stateSpoken  `json:"verbs"`
		Apart   map[string]*stateValues `json:"apart,omitempty"`
		Count   uint64                  `json:"n"`
		Dropped uint64                  `json:"dropped,omitempty"`
	}
	stateSpoken struct {
		Tally
		Objects []*stateValues `json:"objects,omitempty"`
	}
	stateValues struct {
		Of      map[string]*Tally `json:"of"`
		Folded  []string          `json:"folded,omitempty"`
		Dropped uint64            `json:"dropped,omitempty"`
		Count   uint64            `json:"n,omitempty"` // of a field that stands apart: messages that had it
	}
)

// Marshal writes all that is known, for Restore.
func (l *Learner) Marshal() ([]byte, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.meet()
	doc := stateDoc{Version: stateVersion, First: l.first, Last: l.last, Lost: l.lost, Full: l.parties.refused(0)}
	for i := range l.parties.list {
		p := &l.parties.list[i]
		s := stateParty{Name: p.name, Match: p.match, Builtin: p.builtin, Members: p.members, More: p.more, Dropped: p.dropped}
		if len(p.members) > 0 {
			x := p.sample
			s.Sample = &stateSample{x.Name, x.Pod, x.Namespace, x.Image, x.Labels, x.Addr, x.Names, x.Workload, x.Host}
		}
		doc.Parties = append(doc.Parties, s)
	}
	for _, k := range l.sortedEdges() {
		doc.Edges = append(doc.Edges, marshalEdge(k, l.edges[k]))
	}
	b, err := json.Marshal(&doc)
	if err != nil {
		return nil, fmt.Errorf("learned policy: %w", err)
	}
	return b, nil
}

func marshalEdge(k edgeKey, e *edge) stateEdge {
	out := stateEdge{From: int(k.from), To: int(k.to), Proto: k.proto, Port: k.port, App: k.app, Tally: e.Tally, Odd: e.odd, Shown: e.shown, Cut: e.cut, Kinds: e.kinds}
	for _, name := range sortedKeys(e.shapes) {
		s := e.shapes[name]
		x := stateShape{Verb: s.verb, Objects: s.objects, Verbs: map[string]stateSpoken{}, Apart: map[string]*stateValues{}, Count: s.count, Dropped: s.dropped}
		for name, v := range s.verbs {
			w := stateSpoken{Tally: v.Tally}
			for _, o := range v.objects {
				w.Objects = append(w.Objects, &stateValues{Of: o.of, Folded: o.folded, Dropped: o.dropped})
			}
			x.Verbs[name] = w
		}
		for f, a := range s.apart {
			x.Apart[f] = &stateValues{Of: a.of, Folded: a.folded, Dropped: a.dropped, Count: a.count}
		}
		out.Shapes = append(out.Shapes, x)
	}
	return out
}

// Restore adds what Marshal wrote to what is known, here or elsewhere, within the same bounds. An error means that nothing was added.
func (l *Learner) Restore(data []byte) error {
	var doc stateDoc
	if err := json.Unmarshal(data, &doc); err != nil {
		return fmt.Errorf("learned policy: %w", err)
	}
	if doc.Version != stateVersion {
		return fmt.Errorf("learned policy: version %d, this Weir reads %d", doc.Version, stateVersion)
	}
	for _, e := range doc.Edges {
		if e.From < 0 || e.To < 0 || e.From >= len(doc.Parties) || e.To >= len(doc.Parties) {
			return fmt.Errorf("learned policy: a party %d or %d is not there", e.From, e.To)
		}
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.lost += doc.Lost
	l.parties.refused(doc.Full)
	if doc.First > 0 && (l.first == 0 || doc.First < l.first) {
		l.first = doc.First
	}
	l.last = max(l.last, doc.Last)
	numbers := make([]Party, len(doc.Parties))
	for i := range doc.Parties {
		numbers[i] = l.restoreParty(&doc.Parties[i])
	}
	for i := range doc.Edges {
		l.restoreEdge(&doc.Edges[i], numbers)
	}
	return nil
}

func (l *Learner) restoreParty(s *stateParty) Party {
	if !nameable(s.Name) {
		return 0
	}
	l.parties.mu.Lock()
	n := l.parties.number(party{name: s.Name, match: s.Match, builtin: s.Builtin})
	l.parties.mu.Unlock()
	l.meet()
	p := &l.parties.list[n]
	p.dropped += s.Dropped
	p.more = p.more || s.More
	if x := s.Sample; x != nil {
		p.join(&Subject{x.Name, x.Pod, x.Namespace, x.Image, x.Labels, x.Addr, x.Names, x.Workload, x.Host})
	}
	for _, m := range s.Members {
		p.member(m)
	}
	return n
}

func (l *Learner) restoreEdge(s *stateEdge, numbers []Party) {
	from := numbers[s.From]
	var e *edge
	if s.App == "" || nameable(s.App) {
		e = l.edge(edgeKey{from, numbers[s.To], s.Proto, s.Port, s.App})
	}
	if e == nil {
		l.parties.list[from].dropped += s.Count
		return
	}
	e.add(s.Tally)
	e.odd, e.cut, e.kinds = e.odd+s.Odd, e.cut+s.Cut, e.kinds+s.Kinds
	if e.shown == "" && len(s.Shown) <= 2*maxValue {
		e.shown = s.Shown
	}
	room := &room{&l.left, &l.parties.list[from].left}
	for i := range s.Shapes {
		e.restore(&s.Shapes[i], room)
	}
}

// restore says again what a kind of message said.
func (e *edge) restore(s *stateShape, room *room) {
	var whole said
	for _, f := range s.Objects {
		if f != "" && f != s.Verb {
			whole.objects = append(whole.objects, Named{f, ""})
		}
	}
	fields := whole.fields()
	x := e.shape(s.Verb, fields, room)
	if x == nil {
		e.kinds += s.Count
		return
	}
	x.count += s.Count
	x.dropped += s.Dropped
	for _, f := range sortedKeys(s.Apart) {
		if a := s.Apart[f]; a != nil && f != "" && f != s.Verb && !slices.Contains(s.Objects, f) {
			b := x.besides(f)
			b.count += a.Count
			b.restore(a, room)
		}
	}
	for _, name := range sortedKeys(s.Verbs) {
		w := s.Verbs[name]
		if checkPattern(name) != "" {
			continue
		}
		v := x.spoken(name, w.Tally, room)
		if v == nil {
			continue
		}
		v.Tally.add(w.Tally)
		for i, o := range w.Objects {
			if i < len(v.objects) && o != nil {
				v.objects[i].restore(o, room)
			}
		}
	}
}

func (v *values) restore(s *stateValues, room *room) {
	v.dropped += s.Dropped
	for _, p := range s.Folded { // first, so that what fits them finds them
		t := s.Of[p]
		if t == nil || checkPattern(p) != "" || len(v.folded) >= foldedMost || v.of[p] != nil || !foldable(v.style, p) || !room.take(len(p)) {
			continue
		}
		own := *t
		v.of[p], v.folded = &own, append(v.folded, p)
		delete(s.Of, p)
	}
	for _, p := range sortedKeys(s.Of) {
		if t := s.Of[p]; t != nil && len(p) <= maxValue && checkPattern(p) == "" {
			v.add(p, *t, room)
		}
	}
}
