package dlp

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
)

// fingerprint is a keyed hash of what r found: the same number has the same one, with separators or without, in whatever case. print is what
// may be told of it: "" of authentication data, which may not be kept even so (PCI DSS 3.3.1): who has the key finds a code of three
// digits in no time.
func (s *Scanner) fingerprint(key []byte, r *rule, f *found) (fp uint64, print string) {
	if s.mac == nil || !hmac.Equal(s.macKey, key) {
		s.mac = hmac.New(sha256.New, key)
		s.macKey = key
	}
	s.mac.Reset()
	s.mac.Write(s.normalised(r, f.secret))
	sum := s.mac.Sum(s.sums[:0])
	fp = binary.BigEndian.Uint64(sum)
	if r.hides == hidesAll {
		return fp, ""
	}
	return fp, hex.EncodeToString(sum[:8])
}

// normalised returns a value as it is compared.
func (s *Scanner) normalised(r *rule, v []byte) []byte {
	if r.hides != hidesNumber && r.hides != hidesEmail {
		return v
	}
	s.normal = s.normal[:0]
	for _, c := range v {
		switch {
		case r.hides == hidesNumber && separates(c):
			continue
		case isUpper(c):
			c |= 0x20
		}
		s.normal = append(s.normal, c)
	}
	return s.normal
}
