package dissect

import (
	"bytes"
	"errors"

	"weir/wire"
)

// NNTP is the Network News Transfer Protocol.
var NNTP = Protocol{
	Name: "nntp",
	About: "NNTP: RFC 3977, with AUTHINFO (RFC 4643) and STARTTLS (RFC 4642), behind which the flow is looked at anew. Each command and each answer is a message with an event `nntp`; " +
		"an article or a list is one of its own.",
	Carrier: Stream,
	Ports:   []uint16{119, 563, 433},
	Probe:   probeNNTP,
	Fields: []FieldSpec{
		nntpCommand:  {Name: "nntp.command", Doc: "a command of the client; credentials aside", EVE: "command"},
		nntpUser:     {Name: "nntp.user", Doc: "user that it logs in as", EVE: "user"},
		nntpPassword: {Name: "nntp.password", Doc: "password that it logs in with; never shown", Privacy: Credential},
		nntpReply:    {Name: "nntp.reply", Doc: "an answer", EVE: "reply"},
		nntpText:     {Name: "nntp.text", Doc: "an article or a list, without the dots that keep its lines apart from its end"},
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
	value [2]pieces
	mid   [2]bool // the line before is not over
	taken bool
}

// Feed implements Dissector.
func (d *nntp) Feed(dir wire.Dir, data []byte, emit func(*Message)) (pr Progress, err error) {
	for pr.Used < len(data) {
		n, whole := cutLine(data[pr.Used:], maxChatLine, d.closed[dir])
		if n == 0 {
			break
		}
		raw := data[pr.Used : pr.Used+n]
		line := bytes.TrimRight(raw, "\r\n")
		if !d.taken && !isText(line) {
			return pr, errNNTP
		}
		d.taken = true
		pr.Used += n
		if d.text[dir] {
			d.written(dir, raw, line, whole, emit)
		} else if len(line) > 0 && d.line(dir, line, emit) {
			return pr, nil
		}
	}
	d.flush(dir, emit)
	return pr, nil
}

// written takes a line of an article or a list, or a piece of one.
func (d *nntp) written(dir wire.Dir, raw, line []byte, whole bool, emit func(*Message)) {
	u := &d.unit[dir]
	first := u.id == 0
	t := d.message(dir, d.lastTx, emit)
	if first {
		if u.tx = d.next(); t.wants(nntpText) {
			d.value[dir] = pieces{field: nntpText, value: t.value()}
		}
	}
	switch {
	case d.mid[dir]:
	case string(line) == ".":
		t.joinEnd(&d.value[dir])
		d.text[dir] = false
		d.over(dir, true, emit)
		return
	case raw[0] == '.':
		raw = raw[1:]
	}
	d.mid[dir] = !whole
	t.join(&d.value[dir], raw)
}

// line takes a line. It reports whether TLS follows.
func (d *nntp) line(dir wire.Dir, line []byte, emit func(*Message)) (up bool) {
	if dir == wire.ToServer {
		d.command(line, emit)
		return false
	}
	return d.answer(line, emit)
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
func (d *nntp) Gap(dir wire.Dir, n int, emit func(*Message)) bool {
	d.mid[dir] = true
	d.value[dir].off += int64(n)
	return d.text[dir]
}

// Close implements Dissector.
func (d *nntp) Close(dir wire.Dir, emit func(*Message)) {
	d.closed[dir] = true
	if u := &d.unit[dir]; u.id != 0 {
		d.env.teller(d.p, dir, u, emit).joinEnd(&d.value[dir])
		d.over(dir, true, emit)
	}
}

// Rest implements Dissector.
func (d *nntp) Rest() (Rest, bool) { return Rest{}, false }

// Size implements Dissector.
func (d *nntp) Size() int { return 240 }
