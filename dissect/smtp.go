package dissect

import (
	"bytes"
	"errors"

	"weir/wire"
)

// SMTP is the Simple Mail Transfer Protocol, and LMTP.
var SMTP = Protocol{
	Name: "smtp",
	About: "SMTP and LMTP: RFC 5321, RFC 2033, with BDAT (RFC 3030), AUTH (RFC 4954) and STARTTLS (RFC 3207), behind which the flow is looked at anew. " +
		"A mail is an exchange with an event `smtp`, in which what the mail itself says stands in an object `email` of its own; its parts are " +
		"decoded as they come.",
	Carrier: Stream,
	Ports:   []uint16{25, 587, 2525, 24, 465},
	Probe:   probeSMTP,
	Fields: append([]FieldSpec{
		smtpCommand:  {Name: "smtp.command", Doc: "a command of the client, the whole line; credentials of AUTH aside"},
		smtpReply:    {Name: "smtp.reply", Doc: "a line of an answer"},
		smtpHelo:     {Name: "smtp.helo", Doc: "what the client calls itself", EVE: "helo", Derived: true},
		smtpAgain:    {Name: "smtp.session_helo", Doc: "the same, of the second and further mails of a flow", EVE: "helo"},
		smtpFrom:     {Name: "smtp.mail_from", Doc: "sender of the envelope, in angle brackets", EVE: "mail_from", Derived: true},
		smtpTo:       {Name: "smtp.rcpt_to", Doc: "recipients of the envelope, a value for each", EVE: "rcpt_to[]", Derived: true},
		smtpTLS:      {Name: "smtp.tls", Doc: "`true` if the flow goes on in TLS", EVE: "tls", Bool: true, Derived: true},
		smtpAuth:     {Name: "smtp.auth", Doc: "mechanism of AUTH", EVE: "auth", Derived: true},
		smtpUser:     {Name: "smtp.user", Doc: "user that the client logs in as, decoded", EVE: "user"},
		smtpPassword: {Name: "smtp.password", Doc: "password or token that it logs in with, decoded; never shown", Privacy: Credential},
	}, mailFields("smtp")...),
	New: newSMTP,
}

// Fields of SMTP; those of a mail follow.
const (
	smtpCommand Field = iota
	smtpReply
	smtpHelo
	smtpAgain
	smtpFrom
	smtpTo
	smtpTLS
	smtpAuth
	smtpUser
	smtpPassword
	smtpMail
)

// ours
const (
	maxSMTPPending = 256     // commands waiting for their answer; of more, answers are not told apart
	maxSMTPLine    = 8 << 10 // bytes of a command or answer; a longer line is taken in pieces
	maxHelo        = 255     // bytes that are remembered for the next mail
)

var errSMTP = errors.New("smtp: no commands and answers")

// smtpKind is what an answer belongs to.
type smtpKind uint8

const (
	smtpOther smtpKind = iota
	smtpHello
	smtpMailFrom
	smtpStartTLS
	smtpData    // DATA: 354 is expected
	smtpDataEnd // the end of a mail
	smtpAuthing
	smtpQuit
	smtpReset
)

// smtpMode is how the client's bytes are read.
type smtpMode uint8

const (
	smtpCommands smtpMode = iota
	smtpLines             // a mail up to its dot
	smtpChunk             // bytes of BDAT
	smtpSecrets           // credentials
	smtpWait              // STARTTLS was asked for: what follows is TLS if the server agrees
)

var (
	smtpNoteInjection = Note{"smtp.plaintext_after_starttls", true, "commands right behind STARTTLS, before it was answered: a server that takes them for encrypted ones can be deceived (CVE-2011-0411)"}
	smtpNoteDeep      = Note{"smtp.mail_too_deep", false, "parts of a mail in parts of a mail, deeper than is followed: inspected as text"}
	smtpNoteBare      = Note{"smtp.bare_newline", true, "a mail's end, or what a reader may take for it, with line ends that are not CR LF: mails can be smuggled so (CVE-2023-51764)"}
)

// smtpAsked is a command that waits for its answer.
type smtpAsked struct {
	kind smtpKind
	tx   uint64
}

// smtp parses one flow.
type smtp struct {
	p       *Protocol
	env     *Env
	mode    smtpMode
	unit    [3]unit // the message in hand of each direction, for a server's answer has several lines; and the mail, which is one for itself
	lastID  uint64
	tx      uint64 // of the mail in hand
	used    bool   // something was said in it
	begun   bool   // it has a sender
	said    bool   // the server has accepted an EHLO
	greeted bool   // the server has said something
	closed  [2]bool
	mail    *mime
	open    bool // a mail's content is under way
	bol     bool // its next byte begins a line
	midline bool // a command's line goes on
	bare    bool // the last line of the mail ended in a bare LF
	crlf    bool // one has ended in CR LF
	left    int  // bytes of BDAT
	final   bool // BDAT LAST
	inject  bool
	auth    saslState
	helo    []byte
	told    bool // the helo was told in this exchange
	pending []smtpAsked
}

func newSMTP(p *Protocol, env *Env) Dissector { return &smtp{p: p, env: env, tx: 1} }

// Feed implements Dissector.
func (d *smtp) Feed(dir wire.Dir, data []byte, emit func(*Message)) (pr Progress, err error) {
	last := d.closed[dir]
	for pr.Used < len(data) {
		b := data[pr.Used:]
		n := 0
		if dir == wire.ToClient {
			up := false
			if n, up, err = d.answer(b, last, emit); up {
				pr.Used += n
				return pr, nil
			}
		} else {
			up := false
			if n, up, err = d.client(b, last, emit); up {
				return pr, nil
			}
		}
		if err != nil || n == 0 {
			break
		}
		pr.Used += n
	}
	d.flush(dir, emit)
	return pr, err
}

// flush emits what was collected of dir: it does not outlive the call.
func (d *smtp) flush(dir wire.Dir, emit func(*Message)) {
	u := &d.unit[dir]
	if dir == wire.ToServer && d.open {
		u = &d.unit[smtpMailUnit]
	}
	if u.id != 0 {
		d.env.teller(d.p, dir, u, emit).flush(false, false)
	}
}

const smtpMailUnit = 2 // in smtp.unit

// teller returns the teller of the message in hand of dir, a new one if there is none.
func (d *smtp) teller(dir wire.Dir, tx uint64, emit func(*Message)) *teller {
	return d.tellerOf(&d.unit[dir], dir, tx, emit)
}

func (d *smtp) tellerOf(u *unit, dir wire.Dir, tx uint64, emit func(*Message)) *teller {
	if u.id == 0 {
		d.lastID++
		*u = unit{id: d.lastID, tx: tx}
	}
	return d.env.teller(d.p, dir, u, emit)
}

// done ends the message in hand of dir.
func (d *smtp) done(t *teller, dir wire.Dir, tx bool) {
	t.flush(true, tx)
	d.unit[dir] = unit{}
}

// client takes what the client says. up says that the flow is TLS from here on.
func (d *smtp) client(b []byte, last bool, emit func(*Message)) (n int, up bool, err error) {
	switch d.mode {
	case smtpWait:
		return d.wait(b, last, emit)
	case smtpLines, smtpChunk:
		return d.content(b, last, emit), false, nil
	case smtpSecrets:
		n, _ := cutLine(b, maxSMTPLine, last)
		if n > 0 {
			d.secret(bytes.TrimRight(b[:n], "\r\n"), emit)
		}
		return n, false, nil
	}
	n, whole := cutLine(b, maxSMTPLine, last)
	if n == 0 {
		return 0, false, nil
	}
	if !isText(b[:n]) && !d.greeted {
		return 0, false, errSMTP
	}
	d.command(bytes.TrimRight(b[:n], "\r\n"), d.midline, emit)
	d.midline = !whole
	return n, false, nil
}

// wait deals with what comes behind STARTTLS before the server has answered.
func (d *smtp) wait(b []byte, last bool, emit func(*Message)) (n int, up bool, err error) {
	if b[0] == recordShake {
		if d.greeted && !last {
			return 0, false, nil
		}
		d.upgrade(wire.ToServer, emit)
		return 0, true, nil
	}
	if !d.inject {
		d.inject = true
		t := d.teller(wire.ToServer, d.tx, emit)
		t.note(smtpNoteInjection)
		d.done(t, wire.ToServer, false)
	}
	if last {
		d.mode = smtpCommands
		return d.client(b, last, emit)
	}
	return 0, false, nil
}

// upgrade tells that the flow is TLS from here on.
func (d *smtp) upgrade(dir wire.Dir, emit func(*Message)) {
	t := d.teller(dir, d.tx, emit)
	t.addString(smtpTLS, "true")
	t.upgrade(true)
	d.unit[dir] = unit{}
	d.mode = smtpCommands
}

// asked notes that an answer is to come.
func (d *smtp) asked(kind smtpKind) {
	if len(d.pending) < maxSMTPPending {
		d.pending = append(d.pending, smtpAsked{kind, d.tx})
	}
}

// command takes a line of the client.
func (d *smtp) command(line []byte, goesOn bool, emit func(*Message)) {
	verb, rest := cutWord(line)
	begins := !goesOn && foldEqual(verb, "mail")
	if begins && d.begun { // one without an end came before
		d.next(emit)
	}
	t := d.teller(wire.ToServer, d.tx, emit)
	d.used = true
	if goesOn {
		t.add(smtpCommand, line)
		d.done(t, wire.ToServer, false)
		return
	}
	if begins && !d.told && len(d.helo) > 0 {
		t.add(smtpAgain, d.helo)
		d.told = true
	}
	kind := smtpOther
	switch {
	case foldEqual(verb, "auth"):
		d.authenticate(t, line, rest)
		d.done(t, wire.ToServer, false)
		d.asked(smtpAuthing)
		return
	case foldEqual(verb, "ehlo"), foldEqual(verb, "helo"), foldEqual(verb, "lhlo"):
		kind = smtpHello
		if len(rest) > 0 {
			d.helo = append(d.helo[:0], rest[:min(len(rest), maxHelo)]...)
			t.add(smtpHelo, rest)
			d.told = true
		}
	case begins:
		kind, d.begun = smtpMailFrom, true
		t.add(smtpFrom, envelope(rest))
	case foldEqual(verb, "rcpt"):
		t.add(smtpTo, envelope(rest))
	case foldEqual(verb, "data") && len(rest) == 0:
		kind, d.mode, d.bol = smtpData, smtpLines, true
	case foldEqual(verb, "bdat"):
		kind = d.chunk(rest)
	case foldEqual(verb, "starttls"):
		kind, d.mode, d.inject = smtpStartTLS, smtpWait, false
	case foldEqual(verb, "quit"):
		kind = smtpQuit
	case foldEqual(verb, "rset"):
		kind = smtpReset
	}
	t.add(smtpCommand, line)
	d.done(t, wire.ToServer, false)
	d.asked(kind)
	if kind == smtpDataEnd && d.mode == smtpCommands && d.open { // BDAT 0 LAST
		d.mailEnd(true, emit)
	}
	if kind == smtpReset && d.begun {
		d.next(emit)
	}
}

// envelope returns the address in the arguments of MAIL and RCPT.
func envelope(b []byte) []byte {
	_, v, ok := bytes.Cut(b, []byte{':'})
	if !ok {
		return b
	}
	v = bytes.TrimLeft(v, " \t")
	if len(v) > 0 && v[0] == '<' {
		if i := bytes.IndexByte(v, '>'); i >= 0 {
			return v[:i+1]
		}
	}
	v, _ = cutWord(v)
	return v
}

// next ends the exchange in hand and begins the next one. What still waits for its answer belongs to the old one: an answer behind its end
// adds nothing.
func (d *smtp) next(emit func(*Message)) {
	if d.used {
		d.lastID++
		u := unit{id: d.lastID, tx: d.tx}
		d.env.teller(d.p, wire.ToServer, &u, emit).flush(true, true)
	}
	d.tx++
	d.used, d.begun, d.told = false, false, false
}

// answer takes a line of the server. up says that the flow is TLS from behind it on.
func (d *smtp) answer(b []byte, last bool, emit func(*Message)) (n int, up bool, err error) {
	n, whole := cutLine(b, maxSMTPLine, last)
	if n == 0 {
		return 0, false, nil
	}
	line := bytes.TrimRight(b[:n], "\r\n")
	code, final, ok := replyCode(line)
	if !ok && !d.greeted {
		return 0, false, errSMTP
	}
	greeting := !d.greeted && d.unit[wire.ToClient].id == 0 && (code == 220 || code == 554 || code == 421) && (len(d.pending) == 0 || d.pending[0].kind != smtpStartTLS)
	ask := smtpAsked{smtpOther, d.tx}
	if len(d.pending) > 0 && !greeting {
		ask = d.pending[0]
	}
	t := d.teller(wire.ToClient, ask.tx, emit)
	t.add(smtpReply, line)
	if !ok || !final || !whole {
		return n, false, nil
	}
	d.greeted = true
	if !greeting && len(d.pending) > 0 {
		if ask.kind != smtpAuthing || code != 334 {
			d.pending = d.pending[:copy(d.pending, d.pending[1:])]
		}
	}
	return n, d.answered(t, ask, code, emit), nil
}

// answered does what follows from the answer to a command.
func (d *smtp) answered(t *teller, ask smtpAsked, code int, emit func(*Message)) (up bool) {
	ends := false
	switch ask.kind {
	case smtpStartTLS:
		if code == 220 {
			d.upgrade(wire.ToClient, emit)
			return true
		}
		if d.mode == smtpWait {
			d.mode = smtpCommands
		}
	case smtpHello:
		if code < 400 && ask.tx == d.tx {
			if d.said { // it begins anew
				d.done(t, wire.ToClient, false)
				d.next(emit)
				return false
			}
			d.said = true
		}
	case smtpAuthing:
		if code != 334 && d.mode == smtpSecrets {
			d.mode = smtpCommands
		}
	case smtpData:
		if code >= 400 && d.mode == smtpLines && !d.open {
			d.mode = smtpCommands
		}
	case smtpDataEnd, smtpQuit:
		ends = ask.tx == d.tx
		if ends {
			d.tx++
			d.used, d.begun, d.told = false, false, false
		}
	}
	d.done(t, wire.ToClient, ends)
	return false
}

// Gap implements Dissector: in a mail, and between lines, parsing goes on.
func (d *smtp) Gap(dir wire.Dir, n int, emit func(*Message)) bool {
	if dir == wire.ToClient {
		return false
	}
	switch d.mode {
	case smtpChunk:
		if n < d.left {
			d.left -= n
			return true
		}
	case smtpLines:
		d.bol = false
		return true
	}
	return false
}

// Close implements Dissector: what is open is told as it is.
func (d *smtp) Close(dir wire.Dir, emit func(*Message)) {
	d.closed[dir] = true
	if dir == wire.ToServer && d.open {
		d.mailEnd(false, emit)
	}
	if u := &d.unit[dir]; u.id != 0 {
		d.done(d.env.teller(d.p, dir, u, emit), dir, false)
	}
	if d.closed[dir.Other()] && d.used {
		d.next(emit)
	}
}

// Rest implements Dissector.
func (d *smtp) Rest() (Rest, bool) { return Rest{}, false }

// Size implements Dissector.
func (d *smtp) Size() int {
	n := 256 + cap(d.helo) + 16*cap(d.pending)
	if d.mail != nil {
		n += d.mail.size()
	}
	return n
}
