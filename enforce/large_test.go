package enforce

import (
	"bytes"
	"io"
	"os/exec"
	"strings"
	"testing"
)

// TestLargePackets holds that packets come as large as the kernel makes them, whole, and that what is refused in one of them ends both ends, too.
func TestLargePackets(t *testing.T) {
	ways(t, func(t *testing.T, client, pod *space, addr string) {
		c := newCensor("FORBIDDEN")
		for _, guarded := range []*space{pod, client} {
			g := guarded.guard(t, Config{Judge: c.judge})
			server := newSink(t, pod, addr)
			conn := client.mustDial(t, server.Addr())
			go io.Copy(io.Discard, conn)
			block := bytes.Repeat([]byte("harmless"), 8<<10)
			for range 100 {
				if _, err := conn.Write(block); err != nil {
					t.Fatal(err)
				}
			}
			eventually(t, "all of it comes", func() bool { return len(server.received()) == 100*len(block) })
			if n := c.large.Load(); n < 60000 {
				t.Errorf("the largest packet had %d bytes", n)
			}
			copy(block[30000:], "FORBIDDEN")
			conn.Write(block)
			if err := server.wantEnd(t); !isReset(err) {
				t.Errorf("the server was told: %v", err)
			}
			if bytes.Contains([]byte(server.received()), []byte("FORBIDDEN")) {
				t.Error("it reached the server")
			}
			eventually(t, "the client is told", func() bool {
				_, err := conn.Write(block[:1])
				return isReset(err)
			})
			if s := g.Stats(); s.Missed > 0 || s.TooLong > 0 {
				t.Errorf("counted %+v", s)
			}
			if err := g.Close(); err != nil {
				t.Fatal(err)
			}
		}
	})
}

// TestTooLong holds that nothing of packets that are longer than the queue brings passes unjudged: TCP sends what was cut off once more.
func TestTooLong(t *testing.T) {
	for _, addr := range []string{"127.0.0.1", "::1"} {
		pod := newSpace(t)
		c, ev := newCensor("FORBIDDEN"), make(events, 10)
		g := pod.guard(t, Config{Judge: c.judge, Tell: ev.tell})
		if err := restoreSizes(pod.open, g.sizes); err != nil { // as somebody else may do
			t.Fatal(err)
		}
		server := newSink(t, pod, addr)
		conn := pod.mustDial(t, server.Addr())
		go io.Copy(io.Discard, conn)
		block := bytes.Repeat([]byte("harmless"), 16<<10)
		for range 4 {
			if _, err := conn.Write(block); err != nil {
				t.Fatal(err)
			}
		}
		eventually(t, "all of it comes", func() bool { return len(server.received()) == 4*len(block) })
		ev.wait(t, TooLong)
		for i := 0; i < len(block); i += 16 { // wherever it was cut
			copy(block[i:], "FORBIDDEN")
		}
		conn.Write(block)
		if err := server.wantEnd(t); !isReset(err) {
			t.Errorf("the server was told: %v", err)
		}
		if strings.Contains(server.received(), "FORBIDDEN") {
			t.Error("it reached the server")
		}
	}
}

// size returns the value behind a word that `ip` writes of an interface.
func (s *space) size(t *testing.T, iface, word string) string {
	t.Helper()
	var out []byte
	s.do(t, func() (err error) {
		out, err = exec.Command("ip", "-d", "link", "show", iface).Output()
		return err
	})
	_, after, _ := strings.Cut(string(out), word+" ")
	return strings.Fields(after)[0]
}

// TestSizesPutBack holds that interfaces have the length of packets that they had, however enforcement ends: by Close, or by a process that was killed and one that removes what it left,
// or takes it over; and whatever they had.
func TestSizesPutBack(t *testing.T) {
	_, pod := pair(t)
	pod.do(t, func() error {
		if err := exec.Command("ip", "link", "set", "lo", "mtu", "40000").Run(); err != nil {
			return err
		}
		return exec.Command("ip", "link", "set", "eth0", "gso_max_size", "190000").Run()
	})
	limited := func(is bool) {
		t.Helper()
		lo, eth := "40000", "190000"
		if is {
			lo, eth = "32000", "65536"
		}
		if got := pod.size(t, "lo", "mtu"); got != lo {
			t.Errorf("lo has an MTU of %s, want %s", got, lo)
		}
		if got := pod.size(t, "eth0", "gso_max_size"); got != eth {
			t.Errorf("eth0 has gso_max_size %s, want %s", got, eth)
		}
	}
	killed := func() {
		t.Helper()
		holder := pod.holder(t, Open)
		limited(true)
		holder.Process.Kill()
		holder.Wait()
		limited(true)
	}
	killed()
	if err := Remove(pod.open); err != nil {
		t.Fatal(err)
	}
	limited(false)
	pod.wantNoRules(t)
	killed()
	g := pod.guard(t, Config{Judge: newCensor("").judge})
	limited(true)
	if err := g.Close(); err != nil {
		t.Fatal(err)
	}
	limited(false)
}

// TestBigTCP holds that interfaces with longer packets send none while they are enforced, and are as they were afterwards.
func TestBigTCP(t *testing.T) {
	client, pod := pair(t)
	size := func() string { return pod.size(t, "eth0", "gso_max_size") }
	pod.do(t, func() error {
		return exec.Command("ip", "link", "set", "eth0", "gso_max_size", "200000", "gro_max_size", "200000").Run()
	})
	c := newCensor("")
	g := pod.guard(t, Config{Judge: c.judge})
	if got := size(); got != "65536" {
		t.Errorf("gso_max_size is %s", got)
	}
	server := newSink(t, client, "fd00:9::1")
	conn := pod.mustDial(t, server.Addr())
	go io.Copy(io.Discard, conn)
	block := make([]byte, 64<<10)
	for range 200 {
		if _, err := conn.Write(block); err != nil {
			t.Fatal(err)
		}
	}
	eventually(t, "all of it comes", func() bool { return len(server.received()) == 200*len(block) })
	if s := g.Stats(); s.TooLong > 0 {
		t.Errorf("counted %+v", s)
	}
	if err := g.Close(); err != nil {
		t.Fatal(err)
	}
	if got := size(); got != "200000" {
		t.Errorf("gso_max_size is %s afterwards", got)
	}
}
