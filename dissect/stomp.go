package dissect

import (
	"bytes"
	"errors"

	"weir/wire"
)

// STOMP is the Simple Text Oriented Messaging Protocol, versions 1.0 to 1.2.
var STOMP = Protocol{
	Name: "stomp",
	About: "STOMP 1.0, 1.1 and 1.2 (stomp.github.io). Each frame has an event `stomp` of its own; heart-beats have none. A body ends " +
		"where `content-length` says, else at the first NUL.",
	Carrier: Stream,
	Ports:   []uint16{61613},
	Probe:   probeSTOMP,
	Fields: []FieldSpec{
		stompCommand:     {Name: "stomp.command", Doc: "as `SEND`", EVE: "command", Derived: true},
		stompDestination: {Name: "stomp.destination", Doc: "header destination", EVE: "destination", Derived: true},
		stompLogin:       {Name: "stomp.login", Doc: "header login: the user", EVE: "login", Derived: true},
		stompVersion:     {Name: "stomp.version", Doc: "header version, or accept-version", EVE: "version", Derived: true},
		stompServer:      {Name: "stomp.server", Doc: "header server", EVE: "server", Derived: true},
		stompMessage:     {Name: "stomp.message", Doc: "header message: what an ERROR is about", EVE: "message", Derived: true},
		stompHeaders:     {Name: "stomp.headers", Doc: "command and header lines as they came, with the passcode"},
		stompBody:        {Name: "stomp.body", Doc: "the body"},
	},
	PerMessage: true,
	New:        newSTOMP,
	Resume:     func(p *Protocol, env *Env, r Rest) Dissector { d := newSTOMP(p, env); d.(*stomp).resume(r); return d },
}

// Fields of STOMP.
const (
	stompCommand Field = iota
	stompDestination
	stompLogin
	stompVersion
	stompServer
	stompMessage
	stompHeaders
	stompBody
)

// stompCommands are all commands of clients and servers.
var stompCommands = [...]string{"CONNECT", "STOMP", "CONNECTED", "SEND", "SUBSCRIBE", "UNSUBSCRIBE", "BEGIN", "COMMIT", "ABORT", "ACK", "NACK",
	"DISCONNECT", "MESSAGE", "RECEIPT", "ERROR"}

// ours
const stompMaxHead = 64 << 10 // bytes of a command and its headers

var errSTOMP = errors.New("stomp: no frame")

// stomp parses one connection.
type stomp struct {
	framed
	at     [2]stompState
	looked [2]int // bytes of a head that is not whole, up to a line that is not: they are not looked at again
}

// stompState is what a direction waits for.
type stompState uint8

const (
	stompAtHead stompState = iota
	stompInBody            // up to a NUL
	stompAtEnd             // the NUL behind a body whose length was told
)

func newSTOMP(p *Protocol, env *Env) Dissector {
	d := &stomp{}
	d.framed = makeFramed(p, env, d.next)
	return d
}

// Rest implements Dissector.
func (d *stomp) Rest() (Rest, bool) {
	r, ok := d.quiet()
	return r, ok && d.at == [2]stompState{}
}

// next takes a frame's head, or a piece of its body.
func (d *stomp) next(t *teller, dir wire.Dir, b []byte) (n, need int, err error) {
	switch d.at[dir] {
	case stompInBody:
		end := bytes.IndexByte(b, 0)
		if end < 0 {
			d.pass(t, dir, b, true)
			return len(b), 0, nil
		}
		d.pass(t, dir, b[:end], false)
		d.at[dir] = stompAtHead
		d.done(t, dir, true)
		return end + 1, 0, nil
	case stompAtEnd:
		if b[0] != 0 {
			return 0, 0, errSTOMP
		}
		d.at[dir] = stompAtHead
		return 1, 0, nil
	}
	if b[0] == '\n' || b[0] == '\r' { // a heart-beat, or behind a frame
		return 1, 0, nil
	}
	if b[0] == 0 {
		return 1, 0, nil
	}
	head := stompHead(b, &d.looked[dir])
	if head == 0 {
		if len(b) > stompMaxHead || stompProbeCommand(b) == No {
			return 0, 0, errSTOMP
		}
		return 0, 1, nil
	}
	d.looked[dir] = 0
	return head, 0, d.head(t, dir, b[:head])
}

// stompHead returns the length of a command and its headers with the empty line behind them, 0 if it is not there. looked is where it goes on.
func stompHead(b []byte, looked *int) int {
	for at := *looked; ; {
		i := bytes.IndexByte(b[at:], '\n')
		if i < 0 {
			*looked = at
			return 0
		}
		line := trimCR(b[at : at+i])
		at += i + 1
		if len(line) == 0 {
			return at
		}
	}
}

// head takes a command and its headers.
func (d *stomp) head(t *teller, dir wire.Dir, b []byte) error {
	if stompProbeCommand(b) == No {
		return errSTOMP
	}
	d.begin(dir)
	length, counted := int64(0), false
	for rest, first := b, true; len(rest) > 0; first = false {
		i := bytes.IndexByte(rest, '\n')
		line := trimCR(rest[:i])
		rest = rest[i+1:]
		if first {
			t.add(stompCommand, line)
			continue
		}
		name, value, _ := bytes.Cut(line, []byte(":"))
		switch string(name) {
		case "destination":
			t.add(stompDestination, value)
		case "login":
			t.add(stompLogin, value)
		case "version", "accept-version":
			t.add(stompVersion, value)
		case "server":
			t.add(stompServer, value)
		case "message":
			t.add(stompMessage, value)
		case "content-length":
			if n, ok := natsNumber(trimSpace(value)); ok && !counted {
				length, counted = n, true
			}
		}
	}
	t.add(stompHeaders, b)
	if counted {
		d.at[dir] = stompAtEnd
		d.stream(t, dir, stompBody, length, true, true)
		return nil
	}
	d.at[dir] = stompInBody
	d.stream(t, dir, stompBody, 0, false, false)
	return nil
}

// stompProbeCommand judges a first line: a command and nothing else.
func stompProbeCommand(b []byte) Guess {
	line, rest, whole := bytes.Cut(b, []byte("\n"))
	line = trimCR(line)
	for _, c := range stompCommands {
		switch {
		case whole && string(line) == c:
			return stompProbeHeaders(rest)
		case !whole && len(line) <= len(c) && c[:len(line)] == string(line):
			return Maybe
		}
	}
	return No
}

// stompProbeHeaders judges what follows the command: a header line, or the empty one.
func stompProbeHeaders(b []byte) Guess {
	line, rest, whole := bytes.Cut(b, []byte("\n"))
	line = trimCR(line)
	switch {
	case whole && len(line) == 0: // only where a body or its end follows
		if len(rest) == 0 {
			return Maybe
		}
		return Yes
	case !whole && len(line) < 256:
		if bytes.IndexByte(line, ' ') >= 0 && bytes.IndexByte(line, ':') < 0 {
			return No
		}
		return Maybe
	case bytes.IndexByte(line, ':') > 0 && bytes.IndexByte(line[:bytes.IndexByte(line, ':')], ' ') < 0:
		return Yes
	}
	return No
}

// probeSTOMP says Yes to a command on a line of its own with a header line behind it.
func probeSTOMP(_ wire.Dir, head []byte) Guess {
	return stompProbeCommand(bytes.TrimLeft(head, "\r\n"))
}
