package dlp

import "bytes"

// card returns where a card's number that begins at i ends; 0: none begins there. It is not part of something longer, as a list of numbers.
func (m *Masker) card(i int) (to int) {
	t := m.u.text
	if i > 0 && (isLetter(t[i-1]) && !(i > 1 && t[i-2] == '%') || t[i-1] == '.') || i > 1 && t[i-1] != ' ' && isDigit(t[i-2]) {
		return 0
	}
	var buf [maxCard]byte
	digits, sep := buf[:0], byte(0)
	for j := i; j < len(t); j++ {
		switch c := t[j]; {
		case isDigit(c) && len(digits) == maxCard:
			return to
		case isDigit(c):
			digits = append(digits, c)
			if j+1 < len(t) && (isDigit(t[j+1]) || isLetter(t[j+1])) || j+2 < len(t) && sep != ' ' && t[j+1] == sep && isDigit(t[j+2]) {
				continue
			}
			if issued(digits) && luhnOK(digits) && !oneDigit(digits) {
				to = j + 1
			}
		case isDigit(t[j-1]) && (sep == 0 || sep == c) && (separates(c) || c == '+'):
			sep = c
		default:
			return to
		}
	}
	return to
}

// trackEnd returns where the track of a magnetic stripe ends whose card number ends at i (ISO/IEC 7813); i if it is none.
func (m *Masker) trackEnd(i int) int {
	t := m.u.text
	if i == len(t) || t[i] != '=' && t[i] != '^' {
		return i
	}
	at := i + 1
	if t[i] == '^' { // a name comes before date and code
		name := bytes.IndexByte(t[at:min(len(t), at+maxTrackName)], '^')
		if name < 0 {
			return i
		}
		at += name + 1
	}
	end := at
	for end < len(t) && isDigit(t[end]) {
		end++
	}
	if end-at < leastTrack {
		return i
	}
	return end
}

// cardMask is what may be shown of a card's number.
func (m *Masker) cardMask(b []byte) string {
	f := found{secret: b}
	if m.Last4 {
		return maskLast4(&f)
	}
	return maskPAN(&f)
}
