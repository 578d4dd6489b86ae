package policy

import (
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"weir/rules"
)

// Policy is a Set made ready to decide. It is immutable but for what it remembers; many may ask it at once.
type Policy struct {
	set    *Set
	groups []Group // the built-in ones first
	byName map[string]int32

	rules   []rule       // those that apply, in order
	parents []int        // by protocol, of which other one it is a form; noApp: none. Those behind its end have none
	asked   map[int]bool // fields that conditions name
	known   *interned    // while it is compiled
	ports   ports
	ends    [2]side // whom rules are from, and to

	mu         sync.Mutex
	ids        map[string]Identity
	identities atomic.Pointer[[]identity]
	buckets    buckets
}

// rule is a Rule, by numbers.
type rule struct {
	index    int32 // into Set.Rules
	app      int   // noApp: any
	from, to []int32
	ports    []Port
	where    []condition
	action   Action
}

const noApp = -3 // no number of a protocol

// side tells which rules are for whom, on one side of conversations. Rules are numbers into Policy.rules, ascending.
type side struct {
	anybody []int32
	of      [][]int32 // by group
}

// forms are protocols whose messages are those of another one too, in another form: what is said of the latter is said of them.
var forms = []struct{ name, of string }{
	{"http2", "http"},
	{"grpc", "http2"},
}

// Compile makes a Policy of what applies of a Set at a time: rules that are over do not; zero: all apply. fieldOf and protocolOf give numbers to names; the
// caller's Contexts have the same. What they do not know is a problem, and the Policy nil.
func Compile(set *Set, at time.Time, fieldOf func(name string) (int, bool), protocolOf func(name string) (int, bool)) (*Policy, rules.Problems) {
	p := &Policy{set: set, asked: map[int]bool{}, byName: map[string]int32{}, known: newInterned(), ids: map[string]Identity{}}
	for _, name := range Builtin {
		p.groups = append(p.groups, Group{Name: name})
	}
	p.groups = append(p.groups, set.Groups...)
	for i := range p.groups {
		p.byName[p.groups[i].Name] = int32(i)
	}
	for _, f := range forms {
		a, ok := protocolOf(f.name)
		b, ok2 := protocolOf(f.of)
		if ok && ok2 {
			for len(p.parents) <= a {
				p.parents = append(p.parents, noApp)
			}
			p.parents[a] = b
		}
	}
	var problems rules.Problems
	for i := range set.Rules {
		r := &set.Rules[i]
		if r.OverAt(at) {
			continue
		}
		c, wrong := p.compile(r, fieldOf, protocolOf)
		for _, what := range wrong {
			problems = append(problems, rules.Problem{Pos: r.Pos, Level: rules.Error, What: fmt.Sprintf("policy %q: %s", r.ID, what)})
		}
		c.index = int32(i)
		p.rules = append(p.rules, c)
	}
	if problems.Failed() {
		return nil, problems
	}
	p.known = nil
	p.index()
	return p, problems
}

// compile makes a rule of a Rule; wrong says what it names that there is not.
func (p *Policy) compile(r *Rule, fieldOf, protocolOf func(string) (int, bool)) (c rule, wrong []string) {
	c = rule{ports: r.Ports, app: noApp, action: r.Action, from: p.numbers(r.From), to: p.numbers(r.To)}
	if r.Protocol != "" {
		n, ok := protocolOf(r.Protocol)
		if c.app = n; !ok {
			wrong = append(wrong, fmt.Sprintf("unknown protocol %q", r.Protocol))
		}
	}
	for _, w := range r.Where {
		n, ok := fieldOf(w.Field)
		if !ok {
			wrong = append(wrong, fmt.Sprintf("unknown field %q", w.Field))
			continue
		}
		k := kindOf(w.Field)
		c.where = append(c.where, condition{field: int32(n), kind: k, patterns: p.known.patterns(w.Patterns, r.Action == Deny || k == kindHost)})
		p.asked[n] = true
		if c.app == noApp {
			c.app = appOf(w.Field, protocolOf)
		}
	}
	return c, wrong
}

// appOf returns the protocol whose field it is: where a rule names fields of one, it is about that.
func appOf(field string, protocolOf func(string) (int, bool)) int {
	for i := range len(field) {
		if field[i] == '.' {
			if n, ok := protocolOf(field[:i]); ok {
				return n
			}
		}
	}
	return noApp
}

func (p *Policy) numbers(names []string) (out []int32) {
	for _, n := range names {
		out = append(out, p.byName[n]) // Load has seen that they are there
	}
	return out
}

// index makes what finds rules by ends and ports.
func (p *Policy) index() {
	for s := range p.ends {
		p.ends[s].of = make([][]int32, len(p.groups))
	}
	for i := range p.rules {
		p.ends[0].add(p.rules[i].from, int32(i))
		p.ends[1].add(p.rules[i].to, int32(i))
	}
	p.ports = newPorts(p.rules)
	nobody := p.newIdentity([]int32{p.byName[Unknown]})
	list := []identity{nobody}
	p.ids[key(nobody.words)] = Nobody
	p.identities.Store(&list)
}

func (s *side) add(groups []int32, r int32) {
	if len(groups) == 0 {
		s.anybody = append(s.anybody, r)
	}
	for i, g := range groups {
		if list := s.of[g]; i == 0 || len(list) == 0 || list[len(list)-1] != r { // a group may be named twice
			s.of[g] = append(list, r)
		}
	}
}

// Set returns what p was made of.
func (p *Policy) Set() *Set { return p.set }

// Asks reports whether a condition of a rule names a field: Contexts need no others.
func (p *Policy) Asks(field int) bool { return p.asked[field] }
