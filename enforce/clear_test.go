package enforce

import (
	"fmt"
	"io"
	"os/exec"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"

	"weir/engine"
	"weir/wire"
)

// TestClear holds that a cleared connection needs no queue any more, and comes back to it by Rejudge, any number of times. The bits of others in marks stay.
func TestClear(t *testing.T) {
	ways(t, func(t *testing.T, client, pod *space, addr string) {
		c := newCensor("")
		c.clear.Store(true)
		g := pod.guard(t, Config{Judge: c.judge})
		if !g.Clears() {
			t.Fatal("nothing can be cleared here")
		}
		server := newSink(t, pod, addr)
		conn := client.mustDial(t, server.Addr())
		const others = 0x8539
		pod.do(t, func() error { // somebody else uses marks
			for _, a := range []string{"add table inet other", "add chain inet other in { type filter hook input priority -200 ; }", "add rule inet other in ct mark set 0x8539",
				"add rule inet other in meta mark set 0x4539"} {
				if out, err := exec.Command("nft", a).CombinedOutput(); err != nil {
					return fmt.Errorf("%s: %s", a, out)
				}
			}
			return nil
		})
		var before uint64
		for range 4 {
			for range 300 {
				if err := ask(conn, "hello"); err != nil {
					t.Fatal(err)
				}
			}
			s := g.Stats()
			if n := s.Packets - before; n == 0 || n > 1500 {
				t.Errorf("%d packets came to the queue", n)
			}
			if s.Cleared == 0 {
				t.Errorf("counted %+v", s)
			}
			before = s.Packets
			if err := g.Rejudge(); err != nil {
				t.Fatal(err)
			}
		}
		pod.do(t, func() error { return exec.Command("nft", "delete", "table", "inet", "other").Run() })
	})
}

// TestClearLate holds that a verdict that was found before Rejudge clears nothing after it, nor after it was called twice: there are two marks, which take turns.
func TestClearLate(t *testing.T) {
	for times := 1; times <= 2; times++ {
		t.Run(fmt.Sprint(times), func(t *testing.T) { clearLate(t, times) })
	}
}

func clearLate(t *testing.T, times int) {
	ways(t, func(t *testing.T, client, pod *space, addr string) {
		begun, goOn := make(chan struct{}), make(chan struct{})
		var late, seen atomic.Int64
		g := pod.guard(t, Config{Deadline: patience, Judge: func(_ *engine.Lane, frames []wire.Frame, rulings []engine.Ruling, _ func(*engine.Cut)) {
			if late.CompareAndSwap(1, 2) {
				close(begun)
				<-goOn
				for i := range rulings {
					rulings[i] = engine.Clear
				}
			}
			seen.Add(int64(len(frames)))
		}})
		server := newSink(t, pod, addr)
		conn := client.mustDial(t, server.Addr())
		late.Store(1)
		answered := make(chan error, 1)
		go func() { answered <- ask(conn, "hello") }()
		<-begun
		for range times {
			if err := g.Rejudge(); err != nil {
				t.Fatal(err)
			}
		}
		close(goOn)
		if err := <-answered; err != nil {
			t.Fatal(err)
		}
		n := seen.Load()
		if err := ask(conn, "hello"); err != nil {
			t.Fatal(err)
		}
		if seen.Load() == n {
			t.Error("the connection was cleared")
		}
	})
}

// TestClearedBulk holds that few packets of a bulk transfer come to the queue once it is cleared.
func TestClearedBulk(t *testing.T) {
	ways(t, func(t *testing.T, client, pod *space, addr string) {
		c := newCensor("")
		c.clear.Store(true)
		g := pod.guard(t, Config{Judge: c.judge})
		server := newSink(t, pod, addr)
		conn := client.mustDial(t, server.Addr())
		go io.Copy(io.Discard, conn)
		block := make([]byte, 64<<10)
		for range 500 {
			if _, err := conn.Write(block); err != nil {
				t.Fatal(err)
			}
		}
		eventually(t, "all of it comes", func() bool { return len(server.received()) == 500*len(block) })
		if s := g.Stats(); s.Packets > 100 {
			t.Errorf("%d packets came to the queue", s.Packets)
		}
		var out []byte
		pod.do(t, func() (err error) {
			out, err = exec.Command("conntrack", "-L", "-p", "tcp").CombinedOutput()
			if addr == "fd00:9::2" || addr == "::1" {
				out, err = exec.Command("conntrack", "-L", "-p", "tcp", "-f", "ipv6").CombinedOutput()
			}
			return err
		})
		if !strings.Contains(string(out), "mark="+strconv.Itoa(markEpochA)) {
			t.Errorf("conntrack: %s", out)
		}
	})
}
