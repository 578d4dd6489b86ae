package rules

import (
	"fmt"
	"math"
	"regexp"
	"slices"
	"strings"
	"time"
)

// Limits of a rule: from cli.md's format and ours.
const (
	maxWithin   = 4096      // bytes between a match and its context
	maxEntropy  = 8         // bits per byte: there are no more
	maxID       = 200       // bytes
	maxSID      = 1<<31 - 1 // Suricata's signature ids are 32 bits, ours 31
	maxDistinct = 1 << 20   // values
	maxPer      = 4096      // values per flow or window: they are remembered one by one
	minWindow   = time.Second
	maxWindow   = 24 * time.Hour
	dateForm    = "2006-01-02"
)

// source is the file that is being read.
type source struct {
	name     string
	places   *places
	opt      *Options
	builtin  bool // it came with Weir
	broken   bool // it has errors already: what is missing may be what was misspelt
	problems Problems
}

// pos is where the key at path stands.
func (s *source) pos(path string) Pos {
	at := s.places.find(path)
	return Pos{s.name, at.line, at.col}
}

// valuePos is where its value begins.
func (s *source) valuePos(path string) Pos {
	if at := s.places.find(path); at.valueLine > 0 {
		return Pos{s.name, at.valueLine, at.valueCol}
	}
	return s.pos(path)
}

func (s *source) fail(path string, level Level, what, hint string) {
	s.problems = s.problems.add(Problem{s.valuePos(path), level, what, hint})
}

func (s *source) checkID(id, path string) bool {
	control := strings.ContainsFunc(id, func(r rune) bool { return r < ' ' || r == 0x7f })
	switch {
	case id == "":
		s.fail(path, Error, "the rule has no id", "")
	case len(id) > maxID || control || strings.TrimSpace(id) != id:
		s.fail(member(path, "id"), Error, "this cannot be an id", fmt.Sprintf("up to %d bytes, no control characters, no spaces around", maxID))
	default:
		return true
	}
	return false
}

// rule makes a Rule of what a file says, upon base where it changes one.
func (s *source) rule(base *Rule, raw *rawRule, path string) *Rule {
	r := &Rule{ID: raw.ID, Rev: 1, Within: 300, MinConfidence: Fair, MinDistinct: 1, Severity: High}
	if base != nil {
		r = clone(base)
	}
	r.Pos, r.Builtin = s.pos(path), s.builtin
	at := func(key string) string { return member(path, key) }
	setText(&r.Description, raw.Description)
	setText(&r.Category, raw.Category)
	r.Tags = append(r.Tags, raw.Tags...)
	setInt(s, &r.Rev, raw.Rev, at("rev"), 1, math.MaxInt32)
	setInt(s, &r.Within, raw.Within, at("within"), 0, maxWithin)
	setInt(s, &r.MinDistinct, raw.MinDistinct, at("min_distinct"), 1, maxDistinct)
	setInt(s, &r.SecretGroup, raw.SecretGroup, at("secretGroup"), 0, math.MaxInt16)
	if raw.SID != nil {
		sid := int(r.SID)
		setInt(s, &sid, raw.SID, at("sid"), 1, maxSID)
		r.SID = uint32(sid)
	}
	if raw.Entropy != nil {
		r.Entropy = *raw.Entropy
		if !(r.Entropy >= 0 && r.Entropy <= maxEntropy) {
			s.fail(at("entropy"), Error, fmt.Sprintf("entropy is %g, out of range", r.Entropy), "0 to 8 bits per byte")
		}
	}
	setName(s, &r.Severity, raw.Severity, Severities, at("severity"))
	setName(s, &r.MinConfidence, raw.MinConfidence, Confidences, at("min_confidence"))
	setName(s, &r.Direction, raw.Direction, Directions, at("direction"))
	s.consequence(r, raw, path)
	setName(s, &r.Engine, raw.Engine, Engines, at("engine"))
	setTrue(&r.ContextRequired, raw.ContextRequired)
	setTrue(&r.SkipReport, raw.SkipReport)
	s.words(r, raw, path)
	s.expressions(r, raw, path)
	s.exact(r, raw, path)
	s.lists(r, raw, path)
	s.counting(r, raw, path)
	s.ends(&r.From, raw.From, at("from"))
	s.ends(&r.To, raw.To, at("to"))
	if r.Category == "" {
		r.Category = []string{DLP: "sensitive-data", Signature: "attack"}[r.Engine]
	}
	if r.Mask == "" {
		r.Mask = []string{DLP: "secret", Signature: "text"}[r.Engine]
	}
	return r
}

// clone copies a rule so that appending to the copy's lists leaves the rule as it is.
func clone(r *Rule) *Rule {
	c := *r
	c.Tags, c.Keywords = slices.Clip(r.Tags), slices.Clip(r.Keywords)
	c.Allow, c.Required = slices.Clip(r.Allow), slices.Clip(r.Required)
	return &c
}

func setText(dst *string, given string) {
	if given != "" {
		*dst = given
	}
}

func setTrue(dst *bool, given *bool) {
	if given != nil {
		*dst = *given
	}
}

func setInt(s *source, dst *int, given *int, path string, low, high int) {
	if given == nil {
		return
	}
	if *given < low || *given > high {
		s.fail(path, Error, fmt.Sprintf("%s is %d, out of range", lastKey(path), *given), fmt.Sprintf("%d to %d", low, high))
		return
	}
	*dst = *given
}

func setName[T ~uint8](s *source, dst *T, given string, names []string, path string) {
	if given == "" {
		return
	}
	if i := slices.Index(names, given); i >= 0 {
		*dst = T(i)
		return
	}
	s.unknown(path, lastKey(path), given, names)
}

func (s *source) unknown(path, kind, given string, names []string) {
	s.fail(path, Error, fmt.Sprintf("unknown %s %q", kind, given), s.problems.meant(given, names))
}

func lastKey(path string) string { return path[strings.LastIndexByte(path, '.')+1:] }

// known checks names against a list of the caller's; an empty list knows all.
func (s *source) known(given, names []string, path, kind string) {
	for i, n := range given {
		if len(names) > 0 && !slices.Contains(names, n) {
			s.unknown(element(path, i), kind, n, names)
		}
	}
}

// counting takes in what different values are counted in.
func (s *source) counting(r *Rule, raw *rawRule, path string) {
	at := func(key string) string { return member(path, key) }
	setName(s, &r.Per, raw.Per, Pers, at("per"))
	if raw.Window != nil {
		if r.Window = *raw.Window; r.Window < minWindow || r.Window > maxWindow {
			s.fail(at("window"), Error, fmt.Sprintf("window is %s, out of range", r.Window), fmt.Sprintf("%s to %s", minWindow, maxWindow))
		}
		if raw.Per == "" {
			r.Per = PerWindow
		}
	}
	switch {
	case r.Per == PerWindow && r.Window == 0:
		s.fail(at("per"), Error, `per = "window" without a window`, `window = "10m"`)
	case r.Per != PerWindow && raw.Window != nil:
		s.fail(at("window"), Error, fmt.Sprintf("a window, but different values are counted per %s", r.Per), `per = "window"`)
	case r.Per != PerWindow:
		r.Window = 0
	}
	if r.Per != PerMessage && r.MinDistinct > maxPer {
		s.fail(at("min_distinct"), Error, fmt.Sprintf("min_distinct is %d, out of range", r.MinDistinct), fmt.Sprintf("1 to %d per flow or window", maxPer))
	}
}

// words takes in keywords, context, fields, validators, mask and examples.
func (s *source) words(r *Rule, raw *rawRule, path string) {
	at := func(key string) string { return member(path, key) }
	r.Keywords = append(r.Keywords, s.lower(raw.Keywords, at("keywords"))...)
	if raw.Context != nil {
		r.Context = s.lower(raw.Context, at("context"))
	}
	if r.ContextRequired && len(r.Context) == 0 {
		s.fail(at("context_required"), Error, "context_required without context: the rule would find nothing", "list the words under context")
	}
	if raw.Fields != nil {
		s.known(raw.Fields, s.opt.Fields, at("fields"), "field")
		r.Fields = raw.Fields
	}
	if raw.Validate != nil {
		s.known(raw.Validate, s.opt.Validators, at("validate"), "validator")
		r.Validate = raw.Validate
	}
	if raw.Mask != "" {
		if len(s.opt.Masks) > 0 && !slices.Contains(s.opt.Masks, raw.Mask) {
			s.unknown(at("mask"), "mask", raw.Mask, s.opt.Masks)
		}
		r.Mask = raw.Mask
	}
	if raw.Test != nil {
		r.Test = Test(*raw.Test)
	}
}

// lower returns words in lower case, without empty ones: these would occur everywhere.
func (s *source) lower(words []string, path string) []string {
	out := make([]string, 0, len(words))
	for i, w := range words {
		if w == "" {
			s.fail(element(path, i), Warning, "an empty word occurs everywhere: left out", "")
			continue
		}
		out = append(out, strings.ToLower(w))
	}
	return out
}

// expressions takes in regex, path and secretGroup.
func (s *source) expressions(r *Rule, raw *rawRule, path string) {
	setText(&r.Regex, raw.Regex)
	setText(&r.Path, raw.Path)
	if r.Regex == "" && r.Path == "" && r.EDM == nil && raw.EDM == nil {
		if s.broken {
			return
		}
		s.fail(path, Error, fmt.Sprintf("rule %q has neither regex, path nor edm", r.ID),
			"to change a built-in rule, the file needs [extend] useDefault = true")
		return
	}
	if r.Path != "" {
		s.expression(r.Path, member(path, "path"))
	}
	if r.Regex == "" {
		return
	}
	e := s.expression(r.Regex, member(path, "regex"))
	switch {
	case e == nil:
	case e.matchesEmpty:
		s.fail(member(path, "regex"), Error, "the regex matches the empty string: it would match everywhere", "")
	case r.SecretGroup > e.groups:
		s.fail(member(path, "secretGroup"), Error, fmt.Sprintf("secretGroup is %d, but the regex has %d", r.SecretGroup, e.groups), "")
	}
}

// expression parses a regex; nil if it is wrong, which is told.
func (s *source) expression(re, path string) *expression {
	e, what, hint := parseExpression(re)
	if what != "" {
		s.fail(path, Error, what, hint)
		return nil
	}
	return &e
}

// lists takes in allowlists and required rules.
func (s *source) lists(r *Rule, raw *rawRule, path string) {
	if raw.Allowlist != nil {
		if a, ok := s.allowlist(raw.Allowlist, member(path, "allowlist")); ok {
			r.Allow = append(r.Allow, a)
		}
	}
	for i := range raw.Allowlists {
		if a, ok := s.allowlist(&raw.Allowlists[i], element(member(path, "allowlists"), i)); ok {
			r.Allow = append(r.Allow, a)
		}
	}
	for i, q := range raw.Required {
		at := element(member(path, "required"), i)
		switch q.ID {
		case "":
			s.fail(at, Error, "required has no id", "name the rule that must be found too")
			continue
		case r.ID:
			s.fail(member(at, "id"), Error, fmt.Sprintf("rule %q requires itself", r.ID), "")
			continue
		}
		need := Required{ID: q.ID, WithinLines: -1, WithinColumns: -1}
		setInt(s, &need.WithinLines, q.WithinLines, member(at, "withinLines"), 0, math.MaxInt32)
		setInt(s, &need.WithinColumns, q.WithinColumns, member(at, "withinColumns"), 0, math.MaxInt32)
		r.Required = append(r.Required, need)
	}
}

// allowlist makes an Allowlist of what a file says; ok is false where there is nothing that it could allow.
func (s *source) allowlist(raw *rawRuleAllow, path string) (a Allowlist, ok bool) {
	at := func(key string) string { return member(path, key) }
	a = Allowlist{Description: raw.Description, Owner: raw.Owner, Reason: raw.Reason, Regexes: raw.Regexes, Paths: raw.Paths, Target: "secret"}
	if i := slices.Index([]string{"", "OR", "||", "AND", "&&"}, strings.ToUpper(raw.Condition)); i < 0 {
		s.unknown(at("condition"), "condition", raw.Condition, []string{"OR", "AND"})
	} else {
		a.And = i >= 3
	}
	if raw.RegexTarget != "" {
		a.Target = raw.RegexTarget
		if targets := []string{"secret", "match", "line"}; !slices.Contains(targets, a.Target) {
			s.unknown(at("regexTarget"), "regexTarget", a.Target, targets)
		}
	}
	a.Stopwords = s.lower(raw.Stopwords, at("stopwords"))
	for _, list := range []struct {
		key     string
		regexes []string
	}{{"regexes", raw.Regexes}, {"paths", raw.Paths}} {
		for i, re := range list.regexes {
			if e := s.expression(re, element(at(list.key), i)); e != nil && e.matchesEmpty && matchesAll(re) {
				s.fail(element(at(list.key), i), Warning, "the regex matches everything: nothing would be found any more", "")
			}
		}
	}
	if len(a.Regexes)+len(a.Stopwords)+len(a.Paths) == 0 {
		if len(raw.Commits) > 0 {
			s.fail(at("commits"), Warning, "commits mean nothing here: the allowlist is left out", "")
		} else if !s.broken {
			s.fail(path, Error, "the allowlist is empty", "it needs regexes, stopwords or paths")
		}
		return a, false
	}
	a.Expires = s.expires(raw.Expires, at("expires"))
	if a.Expired = !s.opt.Now.IsZero() && a.ExpiredAt(s.opt.Now); a.Expired {
		s.fail(at("expires"), Warning, fmt.Sprintf("the allowlist expired on %s: left out", a.Expires), "remove it, or give it a later date")
	}
	return a, true
}

// matchesAll reports whether a regex that is known to match the empty string does so everywhere.
func matchesAll(re string) bool {
	compiled, err := regexp.Compile(re)
	return err == nil && compiled.MatchString("\x00")
}

// expires reads a date.
func (s *source) expires(v any, path string) (date string) {
	var day time.Time
	switch t := v.(type) {
	case nil:
		return ""
	case time.Time:
		day = t
	case string:
		var err error
		if day, err = time.Parse(dateForm, t); err != nil {
			s.fail(path, Error, fmt.Sprintf("this is no date: %q", t), "YYYY-MM-DD")
			return ""
		}
	default:
		s.fail(path, Error, "expires must be a date, not "+typeName(v), "YYYY-MM-DD")
		return ""
	}
	return day.Format(dateForm)
}
