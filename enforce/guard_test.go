package enforce

import (
	"bytes"
	"fmt"
	"io"
	"net"
	"net/netip"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"weir/engine"
	"weir/wire"
)

// censor is a judge that stops connections in whose stream a marker stands, from the segment on that completes it. It remembers the last bytes
// of every direction: enough for tests.
type censor struct {
	marker []byte
	mu     sync.Mutex
	tails  map[tail][]byte
	over   map[wire.Key]bool
	seen   atomic.Uint64
	large  atomic.Uint64 // bytes of the longest frame
	clear  atomic.Bool   // clear connections when they have sent anything
	dec    wire.Decoder
}

type tail struct {
	key wire.Key
	a   bool
}

func newCensor(marker string) *censor {
	return &censor{marker: []byte(marker), tails: map[tail][]byte{}, over: map[wire.Key]bool{}}
}

func (c *censor) judge(_ *engine.Lane, frames []wire.Frame, rulings []engine.Ruling, cut func(*engine.Cut)) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for i := range frames {
		c.seen.Add(1)
		c.large.Store(max(c.large.Load(), uint64(len(frames[i].Data))))
		var p wire.Packet
		if c.dec.Decode(&frames[i], &p) != wire.OK {
			continue
		}
		k := tail{p.Key, p.FromA}
		if c.over[p.Key] && p.TCP.Flags.Has(wire.SYN) {
			delete(c.over, p.Key)
		}
		c.tails[k] = append(c.tails[k], p.Payload...)
		switch {
		case c.over[p.Key]:
			rulings[i] = engine.Drop
		case len(c.marker) > 0 && bytes.Contains(c.tails[k], c.marker):
			rulings[i] = engine.Drop
			c.over[p.Key] = true
			cut(cutOf(&p, i))
		case c.clear.Load() && len(p.Payload) > 0:
			rulings[i] = engine.Clear
		}
		if n := len(c.tails[k]) - len(c.marker); n > 0 {
			c.tails[k] = append([]byte(nil), c.tails[k][n:]...)
		}
	}
}

func cutOf(p *wire.Packet, frame int) *engine.Cut {
	k := &p.Key
	return &engine.Cut{Client: netip.AddrPortFrom(k.AddrA(), k.APort), Server: netip.AddrPortFrom(k.AddrB(), k.BPort), Proto: k.Proto, Frame: frame}
}

// sink is a server that counts and keeps what comes, and how it ended.
type sink struct {
	net.Listener
	mu   sync.Mutex
	got  []byte
	ends chan error // of each connection
}

func newSink(t testing.TB, s *space, addr string) *sink {
	k := &sink{Listener: s.listen(t, addr), ends: make(chan error, 100)}
	go func() {
		for {
			c, err := k.Accept()
			if err != nil {
				return
			}
			go k.serve(c)
		}
	}()
	return k
}

func (k *sink) serve(c net.Conn) {
	defer c.Close()
	b := make([]byte, 64<<10)
	for {
		n, err := c.Read(b)
		k.mu.Lock()
		k.got = append(k.got, b[:n]...)
		k.mu.Unlock()
		if err != nil {
			k.ends <- err
			return
		}
		if _, err := c.Write([]byte("ok")); err != nil {
			k.ends <- err
			return
		}
	}
}

func (k *sink) received() string {
	k.mu.Lock()
	defer k.mu.Unlock()
	return string(k.got)
}

// wantEnd waits for the end of a connection.
func (k *sink) wantEnd(t *testing.T) error {
	t.Helper()
	select {
	case err := <-k.ends:
		return err
	case <-time.After(patience):
		t.Fatal("the server's connection did not end")
	}
	return nil
}

// ask sends a message and waits for the answer.
func ask(c net.Conn, message string) error {
	if _, err := io.WriteString(c, message); err != nil {
		return err
	}
	var b [2]byte
	_, err := io.ReadFull(c, b[:])
	return err
}

// ways are those by which a conversation may reach a workload.
func ways(t *testing.T, fn func(t *testing.T, client, pod *space, addr string)) {
	for _, w := range []struct {
		name, addr string
		inside     bool
	}{{"IPv4", "10.9.0.2", false}, {"IPv6", "fd00:9::2", false}, {"IPv4 inside", "127.0.0.1", true}, {"IPv6 inside", "::1", true}, {"own address inside", "10.9.0.2", true}} {
		t.Run(w.name, func(t *testing.T) {
			client, pod := pair(t)
			if w.inside {
				client = pod
			}
			fn(t, client, pod, w.addr)
		})
	}
}

func TestPass(t *testing.T) {
	ways(t, func(t *testing.T, client, pod *space, addr string) {
		c := newCensor("")
		g := pod.guard(t, Config{Judge: c.judge})
		server := newSink(t, pod, addr)
		conn := client.mustDial(t, server.Addr())
		for i := range 100 {
			if err := ask(conn, fmt.Sprintf("message %d", i)); err != nil {
				t.Fatal(err)
			}
		}
		if s := g.Stats(); s.Packets < 200 || s.Dropped > 0 || s.Missed > 0 || s.Passed != s.Packets || c.seen.Load() != s.Packets {
			t.Errorf("counted %+v; %d were judged", s, c.seen.Load())
		}
	})
}

// TestStop holds that nothing of a refused message in one segment reaches the server, and both ends know at once.
func TestStop(t *testing.T) {
	ways(t, func(t *testing.T, client, pod *space, addr string) {
		c := newCensor("FORBIDDEN")
		g := pod.guard(t, Config{Judge: c.judge})
		server := newSink(t, pod, addr)
		for range 10 {
			conn := client.mustDial(t, server.Addr())
			if err := ask(conn, "hello"); err != nil {
				t.Fatal(err)
			}
			begin := time.Now()
			if err := ask(conn, "this is FORBIDDEN."); !isReset(err) {
				t.Fatalf("the client was told: %v", err)
			}
			if d := time.Since(begin); d > time.Second {
				t.Errorf("the client was told after %v", d)
			}
			if err := server.wantEnd(t); !isReset(err) {
				t.Fatalf("the server was told: %v", err)
			}
		}
		if got := server.received(); got != "hellohellohellohellohellohellohellohellohellohello" {
			t.Errorf("the server received %q", got)
		}
		if s := g.Stats(); s.Resets < 10 || s.Dropped < 10 {
			t.Errorf("counted %+v", s)
		}
		// The listening socket lives.
		if err := ask(client.mustDial(t, server.Addr()), "hello"); err != nil {
			t.Fatal(err)
		}
	})
}

// TestStartWatched: the watch over all guards looks at one that is still starting, too, and keeps its hands off what that is at.
func TestStartWatched(t *testing.T) {
	_, pod := pair(t)
	pool := NewPool(make([]*engine.Lane, 1))
	defer pool.Close()
	done, watched := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(watched)
		for {
			select {
			case <-done:
				return
			default:
			}
			for _, g := range pool.list() {
				g.report()
			}
		}
	}()
	defer func() { close(done); <-watched }()
	told := make(events, 8)
	c := newCensor("")
	for range 8 {
		g, err := Start(Config{Open: pod.open, Judge: c.judge, Tell: told.tell}, pool)
		if err != nil {
			t.Fatal(err)
		}
		if err := g.Close(); err != nil {
			t.Fatal(err)
		}
		g.Wait()
	}
	select {
	case ev := <-told:
		t.Errorf("event %s: %v", ev.Code, ev.Err)
	default:
	}
}
