package wire

import "encoding/binary"

// Cursor reads from the front of a byte slice. The first read past the end makes it Short for
// good, and every later read returns zero values: a parser checks once, at its end. Slices that
// it returns are borrowed from the input.
type Cursor struct {
	b     []byte
	short bool
}

// Cut returns a Cursor over b.
func Cut(b []byte) Cursor { return Cursor{b: b} }

// Short reports whether any read went past the end.
func (c *Cursor) Short() bool { return c.short }

// Len returns the number of unread bytes; 0 once Short.
func (c *Cursor) Len() int { return len(c.b) }

// Rest returns the unread bytes and leaves them unread.
func (c *Cursor) Rest() []byte { return c.b }

// Bytes returns the next n bytes, nil if there are fewer or n is negative.
func (c *Cursor) Bytes(n int) []byte {
	if n < 0 || n > len(c.b) {
		c.b, c.short = nil, true
		return nil
	}
	v := c.b[:n:n]
	c.b = c.b[n:]
	return v
}

// Skip drops the next n bytes.
func (c *Cursor) Skip(n int) { c.Bytes(n) }

// U8 returns the next byte.
func (c *Cursor) U8() uint8 {
	if v := c.Bytes(1); v != nil {
		return v[0]
	}
	return 0
}

// U16 returns the next 2 bytes, big-endian.
func (c *Cursor) U16() uint16 {
	if v := c.Bytes(2); v != nil {
		return binary.BigEndian.Uint16(v)
	}
	return 0
}

// U24 returns the next 3 bytes, big-endian.
func (c *Cursor) U24() uint32 {
	if v := c.Bytes(3); v != nil {
		return uint32(v[0])<<16 | uint32(v[1])<<8 | uint32(v[2])
	}
	return 0
}

// U32 returns the next 4 bytes, big-endian.
func (c *Cursor) U32() uint32 {
	if v := c.Bytes(4); v != nil {
		return binary.BigEndian.Uint32(v)
	}
	return 0
}

// U64 returns the next 8 bytes, big-endian.
func (c *Cursor) U64() uint64 {
	if v := c.Bytes(8); v != nil {
		return binary.BigEndian.Uint64(v)
	}
	return 0
}

// Vec8 returns a Cursor over a vector with a 1-byte length, as TLS writes them.
func (c *Cursor) Vec8() Cursor { return c.vec(int(c.U8())) }

// Vec16 returns a Cursor over a vector with a 2-byte length.
func (c *Cursor) Vec16() Cursor { return c.vec(int(c.U16())) }

// Vec24 returns a Cursor over a vector with a 3-byte length.
func (c *Cursor) Vec24() Cursor { return c.vec(int(c.U24())) }

func (c *Cursor) vec(n int) Cursor {
	b := c.Bytes(n)
	return Cursor{b: b, short: c.short}
}
