package daemon

import (
	"net"
	"os"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"weir/broker"
)

// slowBroker is a broker that keeps whoever asks for a way to the rules of a namespace waiting, as a busy kernel does.
type slowBroker struct {
	asked chan bool // somebody waits
	free  chan bool // closed: nobody has to any more
}

func serveSlowly(t *testing.T) *slowBroker {
	t.Helper()
	s := &slowBroker{asked: make(chan bool, 1), free: make(chan bool)}
	l, err := net.ListenUnix("unixpacket", &net.UnixAddr{Name: broker.Socket, Net: "unixpacket"})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	go func() {
		for {
			c, err := l.AcceptUnix()
			if err != nil {
				return
			}
			go s.relay(t, c)
		}
	}()
	return s
}

// relay passes on what is asked and answered, and has a question for a netfilter socket wait.
func (s *slowBroker) relay(t *testing.T, c *net.UnixConn) {
	fds, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_SEQPACKET|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		t.Error(err)
		return
	}
	var ends [2]*net.UnixConn
	for i, fd := range fds {
		f := os.NewFile(uintptr(fd), "relay")
		n, err := net.FileConn(f)
		f.Close()
		if err != nil {
			t.Error(err)
			return
		}
		ends[i] = n.(*net.UnixConn)
	}
	go broker.Serve(ends[1])
	defer ends[0].Close()
	defer c.Close()
	b, oob := make([]byte, 1024), make([]byte, 1024)
	for {
		n, err := c.Read(b)
		if err != nil || n == 0 {
			return
		}
		if broker.Kind(b[0]) == broker.Netfilter {
			select {
			case s.asked <- true:
			default:
			}
			<-s.free
		}
		if _, err = ends[0].Write(b[:n]); err != nil {
			return
		}
		n, on, _, _, err := ends[0].ReadMsgUnix(b, oob)
		if err != nil {
			return
		}
		_, _, err = c.WriteMsgUnix(b[:n], oob[:on], nil)
		if list, e := unix.ParseSocketControlMessage(oob[:on]); e == nil && len(list) > 0 { // they are the other one's now
			rights, _ := unix.ParseUnixRights(&list[0])
			for _, fd := range rights {
				unix.Close(fd)
			}
		}
		if err != nil {
			return
		}
	}
}

// TestStarting: while a gate is put up, which the kernel may take its time for, the daemon answers at once, and says that it is so.
func TestStarting(t *testing.T) {
	if !box(t, "ip") {
		return
	}
	slow := serveSlowly(t)
	for path, text := range map[string]string{"/etc/weir/policy.d/a.toml": "[modes]\nweb = \"protect\"\n[[groups]]\nname = \"web\"\nmatch = [\"name=web\"]\n[[policy]]\nid = \"any\"\naction = \"allow\"\n"} {
		if err := os.MkdirAll("/etc/weir/policy.d", 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	for _, args := range [][]string{{"netns", "add", "web"}, {"link", "add", "veth1", "type", "veth", "peer", "eth0", "netns", "web"}, {"link", "set", "veth1", "up"}} {
		command(t, "ip", args...)
	}
	d := startDaemon(t)
	<-slow.asked
	soon := func(what string, ask func() error) {
		t.Helper()
		began := time.Now()
		if err := ask(); err != nil {
			t.Errorf("%s: %v", what, err)
		}
		took := time.Since(began)
		t.Logf("%s was answered after %v", what, took.Round(time.Millisecond))
		if took > 2*quarantineWait {
			t.Errorf("%s was answered after %v", what, took)
		}
	}
	soon("the status", func() error {
		s, err := d.client.Status()
		if err == nil && (s.Gates.Starting != 1 || s.Gates.Protected != 0) {
			t.Errorf("got %+v", s.Gates)
		}
		return err
	})
	soon("who is there", func() error {
		list := d.workloads()
		if len(list) != 1 || list[0].Gate == nil || list[0].Gate.shown() != "starting" {
			t.Errorf("got %+v", list)
		}
		return nil
	})
	soon("a quarantine", func() error {
		q, err := d.client.Quarantine(&Quarantine{Name: "web"})
		if err == nil && (!q.Starting || q.Now) {
			t.Errorf("got %+v", q)
		}
		return err
	})
	listed := func() Quarantine {
		t.Helper()
		list, err := d.client.Quarantines()
		if err != nil || len(list) != 1 {
			t.Fatal(list, err)
		}
		return list[0]
	}
	soon("who is in quarantine", func() error {
		if q := listed(); !q.Starting || q.Now || q.Why != "" {
			t.Errorf("got %+v", q)
		}
		return nil
	})
	close(slow.free)
	until(t, "the gate and the quarantine", func() bool {
		s, err := d.client.Status()
		return err == nil && s.Gates.Protected == 1 && s.Gates.Starting == 0 && s.Gates.Quarantined == 1
	})
	if q := listed(); !q.Now || q.Starting {
		t.Errorf("got %+v", q)
	}
	if q, err := d.client.Quarantine(&Quarantine{Name: "web", Lift: true}); err != nil || q.Starting {
		t.Errorf("lifted: got %+v, %v", q, err)
	}
	until(t, "the end of the quarantine", func() bool {
		s, err := d.client.Status()
		return err == nil && s.Gates.Quarantined == 0
	})
	d.stop()
}
