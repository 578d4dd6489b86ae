package dissect

import (
	"bytes"

	"weir/wire"
)

// Telephony, media and devices that are only named.
var (
	BFCP      = onlyNamed("bfcp", "BFCP over UDP (RFC 8855)", Datagram, datagram(isBFCP))
	BJNP      = onlyNamed("bjnp", "BJNP, Canon printers", Datagram, datagram(isBJNP), 8610, 8611, 8612)
	CAPWAP    = capwap()
	Skinny    = onlyNamed("ciscoskinny", "Skinny (SCCP), Cisco telephones", Stream, probeSkinny, 2000)
	IAX       = onlyNamed("iax", "IAX2 (RFC 5456)", Datagram, datagram(isIAX), 4569)
	Meraki    = onlyNamed("merakicloud", "Cisco Meraki, access points to their cloud", Datagram, begins("\xfe\xf7\x28\x91"), 7351)
	MGCP      = onlyNamed("mgcp", "MGCP (RFC 3435), commands", Datagram, datagram(isMGCP), 2427, 2727)
	MPEGTS    = onlyNamed("mpeg-ts", "MPEG transport streams (ISO 13818-1) over UDP", Datagram, datagram(isMPEGTS))
	RTMP      = onlyNamed("rtmp", "RTMP, by its handshake", Stream, probeRTMP, 1935)
	SMPP      = onlyNamed("smpp", "SMPP, by how a session is bound", Stream, stream(20, isSMPP, "\x00\x00"), 2775)
	TPLinkSHP = onlyNamed("tplink-shp", "TP-Link Smart Home", Datagram, datagram(isTPLink), 9999)
	TPLinkTCP = onlyNamed("tplink-shp", "TP-Link Smart Home over TCP", Stream, stream(8, isTPLinkStream, "\x00\x00"), 9999)
	Tuya      = onlyNamed("tuyalp", "Tuya, local", Datagram, datagram(isTuya), 6666, 6667)
	TuyaTCP   = onlyNamed("tuyalp", "Tuya, local, over TCP", Stream, begins("\x00\x00\x55\xaa\x00\x00", "\x00\x00\x66\x99\x00\x00"), 6668)
)

// isBFCP walks over the attributes.
func isBFCP(b []byte) bool {
	if len(b) < 12 || b[0]>>5 != 1 && b[0]>>5 != 2 || b[0]&7 != 0 || b[1] == 0 || b[1] > 18 || 12+4*u16be(b[2:]) != len(b) {
		return false
	}
	for b = b[12:]; len(b) > 0; {
		n := 0
		if len(b) > 1 {
			n = (int(b[1]) + 3) &^ 3
		}
		if n < 4 || n > len(b) || b[0]>>1 == 0 || b[0]>>1 > 18 {
			return false
		}
		b = b[n:]
	}
	return true
}

func isBJNP(b []byte) bool {
	if len(b) < 16 {
		return false
	}
	switch string(b[:4]) {
	case "BJNP", "BJNB", "BNJB", "MFNP":
		return fills(16+u32be(b[12:]), b)
	}
	return false
}

// capwap makes CAPWAP: packets in it are taken out before anybody is asked.
func capwap() Protocol {
	p := onlyNamed("capwap", "CAPWAP (RFC 5415), control messages, DTLS and frames in it", Datagram, datagram(isCAPWAP), 5246, 5247)
	p.About += " Packets that its data channel carries in the clear, in frames of Ethernet or IEEE 802.11, are taken out and are flows of their own."
	return p
}

// isCAPWAP recognises a control message that is in the clear, by its lengths, the first record of DTLS, and a frame without a packet.
func isCAPWAP(b []byte) bool {
	if len(b) > 17 && string(b[:4]) == "\x01\x00\x00\x00" {
		return b[4] == 22 && b[5] == 0xfe && b[6] >= 0xfd
	}
	if len(b) < 16 || b[0] != 0 || b[1]>>3 < 2 {
		return false
	}
	if typ, inside, ok := wire.CAPWAP(b); ok && inside != nil && typ == 0 {
		return string(inside[3:6]) == "\x00\x00\x00" // a type of Ethernet
	}
	at := 4 * int(b[1]>>3)
	if len(b) < at+8 {
		return false
	}
	kind, n := u32be(b[at:]), u16be(b[at+5:])
	return kind >= 1 && kind <= 26 && (fills(at+5+n, b) || fills(at+8+n, b))
}

// probeSkinny recognises how a telephone registers: its name is text.
func probeSkinny(dir wire.Dir, head []byte) Guess {
	const name = 12
	if dir == wire.ToClient || len(head) > 1 && head[1] > 3 || len(head) > 2 && head[2] != 0 {
		return No
	}
	if len(head) < name+4 {
		return Maybe
	}
	n := u32le(head)
	return yes(n >= 24 && n < 1024 && u32le(head[4:]) < 0x20 && u32le(head[8:]) == 1 && oneLine(head[name:name+4]))
}

// isIAX recognises the first frame of a call, by its elements.
func isIAX(b []byte) bool {
	if len(b) < 12 || b[0]&0x80 == 0 || b[2]|b[3] != 0 || b[8]|b[9] != 0 || b[10] != 6 || b[11] == 0 || b[11] > 0x28 {
		return false
	}
	for b = b[12:]; len(b) >= 2; b = b[2+int(b[1]):] {
		if b[0] == 0 || b[0] > 0x38 || 2+int(b[1]) > len(b) {
			return false
		}
	}
	return len(b) == 0
}

func isMGCP(b []byte) bool {
	if len(b) < 16 || b[4] != ' ' || b[5] < '0' || b[5] > '9' {
		return false
	}
	switch string(b[:4]) {
	case "AUEP", "AUCX", "CRCX", "DLCX", "EPCF", "MDCX", "NTFY", "RQNT", "RSIP":
		line, _, _ := bytes.Cut(b, []byte("\n"))
		return bytes.Contains(line, []byte(" MGCP "))
	}
	return false
}

// isMPEGTS recognises at least two packets, one behind the other up to the end.
func isMPEGTS(b []byte) bool {
	const size = 188
	if len(b) < 2*size || len(b)%size != 0 {
		return false
	}
	for ; len(b) > 0; b = b[size:] {
		if b[0] != 0x47 || b[1]&0x80 != 0 || b[3]&0x30 == 0 {
			return false
		}
	}
	return true
}

// probeRTMP waits for the whole first message.
func probeRTMP(_ wire.Dir, head []byte) Guess {
	const whole = 1 + 1536
	if head[0] != 3 || len(head) >= 9 && (!zeros(head[5:9]) || zeros(head[1:9])) && !flashVersion(head) {
		return No
	}
	if len(head) < whole {
		return Maybe
	}
	return yes(!zeros(head[whole-256 : whole]))
}

// flashVersion reports whether the client or server tells its version where zeros stood before.
func flashVersion(head []byte) bool {
	return head[5] >= 1 && head[5] <= 128 && head[6] < 64 && zeros(head[1:5])
}

// isSMPP recognises how a session is bound: a name follows the header.
func isSMPP(b []byte) bool {
	n, command := u32be(b), u32be(b[4:])
	switch command &^ 0x8000_0000 {
	case 1, 2, 9, 11:
	default:
		return false
	}
	answer, seq := command>>31 != 0, u32be(b[12:])
	if n < 17 || n < 23 && !answer || n > 512 || seq == 0 || seq >= 1<<16 || u32be(b[8:]) > 0xff {
		return false
	}
	return (answer || u32be(b[8:]) == 0) && (oneLine(b[16:18]) || answer && b[16] == 0)
}

// tpLink undoes the coding, in which each byte is the key of the next.
func tpLink(b []byte, is func(i int, c byte) bool) bool {
	key := byte(171)
	for i, c := range b {
		if !is(i, c^key) {
			return false
		}
		key = c
	}
	return true
}

func isTPLink(b []byte) bool {
	return len(b) > 8 && tpLink(b, func(i int, c byte) bool {
		return (i != 0 || c == '{') && (i != 1 || c == '"' || c == '}') && c >= ' ' && c <= '~'
	})
}

// isTPLinkStream recognises the length and how an object begins.
func isTPLinkStream(b []byte) bool {
	return b[0]|b[1] == 0 && u16be(b[2:]) > 8 && tpLink(b[4:8], func(i int, c byte) bool {
		return i == 0 && c == '{' || i == 1 && c == '"' || i > 1 && (c|0x20 >= 'a' && c|0x20 <= 'z' || c == '_')
	})
}

// isTuya recognises a message by what it begins and ends with, and its length.
func isTuya(b []byte) bool {
	if len(b) < 24 {
		return false
	}
	switch u32be(b) {
	case 0x000055aa:
		return 16+u32be(b[12:]) == len(b) && u32be(b[len(b)-4:]) == 0x0000aa55
	case 0x00006699:
		return u32be(b[len(b)-4:]) == 0x00009966
	}
	return false
}
