package workload

import (
	"errors"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"testing"

	"golang.org/x/sys/unix"
)

// TestOwner: this process has both sockets of a connection to itself, one of UDP, and none that there is not.
func TestOwner(t *testing.T) {
	fd, err := unix.Socket(unix.AF_NETLINK, unix.SOCK_RAW|unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC, unix.NETLINK_SOCK_DIAG)
	if err != nil {
		t.Fatal(err)
	}
	diag := os.NewFile(uintptr(fd), "sock_diag")
	defer diag.Close()
	space, err := inode("/proc/self/ns/net")
	if err != nil {
		t.Fatal(err)
	}
	exe, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	o := NewOwners()
	is := func(what string, proto uint8, local, remote netip.AddrPort) {
		t.Helper()
		s, err := FindSocket(diag, proto, local, remote)
		if err != nil {
			t.Errorf("%s: %v", what, err)
			return
		}
		if p, ok := o.Owner(s, space); !ok || p.PID != os.Getpid() || filepath.Base(p.Exe) != filepath.Base(exe) || p.Comm == "" {
			t.Errorf("%s: got %+v %v of %+v", what, p, ok, s)
		}
	}
	for _, at := range []string{"127.0.0.1:0", "[::1]:0"} {
		l, err := net.Listen("tcp", at)
		if err != nil {
			t.Fatal(err)
		}
		defer l.Close()
		c, err := net.Dial("tcp", l.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		other, err := l.Accept() // until then it is nobody's
		if err != nil {
			t.Fatal(err)
		}
		defer other.Close()
		a, b := c.LocalAddr().(*net.TCPAddr).AddrPort(), c.RemoteAddr().(*net.TCPAddr).AddrPort()
		is("the client", unix.IPPROTO_TCP, a, b)
		is("the server", unix.IPPROTO_TCP, b, a)
		u, err := net.ListenPacket("udp", at)
		if err != nil {
			t.Fatal(err)
		}
		defer u.Close()
		is("a datagram's", unix.IPPROTO_UDP, u.LocalAddr().(*net.UDPAddr).AddrPort(), a)
	}
	if _, err := FindSocket(diag, unix.IPPROTO_TCP, netip.MustParseAddrPort("127.0.0.1:1"), netip.MustParseAddrPort("127.0.0.1:2")); !errors.Is(err, ErrNoSocket) {
		t.Errorf("of nobody: %v", err)
	}
}

// FuzzSocket: no answer makes the parser fail.
func FuzzSocket(f *testing.F) {
	f.Add(make([]byte, 120))
	f.Fuzz(func(t *testing.T, b []byte) { parseSocket(b) })
}
