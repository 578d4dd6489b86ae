package dlp

import "testing"

// TestValidatorInWords: no words are left of a validator that is gone.
func TestValidatorInWords(t *testing.T) {
	for name, words := range validatorWords {
		if validatorNamed(name) == nil || words == "" {
			t.Errorf("there is no validator %q, or no words for it", name)
		}
	}
}
