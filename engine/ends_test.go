package engine

import (
	"net/netip"
	"os"
	"strings"
	"testing"

	"weir/rules"
	"weir/workload"
)

// TestEnds: what from and to of a rule say of an end.
func TestEnds(t *testing.T) {
	web := &workload.Workload{Name: "web-1", Pod: "web-7f", Namespace: "shop", Image: "registry.example/web:1", Labels: map[string]string{"tier": "front"}}
	ends := map[string]party{
		"web":     {netip.MustParseAddr("10.1.2.3"), web},
		"private": {netip.MustParseAddr("::ffff:10.9.9.9"), nil},
		"shared":  {netip.MustParseAddr("100.64.1.1"), nil},
		"public":  {netip.MustParseAddr("198.51.100.7"), nil},
		"public6": {netip.MustParseAddr("2001:db8::1"), nil},
		"local6":  {netip.MustParseAddr("fd00::1"), nil},
	}
	for _, c := range []struct{ line, want string }{
		{"name=web*", "web"},
		{"name~^web-[0-9]$", "web"},
		{"name!~^web-[0-9]$", ""},
		{"name=web", ""},
		{"name=*1", "web"},
		{"pod=shop/web-*", "web"},
		{"pod=web-7f", "web"},
		{"namespace=shop", "web"},
		{"namespace!=shop", ""},
		{"namespace!=bank", "web"},
		{"image=*/web:*", "web"},
		{"label:tier=front, namespace=shop", "web"},
		{"label:tier=front,namespace=bank", ""},
		{"label:team=*", ""},
		{"external", "public public6"},
		{"!external", "local6 private shared web"},
		{"address=10.0.0.0/8", "private web"},
		{"address!=10.0.0.0/8", "local6 public public6 shared"},
		{"address=198.51.100.7", "public"},
	} {
		file := t.TempDir() + "/a.toml"
		if err := os.WriteFile(file, []byte("[[rules]]\nid = 'x'\nregex = 'abcd'\nfrom = ['"+c.line+"']\n"), 0o600); err != nil {
			t.Fatal(err)
		}
		set, problems := rules.Load([]string{file}, rules.Options{})
		if set == nil {
			t.Errorf("%s: %v", c.line, problems)
			continue
		}
		var got []string
		for _, name := range []string{"local6", "private", "public", "public6", "shared", "web"} {
			e := ends[name]
			if e.isOne(set.Rules[0].From) {
				got = append(got, name)
			}
		}
		if got := strings.Join(got, " "); got != c.want {
			t.Errorf("%s: got %q, want %q", c.line, got, c.want)
		}
	}
}
