package dissect

import "weir/wire"

// MDNS is multicast DNS, RFC 6762.
var MDNS = Protocol{
	Name: "mdns", Event: "dns",
	About:   "Multicast DNS (RFC 6762): messages of DNS that begin with the number 0 and no other flags than a query or an answer of it has. Their events are those of DNS.",
	Carrier: Datagram, Ports: []uint16{5353}, Probe: probeMDNS, Fields: dnsFields, PerMessage: true, New: newDNS, Resume: resumeDNS,
}

// LLMNR is Link-Local Multicast Name Resolution, RFC 4795.
var LLMNR = Protocol{
	Name: "llmnr", Event: "dns",
	About: "Link-Local Multicast Name Resolution (RFC 4795): messages of DNS that ask for one name of one label, with no flags but its own. " +
		"Their events are those of DNS.",
	Carrier: Datagram, Ports: []uint16{5355}, Probe: probeLLMNR, Fields: dnsFields, PerMessage: true, New: newDNS, Resume: resumeDNS,
}

// from the specification
const (
	mdnsAnswer = 0x8400 // flags of an answer: it is authoritative; RFC 6762 section 18
	dnsTC      = 0x0200 // more answers follow
	llmnrFlags = 0x8600 // flags that a message may have: answer, conflict, truncated; RFC 4795 section 2.1.1
)

// probeMDNS says Yes to messages with the header of RFC 6762 section 18: the number is 0, and recursion is not asked for.
func probeMDNS(_ wire.Dir, head []byte) Guess {
	c := wire.Cut(head)
	h := readDNSHeader(&c)
	if f := h.flags &^ dnsTC; c.Short() || h.id != 0 || f != 0 && f != mdnsAnswer || !dnsLooks(head) {
		return No
	}
	return Yes
}

// probeLLMNR says Yes to a question for one name without a dot, and to its answer. Clients of DNS ask for recursion, and resolvers come with
// EDNS.
func probeLLMNR(_ wire.Dir, head []byte) Guess {
	c := wire.Cut(head)
	h := readDNSHeader(&c)
	if c.Short() || h.id == 0 || h.flags&^llmnrFlags != 0 || h.count[0] != 1 || h.count[2] != 0 || h.count[3] != 0 || h.count[1] > 0 && !h.answer() {
		return No
	}
	if n := int(c.U8()); n == 0 || n > dnsMaxLabel || c.Bytes(n) == nil {
		return No
	}
	if c.U8() != 0 || !dnsLooks(head) {
		return No
	}
	return Yes
}
