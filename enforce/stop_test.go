package enforce

import (
	"errors"
	"io"
	"net"
	"os"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"weir/broker"
	"weir/engine"
	"weir/wire"
)

// TestStopBytewise holds that of a message that comes in single bytes neither the one that decides nor any after it reaches the server.
func TestStopBytewise(t *testing.T) {
	ways(t, func(t *testing.T, client, pod *space, addr string) {
		c := newCensor("FORBIDDEN")
		pod.guard(t, Config{Judge: c.judge})
		server := newSink(t, pod, addr)
		conn := client.mustDial(t, server.Addr())
		var err error
		for _, b := range "FORBIDDEN and more" {
			if err = ask(conn, string(b)); err != nil {
				break
			}
		}
		if !isReset(err) {
			t.Errorf("the client was told: %v", err)
		}
		if err := server.wantEnd(t); !isReset(err) {
			t.Errorf("the server was told: %v", err)
		}
		if got := server.received(); got != "FORBIDDE" {
			t.Errorf("the server received %q", got)
		}
	})
}

// denyPort is a judge that drops what goes to or comes from a port.
func denyPort(port uint16) Judge {
	var dec wire.Decoder
	return func(_ *engine.Lane, frames []wire.Frame, rulings []engine.Ruling, cut func(*engine.Cut)) {
		for i := range frames {
			var p wire.Packet
			if dec.Decode(&frames[i], &p) == wire.OK && (p.Key.APort == port || p.Key.BPort == port) {
				rulings[i] = engine.Drop
				cut(cutOf(&p, i))
			}
		}
	}
}

// TestStopAtSYN holds that a connection that may not be is refused at once, whichever end is enforced, and that the server's listening socket lives.
func TestStopAtSYN(t *testing.T) {
	ways(t, func(t *testing.T, client, pod *space, addr string) {
		server := newSink(t, pod, addr)
		for _, guarded := range []*space{pod, client} {
			g := guarded.guard(t, Config{Judge: denyPort(portOf(server.Addr()))})
			for range 3 {
				begin := time.Now()
				if c, err := client.dial(server.Addr()); !errors.Is(err, unix.ECONNREFUSED) {
					t.Fatalf("the client was told: %v %v", c, err)
				}
				if d := time.Since(begin); d > time.Second {
					t.Errorf("the client was told after %v", d)
				}
			}
			if s := g.Stats(); s.Resets > 0 {
				t.Errorf("sockets were closed: %+v", s)
			}
			if err := g.Close(); err != nil {
				t.Fatal(err)
			}
			if err := ask(client.mustDial(t, server.Addr()), "hello"); err != nil {
				t.Fatal(err)
			}
		}
	})
}

// TestStopFromClient holds that it is the same where the client's namespace is the one that is enforced.
func TestStopFromClient(t *testing.T) {
	peer, pod := pair(t)
	c := newCensor("FORBIDDEN")
	pod.guard(t, Config{Judge: c.judge})
	for _, addr := range []string{"10.9.0.1", "fd00:9::1"} {
		server := newSink(t, peer, addr)
		conn := pod.mustDial(t, server.Addr())
		if err := ask(conn, "hello"); err != nil {
			t.Fatal(err)
		}
		if err := ask(conn, "FORBIDDEN"); !isReset(err) {
			t.Errorf("the client was told: %v", err)
		}
		if err := server.wantEnd(t); !isReset(err) {
			t.Errorf("the server was told: %v", err)
		}
		if got := server.received(); got != "hello" {
			t.Errorf("the server received %q", got)
		}
	}
}

// TestStopAnswer holds that an answer can be what is stopped.
func TestStopAnswer(t *testing.T) {
	ways(t, func(t *testing.T, client, pod *space, addr string) {
		c := newCensor("okok")
		pod.guard(t, Config{Judge: c.judge})
		server := newSink(t, pod, addr)
		conn := client.mustDial(t, server.Addr())
		if err := ask(conn, "hello"); err != nil {
			t.Fatal(err)
		}
		if err := ask(conn, "again"); !isReset(err) {
			t.Errorf("the client was told: %v", err)
		}
		if err := server.wantEnd(t); !isReset(err) {
			t.Errorf("the server was told: %v", err)
		}
	})
}

// TestForgedReset holds that both ends are told where the kernel cannot close sockets: one gets a reset in the segment's stead, the other for its next one.
func TestForgedReset(t *testing.T) {
	ways(t, func(t *testing.T, client, pod *space, addr string) {
		c := newCensor("FORBIDDEN")
		g := pod.guard(t, Config{Judge: c.judge})
		g.queue.cutter.lame = errors.New("as on an old kernel")
		server := newSink(t, pod, addr)
		for range 3 {
			conn := client.mustDial(t, server.Addr())
			if err := ask(conn, "hello"); err != nil {
				t.Fatal(err)
			}
			begin := time.Now()
			if err := ask(conn, "this is FORBIDDEN."); !isReset(err) {
				t.Fatalf("the client was told: %v", err)
			}
			if err := server.wantEnd(t); !isReset(err) {
				t.Fatalf("the server was told: %v", err)
			}
			if d := time.Since(begin); d > 2*time.Second {
				t.Errorf("the ends were told after %v", d)
			}
		}
		if got := server.received(); got != "hellohellohello" {
			t.Errorf("the server received %q", got)
		}
		if s := g.Stats(); s.Forged != 3 {
			t.Errorf("counted %+v", s)
		}
	})
}

// TestUnreachable holds that who sends what is not TCP gets an error where that was asked for, and none else.
func TestUnreachable(t *testing.T) {
	ways(t, func(t *testing.T, client, pod *space, addr string) {
		server := pod.packets(t, addr)
		for _, guarded := range []*space{pod, client} {
			for _, asked := range []bool{true, false} {
				g := guarded.guard(t, Config{Judge: denyPort(portOf(server.LocalAddr())), Unreachable: asked})
				var conn net.Conn
				client.do(t, func() (err error) {
					conn, err = net.Dial("udp", server.LocalAddr().String())
					return err
				})
				if _, err := io.WriteString(conn, "hello"); err != nil {
					t.Fatal(err)
				}
				wait := patience
				if !asked {
					eventually(t, "a packet is dropped", func() bool { return g.Stats().Dropped > 0 })
					wait = time.Millisecond
				}
				conn.SetReadDeadline(time.Now().Add(wait))
				_, err := conn.Read(make([]byte, 10))
				if asked != (errors.Is(err, unix.EHOSTUNREACH) || errors.Is(err, unix.EACCES)) {
					t.Errorf("asked %v: the client was told: %v", asked, err)
				}
				conn.Close()
				if err := g.Close(); err != nil {
					t.Fatal(err)
				}
			}
		}
		server.SetReadDeadline(time.Now())
		if n, _, err := server.ReadFrom(make([]byte, 10)); err == nil {
			t.Errorf("the server received %d bytes", n)
		}
	})
}

// packets makes a UDP server in the namespace.
func (s *space) packets(t testing.TB, addr string) net.PacketConn {
	t.Helper()
	var c net.PacketConn
	s.do(t, func() (err error) {
		c, err = net.ListenPacket("udp", net.JoinHostPort(addr, "0"))
		return err
	})
	t.Cleanup(func() { c.Close() })
	return c
}

// TestNeighbours holds that IPv6 goes on where everything is refused, for nobody could be told of a refusal else.
func TestNeighbours(t *testing.T) {
	client, pod := pair(t)
	client.forgets(t, pod)
	pod.forgets(t, client)
	all := func(_ *engine.Lane, frames []wire.Frame, rulings []engine.Ruling, cut func(*engine.Cut)) {
		for i := range rulings {
			rulings[i] = engine.Drop
		}
	}
	g := pod.guard(t, Config{Judge: all, Failure: Closed})
	server := newSink(t, pod, "fd00:9::2")
	if c, err := client.dial(server.Addr()); !errors.Is(err, unix.ECONNREFUSED) {
		t.Fatalf("the client was told: %v %v", c, err)
	}
	if g.Stats().Dropped == 0 {
		t.Error("nothing was judged")
	}
}

// TestNoSockets says what happens where no socket for closing others can be had.
func TestNoSockets(t *testing.T) {
	client, pod := pair(t)
	c, ev := newCensor("FORBIDDEN"), make(events, 10)
	g := pod.guard(t, Config{Judge: c.judge, Tell: ev.tell})
	g.queue.cutter.open = func(broker.Kind) (*os.File, error) { return nil, unix.EMFILE }
	server := newSink(t, pod, "10.9.0.2")
	conn := client.mustDial(t, server.Addr())
	if err := ask(conn, "FORBIDDEN"); !isReset(err) {
		t.Errorf("the client was told: %v", err)
	}
	if e := ev.wait(t, NoReset); !strings.Contains(e.Err.Error(), "too many open files") {
		t.Errorf("told: %v", e.Err)
	}
	if got := server.received(); got != "" {
		t.Errorf("the server received %q", got)
	}
}
