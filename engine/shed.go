package engine

import (
	"fmt"
	"time"

	"weir/budget"
	"weir/flow"
	"weir/wire"
)

// Ours.
const (
	inspectSpare = 128 << 10        // bytes that are kept free for what a packet may open: an inflater fits
	inspectPart  = 8                // but not more than this part of all
	shedMost     = 64               // flows that are given up between two packets, at most
	tellEvery    = 10 * time.Second // that inspection is given up is told so often
)

const whyBudget = "budget"

func (o *opens) share(b *budget.Budget) {
	o.bytes = openBytes(b)
	o.spare = min(inspectSpare, b.Total()/inspectPart)
}

// short reports whether something must be given up before more is opened.
func (o *opens) short() bool {
	return o.bytes.Room() < o.spare && !o.bytes.Fits(o.spare) && o.oldest != nil
}

// makeRoom gives up what has been without a packet longest, until there is room for what the next packet may bring.
func (l *Lane) makeRoom(t *Tap) {
	for range shedMost {
		switch {
		case t.opens.short():
			l.giveUp(t.opens.oldest.open.flow, nil)
		case t.table.Short():
			fl, chunks := t.table.Shed()
			if fl == nil {
				return
			}
			l.giveUp(fl, chunks)
		default:
			return
		}
	}
}

// makeRoomAmongTwins is makeRoom for the twins of a home, whose lock is held.
func (l *Lane) makeRoomAmongTwins(h *twinHome) {
	fl, a, idle := l.fl, l.a, l.idle
	defer func() { l.fl, l.a, l.idle, l.foreign = fl, a, idle, false }()
	for n := 0; h.opens.short() && n < shedMost; n++ {
		tw := h.opens.oldest.open.app.twin
		l.fl, l.a, l.idle, l.foreign = tw.fl[0], tw.app, true, true
		if l.fl == nil {
			l.fl = tw.fl[1]
		}
		l.giveUpApp(tw.app)
	}
}

// giveUp ends all that is open at layer 7 of a flow, whose held bytes are chunks. What it holds is inspected as raw bytes, and so is what
// follows, until a beginning is recognised again.
func (l *Lane) giveUp(fl *flow.Flow[conn], chunks []flow.Chunk) {
	defer l.survive()
	idle := l.idle
	l.fl, l.a, l.idle = fl, fl.S.app, true
	defer func() { l.fl, l.a, l.idle = nil, nil, idle }()
	if fl.Fresh != 0 {
		l.flowOddities(fl)
	}
	switch a := l.a; {
	case a == nil || a.twin != nil || a.panicked && a.work == nil:
	case a.panicked:
		l.finishScan(a)
		for len(a.records) > 0 {
			l.dropRecord(0)
		}
		l.release(a)
	default:
		l.giveUpApp(a)
	}
	l.chunks(chunks)
}

func (l *Lane) giveUpApp(a *app) {
	l.wake(a)
	kept := false
	for dir := range wire.Dir(2) {
		if rest := l.join(dir, nil); len(rest) > 0 {
			kept = true
			l.raw(a, dir, rest, true)
		}
	}
	if !kept && l.rests(a) {
		l.release(a)
		return
	}
	was := a.d != nil
	if was {
		a.d.Close(wire.ToServer, l.emit)
		a.d.Close(wire.ToClient, l.emit)
		a.d = nil
	}
	l.scanEnd(a)
	for len(a.records) > 0 {
		l.tellRecord(a.records[0])
		l.dropRecord(0)
	}
	a.alive, a.need = protocols{}, [2]int{}
	for dir := range a.at {
		switch {
		case was && a.at[dir] == parsed:
			a.at[dir] = dropped
		case a.at[dir] == fresh && l.fl.Key.Proto == wire.ProtoTCP:
			a.at[dir] = unknown
		}
	}
	a.skip(0, whyBudget)
	l.t.count.givenUp++
	l.tellGivenUp()
	l.release(a)
}

// tellGivenUp tells how many flows were given up, the first time and then every while.
func (l *Lane) tellGivenUp() {
	t := l.t
	if t.givenUpAt != 0 && t.now-t.givenUpAt < int64(tellEvery) {
		return
	}
	n := t.count.givenUp - t.givenUpTold
	t.givenUpAt, t.givenUpTold = t.now, t.count.givenUp
	fl := l.fl
	l.fl = nil
	l.anomaly("engine", "engine.budget", fmt.Sprintf("inspection of %d flows was given up for want of memory, those without a packet for longest: "+
		"what is under way in them is not understood any more (raise budget.memory)", n))
	l.fl = fl
}
