package capture

import (
	"encoding/binary"
	"math/bits"
)

// order is the byte order of a file, or of a section of one.
type order struct{ big bool }

func (o *order) u16(b []byte) uint16 {
	v := binary.LittleEndian.Uint16(b)
	if o.big {
		v = bits.ReverseBytes16(v)
	}
	return v
}

func (o *order) u32(b []byte) uint32 {
	v := binary.LittleEndian.Uint32(b)
	if o.big {
		v = bits.ReverseBytes32(v)
	}
	return v
}
