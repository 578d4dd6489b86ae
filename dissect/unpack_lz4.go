package dissect

import "encoding/binary"

// from the specifications of LZ4's frame and block formats.
const (
	lz4Magic    = 0x184d2204
	lz4Version  = 1 << 6
	lz4BlockSum = 1 << 4
	lz4Size     = 1 << 3
	lz4Dict     = 1
	lz4Stored   = 1 << 31
	lz4MinMatch = 4
)

// lz4 takes frames. Checksums are not verified: some writers of Kafka's got that of the header wrong.
func (u *unpacking) lz4(in []byte) error {
	for len(in) > 0 {
		if len(in) < 7 || binary.LittleEndian.Uint32(in) != lz4Magic {
			return errUnpack
		}
		flags, head := in[4], 7
		if flags&lz4Size != 0 {
			head += 8
		}
		if flags&lz4Dict != 0 {
			head += 4
		}
		if flags>>6 != lz4Version>>6 || len(in) < head {
			return errUnpack
		}
		in = in[head:]
		start := len(u.out)
		for {
			if len(in) < 4 {
				return errUnpack
			}
			n := binary.LittleEndian.Uint32(in)
			in = in[4:]
			if n == 0 {
				break
			}
			size := int(n &^ lz4Stored)
			if size > len(in) {
				return errUnpack
			}
			var err error
			if n&lz4Stored != 0 {
				if err = u.grow(size); err == nil {
					u.out = append(u.out, in[:size]...)
				}
			} else {
				err = u.lz4Block(in[:size], start)
			}
			if err != nil {
				return err
			}
			in = in[size:]
			if flags&lz4BlockSum != 0 {
				in = in[min(4, len(in)):]
			}
		}
		if flags&4 != 0 { // checksum of the content
			in = in[min(4, len(in)):]
		}
	}
	return nil
}

// lz4Block takes a block; matches may reach back to start.
func (u *unpacking) lz4Block(in []byte, start int) error {
	for len(in) > 0 {
		token := in[0]
		in = in[1:]
		n, rest, ok := lz4Length(int(token>>4), in)
		if !ok || n > len(rest) {
			return errUnpack
		}
		if err := u.grow(n); err != nil {
			return err
		}
		u.out = append(u.out, rest[:n]...)
		if in = rest[n:]; len(in) == 0 {
			return nil
		}
		if len(in) < 2 {
			return errUnpack
		}
		back := int(binary.LittleEndian.Uint16(in))
		if n, in, ok = lz4Length(int(token&15), in[2:]); !ok || back == 0 || back > len(u.out)-start {
			return errUnpack
		}
		if err := u.grow(n + lz4MinMatch); err != nil {
			return err
		}
		for i := len(u.out) - back; n > -lz4MinMatch; n, i = n-1, i+1 {
			u.out = append(u.out, u.out[i])
		}
	}
	return nil
}

// lz4Length reads a length that goes on in bytes of 255.
func lz4Length(n int, in []byte) (int, []byte, bool) {
	if n < 15 {
		return n, in, true
	}
	for i, c := range in {
		n += int(c)
		if c != 255 {
			return n, in[i+1:], true
		}
	}
	return 0, nil, false
}
