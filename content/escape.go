package content

import (
	"weir/dissect"
)

// escape is an encoding of single characters.
type escape struct {
	read func(b []byte, last bool) dissect.Escape
}

func (c escape) begin(_ *scratch, b []byte, last bool) verdict {
	switch e := c.read(b, last); {
	case e.Size < 0:
		return wait
	case e.Size == 0:
		return no
	}
	return yes
}

func (c escape) decode(w *window, b []byte, last bool) (used int, over bool) {
	e := c.read(b, last)
	if e.Size <= 0 { // begin has seen to it
		return 0, true
	}
	if e.N > 0 {
		w.give(append(w.l.dec[:0], e.Out[:e.N]...), w.offset(0), e.Size, e.N)
	}
	return e.Size, true
}

func (escape) head(dst, b []byte) []byte { return dst }

// readBackslash reads the escapes of JSON, C, SQL and regular expressions at the front of b.
func readBackslash(b []byte, last bool) dissect.Escape {
	if len(b) < 2 {
		return dissect.Escape{Size: short(last)}
	}
	switch c := b[1]; {
	case c == 'x' || c == 'X':
		return readHex(b, 2, last)
	case c >= '0' && c <= '3':
		for i := 2; i < 4; i++ {
			if i == len(b) {
				return dissect.Escape{Size: short(last)}
			}
			if b[i] < '0' || b[i] > '7' {
				return dissect.Escape{}
			}
		}
		return dissect.Escape{Size: 4, N: 1, Out: [4]byte{b[1]<<6 | b[2]&7<<3 | b[3]&7}}
	case c == '\'':
		return dissect.Escape{Size: 2, N: 1, Out: [4]byte{c}}
	case c == 'b' || c == 'f':
		return dissect.Escape{}
	}
	return dissect.JSONEscape(b, last)
}

// short is the size of an escape that is not whole.
func short(last bool) int {
	if last {
		return 0
	}
	return -1
}

// readHex reads two hexadecimal digits at i.
func readHex(b []byte, i int, last bool) dissect.Escape {
	for k := i; k < i+2; k++ {
		if k == len(b) {
			return dissect.Escape{Size: short(last)}
		}
		if classes[b[k]]&letterHex == 0 {
			return dissect.Escape{}
		}
	}
	return dissect.Escape{Size: i + 2, N: 1, Out: [4]byte{letters16.value[b[i]]<<4 | letters16.value[b[i+1]]}}
}

func readPercent(b []byte, last bool) dissect.Escape { return dissect.PercentEscape(b, last) }

// readEquals reads what quoted-printable (RFC 2045 6.7) has: =XX, and = at the end of a line that goes on.
func readEquals(b []byte, last bool) dissect.Escape {
	switch {
	case len(b) > 1 && b[1] == '\n':
		return dissect.Escape{Size: 2}
	case len(b) > 1 && b[1] == '\r':
		if len(b) == 2 {
			return dissect.Escape{Size: short(last)}
		}
		if b[2] == '\n' {
			return dissect.Escape{Size: 3}
		}
		return dissect.Escape{}
	}
	return readHex(b, 1, last)
}

// readSign reads a character beyond ASCII that people write in place of one of ASCII, or that has no width.
func readSign(b []byte, last bool) dissect.Escape {
	n := 3
	if b[0] == 0xc2 {
		n = 2
	}
	if len(b) < n {
		return dissect.Escape{Size: short(last)}
	}
	switch b[0] {
	case 0xc2:
		if b[1] == 0xa0 {
			return dissect.Escape{Size: 2, N: 1, Out: [4]byte{' '}}
		}
		return dissect.Escape{Size: 2}
	case 0xef:
		if b[1] == 0xbb {
			return dissect.Escape{Size: 3}
		}
		return dissect.Escape{Size: 3, N: 1, Out: [4]byte{fold(rune(b[1]&0x3f)<<6 | rune(b[2]&0x3f) | 0xf000)}}
	}
	switch r := rune(b[1]&0x3f)<<6 | rune(b[2]&0x3f) | 0x2000; {
	case r <= 0x200a || r == 0x202f || r == 0x205f:
		return dissect.Escape{Size: 3, N: 1, Out: [4]byte{' '}}
	case isDash(r):
		return dissect.Escape{Size: 3, N: 1, Out: [4]byte{'-'}}
	}
	return dissect.Escape{Size: 3}
}

// isDash reports whether people write r where ASCII has a hyphen: hyphens, dashes, the minus sign.
func isDash(r rune) bool { return r >= 0x2010 && r <= 0x2015 || r == 0x2212 }

// fold returns the ASCII character that a full-width one stands for.
func fold(r rune) byte { return byte(r - 0xff01 + '!') }

// appendRune appends a character in UTF-8: the ASCII one that it stands for if there is one, nothing if it has no width.
func appendRune(b []byte, r rune) []byte {
	switch {
	case r >= 0xff01 && r <= 0xff5e:
		return append(b, fold(r))
	case r == 0xa0 || r >= 0x2000 && r <= 0x200a || r == 0x202f || r == 0x205f || r == 0x3000:
		return append(b, ' ')
	case isDash(r):
		return append(b, '-')
	case r == 0xad || r >= 0x200b && r <= 0x200f || r == 0x2060 || r == 0xfeff:
		return b
	case r < 0x80:
		return append(b, byte(r))
	case r < 0x800:
		return append(b, 0xc0|byte(r>>6), 0x80|byte(r)&0x3f)
	case r < 0x10000:
		return append(b, 0xe0|byte(r>>12), 0x80|byte(r>>6)&0x3f, 0x80|byte(r)&0x3f)
	}
	return append(b, 0xf0|byte(r>>18), 0x80|byte(r>>12)&0x3f, 0x80|byte(r>>6)&0x3f, 0x80|byte(r)&0x3f)
}
