package policy

import (
	"fmt"
	"slices"
	"time"

	"weir/rules"
)

// rule takes in one [[policy]] table.
func (s *source) rule(raw *rawRule, path string) {
	at := func(key string) string { return rules.Key(path, key) }
	if !s.checkName(raw.ID, at("id"), "id") {
		return
	}
	if before, twice := s.l.ids[raw.ID]; twice {
		s.err(at("id"), fmt.Sprintf("policy %q is already at %s", raw.ID, before), "one id, one rule")
		return
	}
	if len(s.l.set.Rules) == maxRules {
		s.err(at("id"), fmt.Sprintf("more than %d rules", maxRules), "")
		return
	}
	r := Rule{ID: raw.ID, From: raw.From, To: raw.To, Comment: raw.Comment, Owner: raw.Owner, Undecided: DefaultDeadline, Pos: s.Pos(path)}
	s.l.ids[r.ID] = r.Pos
	s.names(r.From, at("from"))
	s.names(r.To, at("to"))
	s.ports(&r, raw.Ports, at("ports"))
	s.protocol(&r, raw.Protocol, at("protocol"))
	s.where(&r, raw.Where, at("where"))
	r.Action = s.action(raw.Action, at("action"))
	s.deadline(&r, raw.Undecided, at("undecided"))
	if r.Expires = s.Date(raw.Expires, at("expires")); r.OverAt(s.l.opt.Now) {
		s.Fail(at("expires"), rules.Warning, fmt.Sprintf("policy %q expired on %s: it no longer applies", r.ID, r.Expires), "remove it, or give it a later date")
	}
	s.l.set.Rules = append(s.l.set.Rules, r)
}

// OverAt reports whether r's last day is over at now, in UTC.
func (r *Rule) OverAt(now time.Time) bool { return rules.Over(r.Expires, now) }

// names checks names of groups; whether there are such groups is known at the end.
func (s *source) names(names []string, path string) {
	if len(names) > maxNames {
		s.err(path, fmt.Sprintf("more than %d groups", maxNames), "make one group of them")
		return
	}
	for i, n := range names {
		at := rules.Element(path, i)
		if n == Default || n == "any" {
			s.err(at, fmt.Sprintf("%q is no group", n), "leave the key out: then it is anybody")
			continue
		}
		s.l.used = append(s.l.used, use{s.ValuePos(at), n})
	}
}

func (s *source) ports(r *Rule, given []string, path string) {
	if len(given) > maxNames {
		s.err(path, fmt.Sprintf("more than %d ports", maxNames), "use ranges, as tcp/8000-8999")
		return
	}
	for i, text := range given {
		p, what, hint := ParsePort(text)
		if what != "" {
			s.err(rules.Element(path, i), what, hint)
			continue
		}
		r.Ports = append(r.Ports, p...)
	}
}

// Any is a protocol's name that stands for all of them.
const Any = "any"

func (s *source) protocol(r *Rule, name, path string) {
	if name == Any {
		return
	}
	if known := s.l.opt.Protocols; name != "" && len(known) > 0 && !slices.Contains(known, name) {
		s.err(path, fmt.Sprintf("unknown protocol %q", name), s.Meant(name, known))
		return
	}
	r.Protocol = name
}

// where takes in conditions on fields. They are kept in order of the fields' names.
func (s *source) where(r *Rule, given map[string][]string, path string) {
	total := 0
	for field, patterns := range given {
		at := rules.Key(path, field)
		if known := s.l.opt.Fields; len(known) > 0 && !slices.Contains(known, field) {
			s.err(at, fmt.Sprintf("unknown field %q", field), s.Meant(field, known))
			continue
		}
		if len(patterns) == 0 {
			s.err(at, "a field without patterns: no value would match", `["*"] is any value`)
			continue
		}
		if total += len(patterns); total > maxPatterns {
			s.err(at, fmt.Sprintf("more than %d patterns", maxPatterns), "use templates, as /orders/{id}")
			return
		}
		for i, p := range patterns {
			if what := checkPattern(p); what != "" {
				s.err(rules.Element(at, i), what, "")
			}
		}
		r.Where = append(r.Where, Condition{field, patterns})
	}
	slices.SortFunc(r.Where, func(a, b Condition) int {
		if a.Field < b.Field {
			return -1
		}
		return 1
	})
}

// action reads allow or deny.
func (s *source) action(word, path string) Action {
	known := Actions[Allow:]
	i := slices.Index(known, word)
	switch {
	case i >= 0:
		return Allow + Action(i)
	case word == "" && s.Broken():
	case word == "":
		s.err(path, "there is no action", `"allow" or "deny"`)
	default:
		s.err(path, fmt.Sprintf("unknown action %q", word), s.Meant(word, known))
	}
	return Deny
}

func (s *source) deadline(r *Rule, raw *rawDeadline, path string) {
	if raw == nil {
		return
	}
	number := func(dst *int, given *int, key string, top int) {
		if given == nil {
			return
		}
		if *given < 0 || *given > top {
			s.err(rules.Key(path, key), fmt.Sprintf("%s is %d, out of range", key, *given), fmt.Sprintf("0 to %d", top))
			return
		}
		*dst = *given
	}
	number(&r.Undecided.Bytes, raw.Bytes, "bytes", maxBytes)
	number(&r.Undecided.Seconds, raw.Seconds, "seconds", maxSeconds)
	if raw.Action != "" {
		r.Undecided.Action = s.action(raw.Action, rules.Key(path, "action"))
	}
}
