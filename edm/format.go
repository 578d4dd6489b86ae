package edm

import (
	"crypto/hmac"
	"encoding/binary"
	"fmt"
	"math/bits"
	"slices"
)

// header is the first page of a set. FORMAT.md has its layout.
type header struct {
	columns    []string
	salt       [16]byte
	rows       uint64
	cells      uint64
	values     uint64 // different ones, as far as the filter tells
	blocks     uint64 // of the filter
	bucketBits uint8
	rowBits    uint8
	sums       [3]uint32 // CRC-32C of filter, directory, entries
	words      [kinds]uint8
	lengths    [kinds][MaxValue / 8]byte // bit n-1: there are values of n bytes
}

// Offsets in the header, bytes.
const (
	atSize    = 8
	atColumns = 12
	atSalt    = 16
	atCheck   = 32
	atRows    = 48
	atCells   = 56
	atValues  = 64
	atBlocks  = 72
	atBucket  = 80
	atRow     = 81
	atSums    = 84
	atWords   = 96
	atLengths = 100
	atNames   = atLengths + int(kinds)*MaxValue/8
	atSeal    = headerSize - 32
)

var le = binary.LittleEndian

// encode writes the header, sealed.
func (h *header) encode(k *keys) []byte {
	b := make([]byte, headerSize)
	copy(b, magic)
	le.PutUint32(b[atSize:], headerSize)
	le.PutUint32(b[atColumns:], uint32(len(h.columns)))
	copy(b[atSalt:], h.salt[:])
	copy(b[atCheck:], k.check[:])
	le.PutUint64(b[atRows:], h.rows)
	le.PutUint64(b[atCells:], h.cells)
	le.PutUint64(b[atValues:], h.values)
	le.PutUint64(b[atBlocks:], h.blocks)
	b[atBucket], b[atRow] = h.bucketBits, h.rowBits
	for i, s := range h.sums {
		le.PutUint32(b[atSums+4*i:], s)
	}
	copy(b[atWords:], h.words[:])
	for i := range h.lengths {
		copy(b[atLengths+i*len(h.lengths[i]):], h.lengths[i][:])
	}
	names := b[atNames:atNames]
	for _, c := range h.columns {
		names = append(append(names, byte(len(c))), c...)
	}
	copy(b[atSeal:], k.sealHeader(b[:atSeal]))
	return b
}

// decode reads a header and derives the set's keys.
func (h *header) decode(b []byte, key Key) (*keys, error) {
	if len(b) < len(magic) || string(b[:len(magic)]) != magic {
		return nil, ErrFormat
	}
	if len(b) < headerSize || le.Uint32(b[atSize:]) != headerSize {
		return nil, fmt.Errorf("%w: its header is cut", ErrCorrupt)
	}
	copy(h.salt[:], b[atSalt:])
	k, err := derive(key, h.salt[:])
	if err != nil {
		return nil, err
	}
	if sealed := hmac.Equal(b[atSeal:headerSize], k.sealHeader(b[:atSeal])); !hmac.Equal(b[atCheck:atCheck+len(k.check)], k.check[:]) {
		if sealed {
			return nil, ErrFormat
		}
		return nil, ErrKey
	} else if !sealed {
		return nil, fmt.Errorf("%w: its header is not as it was written", ErrCorrupt)
	}
	h.rows, h.cells = le.Uint64(b[atRows:]), le.Uint64(b[atCells:])
	h.values, h.blocks = le.Uint64(b[atValues:]), le.Uint64(b[atBlocks:])
	h.bucketBits, h.rowBits = b[atBucket], b[atRow]
	for i := range h.sums {
		h.sums[i] = le.Uint32(b[atSums+4*i:])
	}
	copy(h.words[:], b[atWords:])
	for i := range h.lengths {
		copy(h.lengths[i][:], b[atLengths+i*len(h.lengths[i]):])
	}
	names := b[atNames:atSeal]
	for range min(le.Uint32(b[atColumns:]), MaxColumns+1) {
		n := int(names[0])
		if n == 0 || n > maxName || n >= len(names) {
			return nil, ErrFormat
		}
		h.columns = append(h.columns, string(names[1:1+n]))
		names = names[1+n:]
	}
	if !h.sound() {
		return nil, ErrFormat
	}
	return k, nil
}

// sound reports whether the header's numbers fit each other.
func (h *header) sound() bool {
	return len(h.columns) > 0 && len(h.columns) <= MaxColumns && h.rows > 0 && h.rows <= maxRows && h.cells > 0 && h.cells <= maxCells &&
		h.values > 0 && h.values <= h.cells && h.blocks > 0 && h.blocks <= h.values &&
		h.bucketBits >= 1 && h.bucketBits <= 32 && h.rowBits >= 1 && h.rowBits <= 32
}

// fit sets what follows from the numbers of rows, cells and values.
func (h *header) fit() {
	h.rowBits = uint8(max(1, bits.Len64(h.rows-1)))
	h.bucketBits = uint8(max(1, bits.Len64(h.cells/bucketFill)-1))
	h.blocks = max(1, h.values*filterBits/(8*blockSize))
}

// entryBits is the width of an entry: what of a token its bucket does not say, and the row.
func (h *header) entryBits() uint64 { return uint64(tokenBits - h.bucketBits + h.rowBits) }

// sizes returns the bytes of the three parts.
func (h *header) sizes() [3]uint64 {
	const spare = 16 // bytes behind the entries, so that each can be read as two words
	return [3]uint64{h.blocks * blockSize, (1<<h.bucketBits + 1) * 4, (h.cells*h.entryBits()+7)/8 + spare}
}

func (h *header) size() (sum uint64) {
	s := h.sizes()
	return headerSize + s[0] + s[1] + s[2]
}

func (h *header) hasLength(k kind, n int) bool {
	return n >= 1 && n <= MaxValue && h.lengths[k][(n-1)>>3]>>((n-1)&7)&1 != 0
}

func (h *header) addShape(sh shape, n int) {
	h.lengths[sh.kind][(n-1)>>3] |= 1 << ((n - 1) & 7)
	h.words[sh.kind] = max(h.words[sh.kind], uint8(sh.words))
}

// longest returns the bytes of the longest value of a kind.
func (h *header) longest(k kind) int {
	for i, b := range slices.Backward(h.lengths[k][:]) {
		if b != 0 {
			return i*8 + bits.Len8(b)
		}
	}
	return 0
}

// columnIndex returns a column's index, -1 if the set has none of that name.
func (h *header) columnIndex(name string) int { return slices.Index(h.columns, name) }
