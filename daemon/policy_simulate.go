package daemon

import (
	"cmp"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"weir/alert"
	"weir/dissect"
	"weir/engine"
	"weir/flow"
	"weir/policy"
)

// maxSimulated is how many sorts of denials a simulation keeps apart, ours; further ones are counted.
const maxSimulated = 10_000

// SimulateCaptures takes captures through the pipeline with a policy, as if every group were protected, and says what would have been stopped. Ends are known by
// their addresses alone. What is wrong with a capture is told on stderr.
func SimulateCaptures(conf *Config, set *policy.Set, files []string, stderr io.Writer) (*Simulated, error) {
	now, problems := CompilePolicy(set)
	if problems.Failed() {
		return nil, problems.Err()
	}
	strict := *set
	strict.Modes = map[string]policy.Mode{policy.Default: policy.Protect}
	p, problems := CompilePolicy(&strict)
	if problems.Failed() {
		return nil, problems.Err()
	}
	div := conf.divide(0, 0, programMin, false)
	if err := div.check(conf); err != nil {
		return nil, err
	}
	s := &simulation{set: set, now: now, out: &Simulated{captured: true, Stopped: []SimulatedCase{}, Unsure: []SimulatedCase{}}, at: map[string]int{}}
	queue := alert.NewQueue(s, true)
	e := engine.New(engine.Config{
		Flow: div.limits(conf), Overlap: flow.Overlap(conf.Flow.Overlap), Dissect: dissect.DefaultLimits,
		Events: map[string]bool{"alert": true, "flow": true}, Emit: queue.Put, Budgets: div.budgets(), Validation: conf.Protocols.validation(),
	})
	e.SetPolicy(p)
	lane := e.NewLane()
	lane.OnPanic = func(stack string) { fmt.Fprintf(stderr, "weir: internal error, survived: %s\n", stack) }
	defer lane.Free()
	run := replayRun{e: e, lane: lane, stderr: stderr}
	var err error
	for _, name := range files {
		if err = run.file(name); err != nil {
			break
		}
	}
	run.close()
	if err = errors.Join(err, queue.Close()); err != nil {
		return nil, err
	}
	return s.finish(), nil
}

// simulation is the sink that gathers what a policy denied.
type simulation struct {
	set     *policy.Set
	now     *policy.Policy // as it is, for the modes
	out     *Simulated
	at      map[string]int // index in out.Stopped
	further int
}

// Write is alert.Sink's.
func (s *simulation) Write(ev *alert.Event) error {
	v := ev.Weir.Verdict
	switch {
	case v == nil:
	case ev.Type == "flow":
		s.out.Kinds++
		s.out.Total++
		if v.Action == policy.Undecided.String() {
			s.add(&s.out.Unsure, ev)
		}
	case ev.Weir.Engine == "policy":
		s.add(&s.out.Stopped, ev)
	}
	return nil
}

// Close is alert.Sink's.
func (s *simulation) Close() error { return nil }

func (s *simulation) add(list *[]SimulatedCase, ev *alert.Event) {
	from, to := s.now.Identify(&policy.Subject{Addr: ev.Src.Addr()}), s.now.Identify(&policy.Subject{Addr: ev.Dst.Addr()})
	c := SimulatedCase{What: whatOf(ev), From: policy.GroupsOr(s.now.Groups(from)), To: policy.GroupsOr(s.now.Groups(to)), Count: 1, Last: time.Unix(0, ev.Time).UTC(),
		Rule: ev.Weir.Verdict.Rule, Why: cmp.Or(ev.Weir.Why, ev.Weir.Verdict.Why), Mode: s.now.Mode(from, to).String()}
	k := fmt.Sprint(list == &s.out.Stopped, c.What, "\x00", c.Rule, "\x00", c.Why)
	if i, ok := s.at[k]; ok {
		(*list)[i].Count++
		(*list)[i].Last = c.Last
		return
	}
	if len(s.at) == maxSimulated {
		s.further++
		return
	}
	s.at[k] = len(*list)
	*list = append(*list, c)
}

// whatOf says which conversation an event is about.
func whatOf(ev *alert.Event) string {
	name := func(w *alert.Workload, addr string) string {
		if names := w.Names(); len(names) > 0 {
			return names[0]
		}
		return addr
	}
	port := policy.Port{Proto: ev.Proto, Low: ev.Dst.Port(), Top: ev.Dst.Port()}
	if icmp := ev.Proto == 1 || ev.Proto == 58; icmp {
		port.Low = ev.Src.Port()<<8 | ev.Dst.Port()&0xff
		port.Top = port.Low
	}
	return strings.TrimSpace(fmt.Sprintf("%s -> %s %s %s", name(ev.Weir.Src, ev.Src.Addr().String()), name(ev.Weir.Dst, ev.Dst.Addr().String()), port, ev.AppProto))
}

func (s *simulation) finish() *Simulated {
	slices.SortStableFunc(s.out.Stopped, func(a, b SimulatedCase) int { return cmp.Compare(b.Count, a.Count) })
	if s.further > 0 {
		s.out.Notes = append(s.out.Notes, fmt.Sprintf("%d further denials of other sorts are not listed", s.further))
	}
	if n := len(s.set.Groups); n > 0 {
		s.out.Notes = append(s.out.Notes, "a capture has addresses, no names: groups by name, pod, label or image have no members in it")
	}
	return s.out
}
