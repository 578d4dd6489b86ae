package engine

import (
	"slices"

	"weir/dissect"
	"weir/wire"
)

// protocols is a set of them: bit i stands for dissect.Protocols[i].
type protocols [4]uint64

// maxProtocols is how many a set has room for.
const maxProtocols = 64 * len(protocols{})

func (s *protocols) has(i uint8) bool { return s[i/64]>>(i%64)&1 != 0 }
func (s *protocols) add(i uint8)      { s[i/64] |= 1 << (i % 64) }
func (s *protocols) drop(i uint8)     { s[i/64] &^= 1 << (i % 64) }
func (s *protocols) empty() bool      { return *s == protocols{} }

func (s *protocols) without(o *protocols) {
	for i := range s {
		s[i] &^= o[i]
	}
}

// opened takes out what does not begin as head does.
func (s *protocols) opened(dir wire.Dir, head []byte) {
	for _, i := range midway {
		if s.has(i) && !dissect.Protocols[i].Opens(dir, head) {
			s.drop(i)
		}
	}
}

// midway are the protocols whose probes take what is picked up midway.
var midway = func() (out []uint8) {
	for i, p := range dissect.Protocols {
		if p.Opens != nil {
			out = append(out, uint8(i))
		}
	}
	return out
}()

// candidates are the protocols that a flow over carrier may be.
func candidates(c dissect.Carrier) protocols { return carried[c].set }

// carried has the protocols over each carrier, in the order in which they are asked.
var carried = func() (out [dissect.Carriers]struct {
	set  protocols
	list []uint8
}) {
	if len(dissect.Protocols) > maxProtocols {
		panic("engine: more protocols than a set has room for")
	}
	for c := range out {
		for i, p := range dissect.Protocols {
			if p.Carrier&dissect.Carrier(c) != 0 && p.Probe != nil {
				out[c].set.add(uint8(i))
				out[c].list = append(out[c].list, uint8(i))
			}
		}
	}
	return out
}()

// carrierOf returns what carries the application's bytes in packets of an IP protocol; 0: they are inspected raw.
func carrierOf(proto uint8) dissect.Carrier {
	switch proto {
	case wire.ProtoTCP:
		return dissect.Stream
	case wire.ProtoUDP:
		return dissect.Datagram
	case wire.ProtoICMP:
		return dissect.ICMPv4
	case wire.ProtoICMPv6:
		return dissect.ICMP6
	}
	return 0
}

// hinted has the protocols that use a port.
var hinted = func() map[uint16][]uint8 {
	out := map[uint16][]uint8{}
	for i, p := range dissect.Protocols {
		for _, port := range p.Ports {
			out[port] = append(out[port], uint8(i))
		}
	}
	return out
}()

// identify asks the probes of the protocols still alive what head is, those first that use one of the ports. It returns
// the protocol whose probe says Yes, or nil and whether any still may.
func identify(alive *protocols, c dissect.Carrier, dir wire.Dir, head []byte, a, b uint16) (found *dissect.Protocol, maybe bool) {
	if len(head) > dissect.MaxProbe {
		head = head[:dissect.MaxProbe]
	}
	var asked protocols
	for _, list := range [...][]uint8{hinted[a], hinted[b], carried[c].list} {
		for _, i := range list {
			if !alive.has(i) || asked.has(i) {
				continue
			}
			asked.add(i)
			switch p := dissect.Protocols[i]; p.Probe(dir, head) {
			case dissect.Yes:
				return p, false
			case dissect.No:
				alive.drop(i)
			case dissect.Maybe:
				maybe = true
			}
		}
	}
	return nil, maybe && len(head) < dissect.MaxProbe
}

// index returns the place of p in dissect.Protocols.
func index(p *dissect.Protocol) uint8 { return uint8(slices.Index(dissect.Protocols, p)) }
