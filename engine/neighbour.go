package engine

import "weir/wire"

// neighbour reports whether a packet keeps IPv6 itself alive on a link: neighbour discovery (RFC 4861: a hop limit of 255) and multicast listener reports
// (RFC 2710, RFC 3810: of 1), neither of which any router forwards. They are no matter of a policy, as those of IPv4, ARP, are not.
func neighbour(p *wire.Packet) bool {
	if p.Key.Proto != wire.ProtoICMPv6 {
		return false
	}
	switch {
	case p.Type >= 133 && p.Type <= 137:
		return p.TTL == 255
	case p.Type >= 130 && p.Type <= 132, p.Type == 143:
		return p.TTL == 1
	}
	return false
}

// neighbours reports whether the present flow is of such packets. With another hop limit their receivers ignore them.
func (l *Lane) neighbours() bool {
	t := l.port() >> 8
	return l.fl.Key.Proto == wire.ProtoICMPv6 && (t >= 130 && t <= 137 || t == 143)
}
