package capture

import (
	"encoding/binary"
	"math/rand/v2"
	"net/netip"
	"testing"

	"golang.org/x/net/bpf"

	"weir/wire"
)

func bypassKey(a, b string, ap, bp uint16, proto uint8) wire.Key {
	return wire.Key{A: netip.MustParseAddr(a).As16(), B: netip.MustParseAddr(b).As16(), APort: ap, BPort: bp, Proto: proto}
}

// bypassFrame makes a frame of a flow, from A or to it.
func bypassFrame(k *wire.Key, fromA bool, tcpFlags byte, payload int) []byte {
	src, dst, sp, dp := k.A, k.B, k.APort, k.BPort
	if !fromA {
		src, dst, sp, dp = dst, src, dp, sp
	}
	l4 := make([]byte, 20+payload)
	binary.BigEndian.PutUint16(l4, sp)
	binary.BigEndian.PutUint16(l4[2:], dp)
	l4[12], l4[13] = 0x50, tcpFlags
	f := make([]byte, 14)
	if k.AddrA().Is4() {
		binary.BigEndian.PutUint16(f[12:], 0x0800)
		ip := make([]byte, 20)
		ip[0], ip[9] = 0x45, k.Proto
		binary.BigEndian.PutUint16(ip[2:], uint16(20+len(l4)))
		copy(ip[12:], src[12:])
		copy(ip[16:], dst[12:])
		return append(append(f, ip...), l4...)
	}
	binary.BigEndian.PutUint16(f[12:], 0x86dd)
	ip := make([]byte, 40)
	ip[0], ip[6] = 0x60, k.Proto
	binary.BigEndian.PutUint16(ip[4:], uint16(len(l4)))
	copy(ip[8:], src[:])
	copy(ip[24:], dst[:])
	return append(append(f, ip...), l4...)
}

func TestBypass(t *testing.T) {
	flows := []wire.Key{
		bypassKey("10.0.0.1", "10.0.0.2", 40000, 5201, wire.ProtoTCP),
		bypassKey("fd00::1", "fd00::2", 40000, 443, wire.ProtoTCP),
		bypassKey("10.0.0.3", "10.0.0.4", 1000, 2000, wire.ProtoUDP),
	}
	raw, err := bypass(flows)
	if err != nil {
		t.Fatal(err)
	}
	program, ok := bpf.Disassemble(raw)
	if !ok {
		t.Fatal("the program cannot be read back")
	}
	for i, x := range program { // which the machine here does not know: no frame of this test has a tag
		if x == (bpf.LoadExtension{Num: bpf.ExtVLANTagPresent}) {
			program[i] = bpf.LoadConstant{Dst: bpf.RegA}
		}
	}
	vm, err := bpf.NewVM(program)
	if err != nil {
		t.Fatal(err)
	}
	passes := func(f []byte) bool {
		n, err := vm.Run(f)
		if err != nil {
			t.Fatal(err)
		}
		return n > 0
	}
	for i := range flows {
		k := &flows[i]
		for _, fromA := range []bool{true, false} {
			if f := bypassFrame(k, fromA, 0x10, 100); passes(f) {
				t.Errorf("flow %d, from A %v: passes", i, fromA)
			}
			if f := bypassFrame(k, fromA, 0x10, 100); !passes(f[:50]) {
				t.Errorf("flow %d, from A %v: a frame that is too short does not pass", i, fromA)
			}
			for _, flags := range []byte{0x02, 0x12, 0x11, 0x04, 0x14} {
				if f := bypassFrame(k, fromA, flags, 0); k.Proto == wire.ProtoTCP && !passes(f) {
					t.Errorf("flow %d, flags %#x: does not pass", i, flags)
				}
			}
			if f := bypassFrame(k, fromA, 0x10, 100); k.AddrA().Is4() {
				f[20] |= 0x20 // more fragments
				if !passes(f) {
					t.Errorf("flow %d: a fragment does not pass", i)
				}
			}
		}
		// Whatever differs in one bit of what names a flow passes.
		f := bypassFrame(k, true, 0x10, 100)
		from, to := 26, 38
		if !k.AddrA().Is4() {
			from, to = 22, 58
		}
		for bit := from * 8; bit < to*8; bit++ {
			f[bit/8] ^= 1 << (bit % 8)
			if !passes(f) {
				t.Errorf("flow %d: passes not with bit %d changed", i, bit)
			}
			f[bit/8] ^= 1 << (bit % 8)
		}
	}
	r := rand.New(rand.NewPCG(1, 1))
	for range 1000 {
		f := make([]byte, r.IntN(200))
		for i := range f {
			f[i] = byte(r.Uint32())
		}
		if !passes(f) {
			t.Errorf("a random frame does not pass: %x", f)
		}
	}
	full := make([]wire.Key, 2*MaxBypass)
	for i := range full {
		full[i] = flows[1]
	}
	if _, err := bypass(full); err != nil {
		t.Errorf("as many flows as may be: %v", err)
	}
}
