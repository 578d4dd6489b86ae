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
		xmppPassword: {Name: "xmpp.password", Doc: "password or token that it logs in with, decoded; never shown", Privacy: Credential},
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
const (
	maxStanza      = 64 << 10 // bytes that are waited for; a longer stanza is told as it comes
	maxDeclaration = 64       // bytes of a declaration that nobody needs to see: version, encoding, standalone
)

// xmpp parses one flow.
type xmpp struct {
	chat
	auth saslState
	scan [2]xmppScan
	long [2]pieces // a stanza that is longer than what is waited for, in hand
}

// xmppScan is how far the item at the front of what is held was looked at: nothing is looked at twice, however small the pieces are.
type xmppScan struct {
	at    int // bytes that were
	tag   int // where the tag begins that at is within, if inTag
	depth int
	inTag bool
	quote byte // that at is within; 0: none
}

// Feed implements Dissector.
func (d *xmpp) Feed(dir wire.Dir, data []byte, emit func(*Message)) (pr Progress, err error) {
	for pr.Used < len(data) {
		b := data[pr.Used:]
		s := &d.scan[dir]
		n := s.end(b)
		whole := n > 0
		if !whole && d.closed[dir] {
			n, whole = len(b), true
		}
		if !whole && len(b) >= maxStanza {
			n = s.looked()
			whole = n == 0 // nothing but one tag: nobody reads that
		}
		if n == 0 && !whole {
			break
		}
		if n == 0 {
			n = min(len(b), maxStanza)
		}
		pr.Used += n
		if whole {
			*s = xmppScan{}
		}
		if d.unit[dir].id != 0 {
			d.goOn(dir, b[:n], whole, emit)
		} else if d.stanza(dir, b[:n], whole, emit) {
			return pr, nil
		}
	}
	d.flush(dir, emit)
	return pr, nil
}

// goOn takes the next piece of a long stanza, or its last.
func (d *xmpp) goOn(dir wire.Dir, b []byte, last bool, emit func(*Message)) {
	d.long[dir].more(d.message(dir, d.lastTx, emit), b, last)
	if last {
		d.long[dir] = pieces{}
		d.over(dir, true, emit)
	}
}

// looked gives up what was looked at of an item that is longer than what is waited for: up to the tag that is being looked at.
func (s *xmppScan) looked() (n int) {
	if n = s.at; s.inTag {
		n = s.tag
	}
	s.at -= n
	s.tag -= n
	return n
}

// end returns how long the item at the front of b is: white space, a declaration, the tag that opens or closes a stream, or an element with all
// that is in it. 0: it is not whole yet; then it goes on from here in the next call.
func (s *xmppScan) end(b []byte) int {
	if b[0] != '<' && s.depth == 0 {
		if i := bytes.IndexByte(b[s.at:], '<'); i >= 0 {
			return s.at + i
		}
		s.at = len(b)
		return 0
	}
	for {
		if !s.inTag {
			open := bytes.IndexByte(b[s.at:], '<')
			if open < 0 {
				s.at = len(b)
				return 0
			}
			s.tag, s.inTag = s.at+open, true
			s.at = s.tag
		}
		if !s.tagEnd(b) {
			return 0
		}
		tag := b[s.tag:s.at]
		s.inTag = false
		switch {
		case tag[1] == '?' || tag[1] == '!':
		case tag[1] == '/':
			s.depth--
		case tag[len(tag)-2] == '/':
		case s.depth == 0 && bytes.HasPrefix(tag, []byte("<stream:stream")):
		default:
			s.depth++
		}
		if s.depth <= 0 {
			return s.at
		}
	}
}

// tagEnd takes at behind the end of the tag; it reports false if that is not there.
func (s *xmppScan) tagEnd(b []byte) bool {
	for ; s.at < len(b); s.at++ {
		switch c := b[s.at]; {
		case s.quote != 0:
			if c == s.quote {
				s.quote = 0
			}
		case c == '"' || c == '\'':
			s.quote = c
		case c == '>' && s.at >= s.tag+2:
			s.at++
			return true
		}
	}
	return false
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

// stanza tells of an item, or the front of one. It reports whether TLS follows.
func (d *xmpp) stanza(dir wire.Dir, b []byte, whole bool, emit func(*Message)) (up bool) {
	if whole && len(bytes.TrimSpace(b)) == 0 || bytes.HasPrefix(b, []byte("<?xml ")) && len(b) <= maxDeclaration {
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
	if !whole {
		if t.wants(xmppStanza) {
			d.long[dir] = pieces{field: xmppStanza, value: t.value()}
		}
		d.long[dir].more(t, b, false)
		return false
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
func (d *xmpp) Close(dir wire.Dir, emit func(*Message)) {
	d.closed[dir] = true
	if d.unit[dir].id != 0 {
		d.goOn(dir, nil, true, emit)
	}
}

// Rest implements Dissector.
func (d *xmpp) Rest() (Rest, bool) { return Rest{}, false }

// Size implements Dissector.
func (d *xmpp) Size() int { return 320 }
