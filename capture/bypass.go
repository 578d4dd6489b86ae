package capture

import (
	"encoding/binary"

	"golang.org/x/net/bpf"

	"weir/wire"
)

// MaxBypass is how many flows a ring leaves out at once; ours. Each costs every other frame some nanoseconds.
const MaxBypass = 8

// Offsets in an Ethernet frame without a tag, which the kernel takes out.
const (
	atEtherType = 12
	atIPv4      = 14 // RFC 791
	atIPv6      = 14 // RFC 8200
)

// test is one condition of a frame that is left out: what load brings into the accumulator is equal to want, or has none of the bits of it.
type test struct {
	load bpf.Instruction
	want uint32
	bits bool
}

// bypass returns a program that lets all frames through but those of the given flows. What begins or ends a connection, fragments, and
// frames with more headers than the usual always pass.
func bypass(flows []wire.Key) ([]bpf.RawInstruction, error) {
	var program []bpf.Instruction
	for i := range flows[:min(len(flows), MaxBypass)] {
		k := &flows[i]
		if k.Scope != 0 || k.Proto != wire.ProtoTCP && k.Proto != wire.ProtoUDP {
			continue
		}
		program = leaveOut(program, tests(k, k.A, k.B, k.APort, k.BPort))
		program = leaveOut(program, tests(k, k.B, k.A, k.BPort, k.APort))
	}
	return bpf.Assemble(append(program, bpf.RetConstant{Val: 1<<32 - 1}))
}

// tests are the conditions for frames of one direction of a flow. Those that most frames fail come first.
func tests(k *wire.Key, src, dst [16]byte, srcPort, dstPort uint16) (list []test) {
	equal := func(load bpf.Instruction, want uint32) { list = append(list, test{load: load, want: want}) }
	defer func() { // the kernel has taken a tag out: such a frame is another flow's
		list = append(list, test{load: bpf.LoadExtension{Num: bpf.ExtVLANTagPresent}, want: 0})
	}()
	ports := func(offset uint32, load func(uint32) bpf.Instruction) {
		equal(load(offset), uint32(srcPort)<<16|uint32(dstPort))
	}
	if k.AddrA().Is4() {
		addr := func(a [16]byte) uint32 { return binary.BigEndian.Uint32(a[12:]) }
		equal(bpf.LoadAbsolute{Off: atIPv4 + 12, Size: 4}, addr(src))
		equal(bpf.LoadAbsolute{Off: atIPv4 + 16, Size: 4}, addr(dst))
		equal(bpf.LoadAbsolute{Off: atEtherType, Size: 2}, 0x0800)
		equal(bpf.LoadAbsolute{Off: atIPv4, Size: 1}, 0x45)
		equal(bpf.LoadAbsolute{Off: atIPv4 + 9, Size: 1}, uint32(k.Proto))
		list = append(list, test{load: bpf.LoadAbsolute{Off: atIPv4 + 6, Size: 2}, want: 0x3fff, bits: true}) // no fragment
		ports(atIPv4+20, func(off uint32) bpf.Instruction { return bpf.LoadAbsolute{Off: off, Size: 4} })
		if k.Proto == wire.ProtoTCP {
			list = append(list, test{load: bpf.LoadAbsolute{Off: atIPv4 + 20 + 13, Size: 1}, want: 0x07, bits: true}) // FIN, SYN, RST
		}
		return list
	}
	for i := 12; i >= 0; i -= 4 { // the last bytes differ most
		equal(bpf.LoadAbsolute{Off: uint32(atIPv6 + 8 + i), Size: 4}, binary.BigEndian.Uint32(src[i:]))
		equal(bpf.LoadAbsolute{Off: uint32(atIPv6 + 24 + i), Size: 4}, binary.BigEndian.Uint32(dst[i:]))
	}
	equal(bpf.LoadAbsolute{Off: atEtherType, Size: 2}, 0x86dd)
	equal(bpf.LoadAbsolute{Off: atIPv6 + 6, Size: 1}, uint32(k.Proto))
	ports(atIPv6+40, func(off uint32) bpf.Instruction { return bpf.LoadAbsolute{Off: off, Size: 4} })
	if k.Proto == wire.ProtoTCP {
		list = append(list, test{load: bpf.LoadAbsolute{Off: atIPv6 + 40 + 13, Size: 1}, want: 0x07, bits: true})
	}
	return list
}

// leaveOut appends: leave a frame out that meets all conditions; one that does not goes on behind. A load past the end of a frame lets the
// kernel drop it, so a frame that is too short for them goes on too.
func leaveOut(program []bpf.Instruction, list []test) []bpf.Instruction {
	end := 2 + 2*len(list) + 1
	program = append(program,
		bpf.LoadExtension{Num: bpf.ExtLen},
		bpf.JumpIf{Cond: bpf.JumpGreaterOrEqual, Val: atIPv6 + 40 + 14, SkipFalse: uint8(end - 2)})
	for i, t := range list {
		cond := bpf.JumpEqual
		if t.bits {
			cond = bpf.JumpBitsNotSet
		}
		program = append(program, t.load, bpf.JumpIf{Cond: cond, Val: t.want, SkipFalse: uint8(2*(len(list)-i) - 1)})
	}
	return append(program, bpf.RetConstant{Val: 0})
}
