package dlp

import (
	"bytes"
	"cmp"
	"encoding/base64"
	"slices"
	"strconv"
	"unicode"
	"unicode/utf8"

	"weir/dissect"
)

// A Masker hides in texts what must not be shown: credentials that tell themselves by a name or by their form, card numbers, and values that
// were found elsewhere, in whatever way they are written here. All that Weir shows of what it saw has gone through one. One goroutine uses
// it at a time; the zero value is ready.
type Masker struct {
	Last4 bool // of a card's number the last four digits are shown only

	plain  plainTexts
	u      undone
	spans  []hidden
	folded [2]folded // all of a text, and without separators
	decode folded    // of what was base64 or hexadecimal in it
	raw    []byte
	out    []byte
}

// Value is something that was found, to be hidden wherever else it stands.
type Value struct {
	Mask   string // what is shown in its place
	folded []byte
	rest   int      // bytes that follow, of a long one
	loose  bool     // separators in it do not count
	forms  [][]byte // of one that is not: how it is encoded
}

const (
	looseSize   = 6  // letters and digits of a value from which on it is recognised without its separators, and encoded
	maxValue    = 64 // letters and digits of a value that are remembered
	leastHidden = 4  // bytes of a credential from which on it is looked for elsewhere: shorter ones stand everywhere
)

// NewValue copies b.
func NewValue(b []byte, mask string) Value {
	var u undone
	u.read(b)
	var f folded
	f.read(&u, true)
	v := Value{Mask: mask, loose: len(f.text) >= looseSize}
	if !v.loose {
		f.read(&u, false)
		if len(u.text) >= leastHidden {
			v.forms = shortForms(u.text)
		}
	}
	v.folded, v.rest = f.text, max(0, len(f.text)-maxValue)
	v.folded = bytes.Clone(v.folded[:len(v.folded)-v.rest])
	return v
}

// Is reports whether v is o, however the two were written.
func (v *Value) Is(o *Value) bool { return v.loose == o.loose && bytes.Equal(v.folded, o.folded) }

// Size returns the bytes that v holds.
func (v *Value) Size() int {
	n := len(v.folded) + len(v.Mask)
	for _, f := range v.forms {
		n += len(f)
	}
	return n
}

// Text returns b as it may be shown: b itself, or what is valid until the next call.
func (m *Masker) Text(b []byte, p dissect.Privacy, values ...[]Value) []byte {
	m.spans = m.credentials(m.spans[:0], b, p)
	m.find(b, values)
	return m.write(b)
}

// Find returns b with what was found in it hidden, but no credentials: b is a number, say.
func (m *Masker) Find(b []byte, values ...[]Value) []byte {
	m.spans = m.spans[:0]
	m.find(b, values)
	return m.write(b)
}

// write returns b with the spans hidden.
func (m *Masker) write(b []byte) []byte {
	if len(m.spans) == 0 {
		return b
	}
	m.merge()
	m.out = m.out[:0]
	at := 0
	for _, s := range m.spans {
		m.out = append(append(m.out, b[at:s.from]...), s.text()...)
		at = s.to
	}
	return append(m.out, b[at:]...)
}

// Credentials calls each with the credentials in b, as they are written there, and what is shown of them. Short ones are left out. It reports whether
// there is anything to hide in b.
func (m *Masker) Credentials(b []byte, p dissect.Privacy, each func(v []byte, mask string)) bool {
	if p == dissect.Sealed {
		return len(b) > 0
	}
	if p == dissect.Credential {
		b = b[scheme(b):]
		for _, w := range bytes.Fields(b) {
			if len(w) >= leastHidden && len(w) < len(b) && !inFold(w, credentialFillers) {
				each(w, lengthMask(len(w)))
			}
		}
	}
	m.spans = m.credentials(m.spans[:0], b, p)
	for _, s := range m.spans {
		if s.to-s.from >= leastHidden {
			each(b[s.from:s.to], s.text())
		}
	}
	return len(m.spans) > 0
}

// credentialFillers stand among credentials: HELLO 3 AUTH default password SETNAME name.
var credentialFillers = []string{"auth", "default", "setname"}

// text returns what stands for s.
func (s *hidden) text() string {
	if s.mask != "" {
		return s.mask
	}
	return lengthMask(s.to - s.from)
}

// lengthMask says how long a credential is, and nothing else.
func lengthMask(n int) string { return "…(" + strconv.Itoa(n) + ")" }

// merge orders the spans, and makes one of those that overlap: the mask of one that holds the others stays.
func (m *Masker) merge() {
	slices.SortFunc(m.spans, func(a, b hidden) int { return cmp.Or(a.from-b.from, b.to-a.to, btoi(a.found)-btoi(b.found)) })
	out := m.spans[:0]
	for _, s := range m.spans {
		if len(out) == 0 || s.from >= out[len(out)-1].to {
			out = append(out, s)
			continue
		}
		if last := &out[len(out)-1]; s.from == last.from && s.to == last.to {
			last.mask = cmp.Or(s.mask, last.mask)
		} else if s.to > last.to {
			last.to, last.mask = s.to, ""
		}
	}
	m.spans = out
}

// find adds where values stand in b.
func (m *Masker) find(b []byte, values [][]Value) {
	have, shortest := [2]bool{}, maxValue+1
	if slices.ContainsFunc(values, func(v []Value) bool { return len(v) > 0 }) {
		m.u.read(b)
	}
	for _, list := range values {
		for i := range list {
			v := &list[i]
			if len(v.folded) == 0 {
				continue
			}
			f := &m.folded[btoi(v.loose)]
			if !have[btoi(v.loose)] {
				have[btoi(v.loose)] = true
				f.read(&m.u, v.loose)
			}
			for from := 0; ; {
				j := bytes.Index(f.text[from:], v.folded)
				if j < 0 {
					break
				}
				m.spans = append(m.spans, hidden{m.u.place(f.from(from + j)), m.u.place(f.to(min(from+j+len(v.folded)+v.rest, len(f.text)))), v.Mask, true})
				from = min(from+j+len(v.folded)+v.rest, len(f.text))
			}
			if v.loose {
				shortest = min(shortest, len(v.folded))
			} else {
				m.findShort(v)
			}
		}
	}
	if shortest <= maxValue {
		m.findEncoded(values, shortest*4/3)
	}
}

func btoi(b bool) int {
	if b {
		return 1
	}
	return 0
}

// findEncoded adds runs of base64 and of hexadecimal digits, of at least so many bytes, in which values stand.
func (m *Masker) findEncoded(values [][]Value, least int) {
	t := m.u.text
	for i := 0; i < len(t); i++ {
		j := i
		for j < len(t) && hexValue(t[j]) >= 0 {
			j++
		}
		if j-i >= least && m.inHex(values, t[i:j]) {
			m.spans = append(m.spans, hidden{from: m.u.place(i), to: m.u.place(j)})
		}
		i = j
	}
	for i := 0; i < len(t); {
		j := i
		for j < len(t) && kinds[t[j]]&kindToken != 0 && (j == i || t[j-1] != '=' || t[j] == '=') {
			j++
		}
		if j-i >= least && m.inBase64(values, t[i:j]) {
			m.spans = append(m.spans, hidden{from: m.u.place(i), to: m.u.place(j)})
		}
		i = max(j, i+1)
	}
}

// inHex reports whether one of values stands in run once that is decoded.
func (m *Masker) inHex(values [][]Value, run []byte) bool {
	for shift := range 2 {
		m.raw = m.raw[:0]
		for k := shift; k+1 < len(run); k += 2 {
			m.raw = append(m.raw, byte(hexValue(run[k])<<4|hexValue(run[k+1])))
		}
		if m.decoded(values) {
			return true
		}
	}
	return false
}

// inBase64 reports likewise of base64, from whichever byte of run on it may begin.
func (m *Masker) inBase64(values [][]Value, run []byte) bool {
	for shift := 0; shift < 4 && shift < len(run); shift++ {
		m.raw = append(m.raw[:0], run[shift:]...)
		for k, c := range m.raw {
			switch c {
			case '-':
				m.raw[k] = '+'
			case '_':
				m.raw[k] = '/'
			}
		}
		b := bytes.TrimRight(m.raw, "=")
		if len(b)%4 == 1 {
			b = b[:len(b)-1]
		}
		n, _ := base64.RawStdEncoding.Decode(m.raw, b)
		m.raw = m.raw[:n]
		if m.decoded(values) {
			return true
		}
	}
	return false
}

// decoded reports whether one of values stands in m.raw.
func (m *Masker) decoded(values [][]Value) bool {
	m.raw = slices.DeleteFunc(m.raw, func(c byte) bool { return c == 0 }) // UTF-16 has one beside each letter
	m.decode.read(&undone{text: m.raw}, true)
	for _, list := range values {
		for i := range list {
			if v := &list[i]; v.loose && bytes.Contains(m.decode.text, v.folded) {
				return true
			}
		}
	}
	return false
}

// folded is a text in which case, width and, if it is loose, separators do not count, with the place of each byte in what it was made of
type folded struct {
	text []byte
	at   []int32 // where the letter begins that each byte is of
	end  []int32 // where it ends
}

func (f *folded) from(i int) int { return int(f.at[i]) }
func (f *folded) to(i int) int   { return int(f.end[i-1]) }

func (f *folded) read(u *undone, loose bool) {
	f.text, f.at, f.end = f.text[:0], f.at[:0], f.end[:0]
	b := u.text
	for i := 0; i < len(b); {
		c, n := b[i], 1
		if c < utf8.RuneSelf {
			if isUpper(c) {
				c |= 0x20
			}
			if !loose || !separates(c) && c != '+' && c != ':' {
				f.text, f.at, f.end = append(f.text, c), append(f.at, int32(i)), append(f.end, int32(i+1))
			}
			i++
			continue
		}
		r, n := utf8.DecodeRune(b[i:])
		at := len(f.text)
		switch {
		case r == utf8.RuneError:
			f.text, n = append(f.text, c), 1
		case r >= 0xff01 && r <= 0xff5e: // full width
			f.text = append(f.text, byte(unicode.ToLower(r-0xfee0)))
		case r >= 0x200b && r <= 0x200d || r == 0xfeff || r == 0xad: // no width
		default:
			f.text = utf8.AppendRune(f.text, unicode.ToLower(r))
		}
		for range len(f.text) - at {
			f.at, f.end = append(f.at, int32(i)), append(f.end, int32(i+n))
		}
		i += n
	}
}
