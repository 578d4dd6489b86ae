package engine

import (
	"bytes"
	"fmt"
	"testing"

	"weir/alert"
	"weir/dissect"
	"weir/dlp"
	"weir/rules"
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

// TestRecordEmpty: values without a byte in them are counted, too.
func TestRecordEmpty(t *testing.T) {
	k := newTalk(t, &rules.Rule{ID: "token", Regex: `NOTHING-[0-9]{6}`, Severity: rules.High})
	l := k.lane
	l.e.cfg.Events, l.e.cfg.Emit = map[string]bool{"dns": true}, func(*alert.Event) {}
	l.t, l.a = k.tap, &app{work: &work{}}
	m := dissect.Message{Protocol: &dissect.DNS, Tx: 1}
	for f := range dissect.DNS.Fields {
		if dissect.DNS.Fields[f].EVE != "" {
			for range 100_000 {
				m.Parts = append(m.Parts, dissect.Part{Field: dissect.Field(f), Value: uint32(len(m.Parts))})
			}
		}
	}
	l.record(&m)
	r := l.a.records[0]
	if len(r.items) != maxItems {
		t.Errorf("%d values are kept, want %d", len(r.items), maxItems)
	}
	if n := len(l.app(r, nil).Text); n > maxItems*64 {
		t.Errorf("%d bytes are shown of nothing", n)
	}
}
