package translate

import (
	"fmt"
	"strconv"
	"strings"
)

// option is one option of a rule: its keyword and what stands behind the colon.
type option struct{ key, value string }

// suricata reads rules line by line; one that ends in a backslash goes on in the next.
func suricata(file string, text []byte) (*Result, error) {
	out := &Result{}
	var body writer
	taken := map[string]bool{}
	seen, line, begun := 0, 0, 0
	held := ""
	for raw := range strings.Lines(string(text)) {
		line++
		l := strings.TrimSpace(raw)
		if held == "" {
			begun = line
		}
		if l = held + l; strings.HasSuffix(l, `\`) {
			held = strings.TrimSuffix(l, `\`)
			continue
		}
		held = ""
		if l == "" || l[0] == '#' {
			continue
		}
		seen++
		s := signature{line: begun}
		if why := s.read(l); why != "" {
			out.Left = append(out.Left, Left{begun, s.name(), why})
			continue
		}
		parts := s.parts()
		for i := range parts {
			if why := unfit(parts[i].regex); why != "" {
				out.Left = append(out.Left, Left{begun, s.name(), why})
				parts = nil
				break
			}
		}
		if len(parts) == 0 {
			continue
		}
		writeParts(&body, unique("suricata."+strconv.Itoa(s.sid), taken), parts, taken)
		out.Rules++
	}
	if seen > 0 && out.Rules == 0 && len(out.Left) == seen && !strings.Contains(string(text), "sid:") {
		return nil, fmt.Errorf("%s:1: these are no rules of Suricata", file)
	}
	var w writer
	w.head(file, "Suricata", out.Left)
	out.TOML = append(w.Bytes(), body.Bytes()...)
	return out, nil
}

// cut takes a rule apart: action, protocol, addresses, and its options.
func cut(l string) (head []string, options []option, why string) {
	front, rest, ok := strings.Cut(l, "(")
	rest, closed := strings.CutSuffix(strings.TrimSpace(rest), ")")
	head = strings.Fields(front)
	if !ok || !closed || len(head) != 7 {
		return nil, nil, "this is no rule: ACTION PROTOCOL ADDRESS PORT -> ADDRESS PORT (OPTIONS)"
	}
	var b strings.Builder
	quoted := false
	add := func() {
		key, value, _ := strings.Cut(strings.TrimSpace(b.String()), ":")
		if key != "" {
			options = append(options, option{strings.TrimSpace(key), strings.TrimSpace(value)})
		}
		b.Reset()
	}
	for i := 0; i < len(rest); i++ {
		switch c := rest[i]; {
		case c == '\\' && i+1 < len(rest):
			b.WriteString(rest[i : i+2])
			i++
		case c == '"':
			quoted = !quoted
			b.WriteByte(c)
		case c == ';' && !quoted:
			add()
		default:
			b.WriteByte(c)
		}
	}
	add()
	if quoted {
		return nil, nil, "a quote is not closed"
	}
	return head, options, ""
}

// unquote takes the quotes off, and says whether the value is negated.
func unquote(v string) (text string, not bool) {
	v, not = strings.CutPrefix(v, "!")
	v = strings.TrimSpace(v)
	return strings.TrimSuffix(strings.TrimPrefix(v, `"`), `"`), not
}

// literal makes an expression of a content: text, and bytes in hex between bars.
func literal(text string) (re string, n int, why string) {
	var b strings.Builder
	put := func(c byte) {
		n++
		switch {
		case c >= 0x80:
			why = "a content has bytes beyond ASCII, which expressions do not match one by one"
		case c < ' ' || c == 0x7f:
			fmt.Fprintf(&b, `\x%02x`, c)
		case strings.IndexByte(`\.+*?()|[]{}^$`, c) >= 0:
			b.WriteString(`\` + string(rune(c)))
		default:
			b.WriteByte(c)
		}
	}
	for i := 0; i < len(text); i++ {
		switch c := text[i]; {
		case c == '\\' && i+1 < len(text):
			i++
			put(text[i])
		case c == '|':
			end := strings.IndexByte(text[i+1:], '|')
			if end < 0 {
				return "", 0, "a content has a bar that is not closed"
			}
			for _, h := range strings.Fields(text[i+1 : i+1+end]) {
				for ; len(h) >= 2; h = h[2:] {
					v, err := strconv.ParseUint(h[:2], 16, 8)
					if err != nil {
						return "", 0, "a content has bytes that are not hexadecimal"
					}
					put(byte(v))
				}
				if h != "" {
					return "", 0, "a content has bytes that are not hexadecimal"
				}
			}
			i += end + 1
		default:
			put(c)
		}
	}
	if n == 0 {
		why = "a content is empty"
	}
	return b.String(), n, why
}
