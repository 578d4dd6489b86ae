package dissect

import (
	"bytes"
	"net/netip"

	"weir/wire"
)

// hexed collects bytes in hex.
func (t *teller) hexed(f Field, b []byte) {
	if t.wants(f) {
		t.add(f, t.write(func(out []byte) []byte {
			const digits = "0123456789abcdef"
			for _, c := range b {
				out = append(out, digits[c>>4], digits[c&15])
			}
			return out
		}))
	}
}

// named collects the name of a code, the code itself if it has none.
func (t *teller) named(f Field, names []string, code int) {
	if code < len(names) && names[code] != "" {
		t.addString(f, names[code])
		return
	}
	t.number(f, int64(code))
}

// address collects an IPv4 address.
func (t *teller) address(f Field, b []byte) {
	if len(b) == 4 && t.wants(f) {
		t.add(f, t.write(func(out []byte) []byte { return netip.AddrFrom4([4]byte(b)).AppendTo(out) }))
	}
}

// seconds collects a time of 4 bytes.
func (t *teller) seconds(f Field, b []byte) {
	c := wire.Cut(b)
	if v := c.U32(); !c.Short() {
		t.number(f, int64(v))
	}
}

// addresses collects IPv4 addresses, a value for each.
func (t *teller) addresses(f Field, b []byte) {
	for ; len(b) >= 4; b = b[4:] {
		t.address(f, b[:4])
	}
}

// colons collects bytes in hex with colons.
func (t *teller) colons(f Field, b []byte) {
	if t.wants(f) {
		t.add(f, t.write(func(out []byte) []byte { return appendColons(out, b, "0123456789abcdef") }))
	}
}

// padded collects what zeros are behind, if anything is there.
func (t *teller) padded(f Field, b []byte) {
	if b = bytes.TrimRight(b, "\x00"); len(b) > 0 {
		t.add(f, b)
	}
}
