package dissect

import "weir/wire"

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

// probeWireGuard says Yes to a message of the handshake: its length is told by its type, and three bytes are reserved.
func probeWireGuard(_ wire.Dir, head []byte) Guess {
	return yes(isWireGuard(head) && head[0] < wgCookie)
}

func isWireGuard(b []byte) bool {
	if len(b) < wgDataLeast || b[0] < wgInitiation || b[0] > wgData || b[1] != 0 && b[1]|b[2]|b[3] == 0 {
		return false
	}
	if b[0] == wgData {
		return len(b)%16 == 0
	}
	return len(b) == wgSizes[b[0]] && (b[1]|b[2]|b[3] == 0)
}

// wireguard parses one flow.
type wireguard struct{ datagrams }

func newWireGuard(p *Protocol, env *Env) Dissector {
	return &wireguard{datagrams{p: p, env: env, tell: tellWireGuard}}
}

func resumeWireGuard(p *Protocol, env *Env, r Rest) Dissector {
	return &wireguard{datagrams{p: p, env: env, tell: tellWireGuard, last: r.ID}}
}

// Feed implements Dissector.
func (d *wireguard) Feed(dir wire.Dir, data []byte, emit func(*Message)) (Progress, error) {
	if len(data) > 0 && data[0] != wgData {
		return d.datagrams.Feed(dir, data, emit)
	}
	if !isWireGuard(data) {
		return Progress{}, errDatagram
	}
	return Progress{Used: len(data), Opaque: len(data)}, nil
}

func tellWireGuard(t *teller, _ wire.Dir, b []byte) bool {
	if !isWireGuard(b) {
		return false
	}
	t.named(0, wgTypes, int(b[0]))
	return true
}
