package wire

import (
	"net"
	"testing"

	"github.com/google/gopacket"
	"github.com/google/gopacket/layers"
)

// build serializes layers with lengths and checksums filled in.
func build(t testing.TB, ls ...gopacket.SerializableLayer) []byte {
	t.Helper()
	for i, l := range ls {
		if i == 0 {
			continue
		}
		var net gopacket.NetworkLayer
		for _, below := range ls[:i] {
			if n, ok := below.(gopacket.NetworkLayer); ok {
				net = n
			}
		}
		if s, ok := l.(interface {
			SetNetworkLayerForChecksum(gopacket.NetworkLayer) error
		}); ok && net != nil {
			if err := s.SetNetworkLayerForChecksum(net); err != nil {
				t.Fatal(err)
			}
		}
	}
	b := gopacket.NewSerializeBuffer()
	if err := gopacket.SerializeLayers(b, gopacket.SerializeOptions{FixLengths: true, ComputeChecksums: true}, ls...); err != nil {
		t.Fatal(err)
	}
	return append([]byte(nil), b.Bytes()...)
}

// ether frames a packet of the given type.
func ether(typ layers.EthernetType) *layers.Ethernet {
	return &layers.Ethernet{
		SrcMAC: net.HardwareAddr{2, 0, 0, 0, 0, 1}, DstMAC: net.HardwareAddr{2, 0, 0, 0, 0, 2}, EthernetType: typ,
	}
}

func ip4(proto layers.IPProtocol) *layers.IPv4 {
	return &layers.IPv4{Version: 4, IHL: 5, TTL: 64, Protocol: proto, SrcIP: net.IP{10, 0, 0, 9}, DstIP: net.IP{10, 0, 0, 2}}
}

func ip6(next layers.IPProtocol) *layers.IPv6 {
	return &layers.IPv6{Version: 6, HopLimit: 64, NextHeader: next, SrcIP: net.ParseIP("2001:db8::9"), DstIP: net.ParseIP("2001:db8::2")}
}

// tcp is a segment with timestamps as Linux lays them out.
func tcp() *layers.TCP {
	ts := layers.TCPOption{OptionType: layers.TCPOptionKindTimestamps, OptionLength: 10, OptionData: []byte{1, 2, 3, 4, 5, 6, 7, 8}}
	nop := layers.TCPOption{OptionType: layers.TCPOptionKindNop, OptionLength: 1}
	return &layers.TCP{
		SrcPort: 40000, DstPort: 443, Seq: 1000, Ack: 2000, ACK: true, PSH: true, Window: 512,
		Options: []layers.TCPOption{nop, nop, ts},
	}
}

func frame(b []byte) Frame { return Frame{Data: b, Len: uint32(len(b)), Link: LinkEthernet} }

func benchmark(b *testing.B, data []byte) {
	f := frame(data)
	var d Decoder
	var p Packet
	b.ReportAllocs()
	b.SetBytes(int64(len(data)))
	for b.Loop() {
		if r := d.Decode(&f, &p); r != OK {
			b.Fatal(r)
		}
	}
}

func BenchmarkDecodeTCP4(b *testing.B) {
	benchmark(b, build(b, ether(layers.EthernetTypeIPv4), ip4(layers.IPProtocolTCP), tcp(), gopacket.Payload(make([]byte, 1000))))
}

func BenchmarkDecodeTCP6(b *testing.B) {
	benchmark(b, build(b, ether(layers.EthernetTypeIPv6), ip6(layers.IPProtocolTCP), tcp(), gopacket.Payload(make([]byte, 1000))))
}

func BenchmarkDecodeVXLAN(b *testing.B) {
	benchmark(b, build(b,
		ether(layers.EthernetTypeIPv4), ip4(layers.IPProtocolUDP), &layers.UDP{SrcPort: 5555, DstPort: 4789},
		&layers.VXLAN{ValidIDFlag: true, VNI: 77},
		ether(layers.EthernetTypeIPv4), ip4(layers.IPProtocolTCP), tcp(), gopacket.Payload(make([]byte, 1000))))
}

func BenchmarkChecksum(b *testing.B) {
	f := frame(build(b, ether(layers.EthernetTypeIPv4), ip4(layers.IPProtocolTCP), tcp(), gopacket.Payload(make([]byte, 1448))))
	var d Decoder
	var p Packet
	d.Decode(&f, &p)
	b.ReportAllocs()
	b.SetBytes(int64(len(p.segment)))
	for b.Loop() {
		p.csum = CsumUnknown
		if c := p.Checksum(); c != CsumValid {
			b.Fatal(c)
		}
	}
}

func BenchmarkCommunityID(b *testing.B) {
	k := Key{APort: 1, BPort: 2, Proto: ProtoTCP}
	buf := make([]byte, 0, 30)
	b.ReportAllocs()
	for b.Loop() {
		buf = AppendCommunityID(buf[:0], &k, 0)
	}
}
