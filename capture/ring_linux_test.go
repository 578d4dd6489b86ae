package capture

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"testing"
	"time"

	"github.com/mdlayher/packet"
	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"

	"weir/wire"
)

// patience is how long a test waits for the kernel before it fails.
const patience = 10 * time.Second

func openRing(t testing.TB, s space, c RingConfig) *Ring {
	t.Helper()
	var r *Ring
	s.do(t, func() (err error) {
		r, err = OpenRing(c)
		return err
	})
	t.Cleanup(func() { r.Close() })
	return r
}

// until reads batches until done says so of a frame.
func until(t testing.TB, r *Ring, done func(f *wire.Frame) bool) {
	t.Helper()
	for end := time.Now().Add(patience); time.Now().Before(end); {
		frames, err := r.Next()
		for i := range frames {
			if done(&frames[i]) {
				return
			}
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	t.Fatal("the frame did not come")
}

// frame returns an Ethernet frame with a marker as payload.
func frame(dst byte, ether uint16, payload string) []byte {
	b := []byte{2, 0, 0, 0, 0, dst, 2, 0, 0, 0, 0, 9}
	b = binary.BigEndian.AppendUint16(b, ether)
	return append(append(b, payload...), make([]byte, 60)...)
}

// inject sends a frame out of an interface of a namespace.
func inject(t testing.TB, s space, name string, frame []byte) {
	t.Helper()
	s.do(t, func() error {
		link, err := netlink.LinkByName(name)
		if err != nil {
			return err
		}
		c, err := packet.Listen(&net.Interface{Index: link.Attrs().Index}, packet.Raw, 0, nil)
		if err != nil {
			return err
		}
		defer c.Close()
		_, err = c.WriteTo(frame, &packet.Addr{HardwareAddr: frame[:6]})
		return err
	})
}

const (
	testEther = 0x88b5  // IEEE 802: for local experiments
	bigTCP    = 200_000 // bytes of the longest segment that TestRingBigTCP asks for
)

func TestRingFrames(t *testing.T) {
	host, pod, index := pair(t)
	tagged := binary.BigEndian.AppendUint16(frame(1, 0x8100, "")[:14], 3<<13|42)
	tagged = append(binary.BigEndian.AppendUint16(tagged, testEther), "tagged, and some more bytes to fill a frame of sixty of them"...)
	stag := bytes.Clone(tagged)
	binary.BigEndian.PutUint16(stag[12:], 0x88a8)
	cases := []struct {
		name  string
		from  space
		iface string
		frame []byte
		want  string // flags and tag
		data  []byte
	}{
		{"from the container, to a strange address", pod, "eth0", frame(1, testEther, "a"), "0 0", nil},
		{"from the host", host, "host", frame(2, testEther, "b"), "1 0", nil},
		{"802.1Q", pod, "eth0", tagged, "8 8100602a", append(bytes.Clone(tagged[:12]), tagged[16:]...)},
		{"802.1ad", pod, "eth0", stag, "8 88a8602a", append(bytes.Clone(stag[:12]), stag[16:]...)},
	}
	r := openRing(t, host, RingConfig{Interface: index, Name: "host"})
	if got, want := r.Interfaces()[0], (Interface{Name: "host", Link: wire.LinkEthernet}); got != want {
		t.Errorf("interface: got %+v, want %+v", got, want)
	}
	for _, c := range cases {
		before := time.Now()
		inject(t, c.from, c.iface, c.frame)
		if c.data == nil {
			c.data = c.frame
		}
		until(t, r, func(f *wire.Frame) bool {
			if !bytes.Equal(f.Data, c.data) {
				return false
			}
			if got := fmt.Sprintf("%d %x", f.Flag&^wire.FlagCsumPartial&^wire.FlagCsumValid, f.VLAN); got != c.want {
				t.Errorf("%s: got %s, want %s", c.name, got, c.want)
			}
			if d := time.Unix(0, f.Time).Sub(before); d < -time.Second || d > patience {
				t.Errorf("%s: the time is off by %v", c.name, d)
			}
			if f.Len != uint32(len(f.Data)) {
				t.Errorf("%s: got length %d, want %d", c.name, f.Len, len(f.Data))
			}
			return true
		})
	}
	s, err := r.Stats()
	if err != nil || s.Packets < uint64(len(cases)) || s.Drops != 0 {
		t.Errorf("stats: got %+v, %v", s, err)
	}
	again, err := r.Stats()
	if err != nil || again.Packets < s.Packets {
		t.Errorf("stats read again: got %+v, %v: they must add up", again, err)
	}
}

// TestRingSuperPackets sends bulk TCP through a veth: segments far longer than the MTU arrive whole, and all of them.
func TestRingSuperPackets(t *testing.T) { superPackets(t, "10.9.0.2:0", 1<<15) }

// TestRingBigTCP does so with IPv6, whose segments may be longer than 64 KiB by far.
func TestRingBigTCP(t *testing.T) { superPackets(t, "[fd00:9::2]:0", 1<<17) }

func superPackets(t *testing.T, address string, long int) {
	const size = 16 << 20
	host, pod, index := pair(t)
	if long > 1<<16 {
		host.do(t, func() error {
			link := &netlink.Veth{LinkAttrs: netlink.LinkAttrs{Index: index}}
			return errors.Join(netlink.LinkSetGSOMaxSize(link, bigTCP), netlink.LinkSetGROMaxSize(link, bigTCP))
		})
	}
	r := openRing(t, host, RingConfig{Interface: index, Bytes: 64 << 20})
	transfer(t, host, pod, address, size)
	seen, longest, partial := 0, 0, false
	until(t, r, func(f *wire.Frame) bool {
		if len(f.Data) != int(f.Len) {
			t.Fatalf("a frame of %d bytes was cut to %d", f.Len, len(f.Data))
		}
		headers, proto := 14+20, 14+9
		if binary.BigEndian.Uint16(f.Data[12:]) == 0x86dd {
			headers, proto = 14+40, 14+6
		}
		if headers == 14+40 && f.Data[proto] == 0 { // BIG TCP: a hop-by-hop header with the jumbo length, RFC 2675
			headers, proto = headers+8, headers
		}
		if f.Data[proto] != wire.ProtoTCP {
			return false
		}
		longest = max(longest, len(f.Data))
		partial = partial || f.Flag&wire.FlagCsumPartial != 0
		seen += len(f.Data) - headers - int(f.Data[headers+12]>>4)*4
		return seen >= size
	})
	if longest < long {
		t.Errorf("the longest frame has %d bytes: no super-packet came", longest)
	}
	if !partial {
		t.Error("no frame had its checksum left open")
	}
	s, err := r.Stats()
	if err != nil || s.Drops != 0 {
		t.Errorf("stats: got %+v, %v", s, err)
	}
	t.Logf("longest frame %d bytes, %+v", longest, s)
}

// transfer sends n bytes over TCP from the host's namespace to the pod's, and waits until they are there.
func transfer(t testing.TB, host, pod space, address string, n int64) {
	t.Helper()
	var l net.Listener
	var c net.Conn
	pod.do(t, func() (err error) {
		l, err = net.Listen("tcp", address)
		return err
	})
	defer l.Close()
	host.do(t, func() (err error) {
		c, err = net.DialTimeout("tcp", l.Addr().String(), patience)
		return err
	})
	got := make(chan int64)
	go func() {
		p, err := l.Accept()
		if err != nil {
			got <- 0
			return
		}
		defer p.Close()
		n, _ := io.Copy(io.Discard, p)
		got <- n
	}()
	if _, err := io.CopyN(c, zeros{}, n); err != nil {
		t.Fatal(err)
	}
	c.Close()
	if g := <-got; g != n {
		t.Fatalf("sent %d bytes, %d arrived", n, g)
	}
}

type zeros struct{}

func (zeros) Read(b []byte) (int, error) { return len(b), nil }

// TestRingOverflow sends more than a ring holds while nobody reads it: the loss is counted, and the first frame after
// it says so.
func TestRingOverflow(t *testing.T) {
	host, pod, index := pair(t)
	r := openRing(t, host, RingConfig{Interface: index, Bytes: 2 * leastBlock, Block: leastBlock, Retire: 20 * time.Millisecond, Tick: 100 * time.Millisecond})
	for round := range uint64(2) {
		transfer(t, host, pod, "10.9.0.2:0", 16<<20)
		marked, ticks := 0, 0
		for frames, err := r.Next(); ; frames, err = r.Next() {
			if err != nil {
				t.Fatal(err)
			}
			if len(frames) == 0 {
				if ticks++; marked > 0 || ticks == 50 { // on a busy machine what was injected may come later than a tick
					break
				}
			}
			for i := range frames {
				if frames[i].Flag&wire.FlagLoss != 0 {
					marked++
				}
			}
			if marked == 0 {
				inject(t, pod, "eth0", frame(1, testEther, "after the loss"))
			}
		}
		if marked == 0 {
			t.Errorf("round %d: no frame says that others were lost before it", round)
		}
		if s, err := r.Stats(); err != nil || s.Drops <= 10*round || s.Freezes <= round {
			t.Errorf("round %d: a ring of 512 KiB took 16 MiB: %+v, %v", round, s, err)
		}
	}
}

func TestRingTick(t *testing.T) {
	host, _, index := pair(t)
	r := openRing(t, host, RingConfig{Interface: index, Tick: 10 * time.Millisecond})
	for range 1000 { // a fresh veth has neighbours to discover
		frames, err := r.Next()
		if err != nil {
			t.Fatal(err)
		}
		if len(frames) == 0 {
			return
		}
	}
	t.Error("no tick came")
}

func TestRingCloseUnblocks(t *testing.T) {
	host, _, index := pair(t)
	for _, early := range []bool{false, true} {
		r := openRing(t, host, RingConfig{Interface: index, Tick: time.Hour})
		done := make(chan error)
		started := make(chan bool)
		go func() {
			close(started)
			for {
				if _, err := r.Next(); err != nil {
					done <- err
					return
				}
			}
		}()
		<-started
		if !early {
			inject(t, host, "host", frame(1, testEther, "x"))
		}
		if err := r.Close(); err != nil {
			t.Fatal(err)
		}
		select {
		case err := <-done:
			if !errors.Is(err, net.ErrClosed) {
				t.Errorf("Next: got %v, want %v", err, net.ErrClosed)
			}
		case <-time.After(patience):
			t.Fatal("Close did not end Next")
		}
		if r.sock.mem != nil {
			t.Error("the ring was not freed")
		}
		if err := r.Close(); !errors.Is(err, net.ErrClosed) {
			t.Errorf("second Close: got %v", err)
		}
	}
}

// TestRingCloseWhileLent closes a ring while its frames are being read: they must stay readable until the next Next.
func TestRingCloseWhileLent(t *testing.T) {
	host, _, index := pair(t)
	r := openRing(t, host, RingConfig{Interface: index})
	want := frame(1, testEther, "lent")
	inject(t, host, "host", want)
	until(t, r, func(f *wire.Frame) bool {
		if !bytes.Equal(f.Data, want) {
			return false
		}
		if err := r.Close(); err != nil {
			t.Fatal(err)
		}
		if !bytes.Equal(f.Data, want) { // a fault, if the memory were gone
			t.Error("the frame changed")
		}
		return true
	})
	if _, err := r.Next(); !errors.Is(err, net.ErrClosed) {
		t.Errorf("Next: got %v, want %v", err, net.ErrClosed)
	}
	if r.sock.mem != nil {
		t.Error("the ring was not freed")
	}
}

func TestRingInterfaceGone(t *testing.T) {
	host, _, index := pair(t)
	r := openRing(t, host, RingConfig{Interface: index, Retire: 200 * time.Millisecond})
	want := frame(1, testEther, "the last words")
	inject(t, host, "host", want)
	host.do(t, func() error {
		return netlink.LinkDel(&netlink.Veth{LinkAttrs: netlink.LinkAttrs{Name: "host", Index: index}})
	})
	start, found := time.Now(), false
	for {
		frames, err := r.Next()
		for i := range frames {
			found = found || bytes.Equal(frames[i].Data, want)
		}
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil || time.Since(start) > patience {
			t.Fatalf("got %v after %v, want io.EOF", err, time.Since(start))
		}
	}
	if !found {
		t.Error("the frame before the end is lost")
	}
}

func TestRingInterfaceDownAndUp(t *testing.T) {
	host, pod, index := pair(t)
	link := &netlink.Veth{LinkAttrs: netlink.LinkAttrs{Name: "host", Index: index}}
	host.do(t, func() error { return netlink.LinkSetDown(link) })
	r := openRing(t, host, RingConfig{Interface: index, Tick: 20 * time.Millisecond})
	for _, marker := range []string{"opened while down", "down and up again"} {
		host.do(t, func() error { return netlink.LinkSetUp(link) })
		want := frame(1, testEther, marker)
		inject(t, pod, "eth0", want)
		until(t, r, func(f *wire.Frame) bool { return bytes.Equal(f.Data, want) })
		host.do(t, func() error { return netlink.LinkSetDown(link) })
		for range 5 {
			if _, err := r.Next(); err != nil {
				t.Fatalf("down: got %v, want ticks", err)
			}
		}
	}
}

// TestRingTunnel captures from an interface without link-layer header.
func TestRingTunnel(t *testing.T) {
	host := newSpace(t)
	var index int
	host.do(t, func() error {
		tun := &netlink.Tuntap{LinkAttrs: netlink.LinkAttrs{Name: "tun"}, Mode: netlink.TUNTAP_MODE_TUN}
		if err := netlink.LinkAdd(tun); err != nil {
			return err
		}
		index = tun.Index
		return nil
	})
	r := openRing(t, host, RingConfig{Interface: index})
	if got := r.Interfaces()[0].Link; got != wire.LinkRaw {
		t.Errorf("got link type %d, want %d", got, wire.LinkRaw)
	}
}

// TestRingAllocs checks that frames cost nothing but their block.
func TestRingAllocs(t *testing.T) {
	host, pod, index := pair(t)
	r := openRing(t, host, RingConfig{Interface: index, Bytes: 64 << 20})
	transfer(t, host, pod, "10.9.0.2:0", 16<<20)
	if n := testing.AllocsPerRun(10, func() {
		if frames, err := r.Next(); len(frames) == 0 || err != nil {
			t.Fatalf("%d frames, %v", len(frames), err)
		}
	}); n != 0 {
		t.Errorf("Next allocates %v times", n)
	}
}

func TestRingErrors(t *testing.T) {
	host, _, _ := pair(t)
	host.do(t, func() error {
		for _, index := range []int{-1, 0, 9999} {
			if r, err := OpenRing(RingConfig{Interface: index, Name: "x"}); err == nil {
				r.Close()
				t.Errorf("interface %d: no error", index)
			}
		}
		return nil
	})
}

func TestRingRequest(t *testing.T) {
	for _, c := range []struct {
		in           RingConfig
		block, count uint32
		retire       uint32
	}{
		{RingConfig{}, 1 << 20, 8, 40},
		{RingConfig{Bytes: 4 << 20}, 512 << 10, 8, 40},
		{RingConfig{Bytes: 1 << 20}, 256 << 10, 4, 80},
		{RingConfig{Bytes: 1}, 256 << 10, 2, 160},
		{RingConfig{Bytes: 64 << 20, Block: 1, Retire: 1}, 256 << 10, 256, 1},
		{RingConfig{Bytes: 4 << 20, Block: 1<<20 + 1, Retire: time.Second}, 1<<20 + uint32(unix.Getpagesize()), 3, 1000},
	} {
		got := ringRequest(c.in)
		if got.Block_size != c.block || got.Block_nr != c.count || got.Retire_blk_tov != c.retire {
			t.Errorf("%+v: got %+v", c.in, got)
		}
		if got.Frame_nr != got.Block_nr*(got.Block_size/got.Frame_size) {
			t.Errorf("%+v: %+v is refused by the kernel", c.in, got)
		}
	}
}
