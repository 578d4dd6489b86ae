package capture

import (
	"fmt"
	"os"
	"runtime"
	"testing"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"
)

// space is a network namespace of a test's own, without a name: it is gone when the last file, socket and thread in it
// are.
type space struct{ f *os.File }

// newSpace makes a namespace with its loopback up. It skips the test where that is not allowed.
func newSpace(t testing.TB) space {
	t.Helper()
	if os.Geteuid() != 0 {
		t.Skip("needs root: makes network namespaces and captures in them")
	}
	var s space
	err := onThread(func() error {
		if err := unix.Unshare(unix.CLONE_NEWNET); err != nil {
			return err
		}
		var err error
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
		t.Skipf("cannot make a network namespace: %v", err)
	}
	t.Cleanup(func() { s.f.Close() })
	return s
}

// do runs fn in the namespace. Sockets that fn opens stay in it; goroutines that fn starts do not.
func (s space) do(t testing.TB, fn func() error) {
	t.Helper()
	if err := s.run(fn); err != nil {
		t.Fatal(err)
	}
}

// run is do for goroutines that are not the test's own.
func (s space) run(fn func() error) error {
	return onThread(func() error {
		if err := unix.Setns(int(s.f.Fd()), unix.CLONE_NEWNET); err != nil {
			return fmt.Errorf("setns: %w", err)
		}
		return fn()
	})
}

// onThread runs fn on an OS thread of its own, which ends with it: its namespace can never leak into other goroutines.
func onThread(fn func() error) error {
	done := make(chan error, 1)
	go func() {
		runtime.LockOSThread() // never unlocked: the thread dies
		done <- fn()
	}()
	return <-done
}

// pair makes two namespaces joined by a veth: "host" in the first, "eth0" in the second, both up, with the addresses 10.9.0.1 and
// 10.9.0.2, fd00:9::1 and fd00:9::2. It returns the index of "host".
func pair(t testing.TB) (host, pod space, index int) {
	t.Helper()
	host, pod = newSpace(t), newSpace(t)
	host.do(t, func() error {
		veth := &netlink.Veth{LinkAttrs: netlink.LinkAttrs{Name: "host"}, PeerName: "eth0", PeerNamespace: netlink.NsFd(int(pod.f.Fd()))}
		if err := netlink.LinkAdd(veth); err != nil {
			return fmt.Errorf("add veth: %w", err)
		}
		var err error
		index, err = configure("host", "10.9.0.1/24", "fd00:9::1/64")
		return err
	})
	pod.do(t, func() error {
		_, err := configure("eth0", "10.9.0.2/24", "fd00:9::2/64")
		return err
	})
	return host, pod, index
}

func configure(name string, addresses ...string) (index int, err error) {
	link, err := netlink.LinkByName(name)
	if err != nil {
		return 0, err
	}
	for _, a := range addresses {
		addr, err := netlink.ParseAddr(a)
		if err != nil {
			return 0, err
		}
		addr.Flags = unix.IFA_F_NODAD // an IPv6 address is else not usable at once
		if err := netlink.AddrAdd(link, addr); err != nil {
			return 0, err
		}
	}
	return link.Attrs().Index, netlink.LinkSetUp(link)
}
