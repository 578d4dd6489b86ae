package dlp

import (
	"strings"
	"testing"

	"weir/rules"
)

// TestPatience: what is too dear for traffic is looked at to its end where nobody waits.
func TestPatience(t *testing.T) {
	text := []byte(strings.Repeat("a_key=00000000 ", 20000) + " secret-12345678")
	for _, patience := range []int{0, 64} {
		_, s := mustCompile(t, &rules.Rule{ID: "dear", Entropy: 2.5, Regex: `(?i)[\w.-]{0,50}(?:api|key|token|secret)[\w .-]{0,40}(?:=|-)[^a-z]{0,20}(\d{8})`})
		s.Patience = patience
		hits := s.ScanBytes(text, nil)
		if _, why := s.GaveUp(); (why == "") != (patience > 0) || patience > 0 && len(hits) != 1 {
			t.Errorf("patience %d: %d hits, gave up: %q", patience, len(hits), why)
		}
	}
}
