package engine

import (
	"net/netip"

	"weir/rules"
	"weir/wire"
	"weir/workload"
)

// party is one end of a flow.
type party struct {
	at  netip.Addr
	who *workload.Workload // nil: not known
}

// ends returns who sends and who gets what goes in a direction of the present flow.
func (l *Lane) ends(dir wire.Dir) (from, to party) {
	k := &l.fl.Key
	a, b := party{at: k.AddrA()}, party{at: k.AddrB()}
	a.who, _ = l.who(l.fl, k.A, l.fl.AInitiates)
	b.who, _ = l.who(l.fl, k.B, !l.fl.AInitiates)
	if l.fl.AInitiates == (dir == wire.ToServer) {
		return a, b
	}
	return b, a
}

// between reports whether what goes in a direction of the present flow is sent by, and for, those whom a rule names.
func (l *Lane) between(r *rules.Rule, dir wire.Dir) bool {
	from, to := l.ends(dir)
	return from.isOne(r.From) && to.isOne(r.To)
}

// isOne reports whether one of the lines holds; without any, all ends will do. They are the same conditions as those of the policy's groups.
func (e *party) isOne(list []rules.Ends) bool {
	return len(list) == 0 || SubjectOf(e.who, e.at.Unmap()).IsOne(list)
}
