package dissect

import (
	"bytes"
	"errors"

	"weir/wire"
)

// IMAP is the Internet Message Access Protocol.
var IMAP = Protocol{
	Name: "imap",
	About: "IMAP: RFC 9051, RFC 3501, with STARTTLS, behind which the flow is looked at anew. A command with its answer is an exchange with an event `imap`. " +
		"Literals that are mails, as FETCH brings them and APPEND takes them, are decoded as they come.",
	Carrier: Stream,
	Ports:   []uint16{143, 993},
	Probe:   probeIMAP,
	Fields: append([]FieldSpec{
		imapTag:      {Name: "imap.tag", Doc: "tag of the command", EVE: "tag", Derived: true},
		imapCommand:  {Name: "imap.command", Doc: "the command, upper-case, as `UID FETCH`", EVE: "command", Derived: true},
		imapRequest:  {Name: "imap.request", Doc: "a line of the client; credentials aside"},
		imapUser:     {Name: "imap.user", Doc: "user that the client logs in as", EVE: "user"},
		imapPassword: {Name: "imap.password", Doc: "password or token that it logs in with, decoded; never shown", Privacy: Credential},
		imapReply:    {Name: "imap.reply", Doc: "a line of the server"},
		imapStatus:   {Name: "imap.status", Doc: "`OK`, `NO` or `BAD`", EVE: "status", Derived: true},
		imapLiteral:  {Name: "imap.literal", Doc: "a literal that is not a mail"},
	}, mailFields("imap")...),
	New: func(p *Protocol, env *Env) Dissector { return &imap{chat: chat{p: p, env: env}} },
}

// Fields of IMAP; those of a mail follow.
const (
	imapTag Field = iota
	imapCommand
	imapRequest
	imapUser
	imapPassword
	imapReply
	imapStatus
	imapLiteral
	imapMail
)

// ours
const (
	maxIMAPPending = 64      // commands that wait for their answer; of more, answers are exchanges of their own
	maxIMAPLiteral = 8 << 30 // bytes
)

var (
	errIMAP           = errors.New("imap: no commands and answers")
	imapNoteDeep      = Note{"imap.mail_too_deep", false, "parts of a mail in parts of a mail, deeper than is followed: inspected as text"}
	imapNoteInjection = Note{"imap.plaintext_after_starttls", true, "commands right behind STARTTLS, before it was answered: a server that takes them for encrypted ones can be deceived"}
)

// imapAsked is a command that waits for its answer.
type imapAsked struct {
	tag  [maxTag]byte
	n    uint8
	tx   uint64
	tls  bool
	auth bool
}

// imapSide is the state of one direction.
type imapSide struct {
	literal int64 // bytes to come of a literal
	mail    bool  // it is a mail
	bol     bool
	value   uint32
	off     int64
	goes    bool // the next line goes on with what the literal was part of
	long    bool // a line goes on
	mime    *mime
}

// imap parses one flow.
type imap struct {
	chat
	side    [2]imapSide
	pending []imapAsked
	tx      uint64 // of the command in hand, of untagged answers
	secret  bool   // the client's lines are credentials
	login   uint8  // arguments of LOGIN to come as literals or lines: 2 user, 1 password
	appends bool   // the command in hand is APPEND
	auth    saslState
	tls     tlsWait // STARTTLS
	greeted bool
	sealed  bool // COMPRESS: no line can be read any more
}

// Feed implements Dissector.
func (d *imap) Feed(dir wire.Dir, data []byte, emit func(*Message)) (pr Progress, err error) {
	last, s := d.closed[dir], &d.side[dir]
	for pr.Used < len(data) && err == nil {
		b := data[pr.Used:]
		if s.literal > 0 {
			n := d.literal(dir, s, b, last, emit)
			if n == 0 {
				break
			}
			pr.Used += n
			continue
		}
		if dir == wire.ToServer && d.tls.waits {
			up, hold := d.behindTLS(&d.tls, b[0], d.tx, d.greeted, imapNoteInjection, emit)
			if up {
				return pr, nil
			}
			if hold {
				break
			}
		}
		n, whole := cutLine(b, maxChatLine, last)
		if n == 0 {
			break
		}
		up := false
		if dir == wire.ToServer {
			err = d.request(s, b[:n], whole, emit)
		} else {
			up, err = d.answer(s, b[:n], whole, emit)
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

// request takes a line of the client, or a piece of one.
func (d *imap) request(s *imapSide, b []byte, whole bool, emit func(*Message)) error {
	if !isText(b) && !d.greeted {
		return errIMAP
	}
	line := bytes.TrimRight(b, "\r\n")
	size := literalSize(line)
	goes, long := s.goes, s.long
	s.goes, s.long = size > 0 && whole, !whole
	if s.goes {
		s.literal, s.bol, s.value, s.off = size, true, 0, 0
	}
	switch {
	case d.secret:
		t := d.message(wire.ToServer, d.tx, emit)
		d.secret = !d.auth.message(t, line, imapUser, imapPassword)
		d.over(wire.ToServer, false, emit)
		return nil
	case goes || long:
		t := d.message(wire.ToServer, d.tx, emit)
		if d.login > 0 {
			d.loginArgs(t, line)
		} else {
			t.add(imapRequest, line)
		}
	default:
		d.command(line, emit)
	}
	if s.mail = s.goes && d.appends; s.mail {
		d.beginMail(s)
	}
	if !s.goes && !s.long {
		d.over(wire.ToServer, false, emit)
		d.login, d.appends = 0, false
	}
	return nil
}

// command takes the first line of a command.
func (d *imap) command(line []byte, emit func(*Message)) {
	tag, rest := cutWord(line)
	verb, args := cutWord(rest)
	q := imapAsked{tx: d.next()}
	q.n = uint8(copy(q.tag[:], tag))
	d.tx = q.tx
	t := d.message(wire.ToServer, q.tx, emit)
	if len(verb) == 0 { // DONE, or an empty line
		t.add(imapRequest, line)
		return
	}
	t.add(imapTag, tag)
	name := rest[:len(verb)]
	if foldEqual(verb, "uid") {
		second, _ := cutWord(args)
		name = t.write(func(out []byte) []byte { return append(append(out, "uid "...), second...) })
	}
	t.add(imapCommand, t.write(func(out []byte) []byte { return append(out, bytes.ToUpper(name)...) }))
	switch {
	case foldEqual(verb, "login"):
		d.login = 2
		t.add(imapRequest, line[:len(line)-len(args)])
		d.loginArgs(t, args)
	case foldEqual(verb, "authenticate"):
		mech, initial := cutWord(args)
		d.auth, d.secret, q.auth = saslState{mech: saslOf(mech)}, true, true
		t.add(imapRequest, line[:len(line)-len(initial)])
		if len(initial) > 0 {
			d.secret = !d.auth.message(t, initial, imapUser, imapPassword)
		}
		d.over(wire.ToServer, false, emit)
	default:
		t.add(imapRequest, line)
		d.appends = foldEqual(verb, "append")
		if foldEqual(verb, "starttls") {
			q.tls, d.tls = true, tlsWait{waits: true}
		}
	}
	if len(d.pending) < maxIMAPPending {
		d.pending = append(d.pending, q)
	}
}

// loginArgs takes arguments of LOGIN: atoms or strings in quotes. What announces a literal is none.
func (d *imap) loginArgs(t *teller, b []byte) {
	for len(b) > 0 && d.login > 0 {
		var arg []byte
		switch {
		case b[0] == '{':
			return
		case b[0] == '"':
			end := 1
			for end < len(b) && b[end] != '"' {
				if b[end] == '\\' {
					end++
				}
				end++
			}
			end = min(end, len(b))
			arg, b = b[1:end], bytes.TrimLeft(b[min(end+1, len(b)):], " ")
		default:
			arg, b = cutWord(b)
		}
		d.loginArg(t, arg)
	}
}

func (d *imap) loginArg(t *teller, arg []byte) {
	if d.login == 2 {
		t.add(imapUser, arg)
	} else {
		t.add(imapPassword, arg)
	}
	d.login--
}

// literalSize returns how many bytes a line says that follow it as a literal; 0: none.
func literalSize(line []byte) (n int64) {
	if len(line) < 3 || line[len(line)-1] != '}' {
		return 0
	}
	i := bytes.LastIndexByte(line, '{')
	if i < 0 || len(line)-i > 14 {
		return 0
	}
	digits := bytes.TrimSuffix(line[i+1:len(line)-1], []byte{'+'}) // RFC 7888
	for _, c := range digits {
		if c < '0' || c > '9' {
			return 0
		}
		n = n*10 + int64(c-'0')
	}
	return min(n, maxIMAPLiteral)
}

func (d *imap) beginMail(s *imapSide) {
	if s.mime == nil {
		s.mime = new(mime)
	}
	s.mime.begin(imapMail, &imapNoteDeep)
}

// literal takes bytes of a literal.
func (d *imap) literal(dir wire.Dir, s *imapSide, b []byte, last bool, emit func(*Message)) (n int) {
	b = b[:min(int64(len(b)), s.literal)]
	t := d.message(dir, d.tx, emit)
	switch {
	case s.mail:
		var whole bool
		n, whole = cutLine(b, mailLine, last || int64(len(b)) == s.literal)
		if n == 0 {
			return 0
		}
		eol := b[n-1] == '\n'
		s.mime.line(t, b[:n], s.bol, whole && eol)
		s.bol = eol
	case dir == wire.ToServer && d.login > 0:
		if int64(len(b)) < s.literal && len(b) < maxChatLine && !last {
			return 0
		}
		n = min(len(b), maxChatLine)
		d.loginArg(t, b[:n])
	default:
		n = len(b)
		if t.wants(imapLiteral) {
			if s.value == 0 {
				s.value = t.value()
			}
			t.part(Part{Field: imapLiteral, Value: s.value, Off: s.off, Bytes: b, More: int64(n) < s.literal})
			s.off += int64(n)
		}
	}
	if s.literal -= int64(n); s.literal == 0 && s.mail {
		s.mime.end(t, true)
		s.mail = false
	}
	return n
}
