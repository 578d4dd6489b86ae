package dissect

import (
	"bytes"
	"unicode/utf8"
)

// field tells of the header field in hand, if there is one.
func (m *mime) field(t *teller) {
	if len(m.head) == 0 {
		return
	}
	line := t.write(func(b []byte) []byte { return append(b, m.head...) })
	m.head = m.head[:0]
	name, v, ok := bytes.Cut(line, []byte{':'})
	value := t.value()
	if f := m.base + mailHeader; t.wants(f) {
		t.part(Part{Field: f, Value: value, Bytes: line})
	}
	decoded := v
	if bytes.Contains(v, []byte("=?")) {
		decoded = m.words(t, value, line)
	}
	if ok {
		m.known(t, bytes.TrimSpace(name), bytes.TrimSpace(v), bytes.TrimSpace(decoded))
	}
}

// known looks at a header field whose name means something.
func (m *mime) known(t *teller, name, v, decoded []byte) {
	switch {
	case foldEqual(name, "content-type"):
		m.contentType(t, v)
		return
	case foldEqual(name, "content-transfer-encoding"):
		switch {
		case indexFold(v, "base64") >= 0:
			m.next = mailBase64
		case indexFold(v, "quoted-printable") >= 0:
			m.next = mailQuoted
		}
		return
	case foldEqual(name, "content-disposition"):
		m.fileName(t, v, "filename")
		return
	case m.inner:
		return
	}
	f := mailHeader
	switch {
	case foldEqual(name, "from"):
		f = mailFrom
	case foldEqual(name, "to"):
		f = mailTo
	case foldEqual(name, "cc"):
		f = mailCc
	case foldEqual(name, "subject"):
		f = mailSubject
	case foldEqual(name, "date"):
		f = mailDate
	case foldEqual(name, "message-id"):
		f = mailMessageID
	case foldEqual(name, "received"):
		f = mailReceived
	}
	switch f {
	case mailHeader:
	case mailTo, mailCc:
		for range maxMailNames {
			one, rest := cutAddress(decoded)
			t.add(m.base+f, bytes.TrimSpace(one))
			if decoded = rest; len(rest) == 0 {
				break
			}
		}
	default:
		t.add(m.base+f, decoded)
	}
}

// cutAddress cuts a list of addresses behind the first.
func cutAddress(b []byte) (one, rest []byte) {
	quoted, depth := false, 0
	for i, c := range b {
		switch {
		case c == '"':
			quoted = !quoted
		case quoted:
		case c == '<':
			depth++
		case c == '>':
			depth = 0
		case c == ',' && depth == 0:
			return b[:i], b[i+1:]
		}
	}
	return b, nil
}

// contentType remembers what a Content-Type says of the content.
func (m *mime) contentType(t *teller, v []byte) {
	switch {
	case len(v) > 10 && foldEqual(v[:10], "multipart/"):
		if b := parameter(v, "boundary"); len(b) > 0 && len(b) <= maxMailBoundary {
			m.boundary = bytes.Clone(b)
		}
	case len(v) >= 14 && foldEqual(v[:14], "message/rfc822"):
		m.embeds = true
	}
	m.fileName(t, v, "name")
}

// fileName tells of the file name in a header field's parameters.
func (m *mime) fileName(t *teller, v []byte, param string) {
	f := m.base + mailAttachment
	if m.named || !t.wants(f) || indexFold(v, param) < 0 {
		return
	}
	name := parameter(v, param)
	if name == nil {
		name = extendedName(t, v, param)
	}
	if len(name) == 0 {
		return
	}
	if bytes.Contains(name, []byte("=?")) {
		name = t.write(func(b []byte) []byte { b, _ = appendWords(b, name, nil); return b })
	}
	m.named = true
	t.add(f, name)
}

// extendedName reads a parameter as RFC 2231 has it: with a charset, or in numbered pieces.
func extendedName(t *teller, v []byte, param string) []byte {
	if b := parameter(v, param+"*"); b != nil {
		return t.write(func(out []byte) []byte { return appendExtended(out, b, true) })
	}
	return t.write(func(out []byte) []byte {
		for i := range 10 {
			digit := param + "*" + string(rune('0'+i))
			b := parameter(v, digit)
			if b == nil {
				if b = parameter(v, digit+"*"); b == nil {
					break
				}
				out = appendExtended(out, b, i == 0)
				continue
			}
			out = append(out, b...)
		}
		return out
	})
}

func appendExtended(out, b []byte, charset bool) []byte {
	if charset {
		if f := bytes.SplitN(b, []byte{'\''}, 3); len(f) == 3 {
			b = f[2]
		}
	}
	for len(b) > 0 {
		if e := PercentEscape(b, true); b[0] == '%' && e.Size > 0 {
			out = append(out, e.Out[:e.N]...)
			b = b[e.Size:]
			continue
		}
		out = append(out, b[0])
		b = b[1:]
	}
	return out
}

// words tells of a header field with its encoded words decoded, and returns the value behind the name so.
func (m *mime) words(t *teller, value uint32, line []byte) []byte {
	var shifts []Shift
	out := t.write(func(b []byte) []byte {
		at := len(b)
		b, shifts = appendWords(b, line, []Shift{{}})
		for i := range shifts {
			shifts[i].At -= int64(at)
			shifts[i].Delta += int64(at)
		}
		shifts[0] = Shift{}
		return b
	})
	if f := m.base + mailHeader; t.wants(f) && len(shifts) > 1 {
		t.part(Part{Field: f, View: ViewWords, Value: value, Bytes: out, Shifts: shifts})
	}
	_, v, _ := bytes.Cut(out, []byte{':'})
	return v
}

// appendWords appends b with its encoded words (RFC 2047) decoded. Shifts are appended for places in out.
func appendWords(out, b []byte, shifts []Shift) ([]byte, []Shift) {
	last := false // an encoded word came directly before: white space between two is none
	for i := 0; i < len(b); {
		if b[i] == '=' {
			if text, n, latin := encodedWord(b[i:]); n > 0 {
				shifts = append(shifts, Shift{At: int64(len(out)), Delta: int64(i - len(out))})
				out = appendLatin(out, text, latin)
				i += n
				shifts = append(shifts, Shift{At: int64(len(out)), Delta: int64(i - len(out))})
				last = true
				continue
			}
		}
		if last && (b[i] == ' ' || b[i] == '\t') {
			j := i
			for j < len(b) && (b[j] == ' ' || b[j] == '\t') {
				j++
			}
			if _, n, _ := encodedWord(b[j:]); n > 0 {
				i = j
				continue
			}
		}
		last = false
		out = append(out, b[i])
		i++
	}
	return out, shifts
}

// encodedWord decodes the encoded word at the front of b; n is 0 if there is none. latin says that it is in ISO 8859-1 or the like.
func encodedWord(b []byte) (text []byte, n int, latin bool) {
	if len(b) < 8 || b[0] != '=' || b[1] != '?' {
		return nil, 0, false
	}
	f := bytes.SplitN(b[2:min(len(b), 1024)], []byte{'?'}, 4)
	if len(f) < 4 || len(f[0]) == 0 || len(f[1]) != 1 || len(f[3]) == 0 || f[3][0] != '=' {
		return nil, 0, false
	}
	n = 2 + len(f[0]) + 1 + 1 + 1 + len(f[2]) + 2
	var d mailDecoder
	switch lower(f[1][0]) {
	case 'b':
		text = d.base64End(d.base64(nil, f[2]))
	case 'q':
		text = d.quoted(nil, bytes.ReplaceAll(f[2], []byte{'_'}, []byte{' '}))
	default:
		return nil, 0, false
	}
	return text, n, indexFold(f[0], "8859-1") >= 0 || indexFold(f[0], "windows-1252") >= 0
}

func appendLatin(out, text []byte, latin bool) []byte {
	if !latin || utf8.Valid(text) {
		return append(out, text...)
	}
	for _, c := range text {
		out = utf8.AppendRune(out, rune(c))
	}
	return out
}
