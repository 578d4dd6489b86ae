package engine

import (
	"bytes"
	"fmt"
	"testing"

	"weir/dissect"
	"weir/dlp"
)

func TestMaskFold(t *testing.T) {
	for _, c := range []struct{ v, found, want string }{
		{"a SECRET and a secret", "Secret", "a *** and a ***"},
		{"secretsecret", "secret", "******"},
		{"secre", "secret", ""},
		{"", "secret", ""},
		{"РЕКА и река", "река", "*** и ***"},
	} {
		if got := maskFold([]byte(c.v), []byte(c.found), "***"); string(got) != c.want {
			t.Errorf("%q in %q: %q, want %q", c.found, c.v, got, c.want)
		}
	}
}

// BenchmarkMask: many findings in an exchange that shows as much as one may.
func BenchmarkMask(b *testing.B) {
	l := &Lane{}
	for b.Loop() {
		r := record{proto: &dissect.HTTP}
		for i := range maxRecordSize / maxValueSize {
			r.items = append(r.items, item{at: int32(i * maxValueSize), end: int32((i + 1) * maxValueSize), field: 1, value: uint32(i)})
		}
		r.buf = bytes.Repeat([]byte("all that is shown of it "), maxRecordSize/24+1)[:maxRecordSize]
		for i := range 1000 {
			form := fmt.Appendf(nil, "a%d@example.org", i)
			r.mask(&dlp.Hit{Masked: "***", Value: 1000}, form, form)
			l.app(&r, nil)
		}
	}
}
