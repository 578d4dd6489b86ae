package dlp

import "bytes"

// literal returns the literal whose quote stands at i, if the words before it say that it is a credential: IDENTIFIED BY '...', PASSWORD '...'.
func (m *Masker) literal(i int) (from, to int) {
	t := m.u.text
	words := t[max(0, i-maxName):i]
	for range 3 {
		words = bytes.TrimRight(words, " \t\r\n(=")
		at := len(words)
		for at > 0 && (isLetter(words[at-1]) || words[at-1] == '_') {
			at--
		}
		word := words[at:]
		switch {
		case len(word) == 0:
			return 0, 0
		case inFold(word, []string{"identified"}) || isCredential(word):
			return i + 1, m.quoteEnd(i)
		case !inFold(word, betweenWords):
			return 0, 0
		}
		words = words[:at]
	}
	return 0, 0
}

// literals appends all literals of a statement.
func (m *Masker) literals(out []hidden) []hidden {
	t := m.u.text
	for i := 0; i < len(t); {
		switch c := t[i]; {
		case c == '\'' || c == '"':
			end := m.quoteEnd(i)
			out = m.hide(out, i+1, end)
			i = end + 1
		case c == '$':
			if end, ok := dollarEnd(t[i:]); ok {
				out = m.hide(out, i, i+end)
				i += end
				continue
			}
			i++
		case isDigit(c) && (i == 0 || !nameByte(t[i-1])):
			end := i
			for end < len(t) && nameByte(t[end]) {
				end++
			}
			if end-i > maxDigitsAround {
				out = m.hide(out, i, end)
			}
			i = end
		default:
			i++
		}
	}
	return out
}
