package daemon

import (
	"fmt"
	"strings"

	"weir/engine"
	"weir/rules"
)

// OwnRule is a rule that is part of Weir, for people.
type OwnRule struct {
	ID, Engine, Severity, Action, Is string
}

// OwnRules lists the rules that are part of Weir, with what follows from each as the rules' files have it.
func OwnRules(set *rules.Set) (out []OwnRule) {
	for i := range engine.OwnRules {
		r := &engine.OwnRules[i]
		out = append(out, OwnRule{r.ID, r.Engine, r.Severity.String(), ownAction(set, r.ID).String(), r.Is})
	}
	return out
}

// OwnRuleIDs are the ids of the rules that are part of Weir.
func OwnRuleIDs() []string { return engine.OwnRuleIDs() }

func ownAction(set *rules.Set, id string) rules.Action {
	if r := set.Own[id]; r != nil {
		return r.Action
	}
	return rules.Alert
}

// ExplainOwn tells people of a rule that is part of Weir: what it means, when it raises an alert, what follows, and what to do next; "" if there is none of that id.
func ExplainOwn(set *rules.Set, id string) string {
	for i := range engine.OwnRules {
		if r := &engine.OwnRules[i]; r.ID == id {
			return explainOwn(set, r)
		}
	}
	return ""
}

func explainOwn(set *rules.Set, r *engine.OwnRule) string {
	var b strings.Builder
	line := func(name, text string) { fmt.Fprintf(&b, "%-12s%s\n", name, text) }
	line("rule", r.ID)
	line("is", r.Is)
	line("fires", r.When)
	raises := fmt.Sprintf("an alert of severity %s, engine %s", r.Severity, r.Engine)
	action := ownAction(set, r.ID)
	switch {
	case r.ID == "policy."+engine.RuleDefault && action == rules.Block:
		raises += "; what it finds goes nowhere where its group is in protect, as without that action"
	case action == rules.Block:
		raises += "; what it finds does not arrive, where packets are held (weir policy mode GROUP protect)"
	case action == rules.Quarantine:
		raises += "; the workload that did it is cut off (weir quarantine)"
	}
	line("raises", raises)
	defined := "Weir itself: no file has it"
	if own := set.Own[r.ID]; own != nil {
		defined += "; " + own.Pos.String() + " says action = \"" + action.String() + "\""
	}
	line("defined by", defined)
	line("then", r.Next)
	line("its finds", "weir alerts --rule "+r.ID+"; the packets of one: weir pcap pull --alert ID -w FILE")
	more := rules.Block
	if r.ID == "policy."+engine.RuleDefault { // its group's mode says whether it is stopped
		more = rules.Quarantine
	}
	line("more?", "a file in rules.d (docs/rules.md#stopping-what-is-found):")
	fmt.Fprintf(&b, "%12s[[rules]]\n%12sid = %q\n%12saction = %q\n", "", "", r.ID, "", more)
	return b.String()
}
