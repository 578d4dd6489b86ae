package engine

import (
	"slices"

	"weir/dissect"
	"weir/flow"
	"weir/tunnel"
	"weir/wire"
)

// certainty is how sure it is what a conversation is.
type certainty uint8

const (
	unrecognised certainty = iota // nobody knows it
	probable                      // a probe said so
	certain                       // messages were parsed in both directions, or enough of them in one
	violated                      // it is not what it was certain to be, or it breaks its rules in a way that matters
)

var certainties = [...]string{unrecognised: "unknown", probable: "probable", certain: "certain", violated: "violated"}

// enoughMessages of one direction make a conversation certain, though the other one says nothing.
const enoughMessages = 4

// Validation says what is told of conversations that are not what they should be.
type Validation struct {
	UnknownBytes uint64          // a conversation of which nobody knows what it is after so many bytes is told of; 0: never
	UnknownTime  int64           // ns; likewise
	Alerts       map[string]bool // codes of anomalies of conversations that are alerts too
}

// recognised makes p what the present flow is taken for from here on.
func (l *Lane) recognised(a *app, p *dissect.Protocol) {
	old := a.proto
	a.be(p)
	if old != nil && old != p && !related(old, p) {
		switch {
		case a.followed:
			if v, found := tunnel.Followed(p); found && slices.Contains(web, old.Name) {
				l.tunnelled(nil, v)
			}
		case p == &dissect.TLS && slices.Contains(secured, old.Name):
		case a.sure >= certain && !l.partial():
			a.turning = true
		}
	}
	a.followed, a.spoke = false, [2]uint8{}
	if a.sure < violated {
		a.sure = probable
	}
	if p.New == nil { // nothing else will tell
		l.checkPort(p)
	}
}

// ConversationAnomalies are the codes that Validation.Alerts may have.
var ConversationAnomalies = []string{"protocol.changed", "protocol.direction_mismatch", "protocol.port_mismatch", "protocol.unknown", "protocol.wrong_carrier"}

// unrecognise tells that it was wrong to take the present flow for anything.
func (a *app) unrecognise() { a.sure, a.spoke, a.turning = unrecognised, [2]uint8{}, false }

// heard counts a message that is complete.
func (l *Lane) heard(a *app, m *dissect.Message) {
	a.spoke[m.Dir] = min(a.spoke[m.Dir]+1, enoughMessages)
	if a.spoke[m.Dir] < enoughMessages && a.spoke[m.Dir.Other()] == 0 {
		return
	}
	if a.turning {
		a.turning = false
		l.violation("protocol.changed", "the conversation turned into another protocol midway, and nothing in it announced that", true)
		return
	}
	a.sure = certain
	l.checkPort(a.proto)
}

// broken tells that bytes are not valid for the protocol of the present flow.
func (a *app) broken() {
	if a.sure == certain {
		a.sure = violated
	}
}

// contradicts asks what a direction says whose beginning is not the other one's protocol. It reports whether that is
// another protocol, and whether more bytes may tell.
func (l *Lane) contradicts(a *app, dir wire.Dir, head []byte) (other, maybe bool) {
	alive := a.alive
	alive.drop(index(a.proto))
	p, maybe := identify(&alive, dissect.Stream, dir, head, l.fl.Key.APort, l.fl.Key.BPort)
	a.alive = alive
	if p == nil && a.proto == &dissect.TLS && tunnel.Text(head) { // no hello is answered so
		if len(head) < plainAnswer {
			return false, true
		}
		p = &dissect.Raw
	}
	if p == nil || related(a.proto, p) || p == &dissect.TLS && slices.Contains(secured, a.proto.Name) || !a.taken {
		return false, maybe && p == nil
	}
	if !l.partial() {
		a.more().other, a.more().otherDir = p, dir
		l.violation("protocol.direction_mismatch", "the two directions of the conversation speak different protocols", true)
	}
	return true, false
}

// plainAnswer is how many bytes of text make an answer to a hello of TLS another protocol, whichever.
const plainAnswer = 8

// wrongCarrier tells of datagrams that begin as a protocol of streams does.
func (l *Lane) wrongCarrier(data []byte) {
	if dissect.SSH.Probe(wire.ToServer, data) == dissect.Yes {
		l.violation("protocol.wrong_carrier", "SSH in datagrams: it is a protocol of streams", true)
	}
}

// partial reports whether part of the present flow was not seen: then bytes may be taken for a beginning that are none. Of another tap's flow that
// is not known here.
func (l *Lane) partial() bool {
	return l.foreign || l.fl.Anomalies&(flow.Midstream|flow.GapTold|flow.BudgetReached) != 0
}

// checkPort compares what the present flow is with what its server's port promises.
func (l *Lane) checkPort(p *dissect.Protocol) {
	port := l.fl.Key.BPort
	if !l.fl.AInitiates {
		port = l.fl.Key.APort
	}
	want, ok := promises[port]
	if !ok || slices.Contains(want, p.Name) || carrierOf(l.fl.Key.Proto)&(dissect.Stream|dissect.Datagram) == 0 {
		return
	}
	if p == &dissect.TLS && !slices.Contains(plain, port) {
		return
	}
	l.violation("protocol.port_mismatch", "the port promises one protocol and carries another", outlets[port] && (port == 53 || slices.Contains(remote, p.Name)))
}

// stillUnknown tells, once, that nobody knows what the present flow is although enough of it was seen.
func (l *Lane) stillUnknown(a *app) {
	v, fl := &l.e.cfg.Validation, l.fl
	if a.unknown&unknownTold != 0 || carrierOf(fl.Key.Proto)&(dissect.Stream|dissect.Datagram) == 0 {
		return
	}
	bytes := v.UnknownBytes > 0 && fl.Dirs[0].Bytes+fl.Dirs[1].Bytes >= v.UnknownBytes
	if !bytes && (v.UnknownTime == 0 || l.t.now-fl.Start < v.UnknownTime) {
		return
	}
	a.unknown |= unknownTold
	if l.partial() {
		l.anomaly("applayer", "protocol.unknown_rest", "nobody knows what this conversation is: its beginning, or a part of it, was not seen; inspected as raw bytes")
		return
	}
	l.violation("protocol.unknown", "nobody knows what this conversation is, although enough of it was seen: inspected as raw bytes", false)
}

// violation tells that the present flow is not what it should be, once; and raises an alert, if it matters or somebody asked.
func (l *Lane) violation(code, detail string, alert bool) {
	a := l.a
	if !a.tell(code) {
		return
	}
	l.anomaly("applayer", code, detail)
	if alert {
		a.sure = violated
	}
	if alert || l.e.cfg.Validation.Alerts[code] {
		l.protocolAlert(nil, code, detail)
	}
}

// related reports whether one protocol may follow another, or answer it, without a word: they are spellings of one.
func related(p, q *dissect.Protocol) bool {
	return p.Name == q.Name || slices.Contains(web, p.Name) && (slices.Contains(web, q.Name) || slices.Contains(alike, q.Name)) || q == &dissect.TLS && slices.Contains(secured, p.Name)
}

var (
	web = []string{"http", "http2", "grpc", "websocket", "sse"}
	// alike are written as HTTP is: clients of HTTP take their answers for their own, so its parser has them.
	alike = []string{"sip", "rtsp", "ssdp", "icap"}
	// secured are protocols in which TLS may begin, as they have agreed.
	secured = []string{"smtp", "imap", "pop3", "ftp", "ldap", "xmpp", "irc", "nntp", "postgresql", "mysql", "tds", "rdp", "amqp", "nats", "rfb", "socks",
		"mqtt", "sip", "http", "stomp", "dcerpc", "proxy"}
	// remote are protocols that let somebody in, or everything out: on ports that every firewall lets out they are no accident.
	remote = []string{"ssh", "telnet", "rdp", "rfb", "socks", "irc", "bittorrent", "x11", "adb"}
	// plain are ports that carry no TLS, by convention.
	plain = []uint16{22, 53, 80}
	// outlets are ports that every firewall lets out.
	outlets = map[uint16]bool{53: true, 80: true, 443: true}
)

// promises are ports of which everybody expects one thing. Ports on which things merely often run promise nothing: in a cluster everything
// runs everywhere.
var promises = map[uint16][]string{
	21:    {"ftp"},
	22:    {"ssh"},
	23:    {"telnet"},
	25:    {"smtp"},
	53:    {"dns", "netbios"}, // some ask for the names of NetBIOS there: it is the same format
	80:    web,
	88:    {"kerberos"},
	110:   {"pop3"},
	123:   {"ntp"},
	143:   {"imap"},
	389:   {"ldap", "cldap"},
	443:   {"tls", "quic", "dtls"},
	445:   {"smb", "dcerpc", "netbios"},
	465:   {"tls", "smtp"},
	587:   {"smtp"},
	636:   {"tls"},
	853:   {"tls", "dtls", "quic"},
	993:   {"tls"},
	995:   {"tls"},
	1433:  {"tds"},
	3306:  {"mysql"},
	3389:  {"rdp"},
	5432:  {"postgresql"},
	6379:  {"redis"},
	9042:  {"cassandra"},
	27017: {"mongodb"},
}
