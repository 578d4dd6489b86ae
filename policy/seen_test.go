package policy

import (
	"fmt"
	"strings"
	"testing"
)

// testTerms are some fields and protocols.
var testTerms = NewTerms(
	[]string{"raw", "http.method", "http.path", "http.host", "postgresql.verb", "postgresql.table", "postgresql.password", "dns.query", "dns.type", "nats.operation", "nats.subject", "redis.command", "tls.sni", "tls.client_version"},
	[]string{"http", "postgresql", "dns", "nats", "redis", "tls"},
)

// testWords reads FIELD=VALUE, separated by blanks.
func testWords(t testing.TB, text string) (out []Word) {
	t.Helper()
	for _, w := range strings.Fields(text) {
		name, value, _ := strings.Cut(w, "=")
		field := -1
		for i, f := range testTerms.fields {
			if f == name {
				field = i
			}
		}
		if field < 0 {
			t.Fatalf("no field %s", name)
		}
		out = append(out, Word{field, []byte(value)})
	}
	return out
}

func TestPatterns(t *testing.T) {
	for _, c := range []struct {
		style style
		value string
		want  string
		odd   bool
	}{
		{stylePath, "/", "/", false},
		{stylePath, "/ok?x=1", "/ok", false},
		{stylePath, "/orders/17", "/orders/{id}", false},
		{stylePath, "/api/v1/users/ann@example.org/cart", "/api/v1/users/{email}/cart", false},
		{stylePath, "/o/6f1e7c1e-0a51-4a4b-9d6c-0123456789ab/x", "/o/{uuid}/x", false},
		{stylePath, "/blob/9f86d081884c7d65", "/blob/{hash}", false},
		{stylePath, "/blob/deadbeefdeadbeef", "/blob/{hash}", false},
		{stylePath, "/by/2024-11-26/x", "/by/{date}/x", false},
		{stylePath, "/static/app.3f9a8b21.js", "/static/{name}", false},
		{stylePath, "/oauth2/token", "/oauth2/token", false},
		{stylePath, "/index.html", "/index.html", false},
		{stylePath, "/x/*", "/x/{value}", false},
		{stylePath, "/x/{a}/b", "/x/{value}/b", false},
		{stylePath, "/a%2fb/c", "/{value}/c", false},
		{stylePath, "//a", "//a", false},
		{stylePath, "/t/eyJhbGciOiJIUzI1NiIsInR5cCI6IkpXVCJ9", "/t/{name}", false},
		{stylePath, "*", "{value}", false},
		{stylePath, "/" + strings.Repeat("a/", 400), "/" + strings.Repeat("a/", 127) + "*", false},
		{stylePath, "/" + strings.Repeat("a", 400), "/{name}", false},
		{styleTopic, "shop/#", "shop/*", false},
		{styleTopic, "shop.>", "shop.*", false},
		{styleTopic, "#", "*", false},
		{styleTopic, "shop.>.x", "shop.{value}.x", false},
		{styleLine, "MAIL FROM:<a@shop.example>", "MAIL *", false},
		{styleLine, "QUIT", "QUIT", false},
		{styleLine, "a\x01 b", "a.", true},
		{styleTopic, "orders.17.created", "orders.{id}.created", false},
		{styleTopic, "orders.*", "orders.{value}", false},
		{styleTopic, "sensors/7/temp", "sensors/{id}/temp", false},
		{styleTopic, "orders", "orders", false},
		{styleName, "WWW.Example.org.", "www.example.org", false},
		{styleName, "i-0abc12345.eu.compute.internal", "*.eu.compute.internal", false},
		{styleName, "17.18.10.in-addr.arpa", "*.in-addr.arpa", false},
		{styleName, "*.example.org", "*.example.org", false},
		{styleName, ".", ".", false},
		{styleTable, "shop.orders", "shop.orders", false},
		{styleTable, "events_2024_11", "events_*", false},
		{styleTable, "t1", "t1", false},
		{styleTable, "a*", "a{value}", false},
		{styleTable, "größe", "gr{value}e", false},
		{styleWord, "SELECT", "SELECT", false},
		{styleWord, "a\x1bb", "a.b", true},
		{styleWord, "{x}", "{x}", true},
		{styleExists, "secret", "*", false},
		{stylePath, "/a/7?" + strings.Repeat("x", maxInSegments), "/a/{id}", false},
		{stylePath, "/a/" + strings.Repeat("x", maxInSegments), "/a/{name}", true}, // a rule's pattern is not compared with so much
		// more wildcards than a pattern may have
		{stylePath, strings.Repeat("/7", 40), strings.Repeat("/{id}", 31) + "/*", false},
		{styleTopic, strings.Repeat("7.", 40) + "x", strings.Repeat("{id}.", 31) + "*", false},
		{styleTopic, strings.Repeat("\xff/", 32) + "ab.cd", strings.Repeat("{value}/", 31) + "*", false},
		{styleTable, strings.Repeat("a\xff", 40), strings.Repeat("a{value}", 32)[:maxValue], true},
		{styleTable, strings.Repeat("a\xff1", 4) + strings.Repeat("a1111", 40), strings.Repeat("a{value}1", 4) + strings.Repeat("a*", 28) + "a", true},
		{styleName, strings.Repeat("a.1111.", 40) + "x", strings.Repeat("a.*.", 32) + "a.", true},
	} {
		got, odd := appendPattern(nil, c.style, []byte(c.value))
		if string(got) != c.want || odd != c.odd {
			t.Errorf("%q: got %q, %v, want %q, %v", c.value, got, odd, c.want, c.odd)
		}
	}
}

func TestSeen(t *testing.T) {
	s := NewSeen(testTerms)
	note := func(at int64, words string) Mark {
		m, ok := s.Note(&Observation{Time: at, From: 1, To: 2, Proto: 6, Port: 80, App: 0, Words: testWords(t, words)})
		if !ok {
			t.Fatal("no room")
		}
		return m
	}
	note(1, "http.method=GET http.path=/orders/1")
	m := note(2, "http.method=GET http.path=/orders/2")
	note(3, "http.method=GET http.path=/ok")
	s.Refuse(m)
	s.Refuse(0)
	s.Refuse(12345)
	if len(s.list) != 2 || s.list[0].count != 2 || s.list[0].refused != 1 || s.list[0].first != 1 || s.list[0].last != 2 || s.list[1].refused != 0 {
		t.Errorf("got %+v", s.list)
	}
	s.Reset()
	full := 0
	for i := range seenMost + 1 {
		o := Observation{Port: uint16(i)}
		if _, ok := s.Note(&o); !ok {
			full++
		}
		if _, ok := s.Note(&o); !ok {
			full++
		}
	}
	if full != 2 {
		t.Errorf("%d did not fit, want the last one's 2", full)
	}
	for i := range seenMost {
		if s.list[i].count != 2 {
			t.Fatalf("entry %d: %+v", i, s.list[i])
		}
	}
}

// What is known already costs no allocation.
func TestSeenAllocs(t *testing.T) {
	s := NewSeen(testTerms)
	words := testWords(t, "http.method=GET http.path=/api/v1/orders/123456/items http.host=shop.example.org")
	o := Observation{Time: 1, From: 1, To: 2, Proto: 6, Port: 80, Words: words}
	s.Note(&o)
	if n := testing.AllocsPerRun(100, func() { m, _ := s.Note(&o); s.Refuse(m) }); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

func BenchmarkSeenKnown(b *testing.B) {
	s := NewSeen(testTerms)
	for i := range 1000 {
		s.Note(&Observation{Port: uint16(i), Words: testWords(b, fmt.Sprintf("http.method=GET http.path=/a%d", i))})
	}
	o := Observation{Time: 1, From: 1, To: 2, Proto: 6, Port: 80, Words: testWords(b, "http.method=GET http.path=/orders/123456/items")}
	b.ReportAllocs()
	for b.Loop() {
		s.Note(&o)
	}
}

// What differs only in what becomes a placeholder.
func BenchmarkSeenFolded(b *testing.B) {
	s := NewSeen(testTerms)
	o := Observation{Time: 1, From: 1, To: 2, Proto: 6, Port: 80, Words: testWords(b, "http.method=GET http.path=/orders/123456/items")}
	id := o.Words[1].Value[len("/orders/"):][:6]
	b.ReportAllocs()
	for i := 0; b.Loop(); i++ {
		for j, n := 0, i; j < len(id); j, n = j+1, n/10 {
			id[j] = byte('0' + n%10)
		}
		s.Note(&o)
	}
}

// What fold makes is a pattern that a file may have.
func TestFoldWildcards(t *testing.T) {
	for _, c := range []struct{ ids, folded int }{{maxWild - 1, 1}, {maxWild, 0}} {
		v := values{style: stylePath, of: map[string]*Tally{}}
		for i := range foldAt {
			v.of["/api/"+string(rune('a'+i))+strings.Repeat("/{id}", c.ids)] = &Tally{Count: 1}
		}
		v.fold()
		if len(v.folded) != c.folded {
			t.Errorf("%d wildcards: folded %q", c.ids, v.folded)
		}
	}
}
