package dissect

import (
	"bytes"

	"weir/wire"
)

// Services of networks, stores and hosts that are only named.
var (
	AFP         = onlyNamed("afp", "AFP over DSI, Apple file sharing", Stream, stream(18, isDSI, "\x00\x04"), 548)
	BFCP        = onlyNamed("bfcp", "BFCP over UDP (RFC 8855)", Datagram, datagram(isBFCP))
	BJNP        = onlyNamed("bjnp", "BJNP, Canon printers", Datagram, datagram(isBJNP), 8610, 8611, 8612)
	CAPWAP      = onlyNamed("capwap", "CAPWAP (RFC 5415), control messages and DTLS in it", Datagram, datagram(isCAPWAP), 5246, 5247)
	Ceph        = onlyNamed("ceph", "Ceph messenger, versions 1 and 2", Stream, begins("ceph v"), 6789, 3300)
	CheckMK     = onlyNamed("checkmk", "Checkmk agent", Stream, begins("<<<check_mk"), 6556)
	Skinny      = onlyNamed("ciscoskinny", "Skinny (SCCP), Cisco telephones", Stream, probeSkinny, 2000)
	Citrix      = onlyNamed("citrix", "ICA, Citrix, and CGP around it", Stream, begins("\x7f\x7fICA\x00", "\x1aCGP/01"), 1494, 2598)
	CoAP        = onlyNamed("coap", "CoAP (RFC 7252)", Datagram, datagram(isCoAP), 5683)
	Collectd    = onlyNamed("collectd", "collectd's network plugin", Datagram, datagram(isCollectd), 25826)
	DLEP        = onlyNamed("dlep", "DLEP (RFC 8175), signals", Datagram, datagram(isDLEP), 854)
	ESTransport = onlyNamed("elasticsearch-transport", "transport protocol of Elasticsearch", Stream, stream(15, isESTransport, "ES\x00"), 9300)
	FLUTE       = onlyNamed("flute", "FLUTE (RFC 6726)", Datagram, datagram(isFLUTE))
	Gearman     = onlyNamed("gearman", "Gearman", Stream, stream(12, isGearman, "\x00REQ", "\x00RES"), 4730)
	GIOP        = onlyNamed("giop", "GIOP, CORBA", Stream, begins("GIOP\x01\x00", "GIOP\x01\x01", "GIOP\x01\x02", "GIOP\x01\x03"))
	HL7         = onlyNamed("hl7", "HL7 version 2 in MLLP", Stream, begins("\x0bMSH|"), 2575)
	IAX         = onlyNamed("iax", "IAX2 (RFC 5456)", Datagram, datagram(isIAX), 4569)
	ISCSI       = onlyNamed("iscsi", "iSCSI (RFC 7143), by its login", Stream, probeISCSI, 3260)
	Kismet      = onlyNamed("kismet", "server protocol of Kismet", Stream, begins("*KISMET: ", "!0 ENABLE "), 2501)
	LDP         = onlyNamed("ldp", "LDP (RFC 5036)", Stream, stream(14, isLDP, "\x00\x01"), 646)
	LDPUDP      = onlyNamed("ldp", "LDP (RFC 5036), hellos", Datagram, datagram(isLDPHello), 646)
	Lustre      = onlyNamed("lustre", "LNet, Lustre", Stream, begins("\x00\x71\xce\xac\x01\x00\x00\x00", "cirE\x03\x00\x00\x00", "\xc1\x00\x00\x00"+z20), 988)
	Meraki      = onlyNamed("merakicloud", "Cisco Meraki, access points to their cloud", Datagram, begins("\xfe\xf7\x28\x91"), 7351)
	MGCP        = onlyNamed("mgcp", "MGCP (RFC 3435), commands", Datagram, datagram(isMGCP), 2427, 2727)
	MPEGTS      = onlyNamed("mpeg-ts", "MPEG transport streams (ISO 13818-1) over UDP", Datagram, datagram(isMPEGTS))
	Munin       = onlyNamed("munin", "Munin nodes", Stream, begins("# munin node at "), 4949)
	NATPMP      = onlyNamed("nat-pmp", "NAT-PMP (RFC 6886) and PCP (RFC 6887)", Datagram, datagram(isNATPMP), 5350, 5351)
	OpenFlow    = onlyNamed("openflow", "OpenFlow, by its hello", Stream, probeOpenFlow, 6653, 6633)
	PFCP        = onlyNamed("pfcp", "PFCP (3GPP TS 29.244)", Datagram, datagram(isPFCP), 8805)
	Radmin      = onlyNamed("radmin", "Radmin, remote access", Stream, probeRadmin, 4899)
	Raft        = onlyNamed("raft", "Raft, as dqlite's library speaks it", Stream, probeRaft)
	RTMP        = onlyNamed("rtmp", "RTMP, by its handshake", Stream, probeRTMP, 1935)
	RTPS        = onlyNamed("rtps", "RTPS, DDS (OMG)", Datagram, begins("RTPS\x01", "RTPS\x02", "RTPX\x01", "RTPX\x02"))
	Roughtime   = onlyNamed("roughtime", "Roughtime", Datagram, datagram(isRoughtime), 2002)
	Rx          = onlyNamed("rx", "Rx, AFS", Datagram, datagram(isRx), 7000, 7001, 7003)
	SLP         = onlyNamed("service-location-protocol", "SLP versions 1 and 2 (RFC 2608)", Datagram, datagram(isSLP), 427)
	SMPP        = onlyNamed("smpp", "SMPP, by how a session is bound", Stream, stream(20, isSMPP, "\x00\x00"), 2775)
	TPLinkSHP   = onlyNamed("tplink-shp", "TP-Link Smart Home", Datagram, datagram(isTPLink), 9999)
	TPLinkTCP   = onlyNamed("tplink-shp", "TP-Link Smart Home over TCP", Stream, stream(8, isTPLinkStream, "\x00\x00"), 9999)
	Tuya        = onlyNamed("tuyalp", "Tuya, local", Datagram, datagram(isTuya), 6666, 6667)
	TuyaTCP     = onlyNamed("tuyalp", "Tuya, local, over TCP", Stream, begins("\x00\x00\x55\xaa\x00\x00", "\x00\x00\x66\x99\x00\x00"), 6668)
	WSD         = onlyNamed("wsd", "WS-Discovery, SOAP over UDP", Datagram, datagram(isWSD), 3702)
	Z3950       = onlyNamed("z3950", "Z39.50, by how a session begins", Stream, probeZ3950, 210)
	Zabbix      = onlyNamed("zabbix", "Zabbix", Stream, begins("ZBXD\x01", "ZBXD\x03", "ZBXD\x05", "ZBXD\x07"), 10050, 10051)
)

const z20 = "\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00"

// isDSI recognises how a session is opened: with the option of the attention quantum.
func isDSI(b []byte) bool {
	return zeros(b[4:11]) && b[11] >= 6 && zeros(b[12:16]) && b[16] == 1 && b[17] == 4
}

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

// isCAPWAP recognises a control message that is in the clear, by its lengths, and the first record of DTLS.
func isCAPWAP(b []byte) bool {
	if len(b) > 17 && string(b[:4]) == "\x01\x00\x00\x00" {
		return b[4] == 22 && b[5] == 0xfe && b[6] >= 0xfd
	}
	if len(b) < 16 || b[0] != 0 || b[1]>>3 < 2 {
		return false
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

// isCoAP walks over the options: there is at least one that names what is asked for, or what came.
func isCoAP(b []byte) bool {
	if len(b) < 6 || b[0]>>6 != 1 || b[0]&15 > 8 {
		return false
	}
	class, detail := b[1]>>5, b[1]&31
	request := class == 0 && detail >= 1 && detail <= 7
	if !request && (class != 2 && class != 4 && class != 5 || detail > 15) {
		return false
	}
	at, option, told := 4+int(b[0]&15), 0, false
	for at < len(b) && b[at] != 0xff {
		delta, n := int(b[at]>>4), int(b[at]&15)
		at++
		for _, x := range []*int{&delta, &n} {
			switch {
			case *x == 15 || *x == 13 && at+1 > len(b) || *x == 14 && at+2 > len(b):
				return false
			case *x == 13:
				*x += int(b[at])
				at++
			case *x == 14:
				*x = u16be(b[at:]) + 269
				at += 2
			}
		}
		option += delta
		if at+n > len(b) {
			return false
		}
		switch option {
		case 3, 8, 11, 15, 20, 35, 39:
			if !oneLine(b[at : at+n]) {
				return false
			}
			told = told || request && n > 1 && (option == 3 || option == 11)
		case 12, 17:
			if n > 2 {
				return false
			}
			told = told || !request && b[0]&15 >= 2 && at+n < len(b) && b[at+n] == 0xff
		case 1, 4, 5, 6, 7, 9, 14, 23, 27, 28, 60, 252, 258, 292:
			if n > 40 {
				return false
			}
		default:
			return false
		}
		at += n
	}
	return told && at != len(b)-1
}

// isCollectd walks over the parts; the first is the host.
func isCollectd(b []byte) bool {
	if len(b) < 8 || b[0]|b[1] != 0 {
		return false
	}
	if n := u16be(b[2:]); n < 6 || n > len(b) || !oneLine(b[4:n-1]) || b[n-1] != 0 {
		return false
	}
	whole := len(b) < MaxProbe
	parts := 0
	for ; len(b) >= 4; parts++ {
		kind, n := u16be(b), u16be(b[2:])
		if kind > 9 && kind != 0x100 && kind != 0x101 && kind != 0x200 && kind != 0x210 || n < 5 {
			return false
		}
		if n > len(b) {
			return !whole && parts > 3
		}
		b = b[n:]
	}
	return parts > 1 && (!whole || len(b) == 0)
}

func isDLEP(b []byte) bool {
	return len(b) >= 8 && string(b[:4]) == "DLEP" && (u16be(b[4:]) == 1 || u16be(b[4:]) == 2) && fills(8+u16be(b[6:]), b)
}

func isESTransport(b []byte) bool {
	return string(b[:3]) == "ES\x00" && u32be(b[2:]) > 13 && zeros(b[6:10]) && b[14] < 16
}

// isFLUTE recognises the file delivery table.
func isFLUTE(b []byte) bool {
	return len(b) > 16 && b[0]&0xf3 == 0x10 && b[2] >= 3 && b[2] < 16 && bytes.Contains(b, []byte("<?xml")) && bytes.Contains(b, []byte("FDT-Instance"))
}

func isGearman(b []byte) bool {
	kind := u32be(b[4:])
	return (string(b[:4]) == "\x00REQ" || string(b[:4]) == "\x00RES") && kind >= 1 && kind <= 42
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

// probeISCSI recognises a login by its first text.
func probeISCSI(_ wire.Dir, head []byte) Guess {
	if head[0] != 0x43 && head[0] != 0x03 && head[0] != 0x23 {
		return No
	}
	if len(head) > 2 && head[2] != 0 || len(head) > 4 && head[3]|head[4] != 0 {
		return No
	}
	if len(head) < 64 {
		return Maybe
	}
	for _, key := range []string{"InitiatorName=", "InitiatorAlias=", "SessionType=", "TargetName=", "TargetPortal", "TargetAlias=", "AuthMethod=", "HeaderDigest="} {
		if bytes.HasPrefix(head[48:], []byte(key)) {
			return Yes
		}
	}
	return No
}

// isLDP recognises how a session is initialised.
func isLDP(b []byte) bool {
	return u16be(b) == 1 && u16be(b[8:]) == 0 && u16be(b[10:]) == 0x0200 && u16be(b[2:]) >= u16be(b[12:])+10 && u16be(b[12:]) >= 18
}

func isLDPHello(b []byte) bool {
	return len(b) >= 18 && u16be(b) == 1 && u16be(b[2:]) == len(b)-4 && u16be(b[8:]) == 0 && u16be(b[10:]) == 0x0100 && u16be(b[12:]) == len(b)-14
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

// isNATPMP recognises answers of NAT-PMP, and of PCP both.
func isNATPMP(b []byte) bool {
	if len(b) < 12 || b[0] > 2 || b[0] == 1 {
		return false
	}
	if b[0] == 0 {
		op := b[1] & 0x7f
		return b[1]&0x80 != 0 && u16be(b[2:]) <= 5 && (op == 0 && len(b) == 12 || op >= 1 && op <= 2 && len(b) == 16)
	}
	switch {
	case len(b) < 24 || len(b)%4 != 0 || len(b) > 1100 || b[1]&0x7f > 3 || b[2] != 0:
		return false
	case b[1]&0x80 != 0:
		return b[3] <= 13 && zeros(b[12:24])
	}
	return b[3] == 0 && zeros(b[8:18]) && b[18] == 0xff && b[19] == 0xff
}

// probeOpenFlow recognises a hello, with or without the versions that are spoken.
func probeOpenFlow(_ wire.Dir, head []byte) Guess {
	if head[0] == 0 || head[0] > 6 || len(head) > 1 && head[1] != 0 {
		return No
	}
	if len(head) < 4 {
		return Maybe
	}
	switch n := u16be(head[2:]); {
	case n < 8 || n > 64 || n%8 != 0:
		return No
	case n == 8 && len(head) < 16: // what follows it must be a message, too
		return Maybe
	case n == 8:
		return yes(head[8] == head[0] && (head[9] == 0 || head[9] >= 2 && head[9] <= 6) && u16be(head[10:]) >= 8)
	case len(head) < 12:
		return Maybe
	}
	return yes(u16be(head[8:]) == 1 && u16be(head[10:]) >= 8 && u16be(head[10:]) < 56)
}

// isPFCP walks over the elements.
func isPFCP(b []byte) bool {
	if len(b) < 12 || b[0]>>5 != 1 || b[0]&0x18 != 0 || u16be(b[2:]) != len(b)-4 || b[1] == 0 || b[1] > 15 && (b[1] < 50 || b[1] > 57) {
		return false
	}
	at := 8
	if b[0]&1 != 0 {
		at = 16
	}
	n := 0
	for ; at+4 <= len(b); n++ {
		if kind := u16be(b[at:]); kind == 0 || kind > 400 && kind < 0x8000 {
			return false
		}
		at += 4 + u16be(b[at+2:])
	}
	return at == len(b) && n > 0
}

// probeRadmin recognises a message by its checksum, the sum of its words.
func probeRadmin(_ wire.Dir, head []byte) Guess {
	if !beginning(head, "\x01\x00\x00") {
		return No
	}
	if len(head) < 10 {
		return Maybe
	}
	n, sum := u32be(head[1:]), uint32(u32be(head[5:]))
	if n < 1 || n > 512 {
		return No
	}
	if len(head) < 9+n {
		return Maybe
	}
	for i, c := range head[9 : 9+n] {
		sum -= uint32(c) << (8 * (i & 3))
	}
	return yes(sum == 0 && head[9] != 0)
}

// probeRaft recognises a node's first message: its number and address.
func probeRaft(_ wire.Dir, head []byte) Guess {
	if !beginning(head, "\x01"+z20[:7]) {
		return No
	}
	if len(head) < 32 {
		return Maybe
	}
	n := u32le(head[16:])
	if n == 0 || n%8 != 0 || n > 64 || !zeros(head[20:24]) || zeros(head[8:16]) {
		return No
	}
	if len(head) < 24+n {
		return Maybe
	}
	addr := bytes.TrimRight(head[24:24+n], "\x00")
	return yes(len(addr) > 3 && oneLine(addr) && bytes.IndexByte(addr, ':') > 0)
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

// isRoughtime recognises the tags of a message, which must stand in order.
func isRoughtime(b []byte) bool {
	if len(b) > 12 && string(b[:8]) == "ROUGHTIM" {
		return true
	}
	if len(b) < 64 {
		return false
	}
	n := u32le(b)
	tags := 4 + 4*(n-1)
	if n < 2 || n > 16 || tags+4*n > len(b) {
		return false
	}
	for at, last := 4, 0; at < tags; at += 4 {
		off := u32le(b[at:])
		if off%4 != 0 || off < last || off > 1024 {
			return false
		}
		last = off
	}
	for ; n > 0; n, tags = n-1, tags+4 {
		if t := string(b[tags : tags+4]); t == "NONC" || t == "SREP" {
			return true
		}
	}
	return false
}

// isRx recognises a packet by its header, most of which is known for the beginning of a call.
func isRx(b []byte) bool {
	if len(b) < 28 || b[20] == 0 || b[20] > 13 || b[22] != 0 || b[23] > 5 || b[21]&^0x2f != 0 {
		return false
	}
	call, seq, serial := u32be(b[8:]), u32be(b[12:]), u32be(b[16:])
	return b[0] >= 0x40 && b[1] != 0 && b[2] != 0 && b[4] != 0 && b[5]|b[6] != 0 && call < 1<<16 && seq < 1<<12 && serial < 1<<16 && serial > 0 && u16be(b[26:]) > 0 && (b[20] != 1 || seq > 0 && call > 0)
}

// isSLP recognises a message by its length and language.
func isSLP(b []byte) bool {
	letters := func(b []byte) bool {
		return b[0]|0x20 >= 'a' && b[0]|0x20 <= 'z' && b[1]|0x20 >= 'a' && b[1]|0x20 <= 'z'
	}
	switch {
	case len(b) < 16 || b[1] == 0 || b[1] > 11:
		return false
	case b[0] == 1:
		return fills(u16be(b[2:]), b) && b[5] == 0 && letters(b[6:])
	case b[0] == 2:
		n := u16be(b[12:])
		return b[2] == 0 && fills(u16be(b[3:]), b) && u16be(b[5:])&0x1fff == 0 && n >= 2 && n < 16 && letters(b[14:])
	}
	return false
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

func isWSD(b []byte) bool {
	return b[0] == '<' && (bytes.Contains(b, []byte("schemas.xmlsoap.org/ws/2005/04/discovery")) || bytes.Contains(b, []byte("docs.oasis-open.org/ws-dd/ns/discovery")))
}

// probeZ3950 recognises the versions and options that a session begins with.
func probeZ3950(_ wire.Dir, head []byte) Guess {
	if head[0] != 0xb4 && head[0] != 0xb5 {
		return No
	}
	if len(head) < 24 {
		return Maybe
	}
	b, n := berBody(head)
	if n < 20 {
		return No
	}
	if b[0] == 0x82 && int(b[1]) < 10 { // reference
		b = b[2+int(b[1]):]
	}
	return yes(len(b) > 6 && b[0] == 0x83 && (b[1] == 2 || b[1] == 3) && b[2] < 8 && b[2+int(b[1])] == 0x84)
}
