package dissect

import (
	"encoding/binary"

	"weir/wire"
)

// IKE is the Internet Key Exchange, version 1 (RFC 2408, RFC 2409) and 2 (RFC 7296), and ESP in UDP between the same ends (RFC 3948).
var IKE = Protocol{
	Name: "ike",
	About: "IKE 1 and 2 (RFC 2409, RFC 7296): each message has an event `ike`. What is encrypted, and ESP in UDP between the same ends (RFC 3948), " +
		"is counted as not looked into.",
	Carrier: Datagram, Ports: []uint16{500, 4500}, Probe: probeIKE, PerMessage: true, New: newIKE, Resume: resumeIKE,
	Fields: []FieldSpec{
		ikeVersion:  {Name: "ike.version", Doc: "major version, digits", EVE: "version_major", Number: true, Derived: true},
		ikeInitSPI:  {Name: "ike.init_spi", Doc: "the initiator's cookie or SPI, hex", EVE: "init_spi", Derived: true},
		ikeRespSPI:  {Name: "ike.resp_spi", Doc: "the responder's, hex", EVE: "resp_spi", Derived: true},
		ikeExchange: {Name: "ike.exchange_type", Doc: "kind of the exchange, digits", EVE: "exchange_type", Number: true, Derived: true},
		ikePayload:  {Name: "ike.payload_type", Doc: "kind of a payload, as `vendor_id`; a value for each", EVE: "payload[]", Derived: true},
		ikeNotify:   {Name: "ike.notify", Doc: "type of a notification, digits; a value for each", EVE: "notify[]", Derived: true},
		ikeData:     {Name: "ike.data", Doc: "content of a payload in the clear; a value for each"},
	},
}

// Fields of IKE.
const (
	ikeVersion Field = iota
	ikeInitSPI
	ikeRespSPI
	ikeExchange
	ikePayload
	ikeNotify
	ikeData
)

// from the specification
const (
	ikeHeader    = 28 // bytes
	ikeEncrypted = 1  // flag of version 1
	ikeSK        = 46 // payload that is encrypted, version 2
	ikeSKF       = 53 // likewise, in fragments
)

// ikePayloads are names of payloads; version 2 begins at 33.
var ikePayloads = []string{1: "security_association", "proposal", "transform", "key_exchange", "identification", "certificate", "certificate_request", "hash",
	"signature", "nonce", "notification", "delete", "vendor_id", 20: "nat_d", 21: "nat_oa", 33: "security_association", "key_exchange", "id_initiator",
	"id_responder", "certificate", "certificate_request", "authentication", "nonce", "notify", "delete", "vendor_id", "traffic_selector_initiator",
	"traffic_selector_responder", "encrypted", "configuration", "eap", 53: "encrypted_fragment"}

func probeIKE(_ wire.Dir, head []byte) Guess {
	_, ok := ikeMessage(head)
	return yes(ok)
}

// ikeMessage returns the message in b, behind the marker that port 4500 has, and reports whether there is one: its length and those of the
// payloads in the clear add up.
func ikeMessage(b []byte) (msg []byte, ok bool) {
	if len(b) > 4 && b[0]|b[1]|b[2]|b[3] == 0 {
		b = b[4:]
	}
	if len(b) < ikeHeader {
		return nil, false
	}
	version, exchange := b[17], b[18]
	n := binary.BigEndian.Uint32(b[24:])
	switch {
	case binary.BigEndian.Uint64(b) == 0 || n < ikeHeader || n > 1<<16 || !fills(int(n), b):
		return nil, false
	case version>>4 == 1 && version&15 <= 1 && exchange >= 1 && (exchange <= 6 || exchange == 32 || exchange == 33):
	case version>>4 == 2 && version&15 <= 1 && exchange >= 34 && exchange <= 44:
	default:
		return nil, false
	}
	if version>>4 == 1 && b[19]&ikeEncrypted != 0 {
		return b, true
	}
	next := b[16]
	for c := wire.Cut(b[ikeHeader:]); next != 0 && next != ikeSK && next != ikeSKF; {
		next = c.U8()
		c.Skip(1)
		c.Skip(int(c.U16()) - 4)
		if c.Short() {
			return b, len(b) >= MaxProbe
		}
	}
	return b, true
}

// ike parses one flow.
type ike struct{ datagrams }

func newIKE(p *Protocol, env *Env) Dissector { return &ike{datagrams{p: p, env: env, tell: tellIKE}} }

func resumeIKE(p *Protocol, env *Env, r Rest) Dissector {
	return &ike{datagrams{p: p, env: env, tell: tellIKE, last: r.ID}}
}

// Feed implements Dissector.
func (d *ike) Feed(dir wire.Dir, data []byte, emit func(*Message)) (Progress, error) {
	if len(data) == 1 && data[0] == 0xff { // RFC 3948 section 2.3: keep alive
		return Progress{Used: 1}, nil
	}
	if _, ok := ikeMessage(data); !ok && len(data) >= 16 && data[0]|data[1]|data[2]|data[3] != 0 { // ESP
		return Progress{Used: len(data), Opaque: len(data)}, nil
	}
	return d.datagrams.Feed(dir, data, emit)
}

func tellIKE(t *teller, _ wire.Dir, b []byte) bool {
	msg, ok := ikeMessage(b)
	if !ok {
		return false
	}
	t.number(ikeVersion, int64(msg[17]>>4))
	t.hexed(ikeInitSPI, msg[:8])
	t.hexed(ikeRespSPI, msg[8:16])
	t.number(ikeExchange, int64(msg[18]))
	if msg[17]>>4 == 1 && msg[19]&ikeEncrypted != 0 {
		return true
	}
	next := msg[16]
	for c := wire.Cut(msg[ikeHeader:]); next != 0 && c.Len() > 0; {
		kind := next
		t.named(ikePayload, ikePayloads, int(kind))
		if kind == ikeSK || kind == ikeSKF {
			break
		}
		next = c.U8()
		c.Skip(1)
		v := c.Bytes(int(c.U16()) - 4)
		if (kind == 11 || kind == 41) && len(v) >= 8 {
			at := 0
			if kind == 11 {
				at = 4
			}
			t.number(ikeNotify, int64(binary.BigEndian.Uint16(v[at+2:])))
		}
		if len(v) > 0 {
			t.add(ikeData, v)
		}
	}
	return true
}
