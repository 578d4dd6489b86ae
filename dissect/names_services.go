package dissect

import (
	"bytes"

	"weir/wire"
)

// Services of networks, stores and hosts that are only named.
var (
	AFP         = onlyNamed("afp", "AFP over DSI, Apple file sharing", Stream, stream(18, isDSI, "\x00\x04"), 548)
	Ceph        = onlyNamed("ceph", "Ceph messenger, versions 1 and 2", Stream, begins("ceph v"), 6789, 3300)
	CheckMK     = onlyNamed("checkmk", "Checkmk agent", Stream, begins("<<<check_mk"), 6556)
	Citrix      = onlyNamed("citrix", "ICA, Citrix, and CGP around it", Stream, begins("\x7f\x7fICA\x00", "\x1aCGP/01"), 1494, 2598)
	CoAP        = onlyNamed("coap", "CoAP (RFC 7252)", Datagram, datagram(isCoAP), 5683)
	Collectd    = onlyNamed("collectd", "collectd's network plugin", Datagram, datagram(isCollectd), 25826)
	DLEP        = onlyNamed("dlep", "DLEP (RFC 8175), signals", Datagram, datagram(isDLEP), 854)
	ESTransport = onlyNamed("elasticsearch-transport", "transport protocol of Elasticsearch", Stream, stream(15, isESTransport, "ES\x00"), 9300)
	FLUTE       = onlyNamed("flute", "FLUTE (RFC 6726)", Datagram, datagram(isFLUTE))
	Gearman     = onlyNamed("gearman", "Gearman", Stream, stream(12, isGearman, "\x00REQ", "\x00RES"), 4730)
	GIOP        = onlyNamed("giop", "GIOP, CORBA", Stream, begins("GIOP\x01\x00", "GIOP\x01\x01", "GIOP\x01\x02", "GIOP\x01\x03"))
	HL7         = onlyNamed("hl7", "HL7 version 2 in MLLP", Stream, begins("\x0bMSH|"), 2575)
	ISCSI       = onlyNamed("iscsi", "iSCSI (RFC 7143), by its login", Stream, probeISCSI, 3260)
	Kismet      = onlyNamed("kismet", "server protocol of Kismet", Stream, begins("*KISMET: ", "!0 ENABLE "), 2501)
	LDP         = onlyNamed("ldp", "LDP (RFC 5036)", Stream, stream(14, isLDP, "\x00\x01"), 646)
	LDPUDP      = onlyNamed("ldp", "LDP (RFC 5036), hellos", Datagram, datagram(isLDPHello), 646)
	Lustre      = onlyNamed("lustre", "LNet, Lustre", Stream, begins("\x00\x71\xce\xac\x01\x00\x00\x00", "cirE\x03\x00\x00\x00", "\xc1\x00\x00\x00"+z20), 988)
	Munin       = onlyNamed("munin", "Munin nodes", Stream, begins("# munin node at "), 4949)
	NATPMP      = onlyNamed("nat-pmp", "NAT-PMP (RFC 6886) and PCP (RFC 6887)", Datagram, datagram(isNATPMP), 5350, 5351)
	OpenFlow    = onlyNamed("openflow", "OpenFlow, by its hello", Stream, probeOpenFlow, 6653, 6633)
	PFCP        = onlyNamed("pfcp", "PFCP (3GPP TS 29.244)", Datagram, datagram(isPFCP), 8805)
	Radmin      = onlyNamed("radmin", "Radmin, remote access", Stream, probeRadmin, 4899)
	Raft        = onlyNamed("raft", "Raft, as dqlite's library speaks it", Stream, probeRaft)
	RTPS        = onlyNamed("rtps", "RTPS, DDS (OMG)", Datagram, begins("RTPS\x01", "RTPS\x02", "RTPX\x01", "RTPX\x02"))
	Roughtime   = onlyNamed("roughtime", "Roughtime", Datagram, datagram(isRoughtime), 2002)
	Rx          = onlyNamed("rx", "Rx, AFS", Datagram, datagram(isRx), 7000, 7001, 7003)
	SLP         = onlyNamed("service-location-protocol", "SLP versions 1 and 2 (RFC 2608)", Datagram, datagram(isSLP), 427)
	WSD         = onlyNamed("wsd", "WS-Discovery, SOAP over UDP", Datagram, datagram(isWSD), 3702)
	Z3950       = onlyNamed("z3950", "Z39.50, by how a session begins", Stream, probeZ3950, 210)
	Zabbix      = onlyNamed("zabbix", "Zabbix", Stream, begins("ZBXD\x01", "ZBXD\x03", "ZBXD\x05", "ZBXD\x07"), 10050, 10051)
)

const z20 = "\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00"

// isDSI recognises how a session is opened: with the option of the attention quantum.
func isDSI(b []byte) bool {
	return zeros(b[4:11]) && b[11] >= 6 && zeros(b[12:16]) && b[16] == 1 && b[17] == 4
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
