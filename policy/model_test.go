package policy

import (
	"fmt"
	"math/rand/v2"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// model decides as the documents say, rule by rule and without anything prepared: what Policy does must be the same.
type model struct {
	set  *Set
	mode func(from, to Identity) Mode
	in   func(id Identity, group string) bool
}

func (m *model) decide(c *Context) Verdict {
	v := Verdict{Mode: m.mode(c.From, c.To), Rule: -1, Action: Deny, Why: whyNone}
	var first *Rule
	at := int32(-1)
	rest := []Action{}
	for i := range m.set.Rules {
		r := &m.set.Rules[i]
		a := m.judge(r, c)
		if a == no {
			continue
		}
		rest = append(rest, r.Action)
		if a == yes {
			v.Rule, v.Action, v.Why = int32(i), r.Action, whyRule
			break
		}
		if first == nil {
			first, at = r, int32(i)
		}
	}
	if v.Rule < 0 {
		rest = append(rest, Deny)
	}
	if first != nil {
		v.Why = whySame
		if slices.Contains(rest, Allow) && slices.Contains(rest, Deny) {
			v.Action, v.Rule, v.Why = Undecided, at, whyMessage
			if c.App == AppNone {
				v.Why = whyProtocol
			}
		}
	}
	v.Final = m.always(c, func(*Rule) answer { return maybe })
	v.Settled = v.Final || v.Action != Undecided && m.always(c, func(r *Rule) answer { return m.speaks(c.App, r, false) })
	return v
}

// always reports whether all rules that may match, to the first that surely does, have one action.
func (m *model) always(c *Context, speaks func(*Rule) answer) bool {
	var all []Action
	for i := range m.set.Rules {
		r := &m.set.Rules[i]
		if !m.ends(r, c) {
			continue
		}
		s := speaks(r)
		if r.Protocol == "" && len(r.Where) == 0 {
			s = yes
		}
		if s == no {
			continue
		}
		all = append(all, r.Action)
		if s == yes && len(r.Where) == 0 {
			return len(slices.Compact(all)) == 1
		}
	}
	return !slices.Contains(all, Allow)
}

func (m *model) ends(r *Rule, c *Context) bool {
	one := func(id Identity, groups []string) bool {
		return len(groups) == 0 || slices.ContainsFunc(groups, func(g string) bool { return m.in(id, g) })
	}
	port := len(r.Ports) == 0
	for _, p := range r.Ports {
		port = port || p.Proto == c.Proto && p.Low <= c.Port && c.Port <= p.Top
	}
	return port && one(c.From, r.From) && one(c.To, r.To)
}

func (m *model) speaks(app int, r *Rule, complete bool) answer {
	names := map[string][]string{"http": {"http", "http2", "grpc"}, "http2": {"http2", "grpc"}}
	want := r.Protocol
	if want == "" && len(r.Where) > 0 {
		want, _, _ = strings.Cut(r.Where[0].Field, ".")
	}
	if want == "" {
		return yes
	}
	if app < 0 {
		return map[int]answer{AppNone: maybe, AppUnknown: no}[app]
	}
	switch is := known.Protocols[app]; {
	case is == want || slices.Contains(names[want], is):
		return yes
	case slices.Contains(names[is], want) && !complete:
		return maybe
	}
	return no
}

func (m *model) judge(r *Rule, c *Context) answer {
	if !m.ends(r, c) {
		return no
	}
	out := m.speaks(c.App, r, c.Fields != nil && c.Fields.Complete)
	for _, w := range r.Where {
		if out == no {
			return no
		}
		out = min(out, m.holds(&w, c.Fields, r.Action))
	}
	return out
}

func (m *model) holds(w *Condition, f *Fields, a Action) answer {
	if f == nil {
		return maybe
	}
	some, every, any := false, true, false
	for _, v := range f.values {
		if known.Fields[v.field] != w.Field {
			continue
		}
		fits := slices.ContainsFunc(w.Patterns, func(p string) bool { return regexpOf(p, a == Deny).Match(f.of(v.at)) })
		some, every, any = true, every && fits, any || fits
	}
	switch {
	case a == Deny && any:
		return yes
	case a == Allow && !every:
		return no
	case !f.Complete:
		return maybe
	case a == Allow && some, !some && slices.Contains(w.Patterns, ""):
		return yes
	}
	return no
}

func regexpOf(pattern string, fold bool) *regexp.Regexp {
	text := regexp.QuoteMeta(pattern)
	text = strings.ReplaceAll(text, `\*`, `.*`)
	text = regexp.MustCompile(`\\\{[^}]*\\\}`).ReplaceAllString(text, `[^/]+`)
	flags := "(?s)"
	if fold {
		flags = "(?si)"
	}
	return regexp.MustCompile(flags + `\A(?:` + text + `)\z`)
}

// TestModel compares Policy with the model: random small sets of rules, all contexts.
func TestModel(t *testing.T) {
	rounds := 120
	if testing.Short() {
		rounds = 30
	}
	for seed := range rounds {
		r := rand.New(rand.NewPCG(uint64(seed), 7))
		text := randomPolicy(r)
		p := compile(t, text)
		m := model{p.Set(), p.Mode, p.In}
		var ids []Identity
		for _, name := range []string{"", "a", "b", "ab", "c"} {
			s := Subject{}
			if name != "" {
				s = Subject{Workload: true, Name: name}
			}
			ids = append(ids, p.Identify(&s))
		}
		for _, c := range allContexts(t, ids) {
			got, want := p.Decide(&c), m.decide(&c)
			if got != want {
				t.Fatalf("seed %d, %s: got %+v, want %+v\n%s", seed, shownContext(&c), got, want, text)
			}
		}
	}
}

func shownContext(c *Context) string {
	text := fmt.Sprintf("%d > %d, %d/%d, app %d", c.From, c.To, c.Proto, c.Port, c.App)
	if c.Fields != nil {
		text += fmt.Sprintf(", complete %v", c.Fields.Complete)
		for i := range c.Fields.values {
			v := &c.Fields.values[i]
			text += fmt.Sprintf(" %s=%q", known.Fields[v.field], c.Fields.of(v.at))
		}
	}
	return text
}

func allContexts(t *testing.T, ids []Identity) (out []Context) {
	messages := []*Fields{nil, message(t), message(t, "...")}
	for _, more := range [][]string{{}, {"..."}} {
		for _, m := range [][]string{{"redis.command=GET"}, {"redis.command=GET", "redis.command=SET"}, {"http.method=GET"}, {"http.method=GET", "http.host=x"}, {"grpc.service=a/b", "http.method=GET"}} {
			messages = append(messages, message(t, append(slices.Clone(m), more...)...))
		}
	}
	for _, from := range ids {
		for _, to := range ids {
			for _, port := range []Port{{Proto: 6, Low: 80}, {Proto: 6, Low: 81}, {Proto: 6, Low: 85}, {Proto: 17, Low: 80}, {Proto: 1, Low: 8 << 8}, {Proto: 58, Low: 128 << 8}, {Proto: 47}} {
				for _, app := range []int{AppNone, AppUnknown, 0, 1, 2, 4} {
					for _, f := range messages {
						out = append(out, Context{From: from, To: to, Proto: port.Proto, Port: port.Low, App: app, Fields: f})
					}
				}
			}
		}
	}
	return out
}

func randomPolicy(r *rand.Rand) string {
	pick := func(list ...string) string { return list[r.IntN(len(list))] }
	var b strings.Builder
	b.WriteString("[[groups]]\nname='A'\nmatch=['name=*a*']\n[[groups]]\nname='B'\nmatch=['name=*b*']\n")
	for i := range r.IntN(7) {
		fmt.Fprintf(&b, "[[policy]]\nid='r%d'\naction='%s'\n", i, pick("allow", "deny"))
		b.WriteString(pick("", "", "from=['A']\n", "from=['B', 'unknown']\n", "from=['A','A','B']\n"))
		b.WriteString(pick("", "", "to=['A']\n", "to=['B']\n", "to=['unknown']\n"))
		b.WriteString(pick("", "", "ports=['tcp/80']\n", "ports=['tcp/80-84','icmp']\n", "ports=['udp']\n", "ports=['gre','tcp/81']\n"))
		switch r.IntN(4) {
		case 0:
			b.WriteString("protocol='" + pick("http", "http2", "grpc", "redis", "any") + "'\n")
		case 1:
			b.WriteString("where={'redis.command'=['" + pick("GET", "*", "S*", "{x}T", "", "','GET") + "']}\n")
		case 2:
			b.WriteString("protocol='" + pick("http", "grpc") + "'\nwhere={'http.method'=['" + pick("GET", "P*", "*", "") + "'],'grpc.service'=['" + pick("{x}", "{x}/b", "*") + "']}\n")
		}
	}
	b.WriteString("[modes]\n")
	for _, g := range []string{"default", "A", "B", "unknown"} {
		if r.IntN(2) == 0 {
			b.WriteString(g + "='" + pick(Modes...) + "'\n")
		}
	}
	return b.String()
}

// TestPatternsAsExpressions compares patterns with regular expressions: all short values.
func TestPatternsAsExpressions(t *testing.T) {
	var values []string
	var grow func(s string)
	grow = func(s string) {
		values = append(values, s)
		if len(s) < 6 {
			for _, c := range "ab/" {
				grow(s + string(c))
			}
		}
	}
	grow("")
	r := rand.New(rand.NewPCG(1, 2))
	for range 400 {
		var list []string
		for range 1 + r.IntN(4) {
			p := ""
			for range r.IntN(6) {
				p += []string{"a", "b", "/", "*", "{x}", "ab", "a/"}[r.IntN(7)]
			}
			if what := checkPattern(p); what != "" {
				t.Fatal(what)
			}
			list = append(list, p)
		}
		ps := newInterned().compile(list, false)
		var res []*regexp.Regexp
		for _, p := range list {
			res = append(res, regexpOf(p, false))
		}
		for _, s := range values {
			want := slices.ContainsFunc(res, func(re *regexp.Regexp) bool { return re.MatchString(s) })
			if got := ps.fits([]byte(s), false); got != want {
				t.Fatalf("%q of %q: got %v", s, list, got)
			}
		}
	}
}

// TestManyAsk: what is remembered is shared by who asks at once.
func TestManyAsk(t *testing.T) {
	p := compile(t, example)
	done := make(chan bool)
	for g := range 4 {
		go func() {
			for i := range 2000 {
				s := Subject{Workload: true, Name: fmt.Sprint("web", i%7), Namespace: []string{"shop", "x", ""}[(i+g)%3]}
				c := Context{From: p.Identify(&s), To: p.Identify(&Subject{Workload: true, Name: "web"}), Proto: 6, Port: uint16(i % 100), App: AppNone}
				if v := p.Decide(&c); v.Mode != Protect {
					t.Error("the mode is wrong")
				}
			}
			done <- true
		}()
	}
	for range 4 {
		<-done
	}
}
