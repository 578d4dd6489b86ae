package dissect

import "weir/wire"

// DNS is the Domain Name System over UDP, RFC 1035.
var DNS = Protocol{Name: "dns", Carrier: Datagram, Ports: []uint16{53}, Probe: probeDNS, Fields: dnsFields, New: newDNS}

// DNSTCP is the Domain Name System over TCP, RFC 1035 section 4.2.2.
var DNSTCP = Protocol{Name: "dns", Carrier: Stream, Ports: []uint16{53}, Probe: probeDNS, Fields: dnsFields, New: newDNS}

var dnsFields = []FieldSpec{{Name: "dns.query", EVE: "queries.rrname"}}

func probeDNS(dir wire.Dir, head []byte) Guess { return No }

func newDNS(p *Protocol, env *Env) Dissector { return &dns{p: p} }

type dns struct{ p *Protocol }

func (d *dns) Feed(dir wire.Dir, data []byte, emit func(*Message)) (Progress, error) {
	return Progress{Used: len(data)}, nil
}
func (d *dns) Gap(dir wire.Dir, n int, emit func(*Message)) bool { return false }
func (d *dns) Close(dir wire.Dir, emit func(*Message))           {}
