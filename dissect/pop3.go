package dissect

import (
	"bytes"
	"errors"

	"weir/wire"
)

// POP3 is the Post Office Protocol.
var POP3 = Protocol{
	Name: "pop3",
	About: "POP3: RFC 1939, with CAPA (RFC 2449), AUTH (RFC 5034) and STLS (RFC 2595), behind which the flow is looked at anew. A command and its " +
		"answer are an exchange with an event `pop3`; a mail that is fetched is decoded as it comes.",
	Carrier: Stream,
	Ports:   []uint16{110, 995},
	Probe:   probePOP3,
	Fields: append([]FieldSpec{
		popCommand:  {Name: "pop3.command", Doc: "the command, upper-case; `<SASL DATA>` of a line of credentials", EVE: "request/command"},
		popArg:      {Name: "pop3.arg", Doc: "an argument of the command, a value for each; passwords aside", EVE: "request/args[]"},
		popUser:     {Name: "pop3.user", Doc: "user that the client logs in as", EVE: "user"},
		popPassword: {Name: "pop3.password", Doc: "password, digest or token that it logs in with, decoded; never shown", Privacy: Credential},
		popReply:    {Name: "pop3.reply", Doc: "the first line of the answer, and what else stands behind lines of credentials"},
		popSuccess:  {Name: "pop3.success", Doc: "`true` if the answer is positive", EVE: "response/success", Bool: true, Derived: true},
		popStatus:   {Name: "pop3.status", Doc: "`OK`, `ERR` or `+`", EVE: "response/status", Derived: true},
		popHeader:   {Name: "pop3.header", Doc: "text behind the status", EVE: "response/header", Derived: true},
		popData:     {Name: "pop3.data", Doc: "a further line of the answer, a value for each; a mail has fields of its own", EVE: "response/data[]"},
	}, mailFields("pop3")...),
	New: func(p *Protocol, env *Env) Dissector { return &pop3{chat: chat{p: p, env: env}} },
}

// Fields of POP3; those of a mail follow.
const (
	popCommand Field = iota
	popArg
	popUser
	popPassword
	popReply
	popSuccess
	popStatus
	popHeader
	popData
	popMail
)

// popKind is what an answer belongs to.
type popKind uint8

const (
	popOther popKind = iota
	popList          // an answer of several lines
	popFetch         // a mail
	popAuth
	popTLS
)

var (
	errPOP3          = errors.New("pop3: no commands and answers")
	popNoteDeep      = Note{"pop3.mail_too_deep", false, "parts of a mail in parts of a mail, deeper than is followed: inspected as text"}
	popNoteInjection = Note{"pop3.plaintext_after_stls", true, "commands right behind STLS, before it was answered: a server that takes them for encrypted ones can be deceived"}
)

// pop3 parses one flow.
type pop3 struct {
	chat
	pending queue[popKind]
	greeted bool
	tls     tlsWait // STLS
	secret  bool    // the client's lines are credentials
	auth    saslState
	lines   popKind // of the answer in hand: popList, popFetch; else it has one line
	tx      uint64  // of the answer in hand
	bol     bool
	mail    *mime
}

// Feed implements Dissector.
func (d *pop3) Feed(dir wire.Dir, data []byte, emit func(*Message)) (pr Progress, err error) {
	last := d.closed[dir]
	for pr.Used < len(data) {
		b := data[pr.Used:]
		max := maxChatLine
		if dir == wire.ToServer && d.tls.waits {
			up, hold := d.behindTLS(&d.tls, b[0], d.lastTx, d.greeted, popNoteInjection, emit)
			if up {
				return pr, nil
			}
			if hold {
				break
			}
		} else if d.lines == popFetch {
			max = mailLine
		}
		n, whole := cutLine(b, max, last)
		if n == 0 {
			break
		}
		up := false
		switch {
		case dir == wire.ToClient:
			up, err = d.answer(b[:n], whole, emit)
		case !isText(b[:n]) && !d.greeted:
			err = errPOP3
		default:
			d.command(bytes.TrimRight(b[:n], "\r\n"), emit)
		}
		if err != nil {
			break
		}
		pr.Used += n
		if up {
			return pr, nil
		}
	}
	d.flush(dir, emit)
	return pr, err
}

// command takes a line of the client.
func (d *pop3) command(line []byte, emit func(*Message)) {
	verb, rest := cutWord(line)
	tx := d.next()
	t := d.message(wire.ToServer, tx, emit)
	kind := popOther
	if d.secret {
		t.addString(popCommand, "<SASL DATA>")
		d.secret = !d.auth.message(t, line, popUser, popPassword)
		d.over(wire.ToServer, !d.pending.push(popAuth, tx), emit)
		return
	}
	t.add(popCommand, t.write(func(out []byte) []byte { return append(out, bytes.ToUpper(verb)...) }))
	switch {
	case foldEqual(verb, "pass"):
		t.add(popPassword, rest)
		rest = nil
	case foldEqual(verb, "user"):
		t.add(popUser, rest)
		rest = nil
	case foldEqual(verb, "apop"):
		user, digest := cutWord(rest)
		t.add(popUser, user)
		t.add(popPassword, digest)
		rest = nil
	case foldEqual(verb, "auth"):
		mech, initial := cutWord(rest)
		rest = mech
		if kind = popAuth; len(mech) == 0 {
			kind = popList
			break
		}
		d.auth, d.secret = saslState{mech: saslOf(mech)}, true
		if len(initial) > 0 {
			d.secret = !d.auth.message(t, initial, popUser, popPassword)
		}
	case foldEqual(verb, "capa"), (foldEqual(verb, "list") || foldEqual(verb, "uidl")) && len(rest) == 0:
		kind = popList
	case foldEqual(verb, "retr"), foldEqual(verb, "top"):
		kind = popFetch
	case foldEqual(verb, "stls"):
		kind, d.tls = popTLS, tlsWait{waits: true}
	}
	for len(rest) > 0 {
		var arg []byte
		arg, rest = cutWord(rest)
		t.add(popArg, arg)
	}
	d.over(wire.ToServer, !d.pending.push(kind, tx), emit)
}

// answer takes a line of the server, or a piece of one. up says that the flow is TLS from behind it on.
func (d *pop3) answer(b []byte, whole bool, emit func(*Message)) (up bool, err error) {
	if d.lines != popOther {
		d.more(b, whole, emit)
		return false, nil
	}
	line := bytes.TrimRight(b, "\r\n")
	ok, bad, plus := bytes.HasPrefix(line, []byte("+OK")), bytes.HasPrefix(line, []byte("-ERR")), len(line) > 0 && line[0] == '+'
	if !ok && !bad && !plus && !d.greeted {
		return false, errPOP3
	}
	kind, tx := popOther, uint64(0)
	if q := d.pending.front(); q != nil {
		kind, tx = q.kind, q.tx
		d.pending.pop()
	} else {
		tx = d.next()
	}
	d.greeted = true
	t := d.message(wire.ToClient, tx, emit)
	t.add(popReply, line)
	status, text := cutWord(line)
	switch {
	case ok:
		t.addString(popStatus, "OK")
		t.addString(popSuccess, "true")
	case bad:
		t.addString(popStatus, "ERR")
		t.addString(popSuccess, "false")
	case plus && len(status) == 1:
		t.addString(popStatus, "+")
	}
	t.add(popHeader, text)
	switch {
	case kind == popTLS && ok:
		d.upgrade(wire.ToClient, emit)
		return true, nil
	case kind == popTLS:
		d.tls.waits = false
	case kind == popAuth && (ok || bad):
		d.secret = false
	case ok && (kind == popList || kind == popFetch):
		d.lines, d.tx, d.bol = kind, tx, true
		if kind == popFetch {
			if d.mail == nil {
				d.mail = new(mime)
			}
			d.mail.begin(popMail, &popNoteDeep)
		}
		return false, nil
	}
	d.over(wire.ToClient, true, emit)
	return false, nil
}

// more takes a further line of an answer, up to a dot alone.
func (d *pop3) more(b []byte, whole bool, emit func(*Message)) {
	t := d.message(wire.ToClient, d.tx, emit)
	bol, eol := d.bol, whole && b[len(b)-1] == '\n'
	d.bol = eol
	line := bytes.TrimRight(b, "\r\n")
	if bol && line != nil && len(line) > 0 && line[0] == '.' {
		if len(line) == 1 && eol {
			d.linesEnd(t, true, emit)
			return
		}
		b, line = b[1:], line[1:]
	}
	switch {
	case d.lines == popList:
		t.add(popData, line)
	case len(b) > 0:
		d.mail.line(t, b, bol, eol)
	}
}

// linesEnd ends an answer of several lines.
func (d *pop3) linesEnd(t *teller, whole bool, emit func(*Message)) {
	if d.lines == popFetch {
		d.mail.end(t, whole)
	}
	d.lines = popOther
	d.over(wire.ToClient, true, emit)
}

// Gap implements Dissector.
func (d *pop3) Gap(dir wire.Dir, n int, emit func(*Message)) bool {
	if dir == wire.ToClient && d.lines == popFetch {
		d.bol = false
		return true
	}
	return false
}

// Close implements Dissector.
func (d *pop3) Close(dir wire.Dir, emit func(*Message)) {
	d.closed[dir] = true
	if dir == wire.ToClient && d.lines != popOther {
		d.linesEnd(d.message(dir, d.tx, emit), false, emit)
	}
	d.over(dir, false, emit)
	if dir == wire.ToClient {
		for q := d.pending.front(); q != nil; q = d.pending.front() {
			d.unanswered(dir, q.tx, emit)
			d.pending.pop()
		}
	}
}

// Rest implements Dissector.
func (d *pop3) Rest() (Rest, bool) { return Rest{}, false }

// Size implements Dissector.
func (d *pop3) Size() int {
	n := 256 + 16*cap(d.pending.list)
	if d.mail != nil {
		n += d.mail.size()
	}
	return n
}
