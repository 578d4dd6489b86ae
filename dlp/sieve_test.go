package dlp

import (
	"fmt"
	"maps"
	"math/rand"
	"slices"
	"strings"
	"testing"

	"weir/rules"
)

// sievedRules have no literal that Hyperscan would find fast.
var sievedRules = []string{
	`\b4\d{3}[ -]?\d{4}[ -]?\d{4}[ -]?\d{4}\b`,
	`\b\d{3}-\d{2}-\d{4}\b`,
	`\b[A-CEGHJ-PR-TW-Z]{2}\d{6}[A-D]\b`,
	`\b(?:DE|FR|GB)\d{2}[A-Z0-9]{12,26}\b`,
	`(?i)\b[5KL][1-9A-HJ-NP-Za-km-z]{50,51}\b`,
	`\bAC[0-9a-f]{32}\b`,
	`[#$]\d{5}(?:-\d{3})?[!?]`,
	`\bSG\.[\w-]{22}\.[\w-]{43}\b`,
	`\D\d{9}\z`,
	`\B@\d{8}$`,
	`(?m)^%\d{7}$`,
	`(?:[A-F]\d){4,9}`,
	`(?:[a-z0-9._]{1,32}@[a-z0-9.-]{4,40}\W{1,4}){3}`,
	`x?\w*?~\d{3}\D{1,200}~\d{3}`,
	`~\d{3}\D{1,20}~\d{3}\D{1,20}~\d{3}\D{1,20}~\d{3}`,
	`(?:\^\d{4}[a-z]{1,30}){4}\d`,
}

// almost is text that looks like the beginnings of matches, and the matches.
var almost = []string{"4111 1111 1111 1112", "4242-4242-4242-424", "14111111111111111", "123-45-6780", "123-45-678", "AB123456C", "XAB123456C", "DE44500105175407324931", "DE44",
	"5" + strings.Repeat("Kx3mP", 10), "AC" + strings.Repeat("0f", 16), "#12345-678!", "$12345?", "#1234!", "SG." + strings.Repeat("a", 22) + "." + strings.Repeat("_", 43), " 123456789",
	"ab.c@example.org, ", "x~123", "a@b.example;", "^1234abc", "^1234thelastofthem", "^12345", "@", "~", "A1B2C3D4", "A1B2C3D4E5F6A1B2C3D4E5F6", "@12345678", "\n%1234567\n", "word", "longerwordthanthat", " ", ", ", "\n", "\x00\xff\x80", "é", "0", "-", "the quick brown fox "}

func filler(rng *rand.Rand, n int) string {
	var b strings.Builder
	for b.Len() < n {
		if rng.Intn(4) == 0 {
			b.WriteString(strings.Repeat(almost[len(almost)-1-rng.Intn(9)], 1+rng.Intn(200)))
			continue
		}
		for range rng.Intn(6) {
			b.WriteString(almost[rng.Intn(len(almost))])
		}
	}
	return b.String()
}

// TestSieve: where the sieve says that nothing begins, package regexp finds nothing; by vectors or not, however the value is cut.
func TestSieve(t *testing.T) {
	for _, scalar := range []bool{false, true} {
		var rs []*rules.Rule
		for i, x := range sievedRules {
			rs = append(rs, &rules.Rule{ID: fmt.Sprint("r", i), Regex: x})
		}
		db, s := compileSet(t, &rules.Set{Rules: rs}, Options{scalar: scalar})
		kinds, _ := sift(db.rules)
		if chains := slices.Collect(maps.Values(kinds)); len(kinds) != len(rs) || !slices.Contains(chains, chained) || !slices.Contains(chains, single) {
			t.Fatalf("%d of %d rules are sieved, as %v: the test is of those", len(kinds), len(rs), chains)
		}
		rng := rand.New(rand.NewSource(2))
		for i := range 400 {
			text := filler(rng, 1<<rng.Intn(15))
			want := model(rs, text)
			if got := spansOf(s.ScanBytes([]byte(text), nil)); got != want {
				t.Fatalf("%d: scalar %v, whole %q\n got %s\nwant %s", i, scalar, text, got, want)
			}
			for range 4 {
				var cuts []int
				for at, step := 0, 1<<(1+rng.Intn(13)); ; {
					if at += 1 + rng.Intn(step); at >= len(text) {
						break
					}
					cuts = append(cuts, at)
				}
				if got := spansOf(inPieces(s, text, cuts)); got != want {
					t.Fatalf("%d: scalar %v, %q cut at %v\n got %s\nwant %s", i, scalar, text, cuts, got, want)
				}
			}
		}
	}
}

func TestLiterals(t *testing.T) {
	for _, c := range []struct {
		regex string
		want  int
	}{
		{`abcd`, 4}, {`(?i)abc`, 3}, {`ab\d+cde`, 3}, {`a(?:bc|de)f`, 4}, {`a(?:bc|d)f`, 2}, {`a(?:bc|bd)`, 3}, {`(?:ab){2}`, 4}, {`(?:ab)+`, 2}, {`x?abc`, 3}, {`ab\bcd`, 4}, {`\d{9}`, 0}, {`(?:a|\d)b`, 1},
	} {
		e, err := parse(c.regex)
		if err != nil {
			t.Fatal(err)
		}
		if got := literals(e.tree).best; got != c.want {
			t.Errorf("%s: %d, want %d", c.regex, got, c.want)
		}
	}
}

// TestSieveAwake: a match that begins before the one that woke the patterns, and whose first bytes came in pieces, is found too.
func TestSieveAwake(t *testing.T) {
	rs := []*rules.Rule{{ID: "long", Regex: `\bSG\.[\w-]{22}\.[\w-]{43}\b`}, {ID: "short", Regex: `(?:[A-F]\d){4,9}`}}
	_, s := mustCompile(t, rs...)
	text := "SG.A1B2C3D4" + strings.Repeat("a", 14) + "." + strings.Repeat("_", 43) + " end"
	want := model(rs, text)
	if !strings.Contains(want, "long") || !strings.Contains(want, "short") {
		t.Fatalf("the text holds %s", want)
	}
	for cut := 1; cut < len(text); cut++ {
		if got := spansOf(inPieces(s, text, []int{cut})); got != want {
			t.Errorf("cut at %d: got %s, want %s", cut, got, want)
		}
	}
}

// TestSieveDense: where something seems to begin all the time, decisions are no longer made byte by byte; what is found is the same.
func TestSieveDense(t *testing.T) {
	rs := []*rules.Rule{{ID: "pan", Regex: `(?:^|[^\w.])(4\d{3}(?:[ -]?\d{4}){3})\b`}, {ID: "ssn", Regex: `\b\d{3}-\d{2}-\d{4}\b`}}
	_, s := mustCompile(t, rs...)
	rng := rand.New(rand.NewSource(3))
	for range 20 {
		var b strings.Builder
		for b.Len() < 3000 {
			b.WriteString([]string{" 4111111111111111", ",4242-4242-4242-4242", " 411111111111111", "\n123-45-6780", ":4111 1111 1111 11112"}[rng.Intn(5)])
		}
		text := b.String()
		want := model(rs, text)
		if got := spansOf(s.ScanBytes([]byte(text), nil)); got != want {
			t.Fatalf("whole: got %s\nwant %s", got, want)
		}
		if got := spansOf(inPieces(s, text, []int{1 + rng.Intn(900), 1000, 1001 + rng.Intn(1900)})); got != want {
			t.Fatalf("in pieces: got %s\nwant %s", got, want)
		}
	}
}

// TestSieveChains: lists that are long enough, and those that are not, however they are cut.
func TestSieveChains(t *testing.T) {
	rs := []*rules.Rule{
		{ID: "mail", Regex: `(?:[a-z0-9._]{1,32}@[a-z0-9.-]{4,40}\W{1,4}){4}`},
		{ID: "near", Regex: `~\d{3}\D{1,20}~\d{3}\D{1,20}~\d{3}\D{1,20}~\d{3}`},
		{ID: "far", Regex: `(?:\^\d{4}[a-z ]{1,300}){3}\d`},
		{ID: "phone", Regex: `(?:\+1-\d{3}-\d{3}-\d{4}\D{1,90}){4}`}, // a number too
	}
	db, s := mustCompile(t, rs...)
	if kinds, _ := sift(db.rules); slices.ContainsFunc(db.rules, func(r *rule) bool { return kinds[r] != chained }) {
		t.Fatalf("%v", kinds)
	}
	rng := rand.New(rand.NewSource(4))
	pieces := []string{"a.b@example.org, ", "someone.with.a.long.name.indeed.ok@mail.example.com;", "~123", "~123 and ", "~456,", "^1234 ", "^7890abc", "7", "+1-212-555-0100 ", "+1-305-555-0199, or ", "x", ", ", "between"}
	found := map[string]int{}
	for range 3000 {
		var b strings.Builder
		for range 1 + rng.Intn(3) {
			some := pieces[rng.Intn(2)*rng.Intn(len(pieces)-3):]
			for range 1 + rng.Intn(8) {
				b.WriteString(some[rng.Intn(min(len(some), 3))])
			}
			b.WriteString(strings.Repeat("z", rng.Intn(2)*rng.Intn(200)))
		}
		text := b.String()
		want := model(rs, text)
		for _, r := range rs {
			found[r.ID] += strings.Count(want, r.ID)
		}
		if got := spansOf(s.ScanBytes([]byte(text), nil)); got != want {
			t.Fatalf("whole %q\n got %s\nwant %s", text, got, want)
		}
		for step := 1; step < len(text); step *= 1 + rng.Intn(5) {
			var cuts []int
			for at := step; at < len(text); at += step + rng.Intn(1+step/2) {
				cuts = append(cuts, at)
			}
			if got := spansOf(inPieces(s, text, cuts)); got != want {
				t.Fatalf("%q cut at %v\n got %s\nwant %s", text, cuts, got, want)
			}
			step++
		}
	}
	for _, r := range rs {
		if found[r.ID] < 50 {
			t.Errorf("%s is found %d times: the texts are no test of it", r.ID, found[r.ID])
		}
	}
}
