package dlp

import (
	"bytes"
	"strconv"

	"weir/dissect"
)

// maskFunc writes what may be shown of a finding.
type maskFunc func(f *found) string

type mask struct {
	name  string
	hides hides
	fn    maskFunc
}

// maskRecord is of what begins a record: what stands around it is the record, names and all, and is not shown either.
const maskRecord = "record"

// hides is what sort of value a mask is for.
type hides uint8

const (
	hidesText   hides = iota // bytes, each of which counts
	hidesNumber              // letters and digits: neither separators nor case count
	hidesEmail               // case does not count
	hidesAll                 // what may be neither shown nor kept
)

// masks is the table of all masks. To add one: write it, and put it here.
var masks = []mask{
	{"pan", hidesNumber, maskPAN},
	{"last4", hidesNumber, maskLast4},
	{"ssn", hidesNumber, maskSSN},
	{"iban", hidesNumber, maskIBAN},
	{"secret", hidesText, maskSecret},
	{"email", hidesEmail, maskEmail},
	{"sad", hidesAll, maskAll},
	{"key", hidesText, maskKey},
	{"text", hidesText, maskText},
	{"all", hidesText, maskAll},
	{maskRecord, hidesText, maskAll},
}

// Masks returns the names that a rule's mask may have.
func Masks() []string {
	out := make([]string, len(masks))
	for i := range masks {
		out[i] = masks[i].name
	}
	return out
}

func maskNamed(name string) *mask {
	for i := range masks {
		if masks[i].name == name {
			return &masks[i]
		}
	}
	return nil
}

// masked returns what may be shown of what r found.
func (s *Scanner) masked(r *rule, f *found) string {
	if s.masker.Last4 && r.mask == "pan" {
		return maskLast4(f)
	}
	return r.show(f)
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
	var m Masker
	b := bytes.Clone(f.secret[:min(len(f.secret), maxText)])
	m.stars(b, dissect.Text)
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
	maxWindow       = 512 // bytes of a finding and what is looked at around it that are looked at as one text
	maxDigits       = 5   // digits in a row that are shown of an attack
	maxCamel        = 15  // letters of a word that may have capital letters inside
	maxDigitsAround = 2   // digits in a row that are shown around a finding: a security code has three
	maxToken        = 7   // letters and digits in a row that are shown around a finding, if they are no word
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
func (m *Masker) excerpt(f *found, masked string, p dissect.Privacy) string {
	if p == dissect.Credential {
		return masked
	}
	const around = aroundBytes + aroundMore
	from, to := max(0, f.start-around), min(len(f.t.b), f.end+around)
	m.raw = append(m.raw[:0], f.t.b[from:to]...)
	l, r := m.raw[:f.start-from], m.raw[f.end-from:]
	if len(m.raw) <= maxWindow {
		m.stars(m.raw, p)
	} else { // the finding is long: what is before it and what is after it have nothing to do with each other
		m.stars(l, p)
		m.stars(r, p)
	}
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

// stars overwrites the credentials in b.
func (m *Masker) stars(b []byte, p dissect.Privacy) {
	m.spans = m.credentials(m.spans[:0], b, p)
	for _, s := range m.spans {
		for i := s.from; i < s.to; i++ {
			if b[i] > ' ' {
				b[i] = '*'
			}
		}
	}
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
		if j-i > maxToken && random(b[i:j]) || j > i && (j < len(b) && b[j] == '@' || i > 0 && b[i-1] == '@') {
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

// random reports whether a token is no word and no path: it has digits, or capital letters inside of small ones.
func random(b []byte) bool {
	for i, c := range b {
		if isDigit(c) || i > 0 && isUpper(c) && isLower(b[i-1]) && len(b) > maxCamel {
			return true
		}
	}
	return false
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
