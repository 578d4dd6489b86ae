package daemon

import (
	"cmp"
	"context"
	"fmt"
	"hash/maphash"
	"slices"
	"time"

	"weir/rules"
)

// AlertReader gives alerts: those of the past, of which eve.json has more than the daemon's memory and has them after a restart too, and those
// that come.
type AlertReader struct {
	Daemon *Client
	Path   string   // of eve.json; a daemon that runs knows better
	Ask    Ask      // Alerts is set by Run
	Rules  []string // ids of the rules that there are, for a proposal

	history *History
	memory  *Seen // nil: the daemon did not answer
	missing error // why eve.json could not be read
	down    error // why the daemon could not be asked
	shown   int
}

// UnknownRule says that no rule has the id that alerts were asked for, and that there are none of it.
type UnknownRule struct{ ID, Near string }

func (e *UnknownRule) Error() string {
	if e.Near != "" {
		return fmt.Sprintf("--rule: there is no rule %s (did you mean %s?)", clean(e.ID), e.Near)
	}
	return fmt.Sprintf("--rule: there is no rule %s (weir rules list shows all)", clean(e.ID))
}

// Run calls show with each alert, an EVE line, oldest first; each comes once. Without a daemon those of the past come all the same, unless it is to
// be followed. Errors: *UnknownRule, the Client's, show's.
func (a *AlertReader) Run(ctx context.Context, show func(line []byte) error) error {
	a.Ask.Alerts = true
	if s, err := a.Daemon.Status(); err == nil {
		a.Path = s.Events.Path
	}
	last := a.Ask.Last
	if last < 0 {
		last = maxLast
	}
	a.history, a.missing = ReadHistory(a.Path, eveKeep, &a.Ask.Filter, last)
	if a.history == nil {
		a.history = &History{}
	}
	seed := maphash.MakeSeed()
	told := make(map[uint64]bool, len(a.history.Lines))
	put := func(line []byte) error {
		a.shown++
		return show(line)
	}
	for _, line := range a.history.Lines {
		told[maphash.Bytes(seed, line)] = true
		if err := put(line); err != nil {
			return err
		}
	}
	a.Ask.Last = last
	err := a.Daemon.Events(ctx, a.Ask, func(s *Seen) error {
		a.memory = s
		return a.unknownRule()
	}, func(line []byte) error {
		if told[maphash.Bytes(seed, line)] {
			return nil
		}
		return put(line)
	})
	if IsNotRunning(err) && !a.Ask.Follow && a.history.Files > 0 {
		a.down = err
		return a.unknownRule()
	}
	return err
}

func (a *AlertReader) unknownRule() error {
	id := a.Ask.Filter.Rule
	known := append(slices.Clone(a.Rules), a.seen().Rules...)
	if id == "" || a.shown > 0 || a.seen().Matched > 0 || slices.Contains(known, id) {
		return nil
	}
	return &UnknownRule{id, rules.Nearest(id, known)}
}

// seen returns what there was: eve.json has all that memory has, if it could be read.
func (a *AlertReader) seen() *Seen {
	if a.history.Files == 0 && a.memory != nil {
		return a.memory
	}
	s := a.history.Seen
	if a.memory != nil {
		s.Matched = max(s.Matched, a.memory.Matched)
		if s.Since.IsZero() {
			s.Since = a.memory.Since
		}
	}
	return &s
}

// Notes says, for people, what the answer lacks, or why it is empty.
func (a *AlertReader) Notes() (out []string) {
	s := a.seen()
	if a.shown == 0 && !a.Ask.Follow {
		out = append(out, a.Ask.Filter.whyNone(s, "alert", a.where()))
	}
	if since := a.Ask.Filter.Since; a.shown > 0 && !since.IsZero() && since.Add(time.Minute).Before(s.Since) && a.shown < a.Ask.Last {
		out = append(out, fmt.Sprintf("%s reaches back to %s only", a.where(), utcTime(s.Since)))
	}
	if a.shown > 0 && a.shown >= a.Ask.Last && !a.Ask.Follow {
		out = append(out, fmt.Sprintf("these are the last %d alerts; older ones stand in %s", a.Ask.Last, a.Path))
	}
	if a.missing != nil {
		out = append(out, fmt.Sprintf("only what the daemon has in memory: %v", a.missing))
	}
	if a.down != nil {
		out = append(out, fmt.Sprintf("the daemon does not run: these stand in %s (%v)", a.Path, a.down))
	}
	return out
}

func (a *AlertReader) where() string {
	switch {
	case a.history.Files == 0:
		return "the daemon's memory"
	case a.history.Cut:
		return fmt.Sprintf("the last %s of %s", Size(historyBytes), a.Path)
	}
	return a.Path
}

// whyNone says why none of the events in s met f; where is what was looked at.
func (f *Filter) whyNone(s *Seen, thing, where string) string {
	reach := "it is empty"
	if !s.Since.IsZero() {
		reach = fmt.Sprintf("it reaches back to %s", utcTime(s.Since))
	}
	conditions := f.String()
	switch {
	case s.Events == 0 && !s.Last.IsZero():
		return fmt.Sprintf("no %ss since %s; the last one is from %s", thing, utcTime(f.Since), utcTime(s.Last))
	case s.Events == 0:
		return fmt.Sprintf("no %ss: %s has none, and %s", thing, where, reach)
	case conditions == "":
		return fmt.Sprintf("none of %s is shown", countOf(s.Events, thing))
	}
	text := fmt.Sprintf("none of %s since %s meets %s", countOf(s.Events, thing), utcTime(later(s.Since, f.Since)), conditions)
	if hint := f.hint(s); hint != "" {
		text += " (" + hint + ")"
	}
	return clean(text)
}

// hint says which words events have in place of one that none has.
func (f *Filter) hint(s *Seen) string {
	who := cmp.Or(f.Pod, f.FromPod, f.ToPod, f.Workload)
	for _, c := range []struct {
		word, things string
		known        []string
	}{{who, "workloads", s.Workloads}, {f.Rule, "rules", s.Rules}, {f.Protocol, "protocols", s.Protocols}} {
		if c.word == "" || slices.Contains(c.known, c.word) {
			continue
		}
		if near := rules.Nearest(c.word, c.known); near != "" && c.word != f.Protocol { // which is no slip: Check knows it
			return "did you mean " + near + "?"
		}
		if len(c.known) == 0 {
			return "they name no " + c.things
		}
		return c.things + " there are: " + listed(c.known)
	}
	if f.Severity != "" && rank(s.Severity) < rank(f.Severity) && s.Severity != "" {
		return "the highest is " + s.Severity
	}
	return ""
}

func utcTime(t time.Time) string { return t.UTC().Format(time.DateTime) + " UTC" }

func later(a, b time.Time) time.Time {
	if a.After(b) {
		return a
	}
	return b
}

// countOf writes a number of things.
func countOf(n int, thing string) string {
	if n == 1 {
		return "1 " + thing
	}
	return fmt.Sprintf("%d %ss", n, thing)
}
