package engine

import (
	"weir/alert"
	"weir/content"
	"weir/dissect"
	"weir/dlp"
	"weir/flow"
	"weir/policy"
	"weir/wire"
)

// Lane is the scratch that work on packets needs: decoder, Hyperscan scratch, slices. There are as many as
// processors, not as taps; a tap borrows one for a block. It is used by one goroutine at a time.
type Lane struct {
	e           *Engine
	rules       *ruleset
	scan        *dlp.Scanner
	opener      *content.Opener
	dec         wire.Decoder
	p           wire.Packet
	outer       wire.Packet // one that p was taken out of
	hits        []dlp.Hit
	sure        uint64 // hits so far that are as sure as their rules ask for
	masker      dlp.Masker
	object      alert.Object // that is being told
	told        dlp.Counters // of scan, as far as taps have counted them
	parts       [1]dissect.Part
	joinedParts [1]dissect.Part
	joinedMsg   dissect.Message
	msg         dissect.Message
	emit        func(*dissect.Message) // onMessage, stored once
	plain       *dissect.Message       // that is being opened: what is found inside stands in its values
	matchInside func(*dissect.Message) // match, likewise
	apps        []*app                 // free list
	works       []*work                // free list
	records     []*record              // free list
	scratch     dissect.Scratch
	trims       uint64       // Engine.trims when all this was let go of
	idle        bool         // a tick, not a packet, is being served
	left        []flow.Chunk // chunks that are still to be looked at, with the present one
	foreign     bool         // the flow that is being worked on is another tap's: its packets are not at hand
	closing     bool         // the flow that is being worked on is ending
	tail        [2][]byte    // of it: what is held between its last chunks

	// what is being worked on, for onMessage
	t        *Tap
	fl       *flow.Flow[conn]
	a        *app
	index    int // of the frame in its block
	block    []wire.Frame
	comments []string

	asked    policy.Context // scratch
	wordless policy.Fields  // of what has no messages
	groups   groups
	learn    notes
	rulings  []Ruling // of the block that is judged, by frame; nil: nobody waits for one

	others []elsewhere // frames of the block that belong to other taps of the interface
	whole  []byte      // a datagram put together from fragments that these share

	// OnPanic is told of a recovered panic with its stack, which holds no packet bytes; nil: nobody. It is set before
	// use.
	OnPanic func(stack string)
	// OnRefused is told of each match that is no finding, with an event that says in which flow; nil: nobody. It is set before use. The rules
	// must be compiled for that.
	OnRefused func(ev *alert.Event, r *dlp.Refusal)
	// Trace is told where things stand in the packets; nil: nobody asks. It is set before use, of a lane that serves one tap alone.
	Trace *Trace
	// Poison overwrites every frame after its block, so that a borrowed byte that was kept shows. For tests.
	Poison bool
}

// NewLane returns a Lane of e. Close it with Free.
func (e *Engine) NewLane() *Lane {
	l := &Lane{e: e, opener: content.New(e.cfg.Dissect), wordless: policy.Fields{Complete: true}}
	l.emit, l.matchInside = l.onMessage, l.match
	return l
}

// Free gives the C memory back, and away what was noted.
func (l *Lane) Free() {
	l.handOver(0, true)
	if l.scan != nil {
		l.scan.Free()
		l.scan, l.told = nil, dlp.Counters{}
	}
}

// attach makes l serve t, with the rules in force now.
func (l *Lane) attach(t *Tap) {
	l.t, t.lane = t, l
	l.dec.Scope = t.cfg.Scope
	r := l.e.rules.Load()
	if r != l.rules {
		l.useRules(r)
	}
	l.handOver(t.now, false)
	t.env.Want, t.env.Scratch = r.wants, &l.scratch
	if n := l.e.trims.Load(); n != l.trims || n != t.trims {
		l.trim(t, n)
	}
}

// trim lets go of what l and t keep for reuse.
func (l *Lane) trim(t *Tap, n uint64) {
	if n != l.trims {
		l.trims = n
		l.apps, l.works, l.records, l.hits = nil, nil, nil, nil
		l.object = alert.Object{}
		l.scratch.Trim()
		l.opener.Trim()
		if l.scan != nil {
			l.scan.Trim()
		}
	}
	if n != t.trims {
		t.trims = n
		t.table.Trim()
	}
}

func (l *Lane) detach(t *Tap) {
	l.t, t.lane, t.env.Scratch, l.fl, l.a, l.idle = nil, nil, nil, nil, nil, false
}

// useRules switches the scanner. It cannot fail for want of anything but C memory; then the lane goes on with the
// rules it had, and says so.
func (l *Lane) useRules(r *ruleset) {
	var err error
	switch {
	case r.db == nil:
	case l.scan == nil:
		l.scan, err = r.db.NewScanner()
	default:
		err = l.scan.Use(r.db)
	}
	if l.scan != nil {
		l.scan.Silent = len(l.e.cfg.Events) == 0 && l.e.cfg.Store == nil
		if l.OnRefused != nil {
			l.scan.Refused = func(r *dlp.Refusal) { l.OnRefused(l.event("refused"), r) }
		}
	}
	if err != nil {
		l.t.tellOnce("engine", "engine.scanner", "no memory for the scanner of the new rules: "+err.Error())
		return
	}
	l.rules = r
	l.opener.Speaks, l.opener.Files = r.db.Speaks, l.e.files
	l.masker.Last4 = r.db.Last4()
}

// Block takes all frames of a block through the pipeline. A panic costs the flow that caused it its inspection, never
// more.
func (l *Lane) Block(t *Tap, frames []wire.Frame) {
	t.mu.Lock()
	defer t.mu.Unlock()
	l.attach(t)
	l.block = frames
	for i := 0; i < len(frames); {
		i = l.run(t, frames, i)
	}
	if len(l.others) > 0 {
		l.visits(frames)
	}
	l.block = nil
	l.expire(t, t.now)
	t.publish()
	l.detach(t)
	if l.Poison {
		poison(frames)
	}
}

// expire ends what is over at now.
func (l *Lane) expire(t *Tap, now int64) {
	defer l.survive()
	l.fl, l.a = nil, nil
	t.table.Tick(now)
	t.expireFragments(now)
	t.rewind(now, l.e.cfg.Post.Nanoseconds())
	l.sweep(&t.opens, sweepBlock, warm)
	t.settle()
	if t.opens.short() || t.table.Short() {
		l.makeRoom(t)
	}
}

// run takes frames from an index on through the pipeline, and returns where to go on: behind one that caused a panic.
func (l *Lane) run(t *Tap, frames []wire.Frame, from int) (next int) {
	defer func() {
		if r := recover(); r != nil {
			l.mend(r, t, &frames[l.index])
			next = l.index + 1
		}
	}()
	for l.index = from; l.index < len(frames); l.index++ {
		if t.opens.short() || t.table.Short() {
			l.makeRoom(t)
		}
		l.Packet(t, &frames[l.index])
	}
	return len(frames)
}

func poison(frames []wire.Frame) {
	for _, f := range frames {
		for i := range f.Data {
			f.Data[i] = 0xdb
		}
	}
}

const maxNesting = 8 // datagrams reassembled for one frame: fragments of tunnels of fragments

// Packet takes one frame through all of it: decode, order, dissect, inspect, record.
func (l *Lane) Packet(t *Tap, f *wire.Frame) {
	l.fl, l.a = nil, nil
	t.frames++
	t.now = f.Time
	t.count.frames++
	t.count.bytes += uint64(f.Len)
	p := &l.p
	r := l.dec.Decode(f, p)
	tag := uint64(0)
	for n := 0; r == wire.OK && p.Fragmented; n++ {
		tag = fragmentTag(p)
		whole, odd := l.defragment(t)
		if odd != 0 {
			l.fragmentOddities(odd)
		}
		if whole == nil || n == maxNesting {
			t.keepPiece(f, tag)
			return
		}
		r = l.dec.Resume(p, whole)
	}
	if r != wire.OK || p.IP == 0 {
		l.undecoded(r)
		t.keepRecent(f, tag)
		return
	}
	if t.frames%fatEvery == 0 {
		t.fat.add(&p.Key, f.Len)
	}
	switch o := l.owner(t); {
	case o == t:
		l.packet(t, f, tag)
	case tag == 0:
		l.others = append(l.others, elsewhere{o, l.index})
	default:
		l.bring(o, f, tag, l.block)
	}
}

// packet takes the present packet, of frame f, through all that comes after decoding. tag is what fragments of its datagram were kept under;
// 0: it was whole.
func (l *Lane) packet(t *Tap, f *wire.Frame, tag uint64) {
	t.now, t.env.Now = f.Time, f.Time
	stop := l.p.NCarriers > 0 && l.outside(t)
	if stop {
		l.rulings[l.index] = Drop
	}
	fl, chunks := t.table.Push(&l.p)
	if fl == nil {
		t.keepRecent(f, tag)
		return
	}
	l.fl = fl
	if l.Trace != nil {
		l.Trace.Packet(&l.p, &fl.Info)
	}
	if t.kin != nil && tag != 0 {
		t.kin.gather(t, tag)
	}
	if t.kin != nil && fl.Dirs[0].Packets+fl.Dirs[1].Packets <= 2 { // it may be another one than Find found
		t.kin.claim(&fl.Key, t)
	}
	if fl.Dirs[0].Packets+fl.Dirs[1].Packets == sidesAfter {
		t.sides(&l.p, fl)
	}
	if fl.Fresh != 0 {
		l.flowOddities(fl)
	}
	if l.p.Smuggled >= smuggledLeast {
		l.smuggled(fl)
	}
	if l.rules.law != nil && first(fl) && !neighbour(&l.p) {
		l.met()
	}
	l.chunks(chunks)
	if l.rulings != nil && !stop {
		l.rule(t)
	}
	t.keepPacket(l, f, tag)
}

func fragmentTag(p *wire.Packet) uint64 {
	h := uint64(p.Frag.ID)*0x9e3779b97f4a7c15 ^ uint64(p.Key.Scope)
	for i := 0; i < 16; i++ {
		h = (h ^ uint64(p.Key.A[i])<<8 ^ uint64(p.Key.B[i])) * 0x100000001b3
	}
	return h | unclaimed
}

// unclaimed marks what recent packets are kept under that is no flow's id.
const unclaimed = 1 << 63
