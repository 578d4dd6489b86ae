package dlp

import (
	"fmt"
	"math/rand"
	"strings"
	"testing"

	"weir/rules"
)

var luhnRules = []*rules.Rule{
	{ID: "pan", Regex: panRegex, Validate: []string{"luhn", "iin"}},
	{ID: "keyed", Regex: `(?:id\s{0,3}[:=]\s{0,3}|^|[^\w.])(4\d{3}(?:[ -]?\d{4}){3}(?:[ -]?\d{1,3})?|3[47]\d\d[ -]?\d{6}[ -]?\d{5})\b`, Validate: []string{"luhn", "iin", "separators"},
		Allow: []rules.Allowlist{{Target: "match", Regexes: []string{`^id`}}}},
	{ID: "loose", Regex: `\d[\d ./-]{11,22}\d`, Validate: []string{"luhn", "iin", "boundary"}},
	{ID: "short", Regex: `\d{8,12}`, Validate: []string{"luhn"}},
	{ID: "context", Regex: `\b\d{15,16}\b`, Validate: []string{"luhn"}, Context: []string{"card"}, ContextRequired: true, Within: 40},
	{ID: "open", Regex: `4\d{11,60}`, Validate: []string{"luhn"}},
}

// TestLuhn: what is passed over by its end alone is what the machine and the validators would refuse, however a value is cut.
func TestLuhn(t *testing.T) {
	early, a := mustCompile(t, luhnRules...)
	late, b := mustCompile(t, luhnRules...)
	for i := range early.rules {
		if !early.rules[i].luhn {
			t.Errorf("%s: the end of its matches tells nothing", early.rules[i].ID)
		}
		late.rules[i].luhn = false
	}
	pieces := []string{"4556737586899855", "4556 7375 8689 9855", "4556-7375-8689-9856", "371449635398431", "3714 496353 98431", "id: 4556737586899855", "id=4", "4", "55", "123456789012", "0", " ", "-", ".",
		", ", "\n", "card ", "a", "5555555555554444", "2223003122003222123", "4222222222222"}
	rng := rand.New(rand.NewSource(4))
	hits := 0
	for i := range 200 {
		var text strings.Builder
		for range 1 + rng.Intn(30) {
			if rng.Intn(3) == 0 {
				fmt.Fprintf(&text, "%s%d", []string{"", " ", ":", "id: "}[rng.Intn(4)], 3e15+rng.Int63n(3e15))
				continue
			}
			text.WriteString(pieces[rng.Intn(len(pieces))])
		}
		whole := text.String()
		want := spansOf(b.ScanBytes([]byte(whole), nil))
		if got := spansOf(a.ScanBytes([]byte(whole), nil)); got != want {
			t.Fatalf("%d: %q\n got %s\nwant %s", i, whole, got, want)
		}
		cuts := cutsOf(rng, len(whole))
		want = spansOf(inPieces(b, whole, cuts))
		if got := spansOf(inPieces(a, whole, cuts)); got != want {
			t.Fatalf("%d: %q cut at %v\n got %s\nwant %s", i, whole, cuts, got, want)
		}
		hits += strings.Count(want, "[")
	}
	if a.Count.Confirmed >= b.Count.Confirmed || hits < 200 {
		t.Errorf("%d hits; the machine found %d matches, %d without the short way", hits, a.Count.Confirmed, b.Count.Confirmed)
	}
}

func TestSecretEnds(t *testing.T) {
	for regex, want := range map[string]bool{
		`\d{16}`: true, `x(\d{16})`: true, `x(\d{16})\b$`: true, `(?:a|b)(\d{3})`: true, `(\d{3})x`: false, `(\d{3})?`: false, `x(\d*)`: false, `(a)(\d{3})`: false, `(?:a(\d{3})|b)`: false,
	} {
		e, err := parse("y" + regex)
		if err != nil {
			t.Fatal(err)
		}
		if got := e.secretEnds(); got != want {
			t.Errorf("%s: %v, want %v", regex, got, want)
		}
	}
}
