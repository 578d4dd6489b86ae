package policy

import (
	"cmp"
	"slices"
	"strings"
	"sync"

	"weir/rules"
)

// Limits of parties, ours.
const (
	partiesMost   = 8192 // groups, proposed or not
	addressesMost = 2048 // of them, addresses that belong to no workload
	membersMost   = 64   // members of a party that are counted apart
	partyCost     = 1024 // bytes that a party takes by itself
)

// parties are those who take part. Number 0 is `unknown`. Numbers are given under a lock of their own, which is never held for long: who asks for one is on the packet path.
type parties struct {
	list []party // guarded by Learner.mu

	mu        sync.Mutex // guards what follows
	byName    map[string]Party
	addresses int
	full      uint64 // subjects that became `external` or `unknown` for want of room
	news      []news // not in list yet
}

// news is a party that is new, or a member of one that may be.
type news struct {
	party  Party
	made   *party // nil: there is one
	member Subject
	named  bool // member is one
}

// party is a group that there is, or one that would be proposed.
type party struct {
	name    string
	match   []string // what its lines would say; none: the group is there, or built in
	builtin string   // what it belongs to without a group of its own, for an address: External or Unknown
	sample  Subject  // one of its members
	members []string // names of some
	more    bool     // there are others

	edges   int
	left    int    // bytes of what it began
	dropped uint64 // observations for which it had no room
}

func (ps *parties) begin() {
	ps.byName = map[string]Party{}
	ps.mu.Lock()
	defer ps.mu.Unlock()
	ps.put(party{name: Unknown})
}

// put gives a party a number. ps.mu is held.
func (ps *parties) put(p party) Party {
	n := Party(len(ps.byName))
	ps.byName[p.name] = n
	p.left = partyBytes
	ps.news = append(ps.news, news{party: n, made: &p})
	return n
}

// number returns the number of a party, of what it belongs to where there is no room. ps.mu is held.
func (ps *parties) number(p party) Party {
	if n, ok := ps.byName[p.name]; ok {
		return n
	}
	address := p.builtin != ""
	if len(ps.byName) >= partiesMost || address && ps.addresses >= addressesMost {
		ps.full++
		name := cmp.Or(p.builtin, nameOfNobody)
		if n, ok := ps.byName[name]; ok {
			return n
		}
		return ps.put(party{name: name})
	}
	if address {
		ps.addresses++
	}
	return ps.put(p)
}

// known returns p if there is such a party, else 0.
func (ps *parties) known(p Party) Party {
	if int(p) >= len(ps.list) {
		return 0
	}
	return p
}

// Party returns who a subject is to the learner: the first of the groups that the policy has it in, else the one that would be
// proposed for it. It may allocate, but waits for nobody: ask it where an end of a conversation is identified, and keep the answer with the Identity.
func (l *Learner) Party(s *Subject, in []string) Party {
	p := propose(s, in)
	ps := &l.parties
	ps.mu.Lock()
	defer ps.mu.Unlock()
	n := ps.number(p)
	if len(ps.news) < partiesMost { // else it is a member that is not counted
		ps.news = append(ps.news, news{party: n, member: *s, named: true})
	}
	return n
}

// meet takes in parties and members that are new. l.mu is held.
func (l *Learner) meet() {
	ps := &l.parties
	ps.mu.Lock()
	list := ps.news
	ps.news = nil
	ps.mu.Unlock()
	for i := range list {
		n := &list[i]
		if n.made != nil {
			ps.list = append(ps.list, *n.made)
			l.left -= partyCost
		}
		if n.named {
			ps.list[n.party].join(&n.member)
		}
	}
}

// join notes that a subject is a member.
func (p *party) join(s *Subject) {
	if p.member(s.called()) {
		p.sample = *s
	}
}

// member notes a member's name, and reports whether it is new.
func (p *party) member(name string) bool {
	at, found := slices.BinarySearch(p.members, name)
	switch {
	case found || len(name) > maxName:
		return false
	case len(p.members) >= membersMost:
		p.more = true
		return false
	}
	p.members = slices.Insert(p.members, at, name)
	return true
}

// called is the name of a subject for people.
func (s *Subject) called() string {
	switch {
	case s.Pod != "":
		return strings.TrimPrefix(s.Namespace+"/"+s.Pod, "/")
	case s.Name != "":
		return s.Name
	case len(s.Names) > 0:
		return s.Names[0]
	case s.Addr.IsValid():
		return s.Addr.Unmap().String()
	}
	return Unknown
}

// appLabels are the labels that say what a workload is part of, the best first.
var appLabels = []string{"app.kubernetes.io/name", "app", "k8s-app", "com.docker.compose.service", "name"}

// propose says which group a subject would be in.
func propose(s *Subject, in []string) party {
	for _, g := range in {
		if !slices.Contains(Builtin, g) {
			return party{name: g}
		}
	}
	switch {
	case s.Workload:
		return proposeWorkload(s)
	case s.Host:
		return party{name: Host}
	case !s.Addr.IsValid():
		return party{name: Unknown}
	}
	builtin := Unknown
	if s.External() {
		builtin = External
	}
	if len(s.Names) > 0 {
		if name := strings.TrimSuffix(strings.ToLower(s.Names[0]), "."); matchable(name) {
			pattern, odd := appendPattern(nil, styleName, []byte(name))
			if !odd && strings.Contains(string(pattern), ".") {
				return party{name: strings.TrimPrefix(string(pattern), "*."), match: []string{"dns=" + string(pattern)}, builtin: builtin}
			}
		}
	}
	a := s.Addr.Unmap().String()
	return party{name: a, match: []string{"address=" + a}, builtin: builtin}
}

// proposeWorkload names a group by what a workload is part of: its labels, else its name without what tells its replicas apart.
func proposeWorkload(s *Subject) party {
	var all []string
	name := ""
	space := s.Namespace != "" && matchable(s.Namespace)
	if space {
		all = append(all, "namespace="+s.Namespace)
		name = s.Namespace + "-"
	}
	for _, l := range appLabels {
		if v := s.Labels[l]; v != "" && matchable(v) {
			return party{name: name + v, match: []string{strings.Join(append(all, "label:"+l+"="+v), ",")}}
		}
	}
	key, own := "name", s.Name
	if s.Pod != "" {
		key, own = "pod", s.Pod
	}
	if !matchable(own) {
		return party{name: Unknown}
	}
	stem := withoutReplica(own)
	pattern := stem
	if stem != own {
		pattern += "-*"
		if own[len(stem)] == '_' {
			pattern = stem + "_*"
		}
	}
	return party{name: name + stem, match: []string{strings.Join(append(all, key+"="+pattern), ",")}}
}

// matchable reports whether a name can stand in a group's line for itself.
func matchable(name string) bool {
	if name == "" || len(name) > maxName/2 || strings.ContainsAny(name, "*,=~!^$ \t") {
		return false
	}
	return !strings.ContainsFunc(name, func(r rune) bool { return r < ' ' || r >= 0x7f })
}

// withoutReplica takes off a name what tells the replicas of one thing apart: the hash and the five letters that a Deployment
// adds, the five of a DaemonSet or a Job, the number of a StatefulSet or of a composed container.
func withoutReplica(name string) string {
	if rest, last, ok := cutLast(name, "-_"); ok && isNumber(last) {
		return rest
	}
	rest, last, ok := cutLast(name, "-")
	if !ok || len(last) != 5 || !generated(last) {
		return name
	}
	if stem, hash, ok := cutLast(rest, "-"); ok && len(hash) >= 5 && len(hash) <= 10 && generated(hash) {
		return stem
	}
	return rest
}

func cutLast(s, seps string) (before, after string, ok bool) {
	i := strings.LastIndexAny(s, seps)
	if i <= 0 || i == len(s)-1 {
		return s, "", false
	}
	return s[:i], s[i+1:], true
}

func isNumber(s string) bool { return strings.Trim(s, "0123456789") == "" && len(s) <= 6 }

// generated reports whether Kubernetes may have made up a part of a name: it uses no vowels, so no words.
func generated(s string) bool {
	return strings.Trim(s, "bcdfghjklmnpqrstvwxz0123456789") == "" && strings.ContainsAny(s, "0123456789bcdfghjklmnpqrstvwxz")
}

// lines reads what a party's lines would say.
func (p *party) lines() (out []rules.Ends) {
	for _, m := range p.match {
		if e, what, _ := rules.ParseEnds(m); what == "" {
			out = append(out, e)
		}
	}
	return out
}

// refused adds to the number of subjects for which there was no room, and returns it.
func (ps *parties) refused(n uint64) uint64 {
	ps.mu.Lock()
	defer ps.mu.Unlock()
	ps.full += n
	return ps.full
}
