package engine

import (
	"weir/dissect"
	"weir/wire"
)

// carriers are the protocols that carry packets, by what wire takes off.
var carriers = map[wire.Encap]*dissect.Protocol{
	wire.EncapVXLAN: &dissect.VXLAN, wire.EncapGeneve: &dissect.Geneve, wire.EncapGRE: &dissect.GRE, wire.EncapIPIP: &dissect.IPIP,
	wire.EncapGTP: &dissect.GTP, wire.EncapTeredo: &dissect.Teredo, wire.EncapAYIYA: &dissect.AYIYA,
}

// outside counts the packets that the present one was taken out of, each in a flow of its own, which has the name of what it carries packets in: what
// is inside is the present packet's flow's.
func (l *Lane) outside(t *Tap) {
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
		if a := fl.S.app; a.proto == nil && a.twin == nil && a.work == nil {
			a.proto, a.sure = carriers[c.Encap], certain
			a.at = [2]place{unknown, unknown}
		}
		fl.Fresh = 0
	}
}
