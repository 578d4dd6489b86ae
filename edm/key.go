package edm

import (
	"crypto/hkdf"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"hash"
	"io"
	"math/bits"
	"os"
	"path/filepath"
)

// A Key is what a key file holds: its bytes, all of them.
type Key []byte

// ReadKey reads a key file. One that everybody may change is refused: whoever does learns what the set says of values of his own.
func ReadKey(path string) (Key, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	fi, err := f.Stat()
	if err != nil {
		return nil, err
	}
	if fi.Mode().IsRegular() && fi.Mode().Perm()&0o002 != 0 {
		return nil, fmt.Errorf("%s: everybody may change this key (chmod 600 %s)", path, path)
	}
	b, err := io.ReadAll(io.LimitReader(f, maxKey+1))
	switch {
	case err != nil:
		return nil, err
	case len(b) < MinKey:
		return nil, fmt.Errorf("%s: the key has %d bytes, at least %d are needed (head -c 32 /dev/urandom > %s)", path, len(b), MinKey, path)
	case len(b) > maxKey:
		return nil, fmt.Errorf("%s: more than %d bytes: this is no key", path, maxKey)
	}
	return b, nil
}

// Exposed reports whether everybody on this host may read the key file at path.
func Exposed(path string) bool {
	fi, err := os.Stat(path)
	return err == nil && fi.Mode().IsRegular() && fi.Mode().Perm()&0o004 != 0
}

// keys are derived from a Key and a set's salt. They are immutable.
type keys struct {
	token [32]byte // of the HMAC of values
	mac   [32]byte // of the header
	check [16]byte // shows whether a key is the right one
	at    uint64   // where polynomials are evaluated
	sip   [2]uint64
	power [MaxValue + 1]uint64 // of at
}

func derive(key Key, salt []byte) (*keys, error) {
	secret, err := hkdf.Key(sha256.New, key, salt, keyDerived, 104)
	if err != nil {
		return nil, fmt.Errorf("derive keys: %w", err)
	}
	k := &keys{}
	copy(k.token[:], secret)
	copy(k.mac[:], secret[32:])
	copy(k.check[:], secret[64:])
	k.at = binary.LittleEndian.Uint64(secret[80:]) % prime
	k.sip[0] = binary.LittleEndian.Uint64(secret[88:])
	k.sip[1] = binary.LittleEndian.Uint64(secret[96:])
	k.power[0] = 1
	for i := 1; i < len(k.power); i++ {
		k.power[i] = mul(k.power[i-1], k.at)
	}
	return k, nil
}

// prime is 2^61 - 1.
const prime = 1<<61 - 1

// mul multiplies modulo prime; the factors are below 2^62.
func mul(a, b uint64) uint64 {
	hi, lo := bits.Mul64(a, b)
	r := lo&prime + (hi<<3 | lo>>61)
	if r >= prime {
		r -= prime
	}
	return r
}

// hashing is the polynomial of a value so far: its bytes are the coefficients, below a leading 1. Two different values have the same with a
// probability of at most MaxValue / 2^61, over all keys.
type hashing uint64

const emptyHash hashing = 1

// join appends a word of n bytes, of which h is the hash, without the leading 1.
func (k *keys) join(v hashing, word uint64, n int) hashing {
	r := mul(uint64(v), k.power[n]) + word
	if r >= prime {
		r -= prime
	}
	return hashing(r)
}

// word returns the polynomial of b without a leading 1.
func (k *keys) word(b []byte) (r uint64) {
	for _, c := range b {
		r = mul(r, k.at) + uint64(c)
	}
	if r >= prime {
		r -= prime
	}
	return r
}

// print is the keyed fingerprint that the filter goes by: SipHash-2-4 of the polynomial. The file holds nothing of the polynomial itself, which
// would give its key away.
func (k *keys) print(v hashing) uint64 {
	v0, v1 := k.sip[0]^0x736f6d6570736575, k.sip[1]^0x646f72616e646f6d
	v2, v3 := k.sip[0]^0x6c7967656e657261, k.sip[1]^0x7465646279746573
	m := uint64(v)
	v3 ^= m
	v0, v1, v2, v3 = sipRound(v0, v1, v2, v3)
	v0, v1, v2, v3 = sipRound(v0, v1, v2, v3)
	v0 ^= m
	m = 8 << 56
	v3 ^= m
	v0, v1, v2, v3 = sipRound(v0, v1, v2, v3)
	v0, v1, v2, v3 = sipRound(v0, v1, v2, v3)
	v0 ^= m
	v2 ^= 0xff
	for range 4 {
		v0, v1, v2, v3 = sipRound(v0, v1, v2, v3)
	}
	return v0 ^ v1 ^ v2 ^ v3
}

func sipRound(v0, v1, v2, v3 uint64) (uint64, uint64, uint64, uint64) {
	v0 += v1
	v1 = bits.RotateLeft64(v1, 13) ^ v0
	v0 = bits.RotateLeft64(v0, 32)
	v2 += v3
	v3 = bits.RotateLeft64(v3, 16) ^ v2
	v0 += v3
	v3 = bits.RotateLeft64(v3, 21) ^ v0
	v2 += v1
	v1 = bits.RotateLeft64(v1, 17) ^ v2
	v2 = bits.RotateLeft64(v2, 32)
	return v0, v1, v2, v3
}

// tokens makes the tokens of values: HMAC-SHA256 of a column's name and a value in normal form, of which the first 64 bits are taken. One goroutine
// uses it at a time.
type tokens struct {
	mac hash.Hash
	in  []byte
	out [sha256.Size]byte
}

func (k *keys) tokens() *tokens { return &tokens{mac: hmac.New(sha256.New, k.token[:])} }

func (t *tokens) of(column string, value []byte) uint64 {
	t.in = append(append(append(t.in[:0], byte(len(column))), column...), value...)
	t.mac.Reset()
	t.mac.Write(t.in)
	return binary.BigEndian.Uint64(t.mac.Sum(t.out[:0]))
}

// sealHeader returns the MAC of a header.
func (k *keys) sealHeader(b []byte) []byte {
	h := hmac.New(sha256.New, k.mac[:])
	h.Write(b)
	return h.Sum(nil)
}

// DefaultKey returns where the key is that no rule names: where systemd put the credential edm_key, else /etc/weir/edm.key.
func DefaultKey() string {
	if dir := os.Getenv("CREDENTIALS_DIRECTORY"); dir != "" {
		path := filepath.Join(dir, "edm_key")
		if _, err := os.Stat(path); err == nil {
			return path
		}
	}
	return "/etc/weir/edm.key"
}
