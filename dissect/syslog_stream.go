package dissect

import "weir/wire"

// SyslogTCP is syslog over TCP.
var SyslogTCP = Protocol{
	Name:    "syslog",
	About:   "Syslog over TCP: RFC 6587, RFC 5424, RFC 3164.",
	Carrier: Stream,
	Ports:   []uint16{514, 601, 6514},
	Probe:   probeSyslogTCP,
}

// probeSyslogTCP recognises a priority, behind a length perhaps, and what follows it: a version, or the name of a month.
func probeSyslogTCP(dir wire.Dir, head []byte) Guess {
	if dir == wire.ToClient {
		return No
	}
	n := 0
	for n < len(head) && n < 6 && head[n] >= '0' && head[n] <= '9' {
		n++
	}
	if n > 5 || n > 0 && head[0] == '0' {
		return No
	}
	if n == len(head) {
		return Maybe
	}
	if n > 0 {
		if head[n] != ' ' {
			return No
		}
		n++
	}
	return probePriority(head[n:])
}

// probePriority judges the front of a message.
func probePriority(b []byte) Guess {
	if len(b) == 0 {
		return Maybe
	}
	if b[0] != '<' {
		return No
	}
	n, pri := 1, 0
	for n < len(b) && n < 4 && b[n] >= '0' && b[n] <= '9' {
		pri = pri*10 + int(b[n]-'0')
		n++
	}
	switch {
	case pri > 191 || n > 2 && b[1] == '0':
		return No
	case n == len(b):
		return Maybe
	case n == 1 || b[n] != '>':
		return No
	}
	return startsWith(b[n+1:], "1 ", "jan ", "feb ", "mar ", "apr ", "may ", "jun ", "jul ", "aug ", "sep ", "oct ", "nov ", "dec ")
}
