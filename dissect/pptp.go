package dissect

import (
	"encoding/binary"

	"weir/wire"
)

// PPTP is the control connection of the Point-to-Point Tunneling Protocol: RFC 2637. Its data comes in GRE.
var PPTP = Protocol{
	Name:    "pptp",
	About:   "Control connections of PPTP (RFC 2637). Each message has an event `pptp`.",
	Carrier: Stream, Ports: []uint16{1723}, Probe: probePPTP, PerMessage: true, New: newEnveloped(&pptpEnvelope), Resume: resumeEnveloped(&pptpEnvelope),
	Fields: []FieldSpec{
		pptpMessage: {Name: "pptp.message", Doc: "kind of the message, as `start_request`, `outgoing_call_reply`", EVE: "message", Derived: true},
		pptpHost:    {Name: "pptp.host", Doc: "host name that an end gives", EVE: "host", Derived: true},
		pptpVendor:  {Name: "pptp.vendor", Doc: "what it says that it is", EVE: "vendor", Derived: true},
		pptpCall:    {Name: "pptp.call", Doc: "number of the call that the message is about", EVE: "call", Number: true, Derived: true},
		pptpData:    {Name: "pptp.data", Doc: "the message behind its type, as it came"},
	},
}

// Fields of PPTP, in the order of PPTP.Fields.
const (
	pptpMessage Field = iota
	pptpHost
	pptpVendor
	pptpCall
	pptpData
)

// from the specification
const (
	pptpHeader = 12         // bytes up to what a message says
	pptpCookie = 0x1a2b3c4d // in each
	pptpStart  = 156        // bytes of the first messages: both names fill 64 each, at the end
)

var pptpNames = []string{1: "start_request", "start_reply", "stop_request", "stop_reply", "echo_request", "echo_reply", "outgoing_call_request", "outgoing_call_reply",
	"incoming_call_request", "incoming_call_reply", "incoming_call_connected", "call_clear_request", "call_disconnect_notify", "wan_error_notify", "set_link_info"}

var pptpEnvelope = enveloping{head: pptpHeader, size: pptpSize, tell: pptpTell, data: pptpData}

func pptpSize(_ *enveloped, _ wire.Dir, b []byte) int {
	if binary.BigEndian.Uint32(b[4:]) != pptpCookie {
		return 0
	}
	return int(binary.BigEndian.Uint16(b))
}

func pptpTell(_ *enveloped, t *teller, _ wire.Dir, b []byte) (n int, sealed bool) {
	typ := int(binary.BigEndian.Uint16(b[8:]))
	t.named(pptpMessage, pptpNames, typ)
	switch body := b[pptpHeader:]; {
	case typ <= 2 && len(b) == pptpStart:
		t.padded(pptpHost, b[28:92])
		t.padded(pptpVendor, b[92:])
	case typ >= 7 && len(body) >= 2:
		t.number(pptpCall, int64(binary.BigEndian.Uint16(body)))
	}
	if len(b) > pptpHeader {
		t.add(pptpData, b[pptpHeader:])
	}
	return len(b), false
}

// probePPTP says Yes to the start of a control connection, by its length, its type and its cookie.
func probePPTP(_ wire.Dir, head []byte) Guess {
	if len(head) > 0 && head[0] != 0 || len(head) > 1 && head[1] != pptpStart {
		return No
	}
	if len(head) < 10 {
		return Maybe
	}
	return yes(head[2] == 0 && head[3] == 1 && binary.BigEndian.Uint32(head[4:]) == pptpCookie && head[8] == 0 && (head[9] == 1 || head[9] == 2))
}
