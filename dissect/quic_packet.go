package dissect

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/hkdf"
	"crypto/sha256"
	"encoding/binary"
	"strconv"

	"weir/wire"
)

// Versions.
const (
	quicVersion1  = 1
	quicVersion2  = 0x6b3343cf // RFC 9369
	quicDrafts    = 0xff0000   // upper 24 bits of the drafts' versions
	quicMvfst     = 0xfaceb0   // likewise, Facebook's
	quicMinLength = 21         // bytes of a packet that can be decrypted
)

// quicHeader is a long header, RFC 9000 section 17.2; slices are borrowed from the packet.
type quicHeader struct {
	version    uint32
	dcid, scid []byte
	initial    bool
	google     bool // Google's QUIC: no TLS inside
	number     int  // offset of the packet number of an Initial
	size       int  // bytes of the packet
}

// readQUIC reads the header of a packet at the front of b, which begins with a long one. It reports whether it is of a version that is known, or
// negotiates one, and its lengths add up.
func readQUIC(b []byte) (h quicHeader, ok bool) {
	c := wire.Cut(b)
	first := c.U8()
	h.version = c.U32()
	if google := h.version>>24 == 'Q'; google && h.version < quicGoogleNumber(50) {
		return readQ046(b, first, h.version)
	}
	dcid := c.Vec8()
	scid := c.Vec8()
	h.dcid, h.scid, h.size = dcid.Rest(), scid.Rest(), len(b)
	switch {
	case first&quicLong == 0 || c.Short() || len(h.dcid) > quicMaxCID || len(h.scid) > quicMaxCID:
		return h, false
	case h.version == 0:
		return h, quicOffers(c.Rest())
	case !quicKnown(h.version):
		return h, false
	case quicForced(h.version):
		return h, len(b) >= quicInitialMin
	}
	kind := first >> 4 & 3
	if h.version == quicVersion2 {
		kind = (kind + 3) & 3
	}
	if kind == quicRetry {
		return h, c.Len() >= quicTag
	}
	h.google = h.version>>24 == 'Q'
	h.initial = kind == quicInitial
	if h.initial {
		c.Skip(int(min(quicVar(&c), 1<<20))) // a token
	}
	n := int(min(quicVar(&c), 1<<20))
	h.number = len(b) - c.Len()
	h.size = h.number + n
	return h, !c.Short() && n >= quicMinLength-1 && n <= c.Len()
}

// readQ046 reads a long header of Q044 to Q049: lengths of connection ids share a byte, and there is no length.
func readQ046(b []byte, first byte, version uint32) (h quicHeader, ok bool) {
	h = quicHeader{version: version, google: true, size: len(b)}
	c := wire.Cut(b[5:])
	n := c.U8()
	both := func(n byte) int {
		if n == 0 {
			return 0
		}
		return int(n) + 3
	}
	h.dcid, h.scid = c.Bytes(both(n>>4)), c.Bytes(both(n&15))
	h.number = len(b) - c.Len()
	h.initial = true
	return h, !c.Short() && first&(quicLong|quicFixed) == quicLong|quicFixed && quicKnown(version) && n&0x77 == n&0x50|n&0x05 && n != 0 && c.Len() >= 16
}

// quicOffers reports whether b is the list of a version negotiation: at least one of its versions is known.
func quicOffers(b []byte) bool {
	if len(b) == 0 || len(b)%4 != 0 || len(b) > 256 {
		return false
	}
	for ; len(b) > 0; b = b[4:] {
		if v := binary.BigEndian.Uint32(b); v != 0 && quicKnown(v) && !quicForced(v) {
			return true
		}
	}
	return false
}

// quicKnown reports whether v is a version that somebody speaks, or forces negotiation with.
func quicKnown(v uint32) bool {
	switch {
	case v == quicVersion1, v == quicVersion2, quicForced(v):
		return true
	case v>>8 == quicDrafts:
		return v&0xff >= 10 && v&0xff <= 40
	case v>>8 == quicMvfst:
		return true
	case v>>24 == 'Q' || v>>24 == 'T':
		return v>>16&0xff == '0' && isDigit(byte(v>>8)) && isDigit(byte(v))
	}
	return false
}

// quicForced reports whether v is one that no server speaks, RFC 9000 section 15.
func quicForced(v uint32) bool { return v&0x0f0f0f0f == 0x0a0a0a0a }

func quicGoogleNumber(n uint32) uint32 { return 'Q'<<24 | '0'<<16 | ('0'+n/10)<<8 | ('0' + n%10) }

// quicGoogle reports whether b is the first packet of Google's QUIC with a public header: flags, 8 bytes of connection id, version.
func quicGoogle(b []byte) bool {
	if len(b) < 32 || b[0]&0xc9 != 0x09 {
		return false
	}
	v := binary.BigEndian.Uint32(b[9:])
	return v>>24 == 'Q' && v < quicGoogleNumber(44) && quicKnown(v)
}

// probeQUIC says Yes to a packet with a long header of a version that is known.
func probeQUIC(_ wire.Dir, head []byte) Guess {
	if len(head) < 13 {
		return No
	}
	if quicGoogle(head) {
		return Yes
	}
	if head[0]&quicLong == 0 {
		return No
	}
	if _, ok := readQUIC(head); ok {
		return Yes
	}
	return No
}

// quicVar reads a number of variable length, RFC 9000 section 16.
func quicVar(c *wire.Cursor) uint64 {
	first := c.U8()
	v := uint64(first & 0x3f)
	for range 1<<(first>>6) - 1 {
		v = v<<8 | uint64(c.U8())
	}
	return v
}

func appendQUICVersion(b []byte, v uint32) []byte {
	switch {
	case v == quicVersion1 || v == quicVersion2:
		return append(b, '1'+byte(bit(v == quicVersion2)))
	case v>>8 == quicDrafts:
		return strconv.AppendUint(append(b, "draft-"...), uint64(v&0xff), 10)
	case v>>24 == 'Q' || v>>24 == 'T':
		return binary.BigEndian.AppendUint32(b, v)
	}
	return appendHex(appendHex(b, uint16(v>>16)), uint16(v))
}

// quicSalt is what the keys of Initial packets are made with, RFC 9001 section 5.2, by version.
type quicSalt struct {
	salt   []byte
	prefix string // of the labels
}

var (
	saltV1   = quicSalt{[]byte("\x38\x76\x2c\xf7\xf5\x59\x34\xb3\x4d\x17\x9a\xe6\xa4\xc8\x0c\xad\xcc\xbb\x7f\x0a"), "quic "}
	saltV2   = quicSalt{[]byte("\x0d\xed\xe3\xde\xf7\x00\xa6\xdb\x81\x93\x81\xbe\x6e\x26\x9d\xcb\xf9\xbd\x2e\xd9"), "quicv2 "}
	salt29   = quicSalt{[]byte("\xaf\xbf\xec\x28\x99\x93\xd2\x4c\x9e\x97\x86\xf1\x9c\x61\x11\xe0\x43\x90\xa8\x99"), "quic "}
	salt23   = quicSalt{[]byte("\xc3\xee\xf7\x12\xc7\x2e\xbb\x5a\x11\xa7\xd2\x43\x2b\xb4\x63\x65\xbe\xf9\xf5\x02"), "quic "}
	salt21   = quicSalt{[]byte("\x7f\xbc\xdb\x0e\x7c\x66\xbb\xe9\x19\x3a\x96\xcd\x21\x51\x9e\xbd\x7a\x02\x64\x4a"), "quic "}
	saltQ050 = quicSalt{[]byte("\x50\x45\x74\xef\xd0\x66\xfe\x2f\x9d\x94\x5c\xfc\xdb\xd3\xa7\xf0\xd3\xb5\x6b\x45"), "quic "}
	saltT050 = quicSalt{[]byte("\x7f\xf5\x79\xe5\xac\xd0\x72\x91\x55\x80\x30\x4c\x43\xa2\x36\x7c\x60\x48\x83\x10"), "quic "}
	saltT051 = quicSalt{[]byte("\x7a\x4e\xde\xf4\xe7\xcc\xee\x5f\xa4\x50\x6c\x19\x12\x4f\xc8\xcc\xda\x6e\x03\x3d"), "quic "}
)

// saltsOf are the salts that may be meant; of versions whose makers have not told, the likely ones.
var (
	onlyV1      = []*quicSalt{&saltV1}
	onlyV2      = []*quicSalt{&saltV2}
	only29      = []*quicSalt{&salt29}
	only23      = []*quicSalt{&salt23}
	only21      = []*quicSalt{&salt21}
	onlyQ050    = []*quicSalt{&saltQ050}
	onlyT050    = []*quicSalt{&saltT050}
	onlyT051    = []*quicSalt{&saltT051}
	likelySalts = []*quicSalt{&salt23, &salt29, &saltV1, &salt21}
)

func (h *quicHeader) salts() []*quicSalt {
	switch v := h.version; {
	case v == quicVersion1:
		return onlyV1
	case v == quicVersion2:
		return onlyV2
	case v>>8 == quicDrafts && v&0xff >= 33:
		return onlyV1
	case v>>8 == quicDrafts && v&0xff >= 29:
		return only29
	case v>>8 == quicDrafts && v&0xff >= 23:
		return only23
	case v>>8 == quicDrafts && v&0xff >= 21:
		return only21
	case v>>8 == quicMvfst:
		return likelySalts
	case v == quicGoogleNumber(50):
		return onlyQ050
	case v == 'T'<<24|'0'<<16|'5'<<8|'0':
		return onlyT050
	case v == 'T'<<24|'0'<<16|'5'<<8|'1':
		return onlyT051
	}
	return nil
}

// quicKeys open the Initial packets of a connection.
type quicKeys struct{ side [2]quicKey }

type quicKey struct {
	aead cipher.AEAD
	hide cipher.Block // header protection
	iv   []byte
}

// ours
const quicKeysSize = 4 << 10 // bytes that a quicKeys is counted for

// newQUICKeys makes keys of the connection id that a client's first packet goes to, RFC 9001 section 5.
func newQUICKeys(s *quicSalt, h *quicHeader) *quicKeys {
	initial, err := hkdf.Extract(sha256.New, h.dcid, s.salt)
	if err != nil {
		return nil
	}
	k := &quicKeys{}
	for i, label := range [2]string{"client in", "server in"} {
		secret := quicExpand(initial, label, 32)
		q := &k.side[i]
		q.iv = quicExpand(secret, s.prefix+"iv", 12)
		block, err := aes.NewCipher(quicExpand(secret, s.prefix+"key", 16))
		if err != nil {
			return nil
		}
		if q.aead, err = cipher.NewGCM(block); err != nil {
			return nil
		}
		if q.hide, err = aes.NewCipher(quicExpand(secret, s.prefix+"hp", 16)); err != nil {
			return nil
		}
	}
	return k
}

// quicExpand is HKDF-Expand-Label, RFC 8446 section 7.1, with an empty context.
func quicExpand(secret []byte, label string, n int) []byte {
	info := string([]byte{0, byte(n), byte(6 + len(label))}) + "tls13 " + label + "\x00"
	out, err := hkdf.Expand(sha256.New, secret, info, n)
	if err != nil {
		return nil
	}
	return out
}

// open decrypts an Initial packet into x, nil if it is not one of these keys'. What it returns is valid until the next packet.
func (k *quicKeys) open(x *tlsScratch, h *quicHeader, packet []byte, server bool) []byte {
	q := &k.side[bit(server)]
	if len(packet) < h.number+quicSampleAt+quicTag {
		return nil
	}
	var mask [aes.BlockSize]byte
	q.hide.Encrypt(mask[:], packet[h.number+quicSampleAt:][:aes.BlockSize])
	x.plain = append(x.plain[:0], packet...)
	b := x.plain
	b[0] ^= mask[0] & 0x0f
	n := int(b[0]&3) + 1
	nonce := [12]byte(q.iv)
	for i := range n {
		b[h.number+i] ^= mask[1+i]
		nonce[12-n+i] ^= b[h.number+i]
	}
	head := h.number + n
	out, err := q.aead.Open(b[head:head], nonce[:], b[head:], b[:head])
	if err != nil {
		return nil
	}
	return out
}
