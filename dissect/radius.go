package dissect

import "weir/wire"

// RADIUS is the Remote Authentication Dial In User Service: RFC 2865, RFC 2866, RFC 5176.
var RADIUS = Protocol{
	Name:    "radius",
	About:   "RADIUS (RFC 2865, RFC 2866). Each message has an event `radius`; passwords are hidden by the protocol and not shown.",
	Carrier: Datagram, Ports: []uint16{1812, 1813, 1645, 1646, 3799}, Probe: probeRADIUS, PerMessage: true, New: eachDatagram(tellRADIUS), Resume: eachAgain(tellRADIUS),
	Fields: []FieldSpec{
		radiusCode:      {Name: "radius.code", Doc: "kind of the message, as `access_request`", EVE: "code", Derived: true},
		radiusID:        {Name: "radius.id", Doc: "number of the request", EVE: "id", Number: true, Derived: true},
		radiusUser:      {Name: "radius.username", Doc: "name of the user", EVE: "username"},
		radiusNAS:       {Name: "radius.nas_ip", Doc: "address of the access server", EVE: "nas_ip", Derived: true},
		radiusFramed:    {Name: "radius.framed_ip", Doc: "address that the user is given", EVE: "framed_ip", Derived: true},
		radiusCalled:    {Name: "radius.called_station", Doc: "number or network that was called", EVE: "called_station"},
		radiusCalling:   {Name: "radius.calling_station", Doc: "number or hardware address of the caller", EVE: "calling_station"},
		radiusMessage:   {Name: "radius.reply_message", Doc: "text for the user", EVE: "reply_message"},
		radiusPassword:  {Name: "radius.password", Doc: "password, as the protocol hides it", Privacy: Credential},
		radiusAttribute: {Name: "radius.attribute", Doc: "content of an attribute that has no field of its own; a value for each"},
	},
}

// Fields of RADIUS.
const (
	radiusCode Field = iota
	radiusID
	radiusUser
	radiusNAS
	radiusFramed
	radiusCalled
	radiusCalling
	radiusMessage
	radiusPassword
	radiusAttribute
)

// from the specification
const (
	radiusHeader = 20   // bytes
	radiusMax    = 4096 // bytes of a message
)

var radiusCodes = []string{1: "access_request", "access_accept", "access_reject", "accounting_request", "accounting_response", 11: "access_challenge",
	"status_server", "status_client", 40: "disconnect_request", "disconnect_ack", "disconnect_nak", "coa_request", "coa_ack", "coa_nak"}

func probeRADIUS(_ wire.Dir, head []byte) Guess { return yes(isRADIUS(head)) }

// isRADIUS reports whether b is a message: a known code, its length, and attributes that fill it.
func isRADIUS(b []byte) bool {
	if len(b) < radiusHeader || int(b[0]) >= len(radiusCodes) || radiusCodes[b[0]] == "" {
		return false
	}
	n := int(b[2])<<8 | int(b[3])
	if n < radiusHeader || n > radiusMax || !fills(n, b) {
		return false
	}
	count := 0
	for c := wire.Cut(b[radiusHeader:]); c.Len() > 0; count++ {
		typ, size := c.U8(), int(c.U8())
		if len(b) == MaxProbe && size-2 > c.Len() {
			return count > 0
		}
		c.Skip(size - 2)
		if typ == 0 || size < 2 || c.Short() {
			return false
		}
	}
	return count > 0 || b[0] != 1 && n == radiusHeader
}

func tellRADIUS(t *teller, _ wire.Dir, b []byte) bool {
	if !isRADIUS(b) {
		return false
	}
	t.named(radiusCode, radiusCodes, int(b[0]))
	t.number(radiusID, int64(b[1]))
	for c := wire.Cut(b[radiusHeader:]); c.Len() > 0; {
		typ := c.U8()
		v := c.Bytes(int(c.U8()) - 2)
		switch {
		case len(v) == 0:
		case typ == 1:
			t.add(radiusUser, v)
		case typ == 2:
			t.add(radiusPassword, v)
		case typ == 4 && len(v) == 4:
			t.address(radiusNAS, v)
		case typ == 8 && len(v) == 4:
			t.address(radiusFramed, v)
		case typ == 18:
			t.add(radiusMessage, v)
		case typ == 30:
			t.add(radiusCalled, v)
		case typ == 31:
			t.add(radiusCalling, v)
		default:
			t.add(radiusAttribute, v)
		}
	}
	return true
}
