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

// lacks returns the fields that messages of a verb have elsewhere, or may have, but those of s have not.
func (e *edge) lacks(s *shape, verb string) (out []string) {
	note := func(field string) {
		if !slices.Contains(s.objects, field) && !slices.Contains(out, field) && vocabulary[field].role == object {
			out = append(out, field)
		}
	}
	for _, name := range sortedKeys(e.shapes) {
		if o := e.shapes[name]; o.verb == s.verb && o.verbs[verb] != nil {
			for _, f := range o.objects {
				note(f)
			}
		}
	}
	first := s.verb
	if first == "" && len(s.objects) > 0 {
		first = s.objects[0]
	}
	for _, f := range optional {
		if protocolOf(f) == protocolOf(first) && (s.verb != "" || vocabulary[f].style != styleTable) {
			note(f)
		}
	}
	slices.Sort(out)
	return out
}

// protocolOf returns what stands in front of a field's first dot.
func protocolOf(field string) string {
	p, _, _ := strings.Cut(field, ".")
	return p
}

// rules makes rules of one kind of message: one for each set of verbs of which the same is known. base says the rest.
func (e *edge) rules(s *shape, base ProposedRule) (out []ProposedRule) {
	conditions, notes := s.conditions()
	var refused []string
	for _, name := range sortedKeys(s.verbs) {
		if !s.verbs[name].accepted() {
			refused = append(refused, name)
		}
	}
	scan := s.scanned()
	at := map[string]int{} // by conditions
	for _, name := range sortedKeys(s.verbs) {
		v := s.verbs[name]
		if !v.accepted() && scan {
			continue
		}
		r := base
		r.Tally, r.Notes = v.Tally, nil
		lacks := e.lacks(s, name)
		known := 0
		for i, o := range v.objects {
			if len(lacks) > 0 && vocabulary[s.objects[i]].role == noRole { // what it lacks tells more
				known++
				continue
			}
			c, more := o.condition(s.objects[i], scan)
			if len(c.Patterns) == 0 {
				r.Where = nil
				notes = append(notes, more...)
				break
			}
			known++
			r.Where = append(r.Where, c)
			r.Notes = append(r.Notes, more...)
		}
		if known < len(v.objects) {
			continue
		}
		for _, f := range lacks {
			r.Where = append(r.Where, Condition{f, []string{""}})
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
	for i := range out { // a comment stands at the rule that has the verb
		r := &out[i]
		if s.verb == "" || scan {
			break
		}
		if mine := slices.DeleteFunc(slices.Clone(r.Where[0].Patterns), func(v string) bool { return !slices.Contains(refused, v) }); len(mine) > 0 {
			r.Notes = append(r.Notes, refusedNote(mine, false))
		}
	}
	if len(refused) > 0 && (s.verb == "" || scan) {
		notes = append(notes, refusedNote(refused, scan))
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
		c, _ := a.condition(f, false)
		if len(c.Patterns) > apartMost || len(c.Patterns) == 0 || a.style == styleName && slices.ContainsFunc(c.Patterns, isAddress) {
			seen := plural(len(a.of), "value")
			if len(c.Patterns) <= apartMost && len(c.Patterns) > 0 {
				seen = "addresses"
			}
			notes = append(notes, fmt.Sprintf("%s may be anything: %s seen", f, seen))
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

// scanned reports whether so much was always refused, over all verbs, that it is no habit of somebody's.
func (s *shape) scanned() bool {
	n := 0
	for _, v := range s.verbs {
		most := 0
		for _, o := range v.objects {
			refused := 0
			for _, t := range o.of {
				if !t.accepted() {
					refused++
				}
			}
			most = max(most, refused)
		}
		if !v.accepted() {
			most = max(most, 1)
		}
		n += most
	}
	return n > refusedMost
}

// condition makes a condition of what was accepted of a field's values, and of what was always refused unless that is a scan.
func (v *values) condition(field string, scan bool) (c Condition, notes []string) {
	own := values{style: v.style, of: map[string]*Tally{}, folded: slices.Clone(v.folded)}
	var refused, once []string
	for _, p := range sortedKeys(v.of) {
		if !v.of[p].accepted() {
			refused = append(refused, p)
		}
	}
	scan = scan || len(refused) > refusedMost
	for _, p := range sortedKeys(v.of) {
		t := v.of[p]
		if !t.accepted() && scan {
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
		case t.Count == 1 && t.accepted():
			once = append(once, p)
		}
	}
	if len(once) > 0 {
		notes = append(notes, "seen once: "+some8(once))
	}
	if len(refused) > 0 {
		notes = append(notes, refusedNote(refused, scan))
	}
	if v.dropped > 0 {
		notes = append(notes, fmt.Sprintf("left out: %d values of %s for which there was no room", v.dropped, field))
	}
	return c, notes
}

// refusedNote says what becomes of what was always refused: a few things are a habit of somebody's, whom nobody wants to cut off for them; more are a scan.
func refusedNote(refused []string, scan bool) string {
	if scan {
		return "left out, always refused: " + some8(refused)
	}
	return "always refused so far: " + some8(refused)
}

// some8 names some of a list.
func some8(list []string) string {
	if len(list) <= namedMost {
		return strings.Join(list, ", ")
	}
	return fmt.Sprintf("%s and %d more", strings.Join(list[:namedMost], ", "), len(list)-namedMost)
}
