package wire

import (
	"crypto/sha1" //nolint:gosec // what the Community ID is made of, no secret depends on it
	"encoding/base64"
	"encoding/binary"
)

// ICMP types that belong together, request then reply: RFC 792, 950 and 1256.
const (
	icmpEcho, icmpEchoReply             = 8, 0
	icmpTimestamp, icmpTimestampReply   = 13, 14
	icmpInfo, icmpInfoReply             = 15, 16
	icmpMask, icmpMaskReply             = 17, 18
	icmpRouterSolicit, icmpRouterAdvert = 10, 9
)

// ICMPv6 types that belong together, request then reply: RFC 4443, 2710, 4861, 4620 and 6275.
const (
	icmp6Echo, icmp6EchoReply               = 128, 129
	icmp6ListenerQuery, icmp6ListenerReport = 130, 131
	icmp6RouterSolicit, icmp6RouterAdvert   = 133, 134
	icmp6Solicit, icmp6Advert               = 135, 136
	icmp6NodeQuery, icmp6NodeReply          = 139, 140
	icmp6HomeAgent, icmp6HomeAgentReply     = 144, 145
)

// Counterpart returns the type that answers, or is answered by, an ICMP or ICMPv6 type; false if it has none, as
// the Community ID specification takes them from Zeek.
func Counterpart(proto, typ uint8) (uint8, bool) {
	if proto == ProtoICMP {
		switch typ {
		case icmpEcho:
			return icmpEchoReply, true
		case icmpEchoReply:
			return icmpEcho, true
		case icmpRouterSolicit:
			return icmpRouterAdvert, true
		case icmpRouterAdvert:
			return icmpRouterSolicit, true
		case icmpTimestamp, icmpInfo, icmpMask:
			return typ + 1, true
		case icmpTimestampReply, icmpInfoReply, icmpMaskReply:
			return typ - 1, true
		}
		return 0, false
	}
	switch typ {
	case icmp6Echo, icmp6ListenerQuery, icmp6RouterSolicit, icmp6Solicit, icmp6NodeQuery, icmp6HomeAgent:
		return typ + 1, true
	case icmp6EchoReply, icmp6ListenerReport, icmp6RouterAdvert, icmp6Advert, icmp6NodeReply, icmp6HomeAgentReply:
		return typ - 1, true
	}
	return 0, false
}

// CommunityID returns the Community ID, version 1, of a flow: "1:" and the base64 of a SHA-1, the same for both
// directions, Scope left out. ICMP types that nobody answers are ordered as all else, as the specification's text,
// Suricata and Arkime have it; its reference script keeps the sender of those first.
func CommunityID(k *Key, seed uint16) string {
	var b [2 + 28]byte
	return string(AppendCommunityID(b[:0], k, seed))
}

// AppendCommunityID appends the Community ID to dst, without allocating if dst has room for 30 bytes.
func AppendCommunityID(dst []byte, k *Key, seed uint16) []byte {
	var in [2 + 16 + 16 + 2 + 4]byte
	b := binary.BigEndian.AppendUint16(in[:0], seed)
	b = appendAddr(b, &k.A)
	b = appendAddr(b, &k.B)
	b = append(b, k.Proto, 0)
	switch k.Proto {
	case ProtoTCP, ProtoUDP, ProtoSCTP, ProtoICMP, ProtoICMPv6:
		b = binary.BigEndian.AppendUint16(b, k.APort)
		b = binary.BigEndian.AppendUint16(b, k.BPort)
	}
	sum := sha1.Sum(b) //nolint:gosec // as above
	return base64.StdEncoding.AppendEncode(append(dst, "1:"...), sum[:])
}

// appendAddr appends the address as it is on the wire: 4 bytes for an IPv4 one.
func appendAddr(b []byte, a *[16]byte) []byte {
	const mapped = 0xffff
	if binary.BigEndian.Uint64(a[:]) == 0 && binary.BigEndian.Uint32(a[8:]) == mapped {
		return append(b, a[12:]...)
	}
	return append(b, a[:]...)
}
