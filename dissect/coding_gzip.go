package dissect

import (
	"bytes"

	"weir/wire"
)

// gzipHead reads a gzip member's header from the layer's head: RFC 1952 section 2.3. Reserved flags and a wrong header
// checksum are passed over, as receivers do.
func (h *http) gzipHead(c *codings, i int) (rest []byte) {
	l := &c.layers[i]
	b := wire.Cut(l.head)
	b.Skip(3)
	flags := b.U8()
	b.Skip(6)
	if flags&4 != 0 {
		n := int(b.U8())
		b.Skip(n | int(b.U8())<<8)
	}
	for _, f := range [...]uint8{8, 16} { // name, comment
		if flags&f != 0 && !b.Short() {
			z := bytes.IndexByte(b.Rest(), 0)
			if z < 0 {
				z = b.Len()
			}
			b.Skip(z + 1)
		}
	}
	if flags&2 != 0 {
		b.Skip(2)
	}
	if b.Short() {
		if len(l.head) > maxHeader {
			h.note(c.s, noteUndecodable)
			h.raw(c, i, l.head)
		}
		return nil
	}
	rest = b.Rest()
	h.startInflate(c, i, nil, 0)
	if l.state != layerInflate {
		return l.head
	}
	head := l.head
	l.head = head[:min(len(head), keepSize)]
	return h.inflate(c, i, rest)
}

// nextMember looks at what follows a stream: another gzip member, or bytes that mean nothing and are given as they are.
func (h *http) nextMember(c *codings, i int, b []byte) []byte {
	l := &c.layers[i]
	if l.kind == codingGzip && l.named {
		const magic = "\x1f\x8b\x08"
		for len(b) > 0 && len(l.head) < len(magic) {
			l.head = append(l.head, b[0])
			b = b[1:]
		}
		if len(l.head) < len(magic) {
			if magic[:len(l.head)] == string(l.head) {
				return nil
			}
		} else if string(l.head) == magic {
			l.state = layerGzipHead
			c.hold(l, b)
			l.in = int64(len(l.head))
			rest := h.gzipHead(c, i)
			l.in -= int64(len(rest))
			return rest
		}
	}
	l.state = layerRaw
	h.layerIn(c, c.n, l.head)
	return b
}
