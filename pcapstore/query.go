package pcapstore

import (
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"time"

	"weir/wire"
)

// Query is a condition on packets, and on the slices that they stand in. It is immutable. A nil Query holds for
// everything.
type Query struct{ root *node }

// Answer is what is known of a condition.
type Answer uint8

const (
	No      Answer = iota
	Yes            // for every packet
	Perhaps        // only the packets can tell
)

// kind is what a node of a query asks.
type kind uint8

const (
	kindAnd kind = iota
	kindOr
	kindNot
	kindHost // of packets
	kindNet
	kindPort
	kindTCP
	kindUDP
	kindICMP
	kindBefore
	kindAfter
	kindAlert // of slices
	kindFlow
	kindCommunityID
	kindWorkload
	kindPod
	kindRule
)

// words are the conditions as they are written, by kind, and what each takes.
var words = map[kind]struct{ word, takes string }{
	kindHost:        {"host", "an address, as 10.1.2.3 or 2001:db8::1"},
	kindNet:         {"net", "a network, as 10.0.0.0/8 or 2001:db8::/32"},
	kindPort:        {"port", "a number from 0 to 65535"},
	kindTCP:         {"tcp", ""},
	kindUDP:         {"udp", ""},
	kindICMP:        {"icmp", ""},
	kindBefore:      {"before", timeWanted},
	kindAfter:       {"after", timeWanted},
	kindAlert:       {"alert", "the id that the alert has in weir.slice"},
	kindFlow:        {"flow", "a number, the alert's flow_id"},
	kindCommunityID: {"community-id", `a Community ID, as "1:hO+sN4H+MG5MY/8hIrXPqc4ZQz0="`},
	kindWorkload:    {"workload", "a name"},
	kindPod:         {"pod", "NAMESPACE/NAME"},
	kindRule:        {"rule", "the id of a rule, as pci.pan"},
}

// node is an operator or a condition. Which fields count is the kind's matter.
type node struct {
	kind   kind
	kids   []*node      // of and, or (two at least), not (one)
	text   string       // alert, community id, workload, pod, rule
	prefix netip.Prefix // host (all bits), net
	number uint64       // port, flow
	time   int64        // ns since the epoch: before, after
}

// Alert returns the Query for the slice with an id: its own, or that of an alert that fell into it.
func Alert(id string) *Query { return &Query{&node{kind: kindAlert, text: id}} }

// After returns the Query for packets from t on.
func After(t time.Time) *Query { return &Query{&node{kind: kindAfter, time: t.UnixNano()}} }

// And returns the Query that holds where all of qs do.
func And(qs ...*Query) *Query {
	var kids []*node
	for _, q := range qs {
		if q != nil {
			kids = append(kids, q.root)
		}
	}
	if len(kids) == 0 {
		return nil
	}
	return &Query{join(kindAnd, kids)}
}

// join makes an operator of at least one node; those of the same kind become one.
func join(k kind, kids []*node) *node {
	if len(kids) == 1 {
		return kids[0]
	}
	out := &node{kind: k}
	for _, n := range kids {
		if n.kind == k {
			out.kids = append(out.kids, n.kids...)
		} else {
			out.kids = append(out.kids, n)
		}
	}
	return out
}

// negate makes a not; two of them are none.
func negate(n *node) *node {
	if n.kind == kindNot {
		return n.kids[0]
	}
	return &node{kind: kindNot, kids: []*node{n}}
}

// AsksCommunityID reports whether the answer depends on a Community ID, which is dear to make for every packet.
func (q *Query) AsksCommunityID() bool { return q != nil && q.root.has(kindCommunityID) }

func (n *node) has(k kind) bool {
	return n.kind == k || slices.ContainsFunc(n.kids, func(kid *node) bool { return kid.has(k) })
}

// Slice reports what a slice's own description tells of its packets.
func (q *Query) Slice(i *Info) Answer {
	if q == nil {
		return Yes
	}
	return q.root.answer(i, nil)
}

// Packet reports whether q holds for a decoded packet of a slice. A packet that could not be decoded has no address,
// port or protocol. A fragment, which has no ports, is taken for one of the slice's flow if its addresses are.
func (q *Query) Packet(i *Info, p *wire.Packet) bool {
	return q == nil || q.root.answer(i, p) == Yes
}

// answer judges a packet, or if p is nil all packets that the slice may hold.
func (n *node) answer(i *Info, p *wire.Packet) Answer {
	switch n.kind {
	case kindAnd:
		return n.first(i, p, No, Yes)
	case kindOr:
		return n.first(i, p, Yes, No)
	case kindNot:
		switch n.kids[0].answer(i, p) {
		case No:
			return Yes
		case Yes:
			return No
		}
		return Perhaps
	case kindAlert, kindFlow, kindCommunityID, kindWorkload, kindPod, kindRule:
		return answer(n.ofSlice(i))
	}
	if p == nil {
		return n.ofTimes(i)
	}
	return answer(n.ofPacket(i, p))
}

// first returns decisive if a kid says so, else Perhaps if a kid says so, else other.
func (n *node) first(i *Info, p *wire.Packet, decisive, other Answer) Answer {
	out := other
	for _, k := range n.kids {
		switch k.answer(i, p) {
		case decisive:
			return decisive
		case Perhaps:
			out = Perhaps
		}
	}
	return out
}

func answer(b bool) Answer {
	if b {
		return Yes
	}
	return No
}

func (n *node) ofSlice(i *Info) bool {
	m := &i.Meta
	switch n.kind {
	case kindAlert:
		return i.Has(n.text)
	case kindFlow:
		return m.FlowID == n.number && n.number != 0
	case kindCommunityID:
		return m.CommunityID == n.text
	case kindRule:
		return m.Rule == n.text || slices.Contains(i.Closing.Rules, n.text)
	}
	return slices.Contains(m.Workloads, n.text)
}

// ofTimes answers before and after by the times that the slice's end names; all else only packets can.
func (n *node) ofTimes(i *Info) Answer {
	if !i.Complete || n.kind != kindBefore && n.kind != kindAfter {
		return Perhaps
	}
	first, last := i.Closing.First >= n.time, i.Closing.Last >= n.time
	if first != last {
		return Perhaps
	}
	return answer(first == (n.kind == kindAfter))
}

func (n *node) ofPacket(i *Info, p *wire.Packet) bool {
	switch n.kind {
	case kindBefore:
		return p.Frame.Time < n.time
	case kindAfter:
		return p.Frame.Time >= n.time
	}
	if p.IP == 0 {
		return false
	}
	switch n.kind {
	case kindTCP:
		return p.Key.Proto == wire.ProtoTCP
	case kindUDP:
		return p.Key.Proto == wire.ProtoUDP
	case kindICMP:
		return p.Key.Proto == wire.ProtoICMP || p.Key.Proto == wire.ProtoICMPv6
	case kindPort:
		a, b, ok := ports(i, p)
		return ok && (uint64(a) == n.number || uint64(b) == n.number)
	}
	return n.prefix.Contains(p.Key.AddrA()) || n.prefix.Contains(p.Key.AddrB())
}

// ports returns both ports of a packet, of a fragment those of its slice's flow.
func ports(i *Info, p *wire.Packet) (a, b uint16, ok bool) {
	switch p.Key.Proto {
	case wire.ProtoTCP, wire.ProtoUDP, wire.ProtoSCTP:
	default:
		return 0, 0, false
	}
	m := &i.Meta
	if p.Key.APort|p.Key.BPort == 0 && m.Proto == p.Key.Proto {
		x, y := p.Key.AddrA(), p.Key.AddrB()
		src, dst := m.Src.Addr().Unmap(), m.Dst.Addr().Unmap()
		if x == src && y == dst || x == dst && y == src {
			return m.Src.Port(), m.Dst.Port(), true
		}
	}
	return p.Key.APort, p.Key.BPort, true
}

// String returns q as ParseQuery takes it: times absolute, no parentheses that change nothing. "" if q is nil.
func (q *Query) String() string {
	if q == nil {
		return ""
	}
	var b strings.Builder
	q.root.write(&b)
	return b.String()
}

func (n *node) write(b *strings.Builder) {
	switch n.kind {
	case kindAnd, kindOr:
		for k, kid := range n.kids {
			switch {
			case k > 0 && n.kind == kindAnd:
				b.WriteString(" and ")
			case k > 0:
				b.WriteString(" or ")
			}
			kid.within(b, n.kind == kindAnd && kid.kind == kindOr)
		}
		return
	case kindNot:
		b.WriteString("not ")
		n.kids[0].within(b, len(n.kids[0].kids) > 0)
		return
	}
	b.WriteString(words[n.kind].word)
	if v := n.value(); v != "" || words[n.kind].takes != "" {
		b.WriteString(" " + v)
	}
}

func (n *node) within(b *strings.Builder, parentheses bool) {
	if !parentheses {
		n.write(b)
		return
	}
	b.WriteByte('(')
	n.write(b)
	b.WriteByte(')')
}

// value returns what follows a condition's word, "" for nothing.
func (n *node) value() string {
	switch n.kind {
	case kindHost:
		return n.prefix.Addr().String()
	case kindNet:
		return n.prefix.String()
	case kindPort, kindFlow:
		return strconv.FormatUint(n.number, 10)
	case kindBefore, kindAfter:
		return time.Unix(0, n.time).UTC().Format(time.RFC3339Nano)
	case kindTCP, kindUDP, kindICMP:
		return ""
	}
	return quoted(n.text)
}

// quoted returns a value as it is, or in quotes where it would be read as something else.
func quoted(s string) string {
	if s != "" && !strings.ContainsFunc(s, endsWord) && !strings.HasPrefix(s, "!") && operators[strings.ToLower(s)] == "" {
		return s
	}
	return `"` + strings.NewReplacer(`\`, `\\`, `"`, `\"`).Replace(s) + `"`
}
