package flow

import (
	"bytes"
	"math/rand/v2"
	"reflect"
	"testing"
	"time"

	"weir/wire"
)

// udp is datagram number n, of a flow of its own.
func udp(n int, frame *wire.Frame, data []byte) *wire.Packet {
	p := &wire.Packet{IP: 4, FromA: true, Frame: frame, Payload: data}
	p.Key = wire.Key{APort: uint16(n), BPort: 53, Scope: uint32(n >> 16), Proto: wire.ProtoUDP}
	p.Key.B[15] = 1
	return p
}

func TestDatagrams(t *testing.T) {
	table := New[int](DefaultLimits, Linux, ChecksumAuto)
	frame := &wire.Frame{Len: 60}
	f, chunks := table.Push(udp(4000, frame, []byte("query")))
	if len(chunks) != 1 || string(chunks[0].Data) != "query" || chunks[0].Dir != wire.ToServer || f.State != StateNew {
		t.Errorf("got %v, state %d", chunks, f.State)
	}
	p := udp(4000, frame, []byte("answer"))
	p.FromA = false
	if g, chunks := table.Push(p); g != f || len(chunks) != 1 || chunks[0].Dir != wire.ToClient || f.State != StateEstablished {
		t.Errorf("got %v, state %d", chunks, f.State)
	}
	if f, chunks := table.Push(udp(4001, frame, nil)); f == nil || len(chunks) != 0 {
		t.Errorf("empty datagram: got %v", chunks)
	}
	if f, _ := table.Push(&wire.Packet{Frame: frame}); f != nil {
		t.Errorf("a packet without addresses has a flow")
	}
	p = udp(4002, frame, []byte("answer"))
	p.FromA = false // from port 53
	if f, _ := table.Push(p); f.Dir(p) != wire.ToClient {
		t.Errorf("an answer alone goes %v", f.Dir(p))
	}
}

func TestIndex(t *testing.T) {
	table := New[int](DefaultLimits, Linux, ChecksumIgnore)
	frame := &wire.Frame{}
	r := rand.New(rand.NewPCG(1, 1))
	want := map[int]uint64{}
	ended := map[uint64]bool{}
	table.OnEnd(func(f *Flow[int], _ []Chunk, _ Reason) { ended[f.ID] = true })
	for i := range 100000 {
		n := r.IntN(3000)
		frame.Time += int64(20 * time.Millisecond)
		f, _ := table.Push(udp(n, frame, nil))
		if id, ok := want[n]; ok && id != f.ID && !ended[id] {
			t.Fatalf("packet %d: flow %d is lost", i, n)
		}
		want[n] = f.ID
		if i%64 == 0 {
			table.Tick(frame.Time)
		}
	}
	live := 0
	table.Range(func(f *Flow[int]) bool { live++; return true })
	if n := table.Counters(); n.Active != live || table.index.n != live || len(ended) == 0 || int(n.Flows) != live+len(ended) {
		t.Errorf("%d live, %d ended: %+v", live, len(ended), n)
	}
}

func TestEviction(t *testing.T) {
	limits := DefaultLimits
	limits.Flows = 10
	table := New[int](limits, Linux, ChecksumIgnore)
	var ends []uint16
	table.OnEnd(func(f *Flow[int], _ []Chunk, why Reason) {
		if why != Evicted {
			t.Errorf("ended for %d", why)
		}
		ends = append(ends, f.Key.APort)
	})
	frame := &wire.Frame{}
	for i := range 13 {
		frame.Time += int64(time.Second)
		table.Push(udp(i, frame, nil))
	}
	if !reflect.DeepEqual(ends, []uint16{0, 1, 2}) || table.Counters().Evicted != 3 {
		t.Errorf("evicted %v", ends)
	}
}

// TestFlood floods a table with SYNs and expects established flows to stay.
func TestFlood(t *testing.T) {
	limits := DefaultLimits
	limits.Flows = 100
	e := newEnds(limits, Linux, 1, 1)
	e.shake()
	e.send(wire.ToServer, wire.ACK, 1, 1, []byte("a"))
	for i := range 1000 {
		e.port = 1000 + uint16(i)
		e.send(wire.ToServer, wire.SYN, 0, 0, nil)
	}
	e.port = 40000
	e.send(wire.ToServer, wire.ACK, 3, 1, []byte("c"))
	e.send(wire.ToServer, wire.ACK, 2, 1, []byte("b"))
	if string(e.told[0]) != "abc" {
		t.Errorf("told %q", e.told[0])
	}
}

func TestReplay(t *testing.T) {
	ids := func() (out []uint64) {
		table := New[int](DefaultLimits, Linux, ChecksumIgnore)
		for i := range 1000 {
			f, _ := table.Push(udp(i, &wire.Frame{Time: int64(i)}, nil))
			out = append(out, f.ID)
		}
		return out
	}
	a, b := ids(), ids()
	if !reflect.DeepEqual(a, b) {
		t.Errorf("a replay has other IDs")
	}
	seen := map[uint64]bool{}
	for _, id := range a {
		if id == 0 || id >= 1<<53 || seen[id] {
			t.Fatalf("ID %d", id)
		}
		seen[id] = true
	}
}

func TestKeep(t *testing.T) {
	limits := DefaultLimits
	limits.HeldPerFlow = 100 << 10
	table := New[int](limits, Linux, ChecksumIgnore)
	f, _ := table.Push(udp(1, &wire.Frame{}, []byte("x")))
	r := rand.New(rand.NewPCG(1, 4))
	var want []byte
	for i := range 20000 {
		data := noise(r, r.IntN(300))
		want = append(want, data...)
		got := table.Join(f, wire.ToServer, data)
		if !bytes.Equal(got, want) {
			t.Fatalf("round %d: joined %d bytes, want %d", i, len(got), len(want))
		}
		used := 0
		if r.IntN(3) > 0 {
			used = min(len(want), r.IntN(800))
		}
		rest := got[used:]
		switch r.IntN(4) {
		case 0:
			rest = bytes.Clone(rest)
		case 1:
			rest = rest[:len(rest)-len(rest)/4]
		}
		want = bytes.Clone(rest)
		if !table.Keep(f, wire.ToServer, rest) {
			t.Fatalf("round %d: %d bytes not kept", i, len(rest))
		}
		check(t, table)
		if i%16 == 0 {
			table.Tick(0)
		}
	}
	if table.Keep(f, wire.ToClient, make([]byte, 100<<10)) || f.Anomalies&BudgetReached == 0 {
		t.Errorf("kept over budget")
	}
	table.Join(f, wire.ToServer, nil)
	table.Keep(f, wire.ToServer, nil)
	table.Close()
	if n := table.Counters().Held; n != 0 {
		t.Errorf("%d bytes held after Close", n)
	}
}

// TestKeepGrows keeps a message that grows to a megabyte: linear, within its budget.
func TestKeepGrows(t *testing.T) {
	table := New[int](DefaultLimits, Linux, ChecksumIgnore)
	f, _ := table.Push(udp(1, &wire.Frame{}, []byte("x")))
	data := make([]byte, 1000)
	for i := range 4000 {
		b := table.Join(f, wire.ToServer, data)
		if len(b) != 1000*(i+1) || !table.Keep(f, wire.ToServer, b) {
			t.Fatalf("round %d: %d bytes", i, len(b))
		}
		table.Tick(0)
	}
}

func TestFlowSize(t *testing.T) {
	const most = 240 // bytes beside S
	if n := reflect.TypeFor[Info]().Size(); n > most {
		t.Errorf("Info has %d bytes, want at most %d", n, most)
	}
}
