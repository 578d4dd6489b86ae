package dissect

import (
	"bytes"
	"errors"

	"weir/wire"
)

// IRC is Internet Relay Chat.
var IRC = Protocol{
	Name:    "irc",
	About:   "IRC: RFC 1459, RFC 2812, with STARTTLS, behind which the flow is looked at anew. Each line is a message with an event `irc`.",
	Carrier: Stream,
	Ports:   []uint16{6667, 6666, 6697, 7000},
	Probe:   probeIRC,
	Fields: []FieldSpec{
		ircCommand:  {Name: "irc.command", Doc: "the command or number of a reply, upper-case", EVE: "command", Derived: true},
		ircNick:     {Name: "irc.nick", Doc: "name that the client takes", EVE: "nick", Derived: true},
		ircUser:     {Name: "irc.user", Doc: "user that it says it is", EVE: "user", Derived: true},
		ircChannel:  {Name: "irc.channel", Doc: "a channel that a line is about, a value for each", EVE: "channel[]", Derived: true},
		ircPassword: {Name: "irc.password", Doc: "password of a connection; never shown", Privacy: Credential},
		ircLine:     {Name: "irc.line", Doc: "the line; the password's aside"},
	},
	New:        func(p *Protocol, env *Env) Dissector { return &irc{chat: chat{p: p, env: env}} },
	PerMessage: true,
}

// Fields of IRC, in the order of IRC.Fields.
const (
	ircCommand Field = iota
	ircNick
	ircUser
	ircChannel
	ircPassword
	ircLine
)

var errIRC = errors.New("irc: not a line")

// irc parses one flow.
type irc struct {
	chat
	taken bool
}

// Feed implements Dissector.
func (d *irc) Feed(dir wire.Dir, data []byte, emit func(*Message)) (pr Progress, err error) {
	return d.lines(dir, data, &d.taken, errIRC, emit, d.line)
}

// line takes a line. It reports whether TLS follows.
func (d *irc) line(dir wire.Dir, line []byte, emit func(*Message)) (up bool) {
	rest := line
	if rest[0] == '@' { // tags
		_, rest = cutWord(rest)
	}
	if len(rest) > 0 && rest[0] == ':' {
		_, rest = cutWord(rest)
	}
	verb, args := cutWord(rest)
	t := d.message(dir, d.next(), emit)
	t.add(ircCommand, t.write(func(out []byte) []byte { return append(out, bytes.ToUpper(verb)...) }))
	first, _ := cutWord(args)
	first = bytes.TrimPrefix(first, []byte{':'})
	switch {
	case foldEqual(verb, "pass"):
		t.add(ircPassword, args)
		line = nil
	case foldEqual(verb, "nick") && dir == wire.ToServer:
		t.add(ircNick, first)
	case foldEqual(verb, "user") && dir == wire.ToServer:
		t.add(ircUser, first)
	case foldEqual(verb, "join"), foldEqual(verb, "part"), foldEqual(verb, "privmsg"), foldEqual(verb, "notice"), foldEqual(verb, "topic"):
		for _, c := range bytes.SplitN(first, []byte{','}, 16) {
			if len(c) > 1 && (c[0] == '#' || c[0] == '&') {
				t.add(ircChannel, c)
			}
		}
	}
	if line != nil {
		t.add(ircLine, line)
	}
	if dir == wire.ToClient && string(verb) == "670" { // RPL_STARTTLS
		d.upgrade(dir, emit)
		return true
	}
	d.over(dir, true, emit)
	return false
}

// Gap implements Dissector: the next line's beginning is not known, but what follows is one.
func (d *irc) Gap(dir wire.Dir, n int, emit func(*Message)) bool { return true }

// Close implements Dissector.
func (d *irc) Close(dir wire.Dir, emit func(*Message)) { d.closed[dir] = true }

// Rest implements Dissector.
func (d *irc) Rest() (Rest, bool) { return Rest{}, false }

// Size implements Dissector.
func (d *irc) Size() int { return 144 }
