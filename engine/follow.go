package engine

import (
	"cmp"
	"net/netip"
	"slices"
	"strings"

	"weir/alert"
	"weir/dissect"
	"weir/dlp"
	"weir/flow"
	"weir/rules"
	"weir/wire"
)

// SetOwn says what is to follow from what Weir finds without a rule of a file, by the rules' ids, for every block that begins from now on.
func (e *Engine) SetOwn(own map[string]*rules.Rule) {
	e.setting.Lock()
	defer e.setting.Unlock()
	e.own = own
	e.arm()
}

// stops reports whether something in own is to be stopped.
func stops(own map[string]*rules.Rule) bool {
	for _, r := range own {
		if r.Action >= rules.Block {
			return true
		}
	}
	return false
}

// follows does what is to follow from what a rule has found in the present flow, whether it is told or not: where packets are held this one goes nowhere, and
// no later one of its flow does. blocked is false where none is at hand: what was found had passed. elsewhere says that whoever holds the packets sees the same, and tells it.
func (l *Lane) follows(r *rules.Rule) (blocked, elsewhere bool) {
	if r == nil || r.Action < rules.Block {
		return false, false
	}
	if !l.t.inline() {
		return false, l.stopped()
	}
	if l.foreign { // its own tap's lane would not expect that
		return false, false
	}
	l.fl.S.more().ruled.blocked = true
	return l.rulings != nil && !l.closing, false
}

// accuse puts into an event who did what a rule has found, if the rule wants him cut off: who sends in a direction of the present flow, if that is a workload of this host, and
// nobody else in its name.
func (l *Lane) accuse(ev *alert.Event, r *rules.Rule, dir wire.Dir) {
	if r == nil || r.Action != rules.Quarantine {
		return
	}
	from, _ := l.ends(dir)
	switch {
	case from.who == nil:
	case !l.genuine(from.at, dir):
		ev.Weir.Why = strings.TrimPrefix(ev.Weir.Why+"; "+forgeable, "; ")
	default:
		ev.Weir.Offender = &alert.Offender{Workload: *told(from.who), Rule: r.ID, Allow: r.QuarantineAllow}
	}
}

// sender is who sent a value first in a conversation.
type sender struct {
	sum uint64 // of the value; of a rule where it is many values
	dir wire.Dir
}

// firstSender returns in which direction what was found came first: who says back what he was told is not who sent it. Of the present conversation so many values are remembered as are hidden in it.
func (l *Lane) firstSender(r *rules.Rule, h *dlp.Hit) wire.Dir {
	if r.Action != rules.Quarantine {
		return h.Dir
	}
	x := sender{cmp.Or(h.Sum, uint64(r.SID)), h.Dir}
	list := &l.a.more().senders
	for _, s := range *list {
		if s.sum == x.sum {
			return s.dir
		}
	}
	if len(*list) == maxKnown {
		*list = slices.Delete(*list, 0, 1)
	}
	*list = append(*list, x)
	return x.dir
}

// repeated is why somebody else is cut off than who sent what is in an event.
const repeated = "the other end had sent it before: quarantine is for that one, if it is a workload of this host, and not for who repeats it"

// forgeable is why nobody is cut off for what is in an event.
const forgeable = "nobody is put into quarantine: another one may have sent this in that name (protect the workload: what it sends is known there)"

// genuine reports whether what is sent from an address in a direction of the present flow is: its namespace is where packets are held, or whoever sends has had the answers. Errors of ICMP
// and answers to pings say again what another one said.
func (l *Lane) genuine(addr netip.Addr, dir wire.Dir) bool {
	c, k := &l.t.cfg, &l.fl.Key
	switch {
	case k.Proto == wire.ProtoICMP || k.Proto == wire.ProtoICMPv6:
		const echo, echo6 = 8, 128
		if typ := l.port() >> 8; dir != wire.ToServer || typ != echo && typ != echo6 {
			return false
		}
	case k.Proto == wire.ProtoTCP && l.fl.State == flow.StateEstablished && l.fl.Anomalies&flow.Midstream == 0:
		return true
	}
	return c.Inside != nil || c.Own != nil && c.Own(addr.As16()) != nil
}

// protocolAlert raises an alert of a protocol that was violated, in a message or (nil) in none.
func (l *Lane) protocolAlert(m *dissect.Message, rule, detail string) {
	if ev := l.ownAlert(m, rule, "protocol", "protocol violation", detail, rules.High); ev != nil {
		l.raise(ev, rule)
	}
}

// ownAlert makes an alert of a rule that is part of Weir; nil: nobody listens, or its limit is reached.
func (l *Lane) ownAlert(m *dissect.Message, rule, engine, category, detail string, severity rules.Severity) *alert.Event {
	own := l.rules.own[rule]
	blocked, elsewhere := l.follows(own)
	if elsewhere {
		return nil
	}
	if l.a != nil {
		l.a.alerted = true
	}
	if !l.e.asked("alert") {
		l.t.count.alerts++
		return nil
	}
	ev := l.event("alert")
	if !l.allowed(ev, rule) {
		return nil
	}
	dir := wire.ToServer
	if m != nil && engine == "protocol" {
		dir = m.Dir
	}
	ev.Alert = &alert.Alert{Action: "allowed", GID: 1, SignatureID: rules.SIDOf(rule), Rev: 1,
		Signature: detail, Category: category, Severity: eveSeverity[severity]}
	ev.Weir.Rule, ev.Weir.Engine, ev.Weir.Severity = rule, engine, severity.String()
	ev.Weir.Why = detail
	l.accuse(ev, own, dir)
	if blocked {
		ev.Alert.Action = "blocked"
	}
	if m != nil {
		ev.TxID = m.Tx
		if rec := l.a.find(m); rec != nil {
			ev.App = l.app(rec, nil)
		}
	}
	return ev
}
