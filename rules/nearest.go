package rules

import (
	"fmt"
	"strings"
)

// Nearest returns the member of known that word was probably meant to be: the one that the fewest
// single-letter changes lead to, the first of several. It is "" where none is near.
func Nearest(word string, known []string) string {
	const maxWord = 128 // bytes; longer words are nobody's typing mistake
	if word == "" || len(word) > maxWord {
		return ""
	}
	w := strings.ToLower(word)
	best, bestDist := "", 1+max(2, len(w)/3)
	for _, k := range known {
		if len(k) > maxWord {
			continue
		}
		if d := distance(w, strings.ToLower(k)); d < bestDist && d < max(len(w), len(k)) {
			best, bestDist = k, d
		}
	}
	if best != "" {
		return best
	}
	return onlyStart(w, known)
}

// onlyStart returns the single member of known that starts with w.
func onlyStart(w string, known []string) string {
	const minStart = 3 // bytes
	found := ""
	for _, k := range known {
		if len(w) >= minStart && strings.HasPrefix(strings.ToLower(k), w) {
			if found != "" {
				return ""
			}
			found = k
		}
	}
	return found
}

// distance counts the insertions, deletions, replacements and swaps of neighbours between a and b
// (optimal string alignment).
func distance(a, b string) int {
	prev2, prev, cur := make([]int, len(b)+1), make([]int, len(b)+1), make([]int, len(b)+1)
	for j := range prev {
		prev[j] = j
	}
	for i := 1; i <= len(a); i++ {
		cur[0] = i
		for j := 1; j <= len(b); j++ {
			change := 1
			if a[i-1] == b[j-1] {
				change = 0
			}
			cur[j] = min(prev[j]+1, cur[j-1]+1, prev[j-1]+change)
			if i > 1 && j > 1 && a[i-1] == b[j-2] && a[i-2] == b[j-1] {
				cur[j] = min(cur[j], prev2[j-2]+1)
			}
		}
		prev2, prev, cur = prev, cur, prev2
	}
	return prev[len(b)]
}

// meant is the hint for a word that is none of known.
func meant(word string, known []string) string {
	const maxListed = 12 // names; more are not read
	if n := Nearest(word, known); n != "" {
		return fmt.Sprintf("did you mean %q?", n)
	}
	if len(known) == 0 || len(known) > maxListed {
		return ""
	}
	return "known are " + strings.Join(known, ", ")
}
