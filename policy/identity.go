package policy

import "slices"

// identity is a set of groups.
type identity struct {
	groups  []int32 // ascending
	words   []uint64
	mode    Mode
	ruled   bool // mode is of one of its groups, or the default of one that is not built in
	failure Failure
}

// maxIdentities is how many sets of groups are told apart, ours. Who would be a further one is Nobody: under the rules for `unknown`, and the default.
const maxIdentities = 1 << 16

func (p *Policy) newIdentity(groups []int32) identity {
	id := identity{groups: groups, words: make([]uint64, (len(p.groups)+63)/64)}
	closed, given := false, false
	mine := false // in a group of the files, or a workload of none
	for _, g := range groups {
		id.words[g/64] |= 1 << (g % 64)
		name := p.groups[g].Name
		mine = mine || int(g) >= len(Builtin)
		if m, ok := p.set.Modes[name]; ok {
			id.mode, id.ruled = max(id.mode, m), true
		}
		if f, ok := p.set.Failure[name]; ok {
			given, closed = true, closed || f == Closed
		}
	}
	if !id.ruled && (mine || len(groups) == 0) {
		id.mode, id.ruled = p.set.Modes[Default], true
	}
	id.failure = p.set.Failure[Default]
	if given {
		id.failure = Open
		if closed {
			id.failure = Closed
		}
	}
	return id
}

func key(words []uint64) string {
	b := make([]byte, 0, 8*len(words))
	for _, w := range words {
		for range 8 {
			b = append(b, byte(w))
			w >>= 8
		}
	}
	return string(b)
}

// Identify returns the Identity of one end. It goes through all groups: not for each packet. Many may ask at once.
func (p *Policy) Identify(s *Subject) Identity {
	var groups []int32
	if s.External() {
		groups = append(groups, p.byName[External])
	}
	if s.Host {
		groups = append(groups, p.byName[Host])
	}
	for i := len(Builtin); i < len(p.groups); i++ {
		if s.IsOne(p.groups[i].Match) {
			groups = append(groups, int32(i))
		}
	}
	if len(groups) == 0 && !s.Workload {
		groups = append(groups, p.byName[Unknown])
	}
	id := p.newIdentity(groups)
	k := key(id.words)
	p.mu.Lock()
	defer p.mu.Unlock()
	if n, ok := p.ids[k]; ok {
		return n
	}
	list := *p.identities.Load()
	if len(list) == maxIdentities {
		return Nobody
	}
	n := Identity(len(list))
	list = append(list, id) // who reads looks at no more than it had
	p.identities.Store(&list)
	p.ids[k] = n
	return n
}

// of returns what an Identity is; one of another policy is Nobody.
func (p *Policy) of(id Identity) *identity {
	list := *p.identities.Load()
	if int(id) >= len(list) {
		id = Nobody
	}
	return &list[id]
}

// Groups returns the names of the groups that an Identity is, built-in ones first, then in file order; none: a workload that is in none.
func (p *Policy) Groups(id Identity) (names []string) {
	for _, g := range p.of(id).groups {
		names = append(names, p.groups[g].Name)
	}
	return names
}

// In reports whether an Identity is in a group.
func (p *Policy) In(id Identity, group string) bool {
	g, ok := p.byName[group]
	return ok && slices.Contains(p.of(id).groups, g)
}

// Mode is that of a conversation: the stricter one of its ends. Ends that are only external, the host or unknown have none unless [modes] names
// them; where neither end has one, it is the default.
func (p *Policy) Mode(from, to Identity) Mode { return p.mode(p.of(from), p.of(to)) }

func (p *Policy) mode(a, b *identity) Mode {
	if !a.ruled && !b.ruled {
		return p.set.Modes[Default]
	}
	return max(a.mode, b.mode) // without one it is 0
}

// Protects reports whether anybody may be in protect.
func (p *Policy) Protects() bool { return p.set.Protects() }

// Protects reports whether a group is in protect.
func (s *Set) Protects() bool {
	for _, m := range s.Modes {
		if m == Protect {
			return true
		}
	}
	return false
}

// Failure is what becomes of traffic of an Identity that nobody can judge: closed if it is for one of its groups.
func (p *Policy) Failure(id Identity) Failure { return p.of(id).failure }
