package dlp

import (
	"fmt"
	"math/rand"
	"testing"

	"weir/dissect"
)

// TestPlainTexts: what is remembered of texts changes nothing of what is shown, of any privacy.
func TestPlainTexts(t *testing.T) {
	rng := rand.New(rand.NewSource(3))
	var kept Masker
	texts := []string{"/orders?page=2&size=50", "SELECT name FROM users WHERE id = 7", "session=4111111111111111; theme=dark", "password=hunter2hunter2", "user alice logs in", "ALTER USER bob PASSWORD 'tr0ub4dor'"}
	for i := range 3000 {
		text := texts[rng.Intn(len(texts))]
		if rng.Intn(3) == 0 {
			text += fmt.Sprint(" ", rng.Intn(i+1))
		}
		p := dissect.Privacy(rng.Intn(int(dissect.Sealed) + 1))
		var fresh Masker
		want, got := string(fresh.Text([]byte(text), p)), string(kept.Text([]byte(text), p))
		if got != want {
			t.Fatalf("%q of privacy %d: %q, want %q", text, p, got, want)
		}
	}
	known := 0
	for _, d := range kept.plain.known {
		if d != (digest{}) {
			known++
		}
	}
	if known < 50 {
		t.Errorf("%d texts are known: the test is of those", known)
	}
}
