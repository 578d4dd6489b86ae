package dlp

import (
	"bytes"
	"strconv"
)

// maskFunc writes what may be shown of a finding.
type maskFunc func(f *found) string

type mask struct {
	name string
	fn   maskFunc
}

// masks is the table of all masks. To add one: write it, and put it here.
var masks = []mask{
	{"pan", maskPAN},
	{"last4", maskLast4},
	{"ssn", maskSSN},
	{"iban", maskIBAN},
	{"secret", maskSecret},
	{"email", maskEmail},
	{"sad", maskAll},
	{"key", maskKey},
	{"text", maskText},
	{"all", maskAll},
}

// Masks returns the names that a rule's mask may have.
func Masks() []string {
	out := make([]string, len(masks))
	for i := range masks {
		out[i] = masks[i].name
	}
	return out
}

func maskNamed(name string) maskFunc {
	for i := range masks {
		if masks[i].name == name {
			return masks[i].fn
		}
	}
	return nil
}

// maskMany stands for a value that is not shown at all.
const maskMany = "[hidden]"

// hide replaces all but the first and last characters that count by '*'. Others stay, so that the form shows.
func hide(b []byte, first, last int, counts func(byte) bool) string {
	n := 0
	for _, c := range b {
		if counts(c) {
			n++
		}
	}
	if first+last > n-4 { // too short to show that much
		first, last = 0, min(last, n/4)
	}
	out := make([]byte, len(b))
	i := 0
	for k, c := range b {
		switch {
		case !counts(c):
			out[k] = printable(c)
		case i < first || i >= n-last:
			out[k] = c
			i++
		default:
			out[k] = '*'
			i++
		}
	}
	return string(out)
}

func alnum(c byte) bool { return isDigit(c) || isLetter(c) || c >= 0x80 }

// maskPAN leaves the first six and the last four digits (PCI DSS 3.4.1).
func maskPAN(f *found) string { return short(hide(f.secret, 6, 4, alnum)) }

// maskLast4 leaves the last four letters or digits.
func maskLast4(f *found) string { return short(hide(f.secret, 0, 4, alnum)) }

// maskSSN leaves the last four digits in the usual form.
func maskSSN(f *found) string {
	c := candidate{raw: f.secret}
	if b := c.strip(); len(b) == 9 {
		return "***-**-" + string(b[5:])
	}
	return maskLast4(f)
}

// maskIBAN leaves the country and the last four.
func maskIBAN(f *found) string { return short(hide(f.secret, 2, 4, alnum)) }

// maskSecret leaves four bytes, and says how long it is.
func maskSecret(f *found) string {
	n := min(4, len(f.secret)/4)
	return escape(f.secret[:n]) + "…(" + strconv.Itoa(len(f.secret)) + ")"
}

// maskEmail leaves the first letters of the name and the domain, and the top-level domain.
func maskEmail(f *found) string {
	at := bytes.LastIndexByte(f.secret, '@')
	dot := bytes.LastIndexByte(f.secret, '.')
	if at < 1 || dot < at+2 {
		return maskSecret(f)
	}
	return escape(f.secret[:1]) + "***@" + escape(f.secret[at+1:at+2]) + "***" + escape(f.secret[dot:])
}

// maskKey leaves the armour's header.
func maskKey(f *found) string {
	b := f.match
	if i := bytes.Index(b, []byte("-----BEGIN")); i >= 0 && len(b) > i+11 {
		if j := bytes.Index(b[i+10:], []byte("-----")); j >= 0 && j < 40 {
			return escape(b[i:i+10+j+5]) + "…(" + strconv.Itoa(len(f.secret)) + ")"
		}
	}
	return maskSecret(f)
}

// maskAll leaves the length only: sensitive authentication data may not be shown at all (PCI DSS 3.3.1).
func maskAll(f *found) string { return "[" + strconv.Itoa(len(f.secret)) + " bytes]" }

// maskText shows the match: an attack is evidence, not a secret. What looks like one in it is hidden.
func maskText(f *found) string {
	b := append([]byte(nil), f.secret[:min(len(f.secret), maxText)]...)
	hideRuns(b, maxDigits)
	if len(f.secret) > maxText {
		return escape(b) + "…"
	}
	return escape(b)
}

// ours
const (
	maxText         = 120 // bytes of an attack that are shown
	maxMasked       = 64  // bytes of a mask
	aroundBytes     = 24  // bytes shown before and after a finding
	aroundMore      = 80  // bytes beyond those that are looked at, to know a long run by its part
	maxDigits       = 5   // digits in a row that are shown of an attack
	maxDigitsAround = 2   // digits in a row that are shown around a finding: a security code has three
	maxToken        = 15  // letters and digits in a row that are shown around a finding
)

func short(s string) string {
	if len(s) > maxMasked {
		return s[:maxMasked] + "…"
	}
	return s
}

func printable(c byte) byte {
	if c < 0x20 || c >= 0x7f {
		return '.'
	}
	return c
}

// excerpt is the mask with some of what stands around it.
func excerpt(f *found, masked string) string {
	var left, right [aroundBytes + aroundMore]byte
	from := max(0, f.start-len(left))
	l := left[:copy(left[:], f.t.b[from:f.start])]
	r := right[:copy(right[:], f.t.b[f.end:])]
	hideRuns(l, maxDigitsAround)
	hideRuns(r, maxDigitsAround)
	l = l[max(0, len(l)-aroundBytes):]
	r = r[:min(len(r), aroundBytes)]
	out := make([]byte, 0, 4*aroundBytes+len(masked))
	out = appendEscaped(out, l)
	out = append(out, masked...)
	out = appendEscaped(out, r)
	return string(out)
}

// Kinds of bytes, as hideRuns sees them.
const (
	kindDigit = 1 << iota
	kindToken // may stand in a token
	kindSep   // may stand between the digits of a number
)

var kinds = func() (k [256]uint8) {
	for i := range k {
		c := byte(i)
		if isDigit(c) {
			k[i] |= kindDigit
		}
		if tokenByte(c) {
			k[i] |= kindToken
		}
		if c == ' ' || c == '-' || c == '.' || c == '/' {
			k[i] |= kindSep
		}
	}
	return k
}()

// hideRuns overwrites what might be another secret: runs of more than most digits, separators inside them or not, and long tokens.
func hideRuns(b []byte, most int) {
	for i := 0; i < len(b); i++ {
		j := i
		for j < len(b) && kinds[b[j]]&kindToken != 0 {
			j++
		}
		if j-i > maxToken && random(b[i:j]) {
			stars(b[i:j], alnum)
		}
		i = j // it is no token's, or the end
	}
	for i := 0; i < len(b); {
		if kinds[b[i]]&kindDigit == 0 {
			i++
			continue
		}
		j, digits, gap := i, 0, 0
		end := i
		for j < len(b) && gap <= 1 {
			switch k := kinds[b[j]]; {
			case k&kindDigit != 0 || b[j] == '*':
				digits, gap, end = digits+1, 0, j+1
			case k&kindSep != 0:
				gap++
			default:
				gap = 2
			}
			j++
		}
		if digits > most {
			stars(b[i:end], isDigit)
		}
		i = max(end, i+1)
	}
}

// random reports whether a token has digits or both cases: words and paths have neither.
func random(b []byte) bool {
	var digit, upper, lower bool
	for _, c := range b {
		digit, upper, lower = digit || isDigit(c), upper || isUpper(c), lower || isLower(c)
	}
	return digit || upper && lower
}

func stars(b []byte, which func(byte) bool) {
	for i, c := range b {
		if which(c) {
			b[i] = '*'
		}
	}
}

func tokenByte(c byte) bool {
	return isDigit(c) || isLetter(c) || c == '+' || c == '/' || c == '_' || c == '-' || c == '='
}

// escape writes bytes so that they can do no harm on a terminal or in a log.
func escape(b []byte) string { return string(appendEscaped(make([]byte, 0, len(b)), b)) }

func appendEscaped(out, b []byte) []byte {
	const hexDigits = "0123456789abcdef"
	for _, c := range b {
		switch {
		case c >= 0x20 && c < 0x7f:
			out = append(out, c)
		case c == '\n':
			out = append(out, `\n`...)
		case c == '\r':
			out = append(out, `\r`...)
		case c == '\t':
			out = append(out, `\t`...)
		default:
			out = append(out, '\\', 'x', hexDigits[c>>4], hexDigits[c&15])
		}
	}
	return out
}
