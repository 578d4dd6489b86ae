package dlp

import (
	"fmt"
	"math/rand"
	"regexp"
	"slices"
	"strings"
	"testing"

	"weir/dissect"
	"weir/rules"
	"weir/wire"
)

func mustCompile(t testing.TB, rs ...*rules.Rule) (*Database, *Scanner) {
	t.Helper()
	for i, r := range rs {
		if r.ID == "" {
			r.ID = fmt.Sprint("r", i)
		}
	}
	return compileSet(t, &rules.Set{Rules: rs}, Options{})
}

// compileSet compiles a set with a key that is always the same.
func compileSet(t testing.TB, set *rules.Set, opt Options) (*Database, *Scanner) {
	t.Helper()
	opt.FingerprintKey = []byte("k")
	db, err := Compile(set, opt)
	if err != nil {
		t.Fatal(err)
	}
	s, err := db.NewScanner()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Free(); db.Close() })
	return db, s
}

// inPieces inspects text as one raw value cut at the given offsets.
func inPieces(s *Scanner, text string, cuts []int) []Hit {
	var st State
	var hits []Hit
	m := dissect.Message{Protocol: &dissect.Raw, ID: 1, Dir: wire.ToServer}
	from := 0
	for _, to := range append(slices.Clone(cuts), len(text)) {
		b := []byte(text[from:to])
		m.Parts = []dissect.Part{{Field: dissect.RawBytes, Value: 1, Off: int64(from), Bytes: b, More: true}}
		hits = s.Inspect(&st, &m, hits)
		clear(b)
		from = to
	}
	hits = s.Close(&st, hits)
	return final(hits)
}

// final folds what grew into what was told first.
func final(hits []Hit) []Hit {
	var out []Hit
	for _, h := range hits {
		i := -1
		if h.Grown {
			i = slices.IndexFunc(out, func(o Hit) bool { return o.Rule == h.Rule && o.Value == h.Value && o.Off == h.Off })
		}
		if i >= 0 {
			out[i].End, out[i].Fingerprint = h.End, h.Fingerprint
			continue
		}
		out = append(out, h)
	}
	return out
}

func spansOf(hits []Hit) string {
	var out []string
	for _, h := range hits {
		out = append(out, fmt.Sprintf("%s[%d %d)", h.Rule.ID, h.Off, h.End))
	}
	slices.Sort(out)
	return strings.Join(out, " ")
}

func cutsOf(rng *rand.Rand, n int) []int {
	var out []int
	step := 1 + rng.Intn(40)
	for at := rng.Intn(step + 1); at < n; at += 1 + rng.Intn(step) {
		out = append(out, at)
	}
	return out
}

// plainRules have neither validators nor anything else that package regexp does not know.
var plainRules = []string{
	`\b4\d{3}[ -]?\d{4}[ -]?\d{4}[ -]?\d{4}\b`,
	`\bAKIA[A-Z2-7]{16}\b`,
	`\beyJ[\w-]{10,}\.eyJ[\w-]{10,}\.[\w-]{20,}`,
	`(?i)password["']?\s*[:=]\s*["']([^"']{8,})["']`,
	`\d{3}-\d{2}-\d{4}`,
	`\w{20,}`,
	`(?:[a-z0-9._]{1,32}@[a-z0-9.-]{4,40}\W{1,4}){3}`,
	`(?m)^root:.*$`,
	`^GET /admin`,
	`end\z`,
	`foo(?:bar|barbaz)?`,
	`(?s)-----BEGIN.{10,200}?-----END`,
	`\Bx\d{2,4}y\B`,
	`[^a-z\s]{8,}`,
	`caf` + "\u00e9" + `\d{2}`,
}

var vocabulary = []string{"4111 1111 1111 1112", "4242-4242-4242-4243", "AKIA2345ABCDEFGHJKLM", "eyJhbGciOiJIUzI1.eyJzdWIiOiIxMjM0.SflKxwRJSMeKKF2QT4fwpMeJf36P", "password: 'hunter2hunter'",
	`Password="open sesame"`, "123-45-6780", "aaaaaaaaaaaaaaaaaaaaaaaa", "joe@example.com, ann@example.org; bob@example.net ", "\nroot:x:0:0\n", "root:", "GET /admin", "end", "foobarbaz", "foobar", "foo",
	"-----BEGIN abcdefghijkl -----END", "ax12ya", "x99y", "$%&/()=?12345", " ", "\n", "x", "é", "café42", "  ", "9", "-", "\x00\xff"}

func phrase(rng *rand.Rand, words int) string {
	var b strings.Builder
	for range words {
		b.WriteString(vocabulary[rng.Intn(len(vocabulary))])
		if rng.Intn(3) == 0 {
			b.WriteByte(" ,\n;"[rng.Intn(4)])
		}
	}
	return b.String()
}

// model is what package regexp finds in the whole value, one byte being one character.
func model(rs []*rules.Rule, text string) string {
	var out []string
	latin := make([]rune, 0, len(text))
	for i := range len(text) {
		latin = append(latin, rune(text[i]))
	}
	wide := string(latin)
	index := map[int]int{}
	n := 0
	for at := range wide {
		index[at] = n
		n++
	}
	index[len(wide)] = n
	for _, r := range rs {
		e, err := parse(r.Regex)
		if err != nil {
			panic(err)
		}
		// The byte-wise tree, printed in Go's way: bytes from 0x80 on are the runes of the same number here.
		re := regexp.MustCompile(e.tree.String())
		if !e.lazy {
			re.Longest()
		}
		for _, m := range re.FindAllStringSubmatchIndex(wide, -1) {
			a, b := m[0], m[1]
			if len(m) > 2 && m[2] >= 0 {
				a, b = m[2], m[3]
			}
			out = append(out, fmt.Sprintf("%s[%d %d)", r.ID, index[a], index[b]))
		}
	}
	slices.Sort(out)
	return strings.Join(out, " ")
}

// TestAnyCut: however a value is cut, what is found is what package regexp finds in the whole.
func TestAnyCut(t *testing.T) {
	var rs []*rules.Rule
	for i, x := range plainRules {
		rs = append(rs, &rules.Rule{ID: fmt.Sprint("r", i), Regex: x})
	}
	_, s := mustCompile(t, rs...)
	rng := rand.New(rand.NewSource(1))
	for i := range 2000 {
		text := phrase(rng, 1+rng.Intn(30))
		want := model(rs, text)
		if got := spansOf(s.ScanBytes([]byte(text), nil)); got != want {
			t.Fatalf("%d: whole %q\n got %s\nwant %s", i, text, got, want)
		}
		cuts := cutsOf(rng, len(text))
		if got := spansOf(inPieces(s, text, cuts)); got != want {
			t.Fatalf("%d: %q cut at %v\n got %s\nwant %s", i, text, cuts, got, want)
		}
	}
}
