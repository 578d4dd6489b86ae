package policy

import (
	"bytes"
	"fmt"
	"slices"
	"strings"
	"time"
)

// AppendTOML appends the proposal as a policy file, with notes for people: what it was made from, and what to look at.
func (p *Proposal) AppendTOML(b []byte) []byte {
	t := &text{b: b}
	t.comment("Proposed by weir from what was seen from %s to %s: %s, %s.", day(p.First), day(p.Last), plural(len(p.Groups), "new group"), plural(len(p.Rules), "rule"))
	for _, n := range p.Notes {
		t.comment("%s", n)
	}
	for i := range p.Groups {
		g := &p.Groups[i]
		t.line("")
		t.line("[[groups]]")
		t.value("name", g.Name)
		var lines []string
		for _, m := range g.Match {
			lines = append(lines, m.Text)
		}
		t.list("match", lines)
		seen := some8(g.Members)
		if g.More {
			seen += " and others"
		}
		t.tail("seen: %s", seen)
	}
	for i := range p.Rules {
		r := &p.Rules[i]
		t.line("")
		t.comment("%s, first %s, last %s", times(r.Count, r.Refused), day(r.First), day(r.Last))
		for _, n := range r.Notes {
			t.comment("%s", n)
		}
		t.rule(&r.Rule)
	}
	return t.b
}

// times says how often something was seen.
func times(n, refused uint64) string {
	s := fmt.Sprintf("seen %d times", n)
	if n == 1 {
		s = "seen once"
	}
	if refused > 0 {
		s += fmt.Sprintf(", %d of them refused", refused)
	}
	return s
}

func plural(n int, what string) string {
	if n == 1 {
		return "1 " + what
	}
	return fmt.Sprintf("%d %ss", n, what)
}

func day(ns int64) string {
	if ns == 0 {
		return "never"
	}
	return time.Unix(0, ns).UTC().Format("2006-01-02 15:04:05Z")
}

// text writes TOML.
type text struct{ b []byte }

func (t *text) line(s string) { t.b = append(append(t.b, s...), '\n') }

// comment writes lines of a comment; nothing in it ends it.
func (t *text) comment(format string, args ...any) {
	t.line("# " + printable(fmt.Sprintf(format, args...)))
}

// tail writes a comment behind the last line.
func (t *text) tail(format string, args ...any) {
	t.b = append(bytes.TrimSuffix(t.b, []byte("\n")), "    "...)
	t.comment(format, args...)
}

// printable keeps on one line what came from the wire.
func printable(s string) string {
	return strings.Map(func(r rune) rune {
		if r < ' ' || r == 0x7f || r == 0xfffd {
			return '.'
		}
		return r
	}, strings.ToValidUTF8(s, "."))
}

func (t *text) value(key, v string) { t.line(key + " = " + quote(v)) }

func (t *text) list(key string, list []string) {
	t.line(key + " = " + array(list))
}

const wideArray = 100 // columns; longer arrays have a line for each value

func array(list []string) string {
	quoted := make([]string, len(list))
	n := 0
	for i := range list {
		quoted[i] = quote(list[i])
		n += len(quoted[i]) + 2
	}
	if n > wideArray {
		return "[\n    " + strings.Join(quoted, ",\n    ") + ",\n]"
	}
	return "[" + strings.Join(quoted, ", ") + "]"
}

// quote writes a string of TOML: as it is where that is possible.
func quote(s string) string {
	var b strings.Builder
	b.WriteByte('"')
	for _, r := range strings.ToValidUTF8(s, "\ufffd") {
		switch {
		case r == '"' || r == '\\':
			b.WriteByte('\\')
			b.WriteRune(r)
		case r < ' ' || r == 0x7f:
			fmt.Fprintf(&b, "\\u%04X", r)
		default:
			b.WriteRune(r)
		}
	}
	b.WriteByte('"')
	return b.String()
}

// rule writes a [[policy]] table.
func (t *text) rule(r *Rule) {
	t.line("[[policy]]")
	t.value("id", r.ID)
	if len(r.From) > 0 {
		t.list("from", r.From)
	}
	if len(r.To) > 0 {
		t.list("to", r.To)
	}
	if len(r.Ports) > 0 {
		t.list("ports", PortNames(r.Ports))
	}
	if r.Protocol != "" {
		t.value("protocol", r.Protocol)
	}
	var inline []string
	n := 0
	for _, c := range r.Where {
		inline = append(inline, quote(c.Field)+" = "+array(c.Patterns))
		n += len(inline[len(inline)-1])
	}
	if short := n <= wideArray; short && n > 0 {
		t.line("where = { " + strings.Join(inline, ", ") + " }")
	}
	t.value("action", r.Action.String())
	t.rest(r)
	if n > wideArray {
		t.line("[policy.where]")
		for _, line := range inline {
			t.line(line)
		}
	}
}

// String says what w is, in a line: "shop-cart -> shop-db tcp/5432 postgresql SELECT orders".
func (w *Words) String() string {
	out := []string{ends(w.From), "->", ends(w.To)}
	if w.Ports != (Port{}) {
		out = append(out, w.Ports.String())
	}
	if w.Protocol != "" {
		out = append(out, w.Protocol)
	}
	for _, role := range []role{verb, object, apart, noRole} {
		for _, n := range w.Where {
			if vocabulary[n.Field].role != role {
				continue
			}
			if role == verb || role == object {
				out = append(out, n.Value)
			} else {
				out = append(out, n.Field+"="+n.Value)
			}
		}
	}
	return printable(strings.Join(out, " "))
}

func ends(groups []string) string {
	if len(groups) == 0 {
		return "anybody"
	}
	groups = slices.Clone(groups)
	slices.Sort(groups)
	return strings.Join(groups, ",")
}
