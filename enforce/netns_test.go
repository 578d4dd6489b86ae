package enforce

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"

	"weir/broker"
	"weir/engine"
)

// patience is how long a test waits before it fails.
const patience = 10 * time.Second

// space is a network namespace of a test's own, without a name: it is gone when the last file, socket and thread in it are.
type space struct {
	f     *os.File
	link  netlink.Link // its interface
	addrs []net.IP
}

func newSpace(t testing.TB) *space {
	t.Helper()
	if os.Geteuid() != 0 {
		t.Skip("needs root: makes network namespaces")
	}
	s := &space{}
	err := onThread(func() (err error) {
		if err = unix.Unshare(unix.CLONE_NEWNET); err != nil {
			return err
		}
		if s.f, err = os.Open("/proc/thread-self/ns/net"); err != nil {
			return err
		}
		lo, err := netlink.LinkByName("lo")
		if err != nil {
			return err
		}
		return netlink.LinkSetUp(lo)
	})
	if err != nil {
		t.Fatalf("cannot make a network namespace: %v", err)
	}
	t.Cleanup(func() { s.f.Close() })
	return s
}

// run runs fn in the namespace. Sockets that fn opens stay in it; goroutines that it starts do not.
func (s *space) run(fn func() error) error {
	return onThread(func() error {
		if err := unix.Setns(int(s.f.Fd()), unix.CLONE_NEWNET); err != nil {
			return fmt.Errorf("setns: %w", err)
		}
		return fn()
	})
}

func (s *space) do(t testing.TB, fn func() error) {
	t.Helper()
	if err := s.run(fn); err != nil {
		t.Fatal(err)
	}
}

// onThread runs fn on an OS thread of its own, which ends with it.
func onThread(fn func() error) error {
	done := make(chan error, 1)
	go func() {
		runtime.LockOSThread() // never unlocked: the thread dies
		done <- fn()
	}()
	return <-done
}

// open is an Opener.
func (s *space) open(kind broker.Kind) (f *os.File, err error) {
	protocol := map[broker.Kind]int{broker.Netfilter: unix.NETLINK_NETFILTER, broker.SockDiag: unix.NETLINK_SOCK_DIAG, broker.Route: unix.NETLINK_ROUTE}[kind]
	err = s.run(func() error {
		fd, err := unix.Socket(unix.AF_NETLINK, unix.SOCK_RAW|unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK, protocol)
		if err == nil {
			f = os.NewFile(uintptr(fd), "netlink")
		}
		return err
	})
	return f, err
}

// pair makes two namespaces joined by a veth: other peers, and the workload that is enforced.
func pair(t testing.TB) (peer, pod *space) {
	t.Helper()
	peer, pod = newSpace(t), newSpace(t)
	peer.do(t, func() error {
		return netlink.LinkAdd(&netlink.Veth{LinkAttrs: netlink.LinkAttrs{Name: "far0"}, PeerName: "eth0", PeerNamespace: netlink.NsFd(int(pod.f.Fd()))})
	})
	peer.configure(t, "far0", "10.9.0.1/24", "fd00:9::1/64")
	pod.configure(t, "eth0", "10.9.0.2/24", "fd00:9::2/64")
	peer.knows(t, pod)
	pod.knows(t, peer)
	for _, s := range []*space{peer, pod} {
		eventually(t, "the addresses can be reached", func() (local bool) { // IPv6 takes them up by and by
			s.do(t, func() error {
				routes, err := netlink.RouteGet(s.addrs[1])
				local = err == nil && len(routes) == 1 && routes[0].Table == unix.RT_TABLE_LOCAL
				return err
			})
			return local
		})
	}
	return peer, pod
}

// configure gives an interface its addresses.
func (s *space) configure(t testing.TB, name string, addresses ...string) {
	t.Helper()
	s.do(t, func() error {
		link, err := netlink.LinkByName(name)
		if err != nil {
			return err
		}
		s.link = link
		for _, a := range addresses {
			addr, err := netlink.ParseAddr(a)
			if err != nil {
				return err
			}
			addr.Flags = unix.IFA_F_NODAD
			if err := netlink.AddrAdd(link, addr); err != nil {
				return err
			}
			s.addrs = append(s.addrs, addr.IP)
		}
		return netlink.LinkSetUp(link)
	})
}

// knows makes the other end of the link known: neighbour discovery over a new link takes IPv6 a second.
func (s *space) knows(t testing.TB, other *space) {
	t.Helper()
	s.do(t, func() error {
		for _, addr := range other.addrs {
			if err := netlink.NeighSet(&netlink.Neigh{LinkIndex: s.link.Attrs().Index, IP: addr, HardwareAddr: other.link.Attrs().HardwareAddr, State: netlink.NUD_PERMANENT}); err != nil {
				return err
			}
		}
		return nil
	})
}

// forgets undoes knows.
func (s *space) forgets(t testing.TB, other *space) {
	t.Helper()
	s.do(t, func() error {
		for _, addr := range other.addrs {
			if err := netlink.NeighDel(&netlink.Neigh{LinkIndex: s.link.Attrs().Index, IP: addr}); err != nil {
				return err
			}
		}
		return nil
	})
}

// ruleset returns what nft says is in the namespace.
func (s *space) ruleset(t testing.TB) (out string) {
	t.Helper()
	s.do(t, func() error {
		b, err := exec.Command("nft", "list", "ruleset").CombinedOutput()
		out = string(b)
		return err
	})
	return out
}

func (s *space) wantNoRules(t testing.TB) {
	t.Helper()
	if out := strings.TrimSpace(s.ruleset(t)); out != "" {
		t.Errorf("rules are left:\n%s", out)
	}
}

// listen makes a TCP server in the namespace.
func (s *space) listen(t testing.TB, addr string) net.Listener {
	t.Helper()
	var l net.Listener
	s.do(t, func() (err error) {
		l, err = net.Listen("tcp", net.JoinHostPort(addr, "0"))
		return err
	})
	t.Cleanup(func() { l.Close() })
	return l
}

// dial connects from the namespace.
func (s *space) dial(to net.Addr) (c net.Conn, err error) {
	err = s.run(func() error {
		c, err = (&net.Dialer{Timeout: patience}).Dial(to.Network(), to.String())
		return err
	})
	return c, err
}

func (s *space) mustDial(t testing.TB, to net.Addr) net.Conn {
	t.Helper()
	c, err := s.dial(to)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	c.SetDeadline(time.Now().Add(patience))
	return c
}

// guard starts enforcement in the namespace, ended with the test.
func (s *space) guard(t testing.TB, conf Config) *Guard {
	t.Helper()
	pool := NewPool(make([]*engine.Lane, 2))
	conf.Open = s.open
	g, err := Start(conf, pool)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := g.Close(); err != nil {
			t.Error(err)
		}
		g.Wait()
		pool.Close()
		s.wantNoRules(t)
	})
	return g
}

// events collects what a guard tells.
type events chan Event

func (e events) tell(ev Event) {
	select {
	case e <- ev:
	default:
	}
}

func (e events) wait(t testing.TB, code string) Event {
	t.Helper()
	for timeout := time.After(patience); ; {
		select {
		case ev := <-e:
			if ev.Code == code {
				return ev
			}
		case <-timeout:
			t.Fatalf("no event %s came", code)
		}
	}
}

// eventually waits until fn says so.
func eventually(t testing.TB, what string, fn func() bool) {
	t.Helper()
	end := time.NewTimer(patience)
	defer end.Stop()
	tick := time.NewTicker(2 * time.Millisecond)
	defer tick.Stop()
	for !fn() {
		select {
		case <-tick.C:
		case <-end.C:
			t.Fatalf("it did not happen: %s", what)
		}
	}
}

// isReset reports whether a connection was ended by the other side, or by the kernel, at once.
func isReset(err error) bool {
	for _, e := range []error{unix.ECONNRESET, unix.ECONNABORTED, unix.ECONNREFUSED, unix.EPIPE} {
		if errors.Is(err, e) {
			return true
		}
	}
	return false
}

func portOf(a net.Addr) uint16 { return netip.MustParseAddrPort(a.String()).Port() }
