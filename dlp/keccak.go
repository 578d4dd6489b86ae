package dlp

import (
	"encoding/binary"
	"math/bits"
)

// from the specification (the Keccak reference, version 3.0); Ethereum kept the padding that FIPS 202 changed, so
// crypto/sha3 will not do.
const (
	keccakRate   = 136 // bytes absorbed at once, for 256 bits
	keccakRounds = 24
)

// keccak256 hashes up to one block, which is more than an address.
func keccak256(b []byte) (sum [32]byte) {
	var block [keccakRate]byte
	copy(block[:keccakRate-1], b)
	block[min(len(b), keccakRate-1)] = 0x01
	block[keccakRate-1] |= 0x80
	var a [25]uint64
	for i := range keccakRate / 8 {
		a[i] = binary.LittleEndian.Uint64(block[8*i:])
	}
	keccakF(&a)
	for i := range 4 {
		binary.LittleEndian.PutUint64(sum[8*i:], a[i])
	}
	return sum
}

// keccakF is the permutation: theta, rho with pi, chi, iota. The round constants come from their shift register.
func keccakF(a *[25]uint64) {
	lfsr := byte(1)
	for range keccakRounds {
		var c [5]uint64
		for x := range 5 {
			c[x] = a[x] ^ a[x+5] ^ a[x+10] ^ a[x+15] ^ a[x+20]
		}
		for i := range 25 {
			a[i] ^= c[(i+4)%5] ^ bits.RotateLeft64(c[(i+1)%5], 1)
		}
		x, y, last := 1, 0, a[1]
		for t := range 24 {
			x, y = y, (2*x+3*y)%5
			last, a[x+5*y] = a[x+5*y], bits.RotateLeft64(last, (t+1)*(t+2)/2%64)
		}
		for y := 0; y < 25; y += 5 {
			row := [5]uint64(a[y : y+5])
			for x := range 5 {
				a[y+x] = row[x] ^ ^row[(x+1)%5]&row[(x+2)%5]
			}
		}
		for j := range 7 {
			if lfsr&1 == 1 {
				a[0] ^= 1 << (1<<j - 1)
			}
			high := lfsr >> 7
			lfsr = lfsr<<1 ^ high*0x71
		}
	}
}
