package dissect

import (
	"encoding/binary"
	"errors"
	"slices"

	"weir/wire"
)

// OpenVPN is the OpenVPN protocol over UDP: control packets, by their opcodes, acknowledgements and packet numbers.
var OpenVPN = Protocol{
	Name: "openvpn",
	About: "OpenVPN over UDP and TCP, with and without tls-auth and tls-crypt, from the beginning of a session on. Without tls-crypt what TLS says in its control packets is " +
		"told with the fields of `tls`, in an event `openvpn`. Packets are inspected as they came.",
	Carrier: Datagram, Ports: []uint16{1194}, Probe: probeOpenVPN, Fields: ovpnFields, New: newOpenVPN,
}

// OpenVPNTCP is OpenVPN over TCP: a length stands before each packet.
var OpenVPNTCP = Protocol{Name: "openvpn", Carrier: Stream, Ports: []uint16{1194, 443}, Probe: probeOpenVPNTCP, Fields: ovpnFields, New: newOpenVPN}

var ovpnFields = slices.Concat(TLS.Fields, []FieldSpec{
	{Name: "openvpn.session", Doc: "number of the session that an end has chosen, hex", EVE: "session", Derived: true},
	{Name: "openvpn.wrapping", Doc: "what control packets are in: `none`, `tls-auth`, `tls-crypt`", EVE: "wrapping", Derived: true},
	{Name: "openvpn.data", Doc: "packets, as they came"},
})

// Fields of OpenVPN: those of TLS, and behind them its own.
const (
	ovpnSessionID Field = tlsAlert + 1 + iota
	ovpnWrapping
	ovpnData
)

// from the specification: ssl_pkt.h of OpenVPN
const (
	ovpnControl  = 4 // opcodes, which stand in the upper 5 bits of the first byte
	ovpnClient2  = 7 // P_CONTROL_HARD_RESET_CLIENT_V2
	ovpnServer2  = 8
	ovpnClient3  = 10
	ovpnLast     = 11
	ovpnSession  = 8 // bytes of a session's id
	ovpnMaxAcks  = 8
	ovpnCryptLen = 1 + ovpnSession + 8 + 32 // bytes before what tls-crypt encrypts
)

// ovpnMACs are lengths that the HMAC of tls-auth may have, bytes.
var ovpnMACs = [...]int{20, 32, 16, 48, 64}

func probeOpenVPN(_ wire.Dir, head []byte) Guess { return yes(isOpenVPN(head)) }

// isOpenVPN reports whether b is the packet that begins a session: a hard reset.
func isOpenVPN(b []byte) bool {
	if len(b) < 14 {
		return false
	}
	op := b[0] >> 3
	if b[0]&7 != 0 || op != ovpnClient2 && op != ovpnServer2 && op != ovpnClient3 || binary.BigEndian.Uint64(b[1:]) == 0 {
		return false
	}
	client := op != ovpnServer2
	if op != ovpnClient3 && ovpnReset(b[1+ovpnSession:], client) {
		return true
	}
	if len(b) >= ovpnCryptLen && ovpnStamp(b[1+ovpnSession:]) && (len(b) == ovpnCryptLen+5 || !client && (len(b) == ovpnCryptLen+17 || len(b) == ovpnCryptLen+23) || op == ovpnClient3 && len(b) > ovpnCryptLen+5+64) {
		return true // tls-crypt: what follows is encrypted
	}
	for _, n := range ovpnMACs {
		at := 1 + ovpnSession + n
		if len(b) > at+8 && ovpnStamp(b[at:]) && ovpnReset(b[at+8:], client) {
			return true
		}
	}
	return false
}

// ovpnStamp reports whether b begins with the first number of a packet and a time.
func ovpnStamp(b []byte) bool {
	c := wire.Cut(b)
	n, at := c.U32(), c.U32()
	if n>>24 != 0 {
		n &= 0xffff // early negotiation marks the upper bits
	}
	return !c.Short() && n >= 1 && n <= 4 && at > 1<<29 && at < 1<<32-1<<28
}

// ovpnReset reports whether b is the rest of a hard reset: acknowledgements, the number 0, nothing more.
func ovpnReset(b []byte, client bool) bool {
	c := wire.Cut(b)
	acks := int(c.U8())
	if acks > ovpnMaxAcks || client && acks > 0 {
		return false
	}
	for range acks {
		if c.U32() > 16 {
			return false
		}
	}
	if acks > 0 {
		c.Skip(ovpnSession)
	}
	return c.U32() == 0 && !c.Short() && c.Len() == 0
}

func probeOpenVPNTCP(_ wire.Dir, head []byte) Guess {
	if len(head) == 0 {
		return Maybe
	}
	if head[0] > 4 {
		return No
	}
	if len(head) < 3 {
		return Maybe
	}
	n := int(head[0])<<8 | int(head[1])
	op := head[2] >> 3
	switch {
	case n < 14 || head[2]&7 != 0 || op != ovpnClient2 && op != ovpnServer2 && op != ovpnClient3:
		return No
	case len(head) < 2+n:
		return Maybe
	}
	return yes(isOpenVPN(head[2 : 2+n]))
}

// ours
const (
	ovpnMaxHeld = 24 << 10 // bytes of TLS that wait for the rest of a message
	ovpnCrypt   = -1       // wrapping: tls-crypt
)

var errOpenVPN = errors.New("openvpn: not a packet")

// openvpn parses one flow.
type openvpn struct {
	p    *Protocol
	env  *Env
	tls  tls
	wrap int // bytes between a session's number and the acknowledgements
	side [2]ovpnSide
}

// ovpnSide is the state of one direction.
type ovpnSide struct {
	u    unit
	id   uint64 // number of the session
	at   uint32 // number of the control packet that comes next
	held []byte // what TLS has left over
	over bool   // no more is read of TLS
}

func newOpenVPN(p *Protocol, env *Env) Dissector {
	return &openvpn{p: p, env: env, tls: tls{p: p, env: env, tx: 1, letter: 't'}}
}

// Feed implements Dissector.
func (d *openvpn) Feed(dir wire.Dir, data []byte, emit func(*Message)) (pr Progress, err error) {
	if d.p.Carrier&Datagram != 0 {
		if len(data) > 0 && !d.packet(dir, data, emit) {
			return pr, errOpenVPN
		}
		return Progress{Used: len(data)}, nil
	}
	for pr.Used < len(data) {
		b := data[pr.Used:]
		if len(b) < 2 {
			return Progress{Used: pr.Used, Need: 1}, nil
		}
		n := 2 + int(binary.BigEndian.Uint16(b))
		if len(b) < n {
			return Progress{Used: pr.Used, Need: n - len(b)}, nil
		}
		if n == 2 || !d.packet(dir, b[2:n], emit) {
			return pr, errOpenVPN
		}
		pr.Used += n
	}
	return pr, nil
}

// packet tells a packet. It reports false if it is none.
func (d *openvpn) packet(dir wire.Dir, b []byte, emit func(*Message)) bool {
	op, s := b[0]>>3, &d.side[dir]
	if op == 0 || op > ovpnLast {
		return false
	}
	reset := isOpenVPN(b)
	if s.u.id == 0 {
		d.tls.lastID++
		s.u = unit{id: d.tls.lastID, tx: 1}
	}
	t := d.env.teller(d.p, dir, &s.u, emit)
	if reset {
		d.reset(t, s, b)
	}
	t.add(ovpnData, b)
	t.flush(false, false)
	if op == ovpnControl && d.wrap != ovpnCrypt && !s.over {
		d.control(dir, b, emit)
	}
	return true
}

// reset deals with the packet that begins a session of one end.
func (d *openvpn) reset(t *teller, s *ovpnSide, b []byte) {
	id := binary.BigEndian.Uint64(b[1:])
	if id == s.id { // it is said again until somebody answers
		return
	}
	rest, client, name := b[1+ovpnSession:], b[0]>>3 != ovpnServer2, "tls-crypt"
	d.wrap = ovpnCrypt
	if b[0]>>3 != ovpnClient3 && ovpnReset(rest, client) {
		d.wrap, name = 0, "none"
	} else {
		for _, n := range ovpnMACs {
			if len(rest) > n+8 && ovpnStamp(rest[n:]) && ovpnReset(rest[n+8:], client) {
				d.wrap, name = n+8, "tls-auth"
				break
			}
		}
	}
	s.id, s.at = id, 1
	t.hexed(ovpnSessionID, b[1:1+ovpnSession])
	t.addString(ovpnWrapping, name)
}

// control gives TLS what a control packet carries. Those that come out of order are left to be repeated.
func (d *openvpn) control(dir wire.Dir, b []byte, emit func(*Message)) {
	s := &d.side[dir]
	c := wire.Cut(b)
	c.Skip(1 + ovpnSession + d.wrap)
	if acks := int(c.U8()); acks > 0 {
		c.Skip(4*acks + ovpnSession)
	}
	if n := c.U32(); c.Short() || n != s.at {
		return
	}
	s.at++
	s.held = append(s.held, c.Rest()...)
	pr, err := d.tls.Feed(dir, s.held, emit)
	switch pr.Used {
	case 0:
	case len(s.held):
		s.held = nil
	default:
		s.held = append(s.held[:0], s.held[pr.Used:]...)
	}
	if err != nil || len(s.held) > ovpnMaxHeld {
		s.held, s.over = nil, true
	}
}

// Gap implements Dissector.
func (d *openvpn) Gap(wire.Dir, int, func(*Message)) bool { return d.p.Carrier&Datagram != 0 }

// Close implements Dissector.
func (d *openvpn) Close(dir wire.Dir, emit func(*Message)) {
	d.tls.Close(dir, emit)
	if s := &d.side[dir]; s.u.id != 0 {
		d.env.teller(d.p, dir, &s.u, emit).flush(true, false)
		*s = ovpnSide{over: true}
	}
}

// Rest implements Dissector.
func (d *openvpn) Rest() (Rest, bool) { return Rest{}, false }

// Size implements Dissector.
func (d *openvpn) Size() int { return 384 + cap(d.side[0].held) + cap(d.side[1].held) }
