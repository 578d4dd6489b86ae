package engine

import (
	"net/netip"

	"weir/flow"
	"weir/wire"
	"weir/workload"
)

// sidesAfter is the number of packets after which it is looked whether both directions of a connection are seen: more than a connection has
// that nobody answers; ours.
const sidesAfter = 8

// inside names what packets of the present flow were taken out of; tags have a member of their own.
func (l *Lane) inside() []string {
	return ((l.fl.Dirs[0].Encap | l.fl.Dirs[1].Encap) &^ wire.EncapVLAN).Names()
}

// who returns the workload at an end of a flow; nil if it is not known. On a loopback interface it is the one whose interface it is. Where the
// address is none of a workload's, and the host translates the flow's addresses, it is the one behind it, and real is where that is.
func (l *Lane) who(fl *flow.Flow[conn], addr [16]byte, initiator bool) (w *workload.Workload, real netip.AddrPort) {
	if l.t.cfg.Inside != nil {
		return l.t.cfg.Inside(), real
	}
	if l.t.cfg.Own != nil {
		if w = l.t.cfg.Own(addr); w != nil {
			return w, real
		}
	}
	where := l.e.where.Load()
	if w = where.Lookup(addr, fl.Start); w != nil {
		return w, real
	}
	x := l.e.translations.Load()
	if x == nil || fl.Key.Scope != 0 {
		return nil, real
	}
	k := &fl.Key
	seen := workload.Tuple{Proto: k.Proto, From: netip.AddrPortFrom(k.AddrA(), k.APort), To: netip.AddrPortFrom(k.AddrB(), k.BPort)}
	if !fl.AInitiates {
		seen.From, seen.To = seen.To, seen.From
	}
	other, ok := x.Other(seen)
	if !ok {
		return nil, real
	}
	if real = other.To; initiator {
		real = other.From
	}
	if w = where.Lookup(real.Addr().As16(), fl.Start); w == nil {
		return nil, netip.AddrPort{}
	}
	return w, real
}

// SetTranslations has flows named by what the host translates their addresses to.
func (e *Engine) SetTranslations(t *workload.Translations) { e.translations.Store(t) }

// sides counts whether both directions of a TCP connection are seen. Where one alone is although its sender confirms what it gets, the rest
// goes another way than by this interface.
func (t *Tap) sides(p *wire.Packet, fl *flow.Flow[conn]) {
	switch {
	case p.Key.Proto != wire.ProtoTCP || p.Key.Scope != t.cfg.Scope:
	case fl.Dirs[0].Packets > 0 && fl.Dirs[1].Packets > 0:
		t.count.bothSided++
	case p.TCP.Flags.Has(wire.ACK):
		t.count.oneSided++
	}
}
