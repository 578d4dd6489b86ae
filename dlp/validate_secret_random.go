package dlp

import (
	"bytes"
	"encoding/base64"
)

// ours
const (
	runMost      = 4  // equal characters one after the other in what was drawn at random
	countingMost = 5  // likewise of characters that count up, as abcdef and 123456
	lettersLeast = 20 // letters without a digit that can have been drawn
)

// random holds if the value may have been drawn at random, and was not written: digits among the letters, or both cases of these mixed well;
// no long runs, nothing that counts, no words between separators.
func (c *candidate) random() bool {
	if !c.notPlaceholder() {
		return false
	}
	digits, upper, lower, others := 0, 0, 0, 0
	for _, b := range c.raw {
		switch {
		case isDigit(b):
			digits++
		case isUpper(b):
			upper++
		case isLower(b):
			lower++
		default:
			others++
		}
	}
	letters := upper + lower
	switch {
	case letters == 0:
		return false
	case digits == 0 && !mixed(upper, lower):
		return false
	case longestRun(c.raw) > runMost || longestCount(c.raw) > countingMost:
		return false
	}
	return distinct(c.raw) >= min(4+len(c.raw)/8, 10) && !wordsOnly(c.raw)
}

// drawnLetters holds if the letters of the value are of both cases, mixed as they are when drawn: names in code have fewer capitals.
func (c *candidate) drawnLetters() bool {
	upper, lower := 0, 0
	for _, b := range c.raw {
		switch {
		case isUpper(b):
			upper++
		case isLower(b):
			lower++
		}
	}
	return mixed(upper, lower) && longestRun(c.raw) <= runMost
}

func mixed(upper, lower int) bool {
	n := upper + lower
	return n >= lettersLeast && 4*upper >= n && 4*lower >= n
}

// longestRun is that of equal characters.
func longestRun(b []byte) int { return longest(b, 0) }

// longestCount is that of characters each one more than the one before.
func longestCount(b []byte) int { return longest(b, 1) }

func longest(b []byte, step byte) int {
	most, n := 0, 1
	for i := 1; i < len(b); i++ {
		if b[i] == b[i-1]+step {
			n++
		} else {
			n = 1
		}
		most = max(most, n)
	}
	return most
}

func distinct(b []byte) int {
	var seen [256]bool
	n := 0
	for _, c := range b {
		if !seen[c] {
			seen[c] = true
			n++
		}
	}
	return n
}

// wordsOnly reports whether the value is three words or more with separators between, hardly any of them letters with digits: a name, no key.
func wordsOnly(b []byte) bool {
	words, drawn := 0, 0
	for _, w := range bytes.FieldsFunc(b, func(r rune) bool { return r == '-' || r == '_' || r == '.' || r == '/' }) {
		digits, letters := 0, 0
		for _, c := range w {
			if isDigit(c) {
				digits++
			} else if isLetter(c) {
				letters++
			}
		}
		words++
		if n := capitals(w); digits > 0 && letters > 0 || mixed(n, letters-n) {
			drawn++
		}
	}
	return words >= 3 && 3*drawn < words
}

func capitals(b []byte) (n int) {
	for _, c := range b {
		if isUpper(c) {
			n++
		}
	}
	return n
}

// pemLeast is how many characters of Base64 the shortest private key has: that of Ed25519 in PKCS #8.
const pemLeast = 60

// pem holds if what follows the armour's first line is a key: so much Base64 as a key needs, and drawn at random.
func (c *candidate) pem() bool {
	_, body, ok := bytes.Cut(c.raw, []byte("KEY"))
	if !ok {
		return false
	}
	body = bytes.TrimPrefix(bytes.TrimPrefix(body, []byte(" BLOCK")), []byte("-----"))
	body, _, _ = bytes.Cut(body, []byte("-----END"))
	var key []byte
	for i := 0; i < len(body); i++ {
		switch b := body[i]; {
		case b == '\\': // an escaped line end
			i++
		case isLetter(b) || isDigit(b) || b == '+' || b == '/':
			key = append(key, b)
		}
	}
	return len(key) >= pemLeast && distinct(key) >= 16
}

// discord holds if the first part of a bot's token is the bot's number in Base64.
func (c *candidate) discord() bool {
	head, _, _ := bytes.Cut(c.raw, []byte{'.'})
	id, err := base64.RawURLEncoding.DecodeString(string(head))
	return err == nil && len(id) >= 17 && len(id) <= 20 && allDigits(id)
}

// jwtBase64 is jwt inside Base64 once more.
func (c *candidate) jwtBase64() bool {
	b := bytes.TrimRight(c.raw, "=")
	b = b[:len(b)-len(b)%4]
	if bytes.ContainsAny(b, "-_") {
		b = bytes.ReplaceAll(bytes.ReplaceAll(b, []byte{'-'}, []byte{'+'}), []byte{'_'}, []byte{'/'})
	}
	token := make([]byte, base64.StdEncoding.DecodedLen(len(b)))
	n, err := base64.StdEncoding.Decode(token, b)
	if err != nil {
		return false
	}
	head, _, ok := bytes.Cut(token[:n], []byte{'.'})
	if !ok {
		return false
	}
	raw, err := base64.RawURLEncoding.DecodeString(string(head))
	return err == nil && bytes.HasPrefix(raw, []byte(`{"`)) && bytes.HasSuffix(raw, []byte("}"))
}
