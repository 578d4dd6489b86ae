package tunnel

import "encoding/binary"

// IsIP reports whether b is an IP packet, whole and no more: its length and, of IPv4, its checksum must be right.
func IsIP(b []byte) bool {
	const v4, v6 = 20, 40 // bytes of the headers
	switch {
	case len(b) >= v4 && b[0]>>4 == 4:
		head := int(b[0]&15) * 4
		return head >= v4 && head <= len(b) && int(binary.BigEndian.Uint16(b[2:])) == len(b) && b[8] != 0 && sum(b[:head]) == 0xffff
	case len(b) >= v6 && b[0]>>4 == 6:
		return int(binary.BigEndian.Uint16(b[4:])) == len(b)-v6 && carried(b[6]) && b[7] != 0 && b[8] != 0
	}
	return false
}

// carried reports whether a next header of IPv6 is one that packets have.
func carried(next byte) bool {
	switch next {
	case 0, 6, 17, 43, 44, 58, 60:
		return true
	}
	return false
}

func sum(b []byte) uint16 {
	acc := uint32(0)
	for ; len(b) >= 2; b = b[2:] {
		acc += uint32(binary.BigEndian.Uint16(b))
	}
	for acc > 0xffff {
		acc = acc>>16 + acc&0xffff
	}
	return uint16(acc)
}
