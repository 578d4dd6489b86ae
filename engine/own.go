package engine

import (
	"cmp"
	"slices"
	"strings"

	"weir/dissect"
	"weir/rules"
	"weir/tunnel"
)

// OwnRule is a rule that is part of Weir: no file has it, but a file may say what follows from it.
type OwnRule struct {
	ID       string
	Engine   string         // of its alerts
	Severity rules.Severity // likewise
	Is       string         // what it is about
	When     string         // when it raises an alert
	Next     string         // what to do then
}

// OwnRules are all of them, in order of their ids.
var OwnRules = ownRules()

// OwnRuleIDs are their ids.
func OwnRuleIDs() (out []string) {
	for i := range OwnRules {
		out = append(out, OwnRules[i].ID)
	}
	return out
}

func ownRules() []OwnRule {
	out := slices.Clone(conversationRules)
	for i := range tunnel.Kinds {
		k := &tunnel.Kinds[i]
		out = append(out, OwnRule{k.Rule, "threat", rules.High, k.Title, tunnelWhen[i], tunnelNext[i]})
	}
	for _, n := range dissect.Violations() {
		protocol, _, _ := strings.Cut(n.Code, ".")
		out = append(out, OwnRule{"protocol." + n.Code, "protocol", rules.High, n.Detail,
			"a message of " + protocol + " shows it; once for a message, and not where its beginning was not seen, if it cannot be told then", cmp.Or(violationNext[n.Code], violationNext[protocol])})
	}
	slices.SortFunc(out, func(a, b OwnRule) int { return strings.Compare(a.ID, b.ID) })
	return out
}

// conversationRules are those about what a conversation is, and whether it may be.
var conversationRules = []OwnRule{
	{"policy." + RuleDefault, "policy", rules.Medium, "a conversation, or a message in one, that no rule of the policy allows",
		"no [[policy]] matches, and the group of one of its ends is in monitor or protect, which stops it; weir.why names the nearest rule and what differs",
		"if it is meant to be, allow it: weir policy learn proposes, weir policy approve puts that in force; else see who began it, and what else that one says: weir observe --from-pod NAME"},
	{"protocol.changed", "protocol", rules.High, "a conversation that became another protocol midway, and nothing in it announced that",
		"it was certainly one protocol, without CONNECT, Upgrade or STARTTLS, and what follows is certainly another; app_proto_orig says which it was",
		"look at its packets: something hides behind a harmless beginning; see who began it, and where it goes"},
	{"protocol.direction_mismatch", "protocol", rules.High, "the two directions of a conversation speak different protocols",
		"both directions are known, and they do not belong together; app_proto_ts and app_proto_tc say what they are",
		"a client that knocks on the wrong door, a scan, or an attempt to confuse who inspects: see what the client is meant to speak with"},
	{"protocol.port_mismatch", "protocol", rules.High, "a port that promises one protocol and carries another",
		"it carries what lets people in or everything out, as SSH, RDP or SOCKS, on 80, 443 or 53, or anything but DNS on 53; of other such ports it is an anomaly, and an alert too if [protocols] alerts names it",
		"if the setup is meant to be so, allow it by a rule of the policy and switch this one's action off; else somebody goes around a firewall: see who, and where to"},
	{"protocol.unknown", "protocol", rules.High, "a conversation that nobody knows, although enough of it was seen: it is inspected as raw bytes",
		"[protocols] alerts names it, else it is an anomaly; after [protocols] unknown_bytes or unknown_time",
		"look at its packets: something of your own, or something that is encrypted or disguised"},
	{"protocol.wrong_carrier", "protocol", rules.High, "datagrams that begin as a protocol of streams does: SSH",
		"a datagram begins so", "something is made to look like what it is not: see who sends it, and where to"},
}

var tunnelWhen = [...]string{
	tunnel.KindDNS:     "the names below one domain and their answers look like data, by number, length, entropy and type, or like a known tool's, once in ten minutes for a domain",
	tunnel.KindICMP:    "payloads of pings are no echo of each other, change, hold IP packets or bear a tool's mark, once in ten minutes for a pair of hosts",
	tunnel.KindHTTP:    "bodies hold SSH, TLS, SOCKS, RDP or SMB, requests bear a tool's mark, or have the shape of long polling with ciphertext, once for a flow",
	tunnel.KindConnect: "what follows CONNECT or Upgrade is SSH, RDP, SOCKS or the like, once for a flow",
	tunnel.KindSocket:  "messages of a WebSocket hold another protocol, once for a flow",
	tunnel.KindShell:   "prompts, and commands and what they answer, in clear text, on any port, once for a flow",
	tunnel.KindIP:      "bytes that nobody understands are IP packets, once for a flow",
	tunnel.KindOptions: "options of IPv6 or their padding hold so much as no host sends, once for a flow",
}

const (
	nextTunnel = "weir.why says what speaks for it: see which workload it is, and cut it off if nobody knows of it (weir quarantine NAME); docs/tunnels.md"
	nextShell  = "take it for a break-in until somebody says that it is his: cut the workload off (weir quarantine NAME), and read what was said (weir pcap pull --alert ID -w FILE)"
)

var tunnelNext = [...]string{
	tunnel.KindDNS:     nextTunnel,
	tunnel.KindICMP:    nextTunnel,
	tunnel.KindHTTP:    nextTunnel,
	tunnel.KindConnect: nextTunnel,
	tunnel.KindSocket:  nextTunnel,
	tunnel.KindShell:   nextShell,
	tunnel.KindIP:      nextTunnel,
	tunnel.KindOptions: nextTunnel,
}

const (
	nextFraming  = "two readers of such a message may differ on where it ends, or whose it is, and requests are smuggled so: see who sends it and what reads it, a proxy before a server above all; have both refuse it, and update them"
	nextStartTLS = "a client never does that: somebody is in its way, or tries the server; update the server, and offer TLS from the first byte on"
)

// violationNext says what to do about a violation, by its code, else by its protocol.
var violationNext = map[string]string{
	"http": nextFraming, "http2": nextFraming,
	"http.container_privileged": "see who asks for it: whoever may is as good as root on the host; if nobody knows of it, cut the workload off (weir quarantine NAME)",
	"http.header_injection":     "see what the server answered: an answer with the header that was injected shows that it can be; have the application refuse line ends in what it repeats",
	"http.response_splitting":   "see what the server answered: an answer that was split shows that it can be; have the application refuse line ends in what it repeats",
	"http.decode_budget":        "what is not decoded is inspected as it came: see who sends so much packed so small, it may be a bomb",
	"http2.rapid_reset":         "an attack that exhausts servers (CVE-2023-44487): see who does it, and update the server",
	"http2.continuation_flood":  "an attack that exhausts servers: see who does it, and update the server",
	"dns":                       "no resolver writes that: an attack on whoever reads it, or on who inspects; see who sent it",
	"tls.heartbleed":            "see whether the server answered with more than was sent: then its keys and all that it held must be taken for known; update OpenSSL",
	"tls.name_changed":          "no library does that: somebody wants one name to be seen and another one to be reached; see who",
	"tls.null_cipher":           "what is said there can be read by anybody on the way: take such suites out of the configuration of both ends",
	"tls.cipher_overflow":       "an attack on whoever reads hellos: see who sent it, and whether the server is still up; update it",
	"ajp":                       "somebody reaches for files of Tomcat's: close its AJP port to everybody but its proxy, set a secret there, and update it",
	"fastcgi":                   "see who speaks FastCGI with the server: nobody but its web server may; if it was answered, take the server for broken into",
	"ftp.bounce":                "see who asks for it, and whether the server did it: have it refuse ports that are not the client's",
	"ftp":                       nextStartTLS, "imap": nextStartTLS, "pop3": nextStartTLS, "smtp": nextStartTLS, "postgresql": nextStartTLS,
	"smtp.bare_newline": "two servers may differ on where such a mail ends: have both refuse line ends that are not CR LF, and update them",
	"mysql":             "see which server that is: one that asks for files of its clients is not to be trusted; switch LOCAL INFILE off in the client",
	"ssh":               "take it for a way in that somebody has opened from inside: see which process began it (weir.src.process), and cut the workload off (weir quarantine NAME)",
}
