package engine

import (
	"strings"

	"weir/dissect"
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
		if w := l.watch(); w != nil {
			v, found = w.DNS(l.t.now, m)
		}
	case &dissect.HTTP:
		v, found = tunnel.HTTP(l.streamOf(l.a), m)
	}
	if found {
		l.tunnelled(m, v)
	}
}

// seekInRaw looks for what bytes that nobody understands carry. packet says that they are a whole datagram.
func (l *Lane) seekInRaw(a *app, dir wire.Dir, data []byte, packet bool) {
	if packet && (l.p.Key.Proto == wire.ProtoICMP || l.p.Key.Proto == wire.ProtoICMPv6) {
		return
	}
	s := l.streamOf(a)
	if *s == nil {
		*s = &tunnel.Stream{}
	}
	if v, found := (*s).Raw(dir, data, packet); found {
		l.tunnelled(nil, v)
	}
}

// seekInPing looks for what a ping carries.
func (l *Lane) seekInPing(payload []byte) {
	reply := false
	switch l.p.Type {
	case 8, 128:
	case 0, 129:
		reply = true
	default:
		return
	}
	if w := l.watch(); w != nil {
		if v, found := w.Echo(l.t.now, &l.fl.Key, reply, payload); found {
			l.tunnelled(nil, v)
		}
	}
}

// streamOf returns where a flow keeps what is remembered of it for tunnels.
func (l *Lane) streamOf(a *app) **tunnel.Stream { return &a.more().inside }

// tunnelled raises the alert of a tunnel, once for a flow and kind.
func (l *Lane) tunnelled(m *dissect.Message, v tunnel.Verdict) {
	k := &tunnel.Kinds[v.Kind]
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
