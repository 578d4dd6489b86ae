// Package translate makes rules of Weir of other programs' rule files. What cannot be said in a rule of Weir is left out whole, and named with its line
// and the reason: a rule that finds something else than it did would be worse than none. Likewise it writes a policy as other programs have it,
// and reads theirs.
package translate

import (
	"bytes"
	"fmt"
	"regexp/syntax"
	"slices"
	"strconv"
	"strings"

	"weir/rules"
)

// Result is a translated file.
type Result struct {
	TOML  []byte
	Rules int    // that were translated
	Left  []Left // that were not
}

// Left is a rule that could not be translated.
type Left struct {
	Line int
	Rule string // as the file calls it
	Why  string
}

// String says it in a line, without the file's name.
func (l Left) String() string { return fmt.Sprintf("%d: %s: %s", l.Line, l.Rule, l.Why) }

// Formats are the names of what can be read, in the order of Read's cases.
var Formats = []string{"gitleaks", "neuvector", "suricata"}

// Read translates the text of a file. An error says, with its line where that is known, that the text is not of the format at all.
func Read(format, file string, text []byte) (*Result, error) {
	switch format {
	case "gitleaks":
		return gitleaks(file, text)
	case "neuvector":
		return neuvector(file, text)
	case "suricata":
		return suricata(file, text)
	}
	return nil, fmt.Errorf("%q is none of %s", format, strings.Join(Formats, ", "))
}

// gitleaks is read by Weir as it is: it is only checked.
func gitleaks(file string, text []byte) (*Result, error) {
	set, problems := rules.Parse(file, text)
	if err := problems.Err(); err != nil {
		return nil, err
	}
	out := &Result{Rules: len(set.Rules)}
	for _, p := range problems {
		out.Left = append(out.Left, Left{p.Line, "warning", p.What})
	}
	var w writer
	w.head(file, "gitleaks", out.Left)
	out.TOML = append(w.Bytes(), text...)
	return out, nil
}

// rule is one [[rules]] table.
type rule struct {
	id, description, regex string
	fields, tags           []string
	direction, severity    string
	engine, category       string
	sid, rev               int
	required               []string
	hidden                 bool // skipReport
	notes                  []string
}

// writer writes TOML.
type writer struct{ bytes.Buffer }

func (w *writer) head(file, format string, left []Left) {
	fmt.Fprintf(w, "# Translated from %s, a file of %s.\n", oneLine(file), format)
	for _, l := range left {
		fmt.Fprintf(w, "# not translated: line %s\n", oneLine(l.String()))
	}
	w.WriteString("\n")
}

func (w *writer) rule(r *rule) {
	for _, n := range r.notes {
		fmt.Fprintf(w, "# %s\n", oneLine(n))
	}
	w.WriteString("[[rules]]\n")
	w.text("id", r.id)
	w.text("description", r.description)
	w.text("regex", r.regex)
	w.list("fields", r.fields)
	w.text("direction", r.direction)
	w.text("engine", r.engine)
	w.text("category", r.category)
	w.text("severity", r.severity)
	w.list("tags", r.tags)
	w.number("sid", r.sid)
	w.number("rev", r.rev)
	if r.hidden {
		w.WriteString("skipReport = true\n")
	}
	for _, id := range r.required {
		w.WriteString("[[rules.required]]\n")
		w.text("id", id)
	}
	w.WriteString("\n")
}

func (w *writer) text(key, v string) {
	if v != "" {
		fmt.Fprintf(w, "%s = %s\n", key, quote(v))
	}
}

func (w *writer) number(key string, n int) {
	if n > 0 {
		fmt.Fprintf(w, "%s = %d\n", key, n)
	}
}

func (w *writer) list(key string, list []string) {
	if len(list) == 0 {
		return
	}
	quoted := make([]string, len(list))
	for i, v := range list {
		quoted[i] = quote(v)
	}
	fmt.Fprintf(w, "%s = [%s]\n", key, strings.Join(quoted, ", "))
}

// quote writes a TOML string: as it is where that can be, as expressions are read best so.
func quote(v string) string {
	plain := !strings.ContainsFunc(v, func(r rune) bool { return r < ' ' || r == 0x7f || r == '\uFFFD' })
	switch {
	case plain && !strings.Contains(v, "'") && strings.ContainsAny(v, `\"`):
		return "'" + v + "'"
	case plain && !strings.Contains(v, "'''") && !strings.HasSuffix(v, "'") && !strings.HasPrefix(v, "'") && strings.ContainsAny(v, `\"`):
		return "'''" + v + "'''"
	}
	var b strings.Builder
	b.WriteByte('"')
	for _, r := range v {
		switch {
		case r == '"' || r == '\\':
			b.WriteString(`\` + string(r))
		case r < ' ' || r == 0x7f:
			fmt.Fprintf(&b, `\u%04X`, r)
		default:
			b.WriteRune(r)
		}
	}
	b.WriteByte('"')
	return b.String()
}

func oneLine(s string) string {
	return strings.Map(func(r rune) rune {
		if r < ' ' || r == 0x7f {
			return ' '
		}
		return r
	}, s)
}

// slug makes an id of a name.
func slug(s string) string {
	s = strings.Map(func(r rune) rune {
		switch {
		case r >= 'a' && r <= 'z', r >= '0' && r <= '9', r == '.', r == '-', r == '_':
			return r
		case r >= 'A' && r <= 'Z':
			return r | 0x20
		}
		return '-'
	}, s)
	return strings.Trim(s[:min(len(s), 80)], "-.")
}

// unique returns id, with a number behind it if it is taken, and takes it.
func unique(id string, taken map[string]bool) string {
	out := id
	for n := 2; taken[out]; n++ {
		out = id + "-" + strconv.Itoa(n)
	}
	taken[out] = true
	return out
}

// unfit says why an expression is none of Weir's; "" if it is one.
func unfit(re string) string {
	tree, err := syntax.Parse(re, syntax.Perl)
	if err != nil {
		for _, part := range []string{"(?=", "(?!", "(?<=", "(?<!"} {
			if strings.Contains(re, part) {
				return "its expression looks around (" + part + "...), which RE2 does not do"
			}
		}
		return "its expression is none of RE2: " + oneLine(err.Error())
	}
	if empty(tree) {
		return "its expression matches the empty string"
	}
	return ""
}

// empty reports whether an expression matches without using up a byte.
func empty(re *syntax.Regexp) bool {
	switch re.Op {
	case syntax.OpNoMatch, syntax.OpCharClass, syntax.OpAnyChar, syntax.OpAnyCharNotNL:
		return false
	case syntax.OpLiteral:
		return len(re.Rune) == 0
	case syntax.OpCapture, syntax.OpPlus:
		return empty(re.Sub[0])
	case syntax.OpRepeat:
		return re.Min == 0 || empty(re.Sub[0])
	case syntax.OpConcat:
		return !slices.ContainsFunc(re.Sub, func(s *syntax.Regexp) bool { return !empty(s) })
	case syntax.OpAlternate:
		return slices.ContainsFunc(re.Sub, empty)
	}
	return true
}
