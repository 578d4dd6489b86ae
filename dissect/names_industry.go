package dissect

import (
	"bytes"

	"weir/wire"
)

// Protocols of plants, meters and instruments that are only named.
var (
	C1222     = onlyNamed("ansi-c1222", "ANSI C12.22, meters (RFC 6142)", Stream|Datagram, probeC1222, 1153)
	ATG       = onlyNamed("atg", "the serial protocol of Veeder-Root tank gauges", Stream, stream(7, isATG, "\x01I", "\x01S", "\x01i", "\x01s"), 10001)
	ADS       = onlyNamed("beckhoffads", "AMS/ADS, Beckhoff TwinCAT", Stream, stream(38, isAMS, "\x00\x00"), 48898)
	ENIP      = onlyNamed("enip", "EtherNet/IP, explicit messages (ODVA CIP volume 2)", Stream, stream(24, isENIPSession, "\x65\x00\x04\x00", "\x04\x00", "\x63\x00", "\x64\x00"), 44818)
	ENIPUDP   = onlyNamed("enip", "EtherNet/IP, explicit messages (ODVA CIP volume 2)", Datagram, datagram(isENIP), 44818)
	CIPIO     = onlyNamed("cip", "CIP, implicit messages over UDP (ODVA CIP volume 2)", Datagram, datagram(isCIPIO), 2222)
	EGD       = onlyNamed("ethernetglobaldata", "Ethernet Global Data, GE", Datagram, datagram(isEGD), 18246)
	EtherSIO  = onlyNamed("ethersio", "Ether-S-I/O, SAIA", Datagram, begins("ESIO\x00"), 6060)
	EtherSBus = onlyNamed("ether-s-bus", "Ether-S-Bus, SAIA", Datagram, datagram(isEtherSBus), 5050)
	HARTIP    = onlyNamed("hart-ip", "HART-IP", Stream|Datagram, probeHARTIP, 5094)
	FINS      = onlyNamed("fins", "FINS, Omron, over UDP and TCP", Datagram, datagram(isFINS), 9600)
	FINSTCP   = onlyNamed("fins", "FINS, Omron, over TCP", Stream, begins("FINS\x00\x00"), 9600)
	KNX       = onlyNamed("knxnet-ip", "KNXnet/IP (ISO 22510)", Datagram, datagram(isKNX), 3671)
	KNXTCP    = onlyNamed("knxnet-ip", "KNXnet/IP version 2 over TCP", Stream, stream(6, isKNXHeader, "\x06\x10", "\x06\x20"), 3671)
	C37118    = onlyNamed("ieee-c37118", "synchrophasors, IEEE C37.118", Stream|Datagram, probeC37118, 4712, 4713)
	MMS       = onlyNamed("iso9506-1-mms", "MMS (ISO 9506) over ISO transport (RFC 1006), as IEC 61850 uses it", Stream, probeMMS, 102)
	OPCUA     = onlyNamed("opcua", "OPC UA binary (OPC 10000-6)", Stream, stream(12, isOPCUA, "HELF", "ACKF", "RHEF", "ERRF", "OPNF", "MSGF", "MSGC", "CLOF"), 4840)
	TRDP      = onlyNamed("trdp", "Train Real Time Data Protocol (IEC 61375-2-3)", Datagram, datagram(isTRDP), 17224, 17225)
	HiSLIP    = onlyNamed("hislip", "HiSLIP, instruments (IVI-6.1)", Stream, stream(12, isHiSLIP, "HS\x00", "HS\x01", "HS\x11", "HS\x12"), 4880)
	COSEM     = onlyNamed("iec62056", "DLMS/COSEM over TCP and UDP (IEC 62056-47)", Stream|Datagram, probeCOSEM, 4059)
	CNPIP     = onlyNamed("cnp-ip", "CN/IP, control networks over IP (EIA-852)", Datagram, datagram(isCNPIP), 1628, 1629)
)

// probeC1222 recognises an ACSE message by its elements, the last of which is the user information as octets.
func probeC1222(_ wire.Dir, head []byte) Guess {
	if head[0] != 0x60 || len(head) > 1 && head[1] > 0x82 {
		return No
	}
	if len(head) < 4 {
		return Maybe
	}
	b, n := berBody(head)
	if n < 8 {
		return No
	}
	named := false
	for len(b) > 4 {
		body, n := berBody(b)
		switch tag := b[0]; {
		case n < 0:
			return No
		case len(body) == 0:
			return Maybe
		case tag == 0xbe: // user information; in it an external value, octet aligned
			return yes(named && n > 2 && body[0] == 0x28)
		case tag < 0xa1 || tag > 0xad || n == 0:
			return No
		case tag <= 0xa8 && body[0] != 0x06 && body[0] != 0x0d && body[0] != 0x04 && body[0] != 0x02 && body[0] != 0x80:
			return No
		case len(body) < n:
			return Maybe
		case tag == 0xa2 || tag == 0xa6:
			named = body[0] == 0x06 || body[0] == 0x0d || body[0] == 0x80
		}
		b = body[n:]
	}
	return Maybe
}

func isATG(b []byte) bool {
	if b[0] != 1 || b[1]|0x20 != 'i' && b[1]|0x20 != 's' {
		return false
	}
	for _, c := range b[2:7] {
		if c < '0' || c > '9' {
			return false
		}
	}
	return true
}

// isAMS recognises the TCP header and the AMS header behind it: the length stands in both.
func isAMS(b []byte) bool {
	n, command, state := u32le(b[2:]), u16le(b[22:]), u16le(b[24:])
	return b[0]|b[1] == 0 && n >= 32 && n == 32+u32le(b[26:]) && command >= 1 && command <= 9 && state&^0x41 == 4
}

// isENIPSession recognises the registration of a session, and its answer, or a list.
func isENIPSession(b []byte) bool {
	if u32le(b[20:]) != 0 || b[1] != 0 {
		return false
	}
	switch b[0] {
	case 0x65:
		return u16le(b[2:]) == 4 && u32le(b[8:]) <= 0x69
	case 0x04, 0x63, 0x64:
		return u32le(b[4:])|u32le(b[8:]) == 0 && u16le(b[2:]) < 512 && (u16le(b[2:]) == 0 || u16le(b[2:]) > 4)
	}
	return false
}

func isENIP(b []byte) bool {
	return len(b) >= 24 && u16le(b[2:]) == len(b)-24 && isENIPSession(b[:24])
}

// isCIPIO recognises the two items of a connected message: the sequenced address, and data up to the end.
func isCIPIO(b []byte) bool {
	return len(b) >= 18 && string(b[:6]) == "\x02\x00\x02\x80\x08\x00" && string(b[14:16]) == "\xb1\x00" && fills(18+u16le(b[16:]), b)
}

func isEGD(b []byte) bool {
	return len(b) > 32 && b[0] == 13 && b[1] == 1 && u32le(b[16:]) < 1e9 && u32le(b[20:]) <= 0xffff && u32le(b[12:]) > 0 && zeros(b[28:32])
}

func isEtherSBus(b []byte) bool {
	return len(b) >= 11 && u32be(b) == len(b) && b[4] <= 1 && b[5] <= 1 && b[8] <= 2 && crcCCITT(0, b[:len(b)-2]) == u16be(b[len(b)-2:])
}

// crcCCITT is the checksum with the polynomial of CCITT, the highest bit first.
func crcCCITT(crc uint16, b []byte) int {
	for _, c := range b {
		crc ^= uint16(c) << 8
		for range 8 {
			high := crc & 0x8000
			if crc <<= 1; high != 0 {
				crc ^= 0x1021
			}
		}
	}
	return int(crc)
}

// probeHARTIP recognises how a session is initiated, and the answer.
func probeHARTIP(_ wire.Dir, head []byte) Guess {
	if head[0] != 1 || len(head) > 1 && head[1] > 1 {
		return No
	}
	if len(head) < 13 {
		return Maybe
	}
	return yes(head[2] == 0 && u16be(head[6:]) == 13 && head[8] <= 1 && (head[3] == 0 || head[1] == 1) && head[9] == 0)
}

// isFINS recognises a command and an answer between nodes of one network.
func isFINS(b []byte) bool {
	if len(b) < 12 || b[0]&^0x41 != 0x80 || b[1] != 0 || b[2] != 2 && b[2] != 7 || b[3] != 0 || b[6] != 0 {
		return false
	}
	switch b[10] {
	case 0x01, 0x02, 0x03:
		return b[11] >= 1 && b[11] <= 9
	case 0x04, 0x05, 0x06, 0x07, 0x0c, 0x21, 0x22, 0x23:
		return b[11] <= 0x20
	}
	return false
}

func isKNX(b []byte) bool { return len(b) >= 8 && isKNXHeader(b) && u16be(b[4:]) == len(b) }

func isKNXHeader(b []byte) bool {
	if b[0] != 6 || b[1] != 0x10 && b[1] != 0x20 || u16be(b[4:]) < 8 {
		return false
	}
	switch b[2] {
	case 2:
		return b[3] >= 1 && b[3] <= 0x0c
	case 3:
		return b[3] == 0x10 || b[3] == 0x11
	case 4:
		return b[3] >= 0x20 && b[3] <= 0x25
	case 5:
		return b[3] >= 0x30 && b[3] <= 0x33
	case 7:
		return b[3] >= 0x40 && b[3] <= 0x43
	case 9:
		return b[3] >= 0x50 && b[3] <= 0x56
	}
	return false
}

// probeC37118 recognises a frame by its checksum.
func probeC37118(_ wire.Dir, head []byte) Guess {
	if head[0] != 0xaa || len(head) > 1 && (head[1]>>4 > 5 || head[1]&15 < 1 || head[1]&15 > 3) {
		return No
	}
	if len(head) < 4 {
		return Maybe
	}
	n := u16be(head[2:])
	switch {
	case n < 16 || n > MaxProbe:
		return No
	case n > len(head):
		return Maybe
	}
	return yes(crcCCITT(0xffff, head[:n-2]) == u16be(head[n-2:]))
}

// probeMMS recognises the connection of a session behind that of the transport, which names MMS.
func probeMMS(_ wire.Dir, head []byte) Guess {
	const tpkt, mms = "\x03\x00", "\x06\x05\x28\xca\x22\x02\x01" // 1.0.9506.2.1
	if !beginning(head, tpkt) {
		return No
	}
	if len(head) < 7 {
		return Maybe
	}
	n := u16be(head[2:])
	if head[5]&0xef != 0xe0 || n < 11 || n > 64 { // a connection is asked for, or confirmed
		return No
	}
	if len(head) < n+9 {
		return Maybe
	}
	head = head[n:]
	n = u16be(head[2:])
	if !beginning(head, tpkt) || head[5] != 0xf0 || head[7] != 13 || n > MaxProbe-64 {
		return No
	}
	if len(head) < n {
		return Maybe
	}
	return yes(n > 7 && bytes.Contains(head[:n], []byte(mms)))
}

// isOPCUA recognises the first message of a connection.
func isOPCUA(b []byte) bool {
	n := u32le(b[4:])
	switch string(b[:4]) {
	case "HELF":
		return n >= 32 && n <= 32+4096
	case "ACKF":
		return n == 28
	case "RHEF", "ERRF":
		return n >= 16 && n <= 16+2*4096
	case "OPNF", "MSGF", "MSGC", "CLOF":
		return n >= 24 && n < 1<<24
	}
	return false
}

func isTRDP(b []byte) bool {
	if len(b) < 40 || b[4] != 1 || b[5] > 2 {
		return false
	}
	header := 40
	switch string(b[6:8]) {
	case "Pd", "Pp", "Pr", "Pe":
	case "Mn", "Mr", "Mp", "Mq", "Mc", "Me":
		header = 116
	default:
		return false
	}
	n := u32be(b[20:])
	return n < 1<<16 && fills(header+(n+3)&^3, b)
}

// isHiSLIP recognises the first message of the synchronous or asynchronous channel, and its answer.
func isHiSLIP(b []byte) bool {
	if string(b[:2]) != "HS" || b[2] > 1 && (b[2] < 17 || b[2] > 18) {
		return false
	}
	return u32be(b[8:]) == 0
}

// probeCOSEM recognises an association that names COSEM, behind the wrapper.
func probeCOSEM(_ wire.Dir, head []byte) Guess {
	if !beginning(head, "\x00\x01") {
		return No
	}
	if len(head) < 10 {
		return Maybe
	}
	n := 8 + u16be(head[6:])
	if n > 1024 || head[8] != 0x60 && head[8] != 0x61 || n != 8+2+int(head[9]) {
		return No
	}
	if len(head) < n {
		return Maybe
	}
	return yes(bytes.Contains(head[:n], []byte("\x60\x85\x74\x05\x08\x01")))
}

func isCNPIP(b []byte) bool {
	if len(b) < 20 || u16be(b) != len(b) || b[2] != 1 || b[4] != 0 || b[5]&^0x1f != 0 {
		return false
	}
	return b[3] == 1 || b[3] >= 0x60 && b[3] <= 0x7f
}
