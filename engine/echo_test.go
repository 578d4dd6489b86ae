package engine

import (
	"fmt"
	"slices"
	"testing"

	"weir/dlp"
	"weir/flow"
	"weir/rules"
	"weir/wire"
)

// TestEcho: of what both ends of a conversation say, who said it first is cut off, and nobody for saying it back, whatever else is said and found between.
func TestEcho(t *testing.T) {
	p := newPair(t, flow.DefaultLimits)
	db, err := dlp.Compile(&rules.Set{Rules: []*rules.Rule{{ID: "token", Regex: `TWINTOKEN-[0-9a-f]{6}`, Severity: rules.High, Action: rules.Quarantine}}}, dlp.Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(db.Close)
	p.e.SetRules(db)
	const syn, ack, psh, fin = 2, 16, 8, 1
	s := segments{seq: [2]uint32{100, 900}, now: 1e18}
	s.say(wire.ToServer, syn, "")
	s.say(wire.ToClient, syn|ack, "")
	s.say(wire.ToServer, ack, "")
	exchange := func(asks, answers int) {
		body := func(n int) string {
			text := "nothing"
			if n > 0 {
				text = fmt.Sprintf("TWINTOKEN-7f3a%02x ", n)
			}
			return fmt.Sprintf("Content-Type: text/plain\r\nContent-Length: %d\r\n\r\n%s", len(text), text)
		}
		s.say(wire.ToServer, psh|ack, "POST /say HTTP/1.1\r\nHost: a\r\n"+body(asks))
		s.say(wire.ToClient, psh|ack, "HTTP/1.1 200 OK\r\n"+body(answers))
	}
	exchange(1, 1) // said back
	exchange(0, 2)
	exchange(2, 0)
	for n := range maxKnown {
		exchange(10+n, 0)
	}
	exchange(0, 10)
	exchange(0, 1) // too long ago
	s.say(wire.ToServer, fin|ack, "")
	s.say(wire.ToClient, fin|ack, "")
	p.block(0, s.list)
	p.close()
	want := []string{"veth0 false", "veth0 true", "veth1 false", "veth1 true"}
	for range maxKnown {
		want = append(want, "veth0 false")
	}
	want = append(want, "veth0 true", "veth1 false")
	if !slices.Equal(p.cut, want) {
		t.Errorf("cut off: %q, want %q", p.cut, want)
	}
}
