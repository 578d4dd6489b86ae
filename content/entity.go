package content

import (
	"bytes"
	"unicode/utf8"

	"weir/dissect"
)

const entityMost = 11 // bytes of an entity

// readEntity reads a character reference of HTML or XML.
func readEntity(b []byte, last bool) dissect.Escape {
	end := bytes.IndexByte(b[:min(len(b), entityMost)], ';')
	if end < 0 {
		if len(b) < entityMost {
			return dissect.Escape{Size: short(last)}
		}
		return dissect.Escape{}
	}
	r := rune(-1)
	if end > 1 {
		r = entityRune(b[1:end])
	}
	if r <= 0 {
		return dissect.Escape{}
	}
	e := dissect.Escape{Size: end + 1}
	e.N = len(appendRune(e.Out[:0], r))
	return e
}

// entities are the named references that stand within numbers and words, or for what markup cannot write.
var entities = map[string]rune{
	"amp": '&', "lt": '<', "gt": '>', "quot": '"', "apos": '\'', "nbsp": 0xa0, "commat": '@', "period": '.', "comma": ',', "colon": ':',
	"semi": ';', "num": '#', "sol": '/', "bsol": '\\', "lowbar": '_', "UnderBar": '_', "dash": '-', "hyphen": '-', "ndash": '-', "mdash": '-',
	"minus": '-', "plus": '+', "equals": '=', "excl": '!', "quest": '?', "lpar": '(', "rpar": ')', "ast": '*', "midast": '*', "percnt": '%',
	"dollar": '$', "lsqb": '[', "lbrack": '[', "rsqb": ']', "rbrack": ']', "lcub": '{', "lbrace": '{', "rcub": '}', "rbrace": '}',
	"vert": '|', "verbar": '|', "grave": '`', "Hat": '^', "Tab": '\t', "NewLine": '\n', "ensp": 0x2002, "emsp": 0x2003, "thinsp": 0x2009,
	"hairsp": 0x200a, "numsp": 0x2007, "puncsp": 0x2008, "shy": 0xad, "zwj": 0x200d, "zwnj": 0x200c,
}

// entityRune returns what stands between '&' and ';'; -1: nothing that is known.
func entityRune(b []byte) rune {
	if b[0] != '#' {
		if r, ok := entities[string(b)]; ok {
			return r
		}
		return -1
	}
	b = b[1:]
	base := rune(10)
	if len(b) > 1 && b[0]|0x20 == 'x' {
		b, base = b[1:], 16
	}
	if len(b) == 0 {
		return -1
	}
	n := rune(0)
	for _, c := range b {
		d, ok := hexDigit(c)
		if !ok || d >= base || n > utf8.MaxRune {
			return -1
		}
		n = n*base + d
	}
	if n > utf8.MaxRune {
		return -1
	}
	return n
}

// hexDigit returns the value of a hexadecimal digit.
func hexDigit(c byte) (rune, bool) {
	v := letters16.value[c]
	return rune(v), v != none
}
