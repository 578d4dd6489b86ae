package engine

import "testing"

func TestMaskFold(t *testing.T) {
	for _, c := range []struct{ v, found, want string }{
		{"a SECRET and a secret", "Secret", "a *** and a ***"},
		{"secretsecret", "secret", "******"},
		{"secre", "secret", ""},
		{"", "secret", ""},
	} {
		if got := maskFold([]byte(c.v), []byte(c.found), "***"); string(got) != c.want {
			t.Errorf("%q in %q: %q, want %q", c.found, c.v, got, c.want)
		}
	}
}
