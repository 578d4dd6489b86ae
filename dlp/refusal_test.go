package dlp

import (
	"fmt"
	"testing"

	"weir/rules"
)

func TestRefused(t *testing.T) {
	_, s := compileSet(t, &rules.Set{Rules: []*rules.Rule{
		{ID: "card", Regex: `\b\d{16}\b`, Validate: []string{"luhn", "iin"}, Mask: "pan"},
		{ID: "token", Regex: `\btk_[a-z0-9]{12}\b`, Entropy: 3, Allow: []rules.Allowlist{{Description: "the test shop's", Regexes: []string{`^tk_7f3`}}}},
		{ID: "pin", Regex: `\b\d{4}\b`, Context: []string{"pin"}, ContextRequired: true, Within: 20},
		{ID: "key", Regex: `\bkey-\d{6}\b`, Keywords: []string{"acme"}},
		{ID: "pair", Regex: `\buser-\d{6}\b`, Required: []rules.Required{{ID: "pin", WithinLines: -1}}},
	}}, Options{Unsieved: true})
	var got []string
	s.Refused = func(r *Refusal) {
		got = append(got, fmt.Sprintf("%s %d-%d %s: %s", r.Rule.ID, r.Off, r.End, r.Masked, r.Why))
	}
	for text, want := range map[string]string{
		"x 4556737586899856 y":         "card 2-18 455673******9856: refused by validator luhn",
		"x 9999999999999995 y":         "card 2-18 999999******9995: refused by validator iin",
		"x tk_aaaaaaaaaaaa":            "token 2-17 tk_…(15): its entropy is too low: 1.04 bits per byte, more than 3 are asked for",
		"x tk_7f3k9q2m4x8z":            "token 2-17 tk_…(15): left out by an allow-list: the test shop's",
		"the year is 1984, not a word": "pin 12-16 1…(4): none of its context words is near: within 20 bytes: pin",
		"x key-123456":                 "key 2-12 ke…(10): none of its keywords is in the message: acme",
		"x user-123456":                "pair 2-13 us…(11): a rule that it requires has found nothing near: pin",
	} {
		got = nil
		if hits := s.ScanBytes([]byte(text), nil); len(hits) != 0 {
			t.Errorf("%q: found", text)
		}
		if len(got) != 1 || got[0] != want {
			t.Errorf("%q: got %q, want %q", text, got, want)
		}
	}
}
