package content

import (
	"bytes"

	"weir/dissect"
)

// ours
const (
	maxHeader     = 1 << 10 // bytes of the first line of a table as text
	maxColumnName = 64
	maxCSVColumns = 256
)

// csv is a table as text (RFC 4180, and with other delimiters) whose first line names its columns. As of results of databases, the cells of
// columns whose names say what stands in them are shown once more, each behind the name.
type csv struct {
	delim byte
	names []string // "" of the others
}

// csvOf returns what a text is that begins so, if it is such a table.
func (o *Opener) csvOf(head []byte, last bool) (f *form, maybe bool) {
	if o.Speaks == nil || !letter(head[0]) && head[0] != '"' && head[0] != '#' && head[0] != 0xef {
		return nil, false
	}
	line := head[:min(len(head), maxHeader)]
	end := bytes.IndexByte(line, '\n')
	if end >= 0 {
		line = line[:end]
	} else if last || len(line) == maxHeader {
		return nil, false
	}
	var count [256]uint8
	for _, c := range line {
		if headerByte[c] == 0 {
			return nil, false
		}
		count[c]++
	}
	if end < 0 {
		return nil, true
	}
	c := csv{}
	for _, d := range []byte{',', ';', '\t', '|'} {
		if count[d] > 0 && (c.delim == 0 || count[d] > count[c.delim]) {
			c.delim = d
		}
	}
	if c.delim == 0 {
		return nil, false
	}
	some := false
	for name := range bytes.SplitSeq(bytes.TrimPrefix(bytes.TrimRight(line, "\r"), []byte("\xef\xbb\xbf")), []byte{c.delim}) {
		name = bytes.Trim(name, "\"# ")
		if len(name) == 0 || len(name) > maxColumnName || len(c.names) == maxCSVColumns {
			return nil, false
		}
		if o.speaks(name) {
			some = true
			c.names = append(c.names, string(name))
		} else {
			c.names = append(c.names, "")
		}
	}
	if !some {
		return nil, false
	}
	return &form{name: "csv", read: c.read, text: true}, false
}

// headerByte has the bytes that names of columns are made of, and what stands between them.
var headerByte = func() (t [256]uint8) {
	for c := range t {
		if letter(byte(c)) || c >= '0' && c <= '9' {
			t[c] = 1
		}
	}
	for _, c := range []byte(" \"'#,;\t|-./()%\r") {
		t[c] = 1
	}
	return t
}()

func (c *csv) read(in *input, out *output) error {
	out.begin("")
	for b := byte(0); b != '\n'; {
		var err error
		if b, err = in.ReadByte(); err != nil {
			return err
		}
	}
	for {
		if _, err := in.Peek(1); err != nil {
			return err
		}
		for i, more := 0, true; more; i++ {
			name := ""
			if i < len(c.names) {
				name = c.names[i]
			}
			var err error
			if more, err = c.cell(in, out, name); err != nil {
				return err
			}
		}
	}
}

// cell reads a cell and what ends it, and gives it behind its column's name, if it has one that counts. more: another one follows in the row.
func (c *csv) cell(in *input, out *output, name string) (more bool, err error) {
	quoted, begun := false, false
	if b, err := in.Peek(1); err == nil && b[0] == '"' {
		in.Discard(1)
		quoted = true
	}
	give := func(b []byte) error {
		if name == "" {
			return nil
		}
		if !begun {
			begun = true
			if err := out.prefix(name); err != nil {
				return err
			}
		}
		return out.add(b, in.at())
	}
	for {
		if _, err := in.Peek(1); err != nil {
			if begun {
				out.add([]byte{'\n'}, -1)
			}
			return false, err
		}
		b, _ := in.Peek(in.Buffered())
		n := c.endOf(b, quoted)
		if n > 0 {
			if err := give(b[:n]); err != nil {
				return false, err
			}
			in.Discard(n)
			continue
		}
		in.Discard(1)
		if quoted {
			if next, _ := in.Peek(1); len(next) == 1 && next[0] == '"' { // two stand for one
				if err := give(next); err != nil {
					return false, err
				}
				in.Discard(1)
				continue
			}
			quoted = false
			continue
		}
		if begun {
			err = out.add([]byte{'\n'}, -1)
		}
		return b[0] == c.delim, err
	}
}

// endOf returns how many bytes of a cell b begins with, before what may end it.
func (c *csv) endOf(b []byte, quoted bool) int {
	for i, x := range b {
		if quoted && x == '"' || !quoted && (x == c.delim || x == '\n' || x == '\r') {
			return i
		}
	}
	return len(b)
}

// prefix copies what stands nowhere in the input.
func (o *output) prefix(name string) error {
	to := o.now.off + int64(len(o.buf))
	o.mapped = false
	o.shifts = append(o.shifts, dissect.Shift{At: to, Delta: placeless - to, Out: -1})
	return o.add(append([]byte(name), '='), -1)
}
