package dlp

import (
	"math/rand/v2"
	"strings"
	"testing"
)

// TestIndexFold compares with what is found in lower case.
func TestIndexFold(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	const letters = "aAbB_1"
	for range 20000 {
		b, w := make([]byte, r.IntN(12)), make([]byte, 1+r.IntN(3))
		for _, s := range [][]byte{b, w} {
			for i := range s {
				s[i] = letters[r.IntN(len(letters))]
			}
		}
		low := strings.ToLower(string(w))
		if got, want := indexFold(b, low), strings.Index(strings.ToLower(string(b)), low); got != want {
			t.Fatalf("%q in %q: %d, want %d", low, b, got, want)
		}
	}
}
