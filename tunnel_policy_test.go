package weir_test

import (
	"encoding/binary"
	"net"
	"strings"
	"testing"

	"github.com/google/gopacket"
	"github.com/google/gopacket/layers"
)

// into puts a datagram into a tunnel between the tunnels' ends.
type into func(t testing.TB, b []byte, toServer bool) []byte

func tunnelEnds(toServer, v6 bool, proto layers.IPProtocol) gopacket.SerializableLayer {
	if !v6 {
		return outer(toServer, proto)
	}
	l := &layers.IPv6{Version: 6, HopLimit: 64, NextHeader: proto, SrcIP: net.ParseIP("2001:db8::1"), DstIP: net.ParseIP("2001:db8::2")}
	if !toServer {
		l.SrcIP, l.DstIP = l.DstIP, l.SrcIP
	}
	return l
}

func typeOf(b []byte) layers.EthernetType {
	if b[0]>>4 == 6 {
		return layers.EthernetTypeIPv6
	}
	return layers.EthernetTypeIPv4
}

func intoGRE(v6 bool) into {
	return func(t testing.TB, b []byte, toServer bool) []byte {
		return serialize(t, tunnelEnds(toServer, v6, layers.IPProtocolGRE), &layers.GRE{Protocol: typeOf(b)}, gopacket.Payload(b))
	}
}

func intoIP(v6 bool) into {
	return func(t testing.TB, b []byte, toServer bool) []byte {
		proto := layers.IPProtocolIPv4
		if b[0]>>4 == 6 {
			proto = layers.IPProtocolIPv6
		}
		return serialize(t, tunnelEnds(toServer, v6, proto), gopacket.Payload(b))
	}
}

// intoUDP puts a datagram behind a header, in a datagram to a port.
func intoUDP(v6 bool, port uint16, head func(t testing.TB, b []byte) []byte) into {
	return func(t testing.TB, b []byte, toServer bool) []byte {
		ip := tunnelEnds(toServer, v6, layers.IPProtocolUDP)
		udp := &layers.UDP{SrcPort: 50000, DstPort: layers.UDPPort(port)}
		if !toServer {
			udp.SrcPort, udp.DstPort = udp.DstPort, udp.SrcPort
		}
		udp.SetNetworkLayerForChecksum(ip.(gopacket.NetworkLayer))
		return serialize(t, ip, udp, gopacket.Payload(append(head(t, b), b...)))
	}
}

func frameHead(t testing.TB, b []byte) []byte {
	return serialize(t, &layers.Ethernet{SrcMAC: macClient, DstMAC: macServer, EthernetType: typeOf(b)})[:14]
}

func vxlanHead(t testing.TB, b []byte) []byte {
	return append([]byte("\x08\x00\x00\x00\x00\x00\x4d\x00"), frameHead(t, b)...)
}
func capwapHead(t testing.TB, b []byte) []byte {
	return append([]byte("\x00\x10\x02\x00\x00\x00\x00\x00"), frameHead(t, b)...)
}
func geneveHead(t testing.TB, b []byte) []byte {
	return append([]byte("\x00\x00\x65\x58\x00\x00\x4d\x00"), frameHead(t, b)...)
}
func gtpHead(_ testing.TB, b []byte) []byte {
	return binary.BigEndian.AppendUint16([]byte{0x30, 0xff}, uint16(len(b)))[:4:4]
}

// tunnels are ways to carry packets, with the protocol and the port that a rule names.
var tunnels = []struct {
	name, protocol, port string
	put                  into
}{
	{"gre", "gre", "gre", intoGRE(false)},
	{"gre over IPv6", "gre", "gre", intoGRE(true)},
	{"IP in IP", "ipip", "", intoIP(false)},
	{"IP in IPv6", "ipip", "", intoIP(true)},
	{"vxlan", "vxlan", "udp/4789", intoUDP(false, 4789, vxlanHead)},
	{"vxlan over IPv6", "vxlan", "udp/4789", intoUDP(true, 4789, vxlanHead)},
	{"vxlan on another port", "vxlan", "udp/53", intoUDP(false, 53, vxlanHead)},
	{"geneve", "geneve", "udp/6081", intoUDP(false, 6081, geneveHead)},
	{"gtp", "gtp", "udp/2152", intoUDP(false, 2152, func(t testing.TB, b []byte) []byte { return append(gtpHead(t, b), 0, 0, 0, 7) })},
	{"capwap", "capwap", "udp/5247", intoUDP(false, 5247, capwapHead)},
}

// carried plays a dialogue through tunnels, the first one inside of the others.
func carried(t *testing.T, text string, v6 bool, ways ...into) (frames [][]byte) {
	d, err := parseDialogue(text)
	if err != nil {
		t.Fatal(err)
	}
	w := wrapping{v6: v6, put: func(t testing.TB, p ipPacket) [][]byte {
		b, _ := datagram(t, p)
		for _, put := range ways {
			b = put(t, b, p.toServer)
		}
		return [][]byte{etherOf(t, b, typeOf(b), p.toServer, nil)}
	}}
	return play(t, d, way{name: "whole", isn: 1000}, w)
}

const carriedRequest = "tcp 40000 80\n> GET /ok HTTP/1.1\\r\\nHost: a\\r\\n\\r\\n\n< HTTP/1.1 204 No Content\\r\\n\\r\\n\n"

// TestTunnels: what carries packets is judged for itself, and so is what is inside: all must be allowed.
func TestTunnels(t *testing.T) {
	const protect, inner = "[modes]\ndefault = \"protect\"\n", "[[policy]]\nid = \"pages\"\nports = [\"tcp/80\"]\nprotocol = \"http\"\nwhere = { \"http.path\" = [\"/ok\"] }\naction = \"allow\"\n"
	rule := func(id, protocol, port, action string) string {
		text := "[[policy]]\nid = \"" + id + "\"\nprotocol = \"" + protocol + "\"\naction = \"" + action + "\"\n"
		if port != "" {
			text += "ports = [\"" + port + "\"]\n"
		}
		return text
	}
	for _, v6 := range []bool{false, true} {
		for _, x := range tunnels {
			name := x.name + ", IPv4 inside"
			if v6 {
				name = x.name + ", IPv6 inside"
			}
			t.Run(name, func(t *testing.T) {
				tunnel := rule("tunnel", x.protocol, x.port, "allow")
				frames := carried(t, carriedRequest, v6, x.put)
				for _, c := range []struct {
					what, policy string
					passes       bool
				}{
					{"both are allowed", inner + tunnel, true},
					{"a new tunnel", inner, false},
					{"a new conversation inside", tunnel, false},
					{"a new path inside", tunnel + strings.ReplaceAll(inner, "/ok", "/other"), false},
					{"another tunnel", inner + rule("other", "teredo", "", "allow"), false},
					{"the tunnel is denied", rule("no", x.protocol, "", "deny") + inner + "[[policy]]\nid=\"all\"\naction=\"allow\"\n", false},
					{"anything is allowed", "[[policy]]\nid=\"all\"\naction=\"allow\"\n", true},
				} {
					reached, blocked, cuts := hold(t, &testCase{policy: compilePolicy(t, protect+c.policy)}, frames)
					if passes := strings.Contains(reached, "GET /ok"); passes != c.passes || (cuts == 0) != c.passes || (blocked == 0) != c.passes {
						t.Errorf("%s: reached %q, %d blocked, %d cut", c.what, reached, blocked, cuts)
					}
				}
				text := learnFrom(t, frames)
				reached, blocked, cuts := hold(t, &testCase{policy: compilePolicy(t, protect+text)}, frames)
				if !strings.Contains(reached, "GET /ok") || blocked+cuts > 0 {
					t.Errorf("what was learned is denied, under\n%s", text)
				}
			})
		}
	}
	t.Run("tunnels in tunnels", func(t *testing.T) {
		var ways []into
		for i := range 6 { // as many as are taken off
			ways = append(ways, intoGRE(i%2 == 1))
		}
		ways = append(ways, intoIP(false))
		frames := carried(t, carriedRequest, false, ways...)
		for text, passes := range map[string]bool{
			inner + rule("gre", "gre", "", "allow"):                                         false,
			inner + rule("ipip", "ipip", "", "allow"):                                       false,
			inner + rule("gre", "gre", "", "allow") + rule("ipip", "ipip", "", "allow"):     true,
			inner + rule("gre", "gre", "", "allow") + rule("ipip", "ipip", "ip/41", "deny"): false,
		} {
			if reached, _, cuts := hold(t, &testCase{policy: compilePolicy(t, protect+text)}, frames); strings.Contains(reached, "GET /ok") != passes || (cuts == 0) != passes {
				t.Errorf("under\n%s\nreached %q, %d cut", text, reached, cuts)
			}
		}
	})
}
