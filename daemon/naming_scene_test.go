package daemon

import (
	"bytes"
	"context"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/vishvananda/netlink"
	"github.com/vishvananda/netns"
	"golang.org/x/sys/unix"

	"weir/workload"
)

// space makes a network namespace, gone once its file is closed.
func space(t *testing.T) *os.File {
	t.Helper()
	if os.Geteuid() != 0 {
		t.Skip("needs root: makes network namespaces")
	}
	var f *os.File
	var err error
	onThread(func() {
		if err = unix.Unshare(unix.CLONE_NEWNET); err == nil {
			f, err = os.Open("/proc/thread-self/ns/net")
		}
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { f.Close() })
	return f
}

// onThread runs fn on a thread that ends with it.
func onThread(fn func()) {
	done := make(chan bool)
	go func() {
		defer close(done)
		runtime.LockOSThread()
		if unix.Gettid() == unix.Getpid() { // the first thread never ends: it would keep the namespace
			onThread(fn)
			runtime.UnlockOSThread()
			return
		}
		fn() // never unlocked
	}()
	<-done
}

// in runs fn in a namespace.
func in(t *testing.T, ns *os.File, fn func() error) {
	t.Helper()
	var err error
	onThread(func() {
		if err = unix.Setns(int(ns.Fd()), unix.CLONE_NEWNET); err == nil {
			err = fn()
		}
	})
	if err != nil {
		t.Fatal(err)
	}
}

// join puts a veth between two namespaces, without addresses.
func join(t *testing.T, host *netlink.Handle, pod *os.File, name string) {
	t.Helper()
	v := &netlink.Veth{LinkAttrs: netlink.LinkAttrs{Name: name}, PeerName: "e" + name, PeerNamespace: netlink.NsFd(int(pod.Fd()))}
	if err := host.LinkAdd(v); err != nil {
		t.Fatal(err)
	}
}

// namingTest is a naming for the interfaces of a namespace, fed with news of them as the daemon does it.
type namingTest struct {
	*naming
	host  *netlink.Handle
	table atomic.Pointer[workload.Table]
	full  chan string
	early bool         // its interfaces were there at the start
	said  bytes.Buffer // its log, to be read once it has ended
}

func testNaming(t *testing.T, runtimes ...workload.Runtime) *namingTest {
	t.Helper()
	return testNamingOf(t, false, runtimes...)
}

func testNamingOf(t *testing.T, early bool, runtimes ...workload.Runtime) *namingTest {
	t.Helper()
	ns := space(t)
	host, err := netlink.NewHandleAt(netns.NsHandle(ns.Fd()))
	if err != nil {
		t.Fatal(err)
	}
	x := &namingTest{host: host, full: make(chan string, 10), early: early}
	ctx, cancel := context.WithCancel(context.Background())
	var links <-chan workload.Event
	in(t, ns, func() (err error) {
		if x.naming, err = startNaming(slog.New(slog.NewTextHandler(&x.said, nil)), runtimes, x.table.Store, func(what string) { x.full <- what }); err == nil {
			links, err = workload.Watch(ctx, []string{"v*"}, nil)
		}
		return err
	})
	var fed sync.WaitGroup
	fed.Go(func() {
		for ev := range links {
			switch ev.Kind {
			case workload.Arrived, workload.Changed:
				at := time.Now()
				if x.early {
					at = time.Time{}
				}
				x.see(ev.Interface, at)
			case workload.Departed:
				x.forget(ev.Interface.Index)
			}
		}
	})
	t.Cleanup(func() {
		cancel()
		fed.Wait()
		x.close()
		host.Close()
	})
	return x
}

// at returns who is at an address now.
func (x *namingTest) at(addr string) *workload.Workload {
	return x.table.Load().Lookup(netip.MustParseAddr(addr).As16(), time.Now().UnixNano())
}

const testID = "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"

// contained starts a process in a namespace and in the cgroup of a container, and returns what ends both.
func contained(t *testing.T, ns *os.File, id string) (end func()) {
	t.Helper()
	return containedIn(t, ns, fmt.Sprintf("weir-test-%d", os.Getpid()), id)
}

// containedIn is contained in a cgroup that is in another one.
func containedIn(t *testing.T, ns *os.File, outer, id string) (end func()) {
	t.Helper()
	root := t.TempDir()
	if err := unix.Mount("cgroup2", root, "cgroup2", 0, ""); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { unix.Unmount(root, unix.MNT_DETACH) })
	top := filepath.Join(root, outer)
	dir := filepath.Join(top, "docker-"+id+".scope")
	if err := os.MkdirAll(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.Remove(dir); os.Remove(top) })
	cgroup, err := os.Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	defer cgroup.Close()
	cmd := exec.Command("sleep", "1000")
	cmd.SysProcAttr = &syscall.SysProcAttr{UseCgroupFD: true, CgroupFD: int(cgroup.Fd())}
	in(t, ns, cmd.Start)
	end = sync.OnceFunc(func() { cmd.Process.Kill(); cmd.Wait() })
	t.Cleanup(end)
	return end
}

// addAddress gives an interface in a namespace an address.
func addAddress(t *testing.T, ns *os.File, name, addr string) {
	t.Helper()
	in(t, ns, func() error {
		l, err := netlink.LinkByName(name)
		if err != nil {
			return err
		}
		a, err := netlink.ParseAddr(addr)
		if err != nil {
			return err
		}
		return netlink.AddrAdd(l, a)
	})
}

// serveDocker answers as Docker at a socket, until the test ends.
func serveDocker(t *testing.T, path string, answer http.HandlerFunc) {
	t.Helper()
	l, err := net.Listen("unix", path)
	if err != nil {
		t.Fatal(err)
	}
	s := http.Server{Handler: answer}
	go s.Serve(l)
	t.Cleanup(func() { s.Close() })
}
