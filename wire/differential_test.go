package wire

import (
	"encoding/binary"
	"fmt"
	"math/rand/v2"
	"net"
	"testing"

	"github.com/google/gopacket"
	"github.com/google/gopacket/layers"
)

// TestDifferential builds random packets and compares with gopacket's own decoding of them.
func TestDifferential(t *testing.T) {
	rnd := rand.New(rand.NewPCG(1, 2))
	var d Decoder
	var p Packet
	for range 5000 {
		b := random(t, rnd)
		f := frame(b)
		r := d.Decode(&f, &p)
		if want, got := reference(b), show(&p, r); got != want {
			t.Fatalf("%x\n got %s\nwant %s", b, got, want)
		}
		if c := p.Checksum(); c != CsumValid && p.Key.Proto != ProtoSCTP {
			t.Fatalf("%x: checksum %v", b, c)
		}
		if len(p.Payload) > 0 && p.Key.Proto != ProtoSCTP {
			p.Payload[rnd.IntN(len(p.Payload))] ^= 1 << rnd.IntN(8)
			p.csum = CsumUnknown
			if c := p.Checksum(); c != CsumBad {
				t.Fatalf("%x: corrupted, checksum %v", b, c)
			}
		}
	}
}

// random serializes a random stack of layers.
func random(t *testing.T, rnd *rand.Rand) []byte {
	ip := func(proto layers.IPProtocol) (gopacket.SerializableLayer, layers.EthernetType) {
		if rnd.IntN(2) == 0 {
			h := ip4(proto)
			binary.BigEndian.PutUint32(h.SrcIP, rnd.Uint32())
			if rnd.IntN(4) == 0 {
				h.DstIP = h.SrcIP
			}
			return h, layers.EthernetTypeIPv4
		}
		h := ip6(proto)
		h.SrcIP[rnd.IntN(16)] = byte(rnd.Uint32())
		return h, layers.EthernetTypeIPv6
	}
	tag := func(ls []gopacket.SerializableLayer, typ layers.EthernetType) []gopacket.SerializableLayer {
		if rnd.IntN(3) == 0 {
			return append(ls, ether(layers.EthernetTypeDot1Q), &layers.Dot1Q{VLANIdentifier: uint16(1 + rnd.IntN(4094)), Type: typ})
		}
		return append(ls, ether(typ))
	}
	var ls []gopacket.SerializableLayer
	if rnd.IntN(3) == 0 {
		h, typ := ip(layers.IPProtocolUDP)
		ls = append(tag(ls, typ), h, &layers.UDP{SrcPort: 4000, DstPort: 4789}, &layers.VXLAN{ValidIDFlag: true, VNI: 9})
	}
	sport, dport := uint16(1+rnd.IntN(2000)), uint16(1+rnd.IntN(2000))
	payload := make([]byte, rnd.IntN(300))
	for i := range payload {
		payload[i] = byte(rnd.Uint32())
	}
	var upper gopacket.SerializableLayer
	proto := layers.IPProtocolTCP
	switch rnd.IntN(4) {
	case 0:
		proto, upper = layers.IPProtocolUDP, &layers.UDP{SrcPort: layers.UDPPort(sport), DstPort: layers.UDPPort(dport)}
	case 1:
		proto, upper = layers.IPProtocolSCTP, &layers.SCTP{SrcPort: layers.SCTPPort(sport), DstPort: layers.SCTPPort(dport)}
		payload = nil
	default:
		h := tcp()
		h.SrcPort, h.DstPort, h.Seq = layers.TCPPort(sport), layers.TCPPort(dport), rnd.Uint32()
		if rnd.IntN(2) == 0 {
			h.Options = nil
		}
		upper = h
	}
	h, typ := ip(proto)
	return build(t, append(tag(ls, typ), h, upper, gopacket.Payload(payload))...)
}

// reference is what show prints of a packet as gopacket decodes it.
func reference(b []byte) string {
	var src, dst net.IP
	var sport, dport uint16
	var proto, n int
	var encap Encap
	var vlans []uint16
	for _, l := range gopacket.NewPacket(b, layers.LayerTypeEthernet, gopacket.NoCopy).Layers() {
		switch l := l.(type) {
		case *layers.Dot1Q:
			encap |= EncapVLAN
			vlans = append(vlans, l.VLANIdentifier)
		case *layers.VXLAN:
			encap |= EncapVXLAN
		case *layers.IPv4:
			src, dst = l.SrcIP, l.DstIP
		case *layers.IPv6:
			src, dst = l.SrcIP, l.DstIP
		case *layers.TCP:
			proto, sport, dport, n = ProtoTCP, uint16(l.SrcPort), uint16(l.DstPort), len(l.Payload)
		case *layers.UDP:
			proto, sport, dport, n = ProtoUDP, uint16(l.SrcPort), uint16(l.DstPort), len(l.Payload)
		case *layers.SCTP:
			proto, sport, dport, n = ProtoSCTP, uint16(l.SrcPort), uint16(l.DstPort), len(l.Payload)
		}
	}
	s := fmt.Sprintf("%v %d > %v %d proto %d len %d", src, sport, dst, dport, proto, n)
	if encap != 0 {
		s += fmt.Sprintf(" encap %d", encap)
	}
	if len(vlans) > 0 {
		s += fmt.Sprintf(" vlan %v", vlans)
	}
	return s
}
