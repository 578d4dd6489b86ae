package weir_test

import (
	"encoding/binary"
	"fmt"
	"net"
	"strconv"
	"strings"
	"testing"

	"github.com/google/gopacket"
	"github.com/google/gopacket/layers"
)

// A dialogue is a conversation written as text, one line an action; testdata/cases/README.md has the language. It is
// played into frames in several ways, and must be understood equally in all of them.
type dialogue struct {
	udp         bool
	client, srv uint16
	noHandshake bool
	synData     string
	actions     []action
	onlyWhole   bool   // cutting it up would change what it says
	not         string // a way that cannot be understood by anybody
}

type action struct {
	kind   string // data, gap, ack, rst, fin, syn, badsum, old, decoy, ahead, close
	client bool
	data   string
	n      int
}

func parseDialogue(text string) (*dialogue, error) {
	d := &dialogue{client: 40000, srv: 80}
	for i, line := range strings.Split(text, "\n") {
		if strings.TrimSpace(line) == "" || strings.HasPrefix(line, "#") {
			continue
		}
		if err := d.line(line); err != nil {
			return nil, fmt.Errorf("line %d: %w", i+1, err)
		}
	}
	return d, nil
}

func (d *dialogue) line(line string) error {
	word, rest, _ := strings.Cut(line, " ")
	switch word {
	case ">", "<":
		data, err := unescape(rest)
		d.actions = append(d.actions, action{kind: "data", client: word == ">", data: data})
		return err
	case "tcp", "udp":
		d.udp = word == "udp"
		_, err := fmt.Sscanf(rest, "%d %d", &d.client, &d.srv)
		return err
	case "nosyn":
		d.noHandshake = true
		return nil
	case "whole":
		d.onlyWhole = true
		return nil
	case "not":
		d.not = rest
		return nil
	case "syndata":
		var err error
		d.synData, err = unescape(rest)
		return err
	}
	side, arg, _ := strings.Cut(rest, " ")
	if side != ">" && side != "<" {
		return fmt.Errorf("%q: want > or < after %s", line, word)
	}
	a := action{kind: word, client: side == ">"}
	var err error
	switch word {
	case "gap", "ack", "rst", "fin", "syn":
		a.n, err = strconv.Atoi(strings.TrimSpace(arg))
	case "badsum", "old", "decoy", "urg":
		a.data, err = unescape(arg)
	case "ahead":
		num, text, _ := strings.Cut(arg, " ")
		if a.n, err = strconv.Atoi(num); err == nil {
			a.data, err = unescape(text)
		}
	case "close":
	default:
		return fmt.Errorf("%q: unknown action", word)
	}
	d.actions = append(d.actions, a)
	return err
}

// unescape reads Go escapes; *N after a quoted piece repeats it: "A"*70000.
func unescape(s string) (string, error) {
	if q, times, ok := strings.Cut(s, "\"*"); ok && strings.HasPrefix(q, "\"") {
		n, err := strconv.Atoi(times)
		if err != nil {
			return "", err
		}
		one, err := strconv.Unquote(q + "\"")
		return strings.Repeat(one, n), err
	}
	return strconv.Unquote("\"" + strings.ReplaceAll(s, "\"", "\\\"") + "\"")
}

// way is one way to play a dialogue.
type way struct {
	name     string
	size     int // bytes per segment; 0: a segment a line
	reversed bool
	twice    bool
	isn      uint32
}

var ways = []way{
	{name: "whole", isn: 1000},
	{name: "bytes", size: 1, isn: 1000},
	{name: "halves", size: -2, isn: 1000},
	{name: "reversed", size: 7, reversed: true, isn: 1000},
	{name: "duplicated", size: 11, twice: true, isn: 1000},
	{name: "wrap", size: 5, isn: 0xffffffff - 40},
}

// wrapping is one way to carry the packets.
type wrapping struct {
	name string
	v6   bool
	put  func(t testing.TB, p ipPacket) [][]byte // frames
}

type ipPacket struct {
	v6        bool
	toServer  bool
	transport []gopacket.SerializableLayer
	id        uint16
}

func wrappings() (out []wrapping) {
	for _, v6 := range []bool{false, true} {
		v := "v4"
		if v6 {
			v = "v6"
		}
		for _, w := range []wrapping{
			{name: "plain", put: func(t testing.TB, p ipPacket) [][]byte { return [][]byte{ether(t, p, nil)} }},
			{name: "vlan", put: func(t testing.TB, p ipPacket) [][]byte { return [][]byte{ether(t, p, []uint16{42})} }},
			{name: "qinq", put: func(t testing.TB, p ipPacket) [][]byte { return [][]byte{ether(t, p, []uint16{100, 42})} }},
			{name: "vxlan", put: func(t testing.TB, p ipPacket) [][]byte { return [][]byte{vxlan(t, p)} }},
			{name: "gre", put: func(t testing.TB, p ipPacket) [][]byte { return [][]byte{gre(t, p)} }},
			{name: "fragments", put: fragments},
		} {
			w.name += "/" + v
			w.v6 = v6
			out = append(out, w)
		}
	}
	return out
}

var (
	macClient = net.HardwareAddr{2, 0, 0, 0, 0, 1}
	macServer = net.HardwareAddr{2, 0, 0, 0, 0, 2}
)

func ends(p ipPacket) (ip gopacket.SerializableLayer, network gopacket.NetworkLayer, typ layers.EthernetType, proto layers.IPProtocol) {
	proto = layers.IPProtocolTCP
	if _, ok := p.transport[0].(*layers.UDP); ok {
		proto = layers.IPProtocolUDP
	}
	if p.v6 {
		l := &layers.IPv6{Version: 6, HopLimit: 64, NextHeader: proto,
			SrcIP: net.ParseIP("fd00::1"), DstIP: net.ParseIP("fd00::2")}
		if !p.toServer {
			l.SrcIP, l.DstIP = l.DstIP, l.SrcIP
		}
		return l, l, layers.EthernetTypeIPv6, proto
	}
	l := &layers.IPv4{Version: 4, TTL: 64, Protocol: proto, Id: p.id,
		SrcIP: net.IP{10, 1, 0, 1}, DstIP: net.IP{10, 1, 0, 2}}
	if !p.toServer {
		l.SrcIP, l.DstIP = l.DstIP, l.SrcIP
	}
	return l, l, layers.EthernetTypeIPv4, proto
}

func serialize(t testing.TB, ls ...gopacket.SerializableLayer) []byte {
	t.Helper()
	buf := gopacket.NewSerializeBuffer()
	if err := gopacket.SerializeLayers(buf, gopacket.SerializeOptions{FixLengths: true, ComputeChecksums: true}, ls...); err != nil {
		t.Fatal(err)
	}
	return append([]byte(nil), buf.Bytes()...)
}

// datagram is the IP datagram of p.
func datagram(t testing.TB, p ipPacket) ([]byte, layers.EthernetType) {
	ip, network, typ, _ := ends(p)
	bad := false
	switch l := p.transport[0].(type) {
	case *layers.TCP:
		l.SetNetworkLayerForChecksum(network)
		bad = l.Checksum != 0
	case *layers.UDP:
		l.SetNetworkLayerForChecksum(network)
	}
	b := serialize(t, append([]gopacket.SerializableLayer{ip}, p.transport...)...)
	if bad {
		at := 20 + 16
		if p.v6 {
			at = 40 + 16
		}
		b[at] ^= 0x5a
	}
	return b, typ
}

func ether(t testing.TB, p ipPacket, tags []uint16) []byte {
	b, typ := datagram(t, p)
	return etherOf(t, b, typ, p.toServer, tags)
}

func etherOf(t testing.TB, b []byte, typ layers.EthernetType, toServer bool, tags []uint16) []byte {
	eth := &layers.Ethernet{SrcMAC: macClient, DstMAC: macServer, EthernetType: typ}
	if !toServer {
		eth.SrcMAC, eth.DstMAC = eth.DstMAC, eth.SrcMAC
	}
	ls := []gopacket.SerializableLayer{eth}
	for i, id := range tags {
		eth.EthernetType = layers.EthernetTypeDot1Q
		if len(tags) > 1 {
			eth.EthernetType = layers.EthernetTypeQinQ
		}
		next := typ
		if i < len(tags)-1 {
			next = layers.EthernetTypeDot1Q
		}
		ls = append(ls, &layers.Dot1Q{VLANIdentifier: id, Type: next})
	}
	return serialize(t, append(ls, gopacket.Payload(b))...)
}

func outer(toServer bool, proto layers.IPProtocol) *layers.IPv4 {
	l := &layers.IPv4{Version: 4, TTL: 64, Protocol: proto, SrcIP: net.IP{192, 0, 2, 1}, DstIP: net.IP{192, 0, 2, 2}}
	if !toServer {
		l.SrcIP, l.DstIP = l.DstIP, l.SrcIP
	}
	return l
}

func vxlan(t testing.TB, p ipPacket) []byte {
	ip := outer(p.toServer, layers.IPProtocolUDP)
	udp := &layers.UDP{SrcPort: 50000, DstPort: 4789}
	udp.SetNetworkLayerForChecksum(ip)
	b := serialize(t, ip, udp, &layers.VXLAN{ValidIDFlag: true, VNI: 77}, gopacket.Payload(ether(t, p, nil)))
	return etherOf(t, b, layers.EthernetTypeIPv4, p.toServer, nil)
}

func gre(t testing.TB, p ipPacket) []byte {
	inner, typ := datagram(t, p)
	b := serialize(t, outer(p.toServer, layers.IPProtocolGRE), &layers.GRE{Protocol: typ}, gopacket.Payload(inner))
	return etherOf(t, b, layers.EthernetTypeIPv4, p.toServer, nil)
}

// fragments cuts the datagram into pieces of 24 bytes, sent last first.
func fragments(t testing.TB, p ipPacket) (frames [][]byte) {
	const piece = 24 // bytes; a multiple of 8
	b, typ := datagram(t, p)
	head := 20
	if p.v6 {
		head = 40
	}
	body := b[head:]
	if len(body) <= piece {
		return [][]byte{etherOf(t, b, typ, p.toServer, nil)}
	}
	step := piece
	if len(body) > 4000 {
		step = 1200
	}
	for off := 0; off < len(body); off += step {
		part := body[off:min(off+step, len(body))]
		more := off+step < len(body)
		frames = append([][]byte{etherOf(t, fragment(b[:head], part, off, more, p), typ, p.toServer, nil)}, frames...)
	}
	return frames
}

func fragment(head, part []byte, off int, more bool, p ipPacket) []byte {
	out := append([]byte(nil), head...)
	if p.v6 {
		ext := make([]byte, 8)
		ext[0] = out[6]
		out[6] = 44
		v := uint16(off)
		if more {
			v |= 1
		}
		binary.BigEndian.PutUint16(ext[2:], v)
		binary.BigEndian.PutUint32(ext[4:], uint32(p.id)+7)
		binary.BigEndian.PutUint16(out[4:], uint16(8+len(part)))
		return append(append(out, ext...), part...)
	}
	v := uint16(off / 8)
	if more {
		v |= 0x2000
	}
	binary.BigEndian.PutUint16(out[2:], uint16(len(out)+len(part)))
	binary.BigEndian.PutUint16(out[6:], v)
	out[10], out[11] = 0, 0
	sum := uint32(0)
	for i := 0; i < len(out); i += 2 {
		sum += uint32(binary.BigEndian.Uint16(out[i:]))
	}
	for sum > 0xffff {
		sum = sum>>16 + sum&0xffff
	}
	binary.BigEndian.PutUint16(out[10:], ^uint16(sum))
	return append(out, part...)
}
