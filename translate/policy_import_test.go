package translate

import (
	"fmt"
	"math/rand/v2"
	"net/netip"
	"slices"
	"strings"
	"testing"

	"weir/dissect"
	"weir/policy"
)

// made compiles a set with the protocols and fields that there are.
func made(t testing.TB, set *policy.Set) *policy.Policy {
	t.Helper()
	p, problems := policy.Compile(set, day, fieldNumber, protocolNumber)
	if problems.Failed() {
		t.Fatal(problems.Err())
	}
	return p
}

func fieldNumber(name string) (int, bool) {
	i := slices.Index(dissect.FieldNames, name)
	return i, i >= 0
}

func protocolNumber(name string) (int, bool) {
	i := slices.IndexFunc(dissect.Protocols, func(p *dissect.Protocol) bool { return p.Name == name })
	return i, i >= 0
}

func parseMade(t testing.TB, text []byte) *policy.Set {
	t.Helper()
	opt := policy.Options{Fields: dissect.FieldNames}
	for _, p := range dissect.Protocols {
		opt.Protocols = append(opt.Protocols, p.Name)
	}
	set, problems := policy.Parse("made.toml", text, opt)
	if problems.Failed() {
		t.Fatalf("%v\n%s", problems.Err(), text)
	}
	return set
}

// subjects are ends that differ in all that the policies below ask for.
func subjects() (out []policy.Subject) {
	n := 0
	for _, ns := range []string{"shop", "stage", "ops", ""} {
		for _, app := range []string{"", "web", "db"} {
			for _, tier := range []string{"", "test", "front"} {
				n++
				s := policy.Subject{Workload: true, Name: fmt.Sprint("w", n), Namespace: ns, Labels: map[string]string{}, Addr: netip.AddrFrom4([4]byte{10, 1, byte(n % 3), byte(n)})}
				if app != "" {
					s.Labels["app"] = app
				}
				if tier != "" {
					s.Labels["tier"] = tier
				}
				out = append(out, s)
			}
		}
	}
	for _, a := range []string{"10.1.0.200", "10.9.9.9", "192.0.2.7", "198.51.100.1", "2001:db8::7", "fd00::1", "100.64.0.1"} {
		out = append(out, policy.Subject{Addr: netip.MustParseAddr(a)})
	}
	return append(out, policy.Subject{Addr: netip.MustParseAddr("198.51.100.9"), Names: []string{"api.partner.example"}}, policy.Subject{Host: true, Addr: netip.MustParseAddr("192.0.2.1")}, policy.Subject{})
}

type talk struct {
	proto uint8
	port  uint16
	app   int
	words []string
}

func talks(t testing.TB) (out []talk) {
	app := func(name string) int {
		n, ok := protocolNumber(name)
		if !ok {
			t.Fatal(name)
		}
		return n
	}
	for _, p := range []talk{{proto: 6, port: 80}, {proto: 6, port: 443}, {proto: 6, port: 8005}, {proto: 17, port: 53}, {proto: 132, port: 9}, {proto: 1, port: 8 << 8}, {proto: 58, port: 128 << 8}, {proto: 47}} {
		p.app = policy.AppUnknown
		out = append(out, p)
	}
	for _, w := range [][]string{
		{"http.method=GET", "http.path=/ok", "http.uri=/ok", "http.host=a.example", "http.version=HTTP/1.1"},
		{"http.method=POST", "http.path=/ok", "http.uri=/ok?x=1", "http.host=a.example", "http.version=HTTP/1.1"},
		{"http.method=GET", "http.path=/orders/7", "http.uri=/orders/7", "http.host=b.example", "http.version=HTTP/1.1"},
		{"http.method=GET", "http.path=/orders/7/x", "http.uri=/orders/7/x", "http.version=HTTP/1.1"},
	} {
		for _, port := range []uint16{80, 443} {
			out = append(out, talk{6, port, app("http"), w})
		}
	}
	return append(out, talk{6, 443, app("tls"), []string{"tls.sni=a.example"}}, talk{6, 443, app("grpc"), []string{"http.method=POST", "http.version=HTTP/2"}},
		talk{17, 53, app("dns"), []string{"dns.query=db.example"}}, talk{17, 53, app("dns"), []string{"dns.query=x.example"}}, talk{6, 80, app("redis"), []string{"redis.command=GET"}})
}

func (k *talk) fields(f *policy.Fields) {
	f.Complete = true
	for i, w := range k.words {
		name, value, _ := strings.Cut(w, "=")
		n, _ := fieldNumber(name)
		f.Add(n, uint32(i), []byte(value), false, false)
	}
}

// compared asks two policies about everything: what the second allows the first must allow. It returns how often it is the same, how often both allow, and of how many.
func compared(t *testing.T, what func() string, a, b *policy.Policy) (same, allowed, of int) {
	t.Helper()
	ends, said := subjects(), talks(t)
	ids := make([][2]policy.Identity, len(ends))
	for i := range ends {
		ids[i] = [2]policy.Identity{a.Identify(&ends[i]), b.Identify(&ends[i])}
	}
	for k := range said {
		s := &said[k]
		var f, g policy.Fields
		s.fields(&f)
		s.fields(&g)
		for i := range ends {
			for j := range ends {
				x := a.Decide(&policy.Context{From: ids[i][0], To: ids[j][0], Proto: s.proto, Port: s.port, App: s.app, Fields: &f})
				y := b.Decide(&policy.Context{From: ids[i][1], To: ids[j][1], Proto: s.proto, Port: s.port, App: s.app, Fields: &g})
				of++
				if x.Action == y.Action {
					same++
				} else if y.Action != policy.Deny {
					t.Fatalf("%s: %+v > %+v, %+v: was %+v, is %+v", what(), ends[i], ends[j], *s, x, y)
				}
				if y.Action == policy.Allow {
					allowed++
				}
			}
		}
	}
	return same, allowed, of
}

func writePolicy(t testing.TB, set *policy.Set, format string) []byte {
	t.Helper()
	text, _, err := WritePolicy(set, format, day)
	if err != nil {
		t.Fatal(err)
	}
	return text
}

// backAgain writes a set in a format and makes a set of that.
func backAgain(t testing.TB, set *policy.Set, format string) (*policy.Set, int) {
	t.Helper()
	text := writePolicy(t, set, format)
	if !strings.Contains(string(text), "\nkind: ") {
		return &policy.Set{}, 0
	}
	toml, n, problems := ReadPolicy(format, []Source{{"x.yaml", text}})
	if problems.Failed() {
		t.Fatalf("%s: %v\n%s", format, problems.Err(), text)
	}
	return parseMade(t, toml), n
}

// TestRoundTrip: what went through a format decides the same, or denies; and what a format can say whole decides the same.
func TestRoundTrip(t *testing.T) {
	set := parseMade(t, []byte(strings.NewReplacer("label:role=client", "label:tier=front", "label:canary=*", "label:tier=*").Replace(exported)))
	for _, c := range []struct {
		format string
		least  int
	}{{"networkpolicy", 100}, {"cilium", 100}, {"neuvector", 100}} {
		back, n := backAgain(t, set, c.format)
		same, allowed, of := compared(t, func() string { return c.format }, made(t, set), made(t, back))
		t.Logf("%s: %d rules; of %d conversations %d are decided the same, %d allowed", c.format, n, of, same, allowed)
		if allowed < c.least {
			t.Errorf("%s: %d are still allowed, want %d", c.format, allowed, c.least)
		}
	}
}

// exact is what each of the formats can say whole.
var exact = map[string]string{
	"networkpolicy": "[[policy]]\nid='x'\nfrom=['front','ops']\nto=['web']\nports=['tcp/80','udp/1-100']\naction='allow'\n[[policy]]\nid='y'\nfrom=['ops']\nto=['db','web']\naction='allow'\n",
	"cilium": "[[policy]]\nid='d'\nfrom=['ops']\nto=['web']\nports=['tcp/443']\naction='deny'\n[[policy]]\nid='x'\nfrom=['front','ops']\nto=['web']\nports=['tcp']\naction='allow'\n" +
		"[[policy]]\nid='w'\nfrom=['db']\nto=['web']\nports=['tcp/80']\nwhere={'http.method'=['GET'],'http.uri'=['*']}\naction='allow'\n",
	"neuvector": "[[policy]]\nid='a'\nfrom=['ops']\nto=['web']\nports=['tcp/80']\naction='allow'\n[[policy]]\nid='d'\nfrom=['ops']\nto=['web','db']\naction='deny'\n" +
		"[[policy]]\nid='x'\nfrom=['front']\nto=['web','db']\nprotocol='tls'\naction='allow'\n[[policy]]\nid='y'\nfrom=['db','ops']\nto=['ops']\nports=['udp','tcp/8000-9000']\naction='allow'\n",
}

const exactGroups = "[[groups]]\nname='web'\nmatch=['namespace=shop,label:app=web','namespace=stage']\n[[groups]]\nname='db'\nmatch=['namespace=shop,label:app=db']\n" +
	"[[groups]]\nname='front'\nmatch=['namespace=ops,label:tier=front','namespace=shop,label:tier=test']\n[[groups]]\nname='ops'\nmatch=['namespace=ops']\n"

func TestRoundTripIsExact(t *testing.T) {
	for format, text := range exact {
		if format == "cilium" {
			text = strings.Replace(text, "where={'http.method'=['GET'],'http.uri'=['*']}", "where={'http.method'=['GET']}", 1)
		}
		set := parseMade(t, []byte(exactGroups+text))
		back, _ := backAgain(t, set, format)
		if same, allowed, of := compared(t, func() string { return format }, made(t, set), made(t, back)); same != of || allowed == 0 {
			t.Errorf("%s: of %d conversations %d are decided the same\n%s", format, of, same, back.AppendTOML(nil))
		}
	}
}

// TestRoundTripOfAny: random policies, in all formats.
func TestRoundTripOfAny(t *testing.T) {
	rounds := 40
	if testing.Short() {
		rounds = 8
	}
	allowed := map[string]int{}
	for seed := range rounds {
		r := rand.New(rand.NewPCG(uint64(seed), 3))
		set := parseMade(t, []byte(randomPolicy(r)))
		for _, format := range PolicySources {
			back, _ := backAgain(t, set, format)
			what := func() string {
				return fmt.Sprintf("seed %d, %s\n%s\n%s", seed, format, set.AppendTOML(nil), back.AppendTOML(nil))
			}
			_, n, _ := compared(t, what, made(t, set), made(t, back))
			allowed[format] += n
		}
		again := parseMade(t, writePolicy(t, set, "toml"))
		if same, _, of := compared(t, func() string { return "toml" }, made(t, set), made(t, again)); same != of {
			t.Errorf("seed %d: of %d conversations %d are decided the same in TOML", seed, of, same)
		}
	}
	t.Logf("allowed in the end: %v", allowed)
	for _, format := range PolicySources {
		if allowed[format] < 100 {
			t.Errorf("%s: nearly nothing is allowed in the end: %d", format, allowed[format])
		}
	}
}

func randomPolicy(r *rand.Rand) string {
	pick := func(list ...string) string { return list[r.IntN(len(list))] }
	groups := []string{"G0", "G1", "G2", "G3", "external", "host"}
	var b strings.Builder
	for i := range 4 {
		fmt.Fprintf(&b, "[[groups]]\nname='G%d'\nmatch=['%s','%s']\n", i,
			pick("namespace=shop", "namespace=stage,label:app=web", "label:tier!=test,namespace=ops", "namespace=shop,label:app=*", "namespace=shop,label:app~^w"),
			pick("namespace=ops", "namespace=shop,label:app=db", "label:app=web", "namespace=stage,label:tier!=*", "address=10.1.0.0/16", "address=192.0.2.0/24", "dns=api.partner.example", "external"))
	}
	for i := range 1 + r.IntN(7) {
		fmt.Fprintf(&b, "[[policy]]\nid='r%d'\naction='%s'\n", i, pick("allow", "allow", "deny"))
		if r.IntN(4) > 0 {
			fmt.Fprintf(&b, "from=['%s']\n", pick(groups...))
		}
		if r.IntN(6) > 0 {
			fmt.Fprintf(&b, "to=['%s']\n", pick(groups...))
		}
		b.WriteString(pick("", "ports=['tcp/80']\n", "ports=['tcp','udp/53']\n", "ports=['tcp/1-8080']\n", "ports=['icmp/8']\n", "ports=['tcp/443']\n"))
		b.WriteString(pick("", "", "", "protocol='tls'\n", "protocol='http'\n", "where={'http.method'=['GET'],'http.path'=['/ok','/orders/{id}']}\n", "where={'dns.query'=['db.example']}\n"))
	}
	return b.String()
}

// TestTOMLIsTheSame: a policy that was written reads as the same.
func TestTOMLIsTheSame(t *testing.T) {
	text := exported + "undecided={bytes=1,seconds=2,action='allow'}\ncomment='a \"b\"'\nowner='o'\nexpires=2030-01-02\n[policy.where]\n'http.path'=['/" + strings.Repeat("x", 200) + "']\n[modes]\ndefault='monitor'\nweb='protect'\n[failure]\nweb='closed'\n"
	first := parsePolicy(t, text).AppendTOML(nil)
	set := parseMade(t, first)
	if second := set.AppendTOML(nil); string(first) != string(second) {
		t.Errorf("got\n%s\nof\n%s", second, first)
	}
	if r := set.Rules[len(set.Rules)-1]; r.Undecided != (policy.Deadline{Bytes: 1, Seconds: 2, Action: policy.Allow}) || r.Owner != "o" || r.Expires != "2030-01-02" || len(r.Where) != 1 {
		t.Errorf("got %+v", r)
	}
	if set.Modes["web"] != policy.Protect || set.Failure["web"] != policy.Closed || set.Modes[policy.Default] != policy.Monitor {
		t.Errorf("got %v, %v", set.Modes, set.Failure)
	}
}

func workload(namespace string) *policy.Subject {
	return &policy.Subject{Workload: true, Name: "w", Namespace: namespace, Labels: map[string]string{}, Addr: addr("10.3.0.1")}
}

func addr(s string) netip.Addr { return netip.MustParseAddr(s) }
