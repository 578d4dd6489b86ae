package engine

import (
	"net/netip"
	"slices"

	"weir/rules"
	"weir/wire"
	"weir/workload"
)

// party is one end of a flow.
type party struct {
	at  netip.Addr
	who *workload.Workload // nil: not known
}

// ends returns who sends and who gets what goes in a direction of the present flow.
func (l *Lane) ends(dir wire.Dir) (from, to party) {
	k := &l.fl.Key
	a, b := party{at: k.AddrA()}, party{at: k.AddrB()}
	a.who, _ = l.who(l.fl, k.A, l.fl.AInitiates)
	b.who, _ = l.who(l.fl, k.B, !l.fl.AInitiates)
	if l.fl.AInitiates == (dir == wire.ToServer) {
		return a, b
	}
	return b, a
}

// between reports whether what goes in a direction of the present flow is sent by, and for, those whom a rule names.
func (l *Lane) between(r *rules.Rule, dir wire.Dir) bool {
	from, to := l.ends(dir)
	return from.isOne(r.From) && to.isOne(r.To)
}

// isOne reports whether one of the lines holds; without any, all ends will do.
func (e *party) isOne(list []rules.Ends) bool {
	return len(list) == 0 || slices.ContainsFunc(list, func(line rules.Ends) bool {
		return !slices.ContainsFunc(line.All, func(c rules.End) bool { return !e.is(&c) })
	})
}

// is reports whether a condition holds. What is asked of a workload does not hold where none is known, nor does its opposite.
func (e *party) is(c *rules.End) bool {
	switch c.Key {
	case "external":
		return e.external() != c.Not
	case "address":
		return c.Prefix.Contains(e.at.Unmap()) != c.Not
	}
	w := e.who
	if w == nil {
		return false
	}
	holds := false
	switch c.Key {
	case "name":
		holds = wild(c.Pattern, w.Name)
	case "pod":
		holds = w.Pod != "" && (wild(c.Pattern, w.Pod) || wild(c.Pattern, w.Namespace+"/"+w.Pod))
	case "namespace":
		holds = w.Namespace != "" && wild(c.Pattern, w.Namespace)
	case "image":
		holds = wild(c.Pattern, w.Image)
	case "label":
		v, ok := w.Labels[c.Label]
		holds = ok && wild(c.Pattern, v)
	}
	return holds != c.Not
}

// external reports whether an end is beyond private networks and no workload of this host.
func (e *party) external() bool {
	a := e.at.Unmap()
	return e.who == nil && a.IsGlobalUnicast() && !a.IsPrivate() && !shared.Contains(a)
}

// shared is the address space behind carriers' translators (RFC 6598).
var shared = netip.MustParsePrefix("100.64.0.0/10")

// wild reports whether s fits a pattern in which '*' stands for anything.
func wild(pattern, s string) bool {
	star, again := -1, 0 // behind the last '*', and how far it has reached
	p, i := 0, 0
	for i < len(s) {
		switch {
		case p < len(pattern) && pattern[p] == '*':
			p++
			star, again = p, i
		case p < len(pattern) && pattern[p] == s[i]:
			p++
			i++
		case star >= 0:
			again++
			p, i = star, again
		default:
			return false
		}
	}
	for p < len(pattern) && pattern[p] == '*' {
		p++
	}
	return p == len(pattern)
}
