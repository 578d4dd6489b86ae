package dissect

import (
	"bytes"

	"weir/wire"
)

// XMPP is the Extensible Messaging and Presence Protocol.
var XMPP = Protocol{
	Name:    "xmpp",
	About:   "XMPP: RFC 6120, with STARTTLS, behind which the flow is looked at anew. Each stanza is a message with an event `xmpp`.",
	Carrier: Stream,
	Ports:   []uint16{5222, 5269, 5223},
	Probe:   probeXMPP,
	Fields: []FieldSpec{
		xmppElement:  {Name: "xmpp.element", Doc: "name of the stanza's element, as `message` or `stream:stream`", EVE: "element", Derived: true},
		xmppTo:       {Name: "xmpp.to", Doc: "whom it is for", EVE: "to", Derived: true},
		xmppFrom:     {Name: "xmpp.from", Doc: "whom it is from", EVE: "from", Derived: true},
		xmppType:     {Name: "xmpp.type", Doc: "its type, as `chat`", EVE: "type", Derived: true},
		xmppStanza:   {Name: "xmpp.stanza", Doc: "the stanza as it came"},
		xmppUser:     {Name: "xmpp.user", Doc: "user that the client logs in as, decoded", EVE: "user"},
		xmppPassword: {Name: "xmpp.password", Doc: "password or token that it logs in with, decoded; never shown"},
	},
	New:        func(p *Protocol, env *Env) Dissector { return &xmpp{chat: chat{p: p, env: env}} },
	PerMessage: true,
}

// Fields of XMPP, in the order of XMPP.Fields.
const (
	xmppElement Field = iota
	xmppTo
	xmppFrom
	xmppType
	xmppStanza
	xmppUser
	xmppPassword
)

// ours
const maxStanza = 64 << 10 // bytes that are waited for; a longer stanza is told in pieces as it comes

// xmpp parses one flow.
type xmpp struct {
	chat
	auth saslState
}

// Feed implements Dissector.
func (d *xmpp) Feed(dir wire.Dir, data []byte, emit func(*Message)) (pr Progress, err error) {
	for pr.Used < len(data) {
		b := data[pr.Used:]
		n := xmppEnd(b)
		if n == 0 && (d.closed[dir] || len(b) >= maxStanza) {
			n = min(len(b), maxStanza)
		}
		if n == 0 {
			return pr, nil
		}
		pr.Used += n
		if d.stanza(dir, b[:n], emit) {
			return pr, nil
		}
	}
	return pr, nil
}

// xmppEnd returns how long the item at the front of b is: white space, a declaration, the tag that opens or closes a stream, or an element with all
// that is in it. 0: it is not whole yet.
func xmppEnd(b []byte) int {
	if b[0] != '<' {
		if i := bytes.IndexByte(b, '<'); i > 0 {
			return i
		}
		return 0
	}
	for depth, i := 0, 0; ; {
		open := bytes.IndexByte(b[i:], '<')
		if open < 0 {
			return 0
		}
		i += open
		end := tagEnd(b[i:])
		if end == 0 {
			return 0
		}
		tag := b[i : i+end]
		i += end
		switch {
		case tag[1] == '?' || tag[1] == '!':
		case tag[1] == '/':
			depth--
		case tag[len(tag)-2] == '/':
		case depth == 0 && bytes.HasPrefix(tag, []byte("<stream:stream")):
		default:
			depth++
		}
		if depth <= 0 {
			return i
		}
	}
}

// tagEnd returns the length of the tag at the front of b, 0 if it is not whole.
func tagEnd(b []byte) int {
	quote := byte(0)
	for i, c := range b {
		switch {
		case quote != 0:
			if c == quote {
				quote = 0
			}
		case c == '"' || c == '\'':
			quote = c
		case c == '>' && i >= 2:
			return i + 1
		}
	}
	return 0
}

// stanza tells of an item. It reports whether TLS follows.
func (d *xmpp) stanza(dir wire.Dir, b []byte, emit func(*Message)) (up bool) {
	if len(bytes.TrimSpace(b)) == 0 || bytes.HasPrefix(b, []byte("<?")) {
		return false
	}
	t := d.message(dir, d.next(), emit)
	head := b[:max(tagEnd(b), min(len(b), 1))]
	name := bytes.TrimLeft(head, "</")
	if i := bytes.IndexAny(name, " \t\r\n/>"); i >= 0 {
		name = name[:i]
	}
	t.add(xmppElement, name)
	for _, a := range [...]struct {
		f    Field
		name string
	}{{xmppTo, "to"}, {xmppFrom, "from"}, {xmppType, "type"}} {
		if v := xmlAttr(head, a.name); len(v) > 0 {
			t.add(a.f, v)
		}
	}
	if (string(name) == "auth" || string(name) == "response") && len(b) > len(head) {
		text := b[len(head):]
		if i := bytes.IndexByte(text, '<'); i >= 0 {
			text = text[:i]
		}
		if string(name) == "auth" {
			d.auth = saslState{mech: saslOf(xmlAttr(head, "mechanism"))}
		}
		d.auth.message(t, text, xmppUser, xmppPassword)
		t.add(xmppStanza, head)
	} else {
		t.add(xmppStanza, b)
	}
	if dir == wire.ToClient && string(name) == "proceed" {
		d.upgrade(dir, emit)
		return true
	}
	d.over(dir, true, emit)
	return false
}

// xmlAttr returns the value of an attribute in a tag, nil if it has none.
func xmlAttr(tag []byte, name string) []byte {
	for at := 0; ; {
		i := bytes.Index(tag[at:], []byte(name))
		if i < 0 {
			return nil
		}
		at += i + len(name)
		rest := tag[at:]
		if before := tag[at-len(name)-1]; (before == ' ' || before == '\n' || before == '\t') && len(rest) > 2 && rest[0] == '=' && (rest[1] == '"' || rest[1] == '\'') {
			v, _, _ := bytes.Cut(rest[2:], rest[1:2])
			return v
		}
	}
}

// Gap implements Dissector.
func (d *xmpp) Gap(dir wire.Dir, n int, emit func(*Message)) bool { return false }

// Close implements Dissector.
func (d *xmpp) Close(dir wire.Dir, emit func(*Message)) { d.closed[dir] = true }

// Rest implements Dissector.
func (d *xmpp) Rest() (Rest, bool) { return Rest{}, false }

// Size implements Dissector.
func (d *xmpp) Size() int { return 160 }
