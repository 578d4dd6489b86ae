package policy

import (
	"fmt"
	"slices"
)

// AppendTOML appends the set as one policy file, which reads as the same set. Comments of the files it came from are not in it.
func (s *Set) AppendTOML(b []byte) []byte {
	t := &text{b: b}
	for i := range s.Groups {
		g := &s.Groups[i]
		t.line("[[groups]]")
		t.value("name", g.Name)
		lines := make([]string, len(g.Match))
		for j := range g.Match {
			lines[j] = g.Match[j].Text
		}
		t.list("match", lines)
		if g.Comment != "" {
			t.value("comment", g.Comment)
		}
		t.line("")
	}
	for i := range s.Rules {
		t.rule(&s.Rules[i])
		t.line("")
	}
	table(t, "modes", s.Modes, Modes)
	table(t, "failure", s.Failure, Failures)
	return t.b
}

// AppendRule appends a rule as a table of a policy file.
func AppendRule(b []byte, r *Rule) []byte {
	t := &text{b: b}
	t.rule(r)
	return t.b
}

// table writes [modes] or [failure]: the default first.
func table[T ~uint8](t *text, title string, of map[string]T, names []string) {
	if len(of) == 0 {
		return
	}
	keys := sortedKeys(of)
	if i := slices.Index(keys, Default); i > 0 {
		keys = slices.Insert(slices.Delete(keys, i, i+1), 0, Default)
	}
	t.line("[" + title + "]")
	for _, k := range keys {
		t.line(quote(k) + " = " + quote(name(names, int(of[k]))))
	}
	t.line("")
}

// rest writes what a rule that was learned has not.
func (t *text) rest(r *Rule) {
	if d := r.Undecided; d != DefaultDeadline && d != (Deadline{}) {
		t.line(fmt.Sprintf("undecided = { bytes = %d, seconds = %d, action = %s }", d.Bytes, d.Seconds, quote(d.Action.String())))
	}
	for _, kv := range [][2]string{{"comment", r.Comment}, {"owner", r.Owner}, {"expires", r.Expires}} {
		if kv[1] != "" {
			t.value(kv[0], kv[1])
		}
	}
}
