package dissect

import "encoding/binary"

// Protocols that IP carries by itself, without ports. The number in IP's header only says whom to ask: what its bytes do not look like is
// inspected as what nobody understands, whatever the number promises.
var (
	IGMP  = overIP("igmp", "IGMP 1, 2 and 3 (RFC 1112, RFC 2236, RFC 9776)")
	EGP   = overIP("egp", "EGP (RFC 904)")
	RSVP  = overIP("rsvp", "RSVP (RFC 2205)")
	ESP   = overIP("esp", "ESP of IPsec (RFC 4303), over IP; over UDP it is `ike`")
	EIGRP = overIP("eigrp", "EIGRP (RFC 7868)")
	OSPF  = overIP("ospf", "OSPF 2 and 3 (RFC 2328, RFC 5340)")
	PIM   = overIP("pim", "PIM 2 (RFC 7761)")
	VRRP  = overIP("vrrp", "VRRP 2 and 3 (RFC 3768, RFC 9568), and CARP")
	PGM   = overIP("pgm", "PGM (RFC 3208)")
	HIP   = overIP("hip", "HIP 1 and 2 (RFC 7401)")
)

func overIP(name, what string) Protocol {
	return Protocol{Name: name, Probe: probeNone, About: what + ". It is only named: its bytes are inspected raw."}
}

// OverIP returns the protocol whose message b is, which IP carries under the number proto; nil if it is none of those.
func OverIP(proto uint8, b []byte) *Protocol {
	u16 := func(i int) int { return int(binary.BigEndian.Uint16(b[i:])) }
	n := len(b)
	switch {
	case n < 8:
	case proto == 2 && (b[0] >= 0x11 && b[0] <= 0x17 || b[0] == 0x1e || b[0] == 0x1f || b[0] == 0x22 || b[0] >= 0x30 && b[0] <= 0x32) && internetSum(b):
		return &IGMP
	case proto == 8 && b[0] == 2 && (b[1] >= 1 && b[1] <= 5 || b[1] == 8) && internetSum(b):
		return &EGP
	case proto == 46 && b[0]>>4 == 1 && b[1] >= 1 && b[1] <= 20 && u16(6) >= 8 && u16(6) <= n:
		return &RSVP
	case proto == 50 && n >= 16 && n%4 == 0 && binary.BigEndian.Uint32(b) > 255 && binary.BigEndian.Uint32(b[4:]) != 0: // numbers up to 255 are reserved
		return &ESP
	case proto == 88 && n >= 20 && b[0] <= 2 && b[1] >= 1 && b[1] <= 12 && internetSum(b):
		return &EIGRP
	case proto == 89 && n >= 16 && (b[0] == 2 || b[0] == 3) && b[1] >= 1 && b[1] <= 5 && u16(2) >= 16 && u16(2) <= n:
		return &OSPF
	case proto == 103 && b[0]>>4 == 2 && b[0]&15 <= 13:
		return &PIM
	case proto == 112 && (b[0] == 0x21 || b[0] == 0x31) && b[1] != 0:
		return &VRRP
	case proto == 113 && n >= 16 && b[4] <= 0x0d && b[5]&0x3c == 0:
		return &PGM
	case proto == 139 && n >= 40 && b[2] >= 1 && b[2] <= 64 && 8*(int(b[1])+1) <= n && (b[3]>>4 == 1 || b[3]>>4 == 2):
		return &HIP
	}
	return nil
}

// internetSum reports whether the checksum of RFC 1071 in b is right.
func internetSum(b []byte) bool {
	sum := 0
	for ; len(b) > 1; b = b[2:] {
		sum += int(binary.BigEndian.Uint16(b))
	}
	if len(b) == 1 {
		sum += int(b[0]) << 8
	}
	for sum > 0xffff {
		sum = sum>>16 + sum&0xffff
	}
	return sum == 0xffff
}
