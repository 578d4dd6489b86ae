package policy

import (
	"slices"
	"strings"
)

// What a rule says of a set of conversations, not of one: whether it is for all of them, for some, or for none. Sets are told from each other by
// the names of groups: who is in a group is not looked into.

// extent says how much of something a rule is for.
type extent uint8

const (
	none extent = iota
	some
	all
)

// Words are conversations of one kind: all that are from one group to another, at ports, in a protocol, with messages that fit patterns.
type Words struct {
	From, To []string // groups that the end is in; none: anybody
	Ports    Port     // Top 0 and Proto 0: any
	Protocol string   // "": any
	Where    []Named  // patterns
}

// verdict says what the rules of a set make of all of w: the action, and the rule that first is for all of it, -1 if none is. partly: a rule before that, or another one if there is
// none, decides some of it otherwise. only are the rules that are asked, in order; nil: all.
func (s *Set) verdict(w *Words, only []int) (a Action, rule int, partly bool) {
	seen := Undecided
	n := len(s.Rules)
	if only != nil {
		n = len(only)
	}
	for at := range n {
		i := at
		if only != nil {
			i = only[at]
		}
		r := &s.Rules[i]
		switch r.covers(w) {
		case all:
			return r.Action, i, partly || seen != Undecided && seen != r.Action
		case some:
			if seen != Undecided && seen != r.Action {
				partly = true
			}
			seen = r.Action
		}
	}
	return Deny, -1, partly || seen == Allow
}

// covers says how much of w a rule is for.
func (r *Rule) covers(w *Words) extent {
	out := min(coversGroups(r.From, w.From), coversGroups(r.To, w.To), coversPorts(r.Ports, w.Ports), coversProtocol(r.Protocol, w.Protocol))
	for i := range r.Where {
		if out == none {
			break
		}
		out = min(out, r.Where[i].covers(w, r.Action))
	}
	return out
}

func coversGroups(rule, groups []string) extent {
	switch {
	case len(rule) == 0:
		return all
	case len(groups) == 0:
		return some
	case slices.ContainsFunc(groups, func(g string) bool { return slices.Contains(rule, g) }):
		return all
	}
	return none
}

func coversPorts(rule []Port, p Port) (out extent) {
	if len(rule) == 0 {
		return all
	}
	if p == (Port{}) {
		return some
	}
	for _, r := range rule {
		switch {
		case r.Proto != 0 && p.Proto != 0 && r.Proto != p.Proto:
		case r.Low <= p.Low && p.Top <= r.Top && (r.Proto == 0 || r.Proto == p.Proto):
			return all
		case r.Low <= p.Top && p.Low <= r.Top:
			out = some
		}
	}
	return out
}

func coversProtocol(rule, p string) extent {
	switch {
	case rule == "" || rule == p:
		return all
	case p == "" || formOf(rule, p):
		return some
	case formOf(p, rule):
		return all
	}
	return none
}

// formOf reports whether messages of a protocol are those of another in another form.
func formOf(p, of string) bool {
	for range forms {
		i := slices.IndexFunc(forms, func(f struct{ name, of string }) bool { return f.name == p })
		if i < 0 {
			return false
		}
		if p = forms[i].of; p == of {
			return true
		}
	}
	return false
}

func (c *Condition) covers(w *Words, a Action) extent {
	found, out := false, all
	for _, n := range w.Where {
		if n.Field != c.Field {
			continue
		}
		found = true
		best := none
		for _, p := range c.Patterns {
			x := coversPattern(p, n.Value)
			if n.Value == "" && p != "" { // of messages without the field it says nothing
				x = min(x, some)
			}
			best = max(best, x)
		}
		if a == Deny && best == all {
			return all // one value is enough
		}
		out = min(out, best)
	}
	if !found {
		return some // messages that have the field, and those that do not
	}
	return out
}

// coversPattern says how much of what fits pattern q fits p.
func coversPattern(p, q string) extent {
	switch {
	case p == q || p == "*":
		return all
	case !strings.ContainsAny(p, "*{"):
		if !strings.ContainsAny(q, "*{") {
			return none
		}
	default:
		x := newPattern(p)
		whole := true
		for _, like := range [...]string{"\x01", "\x01/\x01/\x01", ""} {
			whole = whole && x.fits(specimen(q, like))
		}
		if whole {
			return all
		}
	}
	if overlap(tokens(p), tokens(q)) {
		return some
	}
	return none
}

// specimen is a value that fits a pattern, with like for what `*` is, and for segments a letter that no text has: so only a wildcard fits it.
func specimen(q, like string) (out []byte) {
	x := newPattern(q)
	for _, part := range x.parts {
		switch part.kind {
		case literal:
			out = append(out, part.text...)
		case segment:
			out = append(out, 1)
		default:
			out = append(out, like...)
		}
	}
	return out
}

// token is a byte of a pattern, or a wildcard of it.
type token int16

const (
	oneOf  token = 256 + iota // a byte that is no slash
	manyOf                    // any number of them
	anyOf                     // any number of any
)

func tokens(p string) (out []token) {
	x := newPattern(p)
	for _, part := range x.parts {
		switch part.kind {
		case literal:
			for i := range len(part.text) {
				out = append(out, token(part.text[i]))
			}
		case segment:
			out = append(out, oneOf, manyOf)
		default:
			out = append(out, anyOf)
		}
	}
	return out
}

func (t token) many() bool { return t == manyOf || t == anyOf }

// meets reports whether there is a byte that fits both.
func (t token) meets(u token) bool {
	slash := func(x token) bool { return x == '/' }
	loose := func(x token) bool { return x == oneOf || x == manyOf }
	switch {
	case t == anyOf || u == anyOf:
		return true
	case loose(t):
		return !slash(u)
	case loose(u):
		return !slash(t)
	}
	return t == u
}

// overlap reports whether something fits both patterns.
func overlap(a, b []token) bool {
	reach := make([]bool, len(b)+1) // whether the rest of a, so far from its end, overlaps the rest of b from each place
	for i := len(a); i >= 0; i-- {
		next := reach
		reach = make([]bool, len(b)+1)
		for j := len(b); j >= 0; j-- {
			switch {
			case i == len(a) && j == len(b):
				reach[j] = true
			case i < len(a) && a[i].many() && next[j], j < len(b) && b[j].many() && reach[j+1]: // it is nothing
				reach[j] = true
			case i == len(a) || j == len(b) || !a[i].meets(b[j]):
			case a[i].many():
				reach[j] = reach[j+1]
			case b[j].many():
				reach[j] = next[j]
			default:
				reach[j] = next[j+1]
			}
		}
	}
	return reach[0]
}
