package dissect

import (
	"slices"
	"strings"
	"testing"
	"time"

	"weir/wire"
)

func dnsSeeds() [][]byte {
	return [][]byte{
		dnsMsg(1, 0x0100, []string{dnsQ("www.example.com", typeA)}),
		dnsMsg(1, 0x8180, []string{dnsQ("a.b", typeTXT)}, []string{dnsRR("^12", typeTXT, 1, "\x03abc\x02de"), dnsRR("^12", typeSOA, 1, dnsN("^12")+dnsN("h.^12")+strings.Repeat("\x01", 20))}),
		dnsMsg(1, 0x0100, []string{dnsQ("ab.^21", typeA), dnsQ("cd.^12", typeA)}),
		dnsMsg(1, 0x8000, nil, []string{dnsRR("x", typeSRV, 1, "\x00\x01\x00\x02\x00\x03"+dnsN("s.^12"))}, nil, []string{dnsRR(".", typeOPT, 1<<24, "\x00\x01\x00\x00")}),
		dnsMsg(1, 0, []string{dnsQ("z", typeAXFR)}),
	}
}

// dnsBound fails if a message told more than its size can account for.
func dnsBound(t *testing.T, m *Message, total *int) {
	for _, p := range m.Parts {
		*total += len(p.Bytes)
	}
}

func FuzzDNS(f *testing.F) {
	for _, s := range dnsSeeds() {
		f.Add(s)
	}
	env := &Env{Want: everything(), Limits: DefaultLimits}
	f.Fuzz(func(t *testing.T, b []byte) {
		probeDNS(wire.ToServer, b)
		d := newDNS(&DNS, env)
		total, ends, open := 0, map[uint64]int{}, map[uint64]bool{}
		emit := func(m *Message) {
			dnsBound(t, m, &total)
			open[m.ID] = !m.End
			if m.TxEnd {
				ends[m.Tx]++
			} else if ends[m.Tx] == 0 {
				ends[m.Tx] = 0
			}
		}
		for _, dir := range []wire.Dir{wire.ToServer, wire.ToClient, wire.ToServer} {
			if p, err := d.Feed(dir, b, emit); p.Used > len(b) || err == nil && p.Used != len(b) {
				t.Fatalf("Used %d of %d: %v", p.Used, len(b), err)
			}
		}
		d.Close(wire.ToServer, emit)
		d.Close(wire.ToClient, emit)
		if most := 3 * (8*len(b) + 8*dnsMaxText + dnsMaxRecords*32); total > most {
			t.Errorf("%d bytes told of %d", total, len(b))
		}
		for tx, n := range ends {
			if n != 1 {
				t.Errorf("exchange %d ended %d times", tx, n)
			}
		}
		for id, is := range open {
			if is {
				t.Errorf("message %d not ended", id)
			}
		}
	})
}

func FuzzDNSTCP(f *testing.F) {
	for _, s := range dnsSeeds() {
		f.Add(dnsFramed(s, s), 3)
		f.Add(dnsFramed(s)[:len(s)-1], 1)
	}
	f.Fuzz(func(t *testing.T, b []byte, n int) {
		n = max(n&0xff, 1)
		probeDNSTCP(wire.ToServer, b)
		whole, err := dnsPieces(t, b, max(len(b), 1))
		pieces, err2 := dnsPieces(t, b, n)
		if !slices.Equal(whole, pieces) || err != err2 {
			t.Errorf("by %d: %v\n%s\nwhole: %v\n%s", n, err2, strings.Join(pieces, "\n"), err, strings.Join(whole, "\n"))
		}
	})
}

// TestDNSBombs checks that no message makes the parser work for long.
func TestDNSBombs(t *testing.T) {
	long := dnsN(strings.Repeat("aaaaaaaaaaaaaaaaaaaaaaaaaaaaaa.", 8))
	chain := func() []byte { // each pointer leads to the one before
		s := dnsN("a")
		var rr []string
		for i := range 2000 {
			s += string([]byte{0xc0 | byte((23+i*2)>>8), byte(23 + i*2)})
		}
		rr = append(rr, dnsRR("a", 10, 1, s))
		for range 4000 {
			rr = append(rr, dnsRR("^4000", typeA, 1, "\x01\x02\x03\x04"))
		}
		return dnsMsg(1, 0x8000, nil, rr)
	}
	var many, soas []string
	for range 5000 {
		many = append(many, dnsRR("^12", typeCNAME, 1, dnsN("^12")))
		soas = append(soas, dnsRR("^13", typeSOA, 1, dnsN("^13")+dnsN("^13")+strings.Repeat("\x00", 20)))
	}
	for name, msg := range map[string][]byte{
		"names":  dnsMsg(1, 0x8000, []string{long[:len(long)-1] + "\x00\x01\x00\x01"}, many),
		"soas":   dnsMsg(1, 0x8000, []string{long[:len(long)-1] + "\x00\x01\x00\x01"}, soas[:1200]),
		"chain":  chain(),
		"labels": dnsMsg(1, 0x8000, []string{strings.Repeat("\x01a", 30000) + "\x00\x00\x01\x00\x01"}),
	} {
		msg = msg[:min(len(msg), 65535)]
		d := newDNS(&DNS, &Env{Want: everything(), Limits: DefaultLimits})
		total := 0
		emit := func(m *Message) { dnsBound(t, m, &total) }
		d.Feed(wire.ToClient, msg, emit)
		best := time.Hour
		for range 5 {
			begin := time.Now()
			d.Feed(wire.ToClient, msg, emit)
			best = min(best, time.Since(begin))
		}
		t.Logf("%s: %d bytes, %v, told %d", name, len(msg), best, total/6)
		if best > 20*time.Millisecond {
			t.Errorf("%s: %d bytes take %v", name, len(msg), best)
		}
	}
}

func TestDNSAllocs(t *testing.T) {
	d, q, r, emit := dnsBenchmark()
	if n := testing.AllocsPerRun(1000, func() {
		d.Feed(wire.ToServer, q, emit)
		d.Feed(wire.ToClient, r, emit)
	}); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

func dnsBenchmark() (d Dissector, q, r []byte, emit func(*Message)) {
	q = dnsMsg(0x1234, 0x0100, []string{dnsQ("www.example.com", typeA)}, nil, nil, []string{dnsRR(".", typeOPT, 0, "")})
	r = dnsMsg(0x1234, 0x8180, []string{dnsQ("www.example.com", typeA)},
		[]string{dnsRR("^12", typeCNAME, 300, dnsN("web.^16")), dnsRR("^45", typeA, 60, "\xc0\x00\x02\x01")}, nil, []string{dnsRR(".", typeOPT, 0, "")})
	return newDNS(&DNS, &Env{Want: everything(), Limits: DefaultLimits}), q, r, func(*Message) {}
}

func BenchmarkDNS(b *testing.B) {
	d, q, r, emit := dnsBenchmark()
	b.ReportAllocs()
	b.SetBytes(int64(len(q) + len(r)))
	for b.Loop() {
		d.Feed(wire.ToServer, q, emit)
		d.Feed(wire.ToClient, r, emit)
	}
}

func BenchmarkDNSProbe(b *testing.B) {
	_, _, r, _ := dnsBenchmark()
	b.ReportAllocs()
	for b.Loop() {
		probeDNS(wire.ToClient, r)
	}
}
