package dissect

import (
	"errors"
	"net/netip"

	"weir/wire"
)

// SOCKS is SOCKS 4, 4a and 5.
var SOCKS = Protocol{
	Name:    "socks",
	About:   "SOCKS 4, 4a and 5: RFC 1928, RFC 1929. A connection that is asked for is an exchange with an event `socks`; what it then carries is looked at anew.",
	Carrier: Stream,
	Ports:   []uint16{1080, 1081, 9050},
	Probe:   probeSOCKS,
	Fields: []FieldSpec{
		socksVersion:  {Name: "socks.version", Doc: "4 or 5", EVE: "version", Number: true, Derived: true},
		socksCommand:  {Name: "socks.command", Doc: "`connect`, `bind` or `udp_associate`", EVE: "command", Derived: true},
		socksHost:     {Name: "socks.host", Doc: "name or address that the client wants to reach", EVE: "host"},
		socksPort:     {Name: "socks.port", Doc: "port there", EVE: "port", Number: true, Derived: true},
		socksUser:     {Name: "socks.user", Doc: "user that the client logs in as", EVE: "user"},
		socksPassword: {Name: "socks.password", Doc: "password that it logs in with; never shown", Privacy: Credential},
		socksStatus:   {Name: "socks.status", Doc: "number of the server's answer: 0, or 90 of version 4, if the connection was made", EVE: "status", Number: true, Derived: true},
	},
	New: func(p *Protocol, env *Env) Dissector { return &socks{chat: chat{p: p, env: env, lastTx: 1}} },
}

// Fields of SOCKS, in the order of SOCKS.Fields.
const (
	socksVersion Field = iota
	socksCommand
	socksHost
	socksPort
	socksUser
	socksPassword
	socksStatus
)

// from the specification
const (
	socksUserPass = 2    // method: user and password
	socksGranted  = 0x5a // version 4
	socksRefused  = 0xff // method: none of them
)

var errSOCKS = errors.New("socks: not a message")

// socksState is what is awaited of a direction.
type socksState uint8

const (
	socksHello   socksState = iota
	socksAuth               // RFC 1929
	socksAsk                // the request, or the answer to it
	socksWaiting            // for the other end
)

// socks parses one flow.
type socks struct {
	chat
	version uint8
	state   [2]socksState
	known   bool // the server has chosen a method
	asked   bool // the request was seen
}

// Feed implements Dissector.
func (d *socks) Feed(dir wire.Dir, data []byte, emit func(*Message)) (pr Progress, err error) {
	for pr.Used < len(data) {
		c := wire.Cut(data[pr.Used:])
		up, ok := false, true
		if dir == wire.ToServer {
			ok = d.client(&c, emit)
		} else {
			up, ok = d.server(&c, emit)
		}
		switch {
		case !ok:
			return pr, errSOCKS
		case c.Short():
			pr.Need = 1 // or never: what is no message is inspected raw
			if d.closed[dir] {
				pr.Need = 0
			}
			return pr, nil
		}
		n := len(data) - c.Len()
		if n == pr.Used {
			break
		}
		if pr.Used = n; up {
			return pr, nil
		}
	}
	return pr, nil
}

// client takes a message of the client. What comes before the server has answered belongs to what is carried.
func (d *socks) client(c *wire.Cursor, emit func(*Message)) bool {
	if d.state[0] == socksWaiting {
		return true
	}
	if d.state[0] == socksHello && d.version == 0 {
		d.version = c.Rest()[0]
	}
	if d.version == 4 {
		return d.request4(c, emit)
	}
	switch d.state[0] {
	case socksHello:
		version, methods := c.U8(), c.Vec8()
		if c.Short() {
			return true
		}
		if version != 5 {
			return false
		}
		d.state[0] = socksAsk
		for _, m := range methods.Rest() {
			if m == socksUserPass && !d.known {
				d.state[0] = socksAuth
			}
		}
		return true
	case socksAuth:
		if c.Rest()[0] == 5 { // the server did not ask
			d.state[0] = socksAsk
			return d.client(c, emit)
		}
		c.Skip(1)
		user, password := c.Vec8(), c.Vec8()
		if c.Short() {
			return true
		}
		d.state[0] = socksAsk
		t := d.message(wire.ToServer, 1, emit)
		t.add(socksUser, user.Rest())
		t.add(socksPassword, password.Rest())
		d.over(wire.ToServer, false, emit)
		return true
	}
	version, command := c.U8(), c.U8()
	c.Skip(1)
	host, port, ok := socksAddr(c)
	if c.Short() && ok {
		return version == 5 || version == 0
	}
	if !ok || version != 5 || command == 0 || command > 3 {
		return false
	}
	d.request(5, command, host, port, nil, emit)
	return true
}

// socksAddr reads an address of version 5; ok is false for a type that there is not.
func socksAddr(c *wire.Cursor) (host []byte, port uint16, ok bool) {
	switch c.U8() {
	case 1:
		host = c.Bytes(4)
	case 3:
		v := c.Vec8()
		host = v.Rest()
		port = c.U16()
		return host, port, true
	case 4:
		host = c.Bytes(16)
	default:
		return nil, 0, c.Short()
	}
	port = c.U16()
	if a, is := netip.AddrFromSlice(host); is {
		host = a.AppendTo(make([]byte, 0, 40))
	}
	return host, port, true
}

// request4 takes a request of version 4 or 4a.
func (d *socks) request4(c *wire.Cursor, emit func(*Message)) bool {
	whole := *c
	c.Skip(1)
	command, port, addr := c.U8(), c.U16(), c.Bytes(4)
	user := zeroEnded(c)
	if c.Short() {
		return whole.Len() < 1024
	}
	a := netip.AddrFrom4([4]byte(addr))
	host := a.AppendTo(make([]byte, 0, 16))
	if addr[0] == 0 && addr[1] == 0 && addr[2] == 0 && addr[3] != 0 {
		if host = zeroEnded(c); c.Short() {
			return whole.Len() < 1024
		}
	}
	d.request(4, command, host, port, user, emit)
	return true
}

// zeroEnded reads up to a zero byte.
func zeroEnded(c *wire.Cursor) []byte {
	b := c.Rest()
	for i, x := range b {
		if x == 0 {
			c.Skip(i + 1)
			return b[:i]
		}
	}
	c.Skip(len(b) + 1)
	return nil
}

// request tells of a connection that is asked for.
func (d *socks) request(version, command uint8, host []byte, port uint16, user []byte, emit func(*Message)) {
	d.state[0], d.asked = socksWaiting, true
	t := d.message(wire.ToServer, 1, emit)
	t.number(socksVersion, int64(version))
	t.addString(socksCommand, [...]string{"", "connect", "bind", "udp_associate"}[command&3])
	t.add(socksHost, host)
	t.number(socksPort, int64(port))
	if len(user) > 0 {
		t.add(socksUser, user)
	}
	d.over(wire.ToServer, false, emit)
}

// server takes a message of the server. up says that what is carried follows.
func (d *socks) server(c *wire.Cursor, emit func(*Message)) (up, ok bool) {
	first := c.Rest()[0]
	switch {
	case first == 0 && d.version != 5: // version 4
		c.Skip(1)
		status := c.U8()
		c.Skip(6)
		if c.Short() {
			return false, true
		}
		return d.answered(int64(status), status == socksGranted, emit), true
	case first == 1 && d.state[1] == socksAuth:
		c.Skip(2)
		if !c.Short() {
			d.state[1] = socksAsk
		}
		return false, true
	case first != 5:
		return false, false
	case d.state[1] == socksHello:
		c.Skip(1)
		method := c.U8()
		if c.Short() {
			return false, true
		}
		d.known = true
		d.state[1] = socksAsk
		switch method {
		case socksUserPass:
			d.state[1] = socksAuth
		case socksRefused:
			d.over(wire.ToClient, false, emit)
		default:
			if d.state[0] == socksAuth {
				d.state[0] = socksAsk
			}
		}
		return false, true
	}
	c.Skip(1)
	status := c.U8()
	c.Skip(1)
	_, _, ok = socksAddr(c)
	if c.Short() || !ok {
		return false, ok
	}
	return d.answered(int64(status), status == 0, emit), true
}

// answered tells of the answer to a request.
func (d *socks) answered(status int64, granted bool, emit func(*Message)) (up bool) {
	t := d.message(wire.ToClient, 1, emit)
	t.number(socksStatus, status)
	d.state[1] = socksAsk
	if granted && d.asked {
		d.upgrade(wire.ToClient, emit)
		return true
	}
	d.over(wire.ToClient, d.asked, emit)
	return false
}

// Gap implements Dissector.
func (d *socks) Gap(dir wire.Dir, n int, emit func(*Message)) bool { return false }

// Close implements Dissector.
func (d *socks) Close(dir wire.Dir, emit func(*Message)) {
	d.closed[dir] = true
	if d.asked && d.closed[dir.Other()] {
		d.message(dir, 1, emit)
		d.over(dir, true, emit)
		d.asked = false
	}
}

// Rest implements Dissector.
func (d *socks) Rest() (Rest, bool) { return Rest{}, false }

// Size implements Dissector.
func (d *socks) Size() int { return 128 }
