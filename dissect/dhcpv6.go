package dissect

import "weir/wire"

// DHCPv6 is DHCP for IPv6: RFC 8415.
var DHCPv6 = Protocol{
	Name:    "dhcpv6",
	About:   "DHCP for IPv6 (RFC 8415). Each message has an event `dhcpv6`.",
	Carrier: Datagram, Ports: []uint16{546, 547}, Probe: probeDHCPv6, PerMessage: true, New: eachDatagram(tellDHCPv6), Resume: eachAgain(tellDHCPv6),
	Fields: []FieldSpec{
		dhcp6Type:   {Name: "dhcpv6.type", Doc: "kind of the message, as `solicit`", EVE: "type", Derived: true},
		dhcp6ID:     {Name: "dhcpv6.id", Doc: "number of the exchange", EVE: "id", Number: true, Derived: true},
		dhcp6Client: {Name: "dhcpv6.client_id", Doc: "DUID of the client, hex with colons", EVE: "client_id", Derived: true},
		dhcp6Server: {Name: "dhcpv6.server_id", Doc: "DUID of the server, hex with colons", EVE: "server_id", Derived: true},
		dhcp6Name:   {Name: "dhcpv6.hostname", Doc: "name of the client, labels with their lengths"},
		dhcp6Option: {Name: "dhcpv6.option", Doc: "content of an option; a value for each"},
	},
}

// Fields of DHCPv6.
const (
	dhcp6Type Field = iota
	dhcp6ID
	dhcp6Client
	dhcp6Server
	dhcp6Name
	dhcp6Option
)

// from the specification
const (
	dhcp6RelayForward = 12
	dhcp6RelayReply   = 13
	dhcp6MaxOption    = 150 // options beyond are not assigned
)

var dhcp6Types = []string{1: "solicit", "advertise", "request", "confirm", "renew", "rebind", "reply", "release", "decline", "reconfigure",
	"information_request", "relay_forward", "relay_reply", "lease_query", "lease_query_reply"}

func probeDHCPv6(_ wire.Dir, head []byte) Guess { return yes(isDHCPv6(head)) }

// isDHCPv6 reports whether b is a message whose options fill it, one of them saying who the client or the server is.
func isDHCPv6(b []byte) bool {
	at, ok := dhcp6Options(b)
	if !ok {
		return false
	}
	known := false
	for c := wire.Cut(b[at:]); c.Len() > 0; {
		typ, n := c.U16(), int(c.U16())
		v := c.Bytes(n)
		if c.Short() || typ == 0 || typ > dhcp6MaxOption {
			return false
		}
		known = known || typ <= 2 && n >= 4 && n <= 130 && v[0] == 0 && v[1] >= 1 && v[1] <= 4 || typ == 9 && n > 4 || typ == 6 && n > 0 && n%2 == 0
	}
	return known
}

// dhcp6Options returns where options begin.
func dhcp6Options(b []byte) (at int, ok bool) {
	if len(b) < 8 || b[0] == 0 || int(b[0]) >= len(dhcp6Types) {
		return 0, false
	}
	if b[0] == dhcp6RelayForward || b[0] == dhcp6RelayReply {
		return 34, len(b) >= 38
	}
	return 4, true
}

func tellDHCPv6(t *teller, _ wire.Dir, b []byte) bool {
	if !isDHCPv6(b) {
		return false
	}
	at, _ := dhcp6Options(b)
	t.named(dhcp6Type, dhcp6Types, int(b[0]))
	if at == 4 {
		t.number(dhcp6ID, int64(b[1])<<16|int64(b[2])<<8|int64(b[3]))
	}
	for c := wire.Cut(b[at:]); c.Len() > 0; {
		typ, v := c.U16(), c.Vec16()
		switch {
		case typ == 1:
			t.colons(dhcp6Client, v.Rest())
			t.add(dhcp6Option, v.Rest())
		case typ == 2:
			t.colons(dhcp6Server, v.Rest())
			t.add(dhcp6Option, v.Rest())
		case typ == 39 && v.Len() > 1:
			t.add(dhcp6Name, v.Rest()[1:])
		case v.Len() > 0:
			t.add(dhcp6Option, v.Rest())
		}
	}
	return true
}
