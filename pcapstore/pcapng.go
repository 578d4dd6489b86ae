package pcapstore

import (
	"encoding/binary"
	"io"
	"strings"

	"weir/capture"
	"weir/wire"
)

// from the specification (draft-ietf-opsawg-pcapng, sections 3 and 4)
const (
	blockSection   = 0x0A0D0D0A
	blockInterface = 1
	blockStats     = 5
	blockPacket    = 6

	byteOrderMagic = 0x1A2B3C4D

	optEnd     = 0
	optComment = 1

	shbUserAppl = 4

	ifName        = 2
	ifDescription = 3
	ifTSResol     = 9

	epbFlags     = 2
	epbDropCount = 4

	isbStart    = 2
	isbEnd      = 3
	isbReceived = 4
	isbDropped  = 5
	isbDeliv    = 8 // packets that reached the one who asked for them: here, that were written

	flagsOutbound = 2 // epb_flags, bits 0-1
	nanoseconds   = 9 // if_tsresol: 10^-9 s
)

// from the format of libpcap (draft-ietf-opsawg-pcap)
const pcapMagic = 0xA1B2C3D4 // times in microseconds

// ours
const (
	// Wireshark and libpcap take a longer packet for a sign that the file is corrupt.
	maxCaptured = 262144 // bytes of a frame that are written; its length on the wire is kept
	maxText     = 60000  // bytes of one comment; an option's length has 16 bits
	maxName     = 256    // bytes of an interface's name or description
	lossUnknown = "weir: frames were lost by the capture just before this one; their number is not known"
)

// Note is what is said about one written packet.
type Note struct {
	Comment string // UTF-8; "": none
	Dropped uint64 // frames that its interface lost between the packet before and this one
}

// Stats is what is said about one interface at the end of a file.
type Stats struct {
	Start, End        int64  // ns since the epoch, of the packets written
	Received, Dropped uint64 // frames, as the capture counts them
	Written           uint64 // packets in this file
	Comment           string
}

// appendSection appends a Section Header Block. The section's length is left open, as for a stream.
func appendSection(b []byte, app, comment string) []byte {
	b, at := begin(b, blockSection)
	b = u32(b, byteOrderMagic)
	b = u16(b, 1) // version 1.0
	b = u16(b, 0)
	b = u64(b, 1<<64-1)
	b = option(b, optComment, comment, maxText)
	b = option(b, shbUserAppl, app, maxName)
	return end(b, at)
}

// appendInterface appends an Interface Description Block with times in nanoseconds.
func appendInterface(b []byte, i *capture.Interface) []byte {
	b, at := begin(b, blockInterface)
	b = u16(b, uint16(i.Link))
	b = u16(b, 0)
	b = u32(b, min(i.SnapLen, maxCaptured))
	b = option(b, ifName, i.Name, maxName)
	b = option(b, ifDescription, i.Description, maxName)
	b = u16(b, ifTSResol)
	b = u16(b, 1)
	b = append(b, nanoseconds, 0, 0, 0)
	return end(b, at)
}

// appendPacket appends an Enhanced Packet Block. A VLAN tag that the capture took out is put back.
func appendPacket(b []byte, iface uint32, f *wire.Frame, n *Note) []byte {
	captured, onWire := lengths(f)
	b, at := begin(b, blockPacket)
	b = u32(b, iface)
	b = timestamp(b, f.Time)
	b = u32(u32(b, captured), onWire)
	b = pad(appendFrame(b, f, captured))
	if f.Flag&wire.FlagLoss != 0 && n.Dropped == 0 {
		b = option(b, optComment, lossUnknown, maxText)
	}
	b = option(b, optComment, n.Comment, maxText)
	if f.Flag&wire.FlagOutgoing != 0 {
		b = u32(u16(u16(b, epbFlags), 4), flagsOutbound)
	}
	if n.Dropped != 0 {
		b = u64(u16(u16(b, epbDropCount), 8), n.Dropped)
	}
	return end(b, at)
}

// appendStats appends an Interface Statistics Block.
func appendStats(b []byte, iface uint32, s *Stats) []byte {
	b, at := begin(b, blockStats)
	b = u32(b, iface)
	b = timestamp(b, s.End)
	b = option(b, optComment, s.Comment, maxText)
	b = timestamp(u16(u16(b, isbStart), 8), s.Start)
	b = timestamp(u16(u16(b, isbEnd), 8), s.End)
	b = u64(u16(u16(b, isbReceived), 8), s.Received)
	b = u64(u16(u16(b, isbDropped), 8), s.Dropped)
	b = u64(u16(u16(b, isbDeliv), 8), s.Written)
	return end(b, at)
}

// tagLen returns the length of the VLAN tag that belongs back into the frame: 4 or 0.
func tagLen(f *wire.Frame) int {
	if f.Flag&wire.FlagVLAN != 0 && f.Link == wire.LinkEthernet && len(f.Data) >= 12 {
		return 4
	}
	return 0
}

// lengths returns how much of a frame is written, and its length on the wire, both with the tag put back.
func lengths(f *wire.Frame) (captured, onWire uint32) {
	tag := uint32(tagLen(f))
	n := uint32(len(f.Data))
	return min(n+tag, maxCaptured), max(f.Len, n) + tag
}

// appendFrame appends the bytes of a frame, n of them as lengths told, the tag after both addresses.
func appendFrame(b []byte, f *wire.Frame, n uint32) []byte {
	if tagLen(f) == 0 {
		return append(b, f.Data[:n]...)
	}
	b = append(b, f.Data[:12]...)
	b = binary.BigEndian.AppendUint32(b, f.VLAN)
	return append(b, f.Data[12:n-4]...)
}

// begin appends the head of a block; end, given at, closes it.
func begin(b []byte, kind uint32) ([]byte, int) {
	at := len(b)
	b = u32(b, kind)
	return u32(b, 0), at
}

// end appends the end of the options and the block's length, and sets the one in its head. A block has options here, or
// an end of options that says there are none: both are allowed.
func end(b []byte, at int) []byte {
	b = u32(b, optEnd)
	n := uint32(len(b) + 4 - at)
	binary.LittleEndian.PutUint32(b[at+4:], n)
	return u32(b, n)
}

// option appends a text option, cut to limit bytes; none if it is empty.
func option(b []byte, code uint16, text string, limit int) []byte {
	if text == "" {
		return b
	}
	text = strings.ToValidUTF8(text[:min(len(text), limit)], "?")
	b = u16(u16(b, code), uint16(len(text)))
	return pad(append(b, text...))
}

// pad appends zeros up to a multiple of 4 bytes. Blocks start at one, so len(b) may be taken.
func pad(b []byte) []byte { return append(b, make([]byte, -len(b)&3)...) }

func timestamp(b []byte, ns int64) []byte {
	t := uint64(max(ns, 0))
	return u32(u32(b, uint32(t>>32)), uint32(t))
}

func u16(b []byte, v uint16) []byte { return binary.LittleEndian.AppendUint16(b, v) }
func u32(b []byte, v uint32) []byte { return binary.LittleEndian.AppendUint32(b, v) }
func u64(b []byte, v uint64) []byte { return binary.LittleEndian.AppendUint64(b, v) }

// writeAll writes b, and turns a short write into an error.
func writeAll(w io.Writer, b []byte) error {
	n, err := w.Write(b)
	if err == nil && n < len(b) {
		err = io.ErrShortWrite
	}
	return err
}
