package engine

import (
	"weir/alert"
	"weir/rules"
	"weir/wire"
)

// SetOwn says what is to follow from what Weir finds without a rule of a file, by the rules' ids, for every block that begins from now on.
func (e *Engine) SetOwn(own map[string]*rules.Rule) {
	e.setting.Lock()
	defer e.setting.Unlock()
	e.own = own
	e.arm()
}

// OwnRules are the ids of rules that are part of Weir: what follows from what they find can be said in a file.
var OwnRules = ownRules()

// stops reports whether something in own is to be stopped.
func stops(own map[string]*rules.Rule) bool {
	for _, r := range own {
		if r.Action >= rules.Block {
			return true
		}
	}
	return false
}

// follows does what is to follow from what a rule has found in the present flow, whether it is told or not: where packets are held this one goes nowhere, and
// no later one of its flow does. blocked is false where none is at hand: what was found had passed. elsewhere says that whoever holds the packets sees the same, and tells it.
func (l *Lane) follows(r *rules.Rule) (blocked, elsewhere bool) {
	if r == nil || r.Action < rules.Block {
		return false, false
	}
	if !l.t.inline() {
		return false, l.stopped()
	}
	if l.foreign { // its own tap's lane would not expect that
		return false, false
	}
	l.fl.S.more().ruled.blocked = true
	return l.rulings != nil && !l.closing, false
}

// accuse puts into an event who did what a rule has found, if the rule wants him cut off: who sends in a direction of the present flow, if that is a workload of this host.
func (l *Lane) accuse(ev *alert.Event, r *rules.Rule, dir wire.Dir) {
	if r == nil || r.Action != rules.Quarantine {
		return
	}
	if from, _ := l.ends(dir); from.who != nil {
		ev.Weir.Offender = &alert.Offender{Workload: *told(from.who), Rule: r.ID, Allow: r.QuarantineAllow}
	}
}
