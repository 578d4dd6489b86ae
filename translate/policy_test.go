package translate

import (
	"bytes"
	"flag"
	"os"
	"strings"
	"testing"
	"time"

	"go.yaml.in/yaml/v3"

	"weir/policy"
)

var update = flag.Bool("update", false, "write what is there now as what is expected")

const exported = `
[[groups]]
name = "web"
match = ["namespace=shop,label:app=web,label:tier!=test", "namespace=stage,label:app=web,label:canary=*"]
[[groups]]
name = "clients"
match = ["label:role=client", "namespace=ops"]
[[groups]]
name = "office"
match = ["address=192.0.2.0/24", "address=2001:db8::/32"]
[[groups]]
name = "partner"
match = ["dns=api.partner.example"]
[[groups]]
name = "named"
match = ["name=web*"]

[[policy]]
id = "Clients to web"
from = ["clients"]
to = ["web"]
ports = ["tcp/80", "tcp/8000-8080"]
action = "allow"
comment = "who buys"
[[policy]]
id = "words"
from = ["clients"]
to = ["web"]
ports = ["tcp/443"]
protocol = "http"
where = { "http.method" = ["GET", "HEAD"], "http.path" = ["/ok", "/orders/{id}", "/a.b/*"] }
action = "allow"
[[policy]]
id = "office"
from = ["office", "external"]
to = ["web"]
action = "allow"
[[policy]]
id = "out"
from = ["web"]
to = ["external"]
ports = ["tcp/443", "udp", "sctp/9"]
action = "allow"
[[policy]]
id = "partner"
from = ["web"]
to = ["partner"]
ports = ["tcp/443"]
action = "allow"
[[policy]]
id = "queries"
from = ["web"]
to = ["office"]
ports = ["udp/53"]
where = { "dns.query" = ["db.example"] }
action = "allow"
[[policy]]
id = "pings"
to = ["web"]
ports = ["icmp/8", "icmpv6/128"]
action = "allow"
[[policy]]
id = "statements"
to = ["web"]
protocol = "postgresql"
action = "allow"
[[policy]]
id = "by name"
to = ["named"]
action = "allow"
[[policy]]
id = "anywhere"
to = ["clients"]
action = "allow"
[[policy]]
id = "rest"
action = "deny"
[[policy]]
id = "behind"
to = ["web"]
ports = ["tcp/81"]
action = "allow"
`

var day = time.Date(2026, 1, 2, 0, 0, 0, 0, time.UTC)

func parsePolicy(t *testing.T, text string) *policy.Set {
	t.Helper()
	set, problems := policy.Parse("p.toml", []byte(text), policy.Options{})
	if len(problems) > 0 {
		t.Fatal(problems)
	}
	return set
}

// TestWritePolicy compares with what is expected in testdata; -update writes it.
func TestWritePolicy(t *testing.T) {
	for _, format := range PolicySources {
		got, _, err := WritePolicy(parsePolicy(t, exported), format, day)
		if err != nil {
			t.Fatal(err)
		}
		file := "testdata/policy-" + format + ".yaml"
		if *update {
			if err := os.WriteFile(file, got, 0o644); err != nil {
				t.Fatal(err)
			}
		}
		want, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		if !bytes.Equal(got, want) {
			t.Errorf("%s: got\n%s", file, got)
		}
	}
}

// TestWritePolicyAllowsNoMore: a denial is never lost without what it was to keep out, and words are not either.
func TestWritePolicyAllowsNoMore(t *testing.T) {
	const groups = "[[groups]]\nname='a'\nmatch=['namespace=a']\n[[groups]]\nname='net'\nmatch=['address=10.0.0.0/8']\n"
	const deny, allow = "[[policy]]\nid='d'\nto=['a']\nports=['tcp/1-9']\naction='deny'\n", "[[policy]]\nid='y'\nto=['a']\nports=['tcp/5']\naction='allow'\n"
	for _, c := range []struct{ format, text, want string }{
		{"networkpolicy", deny + allow, ""},
		{"networkpolicy", allow + deny, "y"},
		{"networkpolicy", strings.Replace(deny, "1-9", "6-9", 1) + allow, "y"},
		{"networkpolicy", strings.Replace(allow, "ports=", "protocol='http'\nports=", 1), ""},
		{"networkpolicy", strings.Replace(deny, "ports=", "expires='2026-01-01'\nports=", 1) + allow, "y"},
		{"networkpolicy", strings.Replace(allow, "ports=", "expires='2026-01-01'\nports=", 1), ""},
		{"neuvector", deny + allow, "d y"},
		{"neuvector", allow + deny, "y d"},
		{"neuvector", strings.Replace(deny, "ports=", "protocol='http'\nports=", 1) + allow, ""}, // HTTP/2 would pass it
		{"neuvector", strings.Replace(allow, "ports=", "where={'http.method'=['GET']}\nports=", 1), ""},
		{"cilium", deny + allow, "d y"},
		{"cilium", strings.Replace(deny, "to=", "from=['net']\nto=", 1) + allow, ""}, // a pod with such an address would pass it
		{"cilium", allow + deny, "y"},                                                // a denial would go before it
		{"cilium", strings.Replace(deny, "ports=", "protocol='http'\nports=", 1), ""},
		{"cilium", strings.Replace(deny, "ports=", "protocol='http'\nports=", 1) + allow, ""},
	} {
		text, _, err := WritePolicy(parsePolicy(t, groups+c.text), c.format, day)
		if err != nil {
			t.Fatal(err)
		}
		var ids []string
		for d := yaml.NewDecoder(bytes.NewReader(text)); ; {
			var o object
			if d.Decode(&o) != nil {
				break
			}
			ids = append(ids, o.Meta.Annotations["weir/policy"])
		}
		if got := strings.Join(ids, " "); got != c.want {
			t.Errorf("%s of\n%s: got %q, want %q", c.format, c.text, got, c.want)
		}
	}
}

// TestWritePolicyNames: no object displaces another.
func TestWritePolicyNames(t *testing.T) {
	const rule = "[[policy]]\nid='%'\nto=['a']\nports=['tcp/5']\naction='allow'\n"
	text := "[[groups]]\nname='a'\nmatch=['namespace=a']\n"
	for _, id := range []string{"a b", "a-b", "A_b", "a b 1", "***", strings.Repeat("x", 100), strings.Repeat("x", 101)} {
		text += strings.Replace(rule, "%", id, 1)
	}
	for _, format := range PolicySources {
		out, left, err := WritePolicy(parsePolicy(t, text), format, day)
		if err != nil || len(left) > 0 {
			t.Fatal(left, err)
		}
		seen := map[string]bool{}
		for d := yaml.NewDecoder(bytes.NewReader(out)); ; {
			var o object
			if d.Decode(&o) != nil {
				break
			}
			if n := o.Meta.Name; seen[n] || len(n) > 63 || noName.MatchString(strings.ReplaceAll(n, "-", "")) {
				t.Errorf("%s: the name %q", format, n)
			}
			seen[o.Meta.Name] = true
		}
		if len(seen) != 7 {
			t.Errorf("%s: got %v", format, seen)
		}
	}
}
