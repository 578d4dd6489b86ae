package dlp

import (
	"bytes"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"hash/crc32"
	"math/big"
)

const base58 = "123456789ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz"

// bitcoin is Base58Check, for addresses and private keys in import format, or bech32 for the newer addresses.
func (c *candidate) bitcoin() bool {
	if len(c.raw) > 3 && (equalFold(c.raw[:3], "bc1") || equalFold(c.raw[:3], "tb1")) {
		return c.bech32()
	}
	if len(c.raw) < 26 || len(c.raw) > 60 {
		return false
	}
	n, radix := new(big.Int), big.NewInt(58)
	for _, b := range c.raw {
		v := indexOf(base58, b)
		if v < 0 {
			return false
		}
		n.Add(n.Mul(n, radix), big.NewInt(int64(v)))
	}
	raw := n.Bytes()
	for i := 0; i < len(c.raw) && c.raw[i] == '1'; i++ {
		raw = append([]byte{0}, raw...)
	}
	if len(raw) < 21 {
		return false
	}
	body := raw[:len(raw)-4]
	h := sha256.Sum256(body)
	h = sha256.Sum256(h[:])
	return bytes.Equal(h[:4], raw[len(raw)-4:])
}

// bech32 is BIP 173 and BIP 350.
func (c *candidate) bech32() bool {
	const digits = "qpzry9x8gf2tvdw0s3jn54khce6mua7l"
	b := bytes.ToLower(c.raw)
	sep := bytes.LastIndexByte(b, '1')
	if sep < 1 || len(b)-sep < 7 || len(b) > 90 {
		return false
	}
	sum := uint32(1)
	mix := func(v byte) {
		top := sum >> 25
		sum = (sum&0x1ffffff)<<5 ^ uint32(v)
		for i, g := range [5]uint32{0x3b6a57b2, 0x26508e6d, 0x1ea119fa, 0x3d4233dd, 0x2a1462b3} {
			if top>>i&1 == 1 {
				sum ^= g
			}
		}
	}
	for _, x := range b[:sep] {
		mix(x >> 5)
	}
	mix(0)
	for _, x := range b[:sep] {
		mix(x & 31)
	}
	for _, x := range b[sep+1:] {
		v := indexOf(digits, x)
		if v < 0 {
			return false
		}
		mix(byte(v))
	}
	return sum == 1 || sum == 0x2bc830a3
}

// jwt holds if the first part is a JSON object that names an algorithm (RFC 7515).
func (c *candidate) jwt() bool {
	if n := bytes.Count(c.raw, []byte{'.'}); n != 2 && n != 4 { // JWS has three parts, JWE five
		return false
	}
	head, _, _ := bytes.Cut(c.raw, []byte{'.'})
	b, err := base64.RawURLEncoding.DecodeString(string(head))
	if err != nil {
		return false
	}
	var h struct {
		Alg string `json:"alg"`
		Enc string `json:"enc"`
	}
	return json.Unmarshal(b, &h) == nil && (h.Alg != "" || h.Enc != "")
}

// github is the checksum of GitHub's tokens: CRC-32 of the middle in Base62, in the last six places.
func (c *candidate) github() bool {
	_, body, ok := bytes.Cut(c.raw, []byte{'_'})
	if !ok || len(body) != 36 {
		return false
	}
	const base62 = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
	n := crc32.ChecksumIEEE(body[:30])
	for i := 35; i >= 30; i-- {
		if body[i] != base62[n%62] {
			return false
		}
		n /= 62
	}
	return true
}

// basicAuth holds if the value decodes to "user:password" with a password (RFC 7617).
func (c *candidate) basicAuth() bool {
	enc := base64.StdEncoding
	if len(c.raw)%4 != 0 {
		enc = base64.RawStdEncoding
	}
	b, err := enc.DecodeString(string(c.raw))
	if err != nil {
		return false
	}
	_, pass, ok := bytes.Cut(b, []byte{':'})
	return ok && len(pass) > 0
}

// placeholders in a value say that somebody wrote it for a reader.
var placeholders = []string{"example", "changeme", "change_me", "placeholder", "your_", "your-", "xxxx", "<", "${", "{{", "****", "dummy", "redacted", "12345678", "abcdefgh", "password123", "todo"}

// notPlaceholder drops what is written for readers.
func (c *candidate) notPlaceholder() bool {
	low := bytes.ToLower(c.raw)
	for _, p := range placeholders {
		if bytes.Contains(low, []byte(p)) {
			return false
		}
	}
	return len(c.raw) > 0 && !oneDigit(c.raw)
}

// ethereumForm holds if an address is written in one case, which has no checksum, and may be a hash's twenty bytes: all but one in a thousand of
// these have a letter in each half, and no number that counts up or repeats itself has ten different digits.
func (c *candidate) ethereumForm() bool {
	b := bytes.TrimPrefix(c.raw, []byte("0x"))
	return len(b) == 40 && hexRun(b) && !allDigits(b[:20]) && !allDigits(b[20:]) && entropy(b) > 3.2
}

// ethereum is EIP-55: letters in both cases, as the hash of all says.
func (c *candidate) ethereum() bool {
	b := bytes.TrimPrefix(c.raw, []byte("0x"))
	low := bytes.ToLower(b)
	if len(b) != 40 || !hexRun(b) || bytes.Equal(low, b) || bytes.Equal(bytes.ToUpper(b), b) {
		return false
	}
	sum := keccak256(low)
	for i, x := range b {
		if isLetter(x) && (sum[i/2]>>(4*(1-i%2))&15 >= 8) != isUpper(x) {
			return false
		}
	}
	return true
}
