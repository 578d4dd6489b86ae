package policy

import "cmp"

// Case is something that was learned, held against a policy.
type Case struct {
	Words
	Tally
	Verdict
}

// Against holds all that was learned since a time (ns since the epoch; 0: ever) against a policy, and calls fn with each thing. What was seen is known in patterns alone: a placeholder is
// taken for a value like any other. protocolOf and fieldOf give the numbers that the policy was compiled with. It may take seconds; the learner waits.
func (l *Learner) Against(p *Policy, since int64, fieldOf, protocolOf func(string) (int, bool), fn func(*Case)) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.meet()
	ids := make([]Identity, len(l.parties.list))
	for i := range ids {
		ids[i] = p.identifyParty(&l.parties.list[i])
	}
	var fields Fields
	for _, k := range l.sortedEdges() {
		e := l.edges[k]
		if e.Last < since {
			continue
		}
		c := Context{From: ids[k.from], To: ids[k.to], Proto: k.proto, Port: k.port, App: AppUnknown}
		if n, ok := protocolOf(k.app); ok {
			c.App = n
		}
		one := Case{Words: Words{From: GroupsOr(p.Groups(c.From)), To: GroupsOr(p.Groups(c.To)), Ports: Port{k.proto, k.port, k.port}, Protocol: cmp.Or(k.app, "")}, Tally: e.Tally}
		tell := func(words []Named, t Tally) {
			fields.Reset()
			fields.Complete = true
			for i, w := range words {
				if n, ok := fieldOf(w.Field); ok {
					fields.Add(n, uint32(i), []byte(w.Value), false, false)
				}
			}
			c.Fields = &fields
			one.Where, one.Tally, one.Verdict = words, t, p.Decide(&c)
			fn(&one)
		}
		if len(e.shapes) == 0 {
			tell(nil, e.Tally)
			continue
		}
		for _, name := range sortedKeys(e.shapes) {
			e.shapes[name].each(since, tell)
		}
	}
}

// GroupsOr are an end's groups, with a word for none.
func GroupsOr(groups []string) []string {
	if len(groups) == 0 {
		return []string{"(no group)"}
	}
	return groups
}

// identifyParty says who a party is to a policy.
func (p *Policy) identifyParty(x *party) Identity {
	if len(x.members) > 0 {
		return p.Identify(&x.sample)
	}
	if x.name == Host {
		return p.Identify(&Subject{Host: true})
	}
	return Nobody
}

// each calls fn with messages of a kind that were seen since a time: each verb with each value of what it is done to, the first
// values of what else a message has.
func (s *shape) each(since int64, fn func([]Named, Tally)) {
	var beside []Named
	for _, f := range sortedKeys(s.apart) {
		if list := sortedKeys(s.apart[f].of); len(list) > 0 {
			beside = append(beside, Named{f, list[0]})
		}
	}
	for _, name := range sortedKeys(s.verbs) {
		v := s.verbs[name]
		if v.Last < since {
			continue
		}
		var head []Named
		if s.verb != "" {
			head = append(head, Named{s.verb, name})
		}
		if len(s.objects) == 0 {
			fn(append(head, beside...), v.Tally)
			continue
		}
		var first []Named // of each field
		for i, f := range s.objects {
			if list := sortedKeys(v.objects[i].of); len(list) > 0 {
				first = append(first, Named{f, list[0]})
			}
		}
		if len(first) < len(s.objects) {
			continue
		}
		for i, f := range s.objects {
			for j, value := range sortedKeys(v.objects[i].of) {
				if t := v.objects[i].of[value]; t.Last >= since && (i == 0 || j > 0) {
					words := append(append(head[:len(head):len(head)], first...), beside...)
					words[len(head)+i] = Named{f, value}
					fn(words, *t)
				}
			}
		}
	}
}
