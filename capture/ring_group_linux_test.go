package capture

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"math"
	"net"
	"runtime"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"

	"weir/wire"
)

const (
	streams = 6
	ahead   = 1000 // frames of a stream that may be under way: what is sent faster than it is read would be dropped
)

// flood sends numbered frames into a veth as fast as they are read, from several goroutines: streams of their own.
type flood struct {
	sent, seen [streams]atomic.Uint64 // by stream: how many
	stop       chan struct{}
	wg         sync.WaitGroup
}

// numbered returns frame number n of a stream: UDP between addresses that belong to the stream, odd numbers the other way.
func numbered(stream int, n uint64) []byte {
	a, b := [4]byte{10, 9, 1, byte(stream)}, [4]byte{10, 9, 2, byte(3 * stream)}
	if n%2 == 1 {
		a, b = b, a
	}
	f := make([]byte, 60)
	copy(f, []byte{2, 0, 0, 0, 0, 1, 2, 0, 0, 0, 0, 9, 8, 0, 0x45, 0, 0, 46, 0, 0, 0, 0, 64, wire.ProtoUDP})
	copy(f[26:], a[:])
	copy(f[30:], b[:])
	f[42] = byte(stream)
	binary.BigEndian.PutUint64(f[43:], n)
	return f
}

// number returns the stream and number of a frame of a flood.
func number(f *wire.Frame) (stream int, n uint64, ok bool) {
	d := f.Data
	if len(d) != 60 || d[12] != 8 || d[26] != 10 || d[27] != 9 || d[28] == 0 || d[28] > 2 {
		return 0, 0, false
	}
	return int(d[42]), binary.BigEndian.Uint64(d[43:]), true
}

func startFlood(t *testing.T, from space, name string) *flood {
	fl := &flood{stop: make(chan struct{})}
	for part := range 2 {
		fd := -1
		from.do(t, func() error {
			link, err := netlink.LinkByName(name)
			if err != nil {
				return err
			}
			if fd, err = unix.Socket(unix.AF_PACKET, unix.SOCK_RAW, 0); err != nil {
				return err
			}
			return unix.Bind(fd, &unix.SockaddrLinklayer{Ifindex: link.Attrs().Index})
		})
		fl.wg.Go(func() {
			defer unix.Close(fd)
			for {
				for s := part; s < streams; s += 2 {
					select {
					case <-fl.stop:
						return
					default:
					}
					n := fl.sent[s].Load()
					if n > fl.seen[s].Load()+ahead {
						runtime.Gosched()
						continue
					}
					fl.sent[s].Store(n + 1)
					if _, err := unix.Write(fd, numbered(s, n)); err != nil {
						t.Error(err)
						return
					}
				}
			}
		})
	}
	return fl
}

func (fl *flood) end() {
	close(fl.stop)
	fl.wg.Wait()
}

// account keeps the books of a flood: what came, what did not, what came out of order.
type account struct {
	fl   *flood
	mu   sync.Mutex
	next [streams]uint64
	all  uint64 // frames, those of others with them
	lost uint64 // of the flood
	bad  []string
	came map[*Ring]*[streams]int
}

func (a *account) take(r *Ring, frames []wire.Frame) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.all += uint64(len(frames))
	for i := range frames {
		s, n, ok := number(&frames[i])
		if !ok {
			continue
		}
		if n < a.next[s] && len(a.bad) < 10 {
			a.bad = append(a.bad, fmt.Sprintf("stream %d: %d where %d was due", s, n, a.next[s]))
		}
		a.lost += n - a.next[s]
		a.next[s] = n + 1
		a.fl.seen[s].Store(n + 1)
		a.came[r][s]++
	}
}

// read reads a ring to its end.
func (a *account) read(r *Ring) error {
	a.mu.Lock()
	a.came[r] = new([streams]int)
	a.mu.Unlock()
	for {
		frames, err := r.Next()
		a.take(r, frames)
		if err != nil {
			return err
		}
	}
}

// settle checks that all that was sent was seen, once and in order, but for what the kernel says it dropped.
func (a *account) settle(t *testing.T, s Stats) {
	t.Helper()
	for _, b := range a.bad {
		t.Error(b)
	}
	total := uint64(0)
	for i := range a.next {
		a.lost += a.fl.sent[i].Load() - a.next[i]
		total += a.fl.sent[i].Load()
	}
	if a.lost > s.Drops || a.all != s.Packets-s.Drops {
		t.Errorf("of %d frames %d did not come, %d came in all; the kernel counted %+v", total, a.lost, a.all, s)
	}
	t.Logf("%d frames, %+v", total, s)
}

// TestRingResize changes a ring's size again and again while frames come at full speed.
func TestRingResize(t *testing.T) {
	host, pod, index := pair(t)
	r := openRing(t, host, RingConfig{Interface: index, Name: "host"})
	fl := startFlood(t, pod, "eth0")
	a := &account{fl: fl, came: map[*Ring]*[streams]int{}}
	read := make(chan error, 1)
	go func() { read <- a.read(r) }()
	start, longest := time.Now(), time.Duration(0)
	sizes := []int{1 << 20, 8 << 20, 2 << 20, 4 << 20}
	const times = 40
	for i := range times {
		size := sizes[i%len(sizes)]
		before := time.Now()
		host.do(t, func() error { return r.Resize(size) })
		longest = max(longest, time.Since(before))
		if got := r.Bytes(); got != size {
			t.Errorf("got a ring of %d bytes, want %d", got, size)
		}
	}
	t.Logf("%d sizes in %v, none took longer than %v", times, time.Since(start), longest)
	fl.end()
	if err := r.Drain(); err != nil {
		t.Fatal(err)
	}
	if err := <-read; !errors.Is(err, io.EOF) {
		t.Errorf("Next: got %v, want %v", err, io.EOF)
	}
	s, err := r.Stats()
	if err != nil {
		t.Error(err)
	}
	a.settle(t, s)
}

// TestRingSplit splits a ring into two, four and eight and folds them again while frames come at full speed.
func TestRingSplit(t *testing.T) {
	host, pod, index := pair(t)
	r := openRing(t, host, RingConfig{Interface: index, Name: "host", Bytes: 2 << 20})
	fl := startFlood(t, pod, "eth0")
	a := &account{fl: fl, came: map[*Ring]*[streams]int{}}
	var wg sync.WaitGroup
	read := func(r *Ring) {
		wg.Go(func() {
			if err := a.read(r); !errors.Is(err, io.EOF) && !errors.Is(err, net.ErrClosed) {
				t.Errorf("Next: %v", err)
			}
		})
	}
	read(r)
	rings := []*Ring{r}
	var sum Stats
	for range 4 {
		for len(rings) < MaxRings {
			host.do(t, func() error {
				fresh, err := r.Split()
				rings = append(rings, fresh...)
				for _, f := range fresh {
					read(f)
				}
				return err
			})
			a.spread(t, rings)
		}
		host.do(t, func() error {
			if err := r.Resize(1 << 20); err == nil {
				t.Error("a ring that was split was resized")
			}
			return nil
		})
		for len(rings) > 1 {
			if err := r.Fold(); err != nil {
				t.Fatal(err)
			}
			for _, gone := range rings[len(rings)/2:] {
				s, _ := gone.Stats()
				sum.Add(s)
			}
			rings = rings[:len(rings)/2]
			a.spread(t, rings)
		}
	}
	fl.end()
	if err := r.Drain(); err != nil {
		t.Fatal(err)
	}
	wg.Wait()
	s, err := r.Stats()
	if err != nil {
		t.Error(err)
	}
	sum.Add(s)
	a.settle(t, sum)
}

// spread waits until all streams have gone on, and checks that each came to the ring that Member says.
func (a *account) spread(t *testing.T, rings []*Ring) {
	t.Helper()
	a.mu.Lock()
	for _, c := range a.came {
		*c = [streams]int{}
	}
	a.mu.Unlock()
	for end := time.Now().Add(patience); ; time.Sleep(time.Millisecond) {
		a.mu.Lock()
		least := math.MaxInt
		for s := range streams {
			m := Member(&wire.Frame{Data: numbered(s, 0), Link: wire.LinkEthernet}, len(rings))
			if c := a.came[rings[m]]; c != nil {
				least = min(least, c[s])
			} else {
				least = 0
			}
		}
		a.mu.Unlock()
		if least >= 10 {
			break
		}
		if time.Now().After(end) {
			t.Fatalf("%d rings: the streams do not come where they should", len(rings))
		}
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	for m, r := range rings {
		for s, n := range a.came[r] {
			if n > 0 && Member(&wire.Frame{Data: numbered(s, 0), Link: wire.LinkEthernet}, len(rings)) != m {
				t.Errorf("%d rings: %d frames of stream %d came to ring %d", len(rings), n, s, m)
			}
		}
	}
}
