package workload

import (
	"fmt"
	"net/netip"
	"testing"
)

// Translations are found by either side, and bounded: the oldest are forgotten.
func TestTranslations(t *testing.T) {
	var x Translations
	tuple := func(i int, to string) Tuple {
		return Tuple{6, netip.AddrPortFrom(netip.AddrFrom4([4]byte{10, byte(i >> 16), byte(i >> 8), byte(i)}), 1), netip.MustParseAddrPort(to)}
	}
	const more = 10
	for i := range maxTranslations + more {
		x.Add(tuple(i, "10.96.0.1:80"), tuple(i, "10.7.0.1:8080"))
		x.Add(tuple(i, "10.96.0.1:80"), tuple(i, "10.7.0.1:8080")) // told twice
	}
	if len(x.at) != 2*maxTranslations || len(x.ring) != 2*maxTranslations {
		t.Errorf("%d are kept, in the order of %d", len(x.at), len(x.ring))
	}
	for i, want := range map[int]bool{0: false, more - 1: false, more: true, maxTranslations: true} {
		for a, b := range map[string]string{"10.96.0.1:80": "10.7.0.1:8080", "10.7.0.1:8080": "10.96.0.1:80"} {
			if got, ok := x.Other(tuple(i, a)); ok != want || ok && got != tuple(i, b) {
				t.Errorf("%d, %s: got %v, %v", i, a, got, ok)
			}
		}
	}
	k := tuple(more, "10.96.0.1:80")
	if n := testing.AllocsPerRun(100, func() { x.Other(k) }); n != 0 {
		t.Errorf("%v allocations", n)
	}
	if _, ok := (*Translations)(nil).Other(k); ok {
		t.Error("nil knows something")
	}
}

func FuzzParseTranslation(f *testing.F) {
	f.Add([]byte("\x34\x00\x01\x80\x14\x00\x01\x80\x08\x00\x01\x00\x0a\x00\x00\x01\x08\x00\x02\x00\x0a\x00\x00\x02\x1c\x00\x02\x80\x05\x00\x01\x00\x06\x00\x00\x00\x06\x00\x02\x00\x00\x50\x00\x00\x06\x00\x03\x00\x00\x50\x00\x00"))
	f.Fuzz(func(t *testing.T, b []byte) {
		if began, goes, ok := parseTranslation(b); ok && (began == goes || began.Proto != goes.Proto) {
			t.Error(fmt.Sprint(began, goes))
		}
	})
}
