package flow

import (
	"bytes"
	"math/rand/v2"
	"testing"
	"time"

	"weir/wire"
)

// ends makes the packets of a conversation between two ends and puts together what is told of it.
type ends struct {
	table *Table[int]
	frame wire.Frame
	isn   [2]wire.Seq
	port  uint16
	told  [2][]byte
	gaps  int
	ended [2]bool
}

func newEnds(limits Limits, o Overlap, client, server wire.Seq) *ends {
	e := &ends{table: New[int](limits, o, ChecksumAuto), isn: [2]wire.Seq{client, server}, port: 40000}
	e.table.OnEnd(func(_ *Flow[int], last []Chunk, _ Reason) { e.take(last) })
	return e
}

func (e *ends) take(chunks []Chunk) {
	for _, c := range chunks {
		if c.Refused {
			continue
		}
		e.gaps += c.Gap
		e.told[c.Dir] = append(e.told[c.Dir], c.Data...)
		e.ended[c.Dir] = e.ended[c.Dir] || c.End
	}
}

func (e *ends) send(d wire.Dir, flags wire.TCPFlags, seq, ack int, data []byte) []Chunk {
	p := wire.Packet{IP: 4, FromA: d == wire.ToServer, Payload: data, Frame: &e.frame}
	p.Key = wire.Key{APort: e.port, BPort: 443, Proto: wire.ProtoTCP}
	p.Key.A[15], p.Key.B[15] = 1, 2
	p.TCP = wire.TCP{Seq: e.isn[d].Add(seq), Ack: e.isn[d.Other()].Add(ack), Flags: flags, Window: 65535}
	e.frame.Time += int64(100 * time.Microsecond)
	_, chunks := e.table.Push(&p)
	e.take(chunks)
	return chunks
}

func (e *ends) shake() {
	e.send(wire.ToServer, wire.SYN, 0, 0, nil)
	e.send(wire.ToClient, wire.SYN|wire.ACK, 0, 1, nil)
	e.send(wire.ToServer, wire.ACK, 1, 1, nil)
}

func noise(r *rand.Rand, n int) []byte {
	b := make([]byte, n)
	for i := range b {
		b[i] = byte(r.Uint32())
	}
	return b
}

// TestAnyOrder cuts a stream into segments that overlap with equal bytes, mixes and repeats them, and expects the
// stream.
func TestAnyOrder(t *testing.T) {
	for seed := range uint64(300) {
		r := rand.New(rand.NewPCG(seed, 1))
		stream := noise(r, 1+r.IntN(60000))
		e := newEnds(DefaultLimits, Overlap(r.IntN(7)), wire.Seq(r.Uint32()), -wire.Seq(r.IntN(70000)))
		d := wire.Dir(r.IntN(2))
		e.shake()
		type seg struct{ from, to int }
		var segs []seg
		for at := 0; at < len(stream); {
			n := 1 + r.IntN(1+r.IntN(3000))
			to := min(at+n, len(stream))
			segs = append(segs, seg{max(0, at-r.IntN(100)), min(len(stream), to+r.IntN(100))})
			if r.IntN(4) == 0 {
				segs = append(segs, segs[r.IntN(len(segs))])
			}
			at = to
		}
		reach := 1 + r.IntN(40)
		for i := range segs {
			j := min(len(segs)-1, i+r.IntN(reach))
			segs[i], segs[j] = segs[j], segs[i]
		}
		for i, s := range segs {
			flags := wire.ACK
			if s.to == len(stream) {
				flags |= wire.FIN
			}
			data := bytes.Clone(stream[s.from:s.to])
			e.send(d, flags, 1+s.from, 1, data)
			for k := range data {
				data[k] = 0xee // what was borrowed is gone
			}
			if i%8 == 0 {
				check(t, e.table)
				e.send(d.Other(), wire.ACK, 1, 1+len(e.told[d]), nil)
			}
		}
		if !bytes.Equal(e.told[d], stream) || e.gaps != 0 || !e.ended[d] {
			t.Fatalf("seed %d: told %d bytes of %d, %d lost, ended %v", seed, len(e.told[d]), len(stream), e.gaps, e.ended[d])
		}
		e.table.Close()
		if n := e.table.Counters().Held; n != 0 {
			t.Fatalf("seed %d: %d bytes held after Close", seed, n)
		}
	}
}

// streamModel keeps every byte by its place, and for each the segment that it came in: the policy without pieces.
type streamModel struct {
	o     Overlap
	next  int
	bytes map[int]byte
	segs  map[int][2]int
}

func (m *streamModel) add(from int, data []byte) (told []byte) {
	to := from + len(data)
	for i, b := range data {
		at := from + i
		if at < m.next {
			continue
		}
		if old, held := m.segs[at]; held {
			p := piece{from: wire.Seq(old[0]), to: wire.Seq(old[1])}
			if !m.o.wins(&p, wire.Seq(from), wire.Seq(to), false) {
				continue
			}
		}
		m.bytes[at], m.segs[at] = b, [2]int{from, to}
	}
	for {
		b, ok := m.bytes[m.next]
		if !ok {
			return told
		}
		told = append(told, b)
		m.next++
	}
}

// TestModel compares what is told of segments that overlap with different bytes with the model, byte by byte.
func TestModel(t *testing.T) {
	for seed := range uint64(3000) {
		r := rand.New(rand.NewPCG(seed, 2))
		o := Overlap(r.IntN(7))
		e := newEnds(DefaultLimits, o, wire.Seq(r.Uint32()), 5)
		e.shake()
		m := &streamModel{o: o, bytes: map[int]byte{}, segs: map[int][2]int{}}
		var want []byte
		for range 40 {
			from := r.IntN(60)
			data := noise(r, 1+r.IntN(12))
			e.send(wire.ToServer, wire.ACK, 1+from, 1, data)
			want = append(want, m.add(from, data)...)
			check(t, e.table)
			if !bytes.Equal(e.told[0], want) {
				t.Fatalf("seed %d, policy %d: got %x, want %x", seed, o, e.told[0], want)
			}
		}
	}
}

// TestFarOutOfOrder holds megabytes behind a hole within a scaled window.
func TestFarOutOfOrder(t *testing.T) {
	for _, size := range []int{100, 1448, 64 << 10, 200 << 10} {
		e := newEnds(DefaultLimits, Linux, 1<<32-1<<20, 7)
		d := wire.ToServer
		p := func(dir wire.Dir, f wire.TCPFlags, seq, ack int, data []byte) {
			e.send(dir, f, seq, ack, data)
		}
		// Picked up without its handshake, so the window is taken to be as large as can be.
		p(d, wire.ACK, 1, 1, nil)
		p(d.Other(), wire.ACK, 1, 1, nil)
		stream := noise(rand.New(rand.NewPCG(1, 3)), 5<<20)
		for at := size; at < len(stream); at += size {
			p(d, wire.ACK, 1+at, 1, stream[at:min(at+size, len(stream))])
			if at < 1<<20 {
				p(d.Other(), wire.ACK, 1, 1, nil)
			}
		}
		check(t, e.table)
		p(d, wire.ACK, 1, 1, stream[:size])
		if !bytes.Equal(e.told[d], stream) || e.gaps != 0 {
			t.Errorf("segments of %d bytes: told %d bytes of %d, lost %d", size, len(e.told[d]), len(stream), e.gaps)
		}
	}
}

// TestSilentReceiver has a hole that nobody asks to fill: the other end has gone out of sight.
func TestSilentReceiver(t *testing.T) {
	e := newEnds(DefaultLimits, Linux, 1, 1)
	d := wire.ToServer
	e.send(d, wire.ACK, 1, 1, nil)
	e.send(d.Other(), wire.ACK, 1, 1, nil)
	for at := 1000; at < quietBytes+3000; at += 1000 {
		e.send(d, wire.ACK, 1+at, 1, make([]byte, 1000))
	}
	if len(e.told[d]) < quietBytes || e.gaps != 1000 {
		t.Errorf("told %d bytes, lost %d", len(e.told[d]), e.gaps)
	}
}

// TestTinySegments holds bytes one by one: what that costs is counted, and the order does not matter.
func TestTinySegments(t *testing.T) {
	const n = 30000
	for name, place := range map[string]func(i int) int{
		"forward":         func(i int) int { return i },
		"backward":        func(i int) int { return n - 1 - i },
		"from the middle": func(i int) int { return n/2 - 1 + (i%2*2-1)*(i+i%2)/2 },
	} {
		t.Run(name, func(t *testing.T) { testTinySegments(t, n, place) })
	}
}

func testTinySegments(t *testing.T, n int, place func(i int) int) {
	limits := DefaultLimits
	limits.HeldPerFlow = 512 << 10
	e := newEnds(limits, Linux, 1, 1)
	e.shake()
	for i := range n {
		at := place(i)
		e.send(wire.ToServer, wire.ACK, 3+at, 1, []byte{byte(at)})
		if h := e.table.Counters().Held; h > limits.HeldPerFlow {
			t.Fatalf("%d bytes held", h)
		}
	}
	check(t, e.table)
	e.send(wire.ToServer, wire.ACK, 1, 1, []byte{'x', 'y'})
	if len(e.told[0]) != 30002 || e.gaps != 0 {
		t.Errorf("told %d bytes, lost %d", len(e.told[0]), e.gaps)
	}
	if f := e.table.at(1); len(f.x.pieces()) != 0 {
		t.Errorf("pieces are left")
	}
}

func (x *extra) pieces() []piece {
	if x == nil {
		return nil
	}
	return x.hold[0].pieces[x.hold[0].head:]
}

// TestLimits reaches each limit and expects the stated outcome.
func TestLimits(t *testing.T) {
	for _, c := range []struct {
		name   string
		change func(*Limits)
		gap    int // between segments
		size   int
	}{
		{"per flow", func(l *Limits) { l.HeldPerFlow = 10000 }, 1, 500},
		{"per table", func(l *Limits) { l.HeldPerTable = 10000 }, 1, 500},
		{"no room at all", func(l *Limits) { l.HeldPerTable = 10 }, 1, 500},
		{"holes", func(l *Limits) { l.Holes = 8 }, 1, 10},
	} {
		limits := DefaultLimits
		c.change(&limits)
		e := newEnds(limits, Linux, 1, 1)
		e.shake()
		sent, at := 0, 1
		for range 50 {
			at += c.gap
			e.send(wire.ToServer, wire.ACK, at, 1, make([]byte, c.size))
			at += c.size
			sent += c.size
			n := e.table.Counters()
			if n.Held > limits.HeldPerFlow || n.Held > limits.HeldPerTable {
				t.Fatalf("%s: %d bytes held", c.name, n.Held)
			}
			check(t, e.table)
		}
		f := e.table.at(1)
		if f.Anomalies&BudgetReached == 0 {
			t.Errorf("%s: BudgetReached is not told", c.name)
		}
		e.table.Close()
		if len(e.told[0]) != sent || e.gaps != 50*c.gap {
			t.Errorf("%s: told %d bytes of %d, lost %d of %d", c.name, len(e.told[0]), sent, e.gaps, 50*c.gap)
		}
	}
}
