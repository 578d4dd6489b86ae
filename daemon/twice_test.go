package daemon

import (
	"net/netip"
	"testing"

	"weir/alert"
)

// TestTakenOver: what happened while both ends of a veth were listened on is told by the one that told it first; what was before, or is after, by each that sees it.
func TestTakenOver(t *testing.T) {
	const from, until = 1_000_000_000_000, 1_000_003_000_000
	x := newTwice()
	x.begins("v1", from)
	x.ends("v1", until)
	x.ends("v9", until) // of no takeover
	event := func(iface string, at int64, change func(*alert.Event)) *alert.Event {
		ev := &alert.Event{Time: at, Type: "http", Iface: iface, Src: netip.MustParseAddrPort("10.0.0.1:4000"), Dst: netip.MustParseAddrPort("10.0.0.2:80"), TxID: 7,
			App: &alert.App{Name: "http", Text: []byte(`{"url":"/ok"}`)}}
		if iface == "v1/peer" {
			ev.TxID = 0 // it has seen the connection from there on only
		}
		if change != nil {
			change(ev)
		}
		return ev
	}
	flow := func(packets uint64) func(*alert.Event) {
		return func(ev *alert.Event) {
			ev.Type, ev.App, ev.AppProto, ev.Flow = "flow", nil, "http", &alert.Flow{PktsToServer: packets}
		}
	}
	other := func(ev *alert.Event) { ev.App = &alert.App{Name: "http", Text: []byte(`{"url":"/other"}`)} }
	for i, c := range []struct {
		ev   *alert.Event
		want bool
	}{
		{event("v1", from-1, nil), false},
		{event("v1", from+1, nil), false},
		{event("v1/peer", from+2, nil), true},
		{event("v1/peer", from+3, other), false},
		{event("v1", from+3, other), true}, // whoever is first
		{event("v1/peer", until+1, nil), false},
		{event("v2", from+1, nil), false},
		{event("v2/peer", from+1, nil), false}, // there was no takeover
		{event("v1", from+4, flow(5)), false},
		{event("v1/peer", from+4, flow(4)), false}, // a part of it: it began before
		{event("v1/peer", from+4, flow(5)), true},
	} {
		if got := x.seen(c.ev, "1:community", false); got != c.want {
			t.Errorf("%d: held back is %v, want %v", i, got, c.want)
		}
	}
	x.begins("v3", until+2*twiceWindow)
	if len(x.takeovers) != 1 {
		t.Errorf("%d takeovers are remembered", len(x.takeovers))
	}
}

// TestTakenOverOfTwo: where one end of a conversation of two workloads is listened on twice for a while, an alert is told once all the same, whoever is first; and one end's count of
// exchanges is not taken for the other's.
func TestTakenOverOfTwo(t *testing.T) {
	const from, until = 1_000_000_000_000, 1_000_003_000_000
	type told struct {
		iface string
		tx    uint64
		at    int64
		want  bool
	}
	for i, list := range [][]told{
		{{"v1", 7, from + 1, false}, {"v2", 7, from + 2, true}, {"v1/peer", 0, from + 3, true}},
		{{"v2", 7, from + 1, false}, {"v1", 7, from + 2, true}, {"v1/peer", 0, from + 3, true}},
		{{"v2", 7, from + 1, false}, {"v1/peer", 0, from + 2, false}, {"v1", 7, from + 3, true}}, // nobody knows that they are the same
		{{"v1/peer", 0, from + 1, false}, {"v1", 7, from + 2, true}, {"v2", 7, from + 3, true}},
		{{"v1", 0, from - 1, false}, {"v1/peer", 0, from + 1, false}, {"v1", 7, from + 2, true}},
		{{"v1", 0, from + 1, false}, {"v1/peer", 0, until + 1, false}},
		{{"v1", 7, until + 1, false}, {"v2", 7, until + 1, true}, {"v2", 8, until + 2, false}},
	} {
		x := newTwice()
		x.begins("v1", from)
		x.ends("v1", until)
		for _, c := range list {
			ev := &alert.Event{Time: c.at, Type: "alert", Iface: c.iface, TxID: c.tx, Alert: &alert.Alert{}, App: &alert.App{Name: "http"}}
			if got := x.seen(ev, "1:community", false); got != c.want {
				t.Errorf("%d: %+v: held back is %v", i, c, got)
			}
		}
	}
}
