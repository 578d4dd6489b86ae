package enforce

import (
	"testing"
	"time"

	"weir/engine"
	"weir/wire"
)

// TestHold: packets wait, unjudged, until they are released, or until the guard ends; none is lost.
func TestHold(t *testing.T) {
	for _, end := range []struct {
		name string
		hold time.Duration
		of   func(*Guard)
	}{{"release", time.Minute, (*Guard).Release}, {"close", time.Minute, func(g *Guard) { g.Close() }}, {"patience", 300 * time.Millisecond, func(*Guard) {}}} {
		t.Run(end.name, func(t *testing.T) {
			client, pod := pair(t)
			server := newSink(t, pod, "10.9.0.2")
			waits, judged := make(chan time.Time, 10), make(chan time.Time, 1000)
			judge := func(_ *engine.Lane, frames []wire.Frame, _ []engine.Ruling, _ func(*engine.Cut)) {
				for range frames {
					judged <- time.Now()
				}
			}
			g := pod.guard(t, Config{Judge: judge, Hold: end.hold, Waits: func() { waits <- time.Now() }})
			done := make(chan error, 1)
			go func() {
				c, err := client.dial(server.Addr())
				if err == nil {
					err = ask(c, "x")
					c.Close()
				}
				done <- err
			}()
			select {
			case <-waits:
			case <-time.After(5 * time.Second):
				t.Fatal("nobody is told that a packet waits")
			}
			select {
			case err := <-done:
				t.Fatalf("a packet that is held went on: %v", err)
			case <-judged:
				t.Fatal("a packet that is held was judged")
			case <-time.After(50 * time.Millisecond): // that nothing happens can only be waited for
			}
			released := time.Now()
			end.of(g)
			select {
			case err := <-done:
				if err != nil {
					t.Errorf("what was held does not go on: %v", err)
				}
			case <-time.After(5 * time.Second):
				t.Fatal("what was held does not go on")
			}
			if took := time.Since(released); took > 800*time.Millisecond {
				t.Errorf("it went on after %s: its first packet was lost", took)
			}
			if at := <-judged; at.Before(released) {
				t.Error("judged before the release")
			}
			if len(waits) > 0 {
				t.Error("told twice")
			}
		})
	}
	t.Run("at once", func(t *testing.T) { // released before anything comes
		client, pod := pair(t)
		server := newSink(t, pod, "10.9.0.2")
		c := newCensor("")
		g := pod.guard(t, Config{Judge: c.judge, Hold: time.Minute})
		g.Release()
		conn := client.mustDial(t, server.Addr())
		if err := ask(conn, "x"); err != nil {
			t.Error(err)
		}
		if g.Stats().Passed == 0 {
			t.Error("nothing was judged")
		}
	})
}
