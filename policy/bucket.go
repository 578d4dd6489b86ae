package policy

import (
	"slices"
	"sync/atomic"
)

// bucket is what rules say of conversations from one Identity to another on ports of one class. It is made when such a conversation is first
// asked about, and immutable.
type bucket struct {
	from, to Identity
	class    uint32
	mode     Mode
	final    bool // whatever is said, the action is the same
	rules    []listed
	few      [2]listed // rules, where they are not more: what a decision reads lies together
}

// listed is a rule of a bucket, with all that a decision asks of it.
type listed struct {
	where  []condition
	app    int32
	index  int32
	action Action
}

// buckets remembers buckets: a table with a place for each number made of ends and ports, in which a new one displaces the old one.
type buckets struct {
	at    [1 << bucketBits]atomic.Pointer[bucket]
	rules atomic.Int64 // of all buckets
}

// Limits of what is remembered, ours. What is not there is made anew, which costs microseconds.
const (
	bucketBits     = 16
	bucketWays     = 4       // places for a bucket
	maxBucketRules = 1 << 20 // of all buckets, 40 bytes each; beyond that all are forgotten
)

// bucket returns that of a context.
func (p *Policy) bucket(c *Context) *bucket {
	class := p.ports.class(c.Proto, c.Port)
	h := uint64(c.From)*0x9e3779b97f4a7c15 ^ uint64(c.To)*0xc2b2ae3d27d4eb4f ^ uint64(class)*0x165667b19e3779f9
	h ^= h >> 29
	h *= 0xbf58476d1ce4e5b9
	first := uint32(h >> (64 - bucketBits))
	free := first
	for i := range uint32(bucketWays) {
		n := (first + i) % (1 << bucketBits)
		b := p.buckets.at[n].Load()
		if b == nil {
			free = n
			break
		}
		if b.from == c.From && b.to == c.To && b.class == class {
			return b
		}
	}
	b := p.newBucket(c, class)
	p.buckets.put(free, b)
	return b
}

// put puts a bucket in a place.
func (t *buckets) put(n uint32, b *bucket) {
	old := t.at[n].Swap(b)
	total := t.rules.Add(int64(len(b.rules)) + 1)
	if old != nil {
		total = t.rules.Add(-int64(len(old.rules)) - 1)
	}
	if total <= maxBucketRules {
		return
	}
	for i := range t.at {
		if old := t.at[i].Swap(nil); old != nil {
			t.rules.Add(-int64(len(old.rules)) - 1)
		}
	}
}

// newBucket goes through the rules that are for one of the ends, whichever has fewer.
func (p *Policy) newBucket(c *Context, class uint32) *bucket {
	from, to := p.of(c.From), p.of(c.To)
	b := &bucket{from: c.From, to: c.To, class: class, mode: p.mode(from, to)}
	a, z := &p.ends[0], &p.ends[1]
	list := a.list(from)
	if a.count(from) > z.count(to) {
		list = z.list(to)
	}
	b.rules = b.few[:0]
	for _, i := range list {
		r := &p.rules[i]
		if from.isOne(r.from) && to.isOne(r.to) && r.forPort(c.Proto, c.Port) {
			b.rules = append(b.rules, listed{r.where, int32(r.app), r.index, r.action})
			if r.app == noApp && len(r.where) == 0 {
				break // no later one is ever asked
			}
		}
	}
	b.final = b.same()
	b.rules = slices.Clip(b.rules)
	return b
}

// same reports whether the first rules to the one that always matches, or all of them and the default, ask for the same.
func (b *bucket) same() bool {
	for i := range b.rules {
		r := &b.rules[i]
		if r.action != b.rules[0].action {
			return false
		}
		if i == len(b.rules)-1 && r.app == noApp && len(r.where) == 0 {
			return true
		}
	}
	return len(b.rules) == 0 || b.rules[0].action == Deny
}

// count is how many rules are for one of the groups of an identity, or for anybody.
func (s *side) count(id *identity) int {
	n := len(s.anybody)
	for _, g := range id.groups {
		n += len(s.of[g])
	}
	return n
}

// list lists them, in order, each once.
func (s *side) list(id *identity) []int32 {
	out := slices.Clone(s.anybody)
	for _, g := range id.groups {
		out = append(out, s.of[g]...)
	}
	slices.Sort(out)
	return slices.Compact(out)
}
