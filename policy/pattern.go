package policy

import (
	"fmt"
	"strings"
)

// pattern is one pattern of a condition: '*' is anything, {name} one or more bytes but '/'.
type pattern struct {
	parts []part
}

// part is a text, or what a wildcard stands for.
type part struct {
	text string // "" for a wildcard
	kind wildcard
}

type wildcard uint8

const (
	literal  wildcard = iota
	segment           // {x}
	anything          // *
)

// checkPattern says what is wrong with a pattern.
func checkPattern(p string) string {
	switch {
	case len(p) > maxPattern:
		return fmt.Sprintf("the pattern has %d bytes, more than %d", len(p), maxPattern)
	case strings.Count(p, "*")+strings.Count(p, "{") > maxWild:
		return fmt.Sprintf("the pattern has more than %d wildcards", maxWild)
	}
	for i := 0; i < len(p); i++ {
		switch p[i] {
		case '}':
			return "the pattern has a } without {"
		case '{':
			n := strings.IndexAny(p[i+1:], "{}/*")
			if n < 0 || p[i+1+n] != '}' {
				return "the pattern has a { that is not closed"
			}
			i += n + 1
		}
	}
	return ""
}

const maxWild = 32 // wildcards of a pattern, ours: what they may stand for multiplies

// newPattern takes apart a pattern that checkPattern finds right.
func newPattern(p string) (out pattern) {
	for p != "" {
		switch p[0] {
		case '*':
			if n := len(out.parts); n == 0 || out.parts[n-1].kind != anything {
				out.parts = append(out.parts, part{kind: anything})
			}
			p = p[1:]
		case '{':
			out.parts = append(out.parts, part{kind: segment})
			p = p[strings.IndexByte(p, '}')+1:]
		default:
			n := strings.IndexAny(p, "*{")
			if n < 0 {
				n = len(p)
			}
			out.parts = append(out.parts, part{text: p[:n]})
			p = p[n:]
		}
	}
	return out
}

// fits reports whether all of s is what the pattern says.
func (p *pattern) fits(s []byte) bool { return fitsParts(p.parts, s) }

func fitsParts(parts []part, s []byte) bool {
	for i := range parts {
		switch parts[i].kind {
		case literal:
			t := parts[i].text
			if len(s) < len(t) || string(s[:len(t)]) != t {
				return false
			}
			s = s[len(t):]
		default:
			if i == len(parts)-1 && parts[i].kind == anything {
				return true
			}
			for n := 0; n <= len(s); n++ {
				if parts[i].kind == segment && n > 0 && s[n-1] == '/' {
					return false
				}
				if (n > 0 || parts[i].kind == anything) && fitsParts(parts[i+1:], s[n:]) {
					return true
				}
			}
			return false
		}
	}
	return len(s) == 0
}
