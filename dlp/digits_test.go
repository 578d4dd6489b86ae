package dlp

import (
	"fmt"
	"math/rand"
	"strings"
	"testing"

	"weir/rules"
)

// TestNumeralOf: what is known of the digits of an expression.
func TestNumeralOf(t *testing.T) {
	for _, c := range []struct {
		regex       string
		least, most int // least 0: none
		lead        int
		outside     bool
		notDigit    bool
		secret      bool
	}{
		{`\b4\d{3}(?:[ -]?\d{4}){3}\b`, 16, 16, 0, true, true, true},
		{`(?:^|[^\w.])(3[47]\d\d[ -]?\d{6}[ -]?\d{5}|6\d{11}(?:[ -]?\d{1,3})?)\b`, 12, 15, 1, true, true, true},
		{`(?i)(?:card|visa)[^0-9]{0,24}(4\d{12})\b`, 13, 13, 28, false, true, true},
		{`ssn\D(\d{3}-\d\d-\d{4})`, 9, 0, 4, false, true, true},
		{`\d{9,}`, 9, 0, 0, false, false, true},
		{`\d{4}\.\d{4}/\d{4}x`, 12, 0, 0, false, false, false},
		{`\d{4}[ -]{1,2}\d{4}[ -]\d{4}`, 8, 0, 6, true, true, false}, // behind the two separators
		{`\d{4}[ -]?[ -]?\d{7}`, 0, 0, 0, false, false, false},
		{`[ -]?\d{9}\b`, 9, 9, 1, false, false, false},
		{`\d{7}`, 0, 0, 0, false, false, false},
		{`[a-f\d]{12}`, 0, 0, 0, false, false, false},
		{`(?:\d{3}|x)\d{12}\b`, 12, 12, 3, false, false, false},
		{`\w{65}\d{9}`, 0, 0, 0, false, false, false}, // too far in
		{`(\d{4}) (\d{8})\b`, 12, 12, 0, false, false, false},
		{`(?:\d{2} ){4}\d{2}\b`, 10, 10, 0, false, false, true},
		{`\d{30}\d{0,9}\b`, 30, 0, 0, false, false, true},
	} {
		e, err := parse(c.regex)
		if err != nil {
			t.Fatal(err)
		}
		n := numeralOf(e)
		if n == nil {
			if c.least != 0 {
				t.Errorf("%s: no digits", c.regex)
			}
			continue
		}
		without := func(is func(byte) bool) bool {
			for c := range 256 {
				if n.behind.has(byte(c)) && is(byte(c)) {
					return false
				}
			}
			return true
		}
		got := fmt.Sprint(n.digits, n.most, n.lead, without(isWordByte), without(isDigit), n.secret)
		// A boundary that the digits begin with themselves is their rows' own.
		if want := fmt.Sprint(c.least, c.most, c.lead, c.outside, c.notDigit, c.secret); got != want {
			t.Errorf("%s: got %s, want %s", c.regex, got, want)
		}
	}
}

// TestNumerals: what is found of numbers is the same whether they are sought by their digits or in every byte; by vectors or not, however
// the value is cut.
func TestNumerals(t *testing.T) {
	var rs []*rules.Rule
	for i, r := range []*rules.Rule{
		{Regex: `(?:(?:"?id"?\s?[:=]\s?)|^|[^\w.])(4\d{3}(?:[ -]?\d{4}){3}|3[47]\d\d[ -]?\d{6}[ -]?\d{5}|62\d\d(?:[ -]?\d{4}){3}(?:[ -]?\d{1,3})?)\b`, Validate: []string{"luhn", "iin"}},
		{Regex: `(?i)(?:pan|visa)[^0-9]{0,24}(4\d{12}|60\d{10,17})\b`, Validate: []string{"luhn"}},
		{Regex: `(?:^|[^\w.+/-])(\d{3}-\d\d-\d{4})\b`, Validate: []string{"ssn"}},
		{Regex: `\bnr\.? ?(\d{2} ?\d{3} ?\d{3} ?\d{3})\b`},
		{Regex: `\d{14,40}`},
		{Regex: `\d{2}/\d{4}/\d{5}x`},
		{Regex: `[a-c]{0,60}:\d{12}\b`},
		{Regex: `\b\d{11}\b`},
	} {
		r.ID = fmt.Sprint("n", i)
		rs = append(rs, r)
	}
	compile := func(opt Options) *Scanner {
		db, s := compileSet(t, &rules.Set{Rules: rs}, opt)
		if !opt.Unsieved {
			if kinds, v := sift(db.rules); len(kinds) != len(rs) || v.numbers == 0 {
				t.Fatalf("%d of %d rules are sought by their digits", len(kinds), len(rs))
			}
		}
		return s
	}
	every, scalar, vector := compile(Options{Unsieved: true}), compile(Options{scalar: true}), compile(Options{})
	rng := rand.New(rand.NewSource(5))
	pieces := []string{"4111111111111111", "4111 1111 1111 1111", "4012-8888-8888-1881", "378282246310005", "6200000000000005", "4222222222222", "6011000990139424",
		"219-09-9998", "457-55-5461", "12/3456/78901x", "nr. 12 345 678 901", "nr12345678901", ":123456789012", "abcabc:210987654321", "card ", "visa: ", `"id": `, "1764131325123", "1",
		"23", "456", " ", "-", ".", "/", ",", "\n", "x", "{\"t\":", "the quick brown fox ", "0.123456789", strings.Repeat("cab", 15)}
	found := map[string]int{}
	for i := range 3000 {
		var b strings.Builder
		for range 1 + rng.Intn(60) {
			if rng.Intn(8) == 0 {
				for range rng.Intn(24) {
					b.WriteByte('0' + byte(rng.Intn(10)))
				}
				continue
			}
			b.WriteString(pieces[rng.Intn(len(pieces))])
			if rng.Intn(3) > 0 {
				b.WriteString([]string{" ", ",", "; "}[rng.Intn(3)])
			}
		}
		text := b.String()
		hits := every.ScanBytes([]byte(text), nil)
		want := spansOf(hits)
		for _, h := range hits {
			found[h.Rule.ID]++
		}
		for name, s := range map[string]*Scanner{"scalar": scalar, "vector": vector} {
			if got := spansOf(s.ScanBytes([]byte(text), nil)); got != want {
				t.Fatalf("%d: %s, whole %q\n got %s\nwant %s", i, name, text, got, want)
			}
			cuts := cutsOf(rng, len(text))
			if got, want := spansOf(inPieces(s, text, cuts)), spansOf(inPieces(every, text, cuts)); got != want {
				t.Fatalf("%d: %s, %q cut at %v\n got %s\nwant %s", i, name, text, cuts, got, want)
			}
		}
	}
	for _, r := range rs {
		if found[r.ID] < 50 {
			t.Errorf("%s is found %d times: the texts are no test of it", r.ID, found[r.ID])
		}
	}
}
