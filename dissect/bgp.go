package dissect

import (
	"net/netip"
	"strconv"

	"weir/wire"
)

// BGP is the Border Gateway Protocol: RFC 4271.
var BGP = Protocol{
	Name:    "bgp",
	About:   "BGP 4 (RFC 4271, RFC 6793, RFC 8654). Each message has an event `bgp`; routes of IPv4 are told, attributes are inspected as they came.",
	Carrier: Stream, Ports: []uint16{179}, Probe: probeBGP, PerMessage: true, New: newEnveloped(&bgpEnvelope), Resume: resumeEnveloped(&bgpEnvelope),
	Fields: []FieldSpec{
		bgpMessage:   {Name: "bgp.message", Doc: "kind of the message, as `open`, `update`, `notification`", EVE: "message", Derived: true},
		bgpAS:        {Name: "bgp.as", Doc: "number of the sender's autonomous system", EVE: "as", Number: true, Derived: true},
		bgpHold:      {Name: "bgp.hold_time", Doc: "seconds after which silence ends the session", EVE: "hold_time", Number: true, Derived: true},
		bgpRouter:    {Name: "bgp.router_id", Doc: "identifier of the sender, as an IPv4 address", EVE: "router_id", Derived: true},
		bgpError:     {Name: "bgp.error", Doc: "why a session ends: code and subcode, as `6/2`", EVE: "error", Derived: true},
		bgpAnnounced: {Name: "bgp.announced", Doc: "an IPv4 prefix that is announced; a value for each", EVE: "announced[]", Derived: true},
		bgpWithdrawn: {Name: "bgp.withdrawn", Doc: "an IPv4 prefix that is withdrawn; a value for each", EVE: "withdrawn[]", Derived: true},
		bgpData:      {Name: "bgp.data", Doc: "the message behind its header, as it came"},
	},
}

// Fields of BGP, in the order of BGP.Fields.
const (
	bgpMessage Field = iota
	bgpAS
	bgpHold
	bgpRouter
	bgpError
	bgpAnnounced
	bgpWithdrawn
	bgpData
)

// from the specification
const (
	bgpHeader       = 19 // bytes: a marker of 16, a length, a type
	bgpOpen         = 1
	bgpUpdate       = 2
	bgpNotification = 3
	bgpCapabilities = 2  // parameter of an OPEN, RFC 5492
	bgpAS4          = 65 // capability: the number of the AS in four bytes, RFC 6793
)

// ours
const bgpMaxRoutes = 256 // prefixes of a message that are told one by one

var bgpNames = []string{bgpOpen: "open", bgpUpdate: "update", bgpNotification: "notification", 4: "keepalive", 5: "route_refresh"}

var bgpEnvelope = enveloping{head: bgpHeader, size: bgpSize, tell: bgpTell, data: bgpData}

func bgpSize(_ *enveloped, _ wire.Dir, b []byte) int {
	if !isBGP(b) {
		return 0
	}
	return int(b[16])<<8 | int(b[17])
}

func bgpTell(d *enveloped, t *teller, _ wire.Dir, b []byte) (n int, sealed bool) {
	t.named(bgpMessage, bgpNames, int(b[18]))
	body := b[bgpHeader:]
	switch b[18] {
	case bgpOpen:
		bgpTellOpen(t, body)
	case bgpUpdate:
		c := wire.Cut(body)
		withdrawn := c.Vec16()
		c.Vec16() // attributes
		bgpRoutes(t, bgpWithdrawn, withdrawn.Rest())
		if !c.Short() {
			bgpRoutes(t, bgpAnnounced, c.Rest())
		}
	case bgpNotification:
		if len(body) >= 2 && t.wants(bgpError) {
			t.add(bgpError, t.write(func(out []byte) []byte {
				out = append(strconv.AppendUint(out, uint64(body[0]), 10), '/')
				return strconv.AppendUint(out, uint64(body[1]), 10)
			}))
		}
	}
	if len(body) > 0 {
		t.add(bgpData, body)
	}
	return len(b), false
}

// bgpTellOpen tells what a session is opened with: RFC 4271 section 4.2.
func bgpTellOpen(t *teller, body []byte) {
	c := wire.Cut(body)
	c.Skip(1)
	as, hold, id := uint32(c.U16()), c.U16(), c.Bytes(4)
	for params := c.Vec8(); params.Len() > 0; {
		typ := params.U8()
		for p := params.Vec8(); typ == bgpCapabilities && p.Len() > 0; {
			code := p.U8()
			if v := p.Vec8(); code == bgpAS4 && v.Len() == 4 {
				as = v.U32()
			}
		}
	}
	t.number(bgpAS, int64(as))
	t.number(bgpHold, int64(hold))
	t.address(bgpRouter, id)
}

// bgpRoutes tells prefixes: a length in bits, and as many bytes as those take.
func bgpRoutes(t *teller, f Field, b []byte) {
	if !t.wants(f) {
		return
	}
	for c, told := wire.Cut(b), 0; c.Len() > 0 && told < bgpMaxRoutes; told++ {
		bits := int(c.U8())
		prefix := c.Bytes((bits + 7) / 8)
		if bits > 32 || c.Short() {
			return
		}
		var addr [4]byte
		copy(addr[:], prefix)
		t.add(f, t.write(func(out []byte) []byte { return netip.PrefixFrom(netip.AddrFrom4(addr), bits).AppendTo(out) }))
	}
}

// isBGP reports whether a header's marker, length and type fit.
func isBGP(head []byte) bool {
	for _, c := range head[:16] {
		if c != 0xff {
			return false
		}
	}
	n, typ := int(head[16])<<8|int(head[17]), head[18]
	return typ == 4 && n == bgpHeader || typ == bgpOpen && n >= 29 || typ == bgpUpdate && n >= 23 || typ == bgpNotification && n >= 21 || typ == 5 && n >= 23
}

// probeBGP says Yes to a message behind its marker of 16 bytes.
func probeBGP(_ wire.Dir, head []byte) Guess {
	for _, c := range head[:min(len(head), 16)] {
		if c != 0xff {
			return No
		}
	}
	if len(head) < bgpHeader {
		return Maybe
	}
	return yes(isBGP(head) && (head[16] <= 16 || head[18] == bgpUpdate))
}
