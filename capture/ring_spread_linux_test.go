package capture

import (
	"bytes"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/vishvananda/netlink"
	"golang.org/x/net/bpf"

	"weir/wire"
)

// ipFrame is a frame between two hosts, with what stands before its IP header, as hexadecimal digits, and with a marker.
// back turns its direction round.
func ipFrame(before string, v6, back bool, x byte, fragment bool, size int, marker string) []byte {
	mac := "020000000001 020000000009"
	if back {
		mac = "020000000009 020000000001"
	}
	f, err := hex.DecodeString(strings.ReplaceAll(mac+before, " ", ""))
	if err != nil {
		panic(err)
	}
	a, b := []byte{10, 0, 7, x}, []byte{10, 1, 7, 2 * x}
	head := []byte{0x45, 0, 0, 0, 0, 1, 0, 0, 64, wire.ProtoUDP, 0, 0}
	if fragment {
		head[6] = 0x20
	}
	if v6 {
		a = append(bytes.Repeat([]byte{0xfd}, 12), a...)
		b = append(bytes.Repeat([]byte{0xfd}, 12), b...)
		head = []byte{0x60, 0, 0, 0, 0, 0, wire.ProtoUDP, 64}
		if fragment {
			head[6] = 44 // RFC 8200 section 4.5
		}
	}
	if back {
		a, b = b, a
	}
	ip := append(append(head, a...), b...)
	body := append([]byte(marker), make([]byte, size)...)
	length := len(body)
	if v6 {
		binary.BigEndian.PutUint16(ip[4:], uint16(length))
	} else {
		binary.BigEndian.PutUint16(ip[2:], uint16(length+20))
	}
	return append(append(f, ip...), body...)
}

// TestRingSpread sends frames of many kinds in both directions through a ring split into eight: the program in the
// kernel and Member agree, and all frames between two hosts come to one ring, fragments too.
func TestRingSpread(t *testing.T) {
	host, pod, index := pair(t)
	for _, side := range []struct {
		s    space
		name string
	}{{host, "host"}, {pod, "eth0"}} {
		side.s.do(t, func() error {
			link, err := netlink.LinkByName(side.name)
			if err != nil {
				return err
			}
			return netlink.LinkSetMTU(link, 9000)
		})
	}
	r := openRing(t, host, RingConfig{Interface: index, Name: "host", Bytes: 1 << 20})
	rings := []*Ring{r}
	var mu sync.Mutex
	came := map[string]int{} // marker: ring
	var wg sync.WaitGroup
	read := func(r *Ring, member int) {
		wg.Go(func() {
			for {
				frames, err := r.Next()
				mu.Lock()
				for i := range frames {
					f := &frames[i]
					if at := bytes.Index(f.Data, []byte("<marker ")); at >= 0 {
						marker := string(f.Data[at : at+bytes.IndexByte(f.Data[at:], '>')+1])
						if old, twice := came[marker]; twice {
							t.Errorf("%s came to ring %d and to ring %d", marker, old, member)
						}
						came[marker] = member
						if got := Member(f, MaxRings); got != member {
							t.Errorf("%s came to ring %d, Member says %d", marker, member, got)
						}
					}
				}
				mu.Unlock()
				if err != nil {
					return
				}
			}
		})
	}
	read(r, 0)
	for len(rings) < MaxRings {
		host.do(t, func() error {
			fresh, err := r.Split()
			for _, f := range fresh {
				read(f, len(rings))
				rings = append(rings, f)
			}
			return err
		})
	}
	t.Cleanup(func() {
		for i := len(rings) - 1; i >= 0; i-- {
			rings[i].Close()
		}
		wg.Wait()
	})
	want := map[string]int{} // marker: ring
	send := func(what string, f func(back bool, marker string) []byte, ring int) {
		for _, back := range []bool{false, true} {
			for _, out := range []bool{false, true} {
				marker := fmt.Sprintf("<marker %s, back %v, out %v>", what, back, out)
				want[marker] = ring
				if out {
					inject(t, host, "host", f(back, marker))
				} else {
					inject(t, pod, "eth0", f(back, marker))
				}
			}
		}
	}
	used := map[int]bool{}
	for _, v6 := range []bool{false, true} {
		ether := "0800"
		if v6 {
			ether = "86dd"
		}
		for x := byte(1); x < 12; x++ {
			make := func(before string, fragment bool, size int) func(bool, string) []byte {
				return func(back bool, marker string) []byte {
					return ipFrame(before+ether, v6, back, x, fragment, size, marker)
				}
			}
			ring := Member(&wire.Frame{Data: make("", false, 64)(false, ""), Link: wire.LinkEthernet}, MaxRings)
			used[ring] = true
			name := func(what string) string { return fmt.Sprintf("%s %s %d", ether, what, x) }
			send(name("plain"), make("", false, 64), ring)
			if x > 2 {
				continue
			}
			send(name("fragment"), make("", true, 64), ring)
			send(name("long"), make("", false, 8000), ring)
			send(name("tagged"), make("8100 0007", false, 64), ring)
			send(name("tagged 802.1ad"), make("88a8 0007", false, 64), ring)
			send(name("two tags"), make("88a8 0007 8100 0009", false, 64), ring)
		}
	}
	other := func(before string) func(bool, string) []byte {
		return func(back bool, marker string) []byte { return ipFrame(before, false, back, 1, false, 64, marker) }
	}
	send("ARP", other("0806"), 0)
	send("802.3", other("0040"), 0)
	send("other", other("88b5"), 0)
	for end := time.Now().Add(patience); ; time.Sleep(5 * time.Millisecond) {
		mu.Lock()
		n := len(came)
		mu.Unlock()
		if n >= len(want) || time.Now().After(end) {
			break
		}
	}
	mu.Lock()
	defer mu.Unlock()
	for marker, ring := range want {
		if got, ok := came[marker]; !ok || got != ring {
			t.Errorf("%s: came %v, to ring %d, want %d", marker, ok, got, ring)
		}
	}
	if len(used) < 5 {
		t.Errorf("of %d rings only %d are used", MaxRings, len(used))
	}
	t.Logf("%d frames, %d rings", len(came), len(used))
}

// TestSpreadRaw runs the program for interfaces without link-layer header, which is the same wherever it runs.
func TestSpreadRaw(t *testing.T) {
	code, ok := bpf.Disassemble(spread(wire.LinkRaw, MaxRings))
	vm, err := bpf.NewVM(code)
	if !ok || err != nil {
		t.Fatal(ok, err)
	}
	for x := range byte(100) {
		for _, v6 := range []bool{false, true} {
			for _, back := range []bool{false, true} {
				f := wire.Frame{Data: ipFrame("0000", v6, back, x, false, 64, "")[14:], Link: wire.LinkRaw}
				got, err := vm.Run(f.Data)
				if want := Member(&f, MaxRings); err != nil || got != want {
					t.Errorf("host %d, IPv6 %v, back %v: got %d, %v, want %d", x, v6, back, got, err, want)
				}
			}
		}
	}
	for _, data := range []string{"", "E", "\x00 neither version, long enough to be either of the two ones", "E\x00 too short"} {
		got, _ := vm.Run([]byte(data))
		if want := Member(&wire.Frame{Data: []byte(data), Link: wire.LinkRaw}, MaxRings); got != 0 || want != 0 {
			t.Errorf("%q: got %d and %d, want 0", data, got, want)
		}
	}
}

// TestRingSplitTunnel splits where there is no link-layer header: the kernel takes the program.
func TestRingSplitTunnel(t *testing.T) {
	host := newSpace(t)
	host.do(t, func() error {
		tun := &netlink.Tuntap{LinkAttrs: netlink.LinkAttrs{Name: "tun"}, Mode: netlink.TUNTAP_MODE_TUN}
		if err := netlink.LinkAdd(tun); err != nil {
			return err
		}
		r, err := OpenRing(RingConfig{Interface: tun.Index, Bytes: 1 << 20, Tick: 10 * time.Millisecond})
		if err != nil {
			return err
		}
		t.Cleanup(func() { r.Close() })
		go func() {
			for err := error(nil); err == nil; {
				_, err = r.Next()
			}
		}()
		fresh, err := r.Split()
		if err != nil {
			return err
		}
		return errors.Join(fresh[0].Close())
	})
}
