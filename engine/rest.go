package engine

import (
	"weir/budget"
	"weir/dissect"
	"weir/flow"
	"weir/tunnel"
)

// Ours.
const (
	workSize   = 376             // bytes that an open work is counted for, beside what is open in it
	recordSize = 96              // bytes of a record, beside the values in it
	itemSize   = 16              // bytes of an item
	fileSize   = 64              // bytes of a file in it
	maxFree    = 128             // of each kind, kept for reuse by a lane
	warm       = 64              // flows of which nothing is open that keep what they need for the next message
	sweepFlow  = 2               // of what is open, so many are looked at for each flow that is worked on during a pass,
	sweepBlock = 16              // for each block,
	sweepTick  = 4096            // and whenever it is quiet
	moveAfter  = 100_000_000     // ns: a flow's packets may be younger than its place in the order of what is open by so much
	resting    = uint64(1) << 63 // in app.rest: the dissector is to resume from what else stands there
)

// opens is what is open at layer 7 in the flows of a tap, or in the twins of a home: in the order in which they had a packet last, and what
// it may take.
type opens struct {
	bytes          *budget.Share
	spare          int64 // bytes that are kept free
	oldest, newest *work
	n              int
	hand           *work // is looked at next for whether nothing of it is open any more
	pass           int   // how many are still to be looked at in the pass that is under way
	next           int   // the next pass begins when there are more than so many
}

// open is where a work stands among them.
type open struct {
	listed       bool
	app          *app
	flow         *flow.Flow[conn] // nil if it is a twin's
	older, newer *work
	queued       int64 // ns: time of the packet that put it there
	cost         int   // bytes that it is counted for
}

// opens returns where a's work has its place.
func (l *Lane) opens(a *app) *opens {
	if a.twin != nil {
		return &a.twin.home.opens
	}
	return &l.t.opens
}

func (l *Lane) newApp() *app {
	n := len(l.apps)
	if n == 0 {
		return &app{}
	}
	a := l.apps[n-1]
	l.apps = l.apps[:n-1]
	return a
}

// freeApp keeps the layer-7 state of a flow that is over for the next one.
func (l *Lane) freeApp(a *app) {
	if a == nil {
		return
	}
	if a.work != nil {
		l.release(a)
	}
	a.reset()
	if len(l.apps) < maxFree {
		l.apps = append(l.apps, a)
	}
}

// wake makes what is needed while something of the present flow is under way.
func (l *Lane) wake(a *app) {
	if a.work != nil {
		return
	}
	if n := len(l.works); n > 0 {
		a.work, l.works = l.works[n-1], l.works[:n-1]
	} else {
		a.work = &work{}
	}
	a.dlp.Owe(a.debt)
	if a.rest&resting != 0 {
		a.d = a.proto.Resume(a.proto, l.env(), dissect.Rest{ID: a.lastID, Tx: a.lastTx, State: a.rest &^ resting})
		a.rest = 0
	}
}

// settle is called when the bytes at hand of the present flow have been dealt with: what is open is counted. Flows of which nothing is open
// give back what they need for the next message once there are more than a few of them, or it is quiet: see pace.
func (l *Lane) settle(a *app) {
	w := a.work
	if w == nil || l.closing || a.panicked {
		return
	}
	cost := workSize + w.dlp.Size() + w.content.Size()
	if w.d != nil {
		cost += w.d.Size()
	}
	if w.shell != nil {
		cost += tunnel.ShellSize
	}
	for _, r := range w.records {
		cost += recordSize + cap(r.buf) + itemSize*cap(r.items) + fileSize*cap(r.files) + memberSize*cap(r.members)
	}
	if j := a.judge; j != nil {
		cost += judgeSize + wordsSize*len(j.open)
	}
	if a.twin != nil {
		cost += a.twin.size()
	}
	o := l.opens(a)
	o.bytes.Use(int64(cost - w.open.cost))
	w.open.cost = cost
	switch {
	case !w.open.listed:
		w.open.app = a
		if a.twin == nil {
			w.open.flow = l.fl
		}
		o.enlist(w, l.t.now)
	case l.t.now-w.open.queued >= moveAfter:
		o.delist(w)
		o.enlist(w, l.t.now)
	}
	l.pace(o)
}

// pace goes on with a pass over what is open, and begins one each time that it has doubled since the last: so looking costs no more than
// opening did, however many are open for long.
func (l *Lane) pace(o *opens) {
	if o.pass <= 0 {
		if o.n <= max(o.next, warm) {
			return
		}
		o.pass = o.n
	}
	l.sweep(o, sweepFlow, warm)
	if o.pass -= sweepFlow; o.pass <= 0 {
		o.next = 2 * o.n
	}
}

// sweep looks at n of what is open, in turn, and lets go of that of which nothing is, until no more than keep are left.
func (l *Lane) sweep(o *opens, n, keep int) {
	for ; n > 0 && o.n > keep; n-- {
		w := o.hand
		if w == nil {
			w = o.oldest
		}
		o.hand = w.open.newer
		if a := w.open.app; l.rests(a) {
			l.release(a)
		}
	}
}

// rests reports whether nothing of the present flow is open. Its dissector is given back then.
func (l *Lane) rests(a *app) bool {
	w := a.work
	if !w.alive.empty() || len(w.records) > 0 || w.shell != nil && w.shell.Odd() || w.need != [2]int{} || !w.dlp.Empty() || !w.content.Empty() {
		return false
	}
	if w.d == nil {
		return true
	}
	if a.proto.Resume == nil {
		return false
	}
	r, ok := w.d.Rest()
	if ok {
		w.d = nil
		a.lastID, a.lastTx = max(a.lastID, w.idBase+r.ID), max(a.lastTx, w.txBase+r.Tx)
		a.rest = r.State | resting
	}
	return ok
}

// release frees the work of a, of which nothing is open.
func (l *Lane) release(a *app) {
	w := a.work
	if w.open.listed {
		o := l.opens(a)
		o.delist(w)
		o.bytes.Use(int64(-w.open.cost))
	}
	if a.twin != nil {
		a.twin.rest()
	}
	a.work, a.debt = nil, w.dlp.Debt()
	clear(w.records)
	*w = work{records: w.records[:0]}
	if len(l.works) < maxFree && cap(w.records) <= maxRecords/4 {
		l.works = append(l.works, w)
	}
}

// enlist puts w at the end of the order of what is open.
func (o *opens) enlist(w *work, now int64) {
	o.n++
	w.open.listed, w.open.queued = true, now
	w.open.older, w.open.newer = o.newest, nil
	if o.newest != nil {
		o.newest.open.newer = w
	} else {
		o.oldest = w
	}
	o.newest = w
}

func (o *opens) delist(w *work) {
	p := &w.open
	o.n--
	if o.hand == w {
		o.hand = p.newer
	}
	if p.older != nil {
		p.older.open.newer = p.newer
	} else {
		o.oldest = p.newer
	}
	if p.newer != nil {
		p.newer.open.older = p.older
	} else {
		o.newest = p.older
	}
	p.older, p.newer, p.listed = nil, nil, false
}
