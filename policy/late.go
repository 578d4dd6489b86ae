package policy

// A request and its answer may be looked at on different lanes, or what was noted of the request may have been handed over before the answer came.
// What is refused then is said of a Mark that the table at hand does not know: the Learner looks for it among what it took in lately.

// ours
const (
	lateMost   = 1024 // refusals that wait for what they are of; then the oldest are forgotten
	recentPart = 48   // what was taken in lately has twice this part of what a Learner may take
	recentCost = 112  // bytes of one, without its key
)

// recent is what was taken in lately and may still be refused.
type recent struct {
	now, before map[Mark]noted
	bytes, most int    // of now
	late        []Mark // refusals of what has not come yet: it may be on its way from another lane
}

// noted is what a Mark stands for.
type noted struct {
	key         seenKey
	first, last int64
}

// keep remembers an entry of a table.
func (r *recent) keep(m Mark, n noted) {
	if r.now == nil || r.bytes > r.most {
		r.now, r.before, r.bytes = map[Mark]noted{}, r.now, 0
	}
	if _, ok := r.now[m]; !ok {
		n.key = append(seenKey(nil), n.key...)
		r.bytes += len(n.key) + recentCost
		r.now[m] = n
	}
}

func (r *recent) find(m Mark) (noted, bool) {
	n, ok := r.now[m]
	if !ok {
		n, ok = r.before[m]
	}
	return n, ok
}

// refused returns what the refusals are of that came late, those before too; of what is not known yet they go on waiting.
func (r *recent) refused(late []Mark) (of []noted) {
	wait := r.late[:0]
	for _, m := range append(r.late, late...) {
		if n, ok := r.find(m); ok {
			of = append(of, n)
		} else {
			wait = append(wait, m)
		}
	}
	r.late = wait[max(0, len(wait)-lateMost):]
	return of
}
