package pcapstore

import (
	"fmt"
	"net/netip"
	"strings"
	"time"
	"unicode"

	"weir/wire"
)

// rows writes packets as lines for people: when, who to whom, how much, and the comment. Nothing of what they carry is shown.
type rows struct {
	alert *Meta // whose packet is the zero of time; nil: times are of the day
	begun bool
	d     wire.Decoder
	p     wire.Packet
}

const etherARP = 0x0806 // RFC 826

// rowLayout are the columns: time, interface, direction, ends, protocol, bytes on the wire, bytes of payload, flags; then the comment.
const rowLayout = "%15s  %-15s %s %-47s %-9s %6s %7s  %-11s %s"

func (r *rows) append(b []byte, iface string, f *wire.Frame, n *Note) []byte {
	if !r.begun {
		r.begun = true
		b = r.head(b)
	}
	r.d.Decode(f, &r.p)
	p := &r.p
	dir, ends, proto, payload, flags := " ", "-", fmt.Sprintf("0x%04x", p.Ether), "-", ""
	if p.Ether == etherARP {
		proto = "arp"
	}
	if p.IP != 0 {
		src, dst := netip.AddrPortFrom(p.Key.AddrA(), p.Key.APort), netip.AddrPortFrom(p.Key.AddrB(), p.Key.BPort)
		if !p.FromA {
			src, dst = dst, src
		}
		dir, ends = r.direction(src, dst), shownEnd(p, src)+" > "+shownEnd(p, dst)
		proto, payload, flags = protoName(p), fmt.Sprint(len(p.Payload)), flagNames(p)
	}
	comment := strings.ReplaceAll(n.Comment, "\n", "; ")
	if n.Dropped > 0 {
		comment = strings.TrimSuffix(fmt.Sprintf("%d lost before; %s", n.Dropped, comment), "; ")
	}
	_, onWire := lengths(f)
	line := fmt.Sprintf(rowLayout, r.time(f.Time), printable(iface), dir, ends, proto, fmt.Sprint(onWire), payload, flags, printable(comment))
	return append(append(b, strings.TrimRight(line, " ")...), '\n')
}

func (r *rows) head(b []byte) []byte {
	when := "TIME (UTC)"
	if a := r.alert; a != nil {
		when = "SECONDS"
		b = fmt.Appendf(b, "slice %s  %s  %s  alert of %s, from which seconds are counted; > is from %s\n", printable(a.Slice), printable(a.Rule), printable(a.Severity),
			time.Unix(0, a.Time).UTC().Format("2006-01-02 15:04:05.000000"), a.Src)
	}
	line := fmt.Sprintf(rowLayout, when, "INTERFACE", " ", "FROM > TO", "PROTOCOL", "BYTES", "PAYLOAD", "FLAGS", "COMMENT")
	return append(append(b, line...), '\n')
}

func (r *rows) time(ns int64) string {
	if r.alert == nil {
		return time.Unix(0, ns).UTC().Format("15:04:05.000000")
	}
	return fmt.Sprintf("%+.6f", float64(ns-r.alert.Time)/1e9)
}

// direction tells whether the flow's initiator sent a packet.
func (r *rows) direction(src, dst netip.AddrPort) string {
	if r.alert == nil {
		return " "
	}
	switch initiator := netip.AddrPortFrom(r.alert.Src.Addr().Unmap(), r.alert.Src.Port()); initiator {
	case src:
		return ">"
	case dst:
		return "<"
	}
	return " "
}

func shownEnd(p *wire.Packet, a netip.AddrPort) string {
	switch p.Key.Proto {
	case wire.ProtoTCP, wire.ProtoUDP, wire.ProtoSCTP:
		if !p.Fragmented {
			return a.String()
		}
	}
	return a.Addr().String()
}

func protoName(p *wire.Packet) string {
	switch p.Key.Proto {
	case wire.ProtoTCP:
		return "tcp"
	case wire.ProtoUDP:
		return "udp"
	case wire.ProtoICMP:
		return "icmp"
	case wire.ProtoICMPv6:
		return "icmp6"
	case wire.ProtoSCTP:
		return "sctp"
	}
	return fmt.Sprintf("ip %d", p.Key.Proto)
}

// tcpFlagNames are the flags by bit, as RFC 9293 section 3.1 calls them.
var tcpFlagNames = [8]string{"FIN", "SYN", "RST", "PSH", "ACK", "URG", "ECE", "CWR"}

func flagNames(p *wire.Packet) string {
	switch {
	case p.Fragmented:
		return fmt.Sprintf("part at %d", p.Frag.Off)
	case p.Key.Proto == wire.ProtoICMP, p.Key.Proto == wire.ProtoICMPv6:
		return fmt.Sprintf("%d/%d", p.Type, p.Code)
	case p.Key.Proto != wire.ProtoTCP:
		return ""
	}
	var out []string
	for bit, name := range tcpFlagNames {
		if p.TCP.Flags>>bit&1 != 0 {
			out = append(out, name)
		}
	}
	return strings.Join(out, ",")
}

// printable keeps what could command a terminal out of a text.
func printable(s string) string {
	return strings.Map(func(r rune) rune {
		if unicode.IsPrint(r) {
			return r
		}
		return '?'
	}, s)
}
