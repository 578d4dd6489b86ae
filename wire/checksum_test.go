package wire

import (
	"encoding/binary"
	"math/rand/v2"
	"testing"

	"github.com/google/gopacket"
	"github.com/google/gopacket/layers"
)

// naive is RFC 1071 word by word.
func naive(acc uint32, b []byte) bool {
	for i := 0; i+1 < len(b); i += 2 {
		acc += uint32(b[i])<<8 | uint32(b[i+1])
	}
	if len(b)%2 != 0 {
		acc += uint32(b[len(b)-1]) << 8
	}
	for acc > 0xffff {
		acc = acc>>16 + acc&0xffff
	}
	return acc == 0xffff
}

func TestOnes(t *testing.T) {
	rnd := rand.New(rand.NewPCG(3, 4))
	for n := range 400 {
		b := make([]byte, n)
		for i := range b {
			if b[i] = byte(rnd.Uint32()); n%3 == 0 {
				b[i] = 0xff // carries everywhere
			}
		}
		if n >= 2 {
			b[0], b[1] = 0, 0
			var acc uint32
			for i := 0; i < n; i += 2 {
				acc += uint32(b[i]) << 8
				if i+1 < n {
					acc += uint32(b[i+1])
				}
			}
			for acc > 0xffff {
				acc = acc>>16 + acc&0xffff
			}
			binary.BigEndian.PutUint16(b, ^uint16(acc))
		}
		if got, want := ones(0, b), naive(0, b); got != want || n >= 2 && !got {
			t.Errorf("%d bytes: got %v, want %v", n, got, want)
		}
		if n >= ipv4Len && ones(0, b[:20]) != headerValid(b[:20]) {
			t.Errorf("header of %x", b[:20])
		}
		if n > 2 {
			b[2] ^= 0x10
			if ones(0, b) {
				t.Errorf("%d bytes: corrupted but valid", n)
			}
		}
	}
}

func TestChecksum(t *testing.T) {
	plain := func(b []byte) []byte { return b }
	for _, c := range []struct {
		name   string
		proto  layers.IPProtocol
		upper  gopacket.SerializableLayer
		change func([]byte) []byte // from the Ethernet header on; IP at 14, its upper layer at 34
		flag   Flag
		want   Csum
	}{
		{"tcp", layers.IPProtocolTCP, tcp(), plain, 0, CsumValid},
		{"tcp bad", layers.IPProtocolTCP, tcp(), func(b []byte) []byte { b[70] ^= 1; return b }, 0, CsumBad},
		{"tcp bad but partial", layers.IPProtocolTCP, tcp(), func(b []byte) []byte { b[70] ^= 1; return b }, FlagCsumPartial, CsumNone},
		{"tcp verified", layers.IPProtocolTCP, tcp(), func(b []byte) []byte { b[70] ^= 1; return b }, FlagCsumValid, CsumValid},
		{"ip header bad", layers.IPProtocolTCP, tcp(), func(b []byte) []byte { b[22]++; return b }, FlagCsumValid, CsumBad},
		{"cut", layers.IPProtocolTCP, tcp(), func(b []byte) []byte { return b[:len(b)-1] }, 0, CsumNone},
		{"udp", layers.IPProtocolUDP, &layers.UDP{SrcPort: 1, DstPort: 2}, plain, 0, CsumValid},
		{"udp none", layers.IPProtocolUDP, &layers.UDP{SrcPort: 1, DstPort: 2}, func(b []byte) []byte { b[40], b[41] = 0, 0; return b }, 0, CsumNone},
		{"icmp", layers.IPProtocolICMPv4, &layers.ICMPv4{TypeCode: 0x0800, Id: 1, Seq: 1}, plain, 0, CsumValid},
		{"icmp bad", layers.IPProtocolICMPv4, &layers.ICMPv4{TypeCode: 0x0800, Id: 1, Seq: 1}, func(b []byte) []byte { b[38]++; return b }, 0, CsumBad},
	} {
		f := frame(build(t, ether(layers.EthernetTypeIPv4), ip4(c.proto), c.upper, gopacket.Payload("abcdefghi")))
		f.Data, f.Flag = c.change(f.Data), c.flag
		var p Packet
		if r := new(Decoder).Decode(&f, &p); r != OK {
			t.Fatalf("%s: %v", c.name, r)
		}
		if got := p.Checksum(); got != c.want {
			t.Errorf("%s: got %v, want %v", c.name, got, c.want)
		}
	}
	f := frame(build(t, ether(layers.EthernetTypeIPv6), ip6(layers.IPProtocolICMPv6), &layers.ICMPv6{TypeCode: 0x8000}, gopacket.Payload("abcdefghi")))
	var p Packet
	if new(Decoder).Decode(&f, &p); p.Checksum() != CsumValid {
		t.Error("icmpv6: not valid")
	}
}
