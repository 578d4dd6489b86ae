package policy

import (
	"fmt"
	"math/rand/v2"
	"net/netip"
	"strings"
	"testing"
	"time"
)

// scene is a learner with what taps noted.
type scene struct {
	t    testing.TB
	l    *Learner
	seen *Seen
	at   int64
}

func newScene(t testing.TB) *scene {
	return &scene{t: t, l: NewLearner(testTerms), seen: NewSeen(testTerms), at: 1_700_000_000_000_000_000}
}

// pod is a subject of a namespace.
func pod(namespace, name, app string) *Subject {
	s := &Subject{Name: "c", Pod: name, Namespace: namespace, Workload: true}
	if app != "" {
		s.Labels = map[string]string{"app": app}
	}
	return s
}

// say notes something n times: who to whom, "tcp/80 http" or "tcp/80", and words.
func (s *scene) say(n int, from, to *Subject, how, words string) *scene {
	s.t.Helper()
	where, app, _ := strings.Cut(how, " ")
	ports, what, _ := ParsePort(where)
	if what != "" {
		s.t.Fatal(what)
	}
	o := Observation{From: s.l.Party(from, nil), To: s.l.Party(to, nil), Proto: ports[0].Proto, Port: ports[0].Low, App: AppNone, Words: testWords(s.t, words)}
	if app != "" {
		o.App = AppUnknown
		for i, p := range testTerms.protocols {
			if p == app {
				o.App = i
			}
		}
	}
	for range n {
		s.at++
		o.Time = s.at
		m, ok := s.seen.Note(&o)
		if !ok {
			s.hand()
			m, _ = s.seen.Note(&o)
		}
		if strings.Contains(words, "http.path=/refused") {
			s.seen.Refuse(m)
		}
	}
	return s
}

// hand gives the learner what was noted.
func (s *scene) hand() {
	s.l.Merge(s.seen)
	s.seen.Reset()
}

// proposal is what is proposed, beside a present policy.
func (s *scene) proposal(present string) (*Proposal, *Set) {
	s.t.Helper()
	s.hand()
	set, problems := Parse("present.toml", []byte(present), Options{})
	if problems.Failed() {
		s.t.Fatal(problems.Err())
	}
	p := s.l.Propose(set, 0)
	text := p.AppendTOML([]byte(present))
	all, problems := Parse("all.toml", text, Options{})
	if len(problems) > 0 {
		s.t.Fatalf("%v\n%s", problems, text)
	}
	return p, all
}

var (
	cart0 = pod("shop", "cart-5d8f7c6b9-x2x9p", "")
	cart1 = pod("shop", "cart-5d8f7c6b9-b7b7b", "")
	store = pod("shop", "db-0", "db")
)

func TestPropose(t *testing.T) {
	s := newScene(t)
	for i := range 30 {
		s.say(1, cart0, store, "tcp/80 http", fmt.Sprintf("http.method=GET http.path=/orders/%d http.host=shop", i))
	}
	s.say(3, cart1, store, "tcp/80 http", "http.method=GET http.path=/ok http.host=shop")
	s.say(1, cart1, store, "tcp/80 http", "http.method=POST http.path=/orders http.host=shop")
	s.say(4, cart1, store, "tcp/80 http", "http.method=GET http.path=/refused http.host=shop")
	s.say(9, cart1, store, "tcp/80 http", "")
	s.say(5, cart1, store, "tcp/5432 postgresql", "postgresql.verb=SELECT postgresql.table=orders postgresql.table=users")
	s.say(5, cart1, store, "tcp/5432 postgresql", "postgresql.verb=INSERT postgresql.table=orders")
	s.say(5, cart1, store, "tcp/5432 postgresql", "postgresql.verb=BEGIN")
	s.say(5, cart1, store, "tcp/5432 postgresql", "postgresql.verb=COMMIT")
	s.say(2, cart1, store, "tcp/5432 postgresql", "postgresql.password=hunter2")
	s.say(2, cart1, store, "tcp/7 unknown", "")
	s.say(2, cart1, store, "tcp/9", "")
	p, _ := s.proposal("")
	got := string(p.AppendTOML(nil))
	for _, want := range []string{
		"[[groups]]\nname = \"shop-cart\"\nmatch = [\"namespace=shop,pod=cart-*\"]    # seen: shop/cart-5d8f7c6b9-b7b7b, shop/cart-5d8f7c6b9-x2x9p\n",
		"name = \"shop-db\"\nmatch = [\"namespace=shop,label:app=db\"]",
		`where = { "http.method" = ["GET"], "http.path" = ["/ok", "/orders/{id}", "/refused"], "http.host" = ["shop"] }`,
		`where = { "http.method" = ["POST"], "http.path" = ["/orders"], "http.host" = ["shop"] }`,
		"# always refused so far: /refused\n",
		"# seen once: /orders\n",
		`where = { "postgresql.verb" = ["SELECT"], "postgresql.table" = ["orders", "users"] }`,
		`where = { "postgresql.verb" = ["INSERT"], "postgresql.table" = ["orders"] }`,
		`where = { "postgresql.verb" = ["BEGIN", "COMMIT"], "postgresql.table" = [""] }`,
		`where = { "postgresql.password" = ["*"] }`,
		"# nobody understands what was said",
		"# connections on which nothing was ever said",
		`id = "shop-cart-to-shop-db-http"`,
		`id = "shop-cart-to-shop-db-http-2"`,
	} {
		if !strings.Contains(got, want) {
			t.Errorf("the proposal lacks %q", want)
		}
	}
	if strings.Contains(got, "hunter2") {
		t.Error("a password is shown")
	}
	if t.Failed() {
		t.Log(got)
	}
	// What is allowed is not proposed again, and what is denied is not at all.
	p, _ = s.proposal(got + "\n")
	if len(p.Rules)+len(p.Groups) > 0 {
		t.Errorf("proposed again:\n%s", p.AppendTOML(nil))
	}
	s.say(1, cart0, store, "tcp/80 http", "http.method=GET http.path=/new http.host=shop")
	p, _ = s.proposal(got + "\n")
	if len(p.Rules) != 1 || len(p.Rules[0].Where[1].Patterns) != 1 || p.Rules[0].Where[1].Patterns[0] != "/new" || p.Rules[0].ID != "shop-cart-to-shop-db-http-3" {
		t.Errorf("want only what is new, got\n%s", p.AppendTOML(nil))
	}
	p, _ = s.proposal("[[policy]]\nid = \"no-sql\"\nprotocol = \"postgresql\"\naction = \"deny\"\n\n")
	if text := string(p.AppendTOML(nil)); strings.Contains(text, "SELECT") || !strings.Contains(text, "since a rule denies it: no-sql") {
		t.Errorf("got\n%s", text)
	}
}

// What is proposed allows what was seen, and nothing that was not, as Decide has it.
func TestProposalDecides(t *testing.T) {
	s := newScene(t)
	s.say(3, cart0, store, "tcp/80 http", "http.method=GET http.path=/orders/17 http.host=shop")
	s.say(3, cart0, store, "tcp/80 http", "http.method=POST http.path=/orders http.host=shop")
	s.say(3, cart0, store, "udp/53 dns", "dns.query=db.shop.svc.cluster.local dns.type=A")
	s.say(3, cart0, store, "tcp/5432 postgresql", "postgresql.verb=SELECT")
	s.say(3, cart0, store, "tcp/5432 postgresql", "postgresql.verb=SELECT postgresql.table=orders")
	s.say(3, cart0, store, "tcp/5433 postgresql", "postgresql.verb=SELECT postgresql.table=größe")
	s.say(3, cart0, store, "tcp/443 tls", "tls.sni=shop.example")
	s.say(3, cart0, store, "tcp/444 tls", "tls.client_version=3")
	s.say(3, cart0, store, "tcp/445 tls", "tls.client_version=3")
	s.say(3, cart0, store, "tcp/445 tls", "tls.client_version=3 tls.sni=shop.example")
	s.say(3, cart0, store, "tcp/446 tls", "")
	scanned, asked := pod("shop", "scanned-0", "scanned"), pod("shop", "asked-0", "asked")
	for i := range 9 {
		s.say(1, cart0, scanned, "tcp/80 http", fmt.Sprintf("http.method=GET http.path=/refused/%c http.host=shop", 'a'+i))
		s.say(1, cart0, scanned, "tcp/80 http", "http.method=GET http.path=/ok http.host=shop")
	}
	spread := pod("shop", "spread-0", "spread")
	for i := range 9 { // over several verbs: no more of each than somebody's habit
		s.say(1, cart0, spread, "tcp/80 http", fmt.Sprintf("http.method=%s http.path=/refused/%c http.host=shop", []string{"GET", "PUT", "POST"}[i%3], 'a'+i))
		s.say(1, cart0, spread, "tcp/80 http", "http.method=GET http.path=/ok http.host=shop")
	}
	s.say(1, cart0, asked, "tcp/80 http", "http.method=GET http.path=/refused/a http.host=shop")
	s.say(1, cart0, asked, "tcp/80 http", "http.method=GET http.path=/"+strings.Repeat("long/", 100)+" http.host=shop")
	_, set := s.proposal("")
	for _, c := range []struct {
		from, to *Subject
		how      string
		words    string
		want     Action
	}{
		{cart1, store, "tcp/80 http", "http.method=GET http.path=/orders/18 http.host=shop", Allow},
		{cart1, store, "tcp/80 http", "http.method=GET http.path=/orders/18/items http.host=shop", Deny},
		{cart1, store, "tcp/80 http", "http.method=DELETE http.path=/orders/18 http.host=shop", Deny},
		{cart1, store, "tcp/80 http", "http.method=POST http.path=/orders/17 http.host=shop", Deny},
		{cart1, store, "tcp/80 http", "http.method=POST http.path=/orders http.host=other", Deny},
		{cart1, store, "tcp/81 http", "http.method=POST http.path=/orders http.host=shop", Deny},
		{store, cart1, "tcp/80 http", "http.method=POST http.path=/orders http.host=shop", Deny},
		{cart1, store, "tcp/80 unknown", "", Deny},
		{cart1, store, "udp/53 dns", "dns.query=db.shop.svc.cluster.local dns.type=A", Allow},
		{cart1, store, "udp/53 dns", "dns.query=db.shop.svc.cluster.local dns.type=TXT", Deny},
		// A field that some messages have and others have not.
		{cart1, store, "tcp/5432 postgresql", "postgresql.verb=SELECT", Allow},
		{cart1, store, "tcp/5432 postgresql", "postgresql.verb=SELECT postgresql.table=orders", Allow},
		{cart1, store, "tcp/5432 postgresql", "postgresql.verb=SELECT postgresql.table=secrets", Deny},
		{cart1, store, "tcp/5432 postgresql", "postgresql.verb=DELETE", Deny},
		{cart1, store, "tcp/5433 postgresql", "postgresql.verb=SELECT postgresql.table=größe", Allow},
		{cart1, store, "tcp/5433 postgresql", "postgresql.verb=SELECT postgresql.table=orders", Deny},
		{cart1, store, "tcp/443 tls", "tls.client_version=3 tls.sni=shop.example", Allow},
		{cart1, store, "tcp/443 tls", "tls.client_version=3", Deny},
		{cart1, store, "tcp/444 tls", "tls.client_version=3", Allow},
		{cart1, store, "tcp/444 tls", "tls.client_version=3 tls.sni=shop.example", Deny},
		{cart1, store, "tcp/445 tls", "tls.client_version=3", Allow},
		{cart1, store, "tcp/445 tls", "tls.client_version=3 tls.sni=shop.example", Allow},
		{cart1, store, "tcp/445 tls", "tls.client_version=3 tls.sni=other.example", Deny},
		{cart1, store, "tcp/446 tls", "tls.client_version=3 tls.sni=shop.example", Allow}, // its words were never seen
		// What was always refused: a habit, and a scan.
		{cart1, asked, "tcp/80 http", "http.method=GET http.path=/refused/a http.host=shop", Allow},
		{cart1, scanned, "tcp/80 http", "http.method=GET http.path=/refused/a http.host=shop", Deny},
		{cart1, scanned, "tcp/80 http", "http.method=GET http.path=/ok http.host=shop", Allow},
		{cart1, spread, "tcp/80 http", "http.method=GET http.path=/refused/a http.host=shop", Deny},
		{cart1, spread, "tcp/80 http", "http.method=PUT http.path=/refused/b http.host=shop", Deny},
		{cart1, spread, "tcp/80 http", "http.method=GET http.path=/ok http.host=shop", Allow},
		{cart1, asked, "tcp/80 http", "http.method=GET http.path=/" + strings.Repeat("long/", 100) + " http.host=shop", Allow},
	} {
		if got := decideText(t, set, c.from, c.to, c.how, c.words).Action; got != c.want {
			t.Errorf("%s %s: got %v, want %v", c.how, c.words, got, c.want)
		}
	}
}

func compileTest(t testing.TB, set *Set) *Policy {
	t.Helper()
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
	p, problems := Compile(set, timeZero, find(testTerms.fields), find(testTerms.protocols))
	if problems.Failed() {
		t.Fatal(problems.Err())
	}
	return p
}

func decideText(t testing.TB, set *Set, from, to *Subject, how, words string) Verdict {
	t.Helper()
	p := compileTest(t, set)
	c := contextText(t, p, from, to, how, words)
	return p.Decide(&c)
}

func contextText(t testing.TB, p *Policy, from, to *Subject, how, words string) Context {
	where, app, _ := strings.Cut(how, " ")
	ports, _, _ := ParsePort(where)
	c := Context{From: p.Identify(from), To: p.Identify(to), Proto: ports[0].Proto, Port: ports[0].Low, App: AppUnknown, Fields: &Fields{Complete: true}}
	for i, name := range testTerms.protocols {
		if name == app {
			c.App = i
		}
	}
	for i, w := range testWords(t, words) {
		c.Fields.Add(w.Field, uint32(i), w.Value, false, false)
	}
	return c
}

// A scanner may say what it likes: it takes a bounded part, is told of, and neither opens anything nor pushes out what others say.
func TestScanner(t *testing.T) {
	scanner := &Subject{Name: "scanner", Workload: true}
	for _, answered := range []bool{false, true} {
		s := newScene(t)
		s.say(2, cart0, store, "tcp/80 http", "http.method=GET http.path=/ok http.host=shop")
		r := rand.New(rand.NewPCG(1, 2))
		word := func() string {
			b := make([]byte, 3+r.IntN(9))
			for i := range b {
				b[i] = byte('a' + r.IntN(26))
			}
			return string(b)
		}
		for i := range 30_000 {
			path := "/" + word() + "/" + word()
			if !answered {
				path = "/refused/" + word()
			}
			s.say(1, scanner, store, "tcp/80 http", "http.method="+[]string{"GET", word()}[i%2]+" http.host=shop http.path="+path)
			if i%100 == 0 {
				s.say(1, cart0, store, "tcp/80 http", "http.method=GET http.path=/ok http.host=shop")
			}
		}
		for port := range 5000 {
			s.say(1, scanner, store, fmt.Sprintf("tcp/%d", port+100), "")
		}
		p, set := s.proposal("")
		text := string(p.AppendTOML(nil))
		if used := learnBytes - s.l.left; used > partyBytes+20*partyCost {
			t.Errorf("%d bytes are taken", used)
		}
		for _, c := range []string{"http.method=GET http.path=/admin http.host=shop", "http.method=GET http.path=/admin/x http.host=shop", "http.method=PUT http.path=/ok http.host=shop"} {
			if v := decideText(t, set, scanner, store, "tcp/80 http", c); v.Action != Deny {
				t.Errorf("answered %v: %s is allowed by %s", answered, c, set.Rules[v.Rule].ID)
			}
			if v := decideText(t, set, cart0, store, "tcp/80 http", c); v.Action != Deny {
				t.Errorf("%s is allowed to others", c)
			}
		}
		if v := decideText(t, set, cart0, store, "tcp/80 http", "http.method=GET http.path=/ok http.host=shop"); v.Action != Allow {
			t.Error("what others say was pushed out")
		}
		if !strings.Contains(text, "left out") || !strings.Contains(text, "scanner began more than is kept of one") {
			t.Errorf("answered %v: it is not told:\n%.3000s", answered, text)
		}
	}
}

// What is kept comes back; twice the same state counts twice and says no more.
func TestState(t *testing.T) {
	s := newScene(t)
	for i := range 400 {
		s.say(2, cart0, store, "tcp/80 http", fmt.Sprintf("http.method=GET http.path=/users/%s/cart http.host=shop", strings.Repeat(string(rune('a'+i%26)), 1+i/26)))
	}
	s.say(1, cart1, &Subject{Addr: addr("192.0.2.7"), Names: []string{"api.example.org."}}, "tcp/443 http", "")
	p, _ := s.proposal("")
	want := string(p.AppendTOML(nil))
	if !strings.Contains(want, "/users/{name}/cart") || !strings.Contains(want, "dns=api.example.org") {
		t.Errorf("got\n%s", want)
	}
	data, err := s.l.Marshal()
	if err != nil {
		t.Fatal(err)
	}
	l := NewLearner(testTerms)
	if err := l.Restore(data); err != nil {
		t.Fatal(err)
	}
	if got := string(l.Propose(&Set{}, 0).AppendTOML(nil)); got != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
	again, _ := l.Marshal()
	if string(again) != string(data) {
		t.Errorf("got %s\nwant %s", again, data)
	}
	if err := l.Restore(data); err != nil {
		t.Fatal(err)
	}
	if got := string(l.Propose(&Set{}, 0).AppendTOML(nil)); strings.ReplaceAll(got, "1602", "801") != want && strings.Count(got, "\n") != strings.Count(want, "\n") {
		t.Errorf("got\n%s", got)
	}
	for _, bad := range []string{"", "{}", `{"version":1,"edges":[{"from":0,"to":1}]}`, `{"version":2}`, "[]"} {
		if l.Restore([]byte(bad)) == nil {
			t.Errorf("%s: no error", bad)
		}
	}
}

func FuzzRestore(f *testing.F) {
	s := newScene(f)
	s.say(2, cart0, store, "tcp/80 http", "http.method=GET http.path=/users/1/cart http.host=shop")
	s.say(2, cart0, store, "tcp/81 postgresql", "postgresql.password=x")
	s.hand()
	b, _ := s.l.Marshal()
	f.Add(b)
	f.Add([]byte(`{"version":1,"parties":[{"name":"a"}],"edges":[{"from":0,"to":0,"app":"http","shapes":[{"objects":["b","a","a"],"verbs":{"*}":{},"":{"objects":[null,{"of":{"x":null,"{":{}},"folded":["x"]}]}},"apart":{"x":null}}]}]}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		l := NewLearner(testTerms)
		if l.Restore(data) != nil {
			return
		}
		text := l.Propose(&Set{}, 0).AppendTOML(nil)
		if _, problems := Parse("x.toml", text, Options{}); problems.Failed() {
			t.Fatalf("%v\n%s", problems, text)
		}
		again, err := l.Marshal()
		if err != nil {
			t.Fatal(err)
		}
		if err := NewLearner(testTerms).Restore(again); err != nil {
			t.Fatal(err)
		}
	})
}

// Every pattern that a value becomes is one that a file may have and that the value fits, unless it is odd.
func FuzzPattern(f *testing.F) {
	for _, v := range []string{"/orders/17", "a.b.c", "events_2024_11", "*", "{", "/a{b}/*", "i-12345.x.org.", "\x00"} {
		f.Add(v)
	}
	f.Fuzz(func(t *testing.T, value string) {
		for s := styleWord; s <= styleExists; s++ {
			p, odd := appendPattern(nil, s, []byte(value))
			if len(p) > maxValue {
				t.Errorf("%d bytes", len(p))
			}
			if odd {
				continue
			}
			if what := checkPattern(string(p)); what != "" {
				t.Fatalf("style %d of %q: %q: %s", s, value, p, what)
			}
			fit := value
			switch s {
			case stylePath:
				fit, _, _ = strings.Cut(value, "?")
			case styleName:
				if fit = strings.ToLower(value); len(fit) > 1 {
					fit = strings.TrimSuffix(fit, ".")
				}
			}
			if x := newPattern(string(p)); !x.fits([]byte(fit)) {
				t.Errorf("style %d: %q does not fit %q", s, value, p)
			}
		}
	})
}

func addr(text string) netip.Addr { return netip.MustParseAddr(text) }

var timeZero time.Time

// TestRefusedVerbIsNotedWhereItStands has a verb that was always refused, whose rule is not the first.
func TestRefusedVerbIsNotedWhereItStands(t *testing.T) {
	s := newScene(t)
	s.say(3, cart1, store, "tcp/80 http", "http.method=GET http.path=/ok http.host=10.0.0.9")
	s.say(4, cart1, store, "tcp/80 http", "http.method=POST http.path=/refused http.host=10.0.0.9")
	s.say(9, cart1, store, "tcp/80 http", "")
	p, _ := s.proposal("")
	got := string(p.AppendTOML(nil))
	get, post, ok := strings.Cut(got, `where = { "http.method" = ["GET"]`)
	if note := "# always refused so far: POST\n"; !ok || strings.Contains(get, note) || !strings.Contains(post, note) {
		t.Errorf("the comment stands elsewhere:\n%s", got)
	}
	if !strings.Contains(got, "# http.host may be anything: addresses seen\n") {
		t.Errorf("an address is no reason:\n%s", got)
	}
}
