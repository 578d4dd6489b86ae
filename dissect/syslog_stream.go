package dissect

import (
	"bytes"
	"errors"

	"weir/wire"
)

// SyslogTCP is syslog over TCP: RFC 6587.
var SyslogTCP = Protocol{
	Name:    "syslog",
	About:   Syslog.About,
	Carrier: Stream,
	Ports:   []uint16{514, 601, 6514},
	Probe:   probeSyslogTCP,
	Fields:  Syslog.Fields,
	New:     func(p *Protocol, env *Env) Dissector { return &syslogTCP{chat: chat{p: p, env: env}} },
	Resume: func(p *Protocol, env *Env, r Rest) Dissector {
		return &syslogTCP{chat: chat{p: p, env: env, lastID: r.ID, lastTx: r.Tx}, taken: true}
	},
	PerMessage: true,
}

// ours
const maxSyslog = 64 << 10 // bytes of a message; a longer one is told in pieces

var errSyslog = errors.New("syslog: not a message")

// syslogTCP parses one flow.
type syslogTCP struct {
	chat
	taken bool
}

// Feed implements Dissector.
func (d *syslogTCP) Feed(dir wire.Dir, data []byte, emit func(*Message)) (pr Progress, err error) {
	for pr.Used < len(data) {
		b := data[pr.Used:]
		at, n := syslogFrame(b, d.closed[dir])
		switch {
		case n < 0:
			return pr, errSyslog
		case n == 0:
			return pr, nil
		}
		text := bytes.TrimRight(b[at:n], "\r\n\x00")
		t := d.message(dir, d.next(), emit)
		if !tellSyslog(t, dir, text) {
			if !d.taken {
				d.unit[dir] = unit{}
				return pr, errSyslog
			}
			if len(text) > 0 {
				t.add(syslogMessage, text)
			}
		}
		d.over(dir, true, emit)
		d.taken = true
		pr.Used += n
	}
	return pr, nil
}

// syslogFrame returns where the message at the front of b begins, behind its length perhaps, and where it ends; 0: that is not known yet, -1: it is none.
func syslogFrame(b []byte, last bool) (at, n int) {
	size := 0
	for at < len(b) && at < 6 && '0' <= b[at] && b[at] <= '9' {
		size = size*10 + int(b[at]-'0')
		at++
	}
	switch {
	case at == 0:
		n, _ = cutLine(b, maxSyslog, last)
		return 0, n
	case at == len(b) && !last:
		return 0, 0
	case at == len(b) || b[at] != ' ':
		return 0, -1
	}
	at++
	if n = at + min(size, maxSyslog); n > len(b) {
		if !last {
			return 0, 0
		}
		n = len(b)
	}
	return at, n
}

// Gap implements Dissector: the next line's beginning is not known, but what follows is one.
func (d *syslogTCP) Gap(dir wire.Dir, n int, emit func(*Message)) bool { return true }

// Close implements Dissector.
func (d *syslogTCP) Close(dir wire.Dir, emit func(*Message)) { d.closed[dir] = true }

// Rest implements Dissector.
func (d *syslogTCP) Rest() (Rest, bool) { return Rest{ID: d.lastID, Tx: d.lastTx}, true }

// Size implements Dissector.
func (d *syslogTCP) Size() int { return 144 }

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
	return startsFold(b[n+1:], "1 ", "jan ", "feb ", "mar ", "apr ", "may ", "jun ", "jul ", "aug ", "sep ", "oct ", "nov ", "dec ")
}
