package policy

import (
	"bytes"
	"math/rand/v2"
	"net/url"
	"path"
	"regexp"
	"strings"
	"testing"
)

// one reports what a rule with one condition says of one value.
func one(t testing.TB, action, field, value string, patterns ...string) Action {
	t.Helper()
	p := compile(t, "[[policy]]\nid='a'\naction='"+action+"'\nwhere={'"+field+"'=['"+strings.Join(patterns, "','")+"']}\n[[policy]]\nid='b'\naction='"+
		map[string]string{"allow": "deny", "deny": "allow"}[action]+"'\n")
	app, _, _ := strings.Cut(field, ".")
	return p.Decide(&Context{Proto: 6, App: number(t, known.Protocols, app), Fields: message(t, field+"="+value)}).Action
}

func TestReadings(t *testing.T) {
	for _, c := range []struct {
		field, pattern string
		allowed        string // values that a rule matches which allows the pattern
		refused        string // and that it does not
		denied         string // beside the allowed ones: what a rule matches that denies it
		free           string // and what it does not
	}{
		{"http.path", "/ok/*", "/ok/ /ok/a /ok/a/b /ok/.well-known /ok/a%20b /ok/caf%C3%A9 /ok/a;v=1 /ok/a%2Fb /ok//a /ok/what%3F /ok/100%25",
			"/ok/./a /ok/x/../a /ok/%2541 /ok/.. /ok/..%20/x /ok /okay /ok/../admin /ok/..;/admin /ok/%2e%2e/admin /ok/.%2e/admin /ok%2f..%2fadmin /ok/..%2fadmin /ok/..%5cadmin /ok/..\\admin /ok/%252e%252e/admin " +
				"/ok//../admin /ok/x/../../admin /ok/%c0%ae%c0%ae/admin /ok/%u002e%u002e/admin /ok/%00/x /ok/..%00/ /ok/%zz /ok/%25252525252e /ok/%ef%bc%8e%ef%bc%8e/x /OK/a ok/a * ",
			"/ok /OK/a /ok/../ok/x /x/../ok/a /%6fk/a //ok/a /x//../ok/a /ok;x/a /ok%2fa /x/%2e%2e/ok/a \\ok\\a /./ok/", "/okay /x/ok /x/../okay"},
		{"http.path", "/admin", "/admin /%61dmin",
			"/admin/ /Admin /admin/x /x/../admin //admin /./admin /admin/. /admin;x /admin%3fx /admin? /admin#a /admin%00",
			"/admin/ /Admin /ADMIN /x/../admin //admin /./admin /admin/. /admin;x /admin%3fx /admin%23 /%u0061dmin /admin%00.png /admin. /admin%20 /%2561dmin /a%c1%a4min /%ef%bd%81dmin \\admin /admin/x/..",
			"/admin/x /administrator /x/admin /admin/../x"},
		{"http.path", "/orders/{id}", "/orders/7 /orders/a-b /orders/7%20", "/orders/ /orders/7/ /orders/7/x /orders/.. /orders/%2e%2e /orders/7%2Fx /orders/%2e%2e%2f7x/..", "/orders/7/ /Orders/7", "/orders/7/x"},
		{"http.path", "*", "/ /ok/../admin /%zz /%c0%ae * ", "", "", ""},
		{"http.host", "api.example", "api.example API.example api.example. Api.Example.", "api.example.. x.api.example api.example%00", "", "x.api.example"},
		{"http.host", "*.example", "a.example A.b.EXAMPLE.", "example a.example@evil a.example/x", "", "example"},
		{"tls.sni", "DB.local", "db.local DB.LOCAL.", "db.local.evil", "", "db.local.evil"},
		{"dns.query", "*.corp.example", "a.corp.example A.CORP.example.", "corp.example", "", "corp.example"},
		{"postgresql.table", "orders", "orders", "shop.orders Orders", "shop.orders ORDERS Shop.Orders", "orders2 orders.x"},
		{"redis.command", "GET", "GET", "get SET", "get Get", "SET"},
	} {
		for _, s := range strings.Split(c.allowed, " ") {
			if got := one(t, "allow", c.field, s, c.pattern); got != Allow {
				t.Errorf("%s=%q is not allowed by %q: %v", c.field, s, c.pattern, got)
			}
			if got := one(t, "deny", c.field, s, c.pattern); got != Deny {
				t.Errorf("%s=%q is not denied by %q, which would allow it", c.field, s, c.pattern)
			}
		}
		for _, s := range strings.Fields(c.refused) {
			if got := one(t, "allow", c.field, s, c.pattern); got != Deny {
				t.Errorf("%s=%q is allowed by %q", c.field, s, c.pattern)
			}
		}
		for _, s := range strings.Fields(c.denied) {
			if got := one(t, "deny", c.field, s, c.pattern); got != Deny {
				t.Errorf("%s=%q is not denied by %q", c.field, s, c.pattern)
			}
		}
		for _, s := range strings.Fields(c.free) {
			if got := one(t, "deny", c.field, s, c.pattern); got != Allow {
				t.Errorf("%s=%q is denied by %q", c.field, s, c.pattern)
			}
		}
	}
}

// servers are ways in which servers find out which file or handler a path is for.
var servers = map[string]func(string) string{
	"as it is": butSlashes,
	"net/url":  func(s string) string { return path.Clean(unescapeOnce(s)) },
	"nginx":    func(s string) string { return path.Clean(cut(unescapeOnce(s), "#")) },
	"tomcat":   func(s string) string { return path.Clean(unescapeOnce(parameters.ReplaceAllString(s, ""))) },
	"spring": func(s string) string {
		return strings.TrimSuffix(unescapeOnce(parameters.ReplaceAllString(path.Clean(s), "")), "/")
	},
	"windows": func(s string) string {
		return strings.ToLower(path.Clean(strings.ReplaceAll(unescapeOnce(s), `\`, "/")))
	},
	"twice":  func(s string) string { return path.Clean(unescapeOnce(unescapeOnce(s))) },
	"behind": func(s string) string { return path.Clean(cut(unescapeOnce(s), "?")) }, // a balancer hands on what it decoded
	"rfc3986": func(s string) string {
		return (&url.URL{Path: "/"}).ResolveReference(&url.URL{Path: unescapeOnce(s)}).Path
	},
	"no slashes":  func(s string) string { return path.Clean(butSlashes(s)) },
	"backslashes": func(s string) string { return path.Clean(strings.ReplaceAll(butSlashes(s), `\`, "/")) },
}

var parameters = regexp.MustCompile(`;[^/]*`)

// butSlashes resolves all escapes but those of slashes.
func butSlashes(s string) string {
	return unescapeOnce(slashEscape.ReplaceAllString(s, "%25$1"))
}

var slashEscape = regexp.MustCompile(`%(2[fF]|5[cC])`)

func cut(s, at string) string { s, _, _ = strings.Cut(s, at); return s }

func unescapeOnce(s string) string {
	var b []byte
	for i := 0; i < len(s); i++ {
		if c, ok := hexByte([]byte(s[min(i+1, len(s)):])); ok && s[i] == '%' {
			b = append(b, c)
			i += 2
		} else {
			b = append(b, s[i])
		}
	}
	return string(b)
}

// fooled checks one path against all servers: no rule that allows /ok/* lets pass what a server takes for something else, and no rule that
// denies /admin what one takes for it.
func fooled(t *testing.T, allow, deny *condition, p string) {
	t.Helper()
	f := &Fields{Complete: true}
	f.Add(0, 0, []byte(p), false, false)
	may, mayNot := allow.judge(f, Allow) == yes, deny.judge(f, Deny) == yes
	for name, read := range servers {
		s := read(p)
		if may && !strings.HasPrefix(s+"/", "/ok/") {
			t.Fatalf("%q is allowed by /ok/*, and %s takes it for %q", p, name, s)
		}
		if !mayNot && (s == "/admin" || s == "/admin/") {
			t.Fatalf("%q is not denied by /admin, and %s takes it for that", p, name)
		}
	}
}

var pieces = []string{"/", "/", "/", "ok", "admin", "ADMIN", "..", ".", "%2e", "%2E%2e", "%2f", "%5c", `\`, ";", ";x=1", "%3b", "%252e", "%252f", "%25", "%", "//", "%00", "%c0%ae", "%u002e", "?", "%3f", "#", "%23", "x", " ", "%20", "%6f", "%6b"}

func TestServersAreNotMistaken(t *testing.T) {
	allow := &condition{kind: kindPath, patterns: newInterned().compile([]string{"/ok/*"}, false)}
	deny := &condition{kind: kindPath, patterns: newInterned().compile([]string{"/admin"}, true)}
	r := rand.New(rand.NewPCG(5, 3))
	allowed := 0
	for range 100000 {
		p := []string{"", "/ok/", "/ok", "/"}[r.IntN(4)]
		for range r.IntN(8) {
			p += pieces[r.IntN(len(pieces))]
		}
		fooled(t, allow, deny, p)
		f := message(t, "http.path="+p)
		f.values[0].field = 0
		if allow.judge(f, Allow) == yes {
			allowed++
		}
	}
	if allowed < 1000 {
		t.Errorf("only %d paths were allowed: nothing was tested", allowed)
	}
}

func FuzzPath(f *testing.F) {
	for _, p := range pieces {
		f.Add("/ok/" + p + "/admin")
		f.Add("/" + p + "admin")
	}
	allow := &condition{kind: kindPath, patterns: newInterned().compile([]string{"/ok/*"}, false)}
	deny := &condition{kind: kindPath, patterns: newInterned().compile([]string{"/admin"}, true)}
	f.Fuzz(func(t *testing.T, p string) { fooled(t, allow, deny, p) })
}

// FuzzReadings: any pattern, any value, as a regular expression has it; whatever the field, what an allow matches a deny matches too.
func FuzzReadings(f *testing.F) {
	f.Add("/a/{x}/*b", "/a/7/cb")
	f.Add("*{x}*{y}z", "aaaz")
	f.Add("a.{x}", "A.#")
	f.Fuzz(func(t *testing.T, p, s string) {
		if checkPattern(p) != "" || len(s) > 200 || strings.ContainsFunc(p+s, func(r rune) bool { return r >= 0x80 }) {
			return
		}
		want := regexpOf(p, false).MatchString(s)
		if got := newInterned().compile([]string{p}, false).fits([]byte(s), false); got != want {
			t.Fatalf("%q of %q: got %v", s, p, got)
		}
		for k := kindText; k <= kindTopic; k++ {
			fields := &Fields{Complete: true}
			fields.Add(0, 0, []byte(s), false, false)
			allow := &condition{kind: k, patterns: newInterned().compile([]string{p}, k == kindHost)}
			deny := &condition{kind: k, patterns: newInterned().compile([]string{p}, true)}
			if allow.judge(fields, Allow) == yes && deny.judge(fields, Deny) != yes {
				t.Fatalf("kind %d: %q is allowed by %q and not denied by it", k, s, p)
			}
		}
	})
}

// FuzzFile: no file breaks the reader, and what it reads can be compiled and asked.
func FuzzFile(f *testing.F) {
	f.Add([]byte(example))
	f.Add([]byte("[[policy]]\nid='a'\naction='deny'\nports=['ip/99','icmp/3/4','tcp/1-9']\nwhere={'http.path'=['/{x}/*']}\n"))
	f.Fuzz(func(t *testing.T, data []byte) {
		s, problems := Parse("f.toml", data, known)
		if (s == nil) != problems.Failed() {
			t.Fatal("a set is there iff there is no error")
		}
		if s == nil {
			return
		}
		p, problems := Compile(s, known.Now, numberIn(known.Fields), numberIn(known.Protocols))
		if problems.Failed() {
			t.Fatal(problems)
		}
		id := p.Identify(workloadOf("shop", "web"))
		p.Decide(&Context{From: id, To: Nobody, Proto: 6, Port: 80, App: 0, Fields: message(t, "http.path=/a/../b")})
	})
}

// TestFields: values that come in pieces, many, or long.
func TestFields(t *testing.T) {
	var f Fields
	f.Add(1, 1, []byte("ab"), true, false)
	f.Add(2, 2, []byte("x"), true, false)
	f.Add(1, 1, []byte("cd"), false, false)
	f.Add(2, 2, nil, false, false)
	if a, b := f.of(f.values[0].at), f.of(f.values[1].at); string(a) != "abcd" || string(b) != "x" || f.values[0].open {
		t.Errorf("got %q, %q", a, b)
	}
	allow := &condition{field: 1, patterns: newInterned().compile([]string{"abcd"}, false)}
	if got := allow.judge(&f, Allow); got != maybe {
		t.Errorf("further values may come: got %v", got)
	}
	f.Complete = true
	if got := allow.judge(&f, Allow); got != yes {
		t.Errorf("got %v", got)
	}
	deny := &condition{field: 1, patterns: newInterned().compile([]string{"nothing"}, true)}
	if got := deny.judge(&f, Deny); got != no {
		t.Errorf("got %v", got)
	}
	for _, spoil := range []func(){
		func() { f.Add(1, 3, []byte("abcd"), false, true) },
		func() { f.Add(9, 3, bytes.Repeat([]byte("a"), maxText+1), false, false) },
		func() {
			for n := range uint32(maxValues + 1) {
				f.Add(9, 10+n, nil, false, false)
			}
		},
	} {
		f.Reset()
		f.Add(1, 1, []byte("abcd"), false, false)
		f.Complete = true
		spoil()
		if allow.judge(&f, Allow) != no || deny.judge(&f, Deny) != yes {
			t.Error("what is not known of a message is taken for harmless")
		}
	}
}

// TestLongPaths: reading has a budget, and what is beyond it is doubtful.
func TestLongPaths(t *testing.T) {
	for _, unit := range []string{"%2e%2e/", "a/", "%25252e", ";/", "../"} {
		var f Fields
		f.Complete = true
		f.Add(1, 1, []byte("/ok/"+strings.Repeat(unit, 100000/len(unit))), false, false)
		for range 3 {
			for _, a := range []Action{Allow, Deny} {
				c := &condition{field: 1, kind: kindPath, patterns: newInterned().compile([]string{"/ok/*"}, true)}
				c.judge(&f, a)
			}
		}
		if len(f.text) > 2*maxText+maxRead || len(f.spans) > 200 {
			t.Errorf("%s: %d bytes, %d readings", unit, len(f.text), len(f.spans))
		}
	}
}

// TestSubscriptions: who subscribes to a pattern gets what it stands for.
func TestSubscriptions(t *testing.T) {
	fields := append(known.Fields[:len(known.Fields):len(known.Fields)], "mqtt.subscribe.topic")
	before := known
	defer func() { known = before }()
	known.Fields, known.Protocols = fields, append(known.Protocols[:len(known.Protocols):len(known.Protocols)], "mqtt")
	const field = "mqtt.subscribe.topic"
	for _, s := range []string{"sensors/7", "sensors/#", "sensors/+/x", "sensors/+"} {
		if one(t, "allow", field, s, "sensors/*") != Allow {
			t.Errorf("%s is not allowed by sensors/*", s)
		}
	}
	for _, s := range []string{"#", "+/7", "sensors", "$share/g/sensors/7"} {
		if one(t, "allow", field, s, "sensors/*") != Deny {
			t.Errorf("%s is allowed by sensors/*", s)
		}
	}
	if one(t, "allow", field, "sensors/#", "sensors/{id}") != Deny {
		t.Error("sensors/# is allowed by sensors/{id}")
	}
	for _, s := range []string{"secret/1", "secret/#", "#", "+/1", "sec#", "$share/g/secret/1", "$share/g/#"} {
		if one(t, "deny", field, s, "secret/*") != Deny {
			t.Errorf("%s is not denied by secret/*", s)
		}
	}
	if one(t, "deny", field, "sensors/#", "secret/*") != Allow {
		t.Error("sensors/# is denied by secret/*")
	}
}
