package enforce

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"weir/engine"
	"weir/wire"
) // holderEnv makes this test binary a process that enforces in the namespace that is its descriptor 3: its value is open or closed.
const holderEnv = "WEIR_TEST_HOLDER"

func TestMain(m *testing.M) {
	if mode := os.Getenv(holderEnv); mode != "" {
		hold(mode)
		return
	}
	os.Exit(m.Run())
}

func hold(mode string) {
	s := &space{f: os.NewFile(3, "netns")}
	conf := Config{Open: s.open, Judge: func(*engine.Lane, []wire.Frame, []engine.Ruling, func(*engine.Cut)) {}}
	if mode == "closed" {
		conf.Failure = Closed
	}
	if _, err := Start(conf, NewPool(make([]*engine.Lane, 1))); err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println("ready")
	os.Stdin.Read(make([]byte, 1))
}

// holder starts such a process.
func (s *space) holder(t *testing.T, f Failure) *exec.Cmd {
	t.Helper()
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), holderEnv+"="+f.String())
	cmd.ExtraFiles = []*os.File{s.f}
	in, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		in.Close()
		cmd.Process.Kill()
		cmd.Wait()
	})
	if line, _ := bufio.NewReader(out).ReadString('\n'); line != "ready\n" {
		t.Fatalf("the process that enforces says: %s", line)
	}
	return cmd
}

// pulse asks a server again and again, and counts the answers.
type pulse struct {
	n    atomic.Uint64
	err  atomic.Pointer[error]
	done chan struct{}
}

func beat(conn net.Conn) *pulse {
	p := &pulse{done: make(chan struct{})}
	go func() {
		defer close(p.done)
		for {
			if err := ask(conn, "x"); err != nil {
				p.err.Store(&err)
				return
			}
			p.n.Add(1)
		}
	}()
	return p
}

// goesOn waits until some answers more have come.
func (p *pulse) goesOn(t *testing.T) {
	t.Helper()
	n := p.n.Load()
	eventually(t, "traffic goes on", func() bool {
		if err := p.err.Load(); err != nil {
			t.Fatalf("the connection ended: %v", *err)
		}
		return p.n.Load() > n+20
	})
}

// stands makes sure that no answer comes for a while.
func (p *pulse) stands(t *testing.T) {
	t.Helper()
	n := p.n.Load()
	time.Sleep(300 * time.Millisecond) // that nothing happens can only be waited for
	if got := p.n.Load(); got > n+3 {  // what was on its way
		t.Errorf("%d answers came although nobody judges", got-n)
	}
}

// TestKilled says what happens when the process that judges is killed: in open mode traffic goes on, in closed mode it stops, until another process
// takes over, which leaves nothing behind in the end. No connection is lost.
func TestKilled(t *testing.T) {
	for _, f := range []Failure{Open, Closed} {
		t.Run(f.String(), func(t *testing.T) {
			client, pod := pair(t)
			holder := pod.holder(t, f)
			server := newSink(t, pod, "10.9.0.2")
			p := beat(client.mustDial(t, server.Addr()))
			p.goesOn(t)
			holder.Process.Kill()
			holder.Wait()
			if f == Open {
				p.goesOn(t)
			} else {
				p.stands(t)
			}
			if !strings.Contains(pod.ruleset(t), "table inet weir") {
				t.Error("no rules were left by the killed process")
			}
			c := newCensor("")
			g := pod.guard(t, Config{Judge: c.judge, Failure: f})
			p.goesOn(t)
			if g.Stats().Packets == 0 {
				t.Error("nothing was judged by the next one")
			}
			if err := g.Close(); err != nil {
				t.Fatal(err)
			}
			p.goesOn(t)
			pod.wantNoRules(t)
		})
	}
}

// TestLeftover holds that what a killed process left can be removed where nothing is to be enforced any more.
func TestLeftover(t *testing.T) {
	client, pod := pair(t)
	if err := Remove(pod.open); err != nil {
		t.Fatalf("nothing to remove: %v", err)
	}
	holder := pod.holder(t, Closed)
	server := newSink(t, pod, "10.9.0.2")
	p := beat(client.mustDial(t, server.Addr()))
	p.goesOn(t)
	holder.Process.Kill()
	holder.Wait()
	p.stands(t)
	if err := Remove(pod.open); err != nil {
		t.Fatal(err)
	}
	pod.wantNoRules(t)
	p.goesOn(t)
}

// TestStopped says what happens when the whole process hangs: traffic stands until its watchdog kills it.
func TestStopped(t *testing.T) {
	client, pod := pair(t)
	holder := pod.holder(t, Open)
	server := newSink(t, pod, "10.9.0.2")
	p := beat(client.mustDial(t, server.Addr()))
	p.goesOn(t)
	holder.Process.Signal(syscall.SIGSTOP)
	var status unix.WaitStatus // of its threads those that are at work stop last
	if _, err := unix.Wait4(holder.Process.Pid, &status, unix.WUNTRACED, nil); err != nil || !status.Stopped() {
		t.Fatalf("it does not stop: %v, %v", status, err)
	}
	p.stands(t)
	holder.Process.Kill()
	holder.Wait()
	p.goesOn(t)
	if err := Remove(pod.open); err != nil {
		t.Fatal(err)
	}
}

// TestHang says what happens when no verdict comes: the queue is let go of, and is served again when whoever judges is back.
func TestHang(t *testing.T) {
	for _, f := range []Failure{Open, Closed} {
		t.Run(f.String(), func(t *testing.T) {
			client, pod := pair(t)
			ev := make(events, 100)
			var hang atomic.Bool
			back := make(chan struct{})
			judge := func(*engine.Lane, []wire.Frame, []engine.Ruling, func(*engine.Cut)) {
				if hang.CompareAndSwap(true, false) {
					<-back
				}
			}
			g := pod.guard(t, Config{Judge: judge, Failure: f, Deadline: 100 * time.Millisecond, Tell: ev.tell})
			server := newSink(t, pod, "10.9.0.2")
			p := beat(client.mustDial(t, server.Addr()))
			p.goesOn(t)
			hang.Store(true)
			ev.wait(t, Hang)
			if f == Open {
				p.goesOn(t)
			} else {
				p.stands(t)
			}
			if d := g.pool.Stuck(); d < 100*time.Millisecond {
				t.Errorf("the watchdog hears of %v", d)
			}
			close(back)
			ev.wait(t, Rearmed)
			before := g.Stats()
			p.goesOn(t)
			if s := g.Stats(); s.Hangs != 1 || s.Packets == before.Packets {
				t.Errorf("counted %+v", s)
			}
			if f == Open {
				if e := ev.wait(t, Overload); e.N == 0 {
					t.Errorf("told: %+v", e)
				}
			}
			eventually(t, "nothing is in hand", func() bool { return g.pool.Stuck() < 100*time.Millisecond })
		})
	}
}

// TestCloseInHang holds that enforcement can be ended while whoever judges hangs.
func TestCloseInHang(t *testing.T) {
	client, pod := pair(t)
	ev := make(events, 100)
	var hang atomic.Bool
	back := make(chan struct{})
	judge := func(*engine.Lane, []wire.Frame, []engine.Ruling, func(*engine.Cut)) {
		if hang.Load() {
			<-back
		}
	}
	g := pod.guard(t, Config{Judge: judge, Failure: Closed, Deadline: 100 * time.Millisecond, Tell: ev.tell})
	server := newSink(t, pod, "10.9.0.2")
	p := beat(client.mustDial(t, server.Addr()))
	p.goesOn(t)
	hang.Store(true)
	ev.wait(t, Hang)
	if err := g.Close(); err != nil {
		t.Fatal(err)
	}
	p.goesOn(t)
	close(back)
}

// TestReload holds that rules are changed, and enforcement begun and ended, under traffic without a loss: every segment that one end sent came to the other.
func TestReload(t *testing.T) {
	client, pod := pair(t)
	l := pod.listen(t, "10.9.0.2")
	accepted := make(chan net.Conn, 1)
	go func() {
		c, err := l.Accept()
		if err == nil {
			accepted <- c
		}
	}()
	conn := client.mustDial(t, l.Addr())
	server := <-accepted
	defer server.Close()
	go io.Copy(server, server)
	before := missing(t, conn, server)
	var stop atomic.Bool
	done := make(chan error, 1)
	go func() {
		var b [1]byte
		for !stop.Load() {
			_, err := conn.Write(b[:])
			if err == nil {
				_, err = io.ReadFull(conn, b[:])
			}
			if err != nil {
				done <- err
				return
			}
		}
		done <- nil
	}()
	for i := range 10 {
		c := newCensor("")
		c.clear.Store(i%2 == 1)
		g := pod.guard(t, Config{Judge: c.judge})
		for f := Closed; ; f-- {
			if err := g.SetFailure(f); err != nil {
				t.Fatal(err)
			}
			n := c.seen.Load()
			if err := g.Rejudge(); err != nil {
				t.Fatal(err)
			}
			eventually(t, "packets are judged", func() bool { return c.seen.Load() > n })
			if f == Open {
				break
			}
		}
		if err := g.Close(); err != nil {
			t.Fatal(err)
		}
		if s := g.Stats(); s.Missed > 0 {
			t.Errorf("counted %+v", s)
		}
	}
	stop.Store(true)
	if err := <-done; err != nil {
		t.Fatal(err)
	}
	if n := missing(t, conn, server) - before; n > 0 {
		t.Errorf("%d segments were lost", n)
	}
}

// missing returns how many segments more the two ends of a connection have sent than they have received, when nothing is on its way any more.
func missing(t *testing.T, a, b net.Conn) (n int32) {
	var last [4]uint32
	since := time.Now()
	eventually(t, "nothing is on its way", func() bool {
		x, y := tcpInfo(t, a), tcpInfo(t, b)
		now := [4]uint32{x.Segs_out, x.Segs_in, y.Segs_out, y.Segs_in}
		if now != last || x.Unacked+y.Unacked > 0 {
			last, since = now, time.Now()
		}
		n = int32(now[0] - now[3] + now[2] - now[1])
		return time.Since(since) > 60*time.Millisecond // an acknowledgement may be delayed for 40 ms
	})
	return n
}

func tcpInfo(t *testing.T, c net.Conn) (info *unix.TCPInfo) {
	t.Helper()
	raw, err := c.(*net.TCPConn).SyscallConn()
	if err != nil {
		t.Fatal(err)
	}
	var failed error
	if err := raw.Control(func(fd uintptr) { info, failed = unix.GetsockoptTCPInfo(int(fd), unix.IPPROTO_TCP, unix.TCP_INFO) }); err != nil || failed != nil {
		t.Fatal(err, failed)
	}
	return info
}

// TestUpgrade holds that what Leave leaves is taken up by the next one.
func TestUpgrade(t *testing.T) {
	for _, f := range []Failure{Open, Closed} {
		client, pod := pair(t)
		server := newSink(t, pod, "10.9.0.2")
		c := newCensor("")
		old := pod.guard(t, Config{Judge: c.judge, Failure: f})
		p := beat(client.mustDial(t, server.Addr()))
		p.goesOn(t)
		old.Leave()
		old.Wait()
		if f == Open {
			p.goesOn(t)
		} else {
			p.stands(t)
		}
		next := pod.guard(t, Config{Judge: c.judge, Failure: f})
		p.goesOn(t)
		if next.Stats().Packets == 0 {
			t.Error("the next one judges nothing")
		}
	}
}

// TestHeld holds that two cannot enforce in one namespace.
func TestHeld(t *testing.T) {
	_, pod := pair(t)
	c := newCensor("")
	pod.guard(t, Config{Judge: c.judge})
	pool := NewPool(make([]*engine.Lane, 1))
	defer pool.Close()
	if _, err := Start(Config{Open: pod.open, Judge: c.judge}, pool); err == nil || !strings.Contains(err.Error(), "another program") {
		t.Errorf("the second one was told: %v", err)
	}
	if !strings.Contains(pod.ruleset(t), "table inet weir") {
		t.Error("the rules of the first one are gone")
	}
}

// TestRulesCut holds that rules which somebody took out are told of, and put back.
func TestRulesCut(t *testing.T) {
	client, pod := pair(t)
	c, ev := newCensor("FORBIDDEN"), make(events, 10)
	pod.guard(t, Config{Judge: c.judge, Tell: ev.tell})
	pod.do(t, func() error { return exec.Command("nft", "flush", "ruleset").Run() })
	if e := ev.wait(t, RulesCut); e.Err != nil {
		t.Errorf("told: %v", e.Err)
	}
	server := newSink(t, pod, "10.9.0.2")
	if err := ask(client.mustDial(t, server.Addr()), "FORBIDDEN"); !isReset(err) {
		t.Errorf("the client was told: %v", err)
	}
}

// TestOverload says what becomes of packets for which there is no room while the one who judges is slow.
func TestOverload(t *testing.T) {
	for _, f := range []Failure{Open, Closed} {
		t.Run(f.String(), func(t *testing.T) {
			client, pod := pair(t)
			ev := make(events, 10)
			gate := make(chan struct{})
			judge := func(*engine.Lane, []wire.Frame, []engine.Ruling, func(*engine.Cut)) { <-gate }
			g := pod.guard(t, Config{Judge: judge, Failure: f, Deadline: time.Minute, Tell: ev.tell})
			server := pod.packets(t, "10.9.0.2")
			var conn net.Conn
			client.do(t, func() (err error) {
				conn, err = net.Dial("udp", server.LocalAddr().String())
				return err
			})
			const n = 3000
			for range n {
				if _, err := io.WriteString(conn, "x"); err != nil {
					t.Fatal(err)
				}
			}
			if e := ev.wait(t, Overload); e.N == 0 {
				t.Errorf("told: %+v", e)
			}
			got := 0
			b := make([]byte, 10)
			for {
				server.SetReadDeadline(time.Now().Add(100 * time.Millisecond))
				if _, _, err := server.ReadFrom(b); err != nil {
					break
				}
				got++
			}
			if (f == Open) != (got > 0) {
				t.Errorf("%d packets passed unjudged", got)
			}
			close(gate)
			eventually(t, "every packet is accounted for", func() bool { s := g.Stats(); return s.Packets+s.Missed == n })
		})
	}
}
