package dlp

import (
	"weir/dissect"
	"weir/wire"
)

// site is where the text at hand comes from.
type site struct {
	st      *State
	class   *class
	message uint64
	dir     wire.Dir
	field   dissect.Field
	spec    *dissect.FieldSpec
	value   uint32
	view    uint8
	shifts  []dissect.Shift
	base    int64 // offset in the value at which Hyperscan began
	lines   int   // line ends before the text
}

// ruleRun is how far a rule is with an open value. Offsets are in the value.
type ruleRun struct {
	rule    int32 // in the class
	open    bool  // the match at start may still grow, or waits for its context
	told    bool  // it has been told
	swallow bool  // the ends up to end belong to a match that was cut
	touched bool  // by the evaluation at hand
	resume  int64 // no match may start before
	start   int64
	end     int64
}

func pending(runs []ruleRun) bool {
	for i := range runs {
		if runs[i].open {
			return true
		}
	}
	return false
}

// close64 is how near ends of a region lie to each other, as in the C shim.
const close64 = 64 // bytes

// evaluate turns Hyperscan's regions into findings.
func (s *Scanner) evaluate(at *site, t *text, regions []region, runs []ruleRun, hits []Hit) ([]ruleRun, []Hit) {
	s.Count.Candidates += uint64(len(regions))
	c := at.class
	for i := range regions {
		r := &regions[i]
		s.stops[r.id] = max(s.stops[r.id], at.base+int64(r.last))
		if int(r.id) >= len(c.rules) {
			s.sawWord(at, &c.words[int(r.id)-len(c.rules)])
		}
	}
	for i := range regions {
		r := &regions[i]
		if int(r.id) >= len(c.rules) {
			continue
		}
		var run *ruleRun
		runs, run = runOf(runs, int32(r.id))
		run.touched = true
		hits = s.region(at, t, run, at.base+int64(r.first), at.base+int64(r.last), s.stops[r.id], hits)
	}
	dataEnd := t.base + int64(len(t.b))
	n := 0
	for i := range runs {
		run := &runs[i]
		if run.open && !run.touched {
			hits = s.region(at, t, run, run.end, run.end, dataEnd, hits)
		}
		run.touched = false
		if run.open || run.swallow || run.resume > dataEnd-int64(c.keep) {
			runs[n] = *run
			n++
		}
	}
	for i := range regions {
		s.stops[regions[i].id] = 0
	}
	return runs[:n], s.releaseHeld(at, hits)
}

func runOf(runs []ruleRun, rule int32) ([]ruleRun, *ruleRun) {
	for i := range runs {
		if runs[i].rule == rule {
			return runs, &runs[i]
		}
	}
	runs = append(runs, ruleRun{rule: rule})
	return runs, &runs[len(runs)-1]
}

// region finds and judges all matches of a rule that end in [first, last]. No match of it in the text ends beyond stop.
func (s *Scanner) region(at *site, t *text, run *ruleRun, first, last, stop int64, hits []Hit) []Hit {
	r := at.class.rules[run.rule]
	dataEnd := t.base + int64(len(t.b))
	if run.swallow {
		if first <= run.end+close64 {
			run.end, run.resume = last, last
			return hits
		}
		run.swallow = false
	}
	if run.open {
		first = min(first, run.end)
		if run.told && last == dataEnd && !t.final && dataEnd-run.start < maxMatch-close64 && int64(at.class.keep) > dataEnd-run.start+close64 {
			run.end = max(run.end, first)
			return hits // it still grows, and has been told: look again when it stops
		}
	}
	if last <= run.resume {
		return hits
	}
	from := max(run.resume, first-r.look, t.base)
	if t.base > 0 && from == t.base {
		from++ // so that what stands before a match is known
	}
	found := false
	for from < last {
		m, ok := s.search(at, r, t, from, last, stop)
		if s.m.steps < 0 {
			run.open, run.resume = false, dataEnd
			s.giveUp(dataEnd-from, whySteps)
			return hits
		}
		if !ok {
			break
		}
		found = true
		var more bool
		hits, from, more = s.settle(at, t, r, run, &m, stop, hits)
		if !more {
			return hits
		}
		run.open = false
	}
	if !found && !r.prefix && from > run.resume && r.look > maxMatch && first-from >= maxMatch-1 {
		// Hyperscan is exact: there is a match, but it began before what is kept.
		s.Count.Cut++
		hits = s.tellCut(at, t, r, last, hits)
		run.swallow, run.end, run.resume = true, last, last
	}
	if run.open {
		run.open = false
	}
	return hits
}

func (s *Scanner) search(at *site, r *rule, t *text, from, last, stop int64) (match, bool) {
	s.m.steps = int(at.st.steps) + stepsStart
	before := s.m.steps
	m, ok := s.m.find(r.prog, t, int(from-t.base), int(last-t.base), int(stop-t.base), false)
	at.st.steps -= int32(before - s.m.steps)
	return m, ok
}

// settle judges one match. It returns where to look on, and whether to.
func (s *Scanner) settle(at *site, t *text, r *rule, run *ruleRun, m *match, stop int64, hits []Hit) ([]Hit, int64, bool) {
	s.Count.Confirmed++
	start, end := t.base+int64(m.start), t.base+int64(m.end)
	if m.cut {
		s.Count.Cut++
	}
	again := run.told && run.start == start
	verdict := fail
	if again && end <= run.end && !m.open {
		verdict = pass // told before, and it did not grow
	} else {
		verdict, hits = s.judge(at, t, r, m, again, hits)
		for verdict == fail && len(r.checks) > 0 {
			// What validates may be shorter than the longest match.
			shorter, ok := s.shorter(at, r, t, m)
			if !ok {
				break
			}
			*m = shorter
			verdict, hits = s.judge(at, t, r, m, again, hits)
			end = t.base + int64(m.end)
		}
	}
	if verdict == wait || (m.open && !t.final && !m.cut) {
		run.open, run.told, run.start, run.end, run.resume = true, verdict == pass || again, start, end, start
		return hits, start, false
	}
	run.told = false
	switch {
	case m.cut:
		run.swallow, run.end = true, max(end, stop)
		run.resume = run.end
		return hits, run.end, false
	case verdict == fail && r.retry:
		run.resume = start + 1
	default:
		run.resume = max(end, start+1)
	}
	return hits, run.resume, true
}

// shorter returns the next shorter match with m's start.
func (s *Scanner) shorter(at *site, r *rule, t *text, m *match) (match, bool) {
	if int(m.end-m.start) <= r.expr.min {
		return match{}, false
	}
	s.m.steps = int(at.st.steps) + stepsStart
	before := s.m.steps
	out, ok := s.m.find(r.prog, t, int(m.start), int(m.start)+1, int(m.end)-1, true)
	at.st.steps -= int32(before - s.m.steps)
	out.open, out.cut = m.open, m.cut
	return out, ok && out.end < m.end
}

// source leads a span of a view back to view 0 of the value.
func (at *site) source(from, to, dataEnd int64) (off, end int64, exact bool) {
	if at.view == dissect.ViewPlain {
		return from, to, true
	}
	a, okA := at.delta(from)
	b, okB := at.delta(to)
	// Beyond the last byte that has come nobody has said how far its source reaches.
	return from + a, to + b, okA && okB && to < dataEnd
}

func (at *site) delta(p int64) (int64, bool) {
	d, ok := int64(0), false
	for i := range at.shifts {
		if at.shifts[i].At > p {
			break
		}
		d, ok = at.shifts[i].Delta, true
	}
	return d, ok
}
