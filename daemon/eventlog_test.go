package daemon

import (
	"fmt"
	"net/netip"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"weir/alert"
)

// kept returns the numbers of the events that a log keeps.
func keptNumbers(t *testing.T, log *EventLog) (out []int) {
	x, _ := log.open(nil)
	log.each(x, func(line []byte) { out = append(out, numberOf(t, line)) })
	if len(out) != x.lines {
		t.Errorf("%d lines, but %d are counted", len(out), x.lines)
	}
	return out
}

func TestEventLogKeepsTheLast(t *testing.T) {
	log := NewEventLog(1000)
	if got := keptNumbers(t, log); got != nil {
		t.Errorf("an empty log has %v", got)
	}
	for n := range 500 {
		ev := numbered(n + 1)
		ev.Iface = string(make([]byte, n%50)) // lines of many lengths
		told(t, log, ev)
		got := keptNumbers(t, log)
		want := make([]int, len(got))
		for i := range want {
			want[i] = n + 2 - len(got) + i
		}
		if len(got) == 0 || !slices.Equal(got, want) || n > 20 && len(got) < 2 {
			t.Fatalf("after %d: got %v, want %v", n+1, got, want)
		}
	}
	ev := numbered(1000)
	ev.Iface = string(make([]byte, 2000))
	told(t, log, ev) // too long to be kept: the others stay
	if got := keptNumbers(t, log); !slices.Contains(got, 500) || slices.Contains(got, 1000) {
		t.Errorf("after a line that is too long: got %v", got)
	}
}

// What was kept when an extent was taken may be overwritten while it is read.
func TestEventLogOvertaken(t *testing.T) {
	log := NewEventLog(1 << 20)
	for n := range 20_000 {
		told(t, log, numbered(n))
	}
	x, _ := log.open(nil)
	var got []int
	log.each(x, func(line []byte) {
		n := numberOf(t, line)
		if len(got) > 0 && n <= got[len(got)-1] {
			t.Fatalf("%d after %d", n, got[len(got)-1])
		}
		got = append(got, n)
		told(t, log, numbered(30_000+len(got)))
		told(t, log, numbered(30_000+len(got)))
	})
	if n := len(got); n == 0 || n >= x.lines || got[n-1] >= 30_000 {
		t.Errorf("got %d of %d lines, up to %d", n, x.lines, got[n-1])
	}
}

func TestEventLogFollowers(t *testing.T) {
	log := NewEventLog(1 << 20)
	_, all := log.open(&Filter{})
	_, some := log.open(&Filter{Since: time.Unix(1000, 0)})
	var line []byte
	for n := range 20_000 {
		told(t, log, numbered(n))
	}
	lines, missed := log.take(all)
	for _, l := range lines {
		line = append(line, l...)
	}
	if len(lines)+int(missed) != 20_000 || missed == 0 || len(line) > followBytes || numberOf(t, lines[len(lines)-1]) != len(lines)-1 {
		t.Errorf("got %d lines of %d bytes, %d missed", len(lines), len(line), missed)
	}
	if n, ok := Missed(missedLine(missed)); n != missed || !ok {
		t.Errorf("missed: got %d, %v", n, ok)
	}
	if lines, _ := log.take(some); numberOf(t, lines[0]) != 1000 {
		t.Errorf("a filter let %s through", lines[0])
	}
	told(t, log, numbered(5000))
	if lines, missed := log.take(all); len(lines) != 1 || missed != 0 {
		t.Errorf("after it has caught up: got %d lines, %d missed", len(lines), missed)
	}
	log.leave(all)
	told(t, log, numbered(5001))
	if lines, _ := log.take(all); len(lines) != 0 {
		t.Error("who has left gets lines")
	}
}

func testExchange() *alert.Event {
	return &alert.Event{
		Time: time.Now().UnixNano(), Type: "http", FlowID: 1<<52 + 12345, Iface: "veth12ab34cd", Src: netip.MustParseAddrPort("10.99.0.2:40000"), Dst: netip.MustParseAddrPort("10.99.0.1:80"),
		Proto: 6, AppProto: "http", CommunityID: "1:3k1SoWXs/FltHw2aBCgUTgbDQF4=", TxID: 4,
		App:  &alert.App{Name: "http", Text: []byte(`"http":{"http_method":"GET","url":"/catalogue?item=42","hostname":"shop.example","http_user_agent":"curl/7.88.1","protocol":"HTTP/1.1"}`)},
		Weir: alert.Weir{Src: &alert.Workload{ID: "abc", Name: "cart-0", Namespace: "shop", Pod: "cart-0"}, Dst: &alert.Workload{Name: "web"}},
	}
}

// What an event costs: written to eve.json alone, kept for those who ask too, and with followers whose filters it does not meet, or does.
func BenchmarkSink(b *testing.B) {
	for _, c := range []struct {
		name      string
		followers int
		filter    Filter
	}{{"eve.json alone", -1, Filter{}}, {"nobody follows", 0, Filter{}}, {"10 filters that do not match", 10, Filter{Pod: "shop/db-0"}}, {"1 follower of all", 1, Filter{}}} {
		b.Run(c.name, func(b *testing.B) {
			eve, err := alert.NewFile(filepath.Join(b.TempDir(), "eve.json"), 64<<20, 1)
			if err != nil {
				b.Fatal(err)
			}
			s := &sink{eve: eve, events: NewEventLog(eventLogBytes), alerts: NewEventLog(alertLogBytes)}
			defer s.Close()
			var out alert.Sink = s
			if c.followers < 0 {
				out = eve
			}
			for range c.followers {
				s.events.open(&c.filter)
			}
			ev := testExchange()
			b.ReportAllocs()
			n := 0
			for b.Loop() {
				if err := out.Write(ev); err != nil {
					b.Fatal(err)
				}
				if n++; n%1000 == 0 {
					for f := range s.events.followers {
						s.events.take(f)
					}
				}
			}
		})
	}
}

func TestFilter(t *testing.T) {
	ev := testExchange()
	ev.Weir.Severity, ev.Weir.Rule = "high", "my.rule"
	icmp := &alert.Event{Proto: 58}
	blocked := &alert.Event{Alert: &alert.Alert{Action: "blocked"}}
	for _, c := range []struct {
		f    Filter
		ev   *alert.Event
		want bool
	}{
		{Filter{}, ev, true},
		{Filter{Pod: "shop/cart-0"}, ev, true},
		{Filter{Pod: "shop/cart-1"}, ev, false},
		{Filter{Pod: "shopx/cart-0"}, ev, false},
		{Filter{FromPod: "shop/cart-0"}, ev, true},
		{Filter{ToPod: "shop/cart-0"}, ev, false},
		{Filter{Workload: "web"}, ev, true},
		{Filter{Workload: "cart-0"}, ev, true},
		{Filter{Workload: "shop/cart-0"}, ev, true},
		{Filter{Workload: "web", FromPod: "shop/cart-0"}, ev, true},
		{Filter{Workload: "web", ToPod: "shop/cart-0"}, ev, false},
		{Filter{Workload: "web-pod"}, &alert.Event{Weir: alert.Weir{Dst: &alert.Workload{Pod: "web-pod", Name: "app"}}}, true},
		{Filter{Workload: "/web-pod"}, &alert.Event{Weir: alert.Weir{Dst: &alert.Workload{Name: "web"}}}, false},
		{Filter{Protocol: "http"}, ev, true},
		{Filter{Protocol: "tcp"}, ev, true},
		{Filter{Protocol: "dns"}, ev, false},
		{Filter{Protocol: "icmp"}, icmp, true},
		{Filter{Protocol: "icmpv6"}, icmp, true},
		{Filter{Protocol: "icmp"}, ev, false},
		{Filter{Severity: "medium"}, ev, true},
		{Filter{Severity: "critical"}, ev, false},
		{Filter{Severity: "info"}, icmp, false},
		{Filter{Rule: "my.rule"}, ev, true},
		{Filter{Rule: "my.rul"}, ev, false},
		{Filter{Verdict: "allowed"}, ev, true},
		{Filter{Verdict: "blocked"}, ev, false},
		{Filter{Verdict: "blocked"}, blocked, true},
		{Filter{Since: time.Now().Add(-time.Minute)}, ev, true},
		{Filter{Since: time.Now().Add(time.Minute)}, ev, false},
	} {
		if got := c.f.Match(c.ev); got != c.want {
			t.Errorf("%+v: got %v", c.f, got)
		}
		f, err := parseFilter(c.f.values())
		if err != nil || f.Since.UnixNano() != c.f.Since.UnixNano() || f.String() != c.f.String() {
			t.Errorf("%+v: through a request: %+v, %v", c.f, f, err)
		}
	}
	for _, c := range []struct {
		f    Filter
		want string
	}{
		{Filter{Severity: "hihg"}, `--severity: "hihg" is unknown (did you mean high?)`},
		{Filter{Verdict: "drop"}, `--verdict: "drop" is unknown (known: allowed, blocked, denied, undecided)`},
		{Filter{Protocol: "htp"}, `--protocol: "htp" is unknown (did you mean http?)`},
		{Filter{FromPod: "cart-0"}, `--from-pod: "cart-0" is no pod (write NAMESPACE/NAME; --workload takes any name)`},
	} {
		if err := c.f.Check(); err == nil || err.Error() != c.want {
			t.Errorf("%+v: got %v, want %s", c.f, err, c.want)
		}
	}
	if got := testing.AllocsPerRun(100, func() { (&Filter{Pod: "shop/db-0", Protocol: "http"}).Match(ev) }); got != 0 {
		t.Errorf("Match: %v allocations", got)
	}
}

// An empty answer says why it is one.
func TestWhyNone(t *testing.T) {
	at := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	some := Seen{Since: at, Events: 7, Workloads: []string{"shop/cart-0", "web"}, Rules: []string{"pci.pan"}, Protocols: []string{"http"}, Severity: "high"}
	for _, c := range []struct {
		f    Filter
		s    Seen
		want string
	}{
		{Filter{}, Seen{}, "no alerts: the log has none, and it is empty"},
		{Filter{Rule: "x"}, Seen{Since: at}, "no alerts: the log has none, and it reaches back to 2026-01-02 03:04:05 UTC"},
		{Filter{Since: at.Add(time.Hour)}, Seen{Since: at, Last: at.Add(time.Minute)}, "no alerts since 2026-01-02 04:04:05 UTC; the last one is from 2026-01-02 03:05:05 UTC"},
		{Filter{Pod: "shop/crt-0"}, some, "none of 7 alerts since 2026-01-02 03:04:05 UTC meets --pod shop/crt-0 (did you mean shop/cart-0?)"},
		{Filter{Workload: "postgres"}, some, "none of 7 alerts since 2026-01-02 03:04:05 UTC meets --workload postgres (workloads there are: shop/cart-0, web)"},
		{Filter{Severity: "critical", Since: at.Add(time.Hour)}, some, "none of 7 alerts since 2026-01-02 04:04:05 UTC meets --severity critical (the highest is high)"},
		{Filter{Verdict: "blocked"}, Seen{Since: at, Events: 1}, "none of 1 alert since 2026-01-02 03:04:05 UTC meets --verdict blocked"},
		{Filter{Workload: "x"}, Seen{Since: at, Events: 2}, "none of 2 alerts since 2026-01-02 03:04:05 UTC meets --workload x (they name no workloads)"},
	} {
		if got := c.f.whyNone(&c.s, "alert", "the log"); got != c.want {
			t.Errorf("got  %s\nwant %s", got, c.want)
		}
	}
	var a, b Seen
	for n := range maxSeen + 10 {
		ev := &alert.Event{Weir: alert.Weir{Rule: fmt.Sprint(n)}}
		a.match(&Filter{Rule: "none"}, ev)
		b.match(&Filter{Rule: "none"}, ev)
	}
	if a.add(&b); len(a.Rules) != maxSeen || a.Events != 2*(maxSeen+10) {
		t.Errorf("got %d rules of %d events", len(a.Rules), a.Events)
	}
}
