package dissect

import (
	"bytes"
	"encoding/binary"
	"unicode/utf16"
	"unicode/utf8"
)

// from the specification: MS-NLMP
const (
	ntlmNegotiate    = 1
	ntlmChallenge    = 2
	ntlmAuthenticate = 3
	ntlmUnicode      = 1       // NTLMSSP_NEGOTIATE_UNICODE
	ntlmHasVersion   = 1 << 25 // NTLMSSP_NEGOTIATE_VERSION
)

var ntlmSignature = []byte("NTLMSSP\x00")

// ntlm is what a message of NTLM says; its slices are parts of it.
type ntlm struct {
	typ                uint32
	unicode            bool
	domain, user, host []byte // of AUTHENTICATE; domain is the target of CHALLENGE
	version            []byte // 8 bytes; nil: none
}

// readNTLM reads a message of NTLM.
func readNTLM(b []byte) (n ntlm, ok bool) {
	if len(b) < 12 || !bytes.HasPrefix(b, ntlmSignature) {
		return n, false
	}
	n.typ = binary.LittleEndian.Uint32(b[8:])
	switch n.typ {
	case ntlmNegotiate:
		if len(b) < 16 {
			return n, false
		}
	case ntlmChallenge:
		if len(b) < 24 {
			return n, false
		}
		n.unicode = binary.LittleEndian.Uint32(b[20:])&ntlmUnicode != 0
		n.domain = ntlmField(b, 12)
	case ntlmAuthenticate:
		if len(b) < 52 {
			return n, false
		}
		n.domain, n.user, n.host = ntlmField(b, 28), ntlmField(b, 36), ntlmField(b, 44)
		n.unicode = len(b) < 64 || binary.LittleEndian.Uint32(b[60:])&ntlmUnicode != 0
		if len(b) >= 72 && binary.LittleEndian.Uint32(b[60:])&ntlmHasVersion != 0 {
			n.version = b[64:72]
		}
	default:
		return n, false
	}
	return n, true
}

// ntlmField returns what length and offset at a place stand for; nil if it is not in b.
func ntlmField(b []byte, at int) []byte {
	n, off := int(binary.LittleEndian.Uint16(b[at:])), binary.LittleEndian.Uint32(b[at+4:])
	if uint64(off)+uint64(n) > uint64(len(b)) {
		return nil
	}
	return b[off:][:n]
}

func (n *ntlm) appendUser(out []byte) []byte { return n.appendName(out, n.user) }

// appendName appends a name in UTF-8.
func (n *ntlm) appendName(out, name []byte) []byte {
	if !n.unicode {
		return append(out, name...)
	}
	return appendUTF16(out, name)
}

// appendUTF16 appends little-endian UTF-16 in UTF-8.
func appendUTF16(out, b []byte) []byte {
	for len(b) >= 2 {
		r := rune(binary.LittleEndian.Uint16(b))
		b = b[2:]
		if utf16.IsSurrogate(r) && len(b) >= 2 {
			if both := utf16.DecodeRune(r, rune(binary.LittleEndian.Uint16(b))); both != utf8.RuneError {
				r, b = both, b[2:]
			}
		}
		out = utf8.AppendRune(out, r)
	}
	return out
}

// appendFull appends domain and user, as DOMAIN\user.
func (n *ntlm) appendFull(out []byte) []byte {
	if len(n.domain) > 0 {
		out = append(n.appendName(out, n.domain), '\\')
	}
	return n.appendName(out, n.user)
}
