package dissect

import "bytes"

// mailFields are the fields of a mail in a protocol that carries such, in the order of mailHeader and those behind it.
func mailFields(name string) []FieldSpec {
	return []FieldSpec{
		mailHeader:     {Name: name + ".mail.header", Doc: "a header field of the mail or of a part of it, unfolded; a value for each. Encoded words are seen decoded, too"},
		mailFrom:       {Name: name + ".mail.from", Doc: "sender in the mail's header", EVE: "email/from", Derived: true},
		mailTo:         {Name: name + ".mail.to", Doc: "recipients in the mail's header, a value for each", EVE: "email/to[]", Derived: true},
		mailCc:         {Name: name + ".mail.cc", Doc: "likewise, of copies", EVE: "email/cc[]", Derived: true},
		mailSubject:    {Name: name + ".mail.subject", Doc: "subject, encoded words decoded", EVE: "email/subject", Derived: true},
		mailDate:       {Name: name + ".mail.date", Doc: "date in the mail's header", EVE: "email/date", Derived: true},
		mailMessageID:  {Name: name + ".mail.message_id", Doc: "Message-ID", EVE: "email/message_id", Derived: true},
		mailReceived:   {Name: name + ".mail.received", Doc: "what relays have written of the mail's way, a value for each", EVE: "email/received[]", Derived: true},
		mailAttachment: {Name: name + ".mail.attachment", Doc: "file name of a part, a value for each", EVE: "email/attachment[]", Derived: true, File: FileName},
		mailStatus:     {Name: name + ".mail.status", Doc: "`PARSE_DONE` once the mail's end was seen", EVE: "email/status", Derived: true},
		mailBody:       {Name: name + ".mail.body", Doc: "content of a part, base64 and quoted-printable decoded; a value for each part, attachments among them", File: NamedFile},
	}
}

// Fields of a mail, beyond the first of them in a protocol's Fields.
const (
	mailHeader Field = iota
	mailFrom
	mailTo
	mailCc
	mailSubject
	mailDate
	mailMessageID
	mailReceived
	mailAttachment
	mailStatus
	mailBody
)

// ours
const (
	maxMailDepth    = 16       // multiparts in multiparts; what is deeper is a part of the innermost
	maxMailBoundary = 256      // bytes; RFC 2046 has 70, some have more
	maxMailHeader   = 16 << 10 // bytes of a header field that are kept until it is whole; the rest is a value of its own
	maxMailNames    = 256      // addresses of a header field that are told apart
	mailLine        = 4 << 10  // bytes of a line that are waited for; a longer one is taken in pieces
	mailSize        = 256      // bytes that a mime is counted for, beside what it keeps
)

// mailCoding is a Content-Transfer-Encoding.
type mailCoding uint8

const (
	mailPlain mailCoding = iota
	mailBase64
	mailQuoted
)

// mime reads a mail (RFC 5322, RFC 2045 to 2047) line by line as it comes, and tells of it: what surrounds it belongs to the protocol that
// carries it. It keeps a header field, and the boundaries of the multiparts that it is in.
type mime struct {
	deep   *Note // tells that parts in parts are not followed
	base   Field // mailHeader in the protocol's Fields
	inBody bool
	inner  bool // in the header of a part: addresses and subject are not the mail's
	head   []byte
	bounds [][]byte
	coding mailCoding
	value  uint32 // of the content in hand; 0: none was told yet
	off    int64
	dec    mailDecoder
	odd    bool   // what is said to be base64 is not
	plain  uint32 // value of the content as it came, if so
	came   int64  // bytes of it
	file   bool   // it has a file name
	eol    []byte // end of its last line, not told yet: crlf, or the end of it

	// of the header in hand
	boundary []byte // its Content-Type is a multipart with this boundary
	embeds   bool   // its Content-Type is another mail
	next     mailCoding
	named    bool // the part's file name was told
}

// begin takes a new mail in hand; deep is told of one whose parts are not followed to the end.
func (m *mime) begin(base Field, deep *Note) {
	*m = mime{base: base, deep: deep, head: m.head[:0], bounds: m.bounds[:0]}
}

// size returns the bytes that m keeps.
func (m *mime) size() int {
	n := mailSize + cap(m.head)
	for _, b := range m.bounds {
		n += len(b)
	}
	return n
}

// line takes a line with its end, or a piece of one that is too long: bol says that it begins a line, eol that it ends one.
func (m *mime) line(t *teller, b []byte, bol, eol bool) {
	if bol && eol && len(m.bounds) > 0 && m.delimiter(t, b) {
		return
	}
	if m.inBody {
		m.content(t, b)
		return
	}
	text := bytes.TrimRight(b, "\r\n")
	switch {
	case bol && eol && len(text) == 0:
		m.headEnd(t)
	case bol && len(m.head) > 0 && (b[0] == ' ' || b[0] == '\t'):
		m.keep(t, text)
	default:
		if bol {
			m.field(t)
		}
		m.keep(t, text)
	}
}

// keep adds to the header field in hand.
func (m *mime) keep(t *teller, b []byte) {
	if len(m.head)+len(b) > maxMailHeader {
		m.field(t)
	}
	m.head = append(m.head, b[:min(len(b), maxMailHeader)]...)
}

// delimiter reports whether a line separates parts of a multipart that the content in hand is in.
func (m *mime) delimiter(t *teller, b []byte) bool {
	if len(b) < 3 || b[0] != '-' || b[1] != '-' {
		return false
	}
	line := bytes.TrimRight(b[2:], " \t\r\n")
	for i := len(m.bounds) - 1; i >= 0; i-- {
		rest, ok := bytes.CutPrefix(line, m.bounds[i])
		if !ok || len(rest) > 0 && string(rest) != "--" {
			continue
		}
		if !m.inBody {
			m.headEnd(t)
		}
		m.contentEnd(t)
		m.coding = mailPlain
		if len(rest) > 0 { // what follows is of no meaning, but inspected
			m.bounds = m.bounds[:i]
			return true
		}
		m.bounds = m.bounds[:i+1]
		m.inBody, m.inner = false, true
		return true
	}
	return false
}

// headEnd ends a header.
func (m *mime) headEnd(t *teller) {
	m.field(t)
	m.inBody, m.coding = true, m.next
	switch {
	case m.boundary != nil:
		m.coding = mailPlain
		if len(m.bounds) < maxMailDepth {
			m.bounds = append(m.bounds, m.boundary)
		} else {
			t.note(*m.deep)
		}
	case m.embeds && m.coding == mailPlain:
		m.inBody, m.inner = false, true
	}
	m.boundary, m.embeds, m.next, m.file, m.named = nil, false, mailPlain, m.named, false
}

// content takes bytes of a part's content.
func (m *mime) content(t *teller, b []byte) {
	f := m.base + mailBody
	if !t.wants(f) || len(b) == 0 {
		return
	}
	if m.value == 0 {
		m.value = t.value()
	}
	if m.coding == mailBase64 {
		m.asItCame(t, b)
	}
	if m.coding != mailPlain {
		at := len(t.text)
		if m.coding == mailBase64 {
			t.text = m.dec.base64(t.text, b)
		} else {
			t.text = m.dec.quoted(t.text, b)
		}
		b = t.text[at:]
	}
	if len(b) == 0 {
		return
	}
	m.lineEnd(t)
	if bytes.HasSuffix(b, crlf) {
		m.eol = crlf
	} else if b[len(b)-1] == '\n' {
		m.eol = crlf[1:]
	}
	if b = b[:len(b)-len(m.eol)]; len(b) > 0 {
		m.run(t, b)
	}
}

// run tells of the next bytes of the content.
func (m *mime) run(t *teller, b []byte) {
	t.run(m.base+mailBody, m.value, m.off, b)
	m.off += int64(len(b))
}

// lineEnd tells of the last line's end: it is the content's if more of that follows, else the delimiter's (RFC 2046 section 5.1.1).
func (m *mime) lineEnd(t *teller) {
	if len(m.eol) == 0 {
		return
	}
	eol := m.eol
	m.eol = nil
	if n := len(t.parts); n > 0 { // mostly it stands in memory behind what was told
		last := &t.parts[n-1]
		if k := len(last.Bytes); last.Field == m.base+mailBody && last.Value == m.value && k > 0 && cap(last.Bytes) >= k+len(eol) && bytes.Equal(last.Bytes[k:k+len(eol)], eol) {
			eol = last.Bytes[k : k+len(eol)]
		}
	}
	m.run(t, eol)
}

var crlf = []byte("\r\n")

// asItCame tells a content that is said to be base64 as it came too, from the first line on that is not: a reader may take it for what it
// looks like.
func (m *mime) asItCame(t *teller, b []byte) {
	if !m.odd && isBase64(b) {
		return
	}
	if !m.odd {
		m.odd, m.plain = true, t.value()
	}
	t.run(m.base+mailBody, m.plain, m.came, b)
	m.came += int64(len(b))
}

// isBase64 reports whether a line holds nothing but base64.
func isBase64(b []byte) bool {
	for _, c := range bytes.TrimRight(b, "= \t\r\n") {
		if _, ok := base64Digit(c); !ok {
			return false
		}
	}
	return true
}

// contentEnd ends the content of a part.
func (m *mime) contentEnd(t *teller) {
	if m.value == 0 && m.file && t.wants(m.base+mailBody) { // an empty file
		m.value = t.value()
	}
	m.file = false
	if m.value != 0 {
		if m.coding == mailBase64 {
			at := len(t.text)
			t.text = m.dec.base64End(t.text)
			if b := t.text[at:]; len(b) > 0 {
				t.run(m.base+mailBody, m.value, m.off, b)
				m.off += int64(len(b))
			}
		}
		t.part(Part{Field: m.base + mailBody, Value: m.value, Off: m.off})
	}
	if m.odd {
		t.part(Part{Field: m.base + mailBody, Value: m.plain, Off: m.came})
	}
	m.value, m.off, m.dec, m.eol = 0, 0, mailDecoder{}, nil
	m.odd, m.plain, m.came = false, 0, 0
}

// end ends the mail; whole says that its end was seen.
func (m *mime) end(t *teller, whole bool) {
	if !m.inBody {
		m.headEnd(t)
	}
	m.lineEnd(t)
	m.contentEnd(t)
	if whole {
		t.addString(m.base+mailStatus, "PARSE_DONE")
	}
	m.bounds = m.bounds[:0]
	if cap(m.head) > maxMailHeader/4 {
		m.head = nil
	}
}

// mailDecoder undoes transfer codings, however they are cut.
type mailDecoder struct {
	acc  uint32 // bits of base64
	n    uint8  // characters in acc; of quoted-printable those of an escape
	high byte
}

// base64 appends what b stands for. What is not of the alphabet is passed over, as readers of mail do.
func (d *mailDecoder) base64(out, b []byte) []byte {
	for _, c := range b {
		v, ok := base64Digit(c)
		if !ok {
			if c == '=' {
				out = d.base64End(out)
			}
			continue
		}
		d.acc = d.acc<<6 | uint32(v)
		if d.n++; d.n == 4 {
			out = append(out, byte(d.acc>>16), byte(d.acc>>8), byte(d.acc))
			d.acc, d.n = 0, 0
		}
	}
	return out
}

// base64End appends what stands in an unfinished group.
func (d *mailDecoder) base64End(out []byte) []byte {
	switch d.n {
	case 2:
		out = append(out, byte(d.acc>>4))
	case 3:
		out = append(out, byte(d.acc>>10), byte(d.acc>>2))
	}
	d.acc, d.n = 0, 0
	return out
}

func base64Digit(c byte) (byte, bool) {
	switch {
	case 'A' <= c && c <= 'Z':
		return c - 'A', true
	case 'a' <= c && c <= 'z':
		return c - 'a' + 26, true
	case '0' <= c && c <= '9':
		return c - '0' + 52, true
	case c == '+' || c == '-':
		return 62, true
	case c == '/' || c == '_':
		return 63, true
	}
	return 0, false
}

// quoted appends what quoted-printable b stands for.
func (d *mailDecoder) quoted(out, b []byte) []byte {
	for _, c := range b {
		switch {
		case d.n == 0 && c == '=':
			d.n = 1
		case d.n == 0:
			out = append(out, c)
		case d.n == 1 && (c == '\r' || c == ' ' || c == '\t'): // before the end of a line
		case d.n == 1 && c == '\n':
			d.n = 0
		default:
			v, ok := hexDigit(c)
			switch {
			case !ok: // no escape at all
				out = append(out, '=')
				if d.n == 2 {
					out = append(out, d.high)
				}
				out, d.n = append(out, c), 0
			case d.n == 1:
				d.high, d.n = c, 2
			default:
				high, _ := hexDigit(d.high)
				out, d.n = append(out, high<<4|v), 0
			}
		}
	}
	return out
}
