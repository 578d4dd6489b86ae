package engine

import (
	"weir/dissect"
	"weir/policy"
	"weir/wire"
)

// carriers are the protocols that carry packets, by what wire takes off.
var carriers = map[wire.Encap]*dissect.Protocol{
	wire.EncapVXLAN: &dissect.VXLAN, wire.EncapGeneve: &dissect.Geneve, wire.EncapGRE: &dissect.GRE, wire.EncapIPIP: &dissect.IPIP,
	wire.EncapGTP: &dissect.GTP, wire.EncapTeredo: &dissect.Teredo, wire.EncapAYIYA: &dissect.AYIYA, wire.EncapCAPWAP: &dissect.CAPWAP,
}

// carrier reports whether a protocol carries packets, be it not in every datagram.
func carrier(p *dissect.Protocol) bool {
	for _, c := range carriers {
		if c == p {
			return true
		}
	}
	return false
}

// tunnelled is what the policy says of a flow that carries packets.
type tunnelled struct {
	law     *law
	as      *dissect.Protocol
	verdict policy.Verdict
}

// outside counts the packets that the present one was taken out of, each in a flow of its own, which has the name of what it carries packets in: what
// is inside is the present packet's flow's. It reports whether the policy stops one of them: what is inside is stopped with it, whatever it is.
func (l *Lane) outside(t *Tap) (stop bool) {
	for i := range l.p.NCarriers {
		c := &l.p.Carriers[i]
		c.Fill(&l.outer, &l.p)
		fl, _ := t.table.Push(&l.outer)
		if fl == nil {
			continue
		}
		if fl.S.app == nil {
			fl.S.app = l.newApp()
		}
		as := carriers[c.Encap]
		if a := fl.S.app; a.proto == nil && a.twin == nil && a.work == nil {
			a.proto, a.sure = as, certain
			a.at = [2]place{unknown, unknown}
		}
		fl.Fresh = 0
		l.fl = fl
		if a := fl.S.app; l.e.cfg.Learn != nil && a.unknown&tunnelNoted == 0 { // it may go on for days
			a.unknown |= tunnelNoted
			l.note(numberOf[index(as)], nil)
		}
		stop = l.carries(as) || stop
		l.fl = nil
	}
	return stop
}

// carries asks the policy about the present flow, which carries packets in a protocol, and tells once what it says. It reports whether that stops them.
func (l *Lane) carries(as *dissect.Protocol) (stop bool) {
	w := l.rules.law
	if w == nil {
		return false
	}
	o := l.fl.S.more()
	r := &o.tunnel
	if r.law != w || r.as != as {
		l.context(w.policy, &l.asked)
		l.asked.App, l.asked.Fields = numberOf[index(as)], &l.wordless // there are no messages to wait for
		*r = tunnelled{w, as, w.policy.Decide(&l.asked)}
		l.counted(w, &r.verdict)
		if r.verdict.Action == policy.Deny {
			l.denied(nil, w, &l.asked, &r.verdict)
		}
	}
	if l.rulings == nil || r.verdict.Mode != policy.Protect || r.verdict.Action != policy.Deny {
		return false
	}
	l.cut(&o.ruled, l.index)
	return true
}
