package policy

import (
	"fmt"
	"slices"
	"strings"
)

func (b *block) portList() (out []Port) {
	if len(b.ports) > portsFold {
		return []Port{{Proto: b.proto, Top: 0xffff}}
	}
	slices.Sort(b.ports)
	for _, port := range b.ports {
		x := Port{Proto: b.proto, Low: port, Top: port}
		if !slices.ContainsFunc(ipProtocols, func(i ipProtocol) bool { return i.proto == b.proto && i.parts != "" }) {
			x.Low, x.Top = 0, 0xffff
		}
		if n := len(out); n > 0 && out[n-1].Top+1 == x.Low && x.Low > 0 && b.proto != icmp && b.proto != icmpv6 {
			out[n-1].Top = x.Top
			continue
		}
		if !slices.Contains(out, x) {
			out = append(out, x)
		}
	}
	return out
}

// rules makes rules of one kind of message: one for each set of verbs of which the same is known. base says the rest.
func (s *shape) rules(base ProposedRule) (out []ProposedRule) {
	conditions, notes := s.conditions()
	var refused []string
	at := map[string]int{} // by conditions
	for _, name := range sortedKeys(s.verbs) {
		v := s.verbs[name]
		if !v.accepted() {
			refused = append(refused, name)
			continue
		}
		r := base
		r.Tally, r.Notes = v.Tally, nil
		for i, o := range v.objects {
			c, more := o.condition(s.objects[i])
			if len(c.Patterns) == 0 {
				r.Where = nil
				notes = append(notes, more...)
				break
			}
			r.Where = append(r.Where, c)
			r.Notes = append(r.Notes, more...)
		}
		if len(r.Where) < len(v.objects) {
			continue
		}
		same := fmt.Sprint(r.Where)
		if i, ok := at[same]; ok && s.verb != "" {
			out[i].Where[0].Patterns = append(out[i].Where[0].Patterns, name)
			out[i].Tally.add(v.Tally)
			continue
		}
		at[same] = len(out)
		if s.verb != "" {
			r.Where = append([]Condition{{s.verb, []string{name}}}, r.Where...)
		}
		r.Where = append(r.Where, conditions...)
		out = append(out, r)
	}
	if len(refused) > 0 {
		notes = append(notes, "left out, always refused: "+some8(refused))
	}
	if s.dropped > 0 {
		notes = append(notes, fmt.Sprintf("left out: %d messages with further values of %s, for which there was no room", s.dropped, s.verb))
	}
	if len(out) > 0 {
		out[0].Notes = append(out[0].Notes, notes...)
	}
	return out
}

// conditions are those of fields that stand apart: each that all messages had, with few values.
func (s *shape) conditions() (out []Condition, notes []string) {
	for _, f := range sortedKeys(s.apart) {
		a := s.apart[f]
		if a.count < s.count || a.dropped > 0 {
			continue
		}
		c, _ := a.condition(f)
		if len(c.Patterns) > apartMost || len(c.Patterns) == 0 || a.style == styleName && slices.ContainsFunc(c.Patterns, isAddress) {
			notes = append(notes, fmt.Sprintf("%s may be anything: %d values were seen", f, len(a.of)))
			continue
		}
		out = append(out, c)
	}
	return out, notes
}

// isAddress reports whether what stands for a name is an address: the names of those who are asked are no matter of a policy then.
func isAddress(s string) bool {
	return strings.Trim(s, "0123456789.:*[]abcdef") == "" && strings.ContainsAny(s, "0123456789:*")
}

// condition makes a condition of what was accepted of a field's values.
func (v *values) condition(field string) (c Condition, notes []string) {
	own := values{style: v.style, of: map[string]*Tally{}, folded: slices.Clone(v.folded)}
	var refused, once []string
	for _, p := range sortedKeys(v.of) {
		t := v.of[p]
		if !t.accepted() {
			refused = append(refused, p)
			continue
		}
		own.of[p] = &Tally{Count: t.Count, Refused: t.Refused, First: t.First, Last: t.Last, Values: t.Values}
	}
	own.fold()
	c.Field = field
	for _, p := range sortedKeys(own.of) {
		t := own.of[p]
		c.Patterns = append(c.Patterns, p)
		switch {
		case t.Values > 0:
			note := fmt.Sprintf("%s stands for %d values", p, t.Values)
			if t.Count < 2*uint64(t.Values) {
				note += ", hardly any of them seen twice: look at them"
			}
			notes = append(notes, note)
		case t.Count == 1:
			once = append(once, p)
		}
	}
	if len(once) > 0 {
		notes = append(notes, "seen once: "+some8(once))
	}
	if len(refused) > 0 {
		notes = append(notes, "left out, always refused: "+some8(refused))
	}
	if v.dropped > 0 {
		notes = append(notes, fmt.Sprintf("left out: %d values of %s for which there was no room", v.dropped, field))
	}
	return c, notes
}

// some8 names some of a list.
func some8(list []string) string {
	if len(list) <= namedMost {
		return strings.Join(list, ", ")
	}
	return fmt.Sprintf("%s and %d more", strings.Join(list[:namedMost], ", "), len(list)-namedMost)
}
