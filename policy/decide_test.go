package policy

import (
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"
)

// compile compiles a policy file in which names of fields and protocols have their place in known as numbers.
func compile(t testing.TB, text string) *Policy {
	t.Helper()
	s, problems := Parse("p.toml", []byte(text), known)
	if problems.Failed() {
		t.Fatal(problems.Err())
	}
	p, problems := Compile(s, known.Now, numberIn(known.Fields), numberIn(known.Protocols))
	if problems.Failed() {
		t.Fatal(problems.Err())
	}
	return p
}

func numberIn(list []string) func(string) (int, bool) {
	return func(name string) (int, bool) { i := slices.Index(list, name); return i, i >= 0 }
}

func number(t testing.TB, list []string, name string) int {
	t.Helper()
	i := slices.Index(list, name)
	if i < 0 {
		t.Fatalf("there is no %s", name)
	}
	return i
}

// message makes Fields of "field=value" words, complete unless one is "...".
func message(t testing.TB, words ...string) *Fields {
	f := &Fields{Complete: true}
	for i, w := range words {
		name, value, ok := strings.Cut(w, "=")
		if !ok {
			f.Complete = false
			continue
		}
		f.Add(number(t, known.Fields, name), uint32(i), []byte(value), false, false)
	}
	return f
}

func workloadOf(namespace, name string) *Subject {
	return &Subject{Workload: true, Name: name, Namespace: namespace, Addr: netip.MustParseAddr("10.0.0.1")}
}

func TestDecide(t *testing.T) {
	p := compile(t, example)
	web, shop := p.Identify(workloadOf("", "web-1")), p.Identify(workloadOf("shop", "cart"))
	http, redis := number(t, known.Protocols, "http"), number(t, known.Protocols, "redis")
	for _, c := range []struct {
		name string
		c    Context
		want Verdict
	}{
		{"nothing said", Context{From: shop, To: web, Proto: 6, Port: 80, App: AppNone}, Verdict{Action: Undecided, Rule: 0, Why: whyProtocol}},
		{"no message", Context{From: shop, To: web, Proto: 6, Port: 80, App: http}, Verdict{Action: Undecided, Rule: 0, Why: whyMessage}},
		{"right", Context{From: shop, To: web, Proto: 6, Port: 80, App: http, Fields: message(t, "http.method=GET", "http.path=/orders/7")}, Verdict{Action: Allow, Rule: 0, Why: whyRule}},
		{"wrong path", Context{From: shop, To: web, Proto: 6, Port: 80, App: http, Fields: message(t, "http.method=GET", "http.path=/orders/7/x")}, Verdict{Action: Deny, Rule: -1, Why: whyNone}},
		{"other protocol", Context{From: shop, To: web, Proto: 6, Port: 80, App: redis}, Verdict{Action: Deny, Rule: -1, Why: whyNone, Settled: true}},
		{"other port", Context{From: shop, To: web, Proto: 6, Port: 81, App: AppNone}, Verdict{Action: Deny, Rule: -1, Why: whyNone, Settled: true, Final: true}},
		{"ping", Context{From: shop, To: web, Proto: 1, Port: 8 << 8, App: AppNone}, Verdict{Action: Deny, Rule: 1, Why: whyRule, Settled: true, Final: true}},
		{"nobody", Context{From: Nobody, To: web, Proto: 6, Port: 80, App: AppUnknown}, Verdict{Action: Deny, Rule: -1, Why: whyNone, Settled: true, Final: true}},
	} {
		c.want.Mode = Protect
		if got := p.Decide(&c.c); got != c.want {
			t.Errorf("%s: got %+v, want %+v", c.name, got, c.want)
		}
	}
}

func TestIdentify(t *testing.T) {
	p := compile(t, example)
	for _, c := range []struct {
		name string
		s    Subject
		want string
	}{
		{"nothing", Subject{}, "unknown"},
		{"private", Subject{Addr: netip.MustParseAddr("10.1.2.3")}, "unknown"},
		{"private6", Subject{Addr: netip.MustParseAddr("fd00::1")}, "unknown"},
		{"public", Subject{Addr: netip.MustParseAddr("8.8.8.8")}, "external"},
		{"public6", Subject{Addr: netip.MustParseAddr("2001:4860::8")}, "external"},
		{"mapped", Subject{Addr: netip.MustParseAddr("::ffff:8.8.8.8")}, "external"},
		{"named", Subject{Addr: netip.MustParseAddr("8.8.8.8"), Names: []string{"API.Shop.Example."}}, "external shop"},
		{"host", Subject{Addr: netip.MustParseAddr("8.8.8.8"), Host: true}, "host"},
		{"workload of none", Subject{Workload: true, Name: "x"}, ""},
		{"web", Subject{Workload: true, Name: "web-1", Namespace: "shop"}, "web"},
		{"image", Subject{Workload: true, Name: "x", Image: "shop/ab"}, "shop"},
		{"shop", Subject{Workload: true, Name: "cart", Namespace: "shop", Labels: map[string]string{"tier": "front"}}, "web shop"},
	} {
		id := p.Identify(&c.s)
		if got := strings.Join(p.Groups(id), " "); got != c.want {
			t.Errorf("%s: got %q, want %q", c.name, got, c.want)
		}
		if id != p.Identify(&c.s) || (id == Nobody) != (c.want == "unknown") {
			t.Errorf("%s: got identity %d", c.name, id)
		}
	}
	if p.Failure(p.Identify(workloadOf("", "web"))) != Closed || p.Failure(Nobody) != Open {
		t.Error("failure is wrong")
	}
	if p.Mode(Nobody, Nobody) != Discover {
		t.Error("mode of nobody is wrong")
	}
}

func TestExpiry(t *testing.T) {
	s, _ := Parse("p.toml", []byte("[[policy]]\nid='a'\naction='allow'\nexpires='2026-02-28'\n[[policy]]\nid='b'\naction='deny'\n"), Options{})
	for day, want := range map[int]int32{28: 0, 29: 1} {
		p, _ := Compile(s, time.Date(2026, 2, day, 23, 59, 0, 0, time.UTC), nil, numberIn(nil))
		if v := p.Decide(&Context{Proto: 6, App: AppNone}); v.Rule != want {
			t.Errorf("on day %d: got %+v, want rule %d", day, v, want)
		}
	}
}
