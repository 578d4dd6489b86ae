package dlp

import (
	"fmt"
	"math/rand"
	"testing"
	"time"

	"weir/rules"
)

// manyRules are rules of the kinds that people have: tokens with a prefix, values of a named key, numbers, identifiers, attacks.
func manyRules(n int) *rules.Set {
	rng := rand.New(rand.NewSource(7))
	word := func(least, most int) string {
		b := make([]byte, least+rng.Intn(most-least+1))
		for i := range b {
			b[i] = 'a' + byte(rng.Intn(26))
		}
		return string(b)
	}
	set := &rules.Set{}
	for i := range n {
		r := &rules.Rule{ID: fmt.Sprint("many.", i), Severity: rules.High}
		switch i % 16 {
		default:
			r.Regex = fmt.Sprintf(`\b(%s_[0-9A-Za-z]{%d})(?:\W|$)`, word(3, 6), 20+rng.Intn(30))
		case 1, 4, 7, 10, 13:
			r.Regex = fmt.Sprintf(`(?i)[\w.-]{0,50}?(?:%s)(?:[ \t\w.-]{0,20})[\s'"]{0,3}(?:=|>|:{1,3}=|\|\||:|=>|\?=|,)[\x60'"\s=]{0,5}([a-z0-9]{%d})(?:[\x60'"\s;]|\\[nr]|$)`, word(5, 9), 16+rng.Intn(48))
			r.Entropy = 3
		case 2, 8:
			r.Regex = fmt.Sprintf(`(?i)\b%s[\s_-]{0,2}(?:no|nr|number)[^0-9]{1,8}(\d{%d})\b`, word(4, 7), 6+rng.Intn(8))
		case 5:
			r.Regex = fmt.Sprintf(`\b%d\d{3}[ -]?\d{4}[ -]?\d{%d}\b`, 1+rng.Intn(8), 2+rng.Intn(6))
			r.Validate = []string{"luhn"}
		case 11:
			r.Regex = fmt.Sprintf(`(?i)<%s(?:[\s/][^<>]{0,200})?>|\b%s\(\s{0,4}["']%s`, word(5, 8), word(5, 9), word(3, 5))
		case 14:
			r.Regex = fmt.Sprintf(`\b%s-%s-[0-9a-f]{8}-[0-9a-f]{4}\b`, word(3, 4), word(2, 4))
		}
		set.Rules = append(set.Rules, r)
	}
	return set
}

// TestLoad: 2,000 rules load, and are read from the cache on the next start in a small part of the time. Other work on the machine shifts
// both, hence the ratio; on two processors with little else to do these are 5.1 s and 0.4 s.
func TestLoad(t *testing.T) {
	set, dir := manyRules(2000), t.TempDir()
	load := func() time.Duration {
		start := time.Now()
		db, err := Compile(set, Options{CacheDir: dir, FingerprintKey: []byte("k")})
		if err != nil {
			t.Fatal(err)
		}
		defer db.Close()
		took := time.Since(start)
		t.Logf("%s, %d KiB", took, db.Size()>>10)
		return took
	}
	cold := load()
	if cached := min(load(), load()); cached > cold/5 {
		t.Errorf("%s cold, %s from the cache: more than a fifth", cold, cached)
	}
}
