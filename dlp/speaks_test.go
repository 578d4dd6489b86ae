package dlp

import (
	"testing"

	"weir/rules"
)

// TestSpeaks: names of columns say what stands under them in any case, in other scripts too.
func TestSpeaks(t *testing.T) {
	db := &Database{rules: []*rule{{Rule: &rules.Rule{Context: []string{"card", "numéro fiscal", "егн"}}}}}
	db.context = db.spoken()
	for name, want := range map[string]bool{
		"card_no": true, "CardNo": true, "CARDS": true, "numéro fiscal": true, "Numéro_Fiscal": true, "NUMÉRO FISCAL": true, "ЕГН": true, "егн": true,
		"id": false, "discard": false, "numéro": false,
	} {
		if got := db.Speaks([]byte(name)); got != want {
			t.Errorf("%s: got %v", name, got)
		}
	}
}
