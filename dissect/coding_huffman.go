package dissect

import "math/bits"

// huffman decodes a canonical code. An entry of first is symbol<<4|length for codes that fit, else 0; longer ones are
// found bit by bit through counts.
type huffman struct {
	first  [1 << litBits]uint16
	mask   uint64
	bits   uint
	count  [maxCodeBits + 1]uint16
	symbol [maxLitLen]uint16
}

// build makes the code with these lengths: RFC 1951 section 3.2.2. Incomplete codes are allowed, as other decoders do
// for one code; oversubscribed ones are not.
func (h *huffman) build(lens []uint8, root uint) bool {
	h.bits, h.mask = root, 1<<root-1
	clear(h.first[:1<<root])
	h.count = [maxCodeBits + 1]uint16{}
	for _, l := range lens {
		h.count[l]++
	}
	h.count[0] = 0
	left := 1
	var offs, next [maxCodeBits + 2]uint16
	code := uint16(0)
	for l := 1; l <= maxCodeBits; l++ {
		left = left<<1 - int(h.count[l])
		if left < 0 {
			return false
		}
		offs[l+1] = offs[l] + h.count[l]
		code = (code + h.count[l-1]) << 1
		next[l] = code
	}
	for sym, l := range lens {
		if l == 0 {
			continue
		}
		h.symbol[offs[l]] = uint16(sym)
		offs[l]++
		c := next[l]
		next[l]++
		if uint(l) <= root {
			e := uint16(sym)<<4 | uint16(l)
			for i := uint(bits.Reverse16(c) >> (16 - l)); i < 1<<root; i += 1 << l {
				h.first[i] = e
			}
		}
	}
	return true
}

// decode finds the symbol at the front of hold, of which n bits are valid. size is 0 if there are not enough bits, and
// more than 15 if no code begins like this.
func (h *huffman) decode(hold uint64, n uint) (sym, size uint) {
	if e := h.first[hold&h.mask]; e != 0 {
		if size = uint(e & 15); size > n {
			return 0, 0
		}
		return uint(e >> 4), size
	}
	code, first, index := 0, 0, 0
	for l := uint(1); l <= maxCodeBits; l++ {
		if l > n {
			return 0, 0
		}
		code |= int(hold & 1)
		hold >>= 1
		count := int(h.count[l])
		if code-count < first {
			return uint(h.symbol[index+code-first]), l
		}
		index += count
		first = (first + count) << 1
		code <<= 1
	}
	return 0, maxCodeBits + 1
}
