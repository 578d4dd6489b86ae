package policy

import (
	"bytes"
	"fmt"
	"strings"
)

// pattern is one pattern of a condition: '*' is anything, {name} one or more bytes but '/'.
type pattern struct {
	parts  []part
	head   [8]byte // of the text with which all that fits begins: most values differ there, and the parts are never touched
	heads  uint8   // bytes of it
	mixed  bool    // a segment stands somewhere behind a '*'
	single bool    // there is a segment
}

// part is a text, or what a wildcard stands for.
type part struct {
	text []byte // of a literal
	kind wildcard
}

type wildcard uint8

const (
	literal  wildcard = iota
	segment           // {x}
	anything          // *
)

const (
	maxWild       = 32   // wildcards of a pattern, ours: what they may stand for multiplies
	maxInSegments = 4096 // bytes of a value that a pattern with {x} is compared with, ours
)

// checkPattern says what is wrong with a pattern.
func checkPattern(p string) string {
	switch {
	case len(p) > maxPattern:
		return fmt.Sprintf("the pattern has %d bytes, more than %d", len(p), maxPattern)
	case wildcards([]byte(p)) > maxWild:
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

// newPattern takes apart a pattern that checkPattern finds right.
func newPattern(p string) (out pattern) {
	star := false
	for p != "" {
		switch p[0] {
		case '*':
			if n := len(out.parts); n == 0 || out.parts[n-1].kind != anything {
				out.parts = append(out.parts, part{kind: anything})
			}
			star = true
			p = p[1:]
		case '{':
			out.parts = append(out.parts, part{kind: segment})
			out.single, out.mixed = true, out.mixed || star
			p = p[strings.IndexByte(p, '}')+1:]
		default:
			n := strings.IndexAny(p, "*{")
			if n < 0 {
				n = len(p)
			}
			out.parts = append(out.parts, part{text: []byte(p[:n])})
			p = p[n:]
		}
	}
	out.heads = uint8(copy(out.head[:], out.fixed()))
	return out
}

// any reports whether every value fits.
func (p *pattern) any() bool { return len(p.parts) == 1 && p.parts[0].kind == anything }

// exact reports whether one value fits only, and which.
func (p *pattern) exact() ([]byte, bool) {
	switch {
	case len(p.parts) == 0:
		return nil, true
	case len(p.parts) == 1 && p.parts[0].kind == literal:
		return p.parts[0].text, true
	}
	return nil, false
}

// fixed is the text with which all that fits begins.
func (p *pattern) fixed() []byte {
	if len(p.parts) > 0 && p.parts[0].kind == literal {
		return p.parts[0].text
	}
	return nil
}

// fits reports whether all of s is what the pattern says.
func (p *pattern) fits(s []byte) bool { return p.mayFit(s, false) }

// mayFit is fits, but of a value that is too long to be compared it says inDoubt.
func (p *pattern) mayFit(s []byte, inDoubt bool) bool {
	switch {
	case !bytes.HasPrefix(s, p.head[:p.heads]):
		return false
	case !p.single:
		return fitsStars(p.parts, s)
	case len(s) > maxInSegments:
		return inDoubt && bytes.HasPrefix(s, p.fixed())
	case p.mixed:
		return fitsMixed(p.parts, s)
	}
	return fitsSegments(p.parts, s)
}

// fitsStars is for patterns of texts and '*'. The earliest place of each text leaves most for the next.
func fitsStars(parts []part, s []byte) bool {
	for i := range parts {
		if parts[i].kind == anything {
			continue
		}
		t := parts[i].text
		free := i > 0 // a '*' stands before it
		switch last := i == len(parts)-1; {
		case !free && last:
			return bytes.Equal(s, t)
		case !free:
			if !bytes.HasPrefix(s, t) {
				return false
			}
			s = s[len(t):]
		case last:
			return bytes.HasSuffix(s, t)
		default:
			n := bytes.Index(s, t)
			if n < 0 {
				return false
			}
			s = s[n+len(t):]
		}
	}
	return len(s) == 0 || len(parts) > 0 && parts[len(parts)-1].kind == anything
}

// fitsSegments is for patterns in which no segment stands behind a '*'. Only the last segment ever needs another length: an earlier one ends
// before the same '/'.
func fitsSegments(parts []part, s []byte) bool {
	again, from := -1, 0 // the part behind the last segment, and where in s it began
	i, at := 0, 0
	for {
		ok := true
		switch {
		case i == len(parts):
			ok = at == len(s)
			if ok {
				return true
			}
		case parts[i].kind == anything:
			if fitsStars(parts[i:], s[at:]) {
				return true
			}
			ok = false
		case parts[i].kind == segment:
			if ok = at < len(s) && s[at] != '/'; ok {
				at++
				again, from = i+1, at
			}
		default:
			if ok = bytes.HasPrefix(s[at:], parts[i].text); ok {
				at += len(parts[i].text)
			}
		}
		if ok {
			i++
			continue
		}
		if again < 0 || from >= len(s) || s[from] == '/' {
			return false
		}
		from++
		i, at = again, from
	}
}

// fitsMixed is for any pattern: it keeps, part by part, all places in s that can be reached.
func fitsMixed(parts []part, s []byte) bool {
	const words = maxInSegments/64 + 1
	var now, next [words]uint64
	n := len(s)/64 + 1
	now[0] = 1
	for i := range parts {
		clear(next[:n])
		open := false // a wildcard may still go on here
		t := parts[i].text
		for at := 0; at <= len(s); at++ {
			here := now[at/64]>>(at%64)&1 != 0
			switch parts[i].kind {
			case literal:
				if here && bytes.HasPrefix(s[at:], t) {
					next[(at+len(t))/64] |= 1 << ((at + len(t)) % 64)
				}
			case anything:
				if open = open || here; open {
					next[at/64] |= 1 << (at % 64)
				}
			case segment:
				if at > 0 && s[at-1] == '/' {
					open = false
				}
				if open {
					next[at/64] |= 1 << (at % 64)
				}
				open = open || here
			}
		}
		now, next = next, now
	}
	return now[len(s)/64]>>(len(s)%64)&1 != 0
}
