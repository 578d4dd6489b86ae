package dissect

import "weir/wire"

// NTP is the Network Time Protocol, versions 1 to 4: RFC 5905, RFC 1305.
var NTP = Protocol{
	Name: "ntp",
	About: "NTP 1 to 4 and SNTP (RFC 5905), control messages (RFC 9327) among them. Each datagram has an event `ntp`; extension fields, " +
		"authenticators and what control messages carry are inspected as they are.",
	Carrier: Datagram, Ports: []uint16{123}, Probe: probeNTP, PerMessage: true, New: eachDatagram(tellNTP), Resume: eachAgain(tellNTP),
	Fields: []FieldSpec{
		ntpVersion:   {Name: "ntp.version", Doc: "version, digits", EVE: "version", Number: true, Derived: true},
		ntpMode:      {Name: "ntp.mode", Doc: "kind of the message, as `client`", EVE: "mode", Derived: true},
		ntpStratum:   {Name: "ntp.stratum", Doc: "distance from a clock, digits", EVE: "stratum", Number: true, Derived: true},
		ntpReference: {Name: "ntp.reference_id", Doc: "what the sender's clock follows: a name (stratum 0 and 1) or an address", EVE: "reference_id"},
		ntpData:      {Name: "ntp.data", Doc: "what follows the header: extension fields, authenticator, the data of control messages"},
	},
}

// Fields of NTP.
const (
	ntpVersion Field = iota
	ntpMode
	ntpStratum
	ntpReference
	ntpData
)

// from the specification
const (
	ntpLen        = 48 // bytes of a header
	ntpControlLen = 12 // bytes of a control message's
	ntpClient     = 3  // modes
	ntpServer     = 4
	ntpControl    = 6
	ntpPrivate    = 7
	ntpStrata     = 16 // the greatest stratum: not in step
	ntpMaxPoll    = 17 // log2 s
)

var ntpModes = []string{"reserved", "symmetric_active", "symmetric_passive", "client", "server", "broadcast", "control", "private"}

// ours
const ntpMaxAway = 1 << 10 // s between the two times that a server notes of a request

func probeNTP(_ wire.Dir, head []byte) Guess { return yes(isNTP(head)) }

// isNTP reports whether b is a message whose values are those of a clock.
func isNTP(b []byte) bool {
	if len(b) < ntpControlLen {
		return false
	}
	version, mode := b[0]>>3&7, b[0]&7
	if version < 1 || version > 4 {
		return false
	}
	switch mode {
	case 0:
		return version == 1 && len(b) == ntpLen && isNTPTime(b)
	case ntpControl:
		n := int(b[10])<<8 | int(b[11])
		rest := len(b) - ntpControlLen - n
		return b[0]>>6 == 0 && version >= 2 && b[1]&31 > 0 && b[8]|b[9] == 0 && rest >= 0 && rest < 4 && (n > 0 || rest == 0)
	case ntpPrivate:
		n, size := int(b[4]&15)<<8|int(b[5]), int(b[6]&15)<<8|int(b[7])
		return version >= 2 && b[6]&0xf0 == 0 && b[2] >= 2 && b[2] <= 3 && b[3] <= 45 && (len(b) == 8+n*size || b[0]&0x80 == 0 && len(b) >= 40 && len(b) <= 240 && len(b) >= 8+n*size)
	}
	if rest := len(b) - ntpLen; rest < 0 || rest > 0 && (rest < 4 || rest%4 != 0) {
		return false
	}
	return isNTPTime(b)
}

// isNTPTime reports whether stratum, poll, precision and distances are a clock's.
func isNTPTime(b []byte) bool {
	c := wire.Cut(b)
	mode, stratum, poll, precision := c.U8()&7, c.U8(), int8(c.U8()), int8(c.U8())
	delay, dispersion := c.U32(), c.U32()
	c.Skip(4 + 8)
	origin := c.U64()
	receivedAt := c.U32()
	c.Skip(4)
	sentAt := c.U32()
	switch {
	case stratum > ntpStrata || poll > ntpMaxPoll || poll < -6 || precision > 0 && mode != ntpClient || precision < -35:
		return false
	case int32(delay) > 64<<16 || int32(delay) < -64<<16 || dispersion > 64<<16:
		return false
	case mode == ntpClient:
		return sentAt != 0 || origin == 0 && receivedAt == 0
	case mode == ntpServer:
		away := int32(sentAt - receivedAt)
		return sentAt != 0 && (receivedAt == 0 || away > -ntpMaxAway && away < ntpMaxAway)
	}
	return sentAt != 0 || receivedAt == 0
}

func tellNTP(t *teller, _ wire.Dir, b []byte) bool {
	if !isNTP(b) {
		return false
	}
	version, mode := b[0]>>3&7, b[0]&7
	t.number(ntpVersion, int64(version))
	t.named(ntpMode, ntpModes, int(mode))
	if mode >= ntpControl {
		t.add(ntpData, b[min(8, len(b)):])
		return true
	}
	t.number(ntpStratum, int64(b[1]))
	switch ref := b[12:16]; {
	case b[1] > 1 && b[1] < ntpStrata:
		t.address(ntpReference, ref)
	case b[1] <= 1:
		n := 0
		for n < 4 && ref[n] != 0 {
			n++
		}
		if n > 0 {
			t.add(ntpReference, ref[:n])
		}
	}
	if len(b) > ntpLen {
		t.add(ntpData, b[ntpLen:])
	}
	return true
}
