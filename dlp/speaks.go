package dlp

import "strings"

// maxSpoken is how many words in a row of a name are looked up together.
const maxSpoken = 3

// spoken collects the words of all rules' contexts, without what stands between their parts.
func (db *Database) spoken() map[string]bool {
	words := map[string]bool{}
	for _, r := range db.rules {
		for _, w := range r.Context {
			var bare []byte
			for i := range len(w) {
				if spokenByte(w[i]) {
					bare = append(bare, w[i])
				}
			}
			words[string(bare)] = true
			words[foldASCII(strings.ToUpper(string(bare)))] = true // names of columns are folded as far as they are ASCII
		}
	}
	return words
}

// Speaks reports whether a name, as of a column, has a word in it that the context of some rule asks for. A Database of nil asks for none.
func (db *Database) Speaks(name []byte) bool {
	if db == nil || len(db.context) == 0 {
		return false
	}
	var lower [64]byte
	if len(name) > len(lower) {
		name = name[:len(lower)]
	}
	var starts [len(lower) + 1]int // of the words, in lower
	n, words := 0, 0
	for i, c := range name {
		if !spokenByte(c) {
			continue
		}
		if i == 0 || !spokenByte(name[i-1]) || isUpper(c) && isLower(name[i-1]) || isDigit(c) != isDigit(name[i-1]) {
			starts[words] = n
			words++
		}
		if isUpper(c) {
			c |= 0x20
		}
		lower[n] = c
		n++
	}
	starts[words] = n
	for i := range words {
		for k := i + 1; k <= min(words, i+maxSpoken); k++ {
			w := lower[starts[i]:starts[k]]
			if db.context[string(w)] || w[len(w)-1] == 's' && db.context[string(w[:len(w)-1])] {
				return true
			}
		}
	}
	return false
}

// foldASCII makes small letters of the capital ones of ASCII.
func foldASCII(s string) string {
	return strings.Map(func(r rune) rune {
		if r >= 'A' && r <= 'Z' {
			r |= 0x20
		}
		return r
	}, s)
}

// spokenByte reports whether c is part of a word.
func spokenByte(c byte) bool { return isLetter(c) || isDigit(c) || c >= 0x80 }
