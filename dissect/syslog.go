package dissect

import "weir/wire"

// Syslog is syslog over UDP: RFC 3164, RFC 5424, RFC 5426.
var Syslog = Protocol{
	Name:    "syslog",
	About:   "Syslog over UDP and TCP (RFC 3164, RFC 5424, RFC 6587). Messages over UDP have an event `syslog` each.",
	Carrier: Datagram, Ports: []uint16{514}, Probe: probeSyslog, PerMessage: true, New: eachDatagram(tellSyslog), Resume: eachAgain(tellSyslog),
	Fields: []FieldSpec{
		syslogFacility: {Name: "syslog.facility", Doc: "part of the system that speaks, as `auth`", EVE: "facility", Derived: true},
		syslogSeverity: {Name: "syslog.severity", Doc: "how bad it is, as `err`", EVE: "severity", Derived: true},
		syslogMessage:  {Name: "syslog.message", Doc: "what follows the priority: time, host, program, text", EVE: "message"},
	},
}

// Fields of syslog.
const (
	syslogFacility Field = iota
	syslogSeverity
	syslogMessage
)

var syslogFacilities = []string{"kern", "user", "mail", "daemon", "auth", "syslog", "lpr", "news", "uucp", "cron", "authpriv", "ftp", "ntp", "audit", "alert",
	"clock", "local0", "local1", "local2", "local3", "local4", "local5", "local6", "local7"}

var syslogSeverities = []string{"emerg", "alert", "crit", "err", "warning", "notice", "info", "debug"}

func probeSyslog(_ wire.Dir, head []byte) Guess {
	_, ok := syslogPriority(head)
	return yes(ok)
}

// syslogPriority reads a priority, of one to three digits in angle brackets, behind which text follows. It returns the number and reports whether
// there is one.
func syslogPriority(b []byte) (pri int, ok bool) {
	if len(b) < 8 || b[0] != '<' {
		return 0, false
	}
	n := 1
	for ; n < 5 && isDigit(b[n]); n++ {
		pri = pri*10 + int(b[n]-'0')
	}
	if n == 1 || n > 4 || b[n] != '>' || pri > 191 || n > 2 && b[1] == '0' {
		return 0, false
	}
	for _, c := range b[n+1 : min(len(b), n+1+syslogText)] {
		if c < ' ' && c != '\t' && c != '\n' && c != '\r' || c == 0x7f {
			return 0, false
		}
	}
	return pri, true
}

// ours
const syslogText = 64 // bytes behind the priority that must be text

func tellSyslog(t *teller, _ wire.Dir, b []byte) bool {
	pri, ok := syslogPriority(b)
	if !ok {
		return false
	}
	t.addString(syslogFacility, syslogFacilities[pri/8])
	t.addString(syslogSeverity, syslogSeverities[pri%8])
	for b[0] != '>' {
		b = b[1:]
	}
	t.add(syslogMessage, b[1:])
	return true
}
