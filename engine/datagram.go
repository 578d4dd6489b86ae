package engine

import (
	"weir/dissect"
	"weir/flow"
	"weir/wire"
)

// datagram deals with a chunk that is a whole datagram.
func (l *Lane) datagram(a *app, c *flow.Chunk) {
	if len(c.Data) == 0 {
		return
	}
	if p := l.fl.Key.Proto; p == wire.ProtoICMP || p == wire.ProtoICMPv6 {
		l.seekInPing(c.Data)
	}
	for {
		if a.d == nil && (a.proto == nil || a.proto.New != nil) && a.datagrams < maxDatagrams {
			l.probeDatagram(a, c)
		}
		if a.d == nil {
			break
		}
		pr, err := a.d.Feed(c.Dir, c.Data, l.emit)
		l.unread(a, c.Dir, &pr)
		switch {
		case err == nil && pr.Used > 0:
			a.taken, a.unsure = true, false
			return
		case err == nil: // it is not one of its own, or it cannot tell yet: then others may know
			a.unsure = !a.taken
			if a.unsure && l.surer(a, c) {
				continue
			}
		case a.taken:
			l.anomaly("applayer", a.proto.Name+".malformed", "a datagram is not valid for the protocol: inspected as raw bytes")
			l.t.count.malformed++
		default:
			l.mistaken(a)
			continue
		}
		break
	}
	if a.datagrams > 0 && a.datagrams < maxDatagrams {
		l.wrongCarrier(c.Data)
	}
	a.raw[c.Dir]++
	if a.sure == unrecognised {
		l.stillUnknown(a)
	}
	l.seekInRaw(a, c.Dir, c.Data, true)
	l.rawMessage(c.Dir, rawID|a.raw[c.Dir]<<1|uint64(c.Dir), 0, c.Data, true)
}

// probeDatagram asks what a datagram is.
func (l *Lane) probeDatagram(a *app, c *flow.Chunk) {
	carrier := carrierOf(l.fl.Key.Proto)
	if carrier == 0 {
		a.datagrams = maxDatagrams
		if p := dissect.OverIP(l.fl.Key.Proto, c.Data); p != nil {
			l.recognised(a, p)
		}
		return
	}
	a.datagrams++
	alive := candidates(carrier)
	alive.without(&a.tried)
	p, _ := identify(&alive, carrier, c.Dir, c.Data, l.fl.Key.APort, l.fl.Key.BPort)
	if a.judge != nil && p == nil {
		a.judge.be(&alive)
	}
	// What was announced never stands above what the bytes say; where they say the same, it is surer.
	if w := l.announced(a, carrier, c.Dir, c.Data); w != nil && (p == nil || p.Name == w.Name) {
		p = w
	}
	l.startDatagrams(a, p)
}

func (l *Lane) startDatagrams(a *app, p *dissect.Protocol) {
	switch {
	case p == nil:
	case p.New == nil:
		l.recognised(a, p)
	default:
		l.start(a, p)
	}
}

// surer reports whether another protocol than the one that cannot tell yet is sure of a datagram: that one has it from now on. Others are asked
// of the first datagrams only.
func (l *Lane) surer(a *app, c *flow.Chunk) bool {
	if a.datagrams >= maxDatagrams {
		return false
	}
	a.datagrams++
	i := index(a.proto)
	alive := candidates(carrierOf(l.fl.Key.Proto))
	alive.without(&a.tried)
	alive.drop(i)
	p, _ := identify(&alive, carrierOf(l.fl.Key.Proto), c.Dir, c.Data, l.fl.Key.APort, l.fl.Key.BPort)
	if p == nil {
		return false
	}
	l.mistaken(a)
	l.startDatagrams(a, p)
	return true
}
