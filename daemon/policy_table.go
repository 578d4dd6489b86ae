package daemon

import (
	"bytes"
	"fmt"
	"io"
	"maps"
	"slices"
	"time"

	"weir/engine"
	"weir/policy"
)

func sortedNames[V any](m map[string]V) []string { return slices.Sorted(maps.Keys(m)) }

// PolicyDifference is a policy.Difference for programs.
type PolicyDifference struct {
	Allowed []PolicyChange `json:"allowed"` // now, not before
	Denied  []PolicyChange `json:"denied"`  // now, allowed before
	Groups  []string       `json:"groups"`
	Modes   []string       `json:"modes"`
	Failure []string       `json:"failure"`
	Cut     int            `json:"not_compared"` // rules that say too much
}

// PolicyChange is a sort of conversation.
type PolicyChange struct {
	What   string `json:"what"`
	Rule   string `json:"rule"`         // that allows it, or did
	By     string `json:"by,omitempty"` // that denies it, or did
	Partly bool   `json:"partly,omitempty"`
}

// NewPolicyDifference describes what differs.
func NewPolicyDifference(d *policy.Difference) *PolicyDifference {
	list := func(in []policy.Change) []PolicyChange {
		out := []PolicyChange{}
		for i := range in {
			out = append(out, PolicyChange{in[i].Words.String(), in[i].Rule, in[i].By, in[i].Partly})
		}
		return out
	}
	text := func(in []string) []string { return append([]string{}, in...) }
	return &PolicyDifference{list(d.Allowed), list(d.Denied), text(d.Groups), text(d.Modes), text(d.Failure), d.Cut}
}

// WriteTable writes it for people, a line for each thing: + is allowed now, - is not any more.
func (d *PolicyDifference) WriteTable(w io.Writer) error {
	var b bytes.Buffer
	t := table(&b)
	each := func(sign string, list []PolicyChange) {
		for _, c := range list {
			why := "rule " + c.Rule
			if c.By != "" {
				why += ", against " + c.By
			}
			what := c.What
			if c.Partly {
				what += " (some of it)"
			}
			fmt.Fprintf(t, "%s %s\t%s\n", sign, clean(what), clean(why))
		}
	}
	if len(d.Groups)+len(d.Allowed)+len(d.Denied)+len(d.Modes)+len(d.Failure)+d.Cut > 0 {
		fmt.Fprintln(t, "CHANGE\tBY")
	}
	for _, g := range d.Groups {
		fmt.Fprintf(t, "group %s\t\n", clean(g))
	}
	each("+", d.Allowed)
	each("-", d.Denied)
	for _, m := range d.Modes {
		fmt.Fprintf(t, "mode %s\t\n", clean(m))
	}
	for _, f := range d.Failure {
		fmt.Fprintf(t, "failure %s\t\n", clean(f))
	}
	if d.Cut > 0 {
		fmt.Fprintf(t, "%d rules say too much to be compared\t\n", d.Cut)
	}
	t.Flush()
	_, err := w.Write(b.Bytes())
	return err
}

// Simulated is what a policy would have made of what was said.
type Simulated struct {
	Since   time.Time       `json:"since,omitzero"`
	Kinds   int             `json:"kinds"` // sorts of conversations and messages that were looked at
	Total   uint64          `json:"total"` // of them, how many there were
	Stopped []SimulatedCase `json:"stopped"`
	Unsure  []SimulatedCase `json:"undecided"` // what is known of them is too little to tell
	Notes   []string        `json:"notes,omitempty"`

	captured bool // of captures: kinds are conversations
}

// SimulatedCase is one sort of them.
type SimulatedCase struct {
	What  string    `json:"what"`
	From  []string  `json:"from"` // groups
	To    []string  `json:"to"`
	Count uint64    `json:"count"`
	Last  time.Time `json:"last,omitzero"`
	Rule  string    `json:"rule"` // that denies it; "default": no rule allows it
	Why   string    `json:"why"`
	Mode  string    `json:"mode"` // that it has now
}

// SimulateLearned holds what was learned since a time against a policy.
func SimulateLearned(l *policy.Learner, set *policy.Set, since time.Time) (*Simulated, error) {
	p, problems := CompilePolicy(set)
	if problems.Failed() {
		return nil, problems.Err()
	}
	ns := int64(0)
	if !since.IsZero() {
		ns = since.UnixNano()
	}
	out := &Simulated{Since: since, Stopped: []SimulatedCase{}, Unsure: []SimulatedCase{}}
	l.Against(p, ns, engine.FieldNumber, engine.ProtocolNumber, func(c *policy.Case) {
		out.Kinds++
		out.Total += c.Count
		if c.Action == policy.Allow {
			return
		}
		x := SimulatedCase{What: c.Words.String(), From: c.From, To: c.To, Count: c.Count, Last: time.Unix(0, c.Last).UTC(), Rule: "default", Why: c.Why, Mode: c.Mode.String()}
		if c.Rule >= 0 {
			x.Rule = set.Rules[c.Rule].ID
		} else {
			x.Why = set.Nearest(&c.Words).Text
		}
		if c.Action == policy.Undecided {
			out.Unsure = append(out.Unsure, x)
			return
		}
		out.Stopped = append(out.Stopped, x)
	})
	return out, nil
}

// WriteTable writes it for people.
func (s *Simulated) WriteTable(w io.Writer) error {
	var b bytes.Buffer
	t := table(&b)
	if len(s.Stopped)+len(s.Unsure) > 0 {
		fmt.Fprintln(t, "VERDICT\tCOUNT\tMODE NOW\tRULE\tWHAT\tWHY")
	}
	each := func(verdict string, list []SimulatedCase) {
		for i := range list {
			c := &list[i]
			fmt.Fprintf(t, "%s\t%d\t%s\t%s\t%s\t%s\n", verdict, c.Count, c.Mode, clean(c.Rule), clean(c.What), clean(c.Why))
		}
	}
	each("stopped", s.Stopped)
	each("undecided", s.Unsure)
	t.Flush()
	_, err := w.Write(b.Bytes())
	return err
}

// Summary says it in a line.
func (s *Simulated) Summary() string {
	what := "sorts of conversations and messages"
	if s.captured {
		what = "conversations"
	}
	stopped := uint64(0)
	for i := range s.Stopped {
		stopped += s.Stopped[i].Count
	}
	return fmt.Sprintf("%d %s, %d in all; protect would have stopped %d of these, %d in all", s.Kinds, what, s.Total, len(s.Stopped), stopped)
}

// WouldStop says in words how much of what was learned would be stopped if a group were protected; nothing if nothing would.
func WouldStop(l *policy.Learner, set *policy.Set, group string) []string {
	s, err := SimulateLearned(l, set, time.Time{})
	if err != nil {
		return nil
	}
	kinds, total := 0, uint64(0)
	for i := range s.Stopped {
		if c := &s.Stopped[i]; slices.Contains(c.From, group) || slices.Contains(c.To, group) || group == policy.Default {
			kinds++
			total += c.Count
		}
	}
	if kinds == 0 {
		return nil
	}
	return []string{fmt.Sprintf("of what was seen so far, %d sorts of conversations and messages, %d in all, would be stopped (weir policy simulate)", kinds, total)}
}
