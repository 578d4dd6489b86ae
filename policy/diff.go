package policy

import (
	"fmt"
	"slices"
	"strings"
)

// Difference is what a policy allows that another did not, and the other way round. Groups are taken by their names: who is in them is told
// where their lines differ, not followed.
type Difference struct {
	Allowed []Change // now, not before
	Denied  []Change // now, allowed before
	Groups  []string // what differs about them, in words
	Modes   []string
	Failure []string
	Cut     int // rules that say too much to be taken apart: not compared
}

// Change is some of what differs.
type Change struct {
	Words
	Rule   string // id of the rule that allows it, or did
	By     string // id of the rule that denies it, or did; "": no rule allows it
	Partly bool   // some of it only
}

// Empty reports whether nothing differs.
func (d *Difference) Empty() bool {
	return len(d.Allowed)+len(d.Denied)+len(d.Groups)+len(d.Modes)+len(d.Failure)+d.Cut == 0
}

// String says a change in a line.
func (c *Change) String() string {
	s := c.Words.String()
	if c.Partly {
		s += " (some of it)"
	}
	return s
}

const wordsOfRule = 20000 // kinds of conversations that a rule is taken apart into, ours

// Diff compares two policies.
func Diff(old, new *Set) *Difference {
	d := &Difference{}
	before, after := newIndex(old), newIndex(new)
	d.Allowed = d.changes(new, after, before)
	d.Denied = d.changes(old, before, after)
	d.groups(old, new)
	d.Modes = tables(old.Modes, new.Modes, Discover)
	d.Failure = tables(old.Failure, new.Failure, Open)
	return d
}

// changes are what set allows by its rules and other does not.
func (d *Difference) changes(set *Set, own, other *index) (out []Change) {
	told := map[string]bool{}
	for i := range set.Rules {
		r := &set.Rules[i]
		if r.Action != Allow {
			continue
		}
		list := r.words()
		if list == nil {
			d.Cut++
		}
		for _, w := range list {
			if a, _, _ := own.verdict(&w); a != Allow {
				continue // an earlier rule denies it
			}
			a, by, partly := other.verdict(&w)
			if a == Allow && !partly {
				continue
			}
			c := Change{Words: w, Rule: r.ID, Partly: partly}
			if by >= 0 && a == Deny {
				c.By = other.set.Rules[by].ID
			}
			if s := c.String(); !told[s] {
				told[s] = true
				out = append(out, c)
			}
		}
	}
	return out
}

// words takes a rule apart: ends, ports, verbs and what they are done to each by itself; conditions that stand apart go with each. nil: there are too many.
func (r *Rule) words() []Words {
	out := []Words{{Protocol: r.Protocol}}
	each := func(n int, set func(w *Words, i int)) bool {
		if n == 0 {
			return true
		}
		if len(out)*n > wordsOfRule {
			return false
		}
		var next []Words
		for _, w := range out {
			for i := range n {
				x := w
				x.Where = slices.Clone(w.Where)
				set(&x, i)
				next = append(next, x)
			}
		}
		out = next
		return true
	}
	if !each(len(r.From), func(w *Words, i int) { w.From = r.From[i : i+1] }) ||
		!each(len(r.To), func(w *Words, i int) { w.To = r.To[i : i+1] }) ||
		!each(len(r.Ports), func(w *Words, i int) { w.Ports = r.Ports[i] }) {
		return nil
	}
	for _, c := range r.Where {
		if vocabulary[c.Field].role == apart {
			for i := range out {
				for _, p := range c.Patterns {
					out[i].Where = append(out[i].Where, Named{c.Field, p})
				}
			}
			continue
		}
		if !each(len(c.Patterns), func(w *Words, i int) { w.Where = append(w.Where, Named{c.Field, c.Patterns[i]}) }) {
			return nil
		}
	}
	return out
}

// index finds the rules that may be for a group, in their order.
type index struct {
	set *Set
	to  map[string][]int // rules that name a group at their far end
	any []int            // those that name none
}

func newIndex(s *Set) *index {
	x := &index{set: s, to: map[string][]int{}}
	for i := range s.Rules {
		if len(s.Rules[i].To) == 0 {
			x.any = append(x.any, i)
		}
		for _, g := range s.Rules[i].To {
			x.to[g] = append(x.to[g], i)
		}
	}
	return x
}

// verdict is Set.verdict.
func (x *index) verdict(w *Words) (a Action, rule int, partly bool) {
	list := x.any
	if len(w.To) == 0 {
		return x.set.verdict(w, nil)
	}
	for _, g := range w.To {
		if more := x.to[g]; len(more) > 0 {
			list = append(slices.Clone(list), more...)
		}
	}
	slices.Sort(list)
	if list == nil {
		list = []int{}
	}
	return x.set.verdict(w, list)
}

func (d *Difference) groups(old, new *Set) {
	lines := func(s *Set) map[string]string {
		m := map[string]string{}
		for _, g := range s.Groups {
			var l []string
			for _, e := range g.Match {
				l = append(l, e.Text)
			}
			m[g.Name] = strings.Join(l, " | ")
		}
		return m
	}
	a, b := lines(old), lines(new)
	for _, name := range sortedKeys(a) {
		if m, ok := b[name]; !ok {
			d.Groups = append(d.Groups, "- "+name+": "+a[name])
		} else if m != a[name] {
			d.Groups = append(d.Groups, "~ "+name+": "+a[name]+" -> "+m)
		}
	}
	for _, name := range sortedKeys(b) {
		if _, ok := a[name]; !ok {
			d.Groups = append(d.Groups, "+ "+name+": "+b[name])
		}
	}
}

// tables says what differs of [modes] or [failure].
func tables[T interface {
	~uint8
	fmt.Stringer
}](old, new map[string]T, otherwise T) (out []string) {
	of := func(m map[string]T, name string) T {
		if v, ok := m[name]; ok {
			return v
		}
		if v, ok := m[Default]; ok {
			return v
		}
		return otherwise
	}
	names := map[string]bool{Default: true}
	for n := range old {
		names[n] = true
	}
	for n := range new {
		names[n] = true
	}
	for _, n := range sortedKeys(names) {
		if a, b := of(old, n), of(new, n); a != b {
			out = append(out, fmt.Sprintf("%s: %s -> %s", n, a, b))
		}
	}
	return out
}
