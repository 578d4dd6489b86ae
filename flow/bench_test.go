package flow

import (
	"fmt"
	"math/rand/v2"
	"runtime"
	"testing"

	"weir/wire"
)

// streams are flows that send in order for ever. They share one packet, so that what is measured is the table's memory.
type streams struct {
	table *Table[[16]byte]
	p, q  wire.Packet // to the server, and its ACK
	seq   []wire.Seq
	frame wire.Frame
}

func newStreams(n int) *streams {
	s := &streams{table: New[[16]byte](DefaultLimits, Linux, ChecksumAuto), seq: make([]wire.Seq, n), frame: wire.Frame{Len: 1514}}
	s.p = wire.Packet{IP: 4, FromA: true, Frame: &s.frame, Key: wire.Key{BPort: 80, Proto: wire.ProtoTCP}}
	s.p.Key.A[15], s.p.Key.B[15] = 1, 2
	s.p.TCP = wire.TCP{Flags: wire.SYN, Window: 65535, HasWScale: true, WScale: 14, HasTS: true}
	s.q = s.p
	s.q.FromA, s.q.TCP.Flags, s.q.TCP.Ack = false, wire.SYN|wire.ACK, 1
	for i := range s.seq {
		s.name(i)
		s.table.Push(&s.p)
		s.table.Push(&s.q)
		s.seq[i] = 1
	}
	s.p.TCP.Flags, s.q.TCP.Flags, s.q.TCP.Seq, s.p.TCP.Ack = wire.ACK, wire.ACK, 1, 1
	s.p.Payload = make([]byte, 1448)
	return s
}

func (s *streams) name(i int) {
	s.p.Key.APort, s.p.Key.Scope = uint16(i), uint32(i>>16)
	s.q.Key = s.p.Key
}

// send sends segment k from where flow i is.
func (s *streams) send(i, k int) []Chunk {
	s.frame.Time += 1000
	s.name(i)
	s.p.TCP.Seq = s.seq[i].Add(k * 1448)
	s.p.TCP.TSVal = uint32(s.frame.Time >> 20)
	_, chunks := s.table.Push(&s.p)
	return chunks
}

// ack acknowledges n segments.
func (s *streams) ack(i, n int) {
	s.name(i)
	s.seq[i] = s.seq[i].Add(n * 1448)
	s.q.TCP.Ack = s.seq[i]
	s.q.TCP.TSVal = uint32(s.frame.Time >> 20)
	s.table.Push(&s.q)
}

// BenchmarkPush is a segment in order and its ACK.
func BenchmarkPush(b *testing.B) {
	for _, n := range []int{1, 1000, 10_000, 100_000} {
		b.Run(fmt.Sprint(n), func(b *testing.B) {
			s := newStreams(n)
			order := rand.New(rand.NewPCG(1, 1)).Perm(n)
			b.ReportAllocs()
			i, pushes := 0, 0
			for b.Loop() {
				k := order[i]
				if i++; i == n {
					i = 0
				}
				if len(s.send(k, 0)) != 1 {
					b.Fatal("not in order")
				}
				s.ack(k, 1)
				pushes += 2
			}
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(pushes), "ns/push")
		})
	}
}

// BenchmarkReordered is three segments, the first one last, and their ACK.
func BenchmarkReordered(b *testing.B) {
	s := newStreams(1)
	b.ReportAllocs()
	for b.Loop() {
		for _, k := range []int{1, 2, 0} {
			s.send(0, k)
		}
		s.ack(0, 3)
	}
}

func TestPushAllocatesNothing(t *testing.T) {
	s := newStreams(1000)
	i := 0
	if n := testing.AllocsPerRun(5000, func() {
		i++
		s.send(i%1000, 0)
		s.ack(i%1000, 1)
	}); n != 0 {
		t.Errorf("in order: %v allocations", n)
	}
	if n := testing.AllocsPerRun(5000, func() {
		for _, k := range []int{2, 1, 0} {
			s.send(0, k)
		}
		s.ack(0, 3)
	}); n != 0 {
		t.Errorf("out of order: %v allocations", n)
	}
}

// TestMillionFlows measures what idle flows take.
func TestMillionFlows(t *testing.T) {
	if testing.Short() {
		t.Skip("takes memory")
	}
	var before, after runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&before)
	table := New[[16]byte](DefaultLimits, Linux, ChecksumIgnore)
	frame := &wire.Frame{}
	for i := range 1_000_000 {
		table.Push(udp(i, frame, nil))
	}
	runtime.GC()
	runtime.ReadMemStats(&after)
	const most = 350 << 20 // bytes
	if n := after.HeapAlloc - before.HeapAlloc; n > most {
		t.Errorf("a million flows take %d MiB", n>>20)
	} else {
		t.Logf("a million flows take %d MiB", n>>20)
	}
	runtime.KeepAlive(table)
}
