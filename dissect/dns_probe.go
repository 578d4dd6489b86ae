package dissect

import "weir/wire"

// ours
const (
	dnsProbeRecords = 16 // questions and records that a probe looks at
	dnsProbeCount   = 64 // questions that a message may announce and still be believed when it is damaged
)

// dnsWalk is how far a question or record is well formed.
type dnsWalk uint8

const (
	dnsWrong dnsWalk = iota
	dnsShort         // it goes on beyond the bytes at hand
	dnsRight
)

// probeDNS says Yes to a whole message, and to a damaged one that begins with nothing but usual values.
func probeDNS(_ wire.Dir, head []byte) Guess {
	if dnsLooks(head) {
		return Yes
	}
	return No
}

// probeDNSTCP says Yes to a message behind its length, Maybe to what may become one.
func probeDNSTCP(_ wire.Dir, head []byte) Guess {
	c := wire.Cut(head)
	n := int(c.U16())
	switch {
	case c.Short():
		return Maybe
	case n < dnsHeaderLen+5:
		return No
	case n <= c.Len():
		if dnsLooks(c.Bytes(n)) {
			return Yes
		}
		return No
	case c.Len() < dnsHeaderLen:
		return Maybe
	}
	h := readDNSHeader(&c)
	if h.records() == 0 || h.least() > n-dnsHeaderLen {
		return No
	}
	w, usual := walkDNS(&c, h.count[0] > 0)
	switch {
	case w == dnsRight && usual && h.usual():
		return Yes
	case w == dnsWrong || n+2 > MaxProbe:
		return No
	}
	return Maybe
}

// dnsLooks reports whether msg looks like a DNS message.
func dnsLooks(msg []byte) bool {
	c := wire.Cut(msg)
	h := readDNSHeader(&c)
	total := h.records()
	if c.Short() || total == 0 {
		return false
	}
	first := true // nothing unusual in the first question or record
	for i := range min(total, dnsProbeRecords) {
		w, usual := walkDNS(&c, i < h.count[0])
		if i == 0 {
			if w != dnsRight {
				return false
			}
			first = usual
		}
		if w != dnsRight {
			return first && h.usual()
		}
	}
	if total <= dnsProbeRecords && c.Len() == 0 {
		return first || total > 1 || len(msg) > dnsHeaderLen+8
	}
	return first && h.usual()
}

// walkDNS passes over a question or record. usual says that its type and class are well known.
func walkDNS(c *wire.Cursor, question bool) (w dnsWalk, usual bool) {
	netbios, w := walkDNSName(c)
	if w != dnsRight {
		return w, false
	}
	typ, class := c.U16(), c.U16()&^dnsTopBit
	if c.Short() {
		return dnsShort, false
	}
	switch class {
	case 1, 3, 4, 254, 255: // IN, CH, HS, NONE, ANY
	default:
		if typ != typeOPT {
			return dnsWrong, false
		}
	}
	if netbios && (typ == 0x20 || typ == 0x21) {
		return dnsWrong, false // NBNS, RFC 1002: shaped like DNS, but another protocol
	}
	if !question {
		c.Skip(4)
		c.Skip(int(c.U16()))
		if c.Short() {
			return dnsShort, false
		}
	}
	return dnsRight, dnsTypeName(typ) != ""
}

// walkDNSName passes over a name. It reports whether its first label is written as NetBIOS writes names. A name that is
// too long, or whose pointers form a loop, is an attack on a reader of DNS: it passes.
func walkDNSName(c *wire.Cursor) (netbios bool, w dnsWalk) {
	for first := true; ; first = false {
		n := c.U8()
		switch {
		case c.Short():
			return false, dnsShort
		case n == 0:
			return netbios, dnsRight
		case n >= 0xc0:
			c.Skip(1)
			if c.Short() {
				return false, dnsShort
			}
			return netbios, dnsRight
		case n > dnsMaxLabel:
			return false, dnsWrong
		}
		label := c.Bytes(int(n))
		netbios = netbios || first && isNetBIOS(label)
	}
}

// isNetBIOS reports whether a label is a NetBIOS name in its first-level encoding, RFC 1001 14.1.
func isNetBIOS(label []byte) bool {
	for _, c := range label {
		if c < 'A' || c > 'P' {
			return false
		}
	}
	return len(label) == 32
}

// dnsPlausible reports whether a datagram of a flow that is DNS is a message, though damaged perhaps.
func dnsPlausible(msg []byte) bool {
	c := wire.Cut(msg)
	h := readDNSHeader(&c)
	if c.Short() {
		return false
	}
	if h.records() == 0 {
		return h.answer() || c.Len() == 0
	}
	_, w := walkDNSName(&c)
	return w != dnsWrong || h.usual() && h.count[0] == 1
}
