// Package tunnel finds conversations that carry another one inside, by what is said and how: names in DNS that are no names, pings whose
// answers differ, shells in clear text, protocols inside of others. It is pure: what it knows comes from messages and packets, and time
// from their frames. It parses no protocol and tells nobody: a Verdict is for the engine.
//
// All state is bounded: a Watch has a fixed number of domains and of pairs of hosts, and keeps those that look worst.
package tunnel

import (
	"strings"

	"weir/dissect"
)

// Kind is a kind of tunnel. Its name is the rule of its alerts.
type Kind uint8

const (
	KindDNS     Kind = iota // data in names and records
	KindICMP                // data in echo requests and replies
	KindHTTP                // another protocol in bodies, or a known tool's marks
	KindConnect             // HTTP CONNECT or Upgrade into what lets somebody in
	KindSocket              // another protocol in a WebSocket
	KindShell               // a shell in clear text
	KindIP                  // IP packets in what is no encapsulation
	KindOptions             // data in options of IPv6
)

// Kinds names every kind: the rule's id, what an alert of it says, and the technique of MITRE ATT&CK that it is.
var Kinds = [...]struct{ Rule, Title, Technique string }{
	KindDNS:     {"tunnel.dns", "DNS carries data in names and records", "T1071.004"},
	KindICMP:    {"tunnel.icmp", "Pings carry data", "T1095"},
	KindHTTP:    {"tunnel.http", "HTTP carries another protocol in its bodies", "T1572"},
	KindConnect: {"tunnel.connect", "An HTTP proxy connection carries what lets somebody in", "T1090"},
	KindSocket:  {"tunnel.websocket", "A WebSocket carries another protocol", "T1572"},
	KindShell:   {"tunnel.shell", "A shell in clear text", "T1059"},
	KindIP:      {"tunnel.ip", "IP packets inside of another protocol", "T1572"},
	KindOptions: {"tunnel.ipv6_options", "Options of IPv6 carry data", "T1095"},
}

// Threshold is the score from which on a suspicion is a verdict.
const Threshold = 60 // percent

// Verdict is a tunnel that was found.
type Verdict struct {
	Kind  Kind
	Score int    // percent, at least Threshold
	Why   string // the reasons, for people; never bytes from the wire
	Again bool   // it was found before, not long ago: this belongs to it, and Why is empty
}

// points collects reasons and what they weigh. It allocates nothing: Verdict does.
type points struct {
	score   int
	reasons [8]string
	n       int
}

func (p *points) add(score int, reason string) {
	p.score += score
	if p.n < len(p.reasons) {
		p.reasons[p.n] = reason
		p.n++
	}
}

func (p *points) verdict(k Kind) (Verdict, bool) {
	if p.score < Threshold {
		return Verdict{}, false
	}
	return Verdict{Kind: k, Score: min(p.score, 99), Why: strings.Join(p.reasons[:p.n], "; ")}, true
}

// Wants reports whether a field is looked at: dissectors tell only what somebody asks for.
func Wants(field string) bool {
	switch field {
	case "dns.flags", "dns.query", "dns.question", "dns.type", "dns.answer", "dns.answer.type", "dns.rdata",
		"http.request.header", "http.request.body", "http.response.body", "http.uri":
		return true
	}
	return strings.HasPrefix(field, "websocket.")
}

// fieldsOf returns which of names each field of p is, from 1 on; 0: none.
func fieldsOf(p *dissect.Protocol, names ...string) (out [256]uint8) {
	for i, f := range p.Fields {
		for n, name := range names {
			if f.Name == name {
				out[i] = uint8(n + 1)
			}
		}
	}
	return out
}
