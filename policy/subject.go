package policy

import (
	"net/netip"
	"slices"
	"strings"

	"weir/rules"
)

// IsOne reports whether one of the lines holds for s.
func (s *Subject) IsOne(lines []rules.Ends) bool {
	return slices.ContainsFunc(lines, func(line rules.Ends) bool {
		return !slices.ContainsFunc(line.All, func(c rules.End) bool { return !s.is(&c) })
	})
}

// is reports whether a condition holds. What is asked of a workload does not hold where none is known, nor does its opposite.
func (s *Subject) is(c *rules.End) bool {
	switch c.Key {
	case "external":
		return s.External() != c.Not
	case "address":
		return s.Addr.IsValid() && c.Prefix.Contains(s.Addr.Unmap()) != c.Not
	case "dns":
		return s.Addr.IsValid() && slices.ContainsFunc(s.Names, func(n string) bool {
			return fits(c, strings.TrimSuffix(strings.ToLower(n), "."))
		}) != c.Not
	}
	if !s.Workload {
		return false
	}
	holds := false
	switch c.Key {
	case "name":
		holds = fits(c, s.Name)
	case "pod":
		holds = s.Pod != "" && (fits(c, s.Pod) || fits(c, s.Namespace+"/"+s.Pod))
	case "namespace":
		holds = s.Namespace != "" && fits(c, s.Namespace)
	case "image":
		holds = fits(c, s.Image)
	case "label":
		v, ok := s.Labels[c.Label]
		holds = ok && fits(c, v)
	}
	return holds != c.Not
}

// External reports whether an end is beyond private networks and no workload of this host.
func (s *Subject) External() bool {
	a := s.Addr.Unmap()
	return !s.Workload && !s.Host && a.IsGlobalUnicast() && !a.IsPrivate() && !shared.Contains(a)
}

// shared is the address space behind carriers' translators (RFC 6598).
var shared = netip.MustParsePrefix("100.64.0.0/10")

// fits reports whether a value is what a condition asks for, whether it is negated or not.
func fits(c *rules.End, value string) bool {
	if c.Regex != nil {
		return c.Regex.MatchString(value)
	}
	return wild(c.Pattern, value)
}

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
