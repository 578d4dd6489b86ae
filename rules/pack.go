package rules

import (
	"fmt"
	"path/filepath"
	"slices"
	"strings"
)

// Pack is what the rule's file is called, without its ending: "secrets" of builtin/secrets.toml.
func (r *Rule) Pack() string {
	return strings.TrimSuffix(filepath.Base(r.Pos.File), ".toml")
}

// inPack reports whether r is of a pack: of the file of that name, or one of several that it was divided into, as secrets-cloud.toml.
func (r *Rule) inPack(name string) bool {
	p := r.Pack()
	return p == name || strings.HasPrefix(p, name+"-")
}

// Packs returns the names of the packs of a set, in order.
func (s *Set) Packs() (out []string) {
	for _, r := range s.Rules {
		if p := r.Pack(); !slices.Contains(out, p) {
			out = append(out, p)
		}
	}
	return out
}

// Tags returns the tags of the rules of a set, sorted.
func (s *Set) Tags() (out []string) {
	for _, r := range s.Rules {
		out = append(out, r.Tags...)
	}
	slices.Sort(out)
	return slices.Compact(out)
}

// Only returns the rules of a set that are of one of the packs and have one of the tags; an empty list asks for nothing. Rules that these require
// are there too, but raise nothing. A name that no rule has is an error.
func (s *Set) Only(packs, tags []string) (*Set, error) {
	for _, p := range packs {
		if !slices.ContainsFunc(s.Rules, func(r *Rule) bool { return r.inPack(p) }) {
			return nil, fmt.Errorf("no rule is of the pack %q (there are %s)", p, strings.Join(s.Packs(), ", "))
		}
	}
	for _, t := range tags {
		if all := s.Tags(); !slices.Contains(all, t) {
			hint := ""
			if near := Nearest(t, all); near != "" {
				hint = fmt.Sprintf(" (did you mean %q?)", near)
			}
			return nil, fmt.Errorf("no rule has the tag %q%s", t, hint)
		}
	}
	keep := map[*Rule]bool{}
	for _, r := range s.Rules {
		inPack := len(packs) == 0 || slices.ContainsFunc(packs, r.inPack)
		hasTag := len(tags) == 0 || slices.ContainsFunc(tags, func(t string) bool { return slices.Contains(r.Tags, t) })
		keep[r] = inPack && hasTag
	}
	return s.only(keep), nil
}

// only returns the rules of a set that are kept, and those that they require, which raise nothing.
func (s *Set) only(keep map[*Rule]bool) *Set {
	out := &Set{Allow: s.Allow, Files: s.Files, Own: s.Own, byID: map[string]*Rule{}}
	for _, r := range s.Rules {
		switch {
		case keep[r]:
		case s.required(r, keep):
			silent := *r
			silent.SkipReport = true
			r = &silent
		default:
			continue
		}
		out.Rules = append(out.Rules, r)
		out.byID[r.ID] = r
	}
	return out
}

// required reports whether a rule that is kept requires r, over others or not.
func (s *Set) required(r *Rule, keep map[*Rule]bool) bool {
	seen := map[string]bool{}
	var asks func(id string) bool
	asks = func(id string) bool {
		if seen[id] {
			return false
		}
		seen[id] = true
		return slices.ContainsFunc(s.Rules, func(o *Rule) bool {
			needs := slices.ContainsFunc(o.Required, func(q Required) bool { return q.ID == id })
			return needs && (keep[o] || asks(o.ID))
		})
	}
	return asks(r.ID)
}

// Anywhere returns a set of copies of the rules that look at everything in both directions, attacks too.
func (s *Set) Anywhere() *Set {
	out := &Set{Allow: s.Allow, Files: s.Files, byID: map[string]*Rule{}}
	for _, r := range s.Rules {
		c := *r
		c.Fields, c.Direction = nil, Any
		if c.Engine == Signature && c.Mask == "" {
			c.Mask = "text" // as it would have by its engine
		}
		c.Engine = DLP
		out.Rules = append(out.Rules, &c)
		out.byID[c.ID] = &c
	}
	return out
}
