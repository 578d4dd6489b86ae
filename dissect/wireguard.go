package dissect

import (
	"encoding/binary"

	"weir/wire"
)

// WireGuard is the WireGuard VPN: "WireGuard: Next Generation Kernel Network Tunnel", section 5.4.
var WireGuard = Protocol{
	Name:    "wireguard",
	About:   "WireGuard. Its handshakes are recognised; all of it is ciphertext and counted as not looked into (`weir.uninspected`, reason `encrypted`).",
	Carrier: Datagram, Ports: []uint16{51820}, Probe: probeWireGuard, PerMessage: true, New: newWireGuard, Resume: resumeWireGuard,
	Fields: []FieldSpec{{Name: "wireguard.type", Doc: "kind of a handshake's message, as `initiation`", Derived: true}},
}

// from the specification
const (
	wgInitiation = 1
	wgResponse   = 2
	wgCookie     = 3
	wgData       = 4
	wgDataLeast  = 32 // bytes of a message with no data
)

var (
	wgSizes = [...]int{wgInitiation: 148, wgResponse: 92, wgCookie: 64}
	wgTypes = []string{wgInitiation: "initiation", wgResponse: "response", wgCookie: "cookie_reply"}
)

// probeWireGuard says Yes to a message of the handshake: its length is told by its type, and three bytes are reserved. It says so of data too: the
// dissector waits for more of it.
func probeWireGuard(_ wire.Dir, head []byte) Guess {
	return yes(isWireGuard(head) && (head[0] < wgCookie || head[0] == wgData && wgCounter(head) < 1<<40))
}

// wgCounter returns the number of a message with data.
func wgCounter(b []byte) uint64 { return binary.LittleEndian.Uint64(b[8:]) }

func isWireGuard(b []byte) bool {
	if len(b) < wgDataLeast || b[0] < wgInitiation || b[0] > wgData || b[1]|b[2]|b[3] != 0 {
		return false
	}
	if b[0] == wgData {
		return len(b)%16 == 0
	}
	return len(b) == wgSizes[b[0]]
}

// wireguard parses one flow.
type wireguard struct {
	datagrams
	sure bool      // a handshake was seen, or enough data
	seen [2]wgSeen // of both directions
}

// wgSeen is the last message with data of a direction; number 0: none.
type wgSeen struct {
	receiver uint32
	count    uint8
	number   uint64 // and 1
}

// ours
const (
	wgEnough = 3  // messages with data in a row, to one receiver, that make it WireGuard without a handshake
	wgAhead  = 64 // that a message may be ahead of the one before it
)

func newWireGuard(p *Protocol, env *Env) Dissector {
	return &wireguard{datagrams: datagrams{p: p, env: env, tell: tellWireGuard}}
}

func resumeWireGuard(p *Protocol, env *Env, r Rest) Dissector {
	return &wireguard{datagrams: datagrams{p: p, env: env, tell: tellWireGuard, last: r.ID}, sure: true}
}

// Rest implements Dissector.
func (d *wireguard) Rest() (Rest, bool) { return Rest{ID: d.last, Tx: d.last}, d.sure }

// Feed implements Dissector.
func (d *wireguard) Feed(dir wire.Dir, data []byte, emit func(*Message)) (Progress, error) {
	if len(data) > 0 && data[0] != wgData {
		pr, err := d.datagrams.Feed(dir, data, emit)
		d.sure = d.sure || err == nil
		return pr, err
	}
	if !isWireGuard(data) || !d.sure && !d.data(&d.seen[dir], data) {
		return Progress{}, errDatagram
	}
	if !d.sure {
		return Progress{}, nil
	}
	return Progress{Used: len(data), Opaque: len(data)}, nil
}

// data looks at a message with data while it is not sure what this is. It reports false if it is not WireGuard.
func (d *wireguard) data(s *wgSeen, b []byte) bool {
	to, n := binary.LittleEndian.Uint32(b[4:]), wgCounter(b)
	if s.number > 0 && (to != s.receiver || n+1 <= s.number || n-s.number > wgAhead) {
		return false
	}
	s.receiver, s.number = to, n+1
	s.count++
	d.sure = s.count >= wgEnough
	return true
}

func tellWireGuard(t *teller, _ wire.Dir, b []byte) bool {
	if !isWireGuard(b) {
		return false
	}
	t.named(0, wgTypes, int(b[0]))
	return true
}
