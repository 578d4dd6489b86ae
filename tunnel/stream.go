package tunnel

import (
	"bytes"

	"weir/dissect"
	"weir/wire"
)

// Stream is what is remembered of a flow of which something is to be remembered.
type Stream struct {
	ip     uint8                // IP packets at the beginning of its pieces
	inside [2]*dissect.Protocol // what bodies or messages of each direction began with
	looked [2]uint8             // messages of a WebSocket whose beginning was looked at
	poll   poll
	heads  [2]head // beginnings that come in pieces
}

// headBytes are enough to know what a value begins with.
const headBytes = 32

// head is the beginning of a value that came in pieces.
type head struct {
	value uint32
	n     uint8 // bytes of it; 0: none is gathered
	bytes [headBytes]byte
}

// beginning returns the beginning of the value that a part belongs to, as far as it has come; nil: more than that has been looked at before.
func beginning(s **Stream, dir wire.Dir, p *dissect.Part) []byte {
	if p.Off == 0 && len(p.Bytes) >= headBytes || !p.More && p.Off == 0 {
		return p.Bytes
	}
	if p.Off >= headBytes || p.Off > 0 && *s == nil {
		return nil
	}
	h := &remember(s).heads[dir]
	if p.Off == 0 {
		h.value, h.n = p.Value, 0
	}
	if h.value != p.Value || int64(h.n) != p.Off {
		return nil
	}
	h.n += uint8(copy(h.bytes[h.n:], p.Bytes))
	return h.bytes[:h.n]
}

// Raw looks at bytes of a flow that nobody understands. s is what is remembered of it as a shell; it is made if the flow begins as text.
func Raw(s **Shell, dir wire.Dir, data []byte) (Verdict, bool) {
	if *s == nil {
		if !Text(data) {
			return Verdict{}, false
		}
		*s = &Shell{}
	}
	(*s).take(dir, data)
	return (*s).judge()
}

// Packets looks for IP packets in bytes that no parser has. packet says that they are a whole datagram.
func Packets(s **Stream, data []byte, packet bool) (Verdict, bool) {
	if !packetInside(data, packet) {
		return Verdict{}, false
	}
	in := remember(s)
	if in.ip++; in.ip != 3 {
		return Verdict{}, false
	}
	return Verdict{Kind: KindIP, Score: 90, Why: "payloads that are IP packets, lengths and checksums right"}, true
}

// packetInside reports whether data is an IP packet, in a stream perhaps with its length before it.
func packetInside(data []byte, packet bool) bool {
	if packet {
		return IsIP(data)
	}
	for _, head := range [...]int{0, 2, 4} { // bytes of the length
		if len(data) > head && IsIP(data[head:]) {
			return true
		}
	}
	return false
}

// Text reports whether data begins as text does.
func Text(data []byte) bool {
	for _, c := range data[:min(len(data), 16)] {
		if (c < ' ' || c > '~') && c != '\n' && c != '\r' && c != '\t' && c != 0x1b {
			return false
		}
	}
	return true
}

// Inside returns the protocol that bytes begin, among those that have no business inside of another; nil: none.
func Inside(dir wire.Dir, head []byte) *dissect.Protocol {
	head = head[:min(len(head), dissect.MaxProbe)]
	if bytes.HasPrefix(head, []byte("SSH-")) { // tools write their own names behind it
		return &dissect.SSH
	}
	for _, p := range insiders {
		if p.Probe(dir, head) == dissect.Yes {
			return p
		}
	}
	return nil
}

// insiders are the protocols that Inside knows.
var insiders = func() (out []*dissect.Protocol) {
	for _, p := range dissect.Protocols {
		if p.Carrier&dissect.Stream == 0 || p.Probe == nil {
			continue
		}
		switch p.Name {
		case "tls", "http", "http2", "socks", "rdp", "smb", "telnet", "postgresql", "mysql", "tds", "ldap":
			out = append(out, p)
		}
	}
	return out
}()

// Followed looks at what began where HTTP agreed to carry something else (CONNECT, Upgrade).
func Followed(p *dissect.Protocol) (Verdict, bool) {
	switch p.Name {
	case "ssh", "telnet", "rdp", "rfb", "socks", "smb", "adb", "x11", "openvpn":
		return Verdict{Kind: KindConnect, Score: 80, Why: "what HTTP agreed to carry is no HTTP and no TLS, but a protocol that lets somebody in or everything out"}, true
	}
	return Verdict{}, false
}

// socketMessages is how many messages of each direction of a WebSocket are looked at: who carries a protocol begins with it.
const socketMessages = 4

// Socket looks at a part of a message of a WebSocket.
func Socket(s **Stream, m *dissect.Message) (Verdict, bool) {
	in := remember(s)
	for i := range m.Parts {
		p := &m.Parts[i]
		if p.View != dissect.ViewPlain || m.Protocol.Fields[p.Field].Derived || in.looked[m.Dir] > socketMessages {
			continue
		}
		if p.Off == 0 {
			if in.looked[m.Dir]++; in.looked[m.Dir] > socketMessages {
				continue
			}
		}
		b := beginning(s, m.Dir, p)
		if len(b) < 3 {
			continue
		}
		if q := Inside(m.Dir, b); q != nil && in.inside[m.Dir] == nil {
			in.inside[m.Dir] = q
			return Verdict{Kind: KindSocket, Score: 80, Why: "a message is the beginning of SSH, TLS, HTTP or another protocol that needs no WebSocket"}, true
		}
	}
	return Verdict{}, false
}
