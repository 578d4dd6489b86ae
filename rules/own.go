package rules

import (
	"fmt"
	"reflect"
)

// own takes in a table whose id is that of a rule which is part of Weir: it says what is to follow from what that finds, and nothing else.
func (l *loader) own(src *source, raw *rawRule, path string) {
	bare := rawRule{ID: raw.ID, Description: raw.Description, Action: raw.Action, QuarantineAllow: raw.QuarantineAllow}
	if !reflect.DeepEqual(raw, &bare) {
		src.fail(path, Error, fmt.Sprintf("rule %q is part of Weir: only action and quarantine_allow can be set", raw.ID), "give a rule of your own another id")
		return
	}
	r := &Rule{ID: raw.ID, Description: raw.Description, Pos: src.pos(path)}
	src.consequence(r, raw, path)
	if old := l.ownByID[raw.ID]; old != nil {
		src.fail(path, Warning, fmt.Sprintf("rule %q replaces the one at %s", raw.ID, old.Pos), "")
	}
	l.ownByID[raw.ID] = r
}

// consequence takes in what follows from what a rule finds, beside an alert.
func (s *source) consequence(r *Rule, raw *rawRule, path string) {
	setName(s, &r.Action, raw.Action, Actions, member(path, "action"))
	if raw.QuarantineAllow == nil {
		return
	}
	at := member(path, "quarantine_allow")
	r.QuarantineAllow = raw.QuarantineAllow
	if r.Action != Quarantine {
		s.fail(at, Error, "quarantine_allow, but nobody is put into quarantine", `action = "quarantine"`)
	}
	for i, text := range raw.QuarantineAllow {
		if s.opt.Peer == nil {
			break
		}
		if err := s.opt.Peer(text); err != nil {
			s.fail(element(at, i), Error, err.Error(), "")
		}
	}
}

// Blocking returns the rules of a set that stop what they find where packets are held. Rules that these require are there too, but raise nothing.
func (s *Set) Blocking() *Set {
	keep := map[*Rule]bool{}
	for _, r := range s.Rules {
		keep[r] = r.Action >= Block && !r.SkipReport
	}
	return s.only(keep)
}
