package dissect

import "weir/wire"

// ICMP is the Internet Control Message Protocol, RFC 792.
var ICMP = Protocol{
	Name:    "icmp",
	About:   "ICMP for IPv4 (RFC 792). Messages have no events of their own, only their flows have; what they carry is inspected.",
	Carrier: ICMPv4, Probe: probeICMP, PerMessage: true, Fields: icmpFields("icmp"), New: eachDatagram(tellICMP), Resume: eachAgain(tellICMP),
}

// ICMPv6 is the Internet Control Message Protocol for IPv6, RFC 4443, neighbour discovery (RFC 4861) among it.
var ICMPv6 = Protocol{
	Name:    "icmpv6",
	About:   "ICMP for IPv6 (RFC 4443, RFC 4861). Messages have no events of their own, only their flows have; what they carry is inspected.",
	Carrier: ICMP6, Probe: probeICMP, PerMessage: true, Fields: icmpFields("icmpv6"), New: eachDatagram(tellICMP), Resume: eachAgain(tellICMP),
}

func icmpFields(name string) []FieldSpec {
	return []FieldSpec{
		icmpType:    {Name: name + ".type", Doc: "type of the message, digits", Derived: true},
		icmpCode:    {Name: name + ".code", Doc: "its code, digits", Derived: true},
		icmpPayload: {Name: name + ".payload", Doc: "what it carries: an echo's data, of other messages all behind the checksum"},
	}
}

// Fields of ICMP and ICMPv6.
const (
	icmpType Field = iota
	icmpCode
	icmpPayload
)

// from the specification
const (
	icmpLen       = 4 // bytes: type, code and checksum
	icmpEchoLen   = 8 // bytes of an echo before its data
	icmpEchoReply = 0
	icmpEcho      = 8
	icmp6Echo     = 128
	icmp6Reply    = 129
)

func probeICMP(_ wire.Dir, head []byte) Guess { return yes(len(head) >= icmpLen) }

func tellICMP(t *teller, _ wire.Dir, b []byte) bool {
	if len(b) < icmpLen {
		return false
	}
	t.number(icmpType, int64(b[0]))
	t.number(icmpCode, int64(b[1]))
	at := icmpLen
	switch b[0] {
	case icmpEcho, icmpEchoReply, icmp6Echo, icmp6Reply:
		at = icmpEchoLen
	}
	if len(b) > at {
		t.add(icmpPayload, b[at:])
	}
	return true
}
