package dlp

import (
	"hash/maphash"

	"weir/dissect"
)

// plainTexts are texts in which no credential was found lately: the same hosts, paths and statements come over and over. They are known by digests of 128
// bits under keys that are drawn for each Masker: nobody can write a text that is taken for another one. The zero value is ready.
type plainTexts struct {
	asked bool // some Maskers serve one text
	seeds *[2]maphash.Seed
	known []digest // by some of their bits
}

// ours
const (
	plainMany  = 1 << 11
	plainLeast = 12 // bytes of a text from which on it is faster to ask than to look
)

// digest returns that of a text, zero of one that is not to be kept.
func (t *plainTexts) digest(b []byte, p dissect.Privacy) (d digest) {
	if len(b) < plainLeast {
		return d
	}
	if !t.asked {
		t.asked = true
		return d
	}
	if t.seeds == nil {
		t.seeds = &[2]maphash.Seed{maphash.MakeSeed(), maphash.MakeSeed()}
		t.known = make([]digest, plainMany)
	}
	for i, seed := range t.seeds {
		d[i] = maphash.Bytes(seed, b)
	}
	d[0] = (d[0] ^ uint64(p)<<56) | 1 // it is not zero
	return d
}

func (t *plainTexts) has(d digest) bool { return d[0] != 0 && t.known[d[1]%plainMany] == d }

func (t *plainTexts) keep(d digest) {
	if d[0] != 0 {
		t.known[d[1]%plainMany] = d
	}
}
