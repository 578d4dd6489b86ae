package content

import (
	"encoding/binary"
	"hash/crc32"
)

// from the .xz file format, version 1.1.0
const (
	xzMagic   = "\xfd7zXZ\x00"
	xzFilter2 = 0x21 // LZMA2
	lzipMagic = "LZIP\x01"
)

// readXZ gives what all streams of an .xz file hold, as one stream.
func readXZ(in *input, out *output) error {
	out.begin("")
	l := &lzma{in: in, out: out}
	for {
		var head [12]byte
		if err := in.full(head[:]); err != nil {
			return err
		}
		if string(head[:6]) != xzMagic {
			return nil
		}
		check := []int{0, 4, 4, 4, 8, 8, 8, 16, 16, 16, 32, 32, 32, 64, 64, 64}[head[7]&15]
		for {
			done, err := l.block(check)
			if err != nil {
				return err
			}
			if done {
				break
			}
		}
		for { // padding
			b, err := in.Peek(4)
			if err != nil {
				return err
			}
			if !allZero(b) {
				break
			}
			in.Discard(4)
		}
	}
}

// block reads a block with a check of so many bytes behind it; done: it was the index, and the stream's end with it.
func (l *lzma) block(check int) (done bool, err error) {
	b, err := l.in.Peek(1)
	if err != nil {
		return false, err
	}
	if b[0] == 0 {
		return true, l.index()
	}
	head := make([]byte, (int(b[0])+1)*4)
	if err := l.in.full(head); err != nil {
		return false, err
	}
	if crc32.ChecksumIEEE(head[:len(head)-4]) != binary.LittleEndian.Uint32(head[len(head)-4:]) {
		return false, errBroken
	}
	flags, at := head[1], 2
	for _, bit := range []byte{0x40, 0x80} { // sizes, that are not needed
		if flags&bit != 0 {
			_, n := binary.Uvarint(head[at:])
			if n <= 0 {
				return false, errBroken
			}
			at += n
		}
	}
	if flags&3 != 0 || len(head) < at+3 || head[at] != xzFilter2 || head[at+1] != 1 {
		return false, errMethod // a filter of machine code, say
	}
	from := l.in.at()
	if err := l.chunks(); err != nil {
		return false, err
	}
	return false, l.in.skip(-(l.in.at()-from)&3 + int64(check))
}

// index reads over the index and the footer.
func (l *lzma) index() error {
	from := l.in.at()
	l.in.Discard(1)
	records, err := binary.ReadUvarint(l.in)
	for i := uint64(0); i < records && err == nil; i++ {
		if _, err = binary.ReadUvarint(l.in); err == nil {
			_, err = binary.ReadUvarint(l.in)
		}
	}
	if err != nil {
		return err
	}
	return l.in.skip(-(l.in.at()-from)&3 + 4 + 12)
}

// chunks reads LZMA2.
func (l *lzma) chunks() error {
	ready := false // a chunk has set the properties
	for first := true; ; first = false {
		c, err := l.in.ReadByte()
		if err != nil || c == 0 {
			return err
		}
		if c == 1 || c >= 0xe0 {
			l.win, l.from, l.n = l.win[:0], 0, 0
		} else if first {
			return errBroken
		}
		if c < 0x80 {
			if err = l.stored(c); err != nil {
				return err
			}
			continue
		}
		var b [4]byte
		if err = l.in.full(b[:]); err != nil {
			return err
		}
		size := int64(c&0x1f)<<16 | int64(b[0])<<8 | int64(b[1]) + 1
		packed := int64(b[2])<<8 | int64(b[3]) + 1
		if c >= 0xc0 {
			p, err := l.in.ReadByte()
			if err == nil {
				err = l.properties(p)
			}
			if err != nil {
				return err
			}
			ready = true
		}
		if !ready {
			return errBroken
		}
		if c >= 0xa0 {
			l.resetState()
		}
		from := l.in.at()
		if err = l.begin(); err == nil {
			err = l.decode(size)
		}
		if err == nil {
			err = l.err
		}
		if err != nil {
			return err
		}
		l.normalize()
		if l.in.at()-from != packed {
			return errBroken
		}
	}
}

// stored reads a chunk of LZMA2 that is not compressed.
func (l *lzma) stored(c byte) error {
	if c > 2 {
		return errBroken
	}
	var b [2]byte
	if err := l.in.full(b[:]); err != nil {
		return err
	}
	for n := int(b[0])<<8 | int(b[1]) + 1; n > 0; n-- {
		c, err := l.in.ReadByte()
		if err == nil {
			err = l.put(c)
		}
		if err != nil {
			return err
		}
	}
	return l.flush()
}

// isLZMA knows the headers of the older format that its writers make: usual properties, a window of a power of two or of half as much again, a size
// that is not known or not too great.
func isLZMA(head []byte) bool {
	if len(head) < 14 || head[0] != 0x5d || head[13] != 0 {
		return false
	}
	window := binary.LittleEndian.Uint32(head[1:])
	if window%3 == 0 {
		window /= 3
	}
	if window < 1<<10 || window&(window-1) != 0 {
		return false
	}
	size := binary.LittleEndian.Uint64(head[5:])
	return size == 1<<64-1 || size < 1<<38
}

// readLZMA gives the content of a file of the older format, LZMA_Alone.
func readLZMA(in *input, out *output) error {
	var head [13]byte
	if err := in.full(head[:]); err != nil {
		return err
	}
	out.begin("")
	return alone(in, out, head[0], int64(binary.LittleEndian.Uint64(head[5:])))
}

// alone decodes one LZMA stream of a size (-1: it has a mark at its end).
func alone(in *input, out *output, properties byte, size int64) error {
	l := &lzma{in: in, out: out}
	if err := l.properties(properties); err != nil {
		return err
	}
	l.resetState()
	if err := l.begin(); err != nil {
		return err
	}
	if err := l.decode(size); err != nil {
		return err
	}
	return l.err
}

// readLzip gives what all members of a .lz file hold, as one stream.
func readLzip(in *input, out *output) error {
	out.begin("")
	for {
		var head [6]byte
		if err := in.full(head[:]); err != nil {
			return err
		}
		if string(head[:5]) != lzipMagic {
			return nil
		}
		const properties = 3 + 2*45 // lc 3, lp 0, pb 2
		if err := alone(in, out, properties, -1); err != nil {
			return err
		}
		if err := in.skip(20); err != nil {
			return err
		}
	}
}
