package rules

import (
	"regexp"
	"strings"
	"testing"
)

// luhn is here to hold the examples to what they claim; validation itself is not this package's.
func luhn(s string) bool {
	sum, n := 0, 0
	for i := len(s) - 1; i >= 0; i-- {
		if s[i] < '0' || s[i] > '9' {
			continue
		}
		d := int(s[i] - '0')
		if n%2 == 1 {
			if d *= 2; d > 9 {
				d -= 9
			}
		}
		sum += d
		n++
	}
	return sum%10 == 0
}

func TestBuiltin(t *testing.T) {
	set, problems := Load([]string{Wide}, Options{Builtin: true})
	for _, p := range problems {
		t.Errorf("%s", p)
	}
	if set == nil {
		t.FailNow()
	}
	for _, r := range set.Rules {
		t.Run(r.ID, func(t *testing.T) { testExamples(t, r) })
	}
}

// testExamples checks a rule's own examples as far as it goes without validators, counting and entropy.
func testExamples(t *testing.T, r *Rule) {
	if len(r.Test.Match) == 0 || len(r.Test.NoMatch) == 0 {
		t.Errorf("examples: %d that match, %d that do not; want some of both", len(r.Test.Match), len(r.Test.NoMatch))
	}
	re := regexp.MustCompile(r.Regex)
	if r.Regex == "" {
		re = regexp.MustCompile(r.Path) // the examples are names
	}
	for i, text := range r.Test.Match {
		found := false
		for _, m := range re.FindAllStringSubmatch(text, -1) {
			value := m[0]
			if r.SecretGroup > 0 {
				value = m[r.SecretGroup]
			}
			found = found || len(r.Validate) == 0 || r.Validate[0] != "luhn" || luhn(value)
		}
		if !found || !hasContext(r, text) {
			t.Errorf("match[%d]: found %v, context %v", i, found, hasContext(r, text))
		}
	}
	if len(r.Validate) > 0 || len(r.Allow) > 0 || r.Entropy > 0 || r.MinDistinct > 1 || len(r.Required) > 0 {
		return
	}
	for i, text := range r.Test.NoMatch {
		if re.MatchString(text) && hasContext(r, text) {
			t.Errorf("no_match[%d] matches", i)
		}
	}
}

func hasContext(r *Rule, text string) bool {
	for _, w := range r.Context {
		if strings.Contains(strings.ToLower(text), w) {
			return true
		}
	}
	return !r.ContextRequired
}
