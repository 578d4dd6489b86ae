package content

import "bytes"

// ours
const (
	maxBoundary  = 72 // bytes of the line that separates parts: RFC 2046 section 5.1.1
	maxPartLines = 64 // header lines of a part
)

// isMultipart reports whether a head is the first line of a body in parts (RFC 7578): a boundary behind two dashes.
func isMultipart(head []byte) bool {
	for i, c := range head {
		if c == '\r' || c == '\n' {
			return i > 2
		}
		if c <= ' ' || c >= 0x7f {
			return false
		}
	}
	return !bytes.HasPrefix(head, []byte("-----BEGIN"))
}

// readMultipart gives those parts of a body that are containers, and those whose name says what stands in them, behind it: the name is too far from
// the value otherwise. The others are text that the body shows as it is.
func readMultipart(in *input, out *output) error {
	line, err := in.line(maxBoundary)
	if err != nil {
		return err
	}
	mark := "\r\n" + string(line)
	for {
		name := ""
		for n, size := 0, 1; size > 0; n++ { // header lines
			if line, err = in.line(inputBuffer); err != nil {
				return err
			}
			if v := partName(line); v != nil && in.speaks != nil && in.speaks(v) {
				name = string(v)
			}
			if size = len(line); n == maxPartLines {
				return nil
			}
		}
		head, _ := in.Peek(tarTold)
		give := func([]byte) error { return nil }
		opens := in.known(head)
		if opens {
			out.begin("")
			give = func(b []byte) error { return out.give(b, in.at()) }
		} else if name != "" {
			opens = true
			out.begin("")
			if err := out.prefix(name); err != nil {
				return err
			}
			give = func(b []byte) error { return out.add(b, in.at()) }
		}
		if err := in.until(mark, give); err != nil {
			return err
		}
		if opens {
			if err := out.end(); err != nil {
				return err
			}
		}
		in.Discard(len(mark))
		if line, err = in.line(inputBuffer); err != nil || bytes.HasPrefix(line, []byte("--")) {
			return err
		}
	}
}

// line reads a line, of which it returns the bytes without its end; it is borrowed until the next read. A longer one than most is an error.
func (in *input) line(most int) ([]byte, error) {
	for n := 1; ; {
		b, err := in.Peek(n)
		if err != nil {
			return nil, err
		}
		b, _ = in.Peek(in.Buffered())
		if i := bytes.IndexByte(b, '\n'); i >= 0 && i <= most {
			in.Discard(i + 1)
			return bytes.TrimSuffix(b[:i], []byte("\r")), nil
		}
		if n = len(b) + 1; n > most {
			return nil, errBroken
		}
	}
}

// partName returns the name of a form's field in a header line of its part (RFC 7578 section 4.2), nil if it has none. Longer names than columns may have
// say nothing.
func partName(line []byte) []byte {
	const header, param = "content-disposition:", "name="
	if len(line) <= len(header) || !bytes.EqualFold(line[:len(header)], []byte(header)) {
		return nil
	}
	for p := range bytes.SplitSeq(line[len(header):], []byte{';'}) {
		p = bytes.TrimSpace(p)
		if len(p) <= len(param) || !bytes.EqualFold(p[:len(param)], []byte(param)) {
			continue
		}
		if p = bytes.Trim(p[len(param):], `"`); len(p) > 0 && len(p) <= maxColumnName {
			return p
		}
	}
	return nil
}
