package dissect

// berTag reads an identifier and a length of BER (X.690) at the front of b: the tag's byte, where the content begins, how long it is.
// need is true if b is too short to tell. Tags beyond 30, lengths that are not told and lengths beyond 4 bytes are refused.
func berTag(b []byte) (tag uint8, at, n int, need, ok bool) {
	if len(b) < 2 {
		return 0, 0, 0, true, true
	}
	tag, n, at = b[0], int(b[1]), 2
	if tag&0x1f == 0x1f || n == 0x80 {
		return 0, 0, 0, false, false
	}
	if n < 0x80 {
		return tag, at, n, false, true
	}
	k := n & 0x7f
	if k > 4 {
		return 0, 0, 0, false, false
	}
	if len(b) < 2+k {
		return 0, 0, 0, true, true
	}
	n = 0
	for _, c := range b[2 : 2+k] {
		n = n<<8 | int(c)
	}
	return tag, 2 + k, n, false, n <= maxBER
}

const maxBER = 1 << 30 // bytes of a value

// ber walks over values of BER in a slice. The first that does not fit makes it bad for good.
type ber struct {
	b   []byte
	bad bool
}

// next returns the next value; tag is 0 at the end.
func (c *ber) next() (tag uint8, v []byte) {
	if len(c.b) == 0 || c.bad {
		return 0, nil
	}
	tag, at, n, need, ok := berTag(c.b)
	if !ok || need || n > len(c.b)-at {
		c.bad, c.b = true, nil
		return 0, nil
	}
	v, c.b = c.b[at:at+n:at+n], c.b[at+n:]
	return tag, v
}

// want returns the next value if it has that tag, else nil, and leaves it.
func (c *ber) want(tag uint8) []byte {
	if len(c.b) == 0 || c.b[0] != tag {
		return nil
	}
	_, v := c.next()
	if v == nil && !c.bad {
		return []byte{}
	}
	return v
}

// berInt reads an integer.
func berInt(v []byte) (n int64) {
	if len(v) > 8 {
		return 0
	}
	for i, c := range v {
		if i == 0 && c&0x80 != 0 {
			n = -1
		}
		n = n<<8 | int64(c)
	}
	return n
}
