package dlp

// ours
const (
	tableGroup = 4 // digits of a group
	tableLeast = 8 // groups in a row that are a table's
)

// negative reports whether a number without separators has a sign before it, as no card or account has.
func (f *found) negative() bool {
	n := f.start
	if n < 2 || f.t.b[n-1] != '-' || !allDigits(f.secret) {
		return false
	}
	switch f.t.b[n-2] {
	case ' ', '\t', '$', '#', '(', '[', ',', '=':
		return true
	}
	return false
}

// inTable reports whether the groups of a number go on before or behind it: it is four numbers of a table, or of a dump in hexadecimal. A list of
// numbers that are all written in groups is none: the four groups on either side are one of them too.
func (f *found) inTable() bool {
	if len(f.secret) != 4*tableGroup+3 || isDigit(f.secret[tableGroup]) {
		return false
	}
	before, four := groupsBefore(f.t.b[:f.start])
	after := groupsAfter(f.t.b[f.end:])
	if before+4+after < tableLeast {
		return false
	}
	return before >= 4 && !isCard(f.t.b[four:]) || after >= 4 && !isCard(f.t.b[f.end:])
}

// groupsBefore counts the groups of four hexadecimal digits that end where b does, up to some, and returns where the nearest four begin.
func groupsBefore(b []byte) (n, four int) {
	for end := len(b); n < tableLeast; n++ {
		i := end
		for i > 0 && isTableGap(b[i-1]) {
			i--
		}
		from := i - tableGroup
		if i == end || from < 0 || !hexRun(b[from:i]) || from > 0 && isWordByte(b[from-1]) {
			break
		}
		if end = from; n == 3 {
			four = from
		}
	}
	return n, four
}

// groupsAfter counts likewise those that begin where b does.
func groupsAfter(b []byte) (n int) {
	for at := 0; n < tableLeast; n++ {
		i := at
		for i < len(b) && isTableGap(b[i]) {
			i++
		}
		end := i + tableGroup
		if i == at || end > len(b) || !hexRun(b[i:end]) || end < len(b) && isWordByte(b[end]) {
			break
		}
		at = end
	}
	return n
}

func isTableGap(c byte) bool { return c == ' ' || c == '\t' || c == '-' || c == '\n' || c == '\r' }

// isCard reports whether the first sixteen digits of b, which stand in groups, have a right check digit and an issuer's range.
func isCard(b []byte) bool {
	var digits [4 * tableGroup]byte
	n := 0
	for _, c := range b {
		if isDigit(c) {
			digits[n] = c
			if n++; n == len(digits) {
				return luhnOK(digits[:]) && issued(digits[:])
			}
		} else if !isTableGap(c) {
			return false
		}
	}
	return false
}
