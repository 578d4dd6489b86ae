package content

import (
	"bytes"
	"unicode/utf8"
)

// ours
const (
	maxTag    = 256 // bytes of a tag that are looked at for its name
	maxEntity = 10  // bytes, as &#x10FFFF;
)

// readMarkup gives the text of XML or HTML. Where a document's programs split a word into runs it is whole again; what stands in different
// paragraphs, cells or elements of data is apart.
func readMarkup(in *input, out *output) error {
	out.begin("")
	m := markup{in: in, out: out}
	for {
		if _, err := in.Peek(1); err != nil {
			return err
		}
		b, _ := in.Peek(in.Buffered())
		var err error
		switch n := bytes.IndexAny(b, "<&"); {
		case n < 0:
			err = m.text(b)
			in.Discard(len(b))
		case n > 0:
			err = m.text(b[:n])
			in.Discard(n)
		case b[0] == '<':
			err = m.tag()
		default:
			err = m.entity()
		}
		if err != nil {
			return err
		}
	}
}

type markup struct {
	in    *input
	out   *output
	apart byte // what is to stand between what was and what comes; 0: nothing
	some  bool // there was text
}

// text takes bytes that stand in the text as they are.
func (m *markup) text(b []byte) error {
	at := m.in.at()
	if m.apart != 0 || !m.some { // spaces at the beginning only lay the source out
		n := len(b)
		b = bytes.TrimLeft(b, " \t\r\n")
		at += int64(n - len(b))
		if len(b) == 0 {
			return nil
		}
		m.some = true
	}
	if err := m.between(); err != nil {
		return err
	}
	return m.out.add(b, at)
}

func (m *markup) between() error {
	if m.apart == 0 {
		return nil
	}
	c := [1]byte{m.apart}
	m.apart = 0
	return m.out.add(c[:], -1)
}

// tag reads a tag, a comment or what else begins with '<'.
func (m *markup) tag() error {
	b, _ := m.in.Peek(9)
	switch {
	case bytes.HasPrefix(b, []byte("<!--")):
		return m.over("-->")
	case bytes.HasPrefix(b, []byte("<![CDATA[")):
		m.in.Discard(9)
		return m.cdata()
	case bytes.HasPrefix(b, []byte("<?")):
		return m.over("?>")
	}
	if len(b) < 2 || b[1] != '/' && b[1] != '!' && !letter(b[1]) { // a less-than sign
		c := []byte{'<'}
		if err := m.text(c); err != nil {
			return err
		}
		m.in.Discard(1)
		return nil
	}
	var head [maxTag]byte
	n, quote := 0, byte(0)
	for {
		c, err := m.in.ReadByte()
		if err != nil {
			return err
		}
		if n < maxTag {
			head[n] = c
			n++
		}
		switch {
		case quote != 0:
			if c == quote {
				quote = 0
			}
		case c == '"' || c == '\'':
			quote = c
		case c == '>':
			m.element(head[1:n])
			return nil
		}
	}
}

// element decides what a tag means for what stands before and behind it.
func (m *markup) element(tag []byte) {
	tag = bytes.TrimLeft(tag, "/")
	if i := bytes.IndexAny(tag, " \t\r\n/>"); i >= 0 {
		tag = tag[:i]
	}
	prefix, name, ok := bytes.Cut(tag, []byte(":"))
	if !ok {
		prefix, name = nil, tag
	}
	apart := byte('\n')
	switch string(prefix) {
	case "w", "a", "text": // of documents: what makes no line leaves the text whole
		switch string(name) {
		case "p", "br", "cr", "tr", "h", "line-break":
		case "tab", "tc", "s":
			apart = '\t'
		default:
			return
		}
	default:
		switch string(name) {
		case "c", "td", "th", "tc", "table-cell":
			apart = '\t'
		case "t", "r", "rPr", "b", "i", "u", "em", "strong", "span", "font", "a", "sz", "color", "rFont", "family", "scheme", "charset", "vertAlign",
			"strike", "code", "sub", "sup", "small", "big", "mark", "wbr":
			return
		}
	}
	if m.some && m.apart != '\n' {
		m.apart = apart
	}
}

// over reads up to the end of something.
func (m *markup) over(end string) error {
	err := m.in.until(end, nil)
	m.in.Discard(len(end))
	return err
}

// cdata takes text up to the end of its section.
func (m *markup) cdata() error {
	const end = "]]>"
	err := m.in.until(end, m.text)
	m.in.Discard(len(end))
	return err
}

// entity reads what begins with '&'.
func (m *markup) entity() error {
	b, _ := m.in.Peek(maxEntity)
	end := bytes.IndexByte(b, ';')
	r := rune(-1)
	if end > 1 {
		r = entityRune(b[1:end])
	}
	if r < 0 {
		if err := m.text(b[:1]); err != nil {
			return err
		}
		m.in.Discard(1)
		return nil
	}
	if err := m.between(); err != nil {
		return err
	}
	m.some = true
	err := m.out.stand(utf8.AppendRune(nil, r), m.in.at(), end+1)
	m.in.Discard(end + 1)
	return err
}

func letter(c byte) bool { return c|0x20 >= 'a' && c|0x20 <= 'z' || c == '_' || c >= 0x80 }
