package capture

import (
	"encoding/binary"
	"fmt"
	"math/bits"

	"weir/wire"
)

// From the specification: draft-ietf-opsawg-pcap, and libpcap's savefile.c for the modified form.
const (
	pcapMicro      = 0xa1b2c3d4
	pcapNano       = 0xa1b23c4d
	pcapKuznetzov  = 0xa1b2cd34 // record headers carry interface, protocol and packet type behind the lengths
	pcapHeader     = 24         // bytes of the file header
	pcapRecord     = 16         // bytes of a record header
	pcapRecordKuz  = 24         // bytes of a record header of the modified form
	pcapMajor      = 2          // version that all of these files carry
	pcapMinorSwap  = 3          // below this minor version the two lengths of a record are the other way round, at it perhaps
	linkTypeMask   = 0xffff     // the link type; the bits above hold NetBSD's class and the length of a frame check sequence
	nanosPerSecond = 1_000_000_000
)

// pcapState is what reading records of a pcap file needs to know from its header.
type pcapState struct {
	order
	mult    int64 // ns per unit of the fraction
	header  int   // bytes of a record header
	lengths int8  // -1: original length comes first; 0: whichever is greater is the original; 1: captured length comes first
}

// magic tells a pcap file from its first 4 bytes, and with it byte order and form.
func (p *pcapState) magic(head []byte) bool {
	v := binary.LittleEndian.Uint32(head)
	switch v {
	case bits.ReverseBytes32(pcapMicro), bits.ReverseBytes32(pcapNano), bits.ReverseBytes32(pcapKuznetzov):
		p.big = true
		v = bits.ReverseBytes32(v)
	case pcapMicro, pcapNano, pcapKuznetzov:
	default:
		return false
	}
	p.mult, p.header = 1000, pcapRecord
	switch v {
	case pcapNano:
		p.mult = 1
	case pcapKuznetzov:
		p.header = pcapRecordKuz
	}
	return true
}

func (f *File) openPcap() error {
	if err := f.want(pcapHeader); err != nil {
		return fmt.Errorf("%s: pcap: the file header has %d bytes, not %d: %w", f.name, f.hi, pcapHeader, err)
	}
	p, h := &f.pcap, f.buf[:pcapHeader]
	major, minor := p.u16(h[4:]), p.u16(h[6:])
	p.lengths = 1
	if major == pcapMajor && minor <= pcapMinorSwap {
		p.lengths = 0
		if minor < pcapMinorSwap {
			p.lengths = -1
		}
	}
	if major != pcapMajor {
		f.warning(fmt.Errorf("%s: pcap version %d.%d is not known: read as 2.4", f.name, major, minor))
	}
	f.ifaces = append(f.ifaces, Interface{SnapLen: p.u32(h[16:]), Link: wire.Link(p.u32(h[20:]) & linkTypeMask)})
	f.lo = pcapHeader
	return nil
}

// parsePcap appends the frames of whole records. It returns the bytes that the next record needs.
func (f *File) parsePcap() int {
	p, header, link := &f.pcap, f.pcap.header, f.ifaces[0].Link
	b := f.buf[f.lo:f.hi]
	need := header
	for len(f.frames) < batchFrames && len(b) >= header {
		r := b[:pcapRecord]
		sec, frac, n, orig := p.u32(r), p.u32(r[4:]), p.u32(r[8:]), p.u32(r[12:])
		if p.lengths < 1 && (p.lengths < 0 || n > orig) {
			n, orig = orig, n
		}
		if n > maxRecord-pcapRecordKuz {
			f.lo = f.hi - len(b)
			f.stop(fmt.Errorf("a record of %d bytes is longer than %d", n, maxRecord-pcapRecordKuz))
			return 0
		}
		size := header + int(n)
		if len(b) < size {
			need = size
			break
		}
		f.frames = append(f.frames, wire.Frame{
			Data: b[header:size:size],
			Time: int64(sec)*nanosPerSecond + int64(frac)*p.mult,
			Len:  max(n, orig),
			Link: link,
		})
		b = b[size:]
	}
	f.lo = f.hi - len(b)
	return need
}
