package policy

import (
	"fmt"
	"strings"
	"testing"
)

func setOf(t testing.TB, text string) *Set {
	t.Helper()
	set, problems := Parse("x.toml", []byte(text), Options{})
	if problems.Failed() {
		t.Fatal(problems.Err())
	}
	return set
}

const diffGroups = `
[[groups]]
name = "a"
match = ["name=a"]
[[groups]]
name = "b"
match = ["name=b"]
`

func TestDiff(t *testing.T) {
	rule := func(id, rest string) string {
		return "[[policy]]\nid = \"" + id + "\"\nfrom = [\"a\"]\nto = [\"b\"]\n" + rest + "\n"
	}
	http := func(where string) string {
		return "ports = [\"tcp/80\"]\nprotocol = \"http\"\naction = \"allow\"\nwhere = { " + where + " }"
	}
	for _, c := range []struct {
		name, old, new  string
		allowed, denied string
	}{
		{"same", rule("x", http(`"http.path" = ["/a"]`)), rule("y", http(`"http.path" = ["/a"]`)), "", ""},
		{"a path more", rule("x", http(`"http.path" = ["/a"]`)), rule("x", http(`"http.path" = ["/a", "/b/{id}"]`)), "a -> b tcp/80 http /b/{id}", ""},
		{"already allowed by a wider one", rule("x", http(`"http.path" = ["/b/*"]`)), rule("x", http(`"http.path" = ["/b/{id}"]`)), "", "a -> b tcp/80 http /b/* (some of it)"},
		{"another verb", rule("x", http(`"http.method" = ["GET"], "http.path" = ["/a"]`)), rule("x", http(`"http.method" = ["GET", "PUT"], "http.path" = ["/a"]`)), "a -> b tcp/80 http PUT /a", ""},
		{"in another order", rule("x", http(`"http.path" = ["/a"]`)) + rule("y", "action = \"deny\""), rule("y", "action = \"deny\"") + rule("x", http(`"http.path" = ["/a"]`)), "", "a -> b tcp/80 http /a"},
		{"a protocol", rule("x", "action = \"allow\""), rule("x", "protocol = \"http\"\naction = \"allow\""), "", "a -> b (some of it)"},
		{"a form of it", rule("x", "protocol = \"http\"\naction = \"allow\""), rule("x", "protocol = \"grpc\"\naction = \"allow\""), "", "a -> b http (some of it)"},
		{"a port", rule("x", "ports = [\"tcp/80-90\"]\naction = \"allow\""), rule("x", "ports = [\"tcp/80-91\"]\naction = \"allow\""), "a -> b tcp/80-91 (some of it)", ""},
		{"a deny in part", rule("x", "action = \"allow\""), rule("d", "ports = [\"tcp/22\"]\naction = \"deny\"") + rule("x", "action = \"allow\""), "", "a -> b (some of it)"},
	} {
		d := Diff(setOf(t, diffGroups+c.old), setOf(t, diffGroups+c.new))
		lines := func(list []Change) string {
			var out []string
			for i := range list {
				out = append(out, list[i].String())
			}
			return strings.Join(out, "\n")
		}
		if a, b := lines(d.Allowed), lines(d.Denied); a != c.allowed || b != c.denied {
			t.Errorf("%s: got\n+ %s\n- %s\nwant\n+ %s\n- %s", c.name, a, b, c.allowed, c.denied)
		}
	}
	d := Diff(setOf(t, "[modes]\ndefault = \"discover\"\n"+diffGroups), setOf(t, "[modes]\na = \"protect\"\n[failure]\ndefault = \"closed\"\n"+strings.ReplaceAll(diffGroups, "name=b", "name=c*")))
	if got := fmt.Sprint(d.Groups, d.Modes, d.Failure); got != "[~ b: name=b -> name=c*] [a: discover -> protect] [default: open -> closed]" {
		t.Errorf("got %s", got)
	}
}

// Diffing large policies takes no time that grows with their square.
func TestDiffLarge(t *testing.T) {
	s := &Set{}
	for i := range 10_000 {
		s.Rules = append(s.Rules, Rule{ID: fmt.Sprint(i), From: []string{"a"}, To: []string{fmt.Sprint("g", i%500)}, Ports: []Port{{6, uint16(i), uint16(i)}}, Protocol: "http", Action: Allow,
			Where: []Condition{{"http.path", []string{"/a", "/b/{id}", "/c"}}}})
	}
	if d := Diff(s, s); !d.Empty() {
		t.Errorf("got %d, %d", len(d.Allowed), len(d.Denied))
	}
}

func TestNearest(t *testing.T) {
	set := setOf(t, diffGroups+`
[[groups]]
name = "c"
match = ["name=c"]
[[policy]]
id = "web"
from = ["a"]
to = ["b"]
ports = ["tcp/80"]
protocol = "http"
where = { "http.method" = ["GET"], "http.path" = ["/ok", "/orders/{id}"] }
action = "allow"
[[policy]]
id = "sql"
from = ["a"]
to = ["b"]
ports = ["tcp/5432"]
protocol = "postgresql"
where = { "postgresql.verb" = ["SELECT"], "postgresql.table" = ["orders"] }
action = "allow"
[[policy]]
id = "begin"
from = ["a"]
to = ["b"]
ports = ["tcp/5432"]
protocol = "postgresql"
where = { "postgresql.verb" = ["BEGIN"] }
action = "allow"
`)
	for _, c := range []struct{ from, to, how, words, rule, differs, text string }{
		{"a", "b", "tcp/80 http", "http.method=DELETE http.path=/ok", "web", "http.method", "http.method DELETE is new: rule web allows GET"},
		{"a", "b", "tcp/80 http", "http.method=GET http.path=/admin/17", "web", "http.path", "http.path /admin/{id} is new: rule web allows /ok, /orders/{id}"},
		{"a", "b", "tcp/80 redis", "redis.command=FLUSHALL", "web", "protocol", "redis is new: rule web allows http"},
		{"a", "b", "tcp/80 -", "", "web", "protocol", "what nobody understands is new: rule web allows http"},
		{"a", "b", "tcp/81 http", "http.method=GET http.path=/ok", "web", "port", "tcp/81 is new: rule web allows tcp/80"},
		{"c", "b", "tcp/80 http", "http.method=GET http.path=/ok", "web", "peer", "c is new to b: rule web allows a"},
		{"a", "c", "tcp/80 http", "http.method=GET http.path=/ok", "web", "peer", "c is new to a: rule web allows b"},
		{"", "b", "tcp/80 http", "http.method=GET http.path=/ok", "web", "peer", "a workload in no group is new to b: rule web allows a"},
		{"c", "c", "tcp/80 http", "http.method=GET http.path=/ok", "", "peer", "no rule allows anything from or to c"},
		{"a", "b", "tcp/5432 postgresql", "postgresql.verb=DROP postgresql.table=orders", "sql", "postgresql.verb", "postgresql.verb DROP is new: rule sql allows SELECT"},
		{"a", "b", "tcp/5432 postgresql", "postgresql.verb=SELECT postgresql.table=secrets", "sql", "postgresql.table", "postgresql.table secrets is new: rule sql allows orders"},
		{"a", "b", "tcp/5432 postgresql", "postgresql.verb=ROLLBACK", "begin", "postgresql.verb", "postgresql.verb ROLLBACK is new: rule begin allows BEGIN"},
		{"a", "b", "tcp/80 http", "http.method=G*T http.path=/ok", "web", "http.method", "http.method G?T is new: rule web allows GET"},
	} {
		where, app, _ := strings.Cut(c.how, " ")
		ports, _, _ := ParsePort(where)
		o := Observation{Proto: ports[0].Proto, Port: ports[0].Low, App: AppUnknown, Words: testWords(t, c.words)}
		for i, p := range testTerms.protocols {
			if p == app {
				o.App = i
			}
		}
		w := testTerms.Words(strings.Fields(c.from), strings.Fields(c.to), &o)
		n := set.Nearest(&w)
		rule := ""
		if n.Rule >= 0 {
			rule = set.Rules[n.Rule].ID
		}
		if rule != c.rule || n.Differs != c.differs || n.Text != c.text {
			t.Errorf("%v: got %s, %s, %q", c, rule, n.Differs, n.Text)
		}
	}
}

// What coversPattern says of patterns is what values say.
func TestCoversPattern(t *testing.T) {
	patterns := []string{"*", "/a", "/a/{x}", "/{x}/b", "/a/*", "*b", "{x}", "/a/{x}/c", "/*/c", "a*b*", "/a{x}", "GET", "G*"}
	values := []string{"/a", "/a/b", "/a/b/c", "/x/b", "GET", "a", "b", "ab", "/ab", "/a/x/c", "/", "", "/a/", "aXb/Y"}
	for _, p := range patterns {
		for _, q := range patterns {
			x, y := newPattern(p), newPattern(q)
			both, only := false, false
			for _, v := range values {
				if y.fits([]byte(v)) {
					if x.fits([]byte(v)) {
						both = true
					} else {
						only = true
					}
				}
			}
			got := coversPattern(p, q)
			if both && got == none || only && got == all {
				t.Errorf("%s of %s: got %d, values say: some %v, not all %v", p, q, got, both, only)
			}
		}
	}
}

func TestAgainst(t *testing.T) {
	s := newScene(t)
	s.say(3, cart0, store, "tcp/80 http", "http.method=GET http.path=/orders/17 http.host=shop")
	s.say(3, cart0, store, "tcp/5432 postgresql", "postgresql.verb=SELECT postgresql.table=orders")
	_, set := s.proposal("")
	s.say(2, cart0, store, "tcp/80 http", "http.method=GET http.path=/new http.host=shop")
	s.say(2, cart0, store, "tcp/22", "")
	s.hand()
	var denied []string
	find := func(list []string) func(string) (int, bool) {
		return func(name string) (int, bool) {
			for i := range list {
				if list[i] == name {
					return i, true
				}
			}
			return 0, false
		}
	}
	s.l.Against(compileTest(t, set), 0, find(testTerms.fields), find(testTerms.protocols), func(c *Case) {
		if c.Action == Deny {
			denied = append(denied, fmt.Sprint(c.Words.String(), " ", c.Count))
		}
	})
	if got := strings.Join(denied, "\n"); got != "shop-cart -> shop-db tcp/22 2\nshop-cart -> shop-db tcp/80 http GET /new http.host=shop 2" {
		t.Errorf("got\n%s", got)
	}
}

func TestGraph(t *testing.T) {
	s := newScene(t)
	s.say(3, cart0, store, "tcp/80 http", "http.method=GET http.path=/x")
	s.say(3, cart0, &Subject{Addr: addr("192.0.2.7"), Names: []string{"api.example.org"}}, "tcp/443 http", "")
	s.hand()
	g := s.l.Graph(0)
	if got, want := g.DOT(), `digraph weir {
	rankdir=LR;
	node [shape=box];
	"api.example.org" [style=dashed];
	"shop-cart";
	"shop-db";
	"shop-cart" -> "api.example.org" [label="http tcp/443"];
	"shop-cart" -> "shop-db" [label="http tcp/80"];
}
`; got != want {
		t.Errorf("got %s", got)
	}
	if got, want := g.Mermaid(), `flowchart LR
    n0(["api.example.org"])
    n1["shop-cart"]
    n2["shop-db"]
    n1 -->|"http tcp/443"| n0
    n1 -->|"http tcp/80"| n2
`; got != want {
		t.Errorf("got %s", got)
	}
}
