package dissect

import (
	"bytes"

	"weir/wire"
)

// DNSCrypt is named by the question for a resolver's certificate, and by what encrypted answers begin with.
var DNSCrypt = Protocol{
	Name: "dnscrypt",
	About: "DNSCrypt version 2. The question for a resolver's certificate, and the answer, are understood as DNS and have events `dns`; what is " +
		"encrypted is not looked into.",
	Event: "dns", Carrier: Datagram, Probe: probeDNSCrypt, Fields: dnsFields, PerMessage: true, New: newDNS, Resume: resumeDNS,
}

// probeDNSCrypt says Yes to a message about "2.dnscrypt-cert" and whatever follows that.
func probeDNSCrypt(dir wire.Dir, head []byte) Guess {
	const name, name2 = "\x012\x0ddnscrypt-cert", "\x012\x09securedns\x05avast"
	if len(head) < 12+len(name)+5 {
		return No
	}
	q := head[12:]
	return yes(u16be(head[4:]) == 1 && (bytes.EqualFold(q[:len(name)], []byte(name)) || bytes.EqualFold(q[:len(name2)], []byte(name2))) && dnsLooks(head))
}

// Stratum is what miners of currencies speak with their pools: JSON-RPC, more or less.
var Stratum = Protocol{
	Name:  "stratum",
	About: "Stratum, between miners of currencies and their pools, in several dialects. Each object has an event `json-rpc` of its own.",
	Event: "json-rpc", Carrier: Stream, Ports: []uint16{3333, 4444}, Probe: probeStratum, Fields: jsonRPCFields, PerMessage: true, New: newJSONRPC,
}

// probeStratum says Yes to an object with one of the methods that only miners and pools have.
func probeStratum(_ wire.Dir, head []byte) Guess {
	if head[0] != '{' {
		return No
	}
	head = head[:min(len(head), jsonRPCPeek)]
	line, _, whole := bytes.Cut(head, []byte("\n"))
	for _, method := range []string{`"mining.`, `"eth_submitLogin"`, `"eth_getWork"`, `"eth_submitHashrate"`} {
		if bytes.Contains(line, []byte(method)) {
			return Yes
		}
	}
	if bytes.Contains(line, []byte(`"login"`)) && bytes.Contains(line, []byte(`"pass"`)) && bytes.Contains(line, []byte(`"agent"`)) {
		return Yes
	}
	if whole || len(head) == jsonRPCPeek {
		return No
	}
	return Maybe
}
