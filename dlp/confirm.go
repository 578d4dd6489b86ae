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
	rule    int32
	open    bool  // the match at start may still grow, or waits for its context
	told    bool  // it has been told
	swallow bool  // the ends up to end belong to a match that was cut
	touched bool  // by the evaluation at hand
	left    int   // steps that the rule may still spend in the evaluation at hand
	resume  int64 // no match may start before
	start   int64
	end     int64 // of the match that is open, or of what is swallowed
	seen    int64 // the last end that Hyperscan told while the match was open
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

// lookAhead is how far beyond the last end the machine goes on to see whether a match may still grow.
const lookAhead = 256 // bytes

// evaluate turns Hyperscan's regions into findings.
func (s *Scanner) evaluate(at *site, t *text, regions []region, runs []ruleRun, hits []Hit) ([]ruleRun, []Hit) {
	s.Count.Candidates += uint64(len(regions))
	c, all := at.class, at.class.db
	// One rule's candidates may not use up what the others need.
	quota := (int(at.st.steps) + stepsStart) / ruleShare
	for i := range regions {
		r := &regions[i]
		s.stops[r.id] = max(s.stops[r.id], at.base+int64(r.last))
		if int(r.id) >= len(all.rules) {
			s.sawWord(at, &all.words[int(r.id)-len(all.rules)])
		}
	}
	for i := range regions {
		r := &regions[i]
		if int(r.id) >= len(all.rules) || !c.has[r.id] {
			continue
		}
		var run *ruleRun
		runs, run = runOf(runs, int32(r.id))
		if !run.touched {
			run.touched, run.left = true, quota
		}
		s.share = run.left
		hits = s.region(at, t, run, ends{at.base + int64(r.first), at.base + int64(r.last), s.stops[r.id], int64(r.ends)}, hits)
		run.left = s.share
	}
	dataEnd := t.base + int64(len(t.b))
	n := 0
	for i := range runs {
		run := &runs[i]
		if run.open && !run.touched {
			s.share = quota
			hits = s.region(at, t, run, ends{run.end, max(run.end, run.seen), dataEnd, 1}, hits)
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
	if s.lost > 0 {
		s.giveUp(s.lost, whySteps)
		s.lost = 0
	}
	return runs[:n], s.releaseHeld(at, s.resolve(at, t, hits))
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

// ends is a region with offsets in the value. No match of its rule in the text ends beyond stop.
type ends struct{ first, last, stop, n int64 }

// region finds and judges all matches of a rule that end in [first, last].
func (s *Scanner) region(at *site, t *text, run *ruleRun, e ends, hits []Hit) []Hit {
	first, last := e.first, e.last
	// A little further, to see whether what matched is over or may go on.
	e.stop = min(e.stop+lookAhead, t.base+int64(len(t.b)))
	r := at.class.db.rules[run.rule]
	dataEnd := t.base + int64(len(t.b))
	if run.swallow {
		if first <= run.end+close64 {
			run.end, run.resume = last, last
			return hits
		}
		run.swallow = false
	}
	if run.open {
		if run.grows(&e, t, dataEnd) && run.patient(dataEnd) && dataEnd-run.start < min(maxMatch, int64(at.class.keep))-close64 {
			run.seen = last
			return hits // look again when it stops growing
		}
		first = min(first, run.end)
	} else if r.luhn && s.Refused == nil && !r.prefix && e.n == 1 && !r.mayEnd(t.b[:last-t.base]) {
		return hits
	}
	if last <= run.resume {
		return hits
	}
	from := max(run.resume, first-r.look, t.base)
	if !t.fresh && t.base > 0 && from == t.base {
		from++ // so that what stands before a match is known
	}
	found := false
	for from < last {
		m, ok := s.search(at, r, t, from, last, e.stop)
		if s.m.steps < 0 {
			run.open, run.resume = false, dataEnd
			s.lost = max(s.lost, dataEnd-from)
			return hits
		}
		if !ok {
			break
		}
		found = true
		var more bool
		hits, from, more = s.settle(at, t, r, run, &m, e.stop, hits)
		if !more {
			run.seen = max(run.seen, last)
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
	run.open = false
	return hits
}

// grows reports whether every byte since the last look was an end, up to the last one that came.
func (run *ruleRun) grows(e *ends, t *text, dataEnd int64) bool {
	return !t.final && e.last == dataEnd && e.first == run.seen+1 && e.n == e.last-e.first+1
}

// patient reports whether a match that grows need not be looked at yet: it has been told, or it is long and has not
// become twice as long.
func (run *ruleRun) patient(dataEnd int64) bool {
	n := dataEnd - run.start
	return run.told || n > close64 && n < 2*(run.end-run.start)
}

func (s *Scanner) search(at *site, r *rule, t *text, from, last, stop int64) (m match, ok bool) {
	s.spendSteps(at, func() {
		m, ok = s.m.find(r.prog, t, int(from-t.base), int(last-t.base), int(stop-t.base), false)
	})
	return m, ok
}

// spendSteps runs the machine on what the rule at hand and the flow may still spend.
func (s *Scanner) spendSteps(at *site, run func()) {
	s.m.steps = min(s.share, int(at.st.steps)+stepsStart)
	before := s.m.steps
	run()
	spent := before - s.m.steps
	s.share -= spent
	at.st.steps -= int32(spent)
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
		if verdict == fail && len(r.checks) > 0 && r.expr.min < r.expr.max {
			verdict, hits = s.shorter(at, t, r, m, again, hits)
			end = t.base + int64(m.end)
		}
	}
	if verdict == wait || (m.open && !t.final && !m.cut) {
		run.open, run.told, run.start, run.end, run.resume = true, verdict == pass || again, start, end, start
		run.seen = end
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

// maxShorter bounds the shorter matches that are tried.
const maxShorter = 32

// shorter judges the matches with m's start that are shorter than m, the longest first: one of them may be what
// validates. It leaves the one that passed in m.
func (s *Scanner) shorter(at *site, t *text, r *rule, m *match, again bool, hits []Hit) (verdict, []Hit) {
	s.m.all, s.m.collect = s.m.all[:0], true
	s.spendSteps(at, func() { s.m.find(r.prog, t, int(m.start), int(m.start)+1, int(m.end)-1, true) })
	s.m.collect = false
	for i := len(s.m.all) - 1; i >= max(0, len(s.m.all)-maxShorter); i-- {
		c := s.m.all[i]
		c.open, c.cut = m.open, m.cut
		var v verdict
		if v, hits = s.judge(at, t, r, &c, again, hits); v != fail {
			*m = c
			return v, hits
		}
	}
	return fail, hits
}

// origin is what a span of a view stands for in view 0 of the value.
type origin struct {
	off, end int64 // all that must be hidden to hide it
	from, to int64 // likewise, but for what it shares with its neighbours: spans that do not overlap do not here either
	exact    bool
}

// source leads a span of a view back to view 0 of the value.
func (at *site) source(from, to, dataEnd int64) origin {
	if at.view == dissect.ViewPlain {
		return origin{from, to, from, to, true}
	}
	a, b := at.shift(from), at.shift(to-1)
	if a == nil || b == nil || b.Out == 0 {
		// Beyond the last byte that has come nobody has said how far its source reaches.
		o := origin{from, to, from, to, a != nil && a.Out >= 0 && to < dataEnd}
		if a != nil {
			o.off = a.Begin(from)
		}
		if b = at.shift(to); b != nil {
			o.end = to + b.Delta
		}
		o.from, o.to = o.off, o.end
		return o
	}
	o := origin{off: a.Begin(from), end: b.End(to - 1), exact: a.Out >= 0 && b.Out > 0}
	o.from = within(a, from)
	o.to = max(within(b, to), o.from+1)
	return o
}

// within is where p is in the source, if a group's bytes are spread over it evenly.
func within(s *dissect.Shift, p int64) int64 {
	if s.Out <= 0 {
		return p + s.Delta
	}
	return s.At + s.Delta + (p-s.At)*int64(s.In)/int64(s.Out)
}

// shift returns the one that holds for an offset of the view.
func (at *site) shift(p int64) *dissect.Shift {
	var s *dissect.Shift
	for i := range at.shifts {
		if at.shifts[i].At > p {
			break
		}
		s = &at.shifts[i]
	}
	return s
}
