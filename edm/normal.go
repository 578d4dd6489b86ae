package edm

import (
	"unicode"
	"unicode/utf8"

	"golang.org/x/text/unicode/norm"
)

// A value's normal form is that of its words, one after the other: NFKC, lower case, and nothing but letters, digits and marks. So separators do
// not count. An @ between two words stays: it tells addresses from names.

// Classes of bytes of a text.
const (
	hard    uint8 = iota // ends a value
	soft                 // may stand between the words of a value
	digit                //
	letter               //
	at                   // @
	further              // part of a character beyond ASCII
)

var classOf = func() (c [256]uint8) {
	for i := range c {
		switch b := byte(i); {
		case b >= '0' && b <= '9':
			c[i] = digit
		case b >= 'a' && b <= 'z', b >= 'A' && b <= 'Z':
			c[i] = letter
		case b >= utf8.RuneSelf:
			c[i] = further
		}
	}
	for _, b := range []byte(" -._'/+(),:") {
		c[b] = soft
	}
	c['@'] = at
	return c
}()

// classAt returns the class of the character at the beginning of b, and its bytes; further is none of them. What is cut or no UTF-8 is hard.
func classAt(b []byte) (class uint8, n int) {
	if c := classOf[b[0]]; c != further {
		return c, 1
	}
	r, n := utf8.DecodeRune(b)
	if r > wideStart && r <= wideStart+0x5e { // ASCII's signs in the width of ideographs
		return classOf[r-wideStart+' '], n
	}
	switch {
	case r == utf8.RuneError:
		return hard, n
	case unicode.IsLetter(r), unicode.IsMark(r), unicode.IsNumber(r):
		return letter, n
	case softRune(r):
		return soft, n
	}
	return hard, n
}

// softRune reports whether a character beyond ASCII may stand between words: blanks, hyphens, apostrophes, and what has no width.
func softRune(r rune) bool {
	switch {
	case r >= 0x2010 && r <= 0x2015, r >= 0x200b && r <= 0x200d, r >= 0x2000 && r <= 0x200a:
		return true
	}
	switch r {
	case 0xa0, 0xad, 0xb7, 0x2018, 0x2019, 0x202f, 0x2060, 0x3000, 0x30a0, 0x30fb, 0xfeff, 0xff65: // the middle dots of katakana, too
		return true
	}
	return false
}

const wideStart = 0xff00 // '!' and those after it follow

// unspaced reports whether a letter is of a script that writes no spaces between words: ideographs and kana. Each of them is a word by itself, for a name is a part of
// what stands between two signs there.
func unspaced(r rune) bool {
	switch {
	case r < 0x2e80:
	case r <= 0x2fdf, r >= 0x3005 && r <= 0x3007, r >= 0x3021 && r <= 0x312f, r >= 0x3190 && r <= 0x9fff, r >= 0xf900 && r <= 0xfaff, r >= 0xff66 && r <= 0xff9f,
		r >= 0x20000 && r <= 0x3ffff:
		return true
	}
	return false
}

// voices reports whether a character is part of the kana or ideograph before it.
func voices(r rune) bool {
	return r == 0x3099 || r == 0x309a || r == 0xff9e || r == 0xff9f || r >= 0xfe00 && r <= 0xfe0f || r >= 0xe0100 && r <= 0xe01ef
}

// maxSeparators bounds the characters between two words of a value.
const maxSeparators = 3

// normalWord appends the normal form of one word to dst. room is scratch.
func normalWord(dst, word []byte, room *[]byte) []byte {
	for i, c := range word {
		if c >= utf8.RuneSelf {
			return normalRunes(dst[:len(dst)-i], word, room)
		}
		if c-'A' < 26 {
			c |= 0x20
		}
		dst = append(dst, c)
	}
	return dst
}

// normalRunes is normalWord beyond ASCII.
func normalRunes(dst, word []byte, room *[]byte) []byte {
	b := word
	if !norm.NFKC.IsNormal(word) {
		*room = norm.NFKC.Append((*room)[:0], word...)
		b = *room
	}
	for len(b) > 0 {
		r, n := utf8.DecodeRune(b)
		b = b[n:]
		switch {
		case r == 'ß' || r == 'ẞ':
			dst = append(dst, "ss"...)
		case r == 'ς':
			dst = utf8.AppendRune(dst, 'σ')
		case unicode.IsLetter(r), unicode.IsMark(r), unicode.IsNumber(r):
			dst = utf8.AppendRune(dst, unicode.ToLower(r))
		}
	}
	return dst
}

// kindOf returns what a word in normal form consists of.
func kindOf(word []byte) kind {
	some := kinds
	for _, c := range word {
		k := letters
		if c >= '0' && c <= '9' {
			k = digits
		}
		switch {
		case some == kinds:
			some = k
		case some != k:
			return mixed
		}
	}
	return some
}

// shape says of a value what a text can be asked for before the value is.
type shape struct {
	kind  kind
	words int
	hard  bool // it has what no value in a text has between its words
}

// normal appends the normal form of a value to dst. room is scratch.
func normal(dst, value []byte, room *[]byte) ([]byte, shape) {
	sh := shape{kind: kinds}
	from := len(dst)
	seps, ats, other := 0, 0, false
	for i := 0; i < len(value); {
		class, n := classAt(value[i:])
		if class != digit && class != letter {
			seps++
			if class == at {
				ats++
			}
			other = other || class == hard
			i += n
			continue
		}
		end := wordEnd(value, i)
		before := len(dst)
		if sh.words > 0 && ats == 1 && seps == 1 {
			dst = append(dst, '@')
			sh.kind = address
		} else if sh.words > 0 && (ats > 0 || other || seps > maxSeparators) {
			sh.hard = true
		}
		at := len(dst)
		dst = normalWord(dst, value[i:end], room)
		i, seps, ats, other = end, 0, 0, false
		if len(dst) == at { // nothing is left of it
			dst = dst[:before]
			continue
		}
		sh.words++
		if k := kindOf(dst[at:]); sh.kind == kinds {
			sh.kind = k
		} else {
			sh.kind = sh.kind.with(k)
		}
	}
	sh.hard = sh.hard || len(dst) == from
	return dst, sh
}

// wordEnd returns where the word at i ends.
func wordEnd(b []byte, i int) int {
	if b[i] >= utf8.RuneSelf {
		if r, n := utf8.DecodeRune(b[i:]); unspaced(r) {
			for i += n; i < len(b); i += n {
				if r, n = utf8.DecodeRune(b[i:]); !voices(r) {
					break
				}
			}
			return i
		}
	}
	for i < len(b) {
		if c := classOf[b[i]]; c == digit || c == letter {
			i++
			continue
		}
		class, n := classAt(b[i:])
		if class != letter && class != digit {
			break
		}
		if r, _ := utf8.DecodeRune(b[i:]); unspaced(r) {
			break
		}
		i += n
	}
	return i
}
