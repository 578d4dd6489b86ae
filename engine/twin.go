package engine

import (
	"hash/maphash"
	"runtime"
	"sync"
	"sync/atomic"

	"weir/budget"
	"weir/dissect"
	"weir/flow"
	"weir/wire"
)

// twin is a conversation of two local workloads, which two taps see. Its bytes are inspected once, by whichever tap
// brings them first; the other one only makes sure that it brings the very same bytes, piece by piece. Neither is
// trusted more than the other, so there is nothing to hide behind: what one tap lost, or never saw, the other brings
// and it is inspected; a piece that differs from what was inspected takes its tap out of the twin, and from there on
// that tap inspects by itself.
//
// All of it is guarded by the lock of its home.
type twin struct {
	home    *twinHome
	key     wire.Key
	id      uint64 // of the conversation, in events of both taps
	app     *app
	fl      [2]*flow.Flow[conn] // the taps' flows; nil: not there yet, or gone
	tap     [2]*Tap
	since   int64 // ns: when its first tap began it
	aFirst  bool  // as Flow.AInitiates: both taps must see the same initiator
	met     bool  // both taps have been there
	apart   bool  // one went apart: the other one is alone, nothing is written down for it
	done    bool  // its events are told: it ended
	told    flow.Anomaly
	dirs    [2]twinDir
	kept    [2][]byte // bytes of an unfinished message, which a flow by itself has in its table
	keptLen [2]int
}

// twinHome is what the twins whose keys fall on it have in common: what their dissectors share, and what may be open in them.
type twinHome struct {
	mu    sync.Mutex
	env   dissect.Env
	opens opens

	settled int64 // ns: when the share of opens was settled last
}

// lock makes the home l's own; unlock gives it back.
func (h *twinHome) lock(l *Lane) (unlock func()) {
	h.mu.Lock()
	h.env.Want, h.env.Scratch, h.env.Now = l.t.env.Want, &l.scratch, l.t.now
	return func() {
		h.env.Scratch = nil
		l.t.undecodable += h.env.Count.Undecodable
		h.env.Count = dissect.Counters{}
		h.mu.Unlock()
	}
}

// twinDir is one direction of a twin.
type twinDir struct {
	by      int8 // TCP: index of the tap that is ahead
	begun   bool
	next    wire.Seq   // TCP: where the bytes that were inspected end
	brought [2]brought // by each of the taps, and not by the other yet; of TCP one of them is empty
	refused [4]uint64  // keyed hashes of the last bytes that the receiver did not take
}

// brought is a queue of pieces.
type brought struct {
	pieces []twinPiece
	head   int // index of the first one that is left
}

func (b *brought) left() []twinPiece { return b.pieces[b.head:] }

type twinPiece struct {
	seq wire.Seq
	n   uint32
	sum uint64 // keyed hash of its bytes
}

// ours
const (
	twinWait      = 2e9     // ns that a tap is waited for; then it is taken not to see the conversation
	twinBehind    = 1 << 16 // pieces of a direction that a tap may be behind; then it inspects by itself
	twinMost      = 1 << 20 // pieces of all twins together, 16 bytes each; then no tap may be behind
	twinDatagrams = 256     // datagrams of a direction that a tap may be behind; older ones are taken to be lost
	twinShards    = 1 << 6  // of the registry
	twinHomes     = 4       // for each processor, so that lanes seldom wait for each other
	twinKeptFree  = 512     // bytes of the least room for an unfinished message
	twinPart      = 64      // of what may be open, the pieces are this part at most
	twinPieceSize = 16      // bytes
)

// twins finds the twin that another tap has begun. Only those that wait for their second tap are in it.
type twins struct {
	seed   maphash.Seed
	shards [twinShards]struct {
		mu sync.Mutex
		at map[wire.Key]*twin
	}
	homes  []twinHome
	pieces atomic.Int64 // written down
	most   int64        // of them
	turn   atomic.Uint32
}

// quiet lets go of what one home after the other keeps for no reason, now that a tap has nothing else to do.
func (x *twins) quiet(l *Lane) {
	h := &x.homes[int(x.turn.Add(1))%len(x.homes)]
	if !h.mu.TryLock() {
		return
	}
	defer h.mu.Unlock()
	defer l.survive()
	h.env.Scratch = &l.scratch
	l.sweep(&h.opens, sweepTick, 0)
	h.opens.bytes.Settle()
	h.env.Scratch = nil
}

func newTwins(limits dissect.Limits, open *budget.Budget) *twins {
	t := &twins{seed: maphash.MakeSeed(), homes: make([]twinHome, twinHomes*runtime.GOMAXPROCS(0))}
	t.most = min(twinMost, open.Total()/twinPart/twinPieceSize)
	for i := range t.homes {
		h := &t.homes[i]
		h.opens.share(open)
		h.env.Limits, h.env.Share = limits, h.opens.bytes
	}
	for i := range t.shards {
		t.shards[i].at = map[wire.Key]*twin{}
	}
	return t
}

// meet returns the twin that waits under fl's key for t, or puts one there that t begins.
func (x *twins) meet(t *Tap, fl *flow.Flow[conn], fresh func() *app) *twin {
	hash := maphash.Comparable(x.seed, fl.Key)
	s := &x.shards[hash%twinShards]
	s.mu.Lock()
	defer s.mu.Unlock()
	if tw := s.at[fl.Key]; tw != nil && tw.join(t, fl) {
		delete(s.at, fl.Key)
		return tw
	}
	tw := &twin{home: &x.homes[hash/twinShards%uint64(len(x.homes))], key: fl.Key, id: fl.ID, app: fresh(), aFirst: fl.AInitiates, since: t.now}
	tw.fl[0], tw.tap[0], tw.app.twin = fl, t, tw
	s.at[fl.Key] = tw
	return tw
}

// forget takes tw out of the registry: nobody is waited for any more. The lock of tw's home is not held.
func (x *twins) forget(tw *twin) {
	s := &x.shards[maphash.Comparable(x.seed, tw.key)%twinShards]
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.at[tw.key] == tw {
		delete(s.at, tw.key)
	}
}

// join makes t the second tap of tw; false: it cannot be.
func (tw *twin) join(t *Tap, fl *flow.Flow[conn]) bool {
	tw.home.mu.Lock()
	defer tw.home.mu.Unlock()
	if tw.met || tw.apart || tw.fl[0] == nil || tw.tap[0] == t || tw.aFirst != fl.AInitiates {
		return false
	}
	tw.fl[1], tw.tap[1], tw.met = fl, t, true
	return true
}

// side returns the index of a flow that belongs to tw.
func (tw *twin) side(fl *flow.Flow[conn]) int8 {
	if tw.fl[1] == fl {
		return 1
	}
	return 0
}

func (tw *twin) alone() bool { return tw.apart || tw.fl[0] == nil || tw.met && tw.fl[1] == nil }

// standing is where a tap stands with a chunk.
type standing uint8

const (
	ahead  standing = iota // it is new: inspect it
	behind                 // the other tap has brought it
	differ                 // it is not what the other tap has brought, or nobody knows: inspect it apart
)

// stand finds out where a tap stands with a chunk; what is new is written down for the other tap. now is the frame's time.
func (x *twins) stand(tw *twin, side int8, c *flow.Chunk, now int64) standing {
	d := &tw.dirs[c.Dir]
	if c.Refused {
		return x.standRefused(d, c)
	}
	if tw.key.Proto != wire.ProtoTCP {
		return x.standDatagram(tw, side, c, now)
	}
	if other := &d.brought[1-side]; len(other.left()) > 0 {
		return x.follow(other, c)
	}
	if len(c.Data) == 0 && c.Gap == 0 {
		if tw.done {
			return behind
		}
		return ahead
	}
	if tw.done || d.begun && d.by != side && c.Seq.Add(-c.Gap) != d.next {
		return differ
	}
	if c.Gap > 0 && !tw.alone() {
		return differ // the other tap may have the bytes: they are its to inspect
	}
	d.begun, d.by, d.next = true, side, c.Seq.Add(len(c.Data))
	x.write(tw, side, c, now)
	return ahead
}

// standDatagram is stand for what is not TCP. Some datagrams may have been lost here, others there.
func (x *twins) standDatagram(tw *twin, side int8, c *flow.Chunk, now int64) standing {
	d := &tw.dirs[c.Dir]
	other := &d.brought[1-side]
	if left := other.left(); len(left) > 0 {
		sum := maphash.Bytes(x.seed, c.Data)
		for i := range left {
			if left[i].sum == sum && int(left[i].n) == len(c.Data) {
				x.pop(other, i+1)
				return behind
			}
		}
	}
	if tw.done {
		return differ
	}
	if own := &d.brought[side]; len(own.left()) >= twinDatagrams {
		x.pop(own, 1)
	}
	x.write(tw, side, c, now)
	return ahead
}

// standRefused is stand for bytes that the receiver did not take: both taps bring them, at any time. Of many some are inspected twice.
func (x *twins) standRefused(d *twinDir, c *flow.Chunk) standing {
	sum := maphash.Bytes(x.seed, c.Data)
	for _, s := range d.refused {
		if s == sum {
			return behind
		}
	}
	copy(d.refused[1:], d.refused[:])
	d.refused[0] = sum
	return ahead
}

// follow compares a chunk with the pieces that the other tap has brought.
func (x *twins) follow(other *brought, c *flow.Chunk) standing {
	left := other.left()
	n := 0
	if c.Gap > 0 { // the other tap has what this one lost
		for n < len(left) && left[n].seq.Before(c.Seq) {
			if c.Seq.Before(left[n].seq.Add(int(left[n].n))) {
				return differ
			}
			n++
		}
	}
	if len(c.Data) > 0 {
		if n == len(left) || left[n].seq != c.Seq || int(left[n].n) != len(c.Data) || left[n].sum != maphash.Bytes(x.seed, c.Data) {
			return differ
		}
		n++
	}
	x.pop(other, n)
	return behind
}

// write writes a piece down for the other tap, if it may still bring it.
func (x *twins) write(tw *twin, side int8, c *flow.Chunk, now int64) {
	if len(c.Data) == 0 || tw.alone() {
		return
	}
	b := &tw.dirs[c.Dir].brought[side]
	if !tw.met && now-tw.since > twinWait || len(b.left()) >= twinBehind || x.pieces.Load() >= x.most {
		tw.apart = true // whoever comes behind finds nothing to follow
		if !tw.met {
			x.clear(tw)
		}
		return
	}
	if b.head > 0 && (b.head == len(b.pieces) || len(b.pieces) == cap(b.pieces)) {
		b.pieces, b.head = b.pieces[:copy(b.pieces, b.left())], 0
	}
	b.pieces = append(b.pieces, twinPiece{seq: c.Seq, n: uint32(len(c.Data)), sum: maphash.Bytes(x.seed, c.Data)})
	x.pieces.Add(1)
}

func (x *twins) pop(b *brought, n int) {
	b.head += n
	x.pieces.Add(int64(-n))
}

// leave takes a flow that has ended out of tw. It reports whether the conversation is over with it, so that its events
// are to be told now: once, by the first tap that saw all of it to its end, else by the last one.
func (x *twins) leave(tw *twin, fl *flow.Flow[conn], why flow.Reason) (over bool) {
	side := tw.side(fl)
	tw.fl[side] = nil
	last := tw.fl[0] == nil && tw.fl[1] == nil
	over = !tw.done && (last || why == flow.Ended && !tw.trails(side))
	tw.done = tw.done || over
	if last || tw.apart {
		x.clear(tw)
	}
	return over
}

// trails reports whether the other tap has brought bytes that this one has not.
func (tw *twin) trails(side int8) bool {
	for i := range tw.dirs {
		if len(tw.dirs[i].brought[1-side].left()) > 0 {
			return true
		}
	}
	return false
}

// clear drops what is written down: nobody will ask for it.
func (x *twins) clear(tw *twin) {
	for i := range tw.dirs {
		for k := range tw.dirs[i].brought {
			b := &tw.dirs[i].brought[k]
			x.pop(b, len(b.left()))
			*b = brought{}
		}
	}
}

// keep holds bytes for the next chunk of dir, as flow.Table does for a flow by itself. They are counted with what is open.
func (tw *twin) keep(dir wire.Dir, rest []byte) bool {
	b := tw.kept[dir]
	if len(rest) > cap(b) {
		size := max(2*len(rest), twinKeptFree)
		if !tw.home.opens.bytes.Fits(int64(size - cap(b))) {
			return false
		}
		b = make([]byte, 0, size)
	}
	b = b[:len(rest)]
	copy(b, rest)
	tw.kept[dir], tw.keptLen[dir] = b, len(rest)
	return true
}

// join returns what is held of dir, followed by data; nothing is held any more then.
func (tw *twin) joinKept(dir wire.Dir, data []byte) []byte {
	n := tw.keptLen[dir]
	if n == 0 {
		return data
	}
	tw.keptLen[dir] = 0
	b := tw.kept[dir][:n]
	if n+len(data) > cap(b) {
		return append(append(make([]byte, 0, n+len(data)), b...), data...)
	}
	b = append(b, data...)
	return b
}

// size returns the bytes that are open in tw beside its app's.
func (tw *twin) size() int { return cap(tw.kept[0]) + cap(tw.kept[1]) }

// rest lets go of what is needed only while something is open.
func (tw *twin) rest() {
	tw.kept, tw.keptLen = [2][]byte{}, [2]int{}
	for i := range tw.dirs {
		for k := range tw.dirs[i].brought {
			if b := &tw.dirs[i].brought[k]; len(b.left()) == 0 {
				*b = brought{}
			}
		}
	}
}

// begin gives a flow that carries its first bytes what layer 7 needs: its own, or what it has in common with the other
// tap that sees the same conversation.
func (l *Lane) begin(fl *flow.Flow[conn]) {
	if l.t.inline() || l.t.cfg.Inside != nil || !l.e.local(&fl.Key, fl.Start) {
		fl.S.app = l.beginApp()
		return
	}
	fl.S.app = l.e.twins.meet(l.t, fl, l.beginApp).app
}

func (l *Lane) beginApp() *app {
	a := l.newApp()
	l.engage(a)
	return a
}

// local reports whether both ends were workloads at a time, so that two taps see what they say to each other.
func (e *Engine) local(k *wire.Key, at int64) bool {
	t := e.where.Load()
	if t.Len() < 2 {
		return false
	}
	a, b := t.Lookup(k.A, at), t.Lookup(k.B, at)
	return a != nil && b != nil && a != b
}

// twinChunk deals with a chunk of a conversation that two taps see. A panic costs the conversation its inspection.
func (l *Lane) twinChunk(tw *twin, c *flow.Chunk) {
	l.twinTake(tw, c)
	if l.fl.S.twin() == nil { // it went apart
		l.e.twins.forget(tw)
	}
}

func (l *Lane) twinTake(tw *twin, c *flow.Chunk) {
	defer tw.home.lock(l)()
	defer l.survive()
	if h := tw.home; l.t.now-h.settled > moveAfter {
		h.settled = l.t.now
		h.opens.bytes.Settle()
	}
	if tw.home.opens.short() {
		l.makeRoomAmongTwins(tw.home)
	}
	l.a = tw.app
	switch l.e.twins.stand(tw, tw.side(l.fl), c, l.t.now) {
	case ahead:
		l.take(c)
	case behind:
		l.t.count.twinBytes += uint64(len(c.Data))
	case differ:
		l.goApart(tw)
		l.take(c)
	}
	l.settle(l.a)
}

// goApart takes the present flow out of tw, whose lock is held: from here on its bytes are inspected by themselves.
func (l *Lane) goApart(tw *twin) {
	fl, x := l.fl, l.e.twins
	l.t.count.twinsApart++
	tw.apart = true
	tw.fl[tw.side(fl)] = nil
	x.clear(tw)
	if tw.fl[0] == nil && tw.fl[1] == nil {
		if !tw.done { // the other tap left before it saw all
			tw.done = true
			if tw.app.work != nil {
				l.finishApp(tw.app)
			}
		}
		l.freeApp(tw.app)
	}
	a := l.newApp()
	a.at, a.sure = [2]place{unknown, unknown}, tw.app.sure // nobody is told that it is unknown
	fl.S.app, l.a = a, a
	l.engage(a)
}

// endTwin ends a flow that belongs to tw.
func (l *Lane) endTwin(tw *twin, fl *flow.Flow[conn], why flow.Reason) {
	defer l.e.twins.forget(tw) // without the lock: meet takes both the other way round
	defer tw.home.lock(l)()
	if l.e.twins.leave(tw, fl, why) {
		l.endFlow(fl, why)
	}
	if tw.fl[0] == nil && tw.fl[1] == nil {
		l.e.twins.clear(tw)
		l.freeApp(tw.app)
	}
}

// lockTwin locks what the present flow shares with another tap, and returns how to unlock it.
func (l *Lane) lockTwin() (unlock func()) {
	if l.fl == nil || l.fl.S.twin() == nil {
		return func() {}
	}
	return l.fl.S.twin().home.lock(l)
}

// env is what the present flow's dissectors share.
func (l *Lane) env() *dissect.Env {
	if l.fl != nil && l.fl.S.twin() != nil {
		return &l.fl.S.twin().home.env
	}
	return &l.t.env
}
