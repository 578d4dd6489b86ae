package dissect

import (
	"bytes"

	"weir/wire"
)

// DHCP is the Dynamic Host Configuration Protocol for IPv4: RFC 2131, RFC 2132. BOOTP without options is not taken for it.
var DHCP = Protocol{
	Name:    "dhcp",
	About:   "DHCP for IPv4 (RFC 2131, RFC 2132). Each message has an event `dhcp`, `dhcp.type` in it says request or reply.",
	Carrier: Datagram, Ports: []uint16{67, 68}, Probe: probeDHCP, PerMessage: true, New: eachDatagram(tellDHCP), Resume: eachAgain(tellDHCP),
	Fields: []FieldSpec{
		dhcpOp:        {Name: "dhcp.op", Doc: "`request` or `reply`", EVE: "type", Derived: true},
		dhcpID:        {Name: "dhcp.id", Doc: "number of the exchange", EVE: "id", Number: true, Derived: true},
		dhcpMAC:       {Name: "dhcp.client_mac", Doc: "hardware address of the client, hex with colons", EVE: "client_mac", Derived: true},
		dhcpAssigned:  {Name: "dhcp.assigned_ip", Doc: "address that the client is given", EVE: "assigned_ip", Derived: true},
		dhcpClientIP:  {Name: "dhcp.client_ip", Doc: "address that the client has", EVE: "client_ip", Derived: true},
		dhcpNext:      {Name: "dhcp.next_server_ip", Doc: "server to boot from", EVE: "next_server_ip", Derived: true},
		dhcpRelay:     {Name: "dhcp.relay_ip", Doc: "relay that the message came by", EVE: "relay_ip", Derived: true},
		dhcpType:      {Name: "dhcp.type", Doc: "kind of the message, as `discover`", EVE: "dhcp_type", Derived: true},
		dhcpServer:    {Name: "dhcp.server_name", Doc: "name of the server to boot from"},
		dhcpFile:      {Name: "dhcp.file", Doc: "file to boot", EVE: "file"},
		dhcpHostname:  {Name: "dhcp.hostname", Doc: "name of the client", EVE: "hostname"},
		dhcpDomain:    {Name: "dhcp.domain", Doc: "domain of the client", EVE: "domain"},
		dhcpClientID:  {Name: "dhcp.client_id", Doc: "what the client calls itself: hex with colons, or text", EVE: "client_id", Derived: true},
		dhcpRequested: {Name: "dhcp.requested_ip", Doc: "address that the client asks for", EVE: "requested_ip", Derived: true},
		dhcpServerID:  {Name: "dhcp.server_id", Doc: "address of the server", EVE: "server_id", Derived: true},
		dhcpLease:     {Name: "dhcp.lease_time", Doc: "lease, s", EVE: "lease_time", Number: true, Derived: true},
		dhcpRenewal:   {Name: "dhcp.renewal_time", Doc: "time until renewal, s", EVE: "renewal_time", Number: true, Derived: true},
		dhcpRebinding: {Name: "dhcp.rebinding_time", Doc: "time until rebinding, s", EVE: "rebinding_time", Number: true, Derived: true},
		dhcpMask:      {Name: "dhcp.subnet_mask", Doc: "mask of the network", EVE: "subnet_mask", Derived: true},
		dhcpRouter:    {Name: "dhcp.router", Doc: "router; a value for each", EVE: "routers[]", Derived: true},
		dhcpDNS:       {Name: "dhcp.dns_server", Doc: "name server; a value for each", EVE: "dns_servers[]", Derived: true},
		dhcpParam:     {Name: "dhcp.param", Doc: "option that the client asks for, as `subnet_mask`; a value for each", EVE: "params[]", Derived: true},
		dhcpVendor:    {Name: "dhcp.vendor_class", Doc: "vendor class of the client", EVE: "vendor_class_identifier"},
		dhcpMessage:   {Name: "dhcp.message", Doc: "what the sender says went wrong", EVE: "message"},
		dhcpOption:    {Name: "dhcp.option", Doc: "content of an option that has no field of its own; a value for each"},
		dhcpRest:      {Name: "dhcp.rest", Doc: "bytes behind the options"},
	},
}

// Fields of DHCP.
const (
	dhcpOp Field = iota
	dhcpID
	dhcpMAC
	dhcpAssigned
	dhcpClientIP
	dhcpNext
	dhcpRelay
	dhcpType
	dhcpServer
	dhcpFile
	dhcpHostname
	dhcpDomain
	dhcpClientID
	dhcpRequested
	dhcpServerID
	dhcpLease
	dhcpRenewal
	dhcpRebinding
	dhcpMask
	dhcpRouter
	dhcpDNS
	dhcpParam
	dhcpVendor
	dhcpMessage
	dhcpOption
	dhcpRest
)

// from the specification
const (
	dhcpHeader = 236        // bytes before the cookie
	dhcpCookie = 0x63825363 // RFC 2131 section 3
	dhcpPad    = 0
	dhcpEnd    = 255
)

var dhcpTypes = []string{1: "discover", "offer", "request", "decline", "ack", "nak", "release", "inform", "force_renew", "lease_query",
	"lease_unassigned", "lease_unknown", "lease_active"}

// dhcpParams are names of options that clients ask for.
var dhcpParams = []string{1: "subnet_mask", 2: "time_offset", 3: "router", 4: "time_server", 6: "dns_server", 12: "hostname", 15: "domain", 17: "root_path",
	26: "interface_mtu", 28: "broadcast", 31: "router_discovery", 33: "static_route", 42: "ntp_server", 43: "vendor_specific", 44: "netbios_name_server",
	46: "netbios_node_type", 47: "netbios_scope", 51: "lease_time", 54: "server_id", 58: "renewal_time", 59: "rebinding_time", 66: "tftp_server_name",
	67: "bootfile", 119: "domain_search", 121: "classless_static_route", 150: "tftp_server_ip", 252: "proxy_autodiscovery"}

func probeDHCP(_ wire.Dir, head []byte) Guess { return yes(isDHCP(head)) }

// isDHCP reports whether b has the header of a DHCP message, and the cookie behind it.
func isDHCP(b []byte) bool {
	c := wire.Cut(b)
	op, _, size := c.U8(), c.U8(), c.U8()
	c.Skip(dhcpHeader - 3)
	return c.U32() == dhcpCookie && (op == 1 || op == 2) && size <= 16
}

func tellDHCP(t *teller, _ wire.Dir, b []byte) bool {
	if !isDHCP(b) {
		return false
	}
	c := wire.Cut(b)
	op, _, size := c.U8(), c.U8(), c.U8()
	c.Skip(1)
	t.addString(dhcpOp, [2]string{"request", "reply"}[op-1])
	t.number(dhcpID, int64(c.U32()))
	c.Skip(4)
	client, assigned, next, relay := c.Bytes(4), c.Bytes(4), c.Bytes(4), c.Bytes(4)
	mac := c.Bytes(16)[:size]
	server, file := c.Bytes(64), c.Bytes(128)
	c.Skip(4)
	t.colons(dhcpMAC, mac)
	t.address(dhcpClientIP, client)
	t.address(dhcpAssigned, assigned)
	t.address(dhcpNext, next)
	t.address(dhcpRelay, relay)
	t.padded(dhcpServer, server)
	t.padded(dhcpFile, file)
	for c.Len() > 0 {
		code := c.U8()
		if code == dhcpPad {
			continue
		}
		if code == dhcpEnd {
			break
		}
		v := c.Vec8()
		if c.Short() {
			break
		}
		tellDHCPOption(t, code, v.Rest())
	}
	if rest := c.Rest(); len(bytes.TrimLeft(rest, "\x00")) > 0 {
		t.add(dhcpRest, rest)
	}
	return true
}

func tellDHCPOption(t *teller, code uint8, b []byte) {
	switch code {
	case 1:
		t.address(dhcpMask, b)
	case 3:
		t.addresses(dhcpRouter, b)
	case 6:
		t.addresses(dhcpDNS, b)
	case 12:
		t.add(dhcpHostname, b)
	case 15:
		t.add(dhcpDomain, b)
	case 50:
		t.address(dhcpRequested, b)
	case 51:
		t.seconds(dhcpLease, b)
	case 53:
		if len(b) == 1 {
			t.named(dhcpType, dhcpTypes, int(b[0]))
		}
	case 54:
		t.address(dhcpServerID, b)
	case 55:
		for _, p := range b {
			t.named(dhcpParam, dhcpParams, int(p))
		}
	case 56:
		t.add(dhcpMessage, b)
	case 58:
		t.seconds(dhcpRenewal, b)
	case 59:
		t.seconds(dhcpRebinding, b)
	case 60:
		t.add(dhcpVendor, b)
	case 61:
		if len(b) > 1 && b[0] != 0 {
			t.colons(dhcpClientID, b[1:])
		}
		t.add(dhcpOption, b)
	default:
		t.add(dhcpOption, b)
	}
}
