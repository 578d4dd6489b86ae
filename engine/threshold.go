package engine

import (
	"cmp"
	"container/list"
	"fmt"
	"math"
	"sync"

	"weir/dlp"
	"weir/rules"
)

// thresholds count the different values that rules find in a flow, or in a window of what one workload or address sends. Values are known by
// their keyed hashes only. All taps share them: a workload's flows may come by several. They are asked where a rule with such a threshold has
// found something, and nowhere else.
type thresholds struct {
	mu    sync.Mutex
	at    map[thresholdKey]*list.Element
	used  list.List // of *threshold, the most recently used first
	bytes int
}

// thresholdKey says of which rule, and in what.
type thresholdKey struct {
	rule string
	who  string // the workload's id or name, else the address
	flow uint64 // of which flow; 0: of a window
}

// threshold is the different values found last, as many as the rule asks for.
type threshold struct {
	key    thresholdKey
	values []seenValue
	raised int64 // ns: when; never: not yet
}

type seenValue struct {
	sum  uint64 // dlp.Hit.Sum
	last int64  // ns: when it was found last
}

// ours
const (
	thresholdBytes = 4 << 20 // bytes of all thresholds
	thresholdSize  = 256     // bytes that one is counted for
	seenValueSize  = 16
	never          = math.MinInt64
)

func newThresholds() *thresholds { return &thresholds{at: map[thresholdKey]*list.Element{}} }

// count notes a value at a time, and returns how many different ones there are in window, and whether as many as asked for, for the first time
// in a window. forgot says that others were forgotten to make room.
func (x *thresholds) count(key thresholdKey, sum uint64, now, window int64, asked int) (n int, reached, forgot bool) {
	x.mu.Lock()
	defer x.mu.Unlock()
	t := x.find(key)
	had := cap(t.values)
	t.see(seenValue{sum, now}, asked)
	x.bytes += (cap(t.values) - had) * seenValueSize
	for _, v := range t.values {
		if within(v.last, now, window) {
			n++
		}
	}
	if n >= asked && !(t.raised != never && within(t.raised, now, window)) {
		t.raised, reached = now, true
	}
	for x.bytes > thresholdBytes && x.used.Len() > 1 {
		x.drop(x.used.Back())
		forgot = true
	}
	return n, reached, forgot
}

// within reports whether two times are at most so far apart: taps' clocks need not agree.
func within(a, b, window int64) bool { return max(a, b)-min(a, b) <= window }

// see puts a value in, in the stead of the one that was seen longest ago if there are enough.
func (t *threshold) see(v seenValue, most int) {
	oldest := 0
	for i := range t.values {
		if t.values[i].sum == v.sum {
			t.values[i].last = max(t.values[i].last, v.last)
			return
		}
		if t.values[i].last < t.values[oldest].last {
			oldest = i
		}
	}
	if len(t.values) < most {
		t.values = append(t.values, v)
		return
	}
	t.values[oldest] = v
}

func (x *thresholds) find(key thresholdKey) *threshold {
	if el := x.at[key]; el != nil {
		x.used.MoveToFront(el)
		return el.Value.(*threshold)
	}
	t := &threshold{key: key, raised: never}
	x.at[key] = x.used.PushFront(t)
	x.bytes += thresholdSize
	return t
}

func (x *thresholds) drop(el *list.Element) {
	t := x.used.Remove(el).(*threshold)
	delete(x.at, t.key)
	x.bytes -= thresholdSize + cap(t.values)*seenValueSize
}

// raises decides whether a finding is worth an alert, or an info: the ends that its rule asks for hold, and there are as many different values
// as it asks for in what it counts them in.
func (l *Lane) raises(h *dlp.Hit) bool {
	r := h.Rule
	if h.Unsure || h.Given || !(h.Raise || h.Test || r.Per != rules.PerMessage && !h.Grown && h.Fingerprint != "") {
		return false
	}
	if len(r.From)+len(r.To) > 0 && !l.between(r, h.Dir) {
		l.t.count.elsewhere++
		return false
	}
	if r.Per == rules.PerMessage || h.Test {
		return true
	}
	return l.reached(h)
}

// reached counts a finding of a rule with a threshold per flow or window.
func (l *Lane) reached(h *dlp.Hit) bool {
	r := h.Rule
	key, window := thresholdKey{rule: r.ID}, int64(r.Window)
	if r.Per == rules.PerFlow {
		key.flow, window = l.fl.ID, math.MaxInt64
		if tw := l.fl.S.twin(); tw != nil {
			key.flow = tw.id
		}
	} else {
		addr, _ := l.ends(h.Dir)
		key.who = fmt.Sprintf("%d %s", l.fl.Key.Scope, addr.at)
		if w := addr.who; w != nil {
			key.who = cmp.Or(w.ID, w.String(), key.who)
		}
	}
	asked := max(1, r.MinDistinct)
	n, reached, forgot := l.e.thresholds.count(key, h.Sum, l.t.now, window, asked)
	if forgot && l.a.tell(whyThresholds) {
		l.anomaly("engine", whyThresholds, "too many values wait for others of their rule: those of the rule and workload that found nothing for longest are forgotten")
	}
	if h.Raise && !reached && n < asked { // there are so many in this message alone that not all were told one by one
		return true
	}
	h.Distinct = max(h.Distinct, n)
	return reached
}

const whyThresholds = "dlp.threshold_budget"

// thresholdText says what an alert of a rule with a threshold counts.
func thresholdText(h *dlp.Hit) string {
	switch r := h.Rule; r.Per {
	case rules.PerFlow:
		return fmt.Sprintf("%d different values in the flow", h.Distinct)
	case rules.PerWindow:
		return fmt.Sprintf("%d different values from the same workload or address within %s", h.Distinct, r.Window)
	}
	return ""
}

// judged counts for the tap what the scanner has found, and what became of it.
func (l *Lane) judged() {
	now, c := &l.scan.Count, &l.t.count
	c.unsure += now.Unsure - l.told.Unsure
	c.allowed += now.Allowed - l.told.Allowed
	c.given += now.Given - l.told.Given
	l.told.Unsure, l.told.Allowed, l.told.Given = now.Unsure, now.Allowed, now.Given
}
