package capture

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"

	"weir/wire"
)

// From the specification: draft-ietf-opsawg-pcapng.
const (
	blockSection   = 0x0a0d0d0a // 4.1, the same in both byte orders
	blockInterface = 1          // 4.2
	blockPacket    = 2          // appendix A, obsolete
	blockSimple    = 3          // 4.4
	blockEnhanced  = 6          // 4.3

	byteOrderMagic = 0x1a2b3c4d // 4.1

	blockHeader    = 8  // bytes: type, total length
	blockTrailer   = 4  // bytes: total length again
	blockMin       = 12 // bytes of the shortest block
	sectionMin     = 28 // bytes of a section header block without options
	sectionMajor   = 1  // the version that is read
	interfaceFixed = 8  // bytes of a body before its options
	packetFixed    = 20 // bytes of a body before its data, the same for the enhanced and the obsolete block
	simpleFixed    = 4  // bytes of a body before its data

	optEnd         = 0  // 3.5
	optIfName      = 2  // 4.2
	optIfDesc      = 3  // 4.2
	optIfTSResol   = 9  // 4.2
	optIfTSOffset  = 14 // 4.2
	optPacketFlags = 2  // 4.3, bits 0 and 1: direction
	optPacketDrops = 4  // 4.3, packets lost between this one and the one before

	directionMask, directionOut = 3, 2

	dropsUnknown = 0xffff // appendix A: the obsolete block's count is not known
)

// Ours.
const (
	maxText = 255 // bytes kept of an interface's name and description
)

// section is what reading blocks needs to know from a pcapng file's current section.
type section struct {
	order
	first int     // index in File.ifaces of the section's interface 0
	clock []clock // one per interface of the section
	last  int64   // time of the last frame, for blocks that carry none
}

var (
	errBlockShort   = errors.New("a block is too short for what it says it holds")
	errBlockTrailer = errors.New("the lengths at a block's two ends differ")
	errByteOrder    = errors.New("a section header has no byte order mark")
	errNoInterface  = errors.New("a packet names an interface that is not described")
	errPacketLength = errors.New("a packet is longer than its block")
	errInterfaces   = fmt.Errorf("more than %d interfaces", maxInterfaces)
)

// openNG checks that the first block is a section header; parseNG then reads it.
func (f *File) openNG() error {
	if err := f.want(sectionMin); err != nil {
		return fmt.Errorf("%s: pcapng: the section header has %d bytes, not %d: %w", f.name, f.hi, sectionMin, err)
	}
	if err := f.sect.byteOrder(f.buf[:f.hi]); err != nil {
		return fmt.Errorf("%s: pcapng: %w", f.name, err)
	}
	if major := f.sect.u16(f.buf[12:]); major != sectionMajor {
		return fmt.Errorf("%s: pcapng version %d is not known, only %d is", f.name, major, sectionMajor)
	}
	return nil
}

// byteOrder takes the byte order from the first 12 bytes of a section header block.
func (s *section) byteOrder(b []byte) error {
	switch {
	case binary.LittleEndian.Uint32(b[8:]) == byteOrderMagic:
		s.big = false
	case binary.BigEndian.Uint32(b[8:]) == byteOrderMagic:
		s.big = true
	default:
		return errByteOrder
	}
	return nil
}

// parseNG takes whole blocks from the buffer and appends their frames. It returns the bytes that the next block needs.
// What breaks the chain of blocks ends the file; a packet that makes no sense inside its block is left out, with a
// warning.
func (f *File) parseNG() int {
	s := &f.sect
	for len(f.frames) < batchFrames {
		b := f.buf[f.lo:f.hi]
		if len(b) < blockMin {
			return blockMin
		}
		if s.u32(b) == blockSection {
			if err := s.byteOrder(b); err != nil {
				f.stop(err)
				return 0
			}
		}
		kind, length := s.u32(b), s.u32(b[4:])
		size := (int64(length) + 3) &^ 3 // some writers leave the padding out of the length
		switch {
		case length < blockMin:
			f.stop(errBlockShort)
			return 0
		case !used(kind):
			n := min(size, int64(len(b)))
			f.lo += int(n)
			if f.skip = size - n; f.skip > 0 {
				return 1
			}
			continue
		case size > maxRecord:
			f.stop(fmt.Errorf("a block of %d bytes is longer than %d", size, maxRecord))
			return 0
		case int64(len(b)) < size:
			return int(size)
		}
		if end := s.u32(b[size-blockTrailer:]); end != length && int64(end) != size {
			f.stop(errBlockTrailer)
			return 0
		}
		if err := f.block(kind, b[blockHeader:size-blockTrailer]); err != nil {
			f.stop(err)
			return 0
		}
		f.lo += int(size)
	}
	return blockMin
}

// used reports whether a kind of block matters to us; all others are passed over without being held.
func used(kind uint32) bool {
	switch kind {
	case blockSection, blockInterface, blockPacket, blockSimple, blockEnhanced:
		return true
	}
	return false
}

// block takes one block's body. An error ends the file.
func (f *File) block(kind uint32, body []byte) error {
	switch kind {
	case blockSection:
		if len(body) < sectionMin-blockMin {
			return errBlockShort
		}
		if major := f.sect.u16(body[4:]); major != sectionMajor {
			return fmt.Errorf("pcapng version %d is not known, only %d is", major, sectionMajor)
		}
		f.sect.first, f.sect.clock = len(f.ifaces), f.sect.clock[:0]
		return nil
	case blockInterface:
		return f.blockInterface(body)
	}
	err := f.blockPacket(kind, body)
	if err != nil {
		f.warning(fmt.Errorf("%s: after %d frames at byte %d: %w", f.name, f.count+int64(len(f.frames)), f.offset(), err))
	}
	return nil
}

func (f *File) blockInterface(body []byte) error {
	if len(body) < interfaceFixed {
		return errBlockShort
	}
	if len(f.ifaces) == maxInterfaces {
		return errInterfaces
	}
	s, c := &f.sect, clock{mult: 1000, div: 1}
	i := Interface{Link: wire.Link(s.u16(body)), SnapLen: s.u32(body[4:])}
	s.options(body[interfaceFixed:], func(code uint16, v []byte) {
		switch {
		case code == optIfName:
			i.Name = text(v)
		case code == optIfDesc:
			i.Description = text(v)
		case code == optIfTSResol && len(v) == 1:
			c.resolution(v[0])
		case code == optIfTSOffset && len(v) == 8:
			hi, lo := s.u32(v), s.u32(v[4:])
			if !s.big {
				hi, lo = lo, hi
			}
			c.offset = int64(uint64(hi)<<32 | uint64(lo))
		}
	})
	f.ifaces, s.clock = append(f.ifaces, i), append(s.clock, c)
	return nil
}

// options calls each with every option, 3.5; it stops at the first that does not fit.
func (s *section) options(b []byte, each func(code uint16, value []byte)) {
	for len(b) >= 4 {
		code, n := s.u16(b), int(s.u16(b[2:]))
		if code == optEnd || len(b) < 4+n {
			return
		}
		each(code, b[4:4+n])
		b = b[min(len(b), 4+(n+3)&^3):]
	}
}

// text is an option's string: bounded, and without the zero that some writers end it with.
func text(v []byte) string {
	if i := bytes.IndexByte(v, 0); i >= 0 {
		v = v[:i]
	}
	return string(v[:min(len(v), maxText)])
}

// blockPacket appends the frame of an enhanced, obsolete or simple packet block.
func (f *File) blockPacket(kind uint32, body []byte) error {
	s := &f.sect
	if kind == blockSimple {
		return f.blockSimple(body)
	}
	if len(body) < packetFixed {
		return errBlockShort
	}
	iface, drops := s.u32(body), uint16(0)
	if kind == blockPacket {
		iface, drops = uint32(s.u16(body)), s.u16(body[2:])
	}
	if iface >= uint32(len(s.clock)) {
		return errNoInterface
	}
	n := s.u32(body[12:])
	data := body[packetFixed:]
	if n > uint32(len(data)) {
		return errPacketLength
	}
	s.last = s.clock[iface].nanos(uint64(s.u32(body[4:]))<<32 | uint64(s.u32(body[8:])))
	f.frames = append(f.frames, wire.Frame{
		Data:  data[:n:n],
		Time:  s.last,
		Len:   max(n, s.u32(body[16:])),
		Iface: uint16(s.first + int(iface)),
		Link:  f.ifaces[s.first+int(iface)].Link,
	})
	frame := &f.frames[len(f.frames)-1]
	if drops != 0 && drops != dropsUnknown {
		frame.Flag |= wire.FlagLoss
	}
	if pad := (int(n) + 3) &^ 3; pad < len(data) {
		frame.Flag |= s.packetFlags(data[pad:])
	}
	return nil
}

// packetFlags reads what a packet block's options tell of direction and loss.
func (s *section) packetFlags(b []byte) (flag wire.Flag) {
	for len(b) >= 4 {
		code, n := s.u16(b), int(s.u16(b[2:]))
		if code == optEnd || len(b) < 4+n {
			break
		}
		switch v := b[4 : 4+n]; {
		case code == optPacketFlags && n == 4 && s.u32(v)&directionMask == directionOut:
			flag |= wire.FlagOutgoing
		case code == optPacketDrops && n == 8 && s.u32(v)|s.u32(v[4:]) != 0:
			flag |= wire.FlagLoss
		}
		b = b[min(len(b), 4+(n+3)&^3):]
	}
	return flag
}

// blockSimple appends the frame of a simple packet block: interface 0, no time. The frame gets the time of the one
// before it, so that the clock does not jump.
func (f *File) blockSimple(body []byte) error {
	s := &f.sect
	if len(body) < simpleFixed {
		return errBlockShort
	}
	if len(s.clock) == 0 {
		return errNoInterface
	}
	i := &f.ifaces[s.first]
	orig := s.u32(body)
	n := orig
	if i.SnapLen > 0 {
		n = min(n, i.SnapLen)
	}
	data := body[simpleFixed:]
	if n > uint32(len(data)) {
		return errPacketLength
	}
	f.frames = append(f.frames, wire.Frame{Data: data[:n:n], Time: s.last, Len: orig, Iface: uint16(s.first), Link: i.Link})
	return nil
}
