package dlp

import (
	"strings"
	"testing"

	"weir/rules"
)

// builtinScanner returns a Scanner for the built-in rules.
func builtinScanner(t testing.TB) *Scanner {
	t.Helper()
	set, problems := rules.Load(nil, rules.Options{Builtin: true})
	if problems.Failed() {
		t.Fatal(problems.Err())
	}
	_, s := compileSet(t, set, Options{})
	return s
}

// TestConfidence: what stands around a number decides how sure it is.
func TestConfidence(t *testing.T) {
	s := builtinScanner(t)
	const pan = "4929653269484693"
	for _, c := range []struct{ text, want string }{
		{pan, "medium"},
		{"a list: " + pan + ", and so on", "medium"},
		{`{"card_number":"` + pan + `"}`, "high"},
		{`{"payment":{"cardNumber": "` + pan + `"}}`, "high"},
		{`{\"pan\":\"` + pan + `\"}`, "high"},
		{"amount=12&cc=x&card=" + pan, "high"},
		{"<CreditCard>" + pan + "</CreditCard>", "high"},
		{`<field name="pan" value="` + pan + `"/>`, "high"},
		{"my credit card number is " + pan, "high"},
		{"Visa " + pan, "high"},
		{"<div class=\"card-body\"><p>see the docs</p><span>" + pan + "</span>", "medium"}, // one word that is near says little
		{pan + " exp_date 11/29 cvv 123", "high"},
		{"INSERT INTO t (id, card_number, cvv, expiry) VALUES (7, '" + pan + "', 1, 2)", "high"},
		{`{"order_id":"` + pan + `"}`, "low"},
		{`{"orderId":"` + pan + `"}`, "low"},
		{"/orders/" + pan, "low"},
		{"x-request-trace: \"" + pan + "\"", "low"},
		{`{"ean" : "` + pan + `"}`, "low"},
		{`{"tracking_number":"` + pan + `"}`, "low"},
		{`{"user_id":"` + pan + `"}`, "low"},
		{`{"card_id":"` + pan + `"}`, "high"},
		{`<div class="card card-body" id="` + pan + `">`, "low"},
		{`<div class="card card-body" title="` + pan + `">`, "medium"},
		{"/v1/card/" + pan, "low"},
		{"card number: " + pan, "high"},
		{"the card is as follows: " + pan, "high"},
		{`{"order_card":"` + pan + `"}`, "high"}, // its own word goes before
		{`{"a":"order","b":"` + pan + `"}`, "medium"},
		{"00-4bf92f3577b34da6-" + pan + "-01", "low"},
		{"1," + pan + ".25", "low"},
		{"aGVsbG8gd29ybGQhIQ/" + pan + "/dGhpcyBpcyBiYXNl", "low"},
		{"MOVV\t$-" + pan + ", R4", "low"}, // a sign
		{"\n-" + pan + "\n", "medium"},     // a list
		{"  5226 5259 5293 5326 5360 5394 5428 5462 5496 5531\n  5565 5600", "low"},
		{"9E01 7E95 9FA0 7E9E 5428 5462 5496 5531 8640 8641\n", "low"},
		{"4929 6532 6948 4693 0926 123", "medium"}, // with its date and code
		{"4929 6532 6948 4693 5379 0190 6431 5726\n4716 0307 2252 4992", "medium medium medium"},
		{"4929 6532 6948 4693\n5379 0190 6431 5726\n4716 0307 2252 4992\n", "medium medium medium"},
	} {
		hits := s.ScanBytes([]byte(c.text), nil)
		got := []string{}
		for _, h := range hits {
			if h.Rule.ID == "pci.pan" {
				got = append(got, Level(h.Confidence).String())
				if h.Raise != (Level(h.Confidence) >= rules.Fair && len(got) == 1) || h.Unsure != (Level(h.Confidence) < rules.Fair) {
					t.Errorf("%s: %d %%: raised %v, unsure %v", strings.ReplaceAll(c.text, pan, "N"), h.Confidence, h.Raise, h.Unsure)
				}
			}
		}
		if got := strings.Join(got, " "); got != c.want {
			t.Errorf("%s: got %q, want %q", strings.ReplaceAll(c.text, pan, "N"), got, c.want)
		}
	}
}

// TestInWord: a fixed text speaks for a finding only where it stands as a word of its own.
func TestInWord(t *testing.T) {
	_, s := mustCompile(t, &rules.Rule{ID: "named", Regex: `(?i)asana\w{0,8}[=:>] ?[0-9a-f]{32}`, Mask: "secret", Entropy: 3})
	const value = "5f0a9b3c7d21e84f6a0b9c8d7e6f5a4b"
	for text, want := range map[string]string{
		"asana=" + value:        "high",
		"ASANA_KEY: " + value:   "high",
		"my_asana_key=" + value: "high",
		"myAsanaKey=" + value:   "high",
		"x7QasanaB=" + value:    "medium",
		"GqbAsAnAx3=" + value:   "medium",
		"/aSANAx=" + value:      "medium",
	} {
		got := ""
		for _, h := range s.ScanBytes([]byte(text), nil) {
			got += Level(h.Confidence).String()
		}
		if got != want {
			t.Errorf("%s: got %q, want %q", strings.ReplaceAll(text, value, "V"), got, want)
		}
	}
}

// TestStrengths: the table names validators that there are.
func TestStrengths(t *testing.T) {
	for name := range strengths {
		if validatorNamed(name) == nil {
			t.Errorf("there is no validator %q", name)
		}
	}
}

// TestLevels: the levels are those of the table in docs/rules.md.
func TestLevels(t *testing.T) {
	for percent, want := range map[uint8]string{0: "low", 49: "low", 50: "medium", 79: "medium", 80: "high", 99: "high"} {
		if got := Level(percent).String(); got != want {
			t.Errorf("%d: got %s, want %s", percent, got, want)
		}
	}
}
