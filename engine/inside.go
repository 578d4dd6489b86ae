package engine

import (
	"weir/flow"
	"weir/wire"
	"weir/workload"
)

// sidesAfter is the number of packets after which it is looked whether both directions of a connection are seen: more than a connection has
// that nobody answers; ours.
const sidesAfter = 8

// who returns the workload that had an address at a time; nil if it is not known. On a loopback interface it is the one whose interface it
// is.
func (l *Lane) who(addr [16]byte, at int64) *workload.Workload {
	if l.t.cfg.Inside != nil {
		return l.t.cfg.Inside()
	}
	return l.e.where.Load().Lookup(addr, at)
}

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
