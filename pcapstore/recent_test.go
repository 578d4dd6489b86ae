package pcapstore

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"

	"weir/wire"
)

func frame(data string, at int64) *wire.Frame {
	return &wire.Frame{Data: []byte(data), Time: at, Len: uint32(len(data)), Link: wire.LinkEthernet}
}

func TestRecentKeepsEverythingOfAFrame(t *testing.T) {
	r := NewRecent(0)
	if got := r.Oldest(); got != 0 {
		t.Errorf("Oldest of an empty ring: got %d, want 0", got)
	}
	want := wire.Frame{Data: []byte("abc"), Time: -5, Len: 9, VLAN: 0x81000042, Iface: 7, Link: wire.LinkSLL, Flag: wire.FlagVLAN | wire.FlagLoss}
	r.Add(&want, 1<<63)
	var got []wire.Frame
	r.Flow(1<<63, func(f *wire.Frame) { got = append(got, *f) })
	if fmt.Sprint(got) != fmt.Sprint([]wire.Frame{want}) {
		t.Errorf("got %v, want %v", got, want)
	}
	if got := r.Oldest(); got != -5 {
		t.Errorf("Oldest: got %d, want -5", got)
	}
	r.Flow(2, func(*wire.Frame) { t.Error("a flow that was never added has a frame") })
}

// A ring is compared with a plain list of all frames: of each flow it must hold exactly the newest ones, whole and in order, and
// all that fit.
func TestRecentAgainstAList(t *testing.T) {
	rnd := rand.New(rand.NewPCG(1, 2))
	r := NewRecent(64 << 10)
	type added struct {
		flow uint64
		f    *wire.Frame
	}
	var all []added
	for n := range 5000 {
		data := make([]byte, rnd.IntN(3000))
		if rnd.IntN(100) == 0 {
			data = make([]byte, 60<<10)
		}
		for i := range data {
			data[i] = byte(n + i)
		}
		a := added{uint64(rnd.IntN(40)), &wire.Frame{Data: data, Time: int64(n + 1)}}
		r.Add(a.f, a.flow)
		all = append(all, a)
		if n%50 != 0 {
			continue
		}
		oldest := int64(1 << 62)
		for flow := range uint64(40) {
			var want []*wire.Frame
			for _, a := range all {
				if a.flow == flow {
					want = append(want, a.f)
				}
			}
			var got []int64
			r.Flow(flow, func(f *wire.Frame) {
				i := int(f.Time) - 1
				if !bytes.Equal(f.Data, all[i].f.Data) || all[i].flow != flow {
					t.Fatalf("after %d: frame %d of flow %d came back changed", n, i, flow)
				}
				got = append(got, f.Time)
			})
			for i, f := range want[len(want)-len(got):] {
				if got[i] != f.Time {
					t.Fatalf("after %d: flow %d: got frames %v", n, flow, got)
				}
			}
			if len(got) > 0 {
				oldest = min(oldest, got[0])
			}
		}
		if n > 0 && r.Oldest() < oldest {
			t.Fatalf("after %d: Oldest %d, but the oldest frame is %d", n, r.Oldest(), oldest)
		}
		var kept int
		for i := len(all) - 1; i >= 0 && all[i].f.Time >= oldest; i-- {
			kept += recordHead + len(all[i].f.Data)
		}
		if next := len(all[max(int(oldest)-2, 0)].f.Data); n > 1000 && kept+next+recordHead+61<<10 < r.Size()-8*len(r.last) {
			t.Fatalf("after %d: only %d bytes of %d are in use", n, kept, r.Size())
		}
	}
}

func TestRecentLast(t *testing.T) {
	r := NewRecent(64 << 10)
	for i := range 10 {
		r.Add(frame("0123456789", int64(i+1)), 3)
	}
	for _, c := range []struct{ bytes, want int }{{0, 0}, {9, 0}, {10, 1}, {35, 3}, {100, 10}, {1000, 10}} {
		got, last := 0, int64(0)
		r.Last(3, c.bytes, func(f *wire.Frame) { got++; last = f.Time })
		if got != c.want || got > 0 && last != 10 {
			t.Errorf("Last(%d): got %d frames up to %d, want %d up to 10", c.bytes, got, last, c.want)
		}
	}
}

func TestRecentTooBig(t *testing.T) {
	r := NewRecent(64 << 10)
	r.Add(frame("kept", 1), 1)
	r.Add(&wire.Frame{Data: make([]byte, 64<<10)}, 1)
	n := 0
	r.Flow(1, func(*wire.Frame) { n++ })
	if n != 1 || r.TooBig() != 1 {
		t.Errorf("got %d frames, %d too big, want 1 and 1", n, r.TooBig())
	}
}

func TestRecentAllocatesNothing(t *testing.T) {
	r := NewRecent(1 << 20)
	f := frame("some bytes", 1)
	flow := uint64(0)
	if got := testing.AllocsPerRun(1000, func() { flow++; r.Add(f, flow%7) }); got != 0 {
		t.Errorf("Add: got %v allocations, want 0", got)
	}
	sum := 0
	fn := func(f *wire.Frame) { sum += len(f.Data) }
	if got := testing.AllocsPerRun(100, func() { r.Flow(3, fn) }); got > 1 {
		t.Errorf("Flow: got %v allocations, want one at the most", got)
	}
}

func BenchmarkRecentAdd(b *testing.B) {
	for _, size := range []int{64, 1400, 64 << 10} {
		b.Run(fmt.Sprint(size), func(b *testing.B) {
			r := NewRecent(64 << 20)
			f := &wire.Frame{Data: make([]byte, size)}
			b.SetBytes(int64(size))
			b.ReportAllocs()
			flow := uint64(0)
			for b.Loop() {
				flow++
				r.Add(f, flow%1000*0x9e3779b97f4a7c15)
			}
		})
	}
}

// One flow among 1000 in a full ring of small packets.
func BenchmarkRecentFlow(b *testing.B) {
	r := NewRecent(64 << 20)
	f := &wire.Frame{Data: make([]byte, 100)}
	for i := range uint64(1 << 19) {
		binary.LittleEndian.PutUint64(f.Data, i)
		r.Add(f, i%1000)
	}
	n := 0
	for b.Loop() {
		n = 0
		r.Flow(17, func(*wire.Frame) { n++ })
	}
	b.ReportMetric(float64(n), "frames")
}

func TestNilRecentKeepsNothing(t *testing.T) {
	var r *Recent
	r.Add(frame("x", 1), 1)
	r.Flow(1, func(*wire.Frame) { t.Error("a nil Recent has a frame") })
	if r.Oldest() != 0 || r.Size() != 0 || r.TooBig() != 0 {
		t.Error("a nil Recent holds something")
	}
}

// TestRecentResize: what fits stays, in its order, whatever the sizes.
func TestRecentResize(t *testing.T) {
	r := NewRecent(64 << 10)
	next, before, sizes := 0, 64<<10, []int{64 << 10, 256 << 10, 1 << 20, 128 << 10, 64 << 10, 512 << 10}
	for _, size := range sizes {
		for range 300 {
			data := bytes.Repeat([]byte{byte(next)}, 100+next*37%1400)
			r.Add(&wire.Frame{Data: data, Time: int64(next), Len: uint32(len(data))}, uint64(next%3))
			next++
		}
		r.Resize(size)
		if r.Full() {
			t.Errorf("%d bytes: full already", size)
		}
		var got []int64
		held := 0
		for flow := range uint64(3) {
			last := int64(-1)
			r.Flow(flow, func(f *wire.Frame) {
				if f.Time <= last || int(f.Time)%3 != int(flow) || f.Data[0] != byte(f.Time) || len(f.Data) != 100+int(f.Time)*37%1400 {
					t.Fatalf("%d bytes: frame %d of flow %d after %d", size, f.Time, flow, last)
				}
				last = f.Time
				got = append(got, f.Time)
				held += len(f.Data) + recordHead
			})
		}
		slices.Sort(got)
		if len(got) == 0 || got[len(got)-1] != int64(next-1) || int(got[len(got)-1]-got[0]) != len(got)-1 {
			t.Errorf("%d bytes: not the newest frames without a hole: %d frames", size, len(got))
		}
		if held < min(size, before)*3/4 {
			t.Errorf("%d bytes, of %d: only %d of frames are kept", size, before, held)
		}
		before = size
	}
}
