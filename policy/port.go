package policy

import (
	"fmt"
	"slices"
	"strconv"
	"strings"

	"weir/rules"
)

// ipProtocol is an IP protocol that ports may name.
type ipProtocol struct {
	name  string
	proto uint8
	parts string // what stands behind the slash: "port", "type" (of ICMP, then perhaps a code), "" nothing
}

// ipProtocols are those that have a name; others are written as ip/NUMBER.
var ipProtocols = []ipProtocol{
	{"tcp", 6, "port"}, {"udp", 17, "port"}, {"sctp", 132, "port"}, {"udplite", 136, "port"}, {"dccp", 33, "port"},
	{"icmp", 1, "type"}, {"icmpv6", 58, "type"},
	{"igmp", 2, ""}, {"gre", 47, ""}, {"esp", 50, ""}, {"ah", 51, ""}, {"ipip", 4, ""}, {"ipv6", 41, ""}, {"ospf", 89, ""}, {"pim", 103, ""}, {"vrrp", 112, ""},
}

const icmp, icmpv6 = 1, 58

// ParsePort reads one word of a rule's ports: tcp/80, udp/6000-6100, tcp, icmp, icmp/8, icmpv6/128, icmp/3/4, gre, ip/99. what, unless it is "",
// says what is wrong with it. "icmp" alone is that of both IPv4 and IPv6, hence two ports.
func ParsePort(text string) (ports []Port, what, hint string) {
	const form = `"tcp/80", "udp/6000-6100", "icmp"`
	word, rest, more := strings.Cut(strings.ToLower(text), "/")
	if word == "ip" {
		n, err := strconv.ParseUint(rest, 10, 8)
		if err != nil || n == 0 {
			return nil, fmt.Sprintf("this is no IP protocol: %q", text), "ip/1 to ip/255"
		}
		return []Port{{uint8(n), 0, 0xffff}}, "", ""
	}
	i := slices.IndexFunc(ipProtocols, func(p ipProtocol) bool { return p.name == word })
	if i < 0 {
		hint := form
		if n := rules.Nearest(word, protocolNames()); n != "" && strings.ContainsAny(word, "abcdefghijklmnopqrstuvwxyz") {
			hint = fmt.Sprintf("did you mean %q?", n)
		}
		return nil, fmt.Sprintf("unknown IP protocol in %q", text), hint
	}
	p := Port{ipProtocols[i].proto, 0, 0xffff}
	switch parts := ipProtocols[i].parts; {
	case !more && p.Proto == icmp:
		return []Port{p, {icmpv6, 0, 0xffff}}, "", ""
	case !more:
	case parts == "port" && !p.portRange(rest):
		return nil, fmt.Sprintf("this is no port: %q", text), form
	case parts == "type" && !p.typeAndCode(rest):
		return nil, fmt.Sprintf("this is no type of ICMP: %q", text), `"icmp/8", with a code "icmp/3/4"`
	case parts == "":
		return nil, fmt.Sprintf("%s has no ports", word), strconv.Quote(word)
	}
	return []Port{p}, "", ""
}

func protocolNames() []string {
	out := make([]string, len(ipProtocols))
	for i := range ipProtocols {
		out[i] = ipProtocols[i].name
	}
	return out
}

// PortWords are the words that ports may begin with.
func PortWords() []string { return append(protocolNames(), "ip") }

// portRange reads N or N-M.
func (p *Port) portRange(text string) bool {
	low, top, ranged := strings.Cut(text, "-")
	if !ranged {
		top = low
	}
	a, err := strconv.ParseUint(low, 10, 16)
	b, err2 := strconv.ParseUint(top, 10, 16)
	p.Low, p.Top = uint16(a), uint16(b)
	return err == nil && err2 == nil && a <= b
}

// typeAndCode reads TYPE or TYPE/CODE.
func (p *Port) typeAndCode(text string) bool {
	kind, code, coded := strings.Cut(text, "/")
	a, err := strconv.ParseUint(kind, 10, 8)
	p.Low, p.Top = uint16(a)<<8, uint16(a)<<8|0xff
	if !coded || err != nil {
		return err == nil
	}
	b, err := strconv.ParseUint(code, 10, 8)
	p.Low |= uint16(b)
	p.Top = p.Low
	return err == nil
}

// String writes p as ParsePort reads it.
func (p Port) String() string {
	i := slices.IndexFunc(ipProtocols, func(x ipProtocol) bool { return x.proto == p.Proto })
	switch {
	case i < 0:
		return fmt.Sprintf("ip/%d", p.Proto)
	case ipProtocols[i].parts == "type" && p.Low == p.Top:
		return fmt.Sprintf("%s/%d/%d", ipProtocols[i].name, p.Low>>8, p.Low&0xff)
	case p.Low == 0 && p.Top == 0xffff && p.Proto == icmp:
		return "ip/1" // "icmp" alone would be that of IPv6 too
	case p.Low == 0 && p.Top == 0xffff:
		return ipProtocols[i].name
	case ipProtocols[i].parts == "type":
		return fmt.Sprintf("%s/%d", ipProtocols[i].name, p.Low>>8)
	case p.Low == p.Top:
		return fmt.Sprintf("%s/%d", ipProtocols[i].name, p.Low)
	}
	return fmt.Sprintf("%s/%d-%d", ipProtocols[i].name, p.Low, p.Top)
}

// PortNames writes ports as a file has them.
func PortNames(ports []Port) (out []string) {
	for i := 0; i < len(ports); i++ {
		if i+1 < len(ports) && ports[i] == (Port{icmp, 0, 0xffff}) && ports[i+1] == (Port{icmpv6, 0, 0xffff}) {
			out = append(out, "icmp")
			i++
			continue
		}
		out = append(out, ports[i].String())
	}
	return out
}

// has reports whether a flow to a port of an IP protocol is meant.
func (p Port) has(proto uint8, port uint16) bool {
	return p.Proto == proto && p.Low <= port && port <= p.Top
}
