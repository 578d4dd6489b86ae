package policy

import (
	"slices"
	"strings"
)

// ours
const (
	setMost    = 256 // patterns that are kept of a field, of one verb
	foldAt     = 12  // as many values that differ in one place alone are one pattern
	foldedMost = 64  // patterns that were made so
	foldEvery  = 64  // new values until it is worth while to look again
)

// Tally is how often something was seen, and when.
type Tally struct {
	Count   uint64 `json:"n"`
	Refused uint64 `json:"refused,omitempty"` // of them, as the answer said
	First   int64  `json:"first"`             // ns since the epoch
	Last    int64  `json:"last"`
	Values  uint32 `json:"values,omitempty"` // patterns that were folded into this one
}

func (t *Tally) add(o Tally) {
	if t.Count == 0 || o.First < t.First {
		t.First = o.First
	}
	t.Last = max(t.Last, o.Last)
	t.Count += o.Count
	t.Refused += o.Refused
}

// accepted reports whether it was not always refused.
func (t *Tally) accepted() bool { return t.Count > t.Refused }

// weak says how little is lost without it: what was always refused goes first, then what was seen once.
func (t *Tally) weak() bool { return !t.accepted() || t.Count == 1 }

// values are the patterns that were seen of one field. It is bounded: when it is full, what differs in one place alone is folded; then
// what is weak gives way to what is new; then what is new is left out, and counted.
type values struct {
	style   style
	of      map[string]*Tally
	folded  []string // those of which fold made some: what fits them is one of them
	dropped uint64   // values that found no room
	fresh   int      // values that came since fold looked
	weakest []string // what may give way, the weakest last; it may have become strong since, or be gone
	firm    int      // values for which nobody looks again what is weak: nothing was
}

func newValues(s style) *values { return &values{style: s, of: map[string]*Tally{}} }

// add notes a value. take is asked for room for a further one, and told of room that is given back.
func (v *values) add(value string, t Tally, room *room) {
	if at := v.place(value); at != nil {
		at.add(t)
		return
	}
	if t.Count == 0 { // a refusal of what was forgotten
		return
	}
	if len(v.of) >= setMost {
		if v.fresh >= foldEvery {
			v.fresh = 0
			room.back(v.fold())
		}
		if at := v.place(value); at != nil {
			at.add(t)
			return
		}
		if len(v.of) >= setMost && !v.yield(t, room) {
			v.dropped++
			return
		}
	}
	if !room.take(len(value)) {
		v.dropped++
		return
	}
	v.of[value] = &t
	v.fresh++
}

// place returns what a value is counted in, nil if it is new.
func (v *values) place(value string) *Tally {
	if t := v.of[value]; t != nil {
		return t
	}
	for _, p := range v.folded {
		if within(v.style, p, value) {
			return v.of[p]
		}
	}
	return nil
}

// yield makes room for something new by forgetting what is weakest, if anything is. What is new and refused pushes nothing out.
func (v *values) yield(t Tally, room *room) bool {
	if !t.accepted() {
		return false
	}
	worst, ok := v.weak()
	if !ok {
		return false
	}
	delete(v.of, worst)
	room.back(1, len(worst))
	v.dropped++
	return true
}

// weak returns the weakest value that there is, of those that there were when it was last looked; false if there is none.
func (v *values) weak() (string, bool) {
	for looked := false; ; looked = true {
		for n := len(v.weakest); n > 0; n = len(v.weakest) {
			p := v.weakest[n-1]
			v.weakest = v.weakest[:n-1]
			if t := v.of[p]; t != nil && t.weak() {
				return p, true
			}
		}
		if v.firm > 0 {
			v.firm--
			return "", false
		}
		if looked {
			v.firm = foldEvery
			return "", false
		}
		for p, t := range v.of {
			if t.weak() {
				v.weakest = append(v.weakest, p)
			}
		}
		slices.SortFunc(v.weakest, func(p, q string) int {
			switch a, b := v.of[p], v.of[q]; {
			case weaker(a, b):
				return 1
			case weaker(b, a):
				return -1
			}
			return strings.Compare(q, p)
		})
	}
}

func weaker(a, b *Tally) bool {
	if a.accepted() != b.accepted() {
		return b.accepted()
	}
	return a.Last < b.Last
}

// fold makes one pattern of values that differ in one place alone, where they are foldAt or more, and returns how many were saved, and their bytes. What was always
// refused is no reason to fold, and the first segment of a path, or what is directly below a domain of two labels, never is: that would be everything.
func (v *values) fold() (saved, bytes int) {
	for place := 0; place < maxPlaces && len(v.folded) < foldedMost; place++ {
		groups := map[string][]string{}
		for p, t := range v.of {
			if !t.accepted() || slices.Contains(v.folded, p) {
				continue
			}
			if g := blank(v.style, p, place); g != "" && checkPattern(g) == "" {
				groups[g] = append(groups[g], p)
			}
		}
		for _, g := range sortedKeys(groups) {
			if members := groups[g]; len(members) >= foldAt && len(v.folded) < foldedMost {
				var sum Tally
				for _, p := range members {
					t := v.of[p]
					sum.add(*t)
					sum.Values += max(t.Values, 1)
					delete(v.of, p)
					saved, bytes = saved+1, bytes+len(p)
				}
				v.of[g] = &sum
				v.folded = append(v.folded, g)
				saved, bytes = saved-1, bytes-len(g)
			}
		}
	}
	return saved, bytes
}

const maxPlaces = 16 // segments of a value in which others may differ; ours

// blank is a value without what stands at a place, counted from the front; of names, whose front is what differs, from the end. "" if there is nothing that could
// be left out.
func blank(s style, value string, place int) string {
	switch s {
	case stylePath, styleTopic:
		sep := "/"
		if s == styleTopic && !strings.Contains(value, "/") {
			sep = "."
		}
		segs := strings.Split(value, sep)
		at := place + 1 // what is in front of the first slash of a path is nothing
		if sep == "/" && strings.HasPrefix(value, "/") {
			at++
		}
		if at >= len(segs) || segs[at] == "" || segs[at][0] == '{' {
			return ""
		}
		segs[at] = "{name}"
		return strings.Join(segs, sep)
	case styleName:
		if place > 0 {
			return ""
		}
		first, rest, ok := strings.Cut(value, ".")
		if !ok || first == "*" || strings.Count(rest, ".") < 2 {
			return ""
		}
		return "*." + rest
	}
	return ""
}

// foldable reports whether fold may have made a pattern.
func foldable(s style, p string) bool {
	if s == styleName {
		return strings.HasPrefix(p, "*.") && strings.Count(p, ".") >= 2
	}
	return (s == stylePath || s == styleTopic) && strings.Contains(p, "{name}")
}

// within reports whether a value is one of those that a folded pattern stands for.
func within(s style, pattern, value string) bool {
	if s == styleName {
		return strings.HasSuffix(value, pattern[1:]) && !strings.Contains(value[:len(value)-len(pattern)+1], ".")
	}
	const hole = "{name}"
	for {
		i := strings.Index(pattern, hole)
		if i < 0 {
			return pattern == value
		}
		if !strings.HasPrefix(value, pattern[:i]) {
			return false
		}
		pattern, value = pattern[i+len(hole):], value[i:]
		n := strings.IndexAny(value, "/.")
		if n < 0 || s == stylePath && value[n] == '.' {
			n = strings.IndexByte(value, '/')
		}
		if n < 0 {
			n = len(value)
		}
		if n == 0 {
			return false
		}
		value = value[n:]
	}
}

// room is what a learner may take in all, and one party's share of it.
type room struct {
	left, share *int // bytes
}

const valueCost = 160 // bytes that a value takes beside its letters, with what the map adds

func (r *room) take(letters int) bool {
	n := letters + valueCost
	if *r.left < n || *r.share < n {
		return false
	}
	*r.left -= n
	*r.share -= n
	return true
}

// back gives back the room of so many values, with so many letters in all.
func (r *room) back(values, letters int) {
	n := letters + values*valueCost
	*r.left += n
	*r.share += n
}

func sortedKeys[V any](m map[string]V) []string {
	out := make([]string, 0, len(m))
	for k := range m {
		out = append(out, k)
	}
	slices.Sort(out)
	return out
}
