package capture

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"net"
	"sync"
	"testing"
	"time"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"

	"weir/wire"
)

// TestRingBefore: what came before the ring stood is never shown.
func TestRingBefore(t *testing.T) {
	host, pod, index := pair(t)
	before, after := frame(1, testEther, "before"), frame(1, testEther, "after")
	inject(t, pod, "eth0", before)
	r := openRing(t, host, RingConfig{Interface: index})
	inject(t, pod, "eth0", after)
	until(t, r, func(f *wire.Frame) bool {
		if bytes.Equal(f.Data, before) {
			t.Error("a frame from before the ring stood was shown")
		}
		return bytes.Equal(f.Data, after)
	})
}

// TestRingOnce: a veth shows each frame once, in each direction; a loopback twice, unless outgoing copies are left out.
func TestRingOnce(t *testing.T) {
	host, pod, index := pair(t)
	count := func(s space, c RingConfig, from space, name string) (n int) {
		r := openRing(t, s, c)
		marked, last := frame(1, testEther, "once"), frame(1, testEther, "last")
		inject(t, from, name, marked)
		inject(t, from, name, last)
		until(t, r, func(f *wire.Frame) bool {
			if bytes.Equal(f.Data, marked) {
				n++
			}
			return bytes.Equal(f.Data, last)
		})
		return n
	}
	if n := count(host, RingConfig{Interface: index}, pod, "eth0"); n != 1 {
		t.Errorf("from the container: seen %d times", n)
	}
	if n := count(host, RingConfig{Interface: index}, host, "host"); n != 1 {
		t.Errorf("into the container: seen %d times", n)
	}
	const lo = 1 // of every namespace
	if n := count(pod, RingConfig{Interface: lo}, pod, "lo"); n != 2 {
		t.Errorf("loopback: seen %d times", n)
	}
	if n := count(pod, RingConfig{Interface: lo, IgnoreOutgoing: true}, pod, "lo"); n != 1 {
		t.Errorf("loopback without outgoing copies: seen %d times", n)
	}
}

// TestRingCut: a frame longer than a block is cut, and counted, until the ring is made anew with longer blocks.
func TestRingCut(t *testing.T) {
	host, pod, index := pair(t)
	host.do(t, func() error {
		link := &netlink.Veth{LinkAttrs: netlink.LinkAttrs{Index: index}}
		return errors.Join(netlink.LinkSetGSOMaxSize(link, 8*65535), netlink.LinkSetGROMaxSize(link, 8*65535))
	})
	r := openRing(t, host, RingConfig{Interface: index, Bytes: 1 << 20})
	bulk := func() (longest int, cut uint64) {
		stop := make(chan struct{})
		go func() {
			defer close(stop)
			transfer(t, host, pod, "[fd00:9::2]:0", 32<<20)
		}()
		for {
			frames, err := r.Next()
			if err != nil {
				t.Fatal(err)
			}
			for i := range frames {
				longest = max(longest, int(frames[i].Len))
				if int(frames[i].Len) > len(frames[i].Data) {
					cut++
				}
			}
			select {
			case <-stop:
				return longest, cut
			default:
			}
		}
	}
	count := func() uint64 {
		s, err := r.Stats()
		if err != nil {
			t.Fatal(err)
		}
		return s.Cut
	}
	var sum uint64
	for tries := 0; sum == 0; tries++ { // as TCP would have it
		longest, cut := bulk()
		sum += cut
		if got := count(); got != sum || tries == 20 {
			t.Fatalf("%d frames were cut, of %d bytes at most; counted %d", sum, longest, got)
		}
	}
	resized := make(chan struct{})
	go func() {
		defer close(resized)
		if err := host.run(func() error { return r.Resize(1 << 20) }); err != nil {
			t.Error(err)
		}
	}()
	for done := false; !done; {
		if _, err := r.Next(); err != nil {
			t.Fatal(err)
		}
		select {
		case <-resized:
			done = true
		default:
		}
	}
	if got := r.Bytes(); got != 2*mostBlock {
		t.Errorf("got a ring of %d bytes", got)
	}
	before := count()
	longest := 0
	for tries := 0; longest <= leastBlock && tries < 20; tries++ {
		longest, _ = bulk()
	}
	if got := count(); got != before || longest <= leastBlock {
		t.Errorf("in blocks of 1 MiB %d more frames were cut; the longest has %d bytes", got-before, longest)
	}
	t.Logf("%d frames cut, then none of %d bytes", before, longest)
}

// TestRingDrain ends capture while frames are in the ring: they are returned first, and none after.
func TestRingDrain(t *testing.T) {
	for _, gone := range []bool{false, true} {
		t.Run(fmt.Sprintf("gone %v", gone), func(t *testing.T) {
			host, pod, index := pair(t)
			r := openRing(t, host, RingConfig{Interface: index, Retire: time.Hour, Tick: time.Hour})
			last := frame(1, testEther, "the last words")
			inject(t, pod, "eth0", last)
			if gone {
				host.do(t, func() error {
					return netlink.LinkDel(&netlink.Veth{LinkAttrs: netlink.LinkAttrs{Name: "host", Index: index}})
				})
			}
			drained := make(chan error, 1)
			go func() { drained <- r.Drain() }()
			found := false
			for {
				frames, err := r.Next()
				for i := range frames {
					found = found || bytes.Equal(frames[i].Data, last)
				}
				if errors.Is(err, io.EOF) {
					break
				}
				if err != nil {
					t.Fatal(err)
				}
			}
			if err := <-drained; err != nil {
				t.Errorf("Drain: %v", err)
			}
			if !found {
				t.Error("the frame before the end is lost")
			}
			if !gone {
				inject(t, pod, "eth0", frame(1, testEther, "too late"))
			}
			if frames, err := r.Next(); len(frames) > 0 || !errors.Is(err, io.EOF) {
				t.Errorf("after the end: %d frames, %v", len(frames), err)
			}
			if err := r.Close(); err != nil {
				t.Error(err)
			}
			if err := r.Drain(); !errors.Is(err, net.ErrClosed) {
				t.Errorf("Drain after Close: %v", err)
			}
			if err := r.Resize(1 << 20); !errors.Is(err, net.ErrClosed) {
				t.Errorf("Resize after Close: %v", err)
			}
		})
	}
}

// TestRingChangeWhileClosing closes a ring, or takes its interface away, while its size changes and it is split: nothing hangs, and
// all is given back.
func TestRingChangeWhileClosing(t *testing.T) {
	for i := range 20 {
		host, pod, index := pair(t)
		r := openRing(t, host, RingConfig{Interface: index, Bytes: 1 << 20})
		var wg sync.WaitGroup
		read := func(r *Ring) {
			wg.Go(func() {
				for {
					if _, err := r.Next(); err != nil {
						r.Close()
						return
					}
				}
			})
		}
		read(r)
		inject(t, pod, "eth0", frame(1, testEther, "x"))
		changes := make(chan struct{})
		go func() {
			defer close(changes)
			host.run(func() error {
				for n := 0; ; n++ {
					var err error
					if n%2 == 0 {
						err = r.Resize(1<<20 + n%4<<20)
					} else {
						var fresh []*Ring
						fresh, err = r.Split()
						for _, f := range fresh {
							read(f)
						}
						if err == nil {
							err = r.Fold()
						}
						if err != nil {
							closeRings(fresh)
						}
					}
					if err != nil {
						return nil
					}
				}
			})
		}()
		time.Sleep(time.Duration(i) * 7 * time.Millisecond) // somewhere within
		if i%2 == 0 {
			r.Close()
		} else {
			host.do(t, func() error {
				return netlink.LinkDel(&netlink.Veth{LinkAttrs: netlink.LinkAttrs{Name: "host", Index: index}})
			})
		}
		<-changes
		wg.Wait()
		if r.sock.mem != nil {
			t.Fatal("the ring was not freed")
		}
	}
}

// TestRingSplitDownAndUp: when an interface was down, its frames come to the same rings as before.
func TestRingSplitDownAndUp(t *testing.T) {
	host, pod, index := pair(t)
	r := openRing(t, host, RingConfig{Interface: index, Bytes: 1 << 20, Tick: 20 * time.Millisecond})
	read := make(chan error, 1)
	stop := make(chan struct{})
	go func() {
		for {
			select {
			case <-stop:
				read <- nil
				return
			default:
				if _, err := r.Next(); err != nil {
					read <- err
					return
				}
			}
		}
	}()
	var rings []*Ring
	host.do(t, func() error {
		if err := r.Resize(2 << 20); err != nil { // the first ring's socket is not the first any more that was opened
			return err
		}
		fresh, err := r.Split()
		rings = append([]*Ring{r}, fresh...)
		return err
	})
	close(stop)
	if err := <-read; err != nil {
		t.Fatal(err)
	}
	defer rings[1].Close()
	link := &netlink.Veth{LinkAttrs: netlink.LinkAttrs{Name: "host", Index: index}}
	for round := range 3 {
		for x := byte(1); x < 6; x++ {
			want := ipFrame("0800", false, false, x, false, 64, fmt.Sprint("round ", round))
			inject(t, pod, "eth0", want)
			until(t, rings[Member(&wire.Frame{Data: want, Link: wire.LinkEthernet}, 2)], func(f *wire.Frame) bool { return bytes.Equal(f.Data, want) })
		}
		host.do(t, func() error { return errors.Join(netlink.LinkSetDown(link), netlink.LinkSetUp(link)) })
	}
}

// TestRingAlone: a ring that the kernel let into no group captures all the same, and says why it cannot change.
func TestRingAlone(t *testing.T) {
	host, pod, index := pair(t)
	r := openRing(t, host, RingConfig{Interface: index})
	r.group.alone = unix.EINVAL
	if err := r.Resize(1 << 20); !errors.Is(err, ErrFixed) {
		t.Errorf("Resize: got %v", err)
	}
	if _, err := r.Split(); !errors.Is(err, ErrFixed) {
		t.Errorf("Split: got %v", err)
	}
	want := frame(1, testEther, "alone")
	inject(t, pod, "eth0", want)
	drained := make(chan error, 1)
	go func() { drained <- r.Drain() }()
	found := false
	for {
		frames, err := r.Next()
		for i := range frames {
			found = found || bytes.Equal(frames[i].Data, want)
		}
		if err != nil {
			break
		}
	}
	if err := <-drained; err != nil || !found {
		t.Errorf("Drain: %v, found the frame: %v", err, found)
	}
}

// TestRingLeaveOut leaves a flow out, in a ring that is made anew meanwhile, and lets it in again.
func TestRingLeaveOut(t *testing.T) {
	host, pod, index := pair(t)
	r := openRing(t, host, RingConfig{Interface: index})
	key := bypassKey("10.0.0.1", "10.0.0.2", 1000, 80, wire.ProtoTCP)
	data, fin := bypassFrame(&key, true, 0x10, 100), bypassFrame(&key, true, 0x11, 100)
	comes := func() (n int) {
		inject(t, pod, "eth0", data)
		inject(t, pod, "eth0", fin)
		until(t, r, func(f *wire.Frame) bool {
			if bytes.Equal(f.Data, data) {
				n++
			}
			return bytes.Equal(f.Data, fin)
		})
		return n
	}
	if n := comes(); n != 1 {
		t.Fatalf("the flow came %d times", n)
	}
	leave := func(flows ...wire.Key) {
		if err := r.LeaveOut(flows); err != nil {
			t.Fatal(err)
		}
	}
	leave(key)
	if n := comes(); n != 0 {
		t.Error("the flow was not left out")
	}
	resized := make(chan error, 1)
	go func() { resized <- host.run(func() error { return r.Resize(2 << 20) }) }()
	for done := false; !done; {
		if _, err := r.Next(); err != nil {
			t.Fatal(err)
		}
		select {
		case err := <-resized:
			if err != nil {
				t.Fatal(err)
			}
			done = true
		default:
		}
	}
	if n := comes(); n != 0 {
		t.Error("the new ring does not leave the flow out")
	}
	leave()
	if n := comes(); n != 1 {
		t.Error("the flow was not let in again")
	}
	leave()
}
