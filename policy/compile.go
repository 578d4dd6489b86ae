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
	rules  []rule  // those that apply, in order

	asked   map[int]bool // fields that conditions name
	byName  map[string]int32
	parents map[int]int // protocols that are a form of another

	mu         sync.Mutex
	ids        map[string]Identity
	identities atomic.Pointer[[]identity]
}

// rule is a Rule, by numbers.
type rule struct {
	index    int32 // into Set.Rules
	from, to []int32
	ports    []Port
	app      int // noApp: any
	where    []condition
	action   Action
}

const noApp = -3 // no number of a protocol

type condition struct {
	field    int32
	patterns []pattern
}

// forms are protocols whose messages are those of another one too, in another form: what is said of the latter is said of them.
var forms = []struct{ name, of string }{
	{"http2", "http"},
	{"grpc", "http2"},
}

// Compile makes a Policy of what applies of a Set at a time: rules that are over do not; zero: all apply. fieldOf and protocolOf give numbers to names; the
// caller's Contexts have the same. What they do not know is a problem, and the Policy nil.
func Compile(set *Set, at time.Time, fieldOf func(name string) (int, bool), protocolOf func(name string) (int, bool)) (*Policy, rules.Problems) {
	p := &Policy{set: set, asked: map[int]bool{}, byName: map[string]int32{}, parents: map[int]int{}, ids: map[string]Identity{}}
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
			p.parents[a] = b
		}
	}
	var problems rules.Problems
	wrong := func(r *Rule, what string) {
		problems = append(problems, rules.Problem{Pos: r.Pos, Level: rules.Error, What: fmt.Sprintf("policy %q: %s", r.ID, what)})
	}
	for i := range set.Rules {
		r := &set.Rules[i]
		if r.OverAt(at) {
			continue
		}
		c := rule{index: int32(i), ports: r.Ports, app: noApp, action: r.Action}
		c.from, c.to = p.numbers(r.From), p.numbers(r.To)
		if r.Protocol != "" {
			n, ok := protocolOf(r.Protocol)
			if c.app = n; !ok {
				wrong(r, fmt.Sprintf("unknown protocol %q", r.Protocol))
			}
		}
		for _, w := range r.Where {
			n, ok := fieldOf(w.Field)
			if !ok {
				wrong(r, fmt.Sprintf("unknown field %q", w.Field))
			}
			cond := condition{field: int32(n)}
			for _, text := range w.Patterns {
				cond.patterns = append(cond.patterns, newPattern(text))
			}
			c.where = append(c.where, cond)
			p.asked[n] = true
		}
		p.rules = append(p.rules, c)
	}
	if problems.Failed() {
		return nil, problems
	}
	p.begin()
	return p, problems
}

func (p *Policy) numbers(names []string) (out []int32) {
	for _, n := range names {
		out = append(out, p.byName[n]) // Load has seen that they are there
	}
	return out
}

// Set returns what p was made of.
func (p *Policy) Set() *Set { return p.set }

// Asks reports whether a condition of a rule names a field: Contexts need no others.
func (p *Policy) Asks(field int) bool { return p.asked[field] }
