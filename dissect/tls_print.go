package dissect

import (
	"crypto/md5"
	"crypto/sha256"
	"encoding/hex"
	"slices"
	"strconv"

	"weir/wire"
)

// Fingerprints of hellos: JA3 and JA3S (MD5 of the values in their order), and the TLS client fingerprint JA4. GREASE
// (RFC 8701) counts in none of them.

// appendJA3 writes JA3's string: version, ciphers, extensions, groups and point formats, decimal.
func (h *tlsHello) appendJA3(b []byte) []byte {
	b = strconv.AppendUint(b, uint64(h.version), 10)
	b = appendList(append(b, ','), h.ciphers)
	b = h.appendExtensions(append(b, ','))
	b = appendList(append(b, ','), h.groups)
	b = append(b, ',')
	for i, f := range h.formats {
		if i > 0 {
			b = append(b, '-')
		}
		b = strconv.AppendUint(b, uint64(f), 10)
	}
	return b
}

// appendJA3S writes JA3S's string: version, cipher and extensions, decimal.
func (h *tlsHello) appendJA3S(b []byte) []byte {
	b = strconv.AppendUint(b, uint64(h.version), 10)
	b = strconv.AppendUint(append(b, ','), uint64(h.cipher), 10)
	return h.appendExtensions(append(b, ','))
}

// appendList writes numbers of 2 bytes each, with '-' between them.
func appendList(b, list []byte) []byte {
	first := true
	for c := wire.Cut(list); c.Len() > 1; {
		b, first = appendNumber(b, c.U16(), first)
	}
	return b
}

func (h *tlsHello) appendExtensions(b []byte) []byte {
	first := true
	for c := wire.Cut(h.exts); c.Len() > 0; {
		typ, _ := c.U16(), c.Vec16()
		b, first = appendNumber(b, typ, first)
	}
	return b
}

func appendNumber(b []byte, v uint16, first bool) ([]byte, bool) {
	if grease(v) {
		return b, first
	}
	if !first {
		b = append(b, '-')
	}
	return strconv.AppendUint(b, uint64(v), 10), false
}

func appendMD5(b, text []byte) []byte {
	sum := md5.Sum(text)
	return hex.AppendEncode(b, sum[:])
}

// appendJA4 writes the JA4 of the ClientHello in x; letter says what carries it: t is TCP, q QUIC, d DTLS.
func (x *tlsScratch) appendJA4(b []byte, letter byte) []byte {
	h := &x.hello
	b = append(b, letter)
	b = append(b, ja4Version(h.highest())...)
	if h.hasName {
		b = append(b, 'd')
	} else {
		b = append(b, 'i')
	}
	ciphers, exts := 0, 0
	for c := wire.Cut(h.ciphers); c.Len() > 1; {
		if !grease(c.U16()) {
			ciphers++
		}
	}
	for c := wire.Cut(h.exts); c.Len() > 0; {
		if typ, _ := c.U16(), c.Vec16(); !grease(typ) {
			exts++
		}
	}
	b = appendCount(appendCount(b, ciphers), exts)
	b = appendJA4ALPN(b, h.alpn)
	b = x.appendJA4Ciphers(append(b, '_'))
	return x.appendJA4Extensions(append(b, '_'))
}

func ja4Version(v uint16) string {
	switch v {
	case 0x0304:
		return "13"
	case 0x0303:
		return "12"
	case 0x0302:
		return "11"
	case 0x0301:
		return "10"
	case 0x0300:
		return "s3"
	case 0x0002:
		return "s2"
	case 0xfefc:
		return "d3"
	case 0xfefd:
		return "d2"
	case 0xfeff:
		return "d1"
	}
	return "00"
}

// appendCount writes two digits, 99 at most.
func appendCount(b []byte, n int) []byte {
	n = min(n, 99)
	return append(b, '0'+byte(n/10), '0'+byte(n%10))
}

// appendJA4ALPN writes the first and last character of the first protocol offered; of its hex form if they are not both
// letters or digits.
func appendJA4ALPN(b, alpn []byte) []byte {
	c := wire.Cut(alpn)
	v := c.Vec8()
	if v.Len() == 0 {
		return append(b, "00"...)
	}
	name := v.Rest()
	first, last := name[0], name[len(name)-1]
	if httpChars[first]&httpChars[last]&isAlnum != 0 {
		return append(b, first, last)
	}
	const digits = "0123456789abcdef"
	return append(b, digits[first>>4], digits[last&15])
}

// appendJA4Ciphers writes the hash of the sorted ciphers.
func (x *tlsScratch) appendJA4Ciphers(b []byte) []byte {
	x.sorted = x.sorted[:0]
	for c := wire.Cut(x.hello.ciphers); c.Len() > 1; {
		if v := c.U16(); !grease(v) {
			x.sorted = append(x.sorted, v)
		}
	}
	if len(x.sorted) == 0 {
		return append(b, ja4None...)
	}
	slices.Sort(x.sorted)
	x.hexed = x.hexed[:0]
	return appendShort(b, x.hexList(x.sorted))
}

// appendJA4Extensions writes the hash of the sorted extensions but server_name and ALPN, and of the signature
// algorithms as they come.
func (x *tlsScratch) appendJA4Extensions(b []byte) []byte {
	x.sorted = x.sorted[:0]
	for c := wire.Cut(x.hello.exts); c.Len() > 0; {
		typ, _ := c.U16(), c.Vec16()
		if !grease(typ) && typ != extServerName && typ != extALPN {
			x.sorted = append(x.sorted, typ)
		}
	}
	if len(x.sorted) == 0 {
		return append(b, ja4None...)
	}
	slices.Sort(x.sorted)
	n := len(x.sorted)
	for c := wire.Cut(x.hello.schemes); c.Len() > 1; {
		if v := c.U16(); !grease(v) {
			x.sorted = append(x.sorted, v)
		}
	}
	x.hexed = x.hexed[:0]
	text := x.hexList(x.sorted[:n])
	if len(x.sorted) > n {
		x.hexed = append(x.hexed, '_')
		text = x.hexList(x.sorted[n:])
	}
	return appendShort(b, text)
}

// ja4None stands for the hash of an empty list.
const ja4None = "000000000000"

// hexList appends values to x.hexed as 4 hex digits each, with ',' between them, and returns all of it.
func (x *tlsScratch) hexList(list []uint16) []byte {
	for i, v := range list {
		if i > 0 {
			x.hexed = append(x.hexed, ',')
		}
		x.hexed = hex.AppendEncode(x.hexed, []byte{byte(v >> 8), byte(v)})
	}
	return x.hexed
}

// appendShort writes the first 12 hex digits of the SHA-256 of text.
func appendShort(b, text []byte) []byte {
	sum := sha256.Sum256(text)
	return hex.AppendEncode(b, sum[:6])
}
