package engine

import (
	"slices"
	"strings"

	"weir/alert"
	"weir/capture"
	"weir/flow"
	"weir/pcapstore"
	"weir/wire"
)

// slice is the evidence of an alert being written: its flow's packets from before it to post after it.
type slice struct {
	out      *pcapstore.Slice
	fl       *flow.Flow[conn]
	deadline int64  // ns since the epoch
	drops    uint64 // of the interface when it was opened
}

// maxOpenSlices bounds the slices of one tap that are open at once; then the oldest ends early.
const maxOpenSlices = 128

// openSlice begins the slice of an alert, or prolongs the one that its flow has open. The present packet, which did it,
// is added with its comment once all of it has been looked at.
func (l *Lane) openSlice(ev *alert.Event, comment string) {
	t, store := l.t, l.e.cfg.Store
	if store == nil || l.fl == nil || l.foreign {
		return
	}
	if !l.idle {
		l.comments = append(l.comments, comment)
	}
	if s := l.fl.S.slice(); s != nil {
		s.deadline = t.now + l.e.cfg.Post.Nanoseconds()
		s.out.Also("", ev.Weir.Rule)
		ev.Weir.Slice, ev.Weir.CaptureFile = s.out.ID(), s.out.Path()
		return
	}
	meta := pcapstore.Meta{
		Rule: ev.Weir.Rule, Severity: ev.Weir.Severity, Time: ev.Time, FlowID: ev.FlowID, CommunityID: ev.CommunityID,
		Src: ev.Src, Dst: ev.Dst, Proto: ev.Proto, AppProto: ev.AppProto, Interfaces: t.interfaces(),
	}
	for _, w := range []*alert.Workload{ev.Weir.Src, ev.Weir.Dst} {
		meta.Workloads = append(meta.Workloads, w.Names()...)
	}
	meta.Reach, meta.Overwritten = l.reach()
	out, err := store.Begin(meta)
	if err != nil {
		t.tellOnce("engine", "evidence.refused", "no slice for an alert: "+err.Error())
		return
	}
	t.limitSlices()
	s := &slice{out: out, fl: l.fl, deadline: t.now + l.e.cfg.Post.Nanoseconds(), drops: t.drops()}
	t.recent.Flow(l.fl.ID, func(f *wire.Frame) { t.add(s, f, "") })
	l.fl.S.more().slice = s
	t.slices = append(t.slices, s)
	t.due = min(t.due, s.deadline)
	ev.Weir.Slice, ev.Weir.CaptureFile = out.ID(), out.Path()
}

// limitSlices ends the oldest slice if no more may be open, and has it say so.
func (t *Tap) limitSlices() {
	if len(t.slices) >= maxOpenSlices {
		t.slices[0].out.Short("it ended early: too many slices of one interface were open")
		t.endSlice(t.slices[0])
	}
}

// reach returns how far back the recent packets of the present flow go: the time from which on all of them are there, and how many
// earlier ones have been overwritten.
func (l *Lane) reach() (from int64, overwritten uint64) {
	from = l.t.now
	seen := l.fl.Dirs[wire.ToServer].Packets + l.fl.Dirs[wire.ToClient].Packets
	if !l.idle && seen > 0 {
		seen-- // the present one is kept later
	}
	kept := uint64(0)
	l.t.recent.Flow(l.fl.ID, func(f *wire.Frame) {
		if kept++; kept == 1 {
			from = f.Time
		}
	})
	return from, seen - min(kept, seen)
}

func (t *Tap) interfaces() []capture.Interface {
	if t.cfg.Interfaces == nil {
		return nil
	}
	list := slices.Clone(t.cfg.Interfaces())
	if t.cfg.Behind != nil {
		who := t.cfg.Behind()
		for i := range list {
			list[i].Description = who
		}
	}
	return list
}

func (t *Tap) add(s *slice, f *wire.Frame, comment string) {
	if err := s.out.Add(f, comment); err != nil {
		t.tellOnce("engine", "evidence.lost", "packets of a slice could not be stored: "+err.Error())
	}
}

// keepRecent keeps a frame that belongs to no flow yet, under a tag of its own.
func (t *Tap) keepRecent(f *wire.Frame, tag uint64) {
	t.recent.Add(f, tag)
}

// keepPacket keeps a packet of the present flow: in its slice if one is open, and among the recent ones. tag is what
// fragments of the same datagram were kept under.
func (t *Tap) keepPacket(l *Lane, f *wire.Frame, tag uint64) {
	if t.e.cfg.Store == nil {
		return
	}
	if s := l.fl.S.slice(); s != nil {
		if tag != 0 {
			t.recent.Flow(tag, func(f *wire.Frame) { t.add(s, f, "") })
		}
		t.add(s, f, strings.Join(l.comments, "\n"))
	}
	if t.inline() && l.bulk() && len(f.Data) > bulkKept { // asked of each
		head := *f
		head.Data = f.Data[:bulkKept]
		f = &head
	}
	l.comments = l.comments[:0]
	t.recent.Add(f, l.fl.ID)
	if len(t.slices) > 0 && t.due <= t.now {
		t.expireSlices(t.now)
	}
}

// backMost is how far a tick may be behind the latest frame, ns; further back the clock was set. Ours.
const backMost = 1e9

// rewind has open slices end in time though the clock was set back.
func (t *Tap) rewind(now, post int64) {
	if len(t.slices) == 0 || t.due-now <= post+backMost {
		return
	}
	for _, s := range t.slices {
		s.deadline = min(s.deadline, now+post)
	}
	t.expireSlices(now)
}

// expireSlices ends the slices whose time after the alert is over.
func (t *Tap) expireSlices(now int64) {
	t.due = 1<<63 - 1
	for i := 0; i < len(t.slices); {
		s := t.slices[i]
		if s.deadline <= now {
			t.endSlice(s)
			continue
		}
		t.due = min(t.due, s.deadline)
		i++
	}
}

func (t *Tap) endSlice(s *slice) {
	if n := t.drops() - s.drops; n > 0 {
		s.out.Lost(0, n)
	}
	if err := s.out.Close(); err != nil {
		t.tellOnce("engine", "evidence.lost", "a slice could not be finished: "+err.Error())
	}
	s.fl.S.own.slice = nil
	if i := slices.Index(t.slices, s); i >= 0 {
		t.slices = slices.Delete(t.slices, i, i+1)
	}
}

// flowClosed ends the slice of a flow that is over.
func (t *Tap) flowClosed(fl *flow.Flow[conn]) {
	if s := fl.S.slice(); s != nil {
		t.endSlice(s)
	}
}
