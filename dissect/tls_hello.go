package dissect

import (
	"strconv"

	"weir/wire"
)

// tlsHello is a ClientHello or ServerHello taken apart; its slices are borrowed from the message.
type tlsHello struct {
	version  uint16 // legacy_version
	session  []byte
	ciphers  []byte // of a ClientHello
	cipher   uint16 // of a ServerHello
	exts     []byte // the extensions, headers and all
	names    []byte // server_name list
	groups   []byte // supported_groups
	formats  []byte // ec_point_formats
	schemes  []byte // signature_algorithms
	alpn     []byte // protocol name list
	versions []byte // supported_versions of a ClientHello
	chosen   uint16 // supported_versions of a ServerHello
	hasName  bool   // the extension server_name is there
	retry    bool   // it is a HelloRetryRequest
}

// from the specification: extension types (IANA TLS ExtensionType Values)
const (
	extServerName = 0
	extGroups     = 10
	extFormats    = 11
	extSchemes    = 13
	extALPN       = 16
	extVersions   = 43
)

// maxTLSCiphers is how many suites a ClientHello may have. IANA has assigned fewer, and no honest client offers half of them.
const maxTLSCiphers = 400

// retryRandom is the random of a HelloRetryRequest, RFC 8446 section 4.1.3.
var retryRandom = [32]byte{
	0xcf, 0x21, 0xad, 0x74, 0xe5, 0x9a, 0x61, 0x11, 0xbe, 0x1d, 0x8c, 0x02, 0x1e, 0x65, 0xb8, 0x91,
	0xc2, 0xa2, 0x11, 0x16, 0x7a, 0xbb, 0x8c, 0x5e, 0x07, 0x9e, 0x09, 0xe2, 0xc8, 0xa8, 0x33, 0x9c,
}

// parseClient takes a ClientHello apart; cookie says that it has one, as in DTLS. It reports whether it is well formed; what came before a fault is there all
// the same.
func (h *tlsHello) parseClient(b []byte, cookie bool) bool {
	*h = tlsHello{}
	c := wire.Cut(b)
	h.version = c.U16()
	c.Skip(32)
	session := c.Vec8()
	if cookie {
		c.Vec8()
	}
	ciphers := c.Vec16()
	compression := c.Vec8()
	h.session, h.ciphers = session.Rest(), ciphers.Rest()
	ok := !c.Short() && len(h.session) <= 32 && len(h.ciphers) >= 2 && len(h.ciphers)%2 == 0 && compression.Len() > 0
	if c.Short() || c.Len() == 0 {
		return ok
	}
	return h.extensions(&c, true) && ok
}

// parseServer takes a ServerHello apart, likewise.
func (h *tlsHello) parseServer(b []byte) bool {
	*h = tlsHello{}
	c := wire.Cut(b)
	h.version = c.U16()
	random := c.Bytes(32)
	h.retry = string(random) == string(retryRandom[:])
	old := h.version>>8 == 0x7f || h.version == 0x0304 // drafts of TLS 1.3 before 22 have neither session id nor compression
	if !old {
		session := c.Vec8()
		h.session = session.Rest()
	}
	h.cipher = c.U16()
	if !old {
		c.Skip(1)
	}
	ok := !c.Short() && len(h.session) <= 32
	if c.Short() || c.Len() == 0 {
		return ok
	}
	return h.extensions(&c, false) && ok
}

// extensions reads the block of extensions that c stands before.
func (h *tlsHello) extensions(c *wire.Cursor, client bool) bool {
	list := c.Vec16()
	ok := !c.Short() && c.Len() == 0
	whole := list.Rest()
	for list.Len() > 0 {
		typ, ext := list.U16(), list.Vec16()
		if list.Short() {
			ok = false
			break
		}
		h.exts = whole[:len(whole)-list.Len()]
		if !h.extension(typ, ext, client) {
			ok = false
		}
	}
	return ok
}

// extension reads one extension. Of those given twice the first counts, and the hello is not well formed.
func (h *tlsHello) extension(typ uint16, ext wire.Cursor, client bool) bool {
	var to *[]byte
	switch typ {
	case extServerName:
		h.hasName = true
		if ext.Len() == 0 { // a server says that it used it
			return true
		}
		to = &h.names
	case extGroups:
		to = &h.groups
	case extSchemes:
		to = &h.schemes
	case extALPN:
		to = &h.alpn
	case extFormats, extVersions:
		return h.extension8(typ, ext, client)
	default:
		return true
	}
	list := ext.Vec16()
	if ext.Short() || ext.Len() > 0 || *to != nil {
		return false
	}
	*to = list.Rest()
	return true
}

// extension8 reads an extension whose list has a length of one byte.
func (h *tlsHello) extension8(typ uint16, ext wire.Cursor, client bool) bool {
	to := &h.formats
	if typ == extVersions {
		if !client {
			h.chosen = ext.U16()
			return !ext.Short() && ext.Len() == 0
		}
		to = &h.versions
	}
	list := ext.Vec8()
	if ext.Short() || ext.Len() > 0 || *to != nil {
		return false
	}
	*to = list.Rest()
	return true
}

// negotiated returns the version of a ServerHello.
func (h *tlsHello) negotiated() uint16 {
	if h.chosen != 0 {
		return h.chosen
	}
	if h.version == 0x0304 { // drafts before 16
		return 0x7f0f
	}
	return h.version
}

// highest returns the highest version of a ClientHello.
func (h *tlsHello) highest() (best uint16) {
	for c := wire.Cut(h.versions); c.Len() > 1; {
		if v := c.U16(); !grease(v) && (tlsRank(v) > tlsRank(best)) {
			best = v
		}
	}
	if best == 0 {
		return h.version
	}
	return best
}

// tlsRank orders versions: drafts of TLS 1.3 come before it, after TLS 1.2.
func tlsRank(v uint16) int {
	switch {
	case v == 0x0304:
		return 1 << 20
	case tls13(v):
		return 1<<16 + int(v)
	case v>>8 == 0xfe: // DTLS counts down
		return 1<<10 + int(0xff-v&0xff)
	}
	return int(v)
}

// grease reports whether v is one of the values that RFC 8701 reserves.
func grease(v uint16) bool { return v&0x0f0f == 0x0a0a && v>>8 == v&0xff }

// appendTLSVersion writes a version as EVE does.
func appendTLSVersion(b []byte, v uint16) []byte {
	switch {
	case v == 0x0002:
		return append(b, "SSLv2"...)
	case v == 0x0300:
		return append(b, "SSLv3"...)
	case v == 0x0301:
		return append(b, "TLSv1"...)
	case v >= 0x0302 && v <= 0x0304:
		return append(b, 'T', 'L', 'S', ' ', '1', '.', '0'+byte(v-0x0301))
	case v>>8 == 0x7f && v&0xff < 16:
		return append(b, "TLS 1.3 draft-<16"...)
	case v>>8 == 0x7f:
		return strconv.AppendUint(append(b, "TLS 1.3 draft-"...), uint64(v&0xff), 10)
	case v == dtls10:
		return append(b, "DTLS 1.0"...)
	case v == 0xfefd:
		return append(b, "DTLS 1.2"...)
	case v == dtls13:
		return append(b, "DTLS 1.3"...)
	case v>>8 == 0xfb:
		return append(b, "TLS 1.3 draft-fb"...)
	}
	return appendHex(b, v)
}
