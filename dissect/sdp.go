package dissect

import (
	"bytes"
	"net/netip"

	"weir/wire"
)

// announce announces the flows of media that an SDP body (RFC 8866) tells of: those at the port of a media description, and at the one behind it
// for what is told of them (RFC 3550 section 11).
func (d *sip) announce(t *teller, b []byte) {
	if !bytes.HasPrefix(b, []byte("v=0")) {
		return
	}
	var all, here netip.Addr
	port, count := 0, 0
	flush := func() {
		if at := here; port > 0 && count < sipMaxMedia {
			if !at.IsValid() {
				at = all
			}
			if at.IsValid() && !at.IsUnspecified() {
				count++
				t.expect(Expectation{Protocol: &RTPAnnounced, Addr: at, Port: uint16(port)})
				t.expect(Expectation{Protocol: &RTPAnnounced, Addr: at, Port: uint16(port + 1)})
			}
		}
		port, here = 0, netip.Addr{}
	}
	media := false
	for len(b) > 0 {
		var line []byte
		line, b, _ = bytes.Cut(b, []byte("\n"))
		line = bytes.TrimRight(line, "\r")
		switch {
		case bytes.HasPrefix(line, []byte("m=")):
			flush()
			media = true
			f := bytes.Fields(line[2:])
			if len(f) > 2 && bytes.Contains(f[2], []byte("RTP")) {
				port = min(sipNumber(f[1]), 1<<16-2)
			}
		case bytes.HasPrefix(line, []byte("c=IN IP")):
			if f := bytes.Fields(line[2:]); len(f) > 2 {
				v, _, _ := bytes.Cut(f[2], []byte("/"))
				if addr, err := netip.ParseAddr(string(v)); err == nil && addr.Zone() == "" {
					if media {
						here = addr
					} else {
						all = addr
					}
				}
			}
		}
	}
	flush()
}

// transport announces the flows of RTSP's header Transport, as "RTP/AVP;unicast;client_port=4588-4589;server_port=6256-6257": they are between the
// same addresses.
func (d *sip) transport(t *teller, dir wire.Dir, v []byte) {
	if !bytes.HasPrefix(v, []byte("RTP/")) {
		return
	}
	count := 0
	for len(v) > 0 && count < sipMaxMedia {
		var part []byte
		part, v, _ = bytes.Cut(v, []byte(";"))
		key, ports, _ := bytes.Cut(part, []byte("="))
		side := dir
		switch string(key) {
		case "client_port":
			side = wire.ToServer
		case "server_port":
			side = wire.ToClient
		default:
			continue
		}
		first, last, _ := bytes.Cut(ports, []byte("-"))
		for _, p := range [][]byte{first, last} {
			if n := sipNumber(p); n > 0 && n < 1<<16 {
				count++
				t.expect(Expectation{Protocol: &RTPAnnounced, Side: side, Port: uint16(n)})
			}
		}
	}
}
