package policy

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
)

// What a deviation differs in, beside fields.
const (
	DiffersPeer     = "peer"
	DiffersPort     = "port"
	DiffersProtocol = "protocol"
)

// Near is the rule that comes nearest to allowing what no rule allows, and what it would take.
type Near struct {
	Rule    int    // index into Set.Rules; -1: no rule that allows anything is for either end
	Differs string // DiffersPeer, DiffersPort, DiffersProtocol, or the name of a field
	Text    string // for people: what is new, and what the rule allows instead
}

// ours
const (
	nearShown   = 4  // of a rule's words that are named
	nearLetters = 80 // bytes of a value that are shown
)

// inNone stands for the groups of who is in none: no group has a name like that.
const inNone = "a workload in no group"

// Words says what an observation is in the terms of rules, its values as patterns: what identifies somebody is not in it. from and to are the groups of its ends.
func (t *Terms) Words(from, to []string, o *Observation) Words {
	groups := func(names []string) []string {
		if len(names) == 0 { // to rules, no name means anybody
			return []string{inNone}
		}
		return names
	}
	w := Words{From: groups(from), To: groups(to), Ports: Port{o.Proto, o.Port, o.Port}, Protocol: AppUnknownName}
	if o.App == AppNone {
		w.Protocol = ""
	}
	if o.App >= 0 && o.App < len(t.protocols) {
		w.Protocol = t.protocols[o.App]
	}
	for i := range o.Words {
		x := &o.Words[i]
		if x.Field < 0 || x.Field >= len(t.fields) || i == maxWords {
			continue
		}
		b, odd := appendPattern(nil, styleOf(t.fields[x.Field]), x.Value)
		if odd { // shown, and like nothing that a rule allows
			b = append([]byte("\""), printable(strings.NewReplacer("*", "?", "{", "(", "}", ")").Replace(string(b)))...)
		}
		w.Where = append(w.Where, Named{t.fields[x.Field], string(b)})
	}
	return w
}

// Nearest says what is new about a message or a conversation that is denied because no rule allows it: a peer, a port, a protocol, a word. It goes through all
// rules, and allocates: it is asked for an event, not for a packet.
func (s *Set) Nearest(w *Words) Near {
	best, least := -1, stranger
	for i := range s.Rules {
		if r := &s.Rules[i]; r.Action == Allow {
			if n := r.distance(w, least); n < least {
				best, least = i, n
			}
		}
	}
	if best < 0 {
		return Near{Rule: -1, Differs: DiffersPeer, Text: "no rule allows anything from or to " + few(union(w.From, w.To))}
	}
	n := Near{Rule: best}
	n.Differs, n.Text = s.Rules[best].differs(w)
	return n
}

// How far a rule is from what is asked: what differs most counts most.
const (
	farWhere    = 1
	farProtocol = 1 << 8
	farPort     = 1 << 10
	farPeer     = 1 << 12
	stranger    = 2 * farPeer // both ends differ
)

// distance is how far r is from w; where it is least or more, it does not matter how far.
func (r *Rule) distance(w *Words, least int) (n int) {
	if coversGroups(r.From, w.From) == none {
		n += farPeer
	}
	if coversGroups(r.To, w.To) == none {
		n += farPeer
	}
	if n < least && coversPorts(r.Ports, w.Ports) == none {
		n += farPort
	}
	if n >= least {
		return n
	}
	if coversProtocol(r.Protocol, w.Protocol) == none {
		return n + farProtocol
	}
	for i := range r.Where {
		switch has, fits := r.Where[i].holds(w); {
		case !has:
			n += 2 * farWhere // another kind of message
		case !fits:
			n += farWhere
		}
	}
	return n
}

// holds reports whether a message has the field of a condition, and whether all of its values fit.
func (c *Condition) holds(w *Words) (has, fits bool) {
	fits = true
	for _, n := range w.Where {
		if n.Field == c.Field {
			has = true
			fits = fits && c.fits1(n.Value)
		}
	}
	return has || slices.Contains(c.Patterns, ""), fits
}

func (c *Condition) fits1(value string) bool {
	return slices.ContainsFunc(c.Patterns, func(p string) bool { return coversPattern(p, value) == all })
}

func (r *Rule) differs(w *Words) (what, text string) {
	switch {
	case coversGroups(r.From, w.From) == none:
		return DiffersPeer, fmt.Sprintf("%s is new to %s: rule %s allows %s", few(w.From), few(w.To), r.ID, few(r.From))
	case coversGroups(r.To, w.To) == none:
		return DiffersPeer, fmt.Sprintf("%s is new to %s: rule %s allows %s", few(w.To), few(w.From), r.ID, few(r.To))
	case coversPorts(r.Ports, w.Ports) == none:
		return DiffersPort, fmt.Sprintf("%s is new: rule %s allows %s", w.Ports, r.ID, few(PortNames(r.Ports)))
	case coversProtocol(r.Protocol, w.Protocol) == none:
		said := w.Protocol
		if said == AppUnknownName {
			said = "what nobody understands"
		}
		return DiffersProtocol, fmt.Sprintf("%s is new: rule %s allows %s", said, r.ID, cmp.Or(r.Protocol, Any))
	}
	for i := range r.Where {
		c := &r.Where[i]
		if has, fits := c.holds(w); !has {
			return c.Field, fmt.Sprintf("a message without %s is new: rule %s allows %s", c.Field, r.ID, few(c.Patterns))
		} else if !fits {
			return c.Field, fmt.Sprintf("%s %s is new: rule %s allows %s", c.Field, c.stranger(w), r.ID, few(c.Patterns))
		}
	}
	return DiffersProtocol, fmt.Sprintf("not all of it was seen that rule %s asks for", r.ID)
}

// stranger is the first value of the field that fits no pattern.
func (c *Condition) stranger(w *Words) string {
	for _, n := range w.Where {
		if n.Field == c.Field && !c.fits1(n.Value) {
			v := strings.TrimPrefix(n.Value, "\"")
			if len(v) > nearLetters {
				v = v[:nearLetters] + "..."
			}
			return printable(v)
		}
	}
	return ""
}

// union returns what stands in either list, once.
func union(a, b []string) []string {
	out := slices.Clone(a)
	for _, s := range b {
		if !slices.Contains(out, s) {
			out = append(out, s)
		}
	}
	return out
}

func few(list []string) string {
	switch {
	case len(list) == 0:
		return "anybody"
	case slices.Contains(list, ""): // of patterns
		list = append(slices.DeleteFunc(slices.Clone(list), func(s string) bool { return s == "" }), "messages without it")
		return few(list)
	case len(list) > nearShown:
		return fmt.Sprintf("%s and %d more", strings.Join(list[:nearShown], ", "), len(list)-nearShown)
	}
	return strings.Join(list, ", ")
}

// AppendWords appends the values that are known of a message to dst; they are borrowed until f is changed.
func (f *Fields) AppendWords(dst []Word) []Word {
	for i := range f.values {
		v := &f.values[i]
		dst = append(dst, Word{int(v.field), f.text[v.at.from:v.at.to]})
	}
	return dst
}
