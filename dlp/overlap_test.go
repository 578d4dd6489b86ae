package dlp

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"weir/rules"
)

// cutEvery returns the offsets at which a text is cut into pieces of n bytes.
func cutEvery(text string, n int) (cuts []int) {
	for off := n; off < len(text); off += n {
		cuts = append(cuts, off)
	}
	return cuts
}

// TestOverlap: what several built-in rules find in the same bytes is told once, by the best of them, however the bytes come; rules that somebody
// wrote are told in any case.
func TestOverlap(t *testing.T) {
	built := func(id, regex string, more ...func(*rules.Rule)) *rules.Rule {
		r := &rules.Rule{ID: id, Regex: regex, Mask: "secret", MinDistinct: 1, Builtin: true, MinConfidence: rules.Fair}
		for _, m := range more {
			m(r)
		}
		return r
	}
	validated := func(r *rules.Rule) { r.Validate = []string{"luhn"} }
	own := func(r *rules.Rule) { r.Builtin = false }
	signature := func(r *rules.Rule) { r.Engine = rules.Signature }
	random := func(r *rules.Rule) { r.Entropy = 2 }
	sure := func(r *rules.Rule) { r.MinConfidence = rules.Sure }
	const card, track = `\b\d{16}\b`, `\b\d{16}=\d{7,20}\b`
	for _, c := range []struct {
		text, want string
		rules      []*rules.Rule
	}{
		{"n 4929653269484693 x", "card", []*rules.Rule{built("digits", card), built("card", card, validated)}},
		{"n 4929653269484694 x", "digits", []*rules.Rule{built("digits", card), built("card", card, validated)}},
		{"n 4929653269484693 x", "card digits", []*rules.Rule{built("digits", card, own), built("card", card, validated)}},
		{"n 4929653269484693 x", "card", []*rules.Rule{built("digits", card), built("card", card, validated, own)}},
		{"n 4929653269484693 x", "attack card", []*rules.Rule{built("attack", card, signature), built("card", card, validated)}},
		{"n 4929653269484693=2512101000 x", "track", []*rules.Rule{built("digits", card), built("track", track)}},
		{"n 4929653269484693 x", "a", []*rules.Rule{built("a", card), built("b", card)}},
		{"key=abcdefgh12345678;", "key", []*rules.Rule{built("word", `[a-z]{8}\d{8}`), built("key", `key=([a-z]{8}\d{8})`, random)}},
		{"n 4929653269484693 x", "digits", []*rules.Rule{built("digits", card), built("unsure", card, validated, sure)}},
		{"4929653269484693 and 4929653269484693", "card card", []*rules.Rule{built("digits", card), built("card", card, validated)}},
	} {
		_, s := mustCompile(t, c.rules...)
		for _, n := range []int{1, 3, len(c.text)} {
			var got []string
			for _, h := range inPieces(s, c.text, cutEvery(c.text, n)) {
				if !h.Unsure && !h.Given && !h.Grown {
					got = append(got, h.Rule.ID)
				}
			}
			slices.Sort(got)
			if got := strings.Join(got, " "); got != c.want {
				t.Errorf("%s in pieces of %d: got %q, want %q", c.text, n, got, c.want)
			}
		}
	}
}

// TestManyDistinct: a threshold beyond what is told one by one is reached all the same.
func TestManyDistinct(t *testing.T) {
	_, s := mustCompile(t, &rules.Rule{ID: "n", Regex: `NO-\d{6}`, Mask: "secret", MinDistinct: 500})
	var b strings.Builder
	for i := range 499 {
		fmt.Fprintf(&b, "NO-%06d ", i)
	}
	raised := func(text string) (n int) {
		for _, h := range s.ScanBytes([]byte(text), nil) {
			if h.Raise {
				n++
			}
		}
		return n
	}
	if n := raised(b.String() + "NO-000001"); n != 0 {
		t.Errorf("499 different values: raised %d times", n)
	}
	if n := raised(b.String() + "NO-000999 NO-001000"); n != 1 {
		t.Errorf("501 different values: raised %d times, want once", n)
	}
}
