package dissect

import (
	"encoding/binary"

	"weir/wire"
)

// OpenVPN is the OpenVPN protocol over UDP: control packets, by their opcodes, acknowledgements and packet numbers.
var OpenVPN = Protocol{
	Name:    "openvpn",
	About:   "OpenVPN over UDP and TCP, with and without tls-auth and tls-crypt. It is only named: its bytes are inspected raw.",
	Carrier: Datagram, Ports: []uint16{1194}, Probe: probeOpenVPN,
}

// OpenVPNTCP is OpenVPN over TCP: a length stands before each packet.
var OpenVPNTCP = Protocol{Name: "openvpn", Carrier: Stream, Ports: []uint16{1194, 443}, Probe: probeOpenVPNTCP}

// from the specification: ssl_pkt.h of OpenVPN
const (
	ovpnControl  = 4 // opcodes, which stand in the upper 5 bits of the first byte
	ovpnClient2  = 7 // P_CONTROL_HARD_RESET_CLIENT_V2
	ovpnServer2  = 8
	ovpnClient3  = 10
	ovpnSession  = 8 // bytes of a session's id
	ovpnMaxAcks  = 8
	ovpnCryptLen = 1 + ovpnSession + 8 + 32 // bytes before what tls-crypt encrypts
)

// ovpnMACs are lengths that the HMAC of tls-auth may have, bytes.
var ovpnMACs = [...]int{20, 32, 16, 48, 64}

func probeOpenVPN(_ wire.Dir, head []byte) Guess { return yes(isOpenVPN(head)) }

// isOpenVPN reports whether b is the packet that begins a session: a hard reset.
func isOpenVPN(b []byte) bool {
	if len(b) < 14 {
		return false
	}
	op := b[0] >> 3
	if b[0]&7 != 0 || op != ovpnClient2 && op != ovpnServer2 && op != ovpnClient3 || binary.BigEndian.Uint64(b[1:]) == 0 {
		return false
	}
	client := op != ovpnServer2
	if op != ovpnClient3 && ovpnReset(b[1+ovpnSession:], client) {
		return true
	}
	if len(b) >= ovpnCryptLen && ovpnStamp(b[1+ovpnSession:]) && (len(b) == ovpnCryptLen+5 || !client && (len(b) == ovpnCryptLen+17 || len(b) == ovpnCryptLen+23) || op == ovpnClient3 && len(b) > ovpnCryptLen+5+64) {
		return true // tls-crypt: what follows is encrypted
	}
	for _, n := range ovpnMACs {
		at := 1 + ovpnSession + n
		if len(b) > at+8 && ovpnStamp(b[at:]) && ovpnReset(b[at+8:], client) {
			return true
		}
	}
	return false
}

// ovpnStamp reports whether b begins with the first number of a packet and a time.
func ovpnStamp(b []byte) bool {
	c := wire.Cut(b)
	n, at := c.U32(), c.U32()
	if n>>24 != 0 {
		n &= 0xffff // early negotiation marks the upper bits
	}
	return !c.Short() && n >= 1 && n <= 4 && at > 1<<29 && at < 1<<32-1<<28
}

// ovpnReset reports whether b is the rest of a hard reset: acknowledgements, the number 0, nothing more.
func ovpnReset(b []byte, client bool) bool {
	c := wire.Cut(b)
	acks := int(c.U8())
	if acks > ovpnMaxAcks || client && acks > 0 {
		return false
	}
	for range acks {
		if c.U32() > 16 {
			return false
		}
	}
	if acks > 0 {
		c.Skip(ovpnSession)
	}
	return c.U32() == 0 && !c.Short() && c.Len() == 0
}

func probeOpenVPNTCP(_ wire.Dir, head []byte) Guess {
	if len(head) == 0 {
		return Maybe
	}
	if head[0] > 4 {
		return No
	}
	if len(head) < 3 {
		return Maybe
	}
	n := int(head[0])<<8 | int(head[1])
	op := head[2] >> 3
	switch {
	case n < 14 || head[2]&7 != 0 || op != ovpnClient2 && op != ovpnServer2 && op != ovpnClient3:
		return No
	case len(head) < 2+n:
		return Maybe
	}
	return yes(isOpenVPN(head[2 : 2+n]))
}
