package wire

import (
	"strings"
	"testing"
	"unsafe"
)

// FuzzDecode: no input panics; what comes out lies within the input and is in order.
func FuzzDecode(f *testing.F) {
	for _, s := range []string{
		hexEther + "0800" + hexIP4 + hexTCP,
		hexEther + "8864 1100 0001 002a 0021" + hexIP4 + hexTCP,
		hexEther + "8847 00011140 00000000" + hexEther + "0800" + hexIP4 + hexTCP,
		hexEther + "0800" + outer4("2f", "1000 88be 00000001 1001000100000000"+hexEther+"0800"+hexIP4+hexTCP),
		hexEther + "0800" + outer4("2f", "3081 880b 002c 0007 00000001 00000001 ff03 0021"+hexIP4+hexTCP),
		hexEther + "0800" + outerUDP(4789, "08000000 00000700"+hexEther+"0800"+hexIP4+hexTCP),
		hexEther + "0800" + outerUDP(6081, "0100 6558 00000700 00000000"+hexEther+"0800"+hexIP4+hexTCP),
		hexEther + "0800" + outerUDP(2152, "34ff 0030 00000001 00000085 01000000"+hexIP4+hexTCP),
		hexEther + "0800" + outerUDP(5247, "00300330 00000000 06020202020202 00 04c8230000 000000"+hexWLAN+hexSNAP+hexIP4+hexTCP),
		hexEther + "0800" + outerUDP(5247, hexCAPWAP+"8803"+hexWLAN[4:]+"020202020202 0000"+hexSNAP+hexIP4+hexTCP),
		hexEther + "86dd 60000000 0024 00 40" + hexIP6 + "2b00 010400000000 3c00 000000000000 1100 010400000000" + hexUDP,
		hexEther + "86dd 60000000 0010 2c 40" + hexIP6 + "1100 0009 00000007 6162636465666768",
		hexEther + "86dd 60000000 0000 00 40" + hexIP6 + "1100 c204 00000014" + hexUDP,
	} {
		f.Add(unhex(f, s), uint16(LinkEthernet), uint8(0), uint32(0), uint16(0))
	}
	for _, l := range []Link{LinkNull, LinkPPP, LinkRaw, LinkLoop, LinkSLL, LinkSLL2, LinkPPPoE, LinkPPPHDLC} {
		f.Add(unhex(f, "02000000"+hexIP4+hexTCP), uint16(l), uint8(FlagVLAN), uint32(7), uint16(9))
	}
	f.Fuzz(func(t *testing.T, data []byte, link uint16, flag uint8, vlan uint32, more uint16) {
		fr := Frame{Data: data, Len: uint32(len(data)) + uint32(more), Link: Link(link), Flag: Flag(flag), VLAN: vlan}
		var d Decoder
		var p, q Packet
		r := d.Decode(&fr, &p)
		check(t, &p, r, data)
		if again := d.Decode(&fr, &q); again != r || show(&q, again) != show(&p, r) || q.Key != p.Key || q.Checksum() != p.Checksum() {
			t.Fatalf("twice is not the same: %s, %s", show(&p, r), show(&q, again))
		}
		if d.Decode(&fr, &p); r == OK && p.Fragmented {
			whole := append([]byte(nil), p.Payload...)
			check(t, &p, d.Resume(&p, whole), whole)
		}
	})
}

func check(t *testing.T, p *Packet, r Result, data []byte) {
	t.Helper()
	within(t, p.Payload, data)
	within(t, p.segment, data)
	k := &p.Key
	if c := strings.Compare(string(k.A[:]), string(k.B[:])); c > 0 || c == 0 && k.APort > k.BPort && r == OK {
		t.Fatalf("not in order: %+v", k)
	}
	if r == OK && p.IP != 4 && p.IP != 6 {
		t.Fatalf("OK without IP: %+v", p)
	}
	if p.Fragmented && (k.APort != 0 || k.BPort != 0) {
		t.Fatalf("a fragment with ports: %+v", p)
	}
	if p.Key.Proto == ProtoTCP && p.TCP.WScale > maxWScale {
		t.Fatalf("window scale %d", p.TCP.WScale)
	}
	p.Checksum()
	CommunityID(k, 0)
}

func within(t *testing.T, b, data []byte) {
	t.Helper()
	if len(b) == 0 {
		return
	}
	from, at := uintptr(unsafe.Pointer(&data[0])), uintptr(unsafe.Pointer(&b[0]))
	if at < from || at+uintptr(len(b)) > from+uintptr(len(data)) {
		t.Fatal("a slice outside the input")
	}
}
