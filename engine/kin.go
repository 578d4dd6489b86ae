package engine

import (
	"hash/maphash"
	"sync"

	"weir/flow"
	"weir/pcapstore"
	"weir/wire"
)

// kin are the taps of one interface, of which there is one for each of its rings. A ring brings all frames between two
// hosts, but when the rings of an interface are split or folded, other frames come to another ring, whose tap knows
// nothing of their flows. So a flow stays with the tap that has it, and every other tap that meets one of its frames
// takes it there. Which tap has which flow stands here: then it does not matter what the rings are made to bring, nor
// that a flow inside tunnels may come by two of them.
//
// A lane holds the lock of one tap at a time; no other lock is taken under kin's.
type kin struct {
	seed   maphash.Seed
	shards [kinShards]struct {
		mu sync.Mutex
		at map[uint64]*Tap // hash of a flow's key: the tap that has it; as many as there are flows
	}

	mu     sync.Mutex // guards what follows
	defrag *flow.Defrag
	pieces *pcapstore.Recent // fragments of datagrams that are not whole yet; nil: nobody asked for packets
	told   map[string]bool
}

// ours
const (
	kinShards = 64
	kinPieces = 256 << 10 // bytes of the fragments that are kept; evidence lacks what is too old
)

// Sibling returns another tap of t's interface, for another of its rings; t is the first. Frames of the new
// ring must not come before all that is t's so far has been looked at. Any goroutine may call it.
func (t *Tap) Sibling() *Tap {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.kin == nil {
		k := &kin{seed: maphash.MakeSeed(), defrag: t.defrag, told: map[string]bool{}}
		for i := range k.shards {
			k.shards[i].at = map[uint64]*Tap{}
		}
		if t.recent != nil {
			k.pieces = pcapstore.NewRecent(kinPieces)
		}
		for code := range t.told {
			k.told[code] = true
		}
		t.table.Range(func(fl *flow.Flow[conn]) bool {
			k.claim(&fl.Key, t)
			return true
		})
		t.kin = k
	}
	s := t.e.NewTap(t.cfg)
	s.kin, s.defrag, s.younger = t.kin, t.defrag, true
	return s
}

// claim returns the tap that has a flow; t if none had it.
func (k *kin) claim(key *wire.Key, t *Tap) *Tap {
	h := maphash.Comparable(k.seed, *key)
	s := &k.shards[h%kinShards]
	s.mu.Lock()
	defer s.mu.Unlock()
	if has := s.at[h]; has != nil {
		return has
	}
	s.at[h] = t
	return t
}

// has returns the tap that has a flow; nil: none.
func (k *kin) has(key *wire.Key) *Tap {
	h := maphash.Comparable(k.seed, *key)
	s := &k.shards[h%kinShards]
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.at[h]
}

// release says that a flow of t is over.
func (k *kin) release(key *wire.Key, t *Tap) {
	h := maphash.Comparable(k.seed, *key)
	s := &k.shards[h%kinShards]
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.at[h] == t {
		delete(s.at, h)
	}
}

// first reports whether none of the taps has told code yet.
func (k *kin) first(code string) bool {
	k.mu.Lock()
	defer k.mu.Unlock()
	told := k.told[code]
	k.told[code] = true
	return !told
}

// owner returns the tap that the present packet belongs to.
func (l *Lane) owner(t *Tap) *Tap {
	if t.kin == nil || t.table.Find(&l.p.Key) != nil {
		return t
	}
	return t.kin.claim(&l.p.Key, t)
}

// defragment takes the present packet, a fragment. The datagram that it completes is borrowed until the next one.
func (l *Lane) defragment(t *Tap) (whole []byte, odd flow.FragAnomaly) {
	if t.kin == nil {
		return t.defrag.Push(&l.p)
	}
	t.kin.mu.Lock()
	defer t.kin.mu.Unlock()
	whole, odd = t.defrag.Push(&l.p)
	if whole != nil {
		l.whole = append(l.whole[:0], whole...) // another tap may push the next one
		whole = l.whole
	}
	return whole, odd
}

// expireFragments drops datagrams that have not become whole for long, and settles what they may take, which is the first tap's.
func (t *Tap) expireFragments(now int64) {
	if t.kin != nil {
		t.kin.mu.Lock()
		defer t.kin.mu.Unlock()
	}
	t.defrag.Tick(now)
	if !t.younger {
		t.shares.fragments.Settle()
	}
}

// elsewhere is a frame of a block that belongs to another tap.
type elsewhere struct {
	tap   *Tap
	index int
}

// visits takes frames of a block to the taps that they belong to, once all of the block's own have been dealt with: in their
// order, and with one change of taps for each.
func (l *Lane) visits(frames []wire.Frame) {
	for len(l.others) > 0 {
		o := l.others[0].tap
		leave := l.visit(o)
		l.catchUp(o, frames)
		leave()
	}
}

// visit makes l serve o for a while in place of the tap whose block it is; leave ends that.
func (l *Lane) visit(o *Tap) (leave func()) {
	t := l.t
	l.detach(t)
	t.mu.Unlock()
	o.mu.Lock()
	l.attach(o)
	return func() {
		o.publish()
		l.detach(o)
		o.mu.Unlock()
		t.mu.Lock()
		l.attach(t)
	}
}

// catchUp deals with the frames that were left for o, which l serves.
func (l *Lane) catchUp(o *Tap, frames []wire.Frame) {
	rest := l.others[:0]
	for i := 0; i < len(l.others); i++ {
		if x := l.others[i]; x.tap != o {
			rest = append(rest, x)
		} else {
			l.index = x.index
			if o.opens.short() || o.table.Short() {
				l.makeRoom(o)
			}
			l.guest(o, &frames[x.index])
		}
	}
	clear(l.others[len(rest):])
	l.others = rest
}

// guest takes a frame of another tap's ring, which was counted there, through the pipeline of o.
func (l *Lane) guest(o *Tap, f *wire.Frame) {
	defer l.recovered(o, f)
	if l.dec.Decode(f, &l.p) == wire.OK && !l.p.Fragmented {
		l.packet(o, f, 0)
	}
}

// bring takes the present packet, which was put together from fragments, to the tap that it belongs to, after all that came
// before it.
func (l *Lane) bring(o *Tap, f *wire.Frame, tag uint64, frames []wire.Frame) {
	p, index := l.p, l.index
	leave := l.visit(o)
	defer leave()
	l.catchUp(o, frames)
	l.p, l.index = p, index
	defer l.recovered(o, f)
	l.packet(o, f, tag)
}

// keepPiece keeps a fragment of a datagram that is not whole yet.
func (t *Tap) keepPiece(f *wire.Frame, tag uint64) {
	if t.kin == nil {
		t.keepRecent(f, tag)
		return
	}
	t.kin.mu.Lock()
	defer t.kin.mu.Unlock()
	t.kin.pieces.Add(f, tag)
}

// gather moves the fragments of a datagram, which is whole now, among t's recent packets: they are evidence.
func (k *kin) gather(t *Tap, tag uint64) {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.pieces.Flow(tag, func(f *wire.Frame) { t.recent.Add(f, tag) })
}
