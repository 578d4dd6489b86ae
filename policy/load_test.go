package policy

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

var known = Options{
	Protocols: []string{"http", "http2", "grpc", "postgresql", "redis", "dns", "tls"},
	Fields:    []string{"http.method", "http.path", "http.host", "postgresql.verb", "postgresql.table", "redis.command", "dns.query", "tls.sni", "grpc.service"},
	Now:       time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC),
}

const example = `
[[groups]]
name = "web"
match = ["name=web*", "label:tier=front", "namespace=shop"]
comment = "what customers see"

[[groups]]
name = "shop"
match = ["namespace=shop,name!=web*", "dns=*.shop.example", "image~'^shop/(a|b){1,2}$'"]

[[policy]]
id = "shop-to-web"
from = ["shop"]
to = ["web"]
ports = ["tcp/80"]
protocol = "http"
where = { "http.method" = ["GET"], "http.path" = ["/ok", "/orders/{id}"] }
action = "allow"
undecided = { bytes = 4096, seconds = 5, action = "deny" }
comment = "orders"
owner = "ann"
expires = 2026-12-31

[[policy]]
id = "pings"
ports = ["icmp", "icmpv6/128", "udp/6000-6100", "ip/99"]
protocol = "any"
action = "deny"

[modes]
default = "discover"
web = "protect"

[failure]
default = "open"
web = "closed"
`

func TestLoad(t *testing.T) {
	dir := t.TempDir()
	head, tail, _ := strings.Cut(example, "[modes]")
	for name, text := range map[string]string{"10-a.toml": head, "20-b.toml": "[modes]" + tail, ".c.toml": "x", "d.txt": "x"} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	s, problems := Load([]string{dir}, known)
	if len(problems) > 0 {
		t.Fatal(problems)
	}
	if len(s.Groups) != 2 || len(s.Groups[1].Match) != 3 || s.Groups[0].Comment != "what customers see" || len(s.Files) != 2 {
		t.Errorf("got groups %+v of %v", s.Groups, s.Files)
	}
	if s.Modes["web"] != Protect || s.Modes[Default] != Discover || s.Failure["web"] != Closed {
		t.Errorf("got modes %v, failure %v", s.Modes, s.Failure)
	}
	r := s.Rules[0]
	if r.ID != "shop-to-web" || r.Action != Allow || r.Owner != "ann" || r.Comment != "orders" || r.Expires != "2026-12-31" || r.Protocol != "http" ||
		r.Undecided != DefaultDeadline || len(r.Where) != 2 || r.Where[1].Field != "http.path" || r.Where[1].Patterns[1] != "/orders/{id}" {
		t.Errorf("got %+v", r)
	}
	if got := strings.Join(PortNames(s.Rules[1].Ports), " "); got != "icmp icmpv6/128 udp/6000-6100 ip/99" || s.Rules[1].Protocol != "" {
		t.Errorf("got ports %s of %q", got, s.Rules[1].Protocol)
	}
	if s, problems := Load(nil, known); s == nil || len(problems) > 0 {
		t.Error("no files are no empty set")
	}
}

func TestLoadProblems(t *testing.T) {
	const rule = "[[policy]]\nid = 'a'\naction = 'allow'\n"
	for _, c := range []struct{ name, text, want string }{
		{"key", "[[group]]\nname = 'x'\n", `p.toml:1:3: unknown key "group" (did you mean "groups"?)`},
		{"key of a rule", rule + "port = ['tcp/80']\n", `p.toml:4:1: unknown key "port" in policy (did you mean "ports"?)`},
		{"no id", "[[policy]]\naction = 'allow'\n", `p.toml:1:3: there is no id`},
		{"no action", "[[policy]]\nid = 'a'\n", `p.toml:1:3: there is no action ("allow" or "deny")`},
		{"action", "[[policy]]\nid = 'a'\naction = 'alow'\n", `p.toml:3:10: unknown action "alow" (did you mean "allow"?)`},
		{"undecided is no action", "[[policy]]\nid = 'a'\naction = 'undecided'\n", `p.toml:3:10: unknown action "undecided" (known are allow, deny)`},
		{"group", rule + "from = ['web']\nto = ['shpo', 'external']\n[[groups]]\nname = 'shop'\nmatch = ['name=x']\n",
			"p.toml:4:9: there is no group \"web\"\np.toml:5:7: there is no group \"shpo\" (did you mean \"shop\"?)"},
		{"reserved", "[[groups]]\nname = 'host'\nmatch = ['name=x']\n[[groups]]\nname = 'default'\nmatch = ['name=x']\n",
			"p.toml:2:8: \"host\" has a meaning of its own (name the group otherwise)\np.toml:5:8: \"default\" has a meaning of its own (name the group otherwise)"},
		{"default", rule + "to = ['default']\n", `p.toml:4:7: "default" is no group (leave the key out: then it is anybody)`},
		{"twice", rule + rule + "[[groups]]\nname = 'x'\nmatch = ['name=x']\n[[groups]]\nname = 'x'\nmatch = ['name=x']\n",
			"p.toml:5:6: policy \"a\" is already at p.toml:1:3 (one id, one rule)\np.toml:11:8: group \"x\" is already at p.toml:7:3 (one name, one group)"},
		{"match", "[[groups]]\nname = 'x'\nmatch = ['nmae=x', 'name', 'label=x', 'address=10.0.0.0/33', 'name~(', \"name='x\", 'address~x', 'external=1']\n",
			`p.toml:3:10: unknown condition "nmae" (did you mean "name"?)
p.toml:3:20: name without a value (name=PATTERN)
p.toml:3:28: a label is named behind a colon (label:NAME=PATTERN)
p.toml:3:39: this is no address: "10.0.0.0/33" (10.0.0.0/8, or one address)
p.toml:3:62: this is no regex: error parsing regexp: missing closing ): ` + "`(`" + ` (RE2 syntax)
p.toml:3:72: a value in quotes has no end, or something behind it ('VALUE')
p.toml:3:83: an address has no regex (address=10.0.0.0/8, or one address)
p.toml:3:96: external stands alone ("external" or "!external")`},
		{"ports", rule + "ports = ['80', 'tpc/80', 'tcp/90000', 'tcp/9-8', 'icmp/256', 'gre/1', 'ip/0']\n",
			`p.toml:4:10: unknown IP protocol in "80" ("tcp/80", "udp/6000-6100", "icmp")
p.toml:4:16: unknown IP protocol in "tpc/80" (did you mean "tcp"?)
p.toml:4:26: this is no port: "tcp/90000" ("tcp/80", "udp/6000-6100", "icmp")
p.toml:4:39: this is no port: "tcp/9-8" ("tcp/80", "udp/6000-6100", "icmp")
p.toml:4:50: this is no type of ICMP: "icmp/256" ("icmp/8", with a code "icmp/3/4")
p.toml:4:62: gre has no ports ("gre")
p.toml:4:71: this is no IP protocol: "ip/0" (ip/1 to ip/255)`},
		{"protocol", rule + "protocol = 'htpp'\n", `p.toml:4:12: unknown protocol "htpp" (did you mean "http"?)`},
		{"where", rule + "where = { 'http.pth' = ['/'], 'http.host' = [], 'http.path' = ['/{id', '/}'] }\n",
			`p.toml:4:24: unknown field "http.pth" (did you mean "http.path"?)
p.toml:4:45: a field without patterns: no value would match (["*"] is any value)
p.toml:4:64: the pattern has a { that is not closed
p.toml:4:72: the pattern has a } without {`},
		{"deadline", rule + "undecided = { bytes = -1, seconds = 4000, action = 'drop' }\n",
			`p.toml:4:23: bytes is -1, out of range (0 to 1048576)
p.toml:4:37: seconds is 4000, out of range (0 to 3600)
p.toml:4:52: unknown action "drop" (known are allow, deny)`},
		{"expired", rule + "expires = 2026-02-28\n", `p.toml:4:11: warning: policy "a" expired on 2026-02-28: it no longer applies (remove it, or give it a later date)`},
		{"last day", rule + "expires = '2026-03-01'\n", ""},
		{"no date", rule + "expires = 'soon'\n", `p.toml:4:11: this is no date: "soon" (YYYY-MM-DD)`},
		{"modes", "[modes]\ndefault = 'protct'\nwbe = 'monitor'\n[failure]\nhost = 'ajar'\n",
			"p.toml:2:11: unknown word \"protct\" (did you mean \"protect\"?)\np.toml:5:8: unknown word \"ajar\" (known are open, closed)\np.toml:3:1: there is no group \"wbe\""},
		{"type", rule + "from = 'web'\n", `p.toml:4:8: policy.from must be an array, not a string`},
		{"empty group", "[[groups]]\nname = 'x'\n", `p.toml:1:3: warning: group "x" has no members (match = ["name=..."])`},
	} {
		t.Run(c.name, func(t *testing.T) {
			s, problems := Parse("p.toml", []byte(c.text), known)
			var lines []string
			for _, p := range problems {
				lines = append(lines, p.String())
			}
			if got := strings.Join(lines, "\n"); got != c.want {
				t.Errorf("got\n%s\nwant\n%s", got, c.want)
			}
			if (s == nil) != problems.Failed() {
				t.Error("a set is there iff there is no error")
			}
		})
	}
}
