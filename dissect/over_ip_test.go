package dissect

import (
	"encoding/hex"
	"testing"
)

func TestOverIP(t *testing.T) {
	for _, c := range []struct {
		proto uint8
		hex   string
		want  string
	}{
		{2, "1600090be00000f5", ""},
		{2, "16000904e00000fb", "igmp"}, // a report of 224.0.0.251
		{89, "0201002c0a0000020000000000000000", ""},
		{89, "020100100a0000020000000000000000", "ospf"},
		{103, "2000df930001000200690014", "pim"},
		{112, "2101640100010000c0a80001", "vrrp"},
		{112, "41016401", ""},
		{50, "0000012300000001aabbccddeeff0011", "esp"},
		{50, "0000000100000001aabbccddeeff0011", ""}, // a reserved number
		{88, "474554202f20485454502f312e310d0a0d0a0000", ""},
		{255, "0201002c0a0000020000000000000000", ""},
	} {
		b, err := hex.DecodeString(c.hex)
		if err != nil {
			t.Fatal(err)
		}
		got := ""
		if p := OverIP(c.proto, b); p != nil {
			got = p.Name
		}
		if got != c.want {
			t.Errorf("%d, %s: got %q, want %q", c.proto, c.hex, got, c.want)
		}
		for i := range b { // whatever is cut
			OverIP(c.proto, b[:i])
		}
	}
}
