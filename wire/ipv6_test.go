package wire

import (
	"encoding/hex"
	"strings"
	"testing"
)

// TestIPv6InUDP enters Teredo and AYIYA where the packet inside fills the datagram, and tells what carried it.
func TestIPv6InUDP(t *testing.T) {
	const (
		head  = "6000 0000 0008 3a40" // 8 bytes of ICMPv6
		to    = "2001 0db8 0000 0000 0000 0000 0000 0001"
		from  = "2001 0000 5ef5 79fb 38b8 1695 2b37 be8e"
		other = "2001 0db8 0000 0000 0000 0000 0000 0002"
		echo  = "8000 0000 0001 0001"
	)
	for _, c := range []struct {
		name, datagram string
		want           Encap
	}{
		{"teredo", head + from + to + echo, EncapTeredo},
		{"teredo with an origin", "0000 efc5 3fff fdfe" + head + from + to + echo, EncapTeredo},
		{"teredo with authentication", "0001 0000 b433 5666 cce7 1d74 00" + head + from + to + echo, EncapTeredo},
		{"a bubble and a trailer", "6000 0000 0000 3b15" + from + to + "0401 00", EncapTeredo},
		{"no address of Teredo's", head + other + to + echo, 0},
		{"a byte more than the packet has", head + from + to + echo + "ff", 0},
		{"ayiya", "1100 0129 0000 0000 ffff" + head + other + to + echo, EncapAYIYA},
		{"ayiya with a signature", "2152 1129 0000 0000 01020304" + strings.Repeat("00", 20) + head + other + to + echo, EncapAYIYA},
		{"ayiya with a byte more", "1100 0129 0000 0000 ffff" + head + other + to + echo + "00", 0},
	} {
		inside, err := hex.DecodeString(strings.ReplaceAll(c.datagram, " ", ""))
		if err != nil {
			t.Fatal(err)
		}
		b := append([]byte{0x45, 0, 0, byte(28 + len(inside)), 0, 0, 0, 0, 64, 17, 0, 0, 192, 0, 2, 1, 192, 0, 2, 2, 3, 0, 4, 0, 0, byte(8 + len(inside)), 0, 0}, inside...)
		var d Decoder
		var p, q Packet
		f := Frame{Data: b, Len: uint32(len(b)), Link: LinkRaw}
		if r := d.Decode(&f, &p); r != OK || p.Encap != c.want {
			t.Errorf("%s: got %v, %v", c.name, r, p.Encap.Names())
			continue
		}
		if c.want == 0 {
			continue
		}
		if p.NCarriers != 1 || p.Carriers[0].Encap != c.want {
			t.Errorf("%s: got %d carriers", c.name, p.NCarriers)
			continue
		}
		p.Carriers[0].Fill(&q, &p)
		if k := &q.Key; k.AddrA().String() != "192.0.2.1" || k.APort != 768 || k.BPort != 1024 || !q.FromA || len(q.Payload) > 0 {
			t.Errorf("%s: the carrier is %s:%d %s:%d", c.name, k.AddrA(), k.APort, k.AddrB(), k.BPort)
		}
	}
}
