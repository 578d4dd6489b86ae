package wire

import (
	"encoding/hex"
	"fmt"
	"strings"
	"testing"

	"github.com/google/gopacket"
	"github.com/google/gopacket/layers"
)

// show prints what a table test compares: sender, receiver, protocol, and what else is not as usual.
func show(p *Packet, r Result) string {
	if r != OK {
		return r.String()
	}
	src, sport, dst, dport := p.Key.AddrA(), p.Key.APort, p.Key.AddrB(), p.Key.BPort
	if !p.FromA {
		src, sport, dst, dport = dst, dport, src, sport
	}
	s := fmt.Sprintf("%v %d > %v %d proto %d len %d", src, sport, dst, dport, p.Key.Proto, len(p.Payload))
	if p.Encap != 0 {
		s += fmt.Sprintf(" encap %d", p.Encap)
	}
	if p.NVLAN > 0 {
		s += fmt.Sprintf(" vlan %v", p.VLAN[:p.NVLAN])
	}
	if p.Fragmented {
		s += fmt.Sprintf(" frag %d@%d %v", p.Frag.ID, p.Frag.Off, p.Frag.More)
	}
	if p.Cut {
		s += " cut"
	}
	return s
}

func unhex(t testing.TB, s string) []byte {
	t.Helper()
	b, err := hex.DecodeString(strings.Join(strings.Fields(s), ""))
	if err != nil {
		t.Fatal(err)
	}
	return b
}

const (
	hexEther = "020000000002 020000000001 "
	// CAPWAP's header before a frame of IEEE 802.11, one of a station's, and an LLC header with SNAP for IPv4
	hexCAPWAP = "00100300 00000000 "
	hexWLAN   = "08010000 020000000003 020000000001 020000000002 1000 "
	hexSNAP   = "aaaa030000000800 "
	// an IPv4 header without options and a TCP header without options, no checksums
	hexIP4 = "45 00 0028 0001 0000 40 06 0000 0a000009 0a000002 "
	hexTCP = "9c40 01bb 000003e8 000007d0 50 18 0200 0000 0000 "
	hexUDP = "9c40 0035 000c 0000 61626364 "
	hexIP6 = "20010db8000000000000000000000009 20010db8000000000000000000000002 "

	plainTCP = "10.0.0.9 40000 > 10.0.0.2 443 proto 6 len 0"
)

func TestDecode(t *testing.T) {
	for _, c := range []struct {
		name string
		link Link
		hex  string
		want string
	}{
		{"ethernet", LinkEthernet, hexEther + "0800" + hexIP4 + hexTCP, plainTCP},
		{"padding", LinkEthernet, hexEther + "0800" + hexIP4 + hexTCP + "000000000000", plainTCP},
		{"arp", LinkEthernet, hexEther + "0806 0001", "no_ip"},
		{"stp", LinkEthernet, hexEther + "0026 424203 0000", "no_ip"},
		{"snap", LinkEthernet, hexEther + "0030 aaaa03 000000 0800" + hexIP4 + hexTCP, plainTCP},
		{"llc ip", LinkEthernet, hexEther + "002b 060603" + hexIP4 + hexTCP, plainTCP},
		{"vlan", LinkEthernet, hexEther + "8100 0064 0800" + hexIP4 + hexTCP, plainTCP + " encap 1 vlan [100]"},
		{"qinq", LinkEthernet, hexEther + "88a8 0064 8100 00c8 0800" + hexIP4 + hexTCP, plainTCP + " encap 1 vlan [100 200]"},
		{"three tags", LinkEthernet, hexEther + "9100 0064 8100 00c8 8100 012c 0800" + hexIP4 + hexTCP, plainTCP + " encap 1 vlan [100 200]"},
		{"priority tag", LinkEthernet, hexEther + "8100 e000 0800" + hexIP4 + hexTCP, plainTCP + " encap 1"},
		{"nine tags", LinkEthernet, hexEther + strings.Repeat("8100 0001", 9) + "0800" + hexIP4 + hexTCP, "malformed"},
		{"e-tag", LinkEthernet, hexEther + "893f 0000 0001 0000 0800" + hexIP4 + hexTCP, plainTCP + " encap 1"},
		{"pppoe", LinkEthernet, hexEther + "8864 1100 0001 002a 0021" + hexIP4 + hexTCP, plainTCP + " encap 32"},
		{"pppoe lcp", LinkEthernet, hexEther + "8864 1100 0001 0006 c021 01000004", "no_ip"},
		{"mpls", LinkEthernet, hexEther + "8847 00010040 00011140" + hexIP4 + hexTCP, plainTCP + " encap 64"},
		{"mpls pseudowire", LinkEthernet, hexEther + "8847 00011140 00000000" + hexEther + "0800" + hexIP4 + hexTCP, plainTCP + " encap 64"},
		{"raw", LinkRaw, hexIP4 + hexTCP, plainTCP},
		{"raw neither", LinkRaw, "55", "malformed"},
		{"null little", LinkNull, "02000000" + hexIP4 + hexTCP, plainTCP},
		{"null big", LinkNull, "00000002" + hexIP4 + hexTCP, plainTCP},
		{"null other", LinkNull, "07000000", "no_ip"},
		{"loop", LinkLoop, "00000018 60000000 000c 11 40" + hexIP6 + hexUDP, "2001:db8::9 40000 > 2001:db8::2 53 proto 17 len 4"},
		{"sll", LinkSLL, "0000 0001 0006 0200000000010000 0800" + hexIP4 + hexTCP, plainTCP},
		{"sll llc", LinkSLL, "0000 0001 0006 0200000000010000 0004 aaaa03 000000 0800" + hexIP4 + hexTCP, plainTCP},
		{"sll2", LinkSLL2, "0800 0000 00000001 0001 00 06 0200000000010000" + hexIP4 + hexTCP, plainTCP},
		{"ppp", LinkPPP, "ff03 0021" + hexIP4 + hexTCP, plainTCP},
		{"ppp bare compressed", LinkPPP, "21" + hexIP4 + hexTCP, plainTCP},
		{"cisco hdlc", LinkPPPHDLC, "0f00 0800" + hexIP4 + hexTCP, plainTCP},
		{"ppp_ether", LinkPPPoE, "1100 0001 002a 0021" + hexIP4 + hexTCP, plainTCP + " encap 32"},
		{"unknown link", 147, hexIP4, "unknown_link"},
		{"empty", LinkEthernet, "", "malformed"},

		{"total length 0", LinkRaw, "45 00 0000 0001 0000 40 06 0000 0a000009 0a000002" + hexTCP + "6162", "10.0.0.9 40000 > 10.0.0.2 443 proto 6 len 2"},
		{"total length below header", LinkRaw, "45 00 0013 0001 0000 40 06 0000 0a000009 0a000002" + hexTCP, "malformed"},
		{"total length lies", LinkRaw, "45 00 0030 0001 0000 40 06 0000 0a000009 0a000002" + hexTCP, plainTCP + " cut"},
		{"header length lies", LinkRaw, "4f 00 0028 0001 0000 40 06 0000 0a000009 0a000002" + hexTCP, "malformed"},
		{"ip options", LinkRaw, "46 00 002c 0001 0000 40 06 0000 0a000009 0a000002 01010101" + hexTCP, plainTCP},
		{"fragment", LinkRaw, "45 00 001c 0007 2002 40 06 0000 0a000009 0a000002 6162636465666768", "10.0.0.9 0 > 10.0.0.2 0 proto 6 len 8 frag 7@16 true"},
		{"other protocol", LinkRaw, "45 00 0018 0007 4000 40 2e 0000 0a000009 0a000002 61626364", "10.0.0.9 0 > 10.0.0.2 0 proto 46 len 4"},
		{"tcp header lies", LinkRaw, hexIP4 + "9c40 01bb 000003e8 000007d0 f0 18 0200 0000 0000", "malformed"},
		{"tcp header too short", LinkRaw, hexIP4 + "9c40 01bb 000003e8 000007d0 40 18 0200 0000 0000", "malformed"},
		{"udp longer", LinkRaw, "45 00 0020 0001 0000 40 11 0000 0a000009 0a000002 9c40 0035 0010 0000 61626364", "10.0.0.9 40000 > 10.0.0.2 53 proto 17 len 4 cut"},
		{"udp shorter", LinkRaw, "45 00 0020 0001 0000 40 11 0000 0a000009 0a000002 9c40 0035 000a 0000 61626364", "10.0.0.9 40000 > 10.0.0.2 53 proto 17 len 2"},
		{"udp length lies", LinkRaw, "45 00 0020 0001 0000 40 11 0000 0a000009 0a000002 9c40 0035 0007 0000 61626364", "malformed"},
		{"sctp", LinkRaw, "45 00 0020 0001 0000 40 84 0000 0a000009 0a000002 1388 1389 00000000 00000000", "10.0.0.9 5000 > 10.0.0.2 5001 proto 132 len 0"},
		{"ping", LinkRaw, "45 00 001e 0001 0000 40 01 0000 0a000009 0a000002 08 00 0000 0001 0001 6162", "10.0.0.9 8 > 10.0.0.2 0 proto 1 len 10"},
		{"pong", LinkRaw, "45 00 001e 0001 0000 40 01 0000 0a000002 0a000009 00 00 0000 0001 0001 6162", "10.0.0.2 0 > 10.0.0.9 8 proto 1 len 10"},
		{"unreachable", LinkRaw, "45 00 001c 0001 0000 40 01 0000 0a000009 0a000002 03 01 0000 00000000", "10.0.0.9 3 > 10.0.0.2 1 proto 1 len 8"},
		{"equal addresses", LinkRaw, "45 00 0020 0001 0000 40 11 0000 0a000009 0a000009 9c40 0035 000c 0000 61626364", "10.0.0.9 40000 > 10.0.0.9 53 proto 17 len 4"},

		{"ipv6 extensions", LinkRaw, "60000000 0024 00 40" + hexIP6 + "2b00 010400000000 3c00 000000000000 1100 010400000000" + hexUDP,
			"2001:db8::9 40000 > 2001:db8::2 53 proto 17 len 4"},
		{"ipv6 ah", LinkRaw, "60000000 0018 33 40" + hexIP6 + "11010000 00000001 00000001" + hexUDP, "2001:db8::9 40000 > 2001:db8::2 53 proto 17 len 4"},
		{"ipv6 fragment", LinkRaw, "60000000 0010 2c 40" + hexIP6 + "1100 0009 00000007 6162636465666768", "2001:db8::9 0 > 2001:db8::2 0 proto 17 len 8 frag 7@8 true"},
		{"ipv6 atomic fragment", LinkRaw, "60000000 0014 2c 40" + hexIP6 + "1100 0000 00000007" + hexUDP, "2001:db8::9 40000 > 2001:db8::2 53 proto 17 len 4"},
		{"ipv6 extension lies", LinkRaw, "60000000 000c 3c 40" + hexIP6 + "11ff 0104 00000000 00000000", "malformed"},
		{"ipv6 no next header", LinkEthernet, hexEther + "86dd 60000000 0000 3b 40" + hexIP6 + "0000", "2001:db8::9 0 > 2001:db8::2 0 proto 59 len 0"},
		{"ipv6 length 0", LinkRaw, "60000000 0000 11 40" + hexIP6 + hexUDP, "2001:db8::9 40000 > 2001:db8::2 53 proto 17 len 4"},
		{"ipv6 jumbogram", LinkRaw, "60000000 0000 00 40" + hexIP6 + "1100 c204 00000014" + hexUDP + "ffff", "2001:db8::9 40000 > 2001:db8::2 53 proto 17 len 4"},
		{"ipv6 jumbogram lies", LinkRaw, "60000000 0000 00 40" + hexIP6 + "1100 c204 00001014" + hexUDP, "2001:db8::9 40000 > 2001:db8::2 53 proto 17 len 4 cut"},
		{"esp", LinkRaw, "60000000 0008 32 40" + hexIP6 + "0000000100000001", "2001:db8::9 0 > 2001:db8::2 0 proto 50 len 8"},

		{"gre", LinkRaw, outer4("2f", "2000 0800 00000005"+hexIP4+hexTCP), plainTCP + " encap 8"},
		{"gre bridged", LinkRaw, outer4("2f", "0000 6558"+hexEther+"0800"+hexIP4+hexTCP), plainTCP + " encap 8"},
		{"erspan 2", LinkRaw, outer4("2f", "1000 88be 00000001 1001000100000000"+hexEther+"0800"+hexIP4+hexTCP), plainTCP + " encap 8"},
		{"pptp", LinkRaw, outer4("2f", "3081 880b 002c 0007 00000001 00000001 ff03 0021"+hexIP4+hexTCP), plainTCP + " encap 8"},
		{"pptp ack", LinkRaw, outer4("2f", "2081 880b 0000 0007 00000001"), "192.0.2.1 0 > 192.0.2.2 0 proto 47 len 12"},
		{"ipip", LinkRaw, outer4("04", hexIP4+hexTCP), plainTCP + " encap 16"},
		{"6in4", LinkRaw, outer4("29", "60000000 000c 11 40"+hexIP6+hexUDP), "2001:db8::9 40000 > 2001:db8::2 53 proto 17 len 4 encap 16"},
		{"vxlan", LinkRaw, outerUDP(4789, "08000000 00000700"+hexEther+"0800"+hexIP4+hexTCP), plainTCP + " encap 2"},
		{"vxlan linux", LinkRaw, outerUDP(8472, "08000000 00000700"+hexEther+"0800"+hexIP4+hexTCP), plainTCP + " encap 2"},
		{"vxlan gpe", LinkRaw, outerUDP(4790, "0c000001 00000700"+hexIP4+hexTCP), plainTCP + " encap 2"},
		{"vxlan with arp is udp", LinkRaw, outerUDP(4789, "08000000 00000700"+hexEther+"0806"+hexIP4+hexTCP), "192.0.2.1 999 > 192.0.2.2 4789 proto 17 len 62"},
		{"vxlan inside lies is udp", LinkRaw, outerUDP(4789, "08000000 00000700"+hexEther+"0800"+hexIP4), "192.0.2.1 999 > 192.0.2.2 4789 proto 17 len 42"},
		{"not vxlan", LinkRaw, outerUDP(4789, "7365637265740000"), "192.0.2.1 999 > 192.0.2.2 4789 proto 17 len 8"},
		{"geneve", LinkRaw, outerUDP(6081, "0100 6558 00000700 00000000"+hexEther+"0800"+hexIP4+hexTCP), plainTCP + " encap 4"},
		{"gtp", LinkRaw, outerUDP(2152, "30ff 0028 00000001"+hexIP4+hexTCP), plainTCP + " encap 128"},
		{"capwap 802.3", LinkRaw, outerUDP(5247, "00100000 00000000"+hexEther+"0800"+hexIP4+hexTCP), plainTCP + " encap 1024"},
		{"capwap 802.11", LinkRaw, outerUDP(5247, hexCAPWAP+hexWLAN+hexSNAP+hexIP4+hexTCP), plainTCP + " encap 1024"},
		{"capwap swapped", LinkRaw, outerUDP(5247, hexCAPWAP+"1108"+hexWLAN[4:]+hexSNAP+hexIP4+hexTCP), plainTCP + " encap 1024"},
		{"capwap radio and wireless", LinkRaw, outerUDP(5247, "00300330 00000000 06020202020202 00 04c8230000 000000"+hexWLAN+hexSNAP+hexIP4+hexTCP), plainTCP + " encap 1024"},
		{"capwap qos", LinkRaw, outerUDP(5247, hexCAPWAP+"88"+hexWLAN[2:]+"0000"+hexSNAP+hexIP4+hexTCP), plainTCP + " encap 1024"},
		{"capwap four addresses", LinkRaw, outerUDP(5247, hexCAPWAP+"0803"+hexWLAN[4:]+"020202020202"+hexSNAP+hexIP4+hexTCP), plainTCP + " encap 1024"},
		{"capwap protected", LinkRaw, outerUDP(5247, hexCAPWAP+"0841"+hexWLAN[4:]+hexSNAP+hexIP4+hexTCP), "192.0.2.1 999 > 192.0.2.2 5247 proto 17 len 80"},
		{"capwap aggregate", LinkRaw, outerUDP(5247, hexCAPWAP+"88"+hexWLAN[2:]+"8000"+hexSNAP+hexIP4+hexTCP), "192.0.2.1 999 > 192.0.2.2 5247 proto 17 len 82"},
		{"capwap fragment", LinkRaw, outerUDP(5247, "00100380 00010000"+hexWLAN+hexSNAP+hexIP4+hexTCP), "192.0.2.1 999 > 192.0.2.2 5247 proto 17 len 80"},
		{"capwap encrypted", LinkRaw, outerUDP(5247, "01100300 00000000"+hexWLAN+hexSNAP+hexIP4+hexTCP), "192.0.2.1 999 > 192.0.2.2 5247 proto 17 len 80"},
		{"capwap wireless lies", LinkRaw, outerUDP(5247, "00180320 00000000 04c82300"+hexWLAN+hexSNAP+hexIP4+hexTCP), "192.0.2.1 999 > 192.0.2.2 5247 proto 17 len 84"},
		{"gtp extension", LinkRaw, outerUDP(2152, "34ff 0030 00000001 00000085 01000000"+hexIP4+hexTCP), plainTCP + " encap 128"},
	} {
		t.Run(c.name, func(t *testing.T) {
			b := unhex(t, c.hex)
			f := Frame{Data: b, Len: uint32(len(b)), Link: c.link}
			var d Decoder
			var p Packet
			if got := show(&p, d.Decode(&f, &p)); got != c.want {
				t.Errorf("\n got %s\nwant %s", got, c.want)
			}
		})
	}
}

// outer4 wraps hex into IPv4 from 192.0.2.1 to 192.0.2.2.
func outer4(proto, inner string) string {
	n := 20 + len(strings.Join(strings.Fields(inner), ""))/2
	return fmt.Sprintf("45 00 %04x 0001 0000 40 %s 0000 c0000201 c0000202 %s", n, proto, inner)
}

func outerUDP(port int, inner string) string {
	n := 8 + len(strings.Join(strings.Fields(inner), ""))/2
	return outer4("11", fmt.Sprintf("03e7 %04x %04x 0000 %s", port, n, inner))
}

func TestDepth(t *testing.T) {
	inner := hexIP4 + hexTCP
	for depth := 1; depth < 12; depth++ {
		inner = outer4("04", inner)
		b := unhex(t, inner)
		f := Frame{Data: b, Len: uint32(len(b)), Link: LinkRaw}
		var d Decoder
		var p Packet
		r := d.Decode(&f, &p)
		if want := depth < maxDepth; r != OK || (p.Key.Proto == ProtoTCP) != want || (d.Opaque == 0) != want {
			t.Errorf("depth %d: %s", depth, show(&p, r))
		}
	}
}

func TestTruncated(t *testing.T) {
	whole := unhex(t, hexEther+"0800"+hexIP4+hexTCP)
	var d Decoder
	var p Packet
	for n := range whole {
		f := Frame{Data: whole[:n], Len: uint32(len(whole)), Link: LinkEthernet}
		if r := d.Decode(&f, &p); r != Truncated {
			t.Errorf("%d bytes: got %v, want truncated", n, r)
		}
	}
}

func TestTCPOptions(t *testing.T) {
	for _, c := range []struct{ hex, want string }{
		{"", "mss 0"},
		{"0101080a 01020304 05060708", "mss 0 ts 16909060 84281096"},
		{"020405b4 0402 080a 00000001 00000000 01 030307", "mss 1460 wscale 7 ts 1 0"},
		{"03030f00", "mss 0 wscale 14"},
		{"030300 00", "mss 0 wscale 0"},
		{"02060000 0000 0000", "mss 0"},
		{"08090000 00000000 00000000", "mss 0"},
		{"0205", "mss 0 bad"},
		{"0201 0000", "mss 0 bad"},
		{"01010102", "mss 0 bad"},
		{"00020000", "mss 0"},
	} {
		o := unhex(t, c.hex)
		for len(o)%4 != 0 {
			o = append(o, 0xfe) // an option without a length
		}
		b := unhex(t, hexTCP)
		b[12] = byte(5+len(o)/4) << 4
		p := Packet{Frame: &Frame{}}
		if r := p.tcp(append(b, o...)); r != OK {
			t.Fatal(r)
		}
		got := fmt.Sprintf("mss %d", p.TCP.MSS)
		if p.TCP.HasWScale {
			got += fmt.Sprintf(" wscale %d", p.TCP.WScale)
		}
		if p.TCP.HasTS {
			got += fmt.Sprintf(" ts %d %d", p.TCP.TSVal, p.TCP.TSEcr)
		}
		if p.TCP.BadOptions {
			got += " bad"
		}
		if want := c.want; got != want {
			t.Errorf("%s: got %s, want %s", c.hex, got, want)
		}
	}
}

// Equal addresses in different networks are different flows; both directions in one network are the same.
func TestScope(t *testing.T) {
	back4 := "45 00 0028 0001 0000 40 06 0000 0a000002 0a000009 01bb 9c40 000003e8 000007d0 50 18 0200 0000 0000"
	seen := map[uint32]string{}
	for _, c := range []struct{ name, head string }{
		{"plain", "0800"},
		{"vlan 1", "8100 0001 0800"},
		{"vlan 2", "8100 0002 0800"},
		{"vlan 1 in 2", "88a8 0002 8100 0001 0800"},
		{"vlan 2 in 1", "88a8 0001 8100 0002 0800"},
		{"pppoe 1", "8864 1100 0001 002a 0021"},
		{"mpls", "8847 00011140"},
	} {
		a := decoded(t, hexEther+c.head+hexIP4+hexTCP)
		b := decoded(t, hexEther+c.head+back4)
		if a.Key != b.Key || a.FromA == b.FromA {
			t.Errorf("%s: the directions differ: %+v %+v", c.name, a.Key, b.Key)
		}
		if other, ok := seen[a.Key.Scope]; ok {
			t.Errorf("%s: same scope as %s", c.name, other)
		}
		seen[a.Key.Scope] = c.name
	}
	for _, inner := range []string{
		outerUDP(4789, "08000000 00000100"+hexEther+"0800"+hexIP4+hexTCP),
		outerUDP(4789, "08000000 00000200"+hexEther+"0800"+hexIP4+hexTCP),
		outerUDP(6081, "0000 0800 00000100"+hexIP4+hexTCP),
		outer4("2f", "2000 0800 00000001"+hexIP4+hexTCP),
		outer4("2f", "2000 0800 00000002"+hexIP4+hexTCP),
		outer4("2f", "0000 0800"+hexIP4+hexTCP),
		outer4("04", hexIP4+hexTCP),
	} {
		p := decoded(t, hexEther+"0800"+inner)
		if other, ok := seen[p.Key.Scope]; ok {
			t.Errorf("%s: same scope as %s", inner, other)
		}
		seen[p.Key.Scope] = inner
	}
	f := Frame{Data: unhex(t, hexEther+"0800"+hexIP4+hexTCP), Link: LinkEthernet, VLAN: 0x8100_0001, Flag: FlagVLAN}
	var p Packet
	if new(Decoder).Decode(&f, &p); seen[p.Key.Scope] != "vlan 1" || p.VLAN[0] != 1 {
		t.Errorf("a tag taken out by the kernel: got %v %v", seen[p.Key.Scope], p.VLAN)
	}
}

func decoded(t *testing.T, hex string) Packet {
	t.Helper()
	f := frame(unhex(t, hex))
	var p Packet
	if r := new(Decoder).Decode(&f, &p); r != OK || p.Key.Proto != ProtoTCP {
		t.Fatalf("%s: %s", hex, show(&p, r))
	}
	return p
}

func TestDecodeAllocates(t *testing.T) {
	f := frame(build(t,
		ether(layers.EthernetTypeIPv4), ip4(layers.IPProtocolUDP), &layers.UDP{SrcPort: 5555, DstPort: 4789},
		&layers.VXLAN{ValidIDFlag: true, VNI: 77},
		ether(layers.EthernetTypeIPv4), ip4(layers.IPProtocolTCP), tcp(), gopacket.Payload("abc")))
	var d Decoder
	var p Packet
	id := make([]byte, 0, 30)
	if n := testing.AllocsPerRun(100, func() {
		if d.Decode(&f, &p) != OK || p.Checksum() != CsumValid {
			t.Fatal("does not decode")
		}
		id = AppendCommunityID(id[:0], &p.Key, 0)
	}); n != 0 {
		t.Errorf("got %v allocations, want 0", n)
	}
}
