package weir_test

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"weir/alert"
	"weir/daemon"
	"weir/dissect"
	"weir/dlp"
	"weir/engine"
	"weir/flow"
	"weir/policy"
	"weir/rules"
	"weir/wire"
)

// compilePolicy makes a policy of the text of a file.
func compilePolicy(t testing.TB, text string) *policy.Policy {
	t.Helper()
	set, problems := policy.Parse("policy.toml", []byte(text), policy.Options{Fields: dissect.FieldNames})
	for _, p := range problems {
		t.Fatal(p)
	}
	p, problems := policy.Compile(set, time.Time{}, engine.FieldNumber, engine.ProtocolNumber)
	for _, p := range problems {
		t.Fatal(p)
	}
	return p
}

// TestCasesHeld plays the cases that say what may reach an end through a queue, in every way: of an offending message that comes in one
// segment nothing does, of one cut up never the byte that decides it, nor any after.
func TestCasesHeld(t *testing.T) {
	n := 0
	for _, c := range loadCases(t) {
		if c.reaches == nil && c.answers == nil {
			continue
		}
		n++
		t.Run(c.name, func(t *testing.T) {
			for _, wrap := range wrappings() {
				if !strings.HasPrefix(wrap.name, "plain") {
					continue
				}
				for _, w := range ways {
					if c.dialogue.udp && w.name != "whole" || c.dialogue.not == w.name {
						continue
					}
					got, blocked, cuts := holdBoth(t, c, play(t, c.dialogue, w, wrap))
					exact := w.name == "bytes" || c.dialogue.udp
					for dir, want := range []*string{wire.ToServer: c.reaches, wire.ToClient: c.answers} {
						if want != nil && got[dir] != *want && (exact || !strings.HasPrefix(*want, got[dir])) {
							t.Errorf("%s, %s: the %s has %q, want %q", wrap.name, w.name, []string{"server", "client"}[dir], got[dir], *want)
						}
					}
					want := 0
					for _, x := range c.want {
						if x.Rule != "" {
							want = 1
						}
					}
					if cuts != want || blocked < want {
						t.Errorf("%s, %s: %d conversations were cut, %d alerts say so; want %d", wrap.name, w.name, cuts, blocked, want)
					}
				}
			}
		})
	}
	if n == 0 {
		t.Fatal("no cases")
	}
}

// block compiles those of the case's rules that block, once.
func (c *testCase) block(t *testing.T) {
	if c.own != nil {
		return
	}
	set, problems := daemon.LoadRules([]string{c.rules}, false)
	if problems.Failed() {
		t.Fatal(problems)
	}
	c.own = set.Own
	if set = set.Blocking(); len(set.Rules) == 0 {
		return
	}
	db, err := dlp.Compile(set, dlp.Options{FingerprintKey: []byte("a key for tests, thirty-two byte")})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(db.Close)
	c.blocks = db
}

// hold gives frames to a queue, and returns what its server got to read.
func hold(t *testing.T, c *testCase, frames [][]byte) (reached string, blocked, cuts int) {
	t.Helper()
	read, blocked, cuts := holdBoth(t, c, frames)
	return read[wire.ToServer], blocked, cuts
}

// holdBoth gives frames to a queue, and returns what each end got to read, by the direction that it came in.
func holdBoth(t *testing.T, c *testCase, frames [][]byte) (read [2]string, blocked, cuts int) {
	t.Helper()
	drops := 0
	e := engine.New(engine.Config{
		Flow: flow.DefaultLimits, Dissect: dissect.DefaultLimits, Events: map[string]bool{"alert": true, "drop": true},
		Emit: func(ev *alert.Event) {
			switch {
			case ev.Type == "drop":
				drops++
			case ev.Alert.Action == "blocked":
				blocked++
			}
		},
	})
	e.SetPolicy(c.policy)
	if c.rules != "" {
		c.block(t)
		e.SetRules(c.blocks)
		e.SetOwn(c.own)
	}
	lane := e.NewLane()
	defer lane.Free()
	lane.OnPanic = func(stack string) { t.Errorf("panic: %s", stack) }
	tap := e.NewTap(engine.TapConfig{Cut: func(*engine.Cut) { cuts++ }})
	ends := flow.New[struct{}](flow.DefaultLimits, flow.Linux, flow.ChecksumAuto)
	var dec wire.Decoder
	var b [2]strings.Builder
	dropped := false
	for i, data := range frames {
		f := []wire.Frame{{Data: data, Time: caseStart + int64(i)*caseStep, Len: uint32(len(data)), Link: wire.LinkEthernet}}
		ruling := make([]engine.Ruling, 1)
		lane.Judge(tap, f, ruling)
		if ruling[0] == engine.Drop {
			dropped = true
			continue
		}
		if dropped {
			t.Errorf("frame %d passes, though one before was dropped", i)
		}
		var p wire.Packet
		if dec.Decode(&f[0], &p) != wire.OK {
			t.Fatalf("frame %d cannot be decoded", i)
		}
		fl, chunks := ends.Push(&p)
		for _, ch := range chunks {
			if fl != nil {
				b[ch.Dir].Write(ch.Data)
			}
		}
	}
	lane.Close(tap)
	if drops != cuts {
		t.Errorf("%d conversations were cut, and %d are told", cuts, drops)
	}
	return [2]string{b[0].String(), b[1].String()}, blocked, cuts
}

// TestNames: a group of a DNS name is whoever an answer was seen to name so.
func TestNames(t *testing.T) {
	const dialogue = `udp 40000 53
> \x12\x34\x01\x00\x00\x01\x00\x00\x00\x00\x00\x00\x02DB\x07example\x03org\x00\x00\x01\x00\x01
< \x12\x34\x81\x80\x00\x01\x00\x01\x00\x00\x00\x00\x02DB\x07example\x03org\x00\x00\x01\x00\x01\xc0\x0c\x00\x01\x00\x01\x00\x00\x00\x3c\x00\x04\x0a\x01\x00\x02
`
	policy := compilePolicy(t, `
[modes]
default = "protect"
[[groups]]
name = "db"
match = ["dns=*.example.org"]
[[policy]]
id = "lookups"
ports = ["udp/53"]
action = "allow"
[[policy]]
id = "to-db"
to = ["db"]
ports = ["tcp/80"]
action = "allow"
`)
	parse := func(text string) [][]byte {
		d, err := parseDialogue(text)
		if err != nil {
			t.Fatal(err)
		}
		return play(t, d, ways[0], wrappings()[0])
	}
	lookup, request := parse(dialogue), parse("tcp 40001 80\n> GET / HTTP/1.1\\r\\nHost: a\\r\\n\\r\\n\n")
	for name, c := range map[string]struct {
		frames [][]byte
		cuts   int
	}{
		"looked up":     {slices.Concat(lookup, request), 0},
		"not looked up": {request, 1},
		"query alone":   {slices.Concat(lookup[:1], request), 1},
	} {
		t.Run(name, func(t *testing.T) {
			if _, _, cuts := hold(t, &testCase{policy: policy}, c.frames); cuts != c.cuts {
				t.Errorf("%d cut, want %d", cuts, c.cuts)
			}
		})
	}
}

// TestManyStreams: as many uploads as HTTP/2 has under way at a time are all let through, and one that is not allowed is not lost among them.
func TestManyStreams(t *testing.T) {
	const uploads = `
[modes]
default = "protect"
[[policy]]
id = "uploads"
protocol = "http"
where = { "http.path" = ["/up/*"] }
action = "allow"
`
	field := func(n, v string) string { return "\x00" + string(rune(len(n))) + n + string(rune(len(v))) + v }
	frame := func(typ, flags byte, stream int, text string) string {
		return string([]byte{0, byte(len(text) >> 8), byte(len(text)), typ, flags, 0, 0, byte(stream >> 8), byte(stream)}) + text
	}
	open := func(stream int, path string) string {
		return frame(1, 4, stream, field(":method", "POST")+field(":scheme", "http")+field(":path", path)+field(":authority", "a"))
	}
	for _, bad := range []int{-1, 150} {
		d := &dialogue{client: 40000, srv: 80}
		say := func(text string) { d.actions = append(d.actions, action{kind: "data", client: true, data: text}) }
		say("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + frame(4, 0, 0, ""))
		for i := range 200 {
			path := fmt.Sprintf("/up/%d", i)
			if i == bad {
				path = "/admin"
			}
			say(open(1+2*i, path) + frame(0, 0, 1+2*i, "some"))
		}
		for i := range 200 {
			say(frame(0, 1, 1+2*i, "the rest"))
		}
		want := 0
		if bad >= 0 {
			want = 1
		}
		if _, _, cuts := hold(t, &testCase{policy: compilePolicy(t, uploads)}, play(t, d, ways[0], wrappings()[0])); cuts != want {
			t.Errorf("bad stream %d: %d cut, want %d", bad, cuts, want)
		}
	}
}

// TestPipelines: of requests that are sent at once, without waiting for answers, only what is left of the last one waits for its verdict.
func TestPipelines(t *testing.T) {
	const some = `
[modes]
default = "protect"
[[policy]]
id = "some"
protocol = "redis"
where = { "redis.command" = ["SET"] }
action = "allow"
[[policy]]
id = "pages"
protocol = "http"
where = { "http.path" = ["/ok"] }
action = "allow"
`
	lines, get := strings.Repeat("SET key value\r\n", 1000), "GET /ok HTTP/1.1\r\nHost: a\r\n\r\n"
	for name, c := range map[string]struct {
		said []string
		cuts int
	}{
		"whole":            {[]string{lines}, 0},
		"cut":              {[]string{lines + "SET k", "ey value\r\n" + lines + "SE", "T key value\r\n"}, 0},
		"one that is not":  {[]string{lines + "SET k", "ey value\r\nDEL key\r\n" + lines}, 1},
		"an endless one":   {[]string{lines + "SET k", strings.Repeat("e", 3000), strings.Repeat("y", 3000)}, 1},
		"requests":         {[]string{strings.Repeat(get, 300) + get[:20], get[20:] + strings.Repeat(get, 300) + get[:10], get[10:]}, 0},
		"an endless head":  {[]string{strings.Repeat(get, 300) + get[:20], "\r\nA: " + strings.Repeat("a", 3000), strings.Repeat("a", 3000)}, 1},
		"one piece of all": {[]string{lines[:7], strings.Repeat(lines, 10)[7:]}, 0},
	} {
		t.Run(name, func(t *testing.T) {
			d := &dialogue{client: 40000, srv: 6379}
			for _, text := range c.said {
				d.actions = append(d.actions, action{kind: "data", client: true, data: text})
			}
			if _, _, cuts := hold(t, &testCase{policy: compilePolicy(t, some)}, play(t, d, ways[0], wrappings()[0])); cuts != c.cuts {
				t.Errorf("%d cut, want %d", cuts, c.cuts)
			}
		})
	}
}

// TestBegunBefore: a connection that began before it was watched is judged as soon as it is known what it is; until then it is what nobody can judge.
func TestBegunBefore(t *testing.T) {
	const pages = "[modes]\ndefault = \"protect\"\n[[policy]]\nid = \"pages\"\nports = [\"tcp/80\"]\nprotocol = \"http\"\nwhere = { \"http.path\" = [\"/ok\"] }\naction = \"allow\"\n"
	strange := strings.Repeat("\x01\x02\x03\xf4", 500)
	get := func(path string) string { return "GET " + path + " HTTP/1.1\r\nHost: a\r\n\r\n" }
	for _, c := range []struct {
		name         string
		port         uint16
		said         []string
		open, closed int // conversations that are cut
	}{
		{"in no known protocol", 80, []string{strange, strange, strange, strange}, 0, 1},
		{"a little of that, then nothing", 80, []string{strange}, 0, 1},
		{"in the middle of a body", 80, []string{strange, get("/ok"), get("/ok")}, 0, 0},
		{"another path after that", 80, []string{strange, get("/ok"), get("/admin")}, 1, 1},
		{"another port", 81, []string{strange}, 1, 1},
	} {
		for closed, want := range map[bool]int{false: c.open, true: c.closed} {
			d := &dialogue{client: 40000, srv: c.port}
			for _, text := range c.said {
				d.actions = append(d.actions, action{kind: "data", client: true, data: text})
			}
			cuts := 0
			e := engine.New(engine.Config{Flow: flow.DefaultLimits, Dissect: dissect.DefaultLimits})
			e.SetPolicy(compilePolicy(t, pages))
			lane := e.NewLane()
			lane.OnPanic = func(stack string) { t.Errorf("panic: %s", stack) }
			tap := e.NewTap(engine.TapConfig{Cut: func(*engine.Cut) { cuts++ }})
			tap.SetClosed(closed)
			now := int64(caseStart)
			for _, data := range play(t, d, ways[0], wrappings()[0])[3:] { // without the handshake
				now += caseStep
				lane.Judge(tap, []wire.Frame{{Data: data, Time: now, Len: uint32(len(data)), Link: wire.LinkEthernet}}, make([]engine.Ruling, 1))
			}
			for range 10 {
				now += 1e9
				lane.Tick(tap, now)
			}
			if cuts != want {
				t.Errorf("%s, closed %v: %d cut, want %d", c.name, closed, cuts, want)
			}
			lane.Close(tap)
			lane.Free()
		}
	}
}

// TestManyUndecided: thousands of conversations that never say what they are, some of which end and some of which do not, are cut when their time is over: those that
// are left, each once.
func TestManyUndecided(t *testing.T) {
	cuts := map[wire.Key]int{}
	e := engine.New(engine.Config{Flow: flow.DefaultLimits, Dissect: dissect.DefaultLimits})
	e.SetPolicy(compilePolicy(t, "[modes]\ndefault = \"protect\"\n[[policy]]\nid = \"ok\"\nprotocol = \"http\"\nwhere = { \"http.path\" = [\"/ok\"] }\naction = \"allow\"\n"))
	lane := e.NewLane()
	defer lane.Free()
	lane.OnPanic = func(stack string) { t.Errorf("panic: %s", stack) }
	tap := e.NewTap(engine.TapConfig{Cut: func(c *engine.Cut) { cuts[wire.Key{APort: c.Client.Port()}]++ }})
	now := int64(caseStart)
	const all, ended = 3000, 1000
	for i := range all {
		d := &dialogue{client: uint16(20000 + i), srv: 80, actions: []action{{kind: "data", client: true, data: "GET /o"}}}
		frames := play(t, d, ways[0], wrappings()[0])
		if i%3 != 0 { // without the end
			frames = frames[:4]
		}
		for _, data := range frames {
			now += 1000
			lane.Judge(tap, []wire.Frame{{Data: data, Time: now, Len: uint32(len(data)), Link: wire.LinkEthernet}}, make([]engine.Ruling, 1))
		}
	}
	for range 30 {
		now += 1e9
		lane.Tick(tap, now)
	}
	lane.Close(tap)
	for port, n := range cuts {
		if n != 1 {
			t.Errorf("%v was cut %d times", port, n)
		}
	}
	if len(cuts) != all-ended {
		t.Errorf("%d were cut, want %d", len(cuts), all-ended)
	}
}

// TestTunnelsHeld: what belongs to a tunnel in names or pings is stopped from the moment on in which it is known, in whatever flow it comes, for it
// was told; other names and pings pass.
func TestTunnelsHeld(t *testing.T) {
	e := engine.New(engine.Config{Flow: flow.DefaultLimits, Dissect: dissect.DefaultLimits, Events: map[string]bool{"alert": true}, Emit: func(*alert.Event) {}})
	e.SetPolicy(compilePolicy(t, "[modes]\ndefault = \"protect\"\n[[policy]]\nid = \"any\"\naction = \"allow\"\n"))
	e.SetOwn(map[string]*rules.Rule{"tunnel.dns": {ID: "tunnel.dns", Action: rules.Block}})
	lane := e.NewLane()
	defer lane.Free()
	tap := e.NewTap(engine.TapConfig{Cut: func(*engine.Cut) {}})
	now := int64(caseStart)
	ask := func(i int, name string) engine.Ruling {
		query := "\x12\x34\x01\x00\x00\x01\x00\x00\x00\x00\x00\x00"
		for label := range strings.SplitSeq(name, ".") {
			query += string(rune(len(label))) + label
		}
		d := &dialogue{client: uint16(20000 + i), srv: 53, udp: true, actions: []action{{kind: "data", client: true, data: query + "\x00\x00\x10\x00\x01"}}}
		ruling := make([]engine.Ruling, 1)
		now += 1e8
		data := play(t, d, ways[0], wrappings()[0])[0]
		lane.Judge(tap, []wire.Frame{{Data: data, Time: now, Len: uint32(len(data)), Link: wire.LinkEthernet}}, ruling)
		return ruling[0]
	}
	r := rand.New(rand.NewPCG(1, 2))
	encoded := func() string {
		const letters = "abcdefghijklmnopqrstuvwxyz234567"
		b := make([]byte, 48)
		for i := range b {
			b[i] = letters[r.IntN(len(letters))]
		}
		return string(b) + ".t.example.com"
	}
	passed := 0
	for i := range 200 {
		if ask(i, encoded()) != engine.Drop {
			passed++
		}
		if ask(1000+i, "www.example.org") == engine.Drop || ask(2000+i, "www.example.com") == engine.Drop {
			t.Fatalf("an ordinary name is stopped, query %d", i)
		}
	}
	if passed == 0 || passed > 60 {
		t.Errorf("%d of 200 queries of the tunnel passed", passed)
	}
	lane.Close(tap)
}

// TestDropsBounded: of a flood of conversations that are cut off each is, a bounded number of them is told, and how many were not.
func TestDropsBounded(t *testing.T) {
	var told, heldBack uint64
	e := engine.New(engine.Config{
		Flow: flow.DefaultLimits, Dissect: dissect.DefaultLimits, Limiter: alert.NewLimiter(), Events: map[string]bool{"drop": true},
		Full: func() bool { return true }, // other events have no room: these have their own
		Emit: func(ev *alert.Event) {
			told++
			heldBack += ev.Weir.HeldBack
		},
	})
	e.SetPolicy(compilePolicy(t, "[modes]\ndefault = \"protect\"\n"))
	lane := e.NewLane()
	defer lane.Free()
	var cuts uint64
	tap := e.NewTap(engine.TapConfig{Cut: func(*engine.Cut) { cuts++ }})
	const flood = 1000
	ask := func(i int, now int64) {
		d := &dialogue{client: uint16(20000 + i), srv: 53, udp: true, actions: []action{{kind: "data", client: true, data: "x"}}}
		data := play(t, d, ways[0], wrappings()[0])[0]
		lane.Judge(tap, []wire.Frame{{Data: data, Time: now, Len: uint32(len(data)), Link: wire.LinkEthernet}}, make([]engine.Ruling, 1))
	}
	for i := range flood {
		ask(i, caseStart)
	}
	if told == 0 || told > flood/2 || cuts != flood {
		t.Errorf("%d conversations were cut, %d of these told", cuts, told)
	}
	ask(flood, caseStart+5e9)
	lane.Close(tap)
	if told+heldBack != flood+1 || tap.Counters().DropsHeldBack != heldBack {
		t.Errorf("%d are told, and of %d that they were held back, of %d; %d are counted", told, heldBack, flood+1, tap.Counters().DropsHeldBack)
	}
}

// TestCarriersHeld: a tunnel that is allowed is never cleared as a whole, whatever else its datagrams are: what it carries is judged on its own.
func TestCarriersHeld(t *testing.T) {
	arp := "\xff\xff\xff\xff\xff\xff\x02\x00\x00\x00\x00\x01\x08\x06\x00\x01\x08\x00\x06\x04\x00\x01" + strings.Repeat("\x00", 20)
	vxlan := "\x08\x00\x00\x00\x00\x00\x07\x00" + arp
	capwap := "\x00\x10\x02\x00\x00\x00\x00\x00" + arp
	for _, c := range []struct {
		name, rule, data string
		port             uint16
	}{
		{"vxlan", `protocol = "vxlan"`, vxlan, 4789},
		{"vxlan by port", `ports = ["udp/4789"]`, vxlan, 4789},
		{"capwap by port", `ports = ["udp/5247"]`, capwap, 5247},
	} {
		e := engine.New(engine.Config{Flow: flow.DefaultLimits, Dissect: dissect.DefaultLimits})
		e.SetPolicy(compilePolicy(t, "[modes]\ndefault = \"protect\"\n[[policy]]\nid = \"tunnel\"\n"+c.rule+"\naction = \"allow\"\n"))
		lane := e.NewLane()
		tap := e.NewTap(engine.TapConfig{Cut: func(*engine.Cut) {}})
		for i := range 5 {
			d := &dialogue{client: 40000, srv: c.port, udp: true, actions: []action{{kind: "data", client: true, data: c.data}}}
			data := play(t, d, ways[0], wrappings()[0])[0]
			ruling := make([]engine.Ruling, 1)
			lane.Judge(tap, []wire.Frame{{Data: data, Time: caseStart + int64(i)*1e9, Len: uint32(len(data)), Link: wire.LinkEthernet}}, ruling)
			if ruling[0] != engine.Pass {
				t.Errorf("%s: ruling %v of datagram %d", c.name, ruling[0], i)
			}
		}
		lane.Close(tap)
		lane.Free()
	}
}
