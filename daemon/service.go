package daemon

import (
	"cmp"

	"weir/alert"
	"weir/wire"
	"weir/workload"
)

// service finds out whether the host translates the addresses of an event's conversation. Then two taps see it under different ones, and tell the same of it: one is what both are known by. Where the event
// has the pod's address, the service's that the client used is put into it.
func (d *Daemon) service(ev *alert.Event) (one string, translated bool) {
	t := d.translations.Load()
	if t == nil || ev.CommunityID == "" || !ev.Src.IsValid() || !ev.Dst.IsValid() {
		return ev.CommunityID, false
	}
	seen := workload.Tuple{Proto: ev.Proto, From: ev.Src, To: ev.Dst}
	other, ok := t.Other(seen)
	turned := false
	if !ok { // what is told of an answer has its sender first
		seen.From, seen.To = seen.To, seen.From
		if other, ok = t.Other(seen); !ok {
			return ev.CommunityID, false
		}
		turned = true
	}
	server := ev.Weir.Dst
	if turned {
		server = ev.Weir.Src
	}
	if server != nil && server.Address == "" && other.To != seen.To { // the event has the pod's own
		server.Service = other.To.String()
	}
	return min(ev.CommunityID, tupleID(&other)), true
}

// tupleID is the Community ID of a connection.
func tupleID(t *workload.Tuple) string {
	a, b := t.From, t.To
	if cmp.Or(a.Addr().Compare(b.Addr()), cmp.Compare(a.Port(), b.Port())) > 0 { // as a wire.Key has them
		a, b = b, a
	}
	k := wire.Key{A: a.Addr().As16(), B: b.Addr().As16(), APort: a.Port(), BPort: b.Port(), Proto: t.Proto}
	return wire.CommunityID(&k, 0)
}
