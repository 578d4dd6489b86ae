package engine

import (
	"strings"

	"weir/dissect"
	"weir/flow"
	"weir/rules"
	"weir/tunnel"
	"weir/wire"
)

// watch returns what the tap remembers for tunnels; nil: there is no memory for it.
func (l *Lane) watch() *tunnel.Watch {
	t := l.t
	if t.watch == nil {
		if !t.opens.bytes.Fits(tunnel.WatchSize) {
			t.tellOnce("engine", "engine.tunnels", "no memory to look for tunnels in names and pings")
			return nil
		}
		t.opens.bytes.Use(tunnel.WatchSize)
		t.watch = tunnel.NewWatch()
	}
	return t.watch
}

// seekTunnels looks for what a message carries inside.
func (l *Lane) seekTunnels(m *dissect.Message) {
	var v tunnel.Verdict
	var found bool
	switch m.Protocol {
	case &dissect.DNS, &dissect.DNSTCP:
		if l.t.watch == nil && !tunnel.IsOdd(m) {
			return
		}
		if w := l.watch(); w != nil {
			v, found = w.DNS(l.t.now, m)
		}
	case &dissect.HTTP, &dissect.HTTP2:
		s := l.a.remembered()
		v, found = tunnel.HTTP(&s, m)
		l.a.remember(s)
	}
	if m.Protocol.Name == "websocket" {
		s := l.a.remembered()
		v, found = tunnel.Socket(&s, m)
		l.a.remember(s)
	}
	if found {
		l.tunnelled(m, v)
	}
}

// seekInRaw looks for what bytes that nobody understands carry. packet says that they are a whole datagram.
func (l *Lane) seekInRaw(a *app, dir wire.Dir, data []byte, packet bool) {
	if len(data) == 0 {
		return
	}
	s := a.remembered()
	v, found := tunnel.Packets(&s, data, packet)
	a.remember(s)
	if !found && !packet && a.sure == unrecognised && a.work != nil {
		v, found = tunnel.Raw(&a.shell, dir, data)
	}
	if found {
		l.tunnelled(nil, v)
	}
}

const smuggledLeast = 48 // bytes in the options of a packet, which no option that hosts send has

// smuggled tells of options of IPv6 that carry data, once.
func (l *Lane) smuggled(fl *flow.Flow[conn]) {
	if own := fl.S.more(); own.smuggled {
		return
	} else {
		own.smuggled = true
	}
	l.tunnelled(nil, tunnel.Verdict{Kind: tunnel.KindOptions, Score: 70, Why: "unknown options or padding with data in it, where hosts have next to nothing"})
}

// remembered returns what is remembered of a flow for tunnels; nil: nothing.
func (a *app) remembered() *tunnel.Stream {
	if a.rare == nil {
		return nil
	}
	return a.rare.inside
}

func (a *app) remember(s *tunnel.Stream) {
	if s != a.remembered() {
		a.more().inside = s
	}
}

// seekInPing looks for what a message of ICMP carries.
func (l *Lane) seekInPing(message []byte) {
	if !tunnel.IsEcho(message) {
		return
	}
	if w := l.watch(); w != nil {
		if v, found := w.Echo(l.t.now, &l.fl.Key, message); found {
			l.tunnelled(nil, v)
		}
	}
}

// tunnelled raises the alert of a tunnel, once for a flow and kind.
func (l *Lane) tunnelled(m *dissect.Message, v tunnel.Verdict) {
	k := &tunnel.Kinds[v.Kind]
	if v.Again { // what belongs to it is stopped too, and told no more
		l.follows(l.rules.own[k.Rule])
		return
	}
	if l.a != nil && !l.a.tell(k.Rule) {
		return
	}
	ev := l.ownAlert(m, k.Rule, "threat", "tunnel", k.Title, rules.High)
	if ev == nil {
		return
	}
	ev.Alert.Metadata = map[string][]string{"tags": {"tunnel", "attack." + k.Technique}, "mitre_technique_id": {k.Technique}}
	ev.Weir.Score, ev.Weir.Why = v.Score, strings.Join([]string{k.Title, v.Why}, ": ")
	l.raise(ev, k.Rule)
}
