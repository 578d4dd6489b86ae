package dissect

import (
	"bytes"
	"errors"
	"net/netip"
	"strconv"

	"weir/wire"
)

// Proxy is the header that a load balancer puts before a connection.
var Proxy = Protocol{
	Name: "proxy",
	About: "The PROXY protocol 1 and 2 (HAProxy): what a load balancer says of the client before the client's own bytes. It is an exchange with an event `proxy`; " +
		"what comes behind it is looked at anew.",
	Carrier: Stream,
	Probe:   probeProxy,
	Fields: []FieldSpec{
		proxyVersion: {Name: "proxy.version", Doc: "1 or 2", EVE: "version", Number: true, Derived: true},
		proxyCommand: {Name: "proxy.command", Doc: "`proxy`, or `local` of the balancer's own connection", EVE: "command", Derived: true},
		proxySrcIP:   {Name: "proxy.src_ip", Doc: "address of the client", EVE: "src_ip", Derived: true},
		proxySrcPort: {Name: "proxy.src_port", Doc: "its port", EVE: "src_port", Number: true, Derived: true},
		proxyDstIP:   {Name: "proxy.dest_ip", Doc: "address that the client connected to", EVE: "dest_ip", Derived: true},
		proxyDstPort: {Name: "proxy.dest_port", Doc: "its port", EVE: "dest_port", Number: true, Derived: true},
		proxyHost:    {Name: "proxy.authority", Doc: "name of the host that the client asked for", EVE: "authority", Derived: true},
		proxyHeader:  {Name: "proxy.header", Doc: "the line of version 1; of version 2 what follows its length"},
	},
	New: func(p *Protocol, env *Env) Dissector { return &proxy{chat: chat{p: p, env: env, lastTx: 1}} },
}

// Fields of Proxy, in the order of Proxy.Fields.
const (
	proxyVersion Field = iota
	proxyCommand
	proxySrcIP
	proxySrcPort
	proxyDstIP
	proxyDstPort
	proxyHost
	proxyHeader
)

// from the specification
const (
	proxyLine      = 107 // bytes of the longest line of version 1
	proxySignature = "\r\n\r\n\x00\r\nQUIT\n"
	proxyHead      = 16   // bytes of version 2 up to the addresses
	proxyAuthority = 0x02 // type of what may follow these
)

var errProxy = errors.New("proxy: not a header")

// probeProxy says Yes to the header's beginning: version 1 has a whole word and a family, version 2 twelve bytes that nobody else sends.
func probeProxy(dir wire.Dir, head []byte) Guess {
	if dir != wire.ToServer {
		return No
	}
	guess := No
	for _, start := range []string{"PROXY TCP4 ", "PROXY TCP6 ", "PROXY UNKNOWN", proxySignature} {
		n := min(len(head), len(start))
		if string(head[:n]) != start[:n] {
			continue
		}
		if n == len(start) {
			return Yes
		}
		guess = Maybe
	}
	return guess
}

type proxy struct {
	chat
	over bool
}

// Feed implements Dissector.
func (d *proxy) Feed(dir wire.Dir, data []byte, emit func(*Message)) (Progress, error) {
	if len(data) == 0 {
		return Progress{}, nil
	}
	if dir == wire.ToClient || d.over {
		return Progress{}, errProxy
	}
	if data[0] == 'P' {
		return d.line(data, emit)
	}
	return d.binary(data, emit)
}

// line reads a header of version 1.
func (d *proxy) line(data []byte, emit func(*Message)) (Progress, error) {
	end := bytes.Index(data[:min(len(data), proxyLine)], []byte("\r\n"))
	if end < 0 {
		if len(data) >= proxyLine {
			return Progress{}, errProxy
		}
		return Progress{Need: 1}, nil
	}
	words := bytes.Split(data[:end], []byte(" "))
	t := d.message(wire.ToServer, 1, emit)
	t.number(proxyVersion, 1)
	t.addString(proxyCommand, "proxy")
	if len(words) == 6 && string(words[1]) != "UNKNOWN" {
		src, err1 := netip.ParseAddr(string(words[2]))
		dst, err2 := netip.ParseAddr(string(words[3]))
		sport, err3 := strconv.ParseUint(string(words[4]), 10, 16)
		dport, err4 := strconv.ParseUint(string(words[5]), 10, 16)
		if errors.Join(err1, err2, err3, err4) == nil {
			d.ends(t, netip.AddrPortFrom(src, uint16(sport)), netip.AddrPortFrom(dst, uint16(dport)))
		}
	}
	t.add(proxyHeader, data[:end])
	d.done(emit)
	return Progress{Used: end + 2}, nil
}

// binary reads a header of version 2.
func (d *proxy) binary(data []byte, emit func(*Message)) (Progress, error) {
	c := wire.Cut(data)
	signature, version, family, size := c.Bytes(len(proxySignature)), c.U8(), c.U8(), c.U16()
	if c.Short() {
		return Progress{Need: proxyHead - len(data)}, nil
	}
	if string(signature) != proxySignature || version>>4 != 2 || version&15 > 1 {
		return Progress{}, errProxy
	}
	body := c.Bytes(int(size))
	if c.Short() {
		return Progress{Need: proxyHead + int(size) - len(data)}, nil
	}
	t := d.message(wire.ToServer, 1, emit)
	t.number(proxyVersion, 2)
	t.addString(proxyCommand, [...]string{"local", "proxy"}[version&1])
	rest := wire.Cut(body)
	n := map[uint8]int{1: 4, 2: 16}[family>>4] // bytes of an address
	if src, dst := rest.Bytes(n), rest.Bytes(n); n > 0 {
		sport, dport := rest.U16(), rest.U16()
		if a, ok := netip.AddrFromSlice(src); ok && !rest.Short() {
			b, _ := netip.AddrFromSlice(dst)
			d.ends(t, netip.AddrPortFrom(a, sport), netip.AddrPortFrom(b, dport))
		}
	} else if family>>4 == 3 { // two paths of sockets
		rest.Skip(216)
	}
	for rest.Len() > 0 && !rest.Short() {
		typ := rest.U8()
		value := rest.Bytes(int(rest.U16()))
		if typ == proxyAuthority && !rest.Short() {
			t.add(proxyHost, value)
		}
	}
	t.add(proxyHeader, body)
	d.done(emit)
	return Progress{Used: proxyHead + int(size)}, nil
}

func (d *proxy) ends(t *teller, src, dst netip.AddrPort) {
	t.addString(proxySrcIP, src.Addr().String())
	t.number(proxySrcPort, int64(src.Port()))
	t.addString(proxyDstIP, dst.Addr().String())
	t.number(proxyDstPort, int64(dst.Port()))
}

func (d *proxy) done(emit func(*Message)) {
	d.over = true
	d.upgrade(wire.ToServer, emit)
}

// Gap implements Dissector.
func (d *proxy) Gap(dir wire.Dir, n int, emit func(*Message)) bool { return false }

// Close implements Dissector.
func (d *proxy) Close(dir wire.Dir, emit func(*Message)) {}

// Rest implements Dissector.
func (d *proxy) Rest() (Rest, bool) { return Rest{}, false }

// Size implements Dissector.
func (d *proxy) Size() int { return 96 }
