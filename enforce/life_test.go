package enforce

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"weir/engine"
	"weir/wire"
)

// holderEnv makes this test binary a process that enforces in the namespace that is its descriptor 3: its value is open or closed.
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

// TestBigTCP holds that interfaces with longer packets send none while they are enforced, and are as they were afterwards.
func TestBigTCP(t *testing.T) {
	client, pod := pair(t)
	size := func() string {
		var out []byte
		pod.do(t, func() (err error) {
			out, err = exec.Command("ip", "-d", "link", "show", "eth0").Output()
			return err
		})
		_, after, _ := strings.Cut(string(out), "gso_max_size ")
		return strings.Fields(after)[0]
	}
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
