package dlp

import "testing"

// TestShort: a value of four characters is hidden where it is encoded too, and what is like it is shown.
func TestShort(t *testing.T) {
	var m Masker
	values := []Value{NewValue([]byte("8391"), "…(4)")}
	for _, c := range []struct{ text, want string }{
		{"pin 8391.", "pin …(4)."},
		{"pin ODM5MQ== ok", "pin …(8) ok"},
		{"pin bnI4Mzkx ok", "pin …(8) ok"},     // nr8391
		{"auth Ym9iOjgzOTE=", "auth …(12)"},    // bob:8391
		{"utf-7 +ADgAMwA5ADE-", "utf-7 …(13)"}, // UTF-16, the high byte first
		{"le OAAzADkAMQA=", "le …(12)"},        // the low byte first
		{"hex 38333931 and 0A38333931", "hex …(8) and …(10)"},
		{"pin ODM5Mg== ok", "pin …(8) ok"},     // 8392: its first letters are the same, so it is hidden too
		{"pin ODk5MQ== ok", "pin ODk5MQ== ok"}, // 8991
		{"hex 38333932", "hex 38333932"},
	} {
		if got := string(m.Find([]byte(c.text), values)); got != c.want {
			t.Errorf("%q: got %q, want %q", c.text, got, c.want)
		}
	}
}
