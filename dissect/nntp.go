package dissect

import (
	"errors"

	"weir/wire"
)

// NNTP is the Network News Transfer Protocol.
var NNTP = Protocol{
	Name: "nntp",
	About: "NNTP: RFC 3977, with AUTHINFO (RFC 4643) and STARTTLS (RFC 4642), behind which the flow is looked at anew. Each line is a message; those of commands and " +
		"answers have an event `nntp`.",
	Carrier: Stream,
	Ports:   []uint16{119, 563, 433},
	Probe:   probeNNTP,
	Fields: []FieldSpec{
		nntpCommand:  {Name: "nntp.command", Doc: "a command of the client; credentials aside", EVE: "command"},
		nntpUser:     {Name: "nntp.user", Doc: "user that it logs in as", EVE: "user"},
		nntpPassword: {Name: "nntp.password", Doc: "password that it logs in with; never shown", Privacy: Credential},
		nntpReply:    {Name: "nntp.reply", Doc: "an answer", EVE: "reply"},
		nntpText:     {Name: "nntp.text", Doc: "a line of an article or a list"},
	},
	New:        func(p *Protocol, env *Env) Dissector { return &nntp{chat: chat{p: p, env: env}} },
	PerMessage: true,
}

// Fields of NNTP, in the order of NNTP.Fields.
const (
	nntpCommand Field = iota
	nntpUser
	nntpPassword
	nntpReply
	nntpText
)

var errNNTP = errors.New("nntp: not a line")

// nntp parses one flow.
type nntp struct {
	chat
	text  [2]bool // of an article or a list, up to a dot alone
	taken bool
}

// Feed implements Dissector.
func (d *nntp) Feed(dir wire.Dir, data []byte, emit func(*Message)) (pr Progress, err error) {
	return d.lines(dir, data, &d.taken, errNNTP, emit, d.line)
}

// line takes a line. It reports whether TLS follows.
func (d *nntp) line(dir wire.Dir, line []byte, emit func(*Message)) (up bool) {
	switch {
	case d.text[dir]:
		if len(line) == 1 && line[0] == '.' {
			d.text[dir] = false
			break
		}
		d.message(dir, d.next(), emit).add(nntpText, line)
		d.over(dir, true, emit)
	case dir == wire.ToServer:
		d.command(line, emit)
	default:
		return d.answer(line, emit)
	}
	return false
}

// command takes a line of the client.
func (d *nntp) command(line []byte, emit func(*Message)) {
	verb, args := cutWord(line)
	t := d.message(wire.ToServer, d.next(), emit)
	kind, secret := cutWord(args)
	switch {
	case foldEqual(verb, "authinfo") && foldEqual(kind, "user"):
		t.add(nntpUser, secret)
		line = line[:len(line)-len(secret)]
	case foldEqual(verb, "authinfo") && len(secret) > 0:
		t.add(nntpPassword, secret)
		line = line[:len(line)-len(secret)]
	}
	t.add(nntpCommand, line)
	d.over(wire.ToServer, true, emit)
}

// answer takes a line of the server. It reports whether TLS follows.
func (d *nntp) answer(line []byte, emit func(*Message)) (up bool) {
	code, _, _ := replyCode(line)
	t := d.message(wire.ToClient, d.next(), emit)
	t.add(nntpReply, line)
	switch code {
	case 100, 101, 215, 220, 221, 222, 224, 225, 230, 231:
		d.text[wire.ToClient] = true
	case 335, 340: // the client is to send an article
		d.text[wire.ToServer] = true
	case 382:
		d.upgrade(wire.ToClient, emit)
		return true
	}
	d.over(wire.ToClient, true, emit)
	return false
}

// Gap implements Dissector.
func (d *nntp) Gap(dir wire.Dir, n int, emit func(*Message)) bool { return d.text[dir] }

// Close implements Dissector.
func (d *nntp) Close(dir wire.Dir, emit func(*Message)) { d.closed[dir] = true }

// Rest implements Dissector.
func (d *nntp) Rest() (Rest, bool) { return Rest{}, false }

// Size implements Dissector.
func (d *nntp) Size() int { return 144 }
