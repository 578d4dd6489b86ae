package content

import (
	"encoding/binary"
	"io"
)

// from the specifications of LZ4's frame and block formats
const (
	lz4Magic    = 0x184d2204
	lz4Skip     = 0x184d2a50 // the last four bits may be any
	lz4BlockSum = 1 << 4
	lz4Size     = 1 << 3
	lz4Sum      = 1 << 2
	lz4Dict     = 1 << 0
	lz4Stored   = 1 << 31
	lz4MinMatch = 4
	lz4Reach    = 64 << 10 // bytes that a copy reaches back
)

func isLZ4(head []byte) bool {
	return len(head) >= 6 && binary.LittleEndian.Uint32(head) == lz4Magic && head[4]>>6 == 1 && head[5]>>7 == 0 && head[5]>>4 >= 4
}

// lz4 undoes LZ4. out holds a block behind what copies may reach back to.
type lz4 struct {
	in   *input
	win  []byte
	from int // beginning of the block
	max  int // bytes that a block may have
}

// readLZ4 gives what all frames hold, as one stream. Checksums are not verified.
func readLZ4(in *input, out *output) error {
	out.begin("")
	z := &lz4{in: in}
	for {
		var head [4]byte
		if err := in.full(head[:]); err != nil {
			return err
		}
		switch n := binary.LittleEndian.Uint32(head[:]); {
		case n&^15 == lz4Skip:
			if err := in.full(head[:]); err != nil {
				return err
			}
			if err := in.skip(int64(binary.LittleEndian.Uint32(head[:]))); err != nil {
				return err
			}
		case n == lz4Magic:
			if err := z.frame(out); err != nil {
				return err
			}
		default:
			return nil
		}
	}
}

func (z *lz4) frame(out *output) error {
	var b [4]byte
	if err := z.in.full(b[:3]); err != nil {
		return err
	}
	flags, size := b[0], b[1]>>4&7
	if flags>>6 != 1 || size < 4 {
		return errBroken
	}
	if flags&lz4Dict != 0 {
		return errMethod // of which nobody here has the dictionary
	}
	z.max, z.win = 1<<(8+2*size), z.win[:0]
	if flags&lz4Size != 0 {
		if err := z.in.skip(8); err != nil {
			return err
		}
	}
	for {
		if err := z.in.full(b[:]); err != nil {
			return err
		}
		n := binary.LittleEndian.Uint32(b[:])
		if n == 0 {
			break
		}
		if err := z.block(n); err != nil {
			return err
		}
		for at := z.from; at < len(z.win); at += outputBuffer {
			if err := out.give(z.win[at:min(len(z.win), at+outputBuffer)], -1); err != nil {
				return err
			}
		}
		if over := len(z.win) - lz4Reach; over > 0 {
			z.win = z.win[:copy(z.win, z.win[over:])]
		}
		if flags&lz4BlockSum != 0 {
			if err := z.in.skip(4); err != nil {
				return err
			}
		}
	}
	if flags&lz4Sum != 0 {
		return z.in.skip(4)
	}
	return nil
}

// block reads one block behind what is in the window.
func (z *lz4) block(head uint32) error {
	z.from = len(z.win)
	z.in.cost = cap(z.win)
	n := int(head &^ lz4Stored)
	if n > z.max {
		return errBroken
	}
	if head&lz4Stored != 0 {
		return z.take(n, nil)
	}
	end := z.in.at() + int64(n)
	for z.in.at() < end {
		token, err := z.in.ReadByte()
		if err != nil {
			return err
		}
		if err = z.take(z.length(int(token>>4), &err), err); err != nil {
			return err
		}
		if z.in.at() >= end {
			break // the last sequence is literals only
		}
		var b [2]byte
		if err = z.in.full(b[:]); err != nil {
			return err
		}
		back := int(binary.LittleEndian.Uint16(b[:]))
		if err = z.repeat(z.length(int(token&15), &err)+lz4MinMatch, back, err); err != nil {
			return err
		}
	}
	if z.in.at() != end {
		return errBroken
	}
	return nil
}

// length reads a length that goes on in bytes of 255.
func (z *lz4) length(n int, err *error) int {
	for more := n == 15; more && n <= z.max; {
		c, e := z.in.ReadByte()
		if e != nil {
			*err = e
			return 0
		}
		n, more = n+int(c), c == 255
	}
	return n
}

// take reads n bytes as they are.
func (z *lz4) take(n int, err error) error {
	if err != nil {
		return err
	}
	if len(z.win)+n-z.from > z.max {
		return errBroken
	}
	at := len(z.win)
	z.win = append(z.win, make([]byte, n)...)
	_, err = io.ReadFull(z.in, z.win[at:])
	return err
}

// repeat copies n bytes from so far back.
func (z *lz4) repeat(n, back int, err error) error {
	if err != nil {
		return err
	}
	if back == 0 || back > len(z.win) || len(z.win)+n-z.from > z.max {
		return errBroken
	}
	for i := len(z.win) - back; n > 0; n, i = n-1, i+1 {
		z.win = append(z.win, z.win[i])
	}
	return nil
}
