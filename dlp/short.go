package dlp

import (
	"bytes"
	"encoding/base64"
	"encoding/hex"
	"slices"
	"unicode/utf16"
)

// shortForms returns what is left of a short value wherever it stands in base64, whichever byte of it that begins with, as UTF-8 and as UTF-16, and
// in hexadecimal digits. Such a value is too short to be looked for in all that can be decoded: what is decoded by chance has many.
func shortForms(b []byte) (forms [][]byte) {
	add := func(f []byte) {
		if !slices.ContainsFunc(forms, func(o []byte) bool { return bytes.Equal(o, f) }) {
			forms = append(forms, f)
		}
	}
	var wide [2][]byte // UTF-16, either way
	for _, c := range utf16.Encode([]rune(string(b))) {
		wide[0] = append(wide[0], byte(c>>8), byte(c))
		wide[1] = append(wide[1], byte(c), byte(c>>8))
	}
	for _, text := range [][]byte{b, wide[0], wide[1]} {
		for before := range 3 {
			whole := append(make([]byte, before, before+len(text)), text...)
			for _, alphabet := range []*base64.Encoding{base64.RawStdEncoding, base64.RawURLEncoding} {
				add([]byte(alphabet.EncodeToString(whole))[(8*before+5)/6 : 8*len(whole)/6]) // letters that are of the value alone
			}
		}
	}
	digits := []byte(hex.EncodeToString(b))
	add(digits)
	add(bytes.ToUpper(digits))
	return forms
}

// findShort adds the runs of letters in which a form of a short value stands.
func (m *Masker) findShort(v *Value) {
	t := m.u.text
	for _, f := range v.forms {
		for from := 0; ; {
			i := bytes.Index(t[from:], f)
			if i < 0 {
				break
			}
			a, z := from+i, from+i+len(f)
			for a > 0 && kinds[t[a-1]]&kindToken != 0 {
				a--
			}
			for z < len(t) && kinds[t[z]]&kindToken != 0 {
				z++
			}
			m.spans = append(m.spans, hidden{from: m.u.place(a), to: m.u.place(z)})
			from = z
		}
	}
}
