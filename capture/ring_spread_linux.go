package capture

import (
	"encoding/binary"

	"golang.org/x/net/bpf"
	"golang.org/x/sys/unix"

	"weir/wire"
)

// MaxRings is how many rings an interface may have; a power of two.
const MaxRings = 8

// From the specification.
const (
	etherHeader = 14 // bytes; its last two are the EtherType
	tagSize     = 4  // bytes of a VLAN tag

	typeIPv4 = 0x0800
	typeIPv6 = 0x86dd
	typeTag  = 0x8100 // IEEE 802.1Q
	typeSTag = 0x88a8 // IEEE 802.1ad
	typeTag9 = 0x9100 // before that

	ipv4Source, ipv6Source = 12, 8 // offsets in the header
	ipv4Words, ipv6Words   = 2, 8  // 32-bit words of both addresses
)

// Ours.
const (
	maxTags = 2          // tags in the frame that are looked behind; a third one makes it member 0's
	mixer   = 0x9e3779b1 // 2^32 over the golden ratio: the high bits of the product depend on all bits
	mixed   = 29         // bits that are shifted out: MaxRings are left
)

// Member returns which of n rings, a power of two, gets a frame, as the program of spread does: a matter of its IP
// addresses alone, and the same in both directions. What is not IP goes to ring 0.
func Member(f *wire.Frame, n int) int {
	at, typ := 0, uint16(0)
	if f.Link == wire.LinkEthernet {
		if len(f.Data) < etherHeader {
			return 0
		}
		at, typ = etherHeader, binary.BigEndian.Uint16(f.Data[etherHeader-2:])
		for range maxTags {
			if typ == typeTag || typ == typeSTag || typ == typeTag9 {
				if len(f.Data) < at+tagSize {
					return 0
				}
				typ = binary.BigEndian.Uint16(f.Data[at+2:])
				at += tagSize
			}
		}
	} else if len(f.Data) > 0 {
		typ = map[byte]uint16{4: typeIPv4, 6: typeIPv6}[f.Data[0]>>4]
	}
	words := 0
	switch typ {
	case typeIPv4:
		at, words = at+ipv4Source, ipv4Words
	case typeIPv6:
		at, words = at+ipv6Source, ipv6Words
	default:
		return 0
	}
	if len(f.Data) < at+4*words {
		return 0
	}
	sum := uint32(0)
	for i := range words {
		sum ^= binary.BigEndian.Uint32(f.Data[at+4*i:])
	}
	return int(sum * mixer >> mixed & uint32(n-1))
}

// always is a program that returns a number.
func always(n uint32) []bpf.RawInstruction {
	return assemble([]bpf.Instruction{bpf.RetConstant{Val: n}})
}

// Cells of a program's memory.
const (
	cellOffset = iota // of what follows the EtherType
	cellType
	cellSum
)

// spread is the program that sends a frame to the member that Member says. Fragments have no ports, and the kernel's own
// hash is another one for each direction of some flows: only the addresses keep all of a flow together.
//
// For a frame that came in, the kernel has taken off the Ethernet header and a tag; one that goes out is there whole.
// A load beyond the frame's end makes the program return 0.
func spread(link wire.Link, n int) []bpf.RawInstruction {
	if n == 1 {
		return always(0)
	}
	var p program
	if link == wire.LinkEthernet {
		p.add(bpf.LoadExtension{Num: bpf.ExtType}, bpf.JumpIf{Cond: bpf.JumpEqual, Val: unix.PACKET_OUTGOING, SkipFalse: 4},
			bpf.LoadConstant{Dst: bpf.RegA, Val: etherHeader}, bpf.StoreScratch{Src: bpf.RegA, N: cellOffset},
			bpf.LoadAbsolute{Off: etherHeader - 2, Size: 2}, bpf.Jump{Skip: 3},
			bpf.LoadConstant{Dst: bpf.RegA, Val: 0}, bpf.StoreScratch{Src: bpf.RegA, N: cellOffset}, bpf.LoadExtension{Num: bpf.ExtProto})
		for range maxTags {
			p.skipTag()
		}
	} else {
		p.add(bpf.LoadConstant{Dst: bpf.RegA, Val: 0}, bpf.StoreScratch{Src: bpf.RegA, N: cellOffset},
			bpf.LoadAbsolute{Off: 0, Size: 1}, bpf.ALUOpConstant{Op: bpf.ALUOpShiftRight, Val: 4},
			bpf.JumpIf{Cond: bpf.JumpNotEqual, Val: 4, SkipTrue: 1}, bpf.LoadConstant{Dst: bpf.RegA, Val: typeIPv4},
			bpf.JumpIf{Cond: bpf.JumpNotEqual, Val: 6, SkipTrue: 1}, bpf.LoadConstant{Dst: bpf.RegA, Val: typeIPv6})
	}
	v4 := sumOf(ipv4Source, ipv4Words, n)
	p.add(bpf.JumpIf{Cond: bpf.JumpNotEqual, Val: typeIPv4, SkipTrue: uint8(len(v4))})
	p.add(v4...)
	p.add(bpf.JumpIf{Cond: bpf.JumpEqual, Val: typeIPv6, SkipTrue: 1}, bpf.RetConstant{Val: 0})
	p.add(sumOf(ipv6Source, ipv6Words, n)...)
	return assemble(p.code)
}

type program struct{ code []bpf.Instruction }

func (p *program) add(i ...bpf.Instruction) { p.code = append(p.code, i...) }

// skipTag goes on behind a VLAN tag, if A, the EtherType, says that there is one.
func (p *program) skipTag() {
	behind := []bpf.Instruction{
		bpf.LoadScratch{Dst: bpf.RegA, N: cellOffset}, bpf.TAX{}, bpf.ALUOpConstant{Op: bpf.ALUOpAdd, Val: tagSize}, bpf.StoreScratch{Src: bpf.RegA, N: cellOffset},
		bpf.LoadIndirect{Off: 2, Size: 2},
	}
	n := uint8(len(behind))
	p.add(bpf.JumpIf{Cond: bpf.JumpEqual, Val: typeTag, SkipTrue: 2}, bpf.JumpIf{Cond: bpf.JumpEqual, Val: typeSTag, SkipTrue: 1},
		bpf.JumpIf{Cond: bpf.JumpNotEqual, Val: typeTag9, SkipTrue: n})
	p.add(behind...)
}

// sumOf returns which of n members the addresses say: words of them, from an offset on.
func sumOf(offset, words uint32, n int) []bpf.Instruction {
	out := []bpf.Instruction{bpf.LoadConstant{Dst: bpf.RegA, Val: 0}, bpf.StoreScratch{Src: bpf.RegA, N: cellSum}}
	for i := range words {
		out = append(out, bpf.LoadScratch{Dst: bpf.RegX, N: cellOffset}, bpf.LoadIndirect{Off: offset + 4*i, Size: 4},
			bpf.LoadScratch{Dst: bpf.RegX, N: cellSum}, bpf.ALUOpX{Op: bpf.ALUOpXor}, bpf.StoreScratch{Src: bpf.RegA, N: cellSum})
	}
	return append(out, bpf.ALUOpConstant{Op: bpf.ALUOpMul, Val: mixer}, bpf.ALUOpConstant{Op: bpf.ALUOpShiftRight, Val: mixed},
		bpf.ALUOpConstant{Op: bpf.ALUOpAnd, Val: uint32(n - 1)}, bpf.RetA{})
}

// assemble turns a program into what the kernel takes. It fails only if the program is wrong.
func assemble(code []bpf.Instruction) []bpf.RawInstruction {
	raw, err := bpf.Assemble(code)
	if err != nil {
		panic(err)
	}
	return raw
}
