package content

import (
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
)

// same checks that vector instructions and bytes one by one lead to the same places.
func same(t *testing.T, b []byte) {
	t.Helper()
	var fast, slow finder
	for from := 0; from < len(b); from = fast.upto {
		fast.search(b[from:], allKinds, vectors)
		slow.search(b[from:], allKinds, 0)
		n := min(fast.upto, slow.upto)
		before := func(p place) bool { return int(p.at) >= n }
		f, s := slices.DeleteFunc(slices.Clone(fast.list), before), slices.DeleteFunc(slices.Clone(slow.list), before)
		if !slices.Equal(f, s) {
			t.Fatalf("%q:\nvector %v up to %d\nbytes  %v up to %d", b[from:], f, fast.upto, s, slow.upto)
		}
		if fast.upto == 0 {
			t.Fatalf("%q: nothing was looked at", b)
		}
		fast.upto += from
	}
}

var findSeeds = []string{
	strings.Repeat("some words, ", 20) + "QUJDREVGR0hJSktMTU5PUFFSU1RVVldYWVo=" + strings.Repeat(" more", 20),
	strings.Repeat(`\u0041\n%41&amp;&#65;=41=`+"\r\n\u00a0\uff14\u200b", 20),
	strings.Repeat("4 1 1 1 1 1 1 1 1 1 1 1 1 1 1 1, ", 5),
	strings.Repeat("a\x00b\x00c\x00d\x00e\x00\x00\x00", 20),
}

func TestFindSame(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	letters := []byte("aZ09+/-_\\u%&#;=\r\n\x00 .4\xef\xbc\x94\xc2\xa0\xe2\x80\x8b")
	for range 20000 {
		b := make([]byte, r.IntN(400))
		word := r.IntN(40) + 1
		for i := range b {
			switch r.IntN(word) {
			case 0:
				b[i] = letters[r.IntN(len(letters))]
			default:
				b[i] = "a4x"[r.IntN(3)]
			}
		}
		if s := findSeeds[r.IntN(len(findSeeds))]; r.IntN(3) == 0 && len(b) > 0 {
			copy(b[r.IntN(len(b)):], s[r.IntN(len(s)):])
		}
		same(t, b)
	}
}

func FuzzFind(f *testing.F) {
	for _, s := range findSeeds {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, b []byte) { same(t, b) })
}

// BenchmarkFind is what every byte costs in which nothing is encoded.
func BenchmarkFind(b *testing.B) {
	for name, s := range map[string]string{
		"text": "The quick brown fox jumps over the lazy dog, and 12 others did so too. ",
		"json": `{"id":48213,"name":"Some Body","mail":"a@b.example","tags":["x","y"],"at":"2026-01-02T03:04:05Z"},`,
		"html": `<div class="c"><a href="/p?x=1&y=2">text &amp; more</a>&nbsp;</div>` + "\n",
		"uuid": `{"id":"0f8fad5b-d9cb-469f-a165-70867728950e"},`,
	} {
		text := []byte(strings.Repeat(s, 16<<10/len(s)))
		for _, size := range []int{len(text), 1400, 100} {
			b.Run(name+"/"+map[int]string{1400: "1400", 100: "100"}[size], func(b *testing.B) {
				var f finder
				b.SetBytes(int64(size))
				for b.Loop() {
					f.search(text[:size], strongKinds, vectors)
				}
			})
		}
	}
}
