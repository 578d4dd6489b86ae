package dissect

import (
	"bytes"
	"encoding/binary"

	"weir/wire"
)

// OracleTNS is Oracle's Transparent Network Substrate.
var OracleTNS = Protocol{
	Name: "oracle-tns",
	About: "Oracle's Transparent Network Substrate: what is connected to, and what is refused; all else, statements and rows among it, is told as it came. Each packet " +
		"has an event of its own. There is no public specification.",
	Carrier:    Stream,
	Ports:      []uint16{1521, 1522, 1526, 1575},
	Probe:      probeOracleTNS,
	PerMessage: true,
	Fields: []FieldSpec{
		tnsPacket:     {Name: "oracle-tns.packet", Doc: "kind of the packet, as `connect`, `accept`, `refuse`, `data`", EVE: "packet", Derived: true},
		tnsDescriptor: {Name: "oracle-tns.descriptor", Doc: "what is connected to or redirected to, or why it is refused, as `(DESCRIPTION=...)`", EVE: "descriptor"},
		tnsBytes:      {Name: "oracle-tns.data", Doc: "all else, as it came"},
	},
	New:    newEnveloped(&tnsEnvelope),
	Resume: resumeEnveloped(&tnsEnvelope),
}

// Fields of OracleTNS, in the order of OracleTNS.Fields.
const (
	tnsPacket Field = iota
	tnsDescriptor
	tnsBytes
)

var tnsEnvelope = enveloping{head: tnsHeader, size: tnsSize, tell: tnsTell, data: tnsBytes}

var tnsNames = [...]string{
	tnsConnect: "connect", tnsAccept: "accept", 3: "ack", tnsRefuse: "refuse", tnsRedirect: "redirect", tnsData: "data", 7: "null", 9: "abort", tnsResend: "resend",
	tnsMarker: "marker", 13: "attention", 14: "control", 15: "data_descriptor",
}

// tnsSize returns the length of a packet: 16 bits, or 32 where both ends are of a later version.
func tnsSize(d *enveloped, dir wire.Dir, b []byte) int {
	n := int(binary.BigEndian.Uint16(b))
	if n == 0 {
		n = int(binary.BigEndian.Uint32(b))
	}
	if int(b[4]) >= len(tnsNames) || tnsNames[b[4]] == "" || n > 1<<24 {
		return 0
	}
	return n
}

func tnsTell(d *enveloped, t *teller, dir wire.Dir, b []byte) (n int, sealed bool) {
	t.addString(tnsPacket, tnsNames[b[4]])
	switch b[4] {
	case tnsConnect, tnsRefuse, tnsRedirect:
		for i := bytes.IndexByte(b, '('); i >= 0 && i+1 < len(b); {
			if b[i+1] < 'A' || b[i+1] > 'Z' {
				n := bytes.IndexByte(b[i+1:], '(')
				if n < 0 {
					break
				}
				i += 1 + n
				continue
			}
			t.add(tnsBytes, b[tnsHeader:i])
			t.add(tnsDescriptor, b[i:])
			return len(b), false
		}
	}
	return tnsHeader, false
}

// from what clients and servers say: there is no public specification
const (
	tnsHeader   = 8 // bytes
	tnsConnect  = 1
	tnsAccept   = 2
	tnsRefuse   = 4
	tnsRedirect = 5
	tnsData     = 6
	tnsResend   = 11
	tnsMarker   = 12
)

// probeOracleTNS says Yes to a CONNECT, and to a server's first answer.
func probeOracleTNS(dir wire.Dir, head []byte) Guess {
	if len(head) < 12 {
		if len(head) >= 5 && (head[2] != 0 || head[3] != 0 || (head[4] != tnsConnect) == (dir == wire.ToServer)) {
			return No
		}
		if dir == wire.ToClient && len(head) >= tnsHeader && string(head[:tnsHeader]) == "\x00\x08\x00\x00\x0b\x00\x00\x00" {
			return Yes
		}
		return Maybe
	}
	size := binary.BigEndian.Uint16(head)
	if head[2] != 0 || head[3] != 0 || head[6] != 0 || head[7] != 0 || size < tnsHeader {
		return No
	}
	version := binary.BigEndian.Uint16(head[8:])
	switch typ := head[4]; {
	case typ == tnsConnect && dir == wire.ToServer:
		if size >= 34 && version >= 300 && version <= 330 && binary.BigEndian.Uint16(head[10:]) <= version {
			return Yes
		}
	case typ == tnsAccept && dir == wire.ToClient:
		if size >= 24 && version >= 300 && version <= 330 {
			return Yes
		}
	case typ == tnsRefuse && dir == wire.ToClient, typ == tnsRedirect && dir == wire.ToClient:
		at := 10
		if typ == tnsRefuse {
			at = 12
		}
		if len(head) <= at {
			return Maybe
		}
		if head[at] == '(' {
			return Yes
		}
	case typ == tnsResend && dir == wire.ToClient:
		if size == tnsHeader {
			return Yes
		}
	}
	return No
}
