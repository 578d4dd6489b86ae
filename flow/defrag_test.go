package flow

import (
	"bytes"
	"strings"
	"testing"

	"weir/wire"
)

// pushFragments plays fragments and returns the last datagram and all anomalies.
func pushFragments(d *Defrag, ps ...*wire.Packet) (whole string, told FragAnomaly) {
	for _, p := range ps {
		w, a := d.Push(p)
		if w != nil {
			whole = string(w)
		}
		told |= a
	}
	return whole, told
}

func TestDefrag(t *testing.T) {
	v4 := func(off int, more bool, s string) *wire.Packet { return fragmentPacket(4, 7, off, more, []byte(s)) }
	v6 := func(off int, more bool, s string) *wire.Packet { return fragmentPacket(6, 7, off, more, []byte(s)) }
	cut := v4(0, true, "aaaaaaaa")
	cut.Cut = true
	for _, c := range []struct {
		name  string
		in    []*wire.Packet
		whole string
		told  FragAnomaly
	}{
		{"in order", []*wire.Packet{v4(0, true, "aaaaaaaa"), v4(8, false, "bb")}, "aaaaaaaabb", 0},
		{"reversed", []*wire.Packet{v4(8, false, "bb"), v4(0, true, "aaaaaaaa")}, "aaaaaaaabb", 0},
		{"duplicate", []*wire.Packet{v4(0, true, "aaaaaaaa"), v4(0, true, "aaaaaaaa"), v4(8, false, "bb")}, "aaaaaaaabb", 0},
		{"hole", []*wire.Packet{v4(0, true, "aaaaaaaa"), v4(16, false, "bb")}, "", 0},
		{"uneven", []*wire.Packet{v4(0, true, "aaaaaaaaXXX"), v4(8, false, "bb")}, "aaaaaaaabb", 0},
		{"uneven IPv6", []*wire.Packet{v6(0, true, "aaaaaaaaXXX"), v6(8, false, "bb")}, "", FragBadLength},
		{"within, other bytes", []*wire.Packet{v4(0, true, "aaaaaaaaaaaaaaaa"), v4(0, true, "XXXXXXXX"), v4(16, false, "bb")},
			"aaaaaaaaaaaaaaaabb", FragOverlap | FragDiffers},
		{"teardrop", []*wire.Packet{v4(0, true, strings.Repeat("a", 24)), v4(8, true, "XXXXXXXX")}, "", FragOverlap | FragDiffers | FragTeardrop},
		{"overlap restarts, then whole", []*wire.Packet{
			v4(0, true, "aaaaaaaaaaaaaaaa"), v4(8, true, "XXXXXXXXXXXXXXXX"), v4(0, true, "bbbbbbbb"), v4(8, false, "cc")},
			"bbbbbbbbcc", FragOverlap | FragDiffers},
		{"overlap IPv6", []*wire.Packet{v6(0, true, "aaaaaaaaaaaaaaaa"), v6(8, true, "aaaaaaaaaaaaaaaa"), v6(24, false, "b")}, "", FragOverlap},
		{"two ends", []*wire.Packet{v4(8, false, "bb"), v4(8, false, "bbb"), v4(0, true, "aaaaaaaa")}, "aaaaaaaabb", FragConflict},
		{"past the end", []*wire.Packet{v4(8, false, "bb"), v4(16, true, "cccccccc")}, "", FragConflict},
		{"empty", []*wire.Packet{v4(0, true, "aaaaaaaa"), v4(8, false, "")}, "", FragConflict},
		{"tiny", []*wire.Packet{v4(0, true, "")}, "", FragTiny | FragConflict},
		{"cut", []*wire.Packet{cut, v4(8, false, "bb")}, "", FragCut},
		{"ping of death", []*wire.Packet{v4(65528, false, strings.Repeat("x", 1000))}, "", FragTooBig},
		{"ping of death IPv6", []*wire.Packet{v6(65528, false, strings.Repeat("x", 1000))}, "", FragTooBig},
	} {
		d := NewDefrag(1<<20, Linux)
		whole, told := pushFragments(d, c.in...)
		if whole != c.whole || told != c.told {
			t.Errorf("%s: got %q, anomalies %b; want %q, %b", c.name, whole, told, c.whole, c.told)
		}
	}
}

func TestDefragTooBigWhole(t *testing.T) {
	d := NewDefrag(1<<20, Linux)
	for off := 0; off < 65528; off += 8 * 1000 {
		n := min(8000, 65528-off)
		d.Push(fragmentPacket(4, 1, off, true, bytes.Repeat([]byte{'x'}, n)))
	}
	if whole, told := d.Push(fragmentPacket(4, 1, 65528, false, []byte("01234567890"))); whole != nil || told&FragTooBig == 0 {
		t.Errorf("got %d bytes, anomalies %b", len(whole), told)
	}
	if d.Held() != 0 || len(d.datagrams) != 0 {
		t.Errorf("%d bytes held", d.Held())
	}
}

// Fragments that differ in any part of the key are not put together; IPv6 takes the first fragment's protocol.
func TestDefragKey(t *testing.T) {
	change := map[string]func(*wire.Packet){
		"id":       func(p *wire.Packet) { p.Frag.ID++ },
		"scope":    func(p *wire.Packet) { p.Key.Scope++ },
		"protocol": func(p *wire.Packet) { p.Key.Proto++ },
		"sender":   func(p *wire.Packet) { p.FromA = false },
		"receiver": func(p *wire.Packet) { p.Key.B[0]++ },
	}
	for name, f := range change {
		d := NewDefrag(1<<20, Linux)
		p := fragmentPacket(4, 1, 8, false, []byte("bb"))
		f(p)
		if whole, _ := pushFragments(d, fragmentPacket(4, 1, 0, true, []byte("aaaaaaaa")), p); whole != "" {
			t.Errorf("%s: put together", name)
		}
	}
	d := NewDefrag(1<<20, Linux)
	p := fragmentPacket(6, 1, 8, false, []byte("bb"))
	p.Key.Proto = wire.ProtoTCP
	if whole, _ := pushFragments(d, fragmentPacket(6, 1, 0, true, []byte("aaaaaaaa")), p); whole != "aaaaaaaabb" || p.Key.Proto != wire.ProtoUDP {
		t.Errorf("IPv6: got %q, protocol %d", whole, p.Key.Proto)
	}
}

func TestDefragAge(t *testing.T) {
	d := NewDefrag(1<<20, Linux)
	d.Push(fragmentPacket(4, 1, 0, true, []byte("aaaaaaaa")))
	late := fragmentPacket(4, 1, 8, false, []byte("bb"))
	late.Frame.Time = int64(FragmentAge) + 1
	if whole, _ := d.Push(late); whole != nil || d.Counters.Expired != 1 {
		t.Errorf("got %q, %d expired", whole, d.Counters.Expired)
	}
	d.Tick(3 * int64(FragmentAge))
	if d.Held() != 0 || d.Counters.Expired != 2 {
		t.Errorf("%d bytes held, %d expired", d.Held(), d.Counters.Expired)
	}
}

func TestDefragBudget(t *testing.T) {
	const limit = 64 << 10
	d := NewDefrag(limit, Linux)
	var told FragAnomaly
	for id := range uint32(10000) {
		_, a := d.Push(fragmentPacket(4, id, 0, true, make([]byte, 1480)))
		if told |= a; d.Held() > limit {
			t.Fatalf("%d bytes held, the limit is %d", d.Held(), limit)
		}
	}
	if told != FragBudget || d.Counters.Dropped == 0 {
		t.Errorf("anomalies %b, %d dropped", told, d.Counters.Dropped)
	}
	if whole, _ := d.Push(fragmentPacket(4, 9999, 1480, false, []byte("b"))); len(whole) != 1481 {
		t.Errorf("the newest is gone: %d bytes", len(whole))
	}
	d = NewDefrag(1<<20, First)
	for i := range 2 * maxFragments {
		d.Push(fragmentPacket(4, 1, i%100*16, true, []byte{byte(i >> 8), byte(i), 0, 0, 0, 0, 0, 0}))
		if len(heldFragments(d)) > maxFragments {
			t.Fatalf("%d fragments held", len(heldFragments(d)))
		}
	}
	if d.Counters.Dropped == 0 {
		t.Error("nothing dropped")
	}
}

// A wrong header checksum is no reason to drop until a right one was seen: captures of offloading hosts have none.
func TestDefragChecksum(t *testing.T) {
	header := func(off, sum byte) *wire.Packet {
		b := []byte{0x45, 0, 0, 28, 0, 7, 0x20, off, 64, 17, 0, sum, 10, 0, 0, 1, 10, 0, 0, 2, 1, 2, 3, 4, 5, 6, 7, 8}
		if sum == 0 { // make it right
			var acc uint32
			for i := 0; i < 20; i += 2 {
				acc += uint32(b[i])<<8 | uint32(b[i+1])
			}
			acc = ^(acc>>16 + acc&0xffff)
			b[10], b[11] = byte(acc>>8), byte(acc)
		}
		p := new(wire.Packet)
		if r := new(wire.Decoder).Decode(&wire.Frame{Data: b, Len: uint32(len(b)), Link: wire.LinkRaw}, p); r != wire.OK || !p.Fragmented {
			t.Fatal(r)
		}
		return p
	}
	d := NewDefrag(1<<20, Linux)
	for i, c := range []struct {
		sum  byte
		want FragAnomaly
	}{{1, 0}, {0, 0}, {1, FragBadChecksum}} {
		if _, got := d.Push(header(byte(i), c.sum)); got != c.want {
			t.Errorf("fragment %d: got %b, want %b", i, got, c.want)
		}
	}
}

// A datagram inside another one, both in fragments: the borrowed one is copied before its memory is used again.
func TestDefragNested(t *testing.T) {
	d := NewDefrag(1<<20, Linux)
	d.Push(fragmentPacket(4, 1, 0, true, []byte("aaaaaaaa")))
	d.Push(fragmentPacket(4, 2, 8, false, []byte("dddddddd")))
	whole, _ := d.Push(fragmentPacket(4, 1, 8, false, []byte("cccccccc")))
	inner, _ := d.Push(fragmentPacket(4, 2, 0, true, whole[8:]))
	if string(inner) != "ccccccccdddddddd" {
		t.Errorf("got %q", inner)
	}
}

func TestDefragAllocates(t *testing.T) {
	d := NewDefrag(1<<20, Linux)
	a, b := fragmentPacket(4, 1, 0, true, make([]byte, 1480)), fragmentPacket(4, 1, 1480, false, make([]byte, 500))
	if n := testing.AllocsPerRun(100, func() {
		d.Push(a)
		if whole, _ := d.Push(b); len(whole) != 1980 {
			t.Fatal("not whole")
		}
	}); n != 0 {
		t.Errorf("got %v allocations, want 0", n)
	}
}

func BenchmarkDefrag(b *testing.B) {
	d := NewDefrag(1<<20, Linux)
	one, two := fragmentPacket(4, 1, 0, true, make([]byte, 1480)), fragmentPacket(4, 1, 1480, false, make([]byte, 500))
	b.ReportAllocs()
	b.SetBytes(1980)
	for b.Loop() {
		d.Push(one)
		d.Push(two)
	}
}

// BenchmarkDefragFlood: the dearest fragments there are, small ones that overlap each other.
func BenchmarkDefragFlood(b *testing.B) {
	d := NewDefrag(1<<20, Last)
	data := make([]byte, 8)
	i := 0
	for b.Loop() {
		d.Push(fragmentPacket(4, 1, i%4000*16, true, data))
		i += 7
		data[0]++
	}
}
