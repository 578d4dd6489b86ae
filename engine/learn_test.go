package engine

import (
	"strings"
	"testing"

	"weir/dissect"
	"weir/flow"
	"weir/policy"
	"weir/wire"
)

func testLearn() (*Learn, *policy.Learner) {
	l := policy.NewLearner(Terms)
	return &Learn{Party: l.Party, Exchange: func(s *policy.Seen) *policy.Seen { l.Merge(s); s.Reset(); return s }}, l
}

// What is said is learned: in patterns, with what was refused, and not what nobody answered.
func TestLearn(t *testing.T) {
	learn, learner := testLearn()
	e := New(Config{Flow: flow.DefaultLimits, Checksum: flow.ChecksumIgnore, Dissect: dissect.DefaultLimits, Learn: learn})
	k := &talk{lane: e.NewLane(), tap: e.NewTap(TapConfig{}), seq: [2]uint32{1000, 2000}, now: 1e18}
	k.say(wire.ToServer, 0x02, "")
	k.seq[wire.ToServer]++
	k.say(wire.ToClient, 0x12, "")
	k.seq[wire.ToClient]++
	k.say(wire.ToServer, 0x10, "")
	for _, x := range [][2]string{{"/orders/17", "200 OK"}, {"/orders/18", "200 OK"}, {"/secret", "404 Not Found"}} {
		k.say(wire.ToServer, 0x18, "GET "+x[0]+"?a=b HTTP/1.1\r\nHost: shop.example\r\n\r\n")
		k.say(wire.ToClient, 0x18, "HTTP/1.1 "+x[1]+"\r\nContent-Length: 0\r\n\r\n")
	}
	k.say(wire.ToServer, 0x18, "PO")
	k.say(wire.ToServer, 0x18, "ST /orders HTTP/1.1\r\nHost: shop.example\r\nContent-Length: 4\r\n\r\nab")
	k.say(wire.ToServer, 0x18, "cd")
	k.lane.Close(k.tap)
	k.lane.Free()
	got := string(learner.Propose(&policy.Set{}, 0).AppendTOML(nil))
	for _, want := range []string{
		`where = { "http.method" = ["GET"], "http.path" = ["/orders/{id}", "/secret"], "http.host" = ["shop.example"] }`,
		`where = { "http.method" = ["POST"], "http.path" = ["/orders"], "http.host" = ["shop.example"] }`,
		"always refused so far: /secret", "# seen 3 times, 1 of them refused", `protocol = "http"`,
	} {
		if !strings.Contains(got, want) {
			t.Errorf("the proposal lacks %s", want)
		}
	}
	if strings.Count(got, "[[policy]]") != 2 {
		t.Error("want two rules")
	}
	if t.Failed() {
		t.Log(got)
	}
}

// A connection that nobody answers teaches nothing.
func TestLearnScan(t *testing.T) {
	learn, learner := testLearn()
	e := New(Config{Flow: flow.DefaultLimits, Checksum: flow.ChecksumIgnore, Dissect: dissect.DefaultLimits, Learn: learn})
	k := &talk{lane: e.NewLane(), tap: e.NewTap(TapConfig{}), seq: [2]uint32{1000, 2000}, now: 1e18}
	k.say(wire.ToServer, 0x02, "")
	k.seq[wire.ToServer]++
	k.say(wire.ToClient, 0x14, "")
	k.lane.Close(k.tap)
	k.lane.Free()
	if x := learner.Extent(); x.Edges != 0 {
		t.Errorf("got %+v", x)
	}
}

// Noting what is known already allocates nothing.
func TestLearnNoAllocation(t *testing.T) {
	learn, _ := testLearn()
	e := New(Config{Flow: flow.DefaultLimits, Checksum: flow.ChecksumIgnore, Dissect: dissect.DefaultLimits, Learn: learn})
	k := &talk{lane: e.NewLane(), tap: e.NewTap(TapConfig{}), seq: [2]uint32{1000, 2000}, now: 1e18}
	t.Cleanup(k.lane.Free)
	k.say(wire.ToServer, 0x02, "")
	k.seq[wire.ToServer]++
	k.say(wire.ToClient, 0x12, "")
	k.seq[wire.ToClient]++
	ask := func() {
		k.say(wire.ToServer, 0x18, "GET /orders/17 HTTP/1.1\r\nHost: shop.example\r\n\r\n")
		k.say(wire.ToClient, 0x18, "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")
	}
	for range 100 {
		ask()
	}
	if n := testing.AllocsPerRun(200, ask); n != 0 {
		t.Errorf("%v allocations for a request and its answer", n)
	}
}
