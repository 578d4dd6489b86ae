package wire

import "net/netip"

// Key names a flow, the same for both directions: (A, APort) is the lesser end, compared as
// bytes, then ports. No pointers, no padding; IPv4 is held as IPv4-mapped IPv6. For ICMP the
// sender's port is the type and the receiver's its counterpart (the reply's type to a request and the
// other way round) or, for a type that knows no reply, the code. For other
// protocols without ports, and for fragments, they are 0. Scope tells apart what may reuse
// addresses: VLAN, VNI, GRE key, tunnel or none.
type Key struct {
	A, B         [16]byte
	APort, BPort uint16
	Scope        uint32
	Proto        uint8
	_            [3]byte
}

// AddrA returns A as an address; an IPv4 one unmapped.
func (k *Key) AddrA() netip.Addr { return netip.AddrFrom16(k.A).Unmap() }

// AddrB returns B as an address; an IPv4 one unmapped.
func (k *Key) AddrB() netip.Addr { return netip.AddrFrom16(k.B).Unmap() }

// IP protocol numbers.
const (
	ProtoICMP   = 1
	ProtoIPIP   = 4
	ProtoTCP    = 6
	ProtoUDP    = 17
	ProtoIPv6   = 41
	ProtoGRE    = 47
	ProtoESP    = 50
	ProtoAH     = 51
	ProtoICMPv6 = 58
	ProtoSCTP   = 132
)

// Dir is a direction of a conversation.
type Dir uint8

const (
	ToServer Dir = iota // from the initiator
	ToClient            // to the initiator
)

// Other returns the opposite direction.
func (d Dir) Other() Dir { return d ^ 1 }

func (d Dir) String() string {
	if d == ToServer {
		return "to_server"
	}
	return "to_client"
}

// TCPFlags are the flag bits of a TCP header, RFC 9293 section 3.1.
type TCPFlags uint8

const (
	FIN TCPFlags = 1 << iota
	SYN
	RST
	PSH
	ACK
	URG
	ECE
	CWR
)

// Has reports whether all of g are set.
func (f TCPFlags) Has(g TCPFlags) bool { return f&g == g }

// TCP holds the fields of a TCP header that stream reassembly needs.
type TCP struct {
	Seq, Ack   Seq
	Window     uint16
	Flags      TCPFlags
	HasTS      bool   // TSVal and TSEcr are valid (RFC 7323)
	HasWScale  bool   // WScale is valid; only meaningful with SYN
	WScale     uint8  // shift count, at most 14
	MSS        uint16 // 0 if absent; only meaningful with SYN
	TSVal      uint32
	TSEcr      uint32
	Urgent     uint16
	BadOptions bool // the option list did not parse
}

// Fragment describes an IP fragment (RFC 791, RFC 8200 section 4.5).
type Fragment struct {
	ID   uint32
	Off  int  // byte offset of Packet.Payload in the datagram
	More bool // more fragments follow
}

// Csum is what is known of a transport checksum.
type Csum uint8

const (
	CsumUnknown Csum = iota // not looked at yet: see Packet.Checksum
	CsumNone                // cannot be judged: partial, cut short, fragment, UDP over IPv4 without one
	CsumValid
	CsumBad
)

// Encap is a set of encapsulations that were taken off a packet.
type Encap uint16

const (
	EncapVLAN Encap = 1 << iota
	EncapVXLAN
	EncapGeneve
	EncapGRE
	EncapIPIP
	EncapPPPoE
	EncapMPLS
	EncapGTP
	EncapTeredo
	EncapAYIYA
	EncapCAPWAP

	encapNamespace Encap = 1 << 15 // none: only sets scopes apart
)

var encapNames = [...]string{"vlan", "vxlan", "geneve", "gre", "ipip", "pppoe", "mpls", "gtp", "teredo", "ayiya", "capwap"}

// Names returns the names of the encapsulations of e.
func (e Encap) Names() (names []string) {
	for i, name := range encapNames {
		if e&(1<<i) != 0 {
			names = append(names, name)
		}
	}
	return names
}

// Packet is a decoded frame. Decode resets it in place; every slice in it points into the
// frame's Data (or into a reassembled datagram) and lives as long. A is the sender iff FromA.
type Packet struct {
	Frame      *Frame
	Key        Key
	FromA      bool  // the sender is (Key.A, Key.APort)
	IP         uint8 // 4 or 6; 0: no IP layer (ARP, unknown)
	TTL        uint8
	Encap      Encap
	NVLAN      uint8
	VLAN       [2]uint16 // outer first; identifiers only, 0 (a priority tag) left out, valid up to NVLAN
	Ether      uint16    // EtherType of the innermost layer-2 payload
	TCP        TCP       // valid iff Key.Proto == ProtoTCP and not Fragmented
	Type       uint8     // ICMP type
	Code       uint8     // ICMP code
	Fragmented bool      // Frag is valid, Payload is the fragment's, ports are 0
	Frag       Fragment
	Cut        bool                 // the capture or the sender cut the packet: Payload is shorter than its header says
	Smuggled   int                  // bytes in options of IPv6 that no option of its kind has, or that no kind has: data may hide there
	Payload    []byte               // what the innermost decoded layer carries
	Carriers   [maxCarriers]Carrier // the packets that this one was taken out of, innermost first; valid up to NCarriers
	NCarriers  uint8
	csum       Csum
	whole      bool   // put together from fragments: the frame's checksum flags say nothing of it
	segment    []byte // transport header and payload, for the checksum
}

// maxCarriers is how many packets can have carried one another: none is forgotten, for each is judged.
const maxCarriers = maxDepth

// Carrier is a packet that carried another one.
type Carrier struct {
	Key   Key
	FromA bool
	IP    uint8
	Encap Encap // what it carries its packet in; one bit
	in    Encap // what it was taken out of itself
}

// Fill makes q the carrier packet, without a payload: what p carries is p's.
func (c *Carrier) Fill(q, p *Packet) {
	q.reset(p.Frame)
	q.Key, q.FromA, q.IP, q.csum = c.Key, c.FromA, c.IP, CsumNone
	q.Encap = c.in
	q.NVLAN, q.VLAN = p.NVLAN, p.VLAN
}
