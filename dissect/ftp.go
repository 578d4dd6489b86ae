package dissect

import (
	"bytes"
	"errors"
	"net/netip"
	"strconv"

	"weir/wire"
)

// FTP is the control connection of the File Transfer Protocol.
var FTP = Protocol{
	Name: "ftp",
	About: "FTP: RFC 959, RFC 2428, with AUTH TLS (RFC 4217), behind which the flow is looked at anew. A command and its answer are an exchange with " +
		"an event `ftp`. Connections for data that are announced are known when they come: see ftp-data.",
	Carrier: Stream,
	Ports:   []uint16{21, 2121, 990},
	Probe:   probeFTP,
	Fields: []FieldSpec{
		ftpCommand:  {Name: "ftp.command", Doc: "the command, upper-case", EVE: "command"},
		ftpArg:      {Name: "ftp.command_data", Doc: "its argument; those of PASS and ADAT aside", EVE: "command_data"},
		ftpUser:     {Name: "ftp.user", Doc: "user that the client logs in as", EVE: "user", Derived: true},
		ftpPassword: {Name: "ftp.password", Doc: "password that it logs in with; never shown", Privacy: Credential},
		ftpReply:    {Name: "ftp.reply", Doc: "a line of the answer without its code, a value for each", EVE: "reply[]"},
		ftpCode:     {Name: "ftp.completion_code", Doc: "codes of the answer", EVE: "completion_code[]", Derived: true},
		ftpReceived: {Name: "ftp.reply_received", Doc: "`yes` if an answer came", EVE: "reply_received", Derived: true},
		ftpMode:     {Name: "ftp.mode", Doc: "`active` or `passive`, of commands that announce a connection for data", EVE: "mode", Derived: true},
		ftpPort:     {Name: "ftp.dynamic_port", Doc: "port of the connection that is announced", EVE: "dynamic_port", Number: true, Derived: true},
		ftpLine:     {Name: "ftp.command_line", Doc: "the command as it came, without line end; without argument if that is a password", Derived: true},
	},
	New: func(p *Protocol, env *Env) Dissector { return &ftp{chat: chat{p: p, env: env}} },
}

// Fields of FTP, in the order of FTP.Fields.
const (
	ftpCommand Field = iota
	ftpArg
	ftpUser
	ftpPassword
	ftpReply
	ftpCode
	ftpReceived
	ftpMode
	ftpPort
	ftpLine
)

// ours
const (
	maxFTPName = 256 // bytes of a file name that go with the announcement of a connection
)

var (
	errFTP          = errors.New("ftp: no commands and answers")
	ftpNoteInjected = Note{"ftp.plaintext_after_auth", true, "commands right behind AUTH, before it was answered: a server that takes them for encrypted ones can be deceived"}
	ftpNoteBounce   = Note{"ftp.bounce", true, "the client names a well-known port for data: the server is to be made to talk to another service"}
)

// ftpKind is what an answer belongs to.
type ftpKind uint8

const (
	ftpOther ftpKind = iota
	ftpPassive
	ftpExtended // EPSV
	ftpTLS
)

// ftp parses one flow.
type ftp struct {
	chat
	pending queue[ftpKind]
	greeted bool
	tls     tlsWait     // AUTH
	code    int         // of the answer of several lines in hand; 0: none
	expect  Expectation // the connection for data that was announced last; Port 0: none
}

// Feed implements Dissector.
func (d *ftp) Feed(dir wire.Dir, data []byte, emit func(*Message)) (pr Progress, err error) {
	last := d.closed[dir]
	for pr.Used < len(data) {
		b := data[pr.Used:]
		if dir == wire.ToServer && d.tls.waits {
			up, hold := d.behindTLS(&d.tls, b[0], d.lastTx, d.greeted, ftpNoteInjected, emit)
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
		line := bytes.TrimRight(b[:n], "\r\n")
		up := false
		switch {
		case dir == wire.ToClient:
			up, err = d.answer(line, whole, emit)
		case !isText(withoutTelnet(line)) && !d.greeted:
			err = errFTP
		default:
			d.command(withoutTelnet(line), emit)
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

// withoutTelnet takes the interrupt off that may stand before ABOR.
func withoutTelnet(line []byte) []byte {
	for len(line) >= 2 && line[0] == telnetIAC && line[1] >= telnetSE {
		line = line[2:]
	}
	return line
}

// command takes a line of the client.
func (d *ftp) command(line []byte, emit func(*Message)) {
	verb, arg := cutWord(line)
	tx := d.next()
	t := d.message(wire.ToServer, tx, emit)
	t.add(ftpCommand, t.write(func(out []byte) []byte { return append(out, bytes.ToUpper(verb)...) }))
	kind := ftpOther
	switch {
	case foldEqual(verb, "pass"):
		t.add(ftpPassword, arg)
		line, arg = verb, nil
	case foldEqual(verb, "adat"):
		t.add(ftpPassword, arg)
		line, arg = verb, nil
	case foldEqual(verb, "user"):
		t.add(ftpUser, arg)
	case foldEqual(verb, "pasv"):
		kind = ftpPassive
	case foldEqual(verb, "epsv"):
		kind = ftpExtended
	case foldEqual(verb, "port"), foldEqual(verb, "eprt"):
		read := hostPort
		if lower(verb[0]) == 'e' {
			read = extendedPort
		}
		if a, port, ok := read(arg); ok {
			d.announced(t, Expectation{Addr: a, Port: port, Protocol: &FTPData}, "active")
			if port < 1024 && port != 20 {
				t.note(ftpNoteBounce)
			}
		}
	case foldEqual(verb, "auth"):
		if k := arg[:min(len(arg), 3)]; foldEqual(k, "tls") || foldEqual(k, "ssl") {
			kind, d.tls = ftpTLS, tlsWait{waits: true}
		}
	case d.expect.Port != 0 && ftpTransfers(verb):
		d.expect.Name = string(bytes.ToUpper(verb)) + " " + string(arg[:min(len(arg), maxFTPName)])
		d.announce(t)
		d.expect.Port = 0
	}
	if len(arg) > 0 {
		t.add(ftpArg, arg)
	}
	t.add(ftpLine, line)
	d.over(wire.ToServer, !d.pending.push(kind, tx), emit)
}

// ftpTransfers reports whether a command has its answer on a connection for data.
func ftpTransfers(verb []byte) bool {
	for _, w := range [...]string{"retr", "stor", "stou", "appe", "list", "nlst", "mlsd"} {
		if foldEqual(verb, w) {
			return true
		}
	}
	return false
}

// announced notes a connection for data that is to come.
func (d *ftp) announced(t *teller, e Expectation, mode string) {
	t.addString(ftpMode, mode)
	t.number(ftpPort, int64(e.Port))
	d.expect = e
	d.announce(t)
}

// announce tells of it: at the address that was said, and at the one that is known, for the first may be that behind a NAT.
func (d *ftp) announce(t *teller) {
	t.expect(d.expect)
	if e := d.expect; e.Addr.IsValid() {
		e.Addr = netip.Addr{}
		t.expect(e)
	}
}

// answer takes a line of the server, or a piece of one. up says that the flow is TLS from behind it on.
func (d *ftp) answer(line []byte, whole bool, emit func(*Message)) (up bool, err error) {
	code, final, ok := replyCode(line)
	if d.code != 0 { // up to the same code with a space
		final = ok && final && code == d.code
		if !final {
			ok = false
		}
	}
	if !ok && d.code == 0 && !d.greeted {
		return false, errFTP
	}
	kind, tx := ftpOther, uint64(0)
	q := d.pending.front()
	greeting := !d.greeted && (code == 220 || code == 120 || code == 421)
	if q == nil || greeting {
		if u := d.unit[wire.ToClient]; u.id != 0 {
			tx = u.tx
		} else {
			tx = d.next()
		}
	} else {
		kind, tx = q.kind, q.tx
	}
	t := d.message(wire.ToClient, tx, emit)
	if !ok {
		t.add(ftpReply, line)
		d.bound(t)
		return false, nil
	}
	if d.code == 0 || final {
		t.add(ftpCode, line[:3])
	}
	if len(line) > 4 {
		t.add(ftpReply, line[4:])
	}
	if !final || !whole {
		d.code = code
		return false, nil
	}
	d.code, d.greeted = 0, true
	if code < 200 {
		return false, nil
	}
	if q != nil && !greeting {
		d.pending.pop()
		t.addString(ftpReceived, "yes")
	}
	return d.answered(t, kind, code, line, emit), nil
}

// bound ends a message that grows without end.
func (d *ftp) bound(t *teller) {
	if t.u.values > 512 {
		t.flush(false, false)
	}
}

// answered does what follows from the answer to a command.
func (d *ftp) answered(t *teller, kind ftpKind, code int, line []byte, emit func(*Message)) (up bool) {
	switch {
	case kind == ftpTLS:
		d.tls.waits = false
		if code == 234 || code == 334 {
			d.upgrade(wire.ToClient, emit)
			return true
		}
	case kind == ftpPassive && code == 227:
		if i := bytes.IndexAny(line[4:], "0123456789"); i >= 0 {
			if a, port, ok := hostPort(line[4+i:]); ok {
				d.announced(t, Expectation{Addr: a, Port: port, Side: wire.ToClient, Protocol: &FTPData}, "passive")
			}
		}
	case kind == ftpExtended && code == 229:
		if i := bytes.IndexByte(line, '('); i >= 0 {
			if a, port, ok := extendedPort(line[i+1:]); ok {
				d.announced(t, Expectation{Addr: a, Port: port, Side: wire.ToClient, Protocol: &FTPData}, "passive")
			}
		}
	}
	d.over(wire.ToClient, true, emit)
	return false
}

// hostPort reads h1,h2,h3,h4,p1,p2.
func hostPort(b []byte) (a netip.Addr, port uint16, ok bool) {
	var v [6]int
	i := 0
	digits := false
	for _, c := range b {
		switch {
		case '0' <= c && c <= '9':
			if v[i] = v[i]*10 + int(c-'0'); v[i] > 255 {
				return a, 0, false
			}
			digits = true
		case c == ',' && i < 5 && digits:
			i, digits = i+1, false
		default:
			if i < 5 {
				return a, 0, false
			}
			i = 6
		}
		if i == 6 {
			break
		}
	}
	if i < 5 || !digits {
		return a, 0, false
	}
	return netip.AddrFrom4([4]byte{byte(v[0]), byte(v[1]), byte(v[2]), byte(v[3])}), uint16(v[4]<<8 | v[5]), v[4]|v[5] != 0
}

// extendedPort reads |family|address|port|, whose first two may be empty.
func extendedPort(b []byte) (a netip.Addr, port uint16, ok bool) {
	if len(b) == 0 {
		return a, 0, false
	}
	f := bytes.SplitN(b, b[:1], 5)
	if len(f) < 5 {
		return a, 0, false
	}
	if len(f[2]) > 0 && len(f[2]) < 64 {
		a, _ = netip.ParseAddr(string(f[2]))
		a = a.WithZone("")
	}
	n, err := strconv.ParseUint(string(f[3][:min(len(f[3]), 6)]), 10, 16)
	return a, uint16(n), err == nil && n != 0
}

// Gap implements Dissector.
func (d *ftp) Gap(dir wire.Dir, n int, emit func(*Message)) bool { return false }

// Close implements Dissector.
func (d *ftp) Close(dir wire.Dir, emit func(*Message)) {
	d.closed[dir] = true
	d.over(dir, false, emit)
	if dir == wire.ToClient {
		for q := d.pending.front(); q != nil; q = d.pending.front() {
			d.unanswered(dir, q.tx, emit)
			d.pending.pop()
		}
	}
}

// Rest implements Dissector.
func (d *ftp) Rest() (Rest, bool) { return Rest{}, false }

// Size implements Dissector.
func (d *ftp) Size() int {
	return 384 + 16*cap(d.pending.list) + len(d.expect.Name)
}
