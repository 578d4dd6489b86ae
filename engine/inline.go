package engine

import (
	"net/netip"

	"weir/alert"
	"weir/flow"
	"weir/policy"
	"weir/wire"
)

// Ruling is what becomes of a packet that is held.
type Ruling uint8

const (
	Pass  Ruling = iota
	Drop         // it goes nowhere
	Clear        // it passes, and no later packet of its flow needs to be asked about
)

// Cut tells of a conversation that was denied: whoever carries rulings out lets both ends know.
type Cut struct {
	Client, Server netip.AddrPort
	Proto          uint8  // IP protocol
	Scope          uint32 // of its wire.Key: not 0 inside of a tunnel
	Frame          int    // index of the packet that decided it; -1: none, its time was over
}

// ruled is what is remembered of a flow whose packets are held.
type ruled struct {
	law     *law
	verdict policy.Verdict // by its ends alone
	blocked bool           // by a rule of detection
	cut     bool           // it was told
	waiting int            // 1 + its place among those whose deadline is watched; 0: it is not
}

// maxWaiting are the flows of a tap whose deadlines are watched; those of others are looked at when their next packet comes.
const maxWaiting = 1 << 16

func (t *Tap) inline() bool { return t.cfg.Cut != nil }

// Judge takes the packets of a queue through the pipeline, as Block does, and says what is to become of each of them. rulings is as long as frames.
func (l *Lane) Judge(t *Tap, frames []wire.Frame, rulings []Ruling) {
	l.rulings = rulings
	for i := range rulings {
		rulings[i] = l.unjudged(t)
	}
	l.Block(t, frames)
	l.rulings = nil
}

// SetClosed says whether packets which nobody can judge do not pass, from now on. It may be called from any goroutine.
func (t *Tap) SetClosed(closed bool) { t.closed.Store(closed) }

// unjudged is what becomes of packets that nobody can judge.
func (l *Lane) unjudged(t *Tap) Ruling {
	if t.closed.Load() {
		return Drop
	}
	return Pass
}

// rule says what is to become of the present packet, which has been dealt with.
func (l *Lane) rule(t *Tap) {
	w := l.rules.law
	if w == nil || essential(&l.p) {
		l.rulings[l.index] = Pass
		return
	}
	o := l.fl.S.more()
	r := &o.ruled
	if r.law != w {
		r.law = w
		l.context(w.policy, &l.asked)
		r.verdict = w.policy.Decide(&l.asked)
	}
	l.rulings[l.index] = l.ruling(r, t)
	if l.rulings[l.index] == Drop {
		l.cut(r, l.index)
	}
}

// ruling returns what becomes of packets of the present flow from here on.
func (l *Lane) ruling(r *ruled, t *Tap) Ruling {
	v := &r.verdict
	if v.Mode != policy.Protect { // it is held only until it is known who it is
		return l.clear(t)
	}
	if r.blocked {
		return Drop
	}
	a := l.fl.S.app
	var j *judge
	if a != nil {
		j = a.judge
	}
	switch {
	case v.Action == policy.Deny, j != nil && j.stop:
		return Drop
	case a != nil && (a.panicked || a.at[wire.ToServer] == dropped) && !v.Final: // nobody looks at it any more
		return l.unjudged(t)
	case v.Final, j != nil && len(j.open) == 0 && j.base.Action == policy.Allow && (j.base.Final || j.base.Settled && a.sure == certain):
		return l.clear(t)
	}
	return Pass
}

// clear lets go of a flow of which the policy has nothing more to say, unless detection may.
func (l *Lane) clear(t *Tap) Ruling {
	if l.rules.db != nil || l.rules.stops || l.rules.law.names && l.port() == resolverPort || l.mayCarry() {
		return Pass
	}
	return Clear
}

// bulkKept is how much is kept among the recent ones of a packet that is bulk, ours: to keep all of it took a seventh of the time that an upload's packets are held for, and pushes out what an alert may
// need. Whoever watches the workload keeps it whole.
const bulkKept = 2 << 10

// bulk reports whether the present packet, which is held, has nothing but more of a message that the policy let through before, or is an answer; it is asked once for each. Where detection stops
// something, too, any byte may be what it finds.
func (l *Lane) bulk() bool {
	a := l.fl.S.app
	if a == nil || a.judge == nil || l.rulings == nil {
		return false
	}
	j, through := a.judge, uint64(0)
	if len(j.open) == 1 && (j.open[0].likely || j.open[0].verdict.Action == policy.Allow) {
		through = j.open[0].id
	}
	same := through != 0 && through == j.through
	j.through = through
	if l.rules.db != nil || l.rules.stops || l.rulings[l.index] != Pass || len(l.comments) > 0 {
		return false
	}
	return same || l.fl.Dir(&l.p) == wire.ToClient && a.sure == certain
}

// mayCarry reports whether packets of the present flow carry others, or may yet: those are conversations of their own, and to the kernel all of them are the one that carries them.
func (l *Lane) mayCarry() bool {
	switch l.fl.Key.Proto {
	case wire.ProtoIPIP, wire.ProtoIPv6, wire.ProtoGRE:
		return true
	case wire.ProtoUDP:
		a := l.fl.S.app
		return l.p.NCarriers > 0 || a == nil || a.proto == nil || a.sure == unrecognised || carrier(a.proto)
	}
	return l.p.NCarriers > 0
}

// resolverPort is where names are asked for: answers are looked at where groups ask for names.
const resolverPort = 53

// cut tells, once, that the present flow is denied.
func (l *Lane) cut(r *ruled, frame int) {
	if r.cut {
		return
	}
	r.cut = true
	l.tellDrop(r, frame)
	k := &l.fl.Key
	c := Cut{Client: netip.AddrPortFrom(k.AddrA(), k.APort), Server: netip.AddrPortFrom(k.AddrB(), k.BPort), Proto: k.Proto, Scope: k.Scope, Frame: frame}
	if !l.fl.AInitiates {
		c.Client, c.Server = c.Server, c.Client
	}
	l.t.cfg.Cut(&c)
}

// dropKind is what the rate limit calls these events: no rule is called so.
const dropKind = "\x00drop"

// tellDrop tells that the present flow is cut off, and at which packet.
func (l *Lane) tellDrop(r *ruled, frame int) {
	if !l.e.listens("drop") {
		return
	}
	ev := l.event("drop")
	if !l.within(ev, dropKind) {
		l.t.count.dropsHeldBack++
		return
	}
	ev.Weir.Verdict, ev.Weir.Inside = l.verdict(), l.inside()
	ev.Drop = &alert.Drop{Reason: l.dropReason(r)}
	if frame >= 0 {
		p := &l.p
		ev.Drop.Len, ev.Drop.TTL = p.Frame.Len, p.TTL
		if p.Key.Proto == wire.ProtoTCP && !p.Fragmented {
			t := &p.TCP
			ev.Drop.TCP = &alert.DropTCP{Seq: uint32(t.Seq), Ack: uint32(t.Ack), Window: t.Window, Urgent: t.Urgent, Flags: uint8(t.Flags)}
		}
	}
	l.send(ev)
}

// dropReason names what asked for it: the policy, a rule of detection, or that packets which nobody can judge do not pass.
func (l *Lane) dropReason(r *ruled) string {
	a := l.fl.S.app
	o := l.fl.S.own
	switch {
	case r.blocked:
		return "rules"
	case r.verdict.Action == policy.Deny, a != nil && a.judge != nil && a.judge.stop, o != nil && o.tunnel.verdict.Action == policy.Deny:
		return "policy"
	}
	return "uninspected"
}

// essential reports whether a packet tells a sender what became of his packets (RFC 792, RFC 4443), or is what neighbours find each other by: no policy stops it.
func essential(p *wire.Packet) bool {
	switch p.Key.Proto {
	case wire.ProtoICMP:
		return p.Type == 3 || p.Type == 11 || p.Type == 12
	case wire.ProtoICMPv6:
		return p.Type >= 1 && p.Type <= 4
	}
	return neighbour(p)
}

// await watches the deadline of a flow.
func (t *Tap) await(fl *flow.Flow[conn]) {
	if !t.inline() || len(t.waiting) >= maxWaiting || fl.S.more().ruled.waiting > 0 {
		return
	}
	t.waiting = append(t.waiting, fl)
	fl.S.own.ruled.waiting = len(t.waiting)
}

// deadlines cuts what has been undecided for too long.
func (l *Lane) deadlines(t *Tap) {
	for i := len(t.waiting) - 1; i >= 0; i-- { // one that goes is replaced by the last, which was looked at
		fl := t.waiting[i]
		l.fl, l.a = fl, fl.S.app
		r, j := &fl.S.own.ruled, l.a.judge
		if j != nil {
			if rule, waits := l.waits(l.a, j); waits {
				l.overdue(j, rule)
			}
		}
		switch {
		case j != nil && j.stop:
			if l.ruling(r, t) == Drop {
				l.cut(r, -1)
			}
		case j != nil && j.since != 0:
			continue
		}
		t.unawait(fl)
	}
	l.fl, l.a = nil, nil
}

// unawait watches the deadline of a flow no more.
func (t *Tap) unawait(fl *flow.Flow[conn]) {
	if fl.S.own == nil || fl.S.own.ruled.waiting == 0 {
		return
	}
	at, last := fl.S.own.ruled.waiting-1, len(t.waiting)-1
	t.waiting[at] = t.waiting[last]
	t.waiting[at].S.own.ruled.waiting = at + 1
	fl.S.own.ruled.waiting = 0
	t.waiting[last] = nil
	t.waiting = t.waiting[:last]
}
