package content

import (
	"bufio"
	"bytes"
	"io"
	"strconv"
)

// ours
const (
	maxPDFDict   = 16 << 10 // bytes of a dictionary that are kept
	maxPDFToken  = 64       // bytes of a word that are kept
	maxPDFFilter = 4        // filters of a stream
)

// pdf reads a PDF file (ISO 32000-1) from its front: objects as they come, not by the table at its end.
type pdf struct {
	in     *input
	out    *output
	dict   []byte // the last dictionary at hand
	word   [maxPDFToken]byte
	broken bool // a stream did not decode
	other  bool // a stream is compressed in a way that is not undone
	text   pdfText
}

// readPDF gives the text of a PDF file's pages, and what stands in its compressed objects, as one stream.
func readPDF(in *input, out *output) error {
	out.begin("")
	p := &pdf{in: in, out: out}
	p.text.out = out
	err := p.objects()
	if e := p.text.end(); e != nil {
		return e
	}
	switch {
	case faultOf(err) != noFault || err == errEnough:
		return err
	case p.text.glyphs.over:
		return out.unreadable(faultBudget, -1)
	case p.broken:
		return out.unreadable(faultBroken, -1)
	case p.other:
		return out.unreadable(faultMethod, -1)
	}
	return err
}

// objects goes through the file.
func (p *pdf) objects() error {
	for {
		c, err := p.in.ReadByte()
		if err != nil {
			return err
		}
		switch {
		case c == '%':
			err = p.comment()
		case c == '(':
			err = pdfString(p.in.Reader, nil)
		case c == '<':
			if b, _ := p.in.Peek(1); len(b) == 1 && b[0] == '<' {
				err = p.dictionary()
			}
		case pdfRegular(c):
			err = p.keyword(c)
		}
		if err != nil {
			return err
		}
	}
}

func (p *pdf) comment() error {
	for {
		c, err := p.in.ReadByte()
		if err != nil || c == '\n' || c == '\r' {
			return err
		}
	}
}

// dictionary reads a dictionary behind its first '<'. One that is too long is of no use, but read to its end.
func (p *pdf) dictionary() error {
	p.in.Discard(1)
	p.dict = p.dict[:0]
	keep := func(b ...byte) {
		if len(p.dict) < maxPDFDict {
			p.dict = append(p.dict, b...)
		}
	}
	for depth := 1; depth > 0; {
		c, err := p.in.ReadByte()
		if err != nil {
			return err
		}
		switch c {
		case '(':
			keep('(', ')')
			if err = pdfString(p.in.Reader, nil); err != nil {
				return err
			}
			continue
		case '<', '>':
			b, _ := p.in.Peek(1)
			if len(b) != 1 || b[0] != c {
				break
			}
			p.in.Discard(1)
			keep(c)
			if depth++; c == '>' {
				depth -= 2
			}
		}
		keep(c)
	}
	if pdfHas(p.dict, "Encrypt") {
		return errSealed
	}
	return nil
}

// keyword reads a word that begins with c; behind "stream" comes a stream.
func (p *pdf) keyword(c byte) error {
	word := append(p.word[:0], c)
	for {
		b, err := p.in.Peek(1)
		if err != nil || !pdfRegular(b[0]) {
			break
		}
		p.in.Discard(1)
		if len(word) < maxPDFToken {
			word = append(word, b[0])
		}
	}
	switch string(word) {
	case "stream":
		return p.stream()
	case "endobj":
		p.dict = p.dict[:0]
	}
	return nil
}

// stream reads a stream by the dictionary in front of it.
func (p *pdf) stream() error {
	if b, _ := p.in.Peek(2); len(b) == 2 && b[0] == '\r' && b[1] == '\n' {
		p.in.Discard(2)
	} else if len(b) > 0 && (b[0] == '\n' || b[0] == '\r') {
		p.in.Discard(1)
	}
	filters, ok := pdfFilters(p.dict)
	kind, sub := pdfName(p.dict, "Type"), pdfName(p.dict, "Subtype")
	switch {
	case sub == "Image" || kind == "XRef" || pdfHas(p.dict, "Length1") || sub == "Type1C" || sub == "CIDFontType0C" || sub == "OpenType":
		// pictures, tables and fonts
	case !ok:
		p.other = true
	default:
		err := p.decode(filters, kind == "ObjStm")
		if err != nil && faultOf(err) == noFault || err == errBudget {
			return err
		}
		p.broken = p.broken || err != nil
	}
	return p.seek("endstream")
}

// decode takes the text out of a stream.
func (p *pdf) decode(filters []string, objects bool) error {
	var r io.Reader
	if len(filters) == 1 && filters[0] == "FlateDecode" { // it knows its end
		if err := p.in.skip(2); err != nil {
			return err
		}
		f := newFlate(p.in.Reader)
		defer flates.Put(f)
		r = f
	} else {
		r = &pdfRaw{in: p.in}
		for _, f := range filters {
			switch f {
			case "FlateDecode":
				b := bufio.NewReader(r)
				b.Discard(2)
				f := newFlate(b)
				defer flates.Put(f)
				r = f
			case "ASCIIHexDecode":
				r = &pdfHex{r: bufio.NewReader(r)}
			case "ASCII85Decode":
				r = &pdf85{r: bufio.NewReader(r)}
			}
		}
	}
	err := p.text.read(r, objects)
	p.in.cost = p.text.glyphs.n
	switch {
	case err == io.EOF:
		return nil
	case p.in.src.off:
		return errEnough
	case err == io.ErrUnexpectedEOF:
		if _, e := p.in.Peek(1); e != nil {
			return e
		}
	}
	return errBroken
}

// seek reads up to a word and over it.
func (p *pdf) seek(word string) error {
	err := p.in.until(word, nil)
	p.in.Discard(len(word))
	return err
}

// pdfRaw reads the bytes of a stream up to the word behind it.
type pdfRaw struct{ in *input }

func (r *pdfRaw) Read(b []byte) (int, error) {
	const end = "endstream"
	if len(b) == 0 {
		return 0, nil
	}
	p, err := r.in.Peek(len(end))
	if string(p) == end {
		return 0, io.EOF
	}
	if len(p) == 0 {
		return 0, err
	}
	p, _ = r.in.Peek(min(r.in.Buffered(), len(b)))
	n := bytes.IndexByte(p[1:], end[0]) + 1
	if n == 0 {
		n = len(p)
	}
	copy(b, p[:n])
	r.in.Discard(n)
	return n, nil
}

// pdfFilters returns the filters of a stream, the first one to be undone first. ok is false if one of them is not undone here.
func pdfFilters(dict []byte) (filters []string, ok bool) {
	v := pdfValue(dict, "Filter")
	v = bytes.Trim(v, "[] \t\r\n\x00\x0c")
	for len(v) > 0 {
		i := bytes.IndexByte(v, '/')
		if i < 0 {
			break
		}
		v = v[i+1:]
		n := 0
		for n < len(v) && pdfRegular(v[n]) {
			n++
		}
		name := string(v[:n])
		v = v[n:]
		if long, ok := pdfShort[name]; ok {
			name = long
		}
		if name != "FlateDecode" && name != "ASCIIHexDecode" && name != "ASCII85Decode" || len(filters) == maxPDFFilter {
			return nil, false
		}
		filters = append(filters, name)
	}
	return filters, true
}

var pdfShort = map[string]string{"Fl": "FlateDecode", "AHx": "ASCIIHexDecode", "A85": "ASCII85Decode"}

// pdfValue returns what stands behind a key of a dictionary: an array, or a word; nil if it is not there.
func pdfValue(dict []byte, key string) []byte {
	for at := 0; ; {
		i := bytes.Index(dict[at:], []byte(key))
		if i < 0 {
			return nil
		}
		from := at + i
		at = from + len(key)
		if from == 0 || dict[from-1] != '/' || at < len(dict) && pdfRegular(dict[at]) {
			continue
		}
		v := bytes.TrimLeft(dict[at:], " \t\r\n\x00\x0c")
		if len(v) > 0 && v[0] == '[' {
			if end := bytes.IndexByte(v, ']'); end > 0 {
				return v[:end+1]
			}
		}
		n := 1
		for n < len(v) && pdfRegular(v[n]) {
			n++
		}
		return v[:min(n, len(v))]
	}
}

func pdfHas(dict []byte, key string) bool { return pdfValue(dict, key) != nil }

// pdfName returns the name that stands behind a key.
func pdfName(dict []byte, key string) string {
	v := pdfValue(dict, key)
	if len(v) == 0 || v[0] != '/' {
		return ""
	}
	return string(v[1:])
}

// pdfRegular reports whether c is part of words: ISO 32000-1 section 7.2.2.
func pdfRegular(c byte) bool {
	switch c {
	case 0, '\t', '\n', '\f', '\r', ' ', '(', ')', '<', '>', '[', ']', '{', '}', '/', '%':
		return false
	}
	return true
}

// pdfString reads a string behind its '(', and appends what it stands for to dst, up to maxPDFString bytes; nil: to nothing.
func pdfString(r io.ByteScanner, dst *[]byte) error {
	keep := func(c byte) {
		if dst != nil && len(*dst) < maxPDFString {
			*dst = append(*dst, c)
		}
	}
	for depth := 1; ; {
		c, err := r.ReadByte()
		if err != nil {
			return err
		}
		switch c {
		case '(':
			depth++
		case ')':
			if depth--; depth == 0 {
				return nil
			}
		case '\\':
			if err = pdfEscape(r, keep); err != nil {
				return err
			}
			continue
		}
		keep(c)
	}
}

// pdfEscape reads what stands behind a backslash, and keeps what it stands for.
func pdfEscape(r io.ByteScanner, keep func(byte)) error {
	c, err := r.ReadByte()
	if err != nil {
		return err
	}
	switch c {
	case 'n':
		keep('\n')
	case 'r':
		keep('\r')
	case 't':
		keep('\t')
	case 'b', 'f', '\n':
	case '\r': // the end of a line, that goes on in the next
		if c, err = r.ReadByte(); err == nil && c != '\n' {
			err = r.UnreadByte()
		}
		return err
	case '0', '1', '2', '3', '4', '5', '6', '7':
		v := c - '0'
		for range 2 {
			if c, err = r.ReadByte(); err != nil {
				return err
			}
			if c < '0' || c > '7' {
				keep(v)
				return r.UnreadByte()
			}
			v = v<<3 | (c - '0')
		}
		keep(v)
	default:
		keep(c)
	}
	return nil
}

// pdfNumber reads a number as operators have them.
func pdfNumber(b []byte) (float64, bool) {
	v, err := strconv.ParseFloat(string(b), 64)
	return v, err == nil
}
