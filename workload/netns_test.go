package workload

import (
	"context"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"syscall"
	"testing"
	"time"

	"github.com/vishvananda/netlink"
	"github.com/vishvananda/netns"
	"golang.org/x/sys/unix"
)

// patience is how long a test waits for the kernel before it fails.
const patience = 10 * time.Second

// blockEnv makes this test binary a process that only waits for its standard input to end.
const blockEnv = "WEIR_TEST_BLOCK"

func TestMain(m *testing.M) {
	if os.Getenv(blockEnv) != "" {
		os.Stdout.WriteString("\n")
		os.Stdin.Read(make([]byte, 1))
		return
	}
	os.Exit(m.Run())
}

// onThread runs fn on an OS thread that ends with it.
func onThread(fn func() error) error {
	done := make(chan error, 1)
	go func() {
		runtime.LockOSThread() // never unlocked
		done <- fn()
	}()
	return <-done
}

// newSpace makes a network namespace and returns its file.
func newSpace(t *testing.T) *os.File {
	t.Helper()
	if os.Geteuid() != 0 {
		t.Skip("needs root: makes network namespaces")
	}
	var f *os.File
	if err := onThread(func() (err error) {
		if err = unix.Unshare(unix.CLONE_NEWNET); err == nil {
			f, err = os.Open("/proc/thread-self/ns/net")
		}
		return err
	}); err != nil {
		t.Skipf("cannot make a network namespace: %v", err)
	}
	t.Cleanup(func() { f.Close() })
	return f
}

// in runs fn in the namespace.
func in(t *testing.T, ns *os.File, fn func() error) {
	t.Helper()
	if err := onThread(func() error {
		if err := unix.Setns(int(ns.Fd()), unix.CLONE_NEWNET); err != nil {
			return err
		}
		return fn()
	}); err != nil {
		t.Fatal(err)
	}
}

func veth(name string, peer *os.File, peerName string) *netlink.Veth {
	v := &netlink.Veth{LinkAttrs: netlink.LinkAttrs{Name: name}, PeerName: peerName}
	if peer != nil {
		v.PeerNamespace = netlink.NsFd(int(peer.Fd()))
	}
	return v
}

func next(t *testing.T, ch <-chan Event) Event {
	t.Helper()
	select {
	case e := <-ch:
		return e
	case <-time.After(patience):
		t.Fatal("no event came")
		return Event{}
	}
}

// expect reads events until one is as wanted, "arrived v1"; in between only changes may come.
func expect(t *testing.T, ch <-chan Event, want string) Event {
	t.Helper()
	for {
		e := next(t, ch)
		got := e.Kind.String() + " " + e.Interface.Name
		if got == want {
			return e
		}
		if e.Kind != Changed && e.Kind != Listed {
			t.Fatalf("got %s (%v), want %s", got, e.Err, want)
		}
	}
}

// TestFindNamed finds a namespace made as `ip netns add` makes it.
func TestFindNamed(t *testing.T) {
	host := newSpace(t)
	name := fmt.Sprintf("weir-test-%d", os.Getpid())
	var pod netns.NsHandle
	if err := onThread(func() (err error) {
		pod, err = netns.NewNamed(name)
		return err
	}); err != nil {
		t.Skipf("cannot make a named network namespace: %v", err)
	}
	defer netns.DeleteNamed(name)
	defer pod.Close()
	podFile := os.NewFile(uintptr(pod), name)
	defer podFile.Close()
	var f *Finder
	in(t, host, func() (err error) {
		f, err = NewFinder()
		return err
	})
	defer f.Close()
	i := join(t, host, podFile)
	got := f.Find(i)
	if got.Name != name || got.NetNS != filepath.Join(namesDir, name) || got.ID != "" {
		t.Errorf("got %+v, want the name %s", got, name)
	}
	want := "[10.9.0.2 fd00:9::2]"
	addrs, cut, err := f.Addresses(i)
	if err != nil || fmt.Sprint(addrs) != want || cut {
		t.Errorf("addresses: got %v, %v, want %s", addrs, err, want)
	}
	old := &Finder{} // as with a kernel that cannot be asked by a namespace's id
	if addrs, cut, err = old.Addresses(i); err != nil || len(addrs) > 0 || cut {
		t.Errorf("addresses, from an old kernel: got %v, %v, want none", addrs, err)
	}
	if addrs, _, err := f.Addresses(Interface{NSID: 12345}); err == nil || len(addrs) > 0 {
		t.Errorf("addresses of an unknown namespace: got %v, %v", addrs, err)
	}
	if w := f.Find(Interface{NSID: -1}); w.NetNS != "" {
		t.Errorf("no namespace: got %+v", w)
	}
	if w := f.Find(Interface{NSID: 12345}); w.NetNS != "" {
		t.Errorf("unknown namespace: got %+v", w)
	}
	if left := f.Left(); left != "" {
		t.Errorf("left out: %s", left)
	}
	// Another one had the name and the id meanwhile. It is too soon to look through all again.
	f.byID[i.NSID] = &netSpace{inode: got.Space + 1, path: got.NetNS, name: name}
	f.scanned, f.listed = time.Now().Add(time.Hour), time.Time{}
	if again := f.Find(i); again.Space != got.Space {
		t.Errorf("found namespace %d behind the name %s, which leads to %d", again.Space, again.NetNS, got.Space)
	}
}

// TestAddressLimit asks for the addresses of a namespace that has more than are taken, and then of another one.
func TestAddressLimit(t *testing.T) {
	host, pod, other := newSpace(t), newSpace(t), newSpace(t)
	var f *Finder
	in(t, host, func() (err error) {
		f, err = NewFinder()
		return err
	})
	defer f.Close()
	many := join(t, host, pod)
	in(t, pod, func() error {
		l, err := netlink.LinkByName("eth0")
		for i := range maxPerSpace {
			if err == nil {
				err = netlink.AddrAdd(l, &netlink.Addr{IPNet: &net.IPNet{IP: net.IPv4(10, 10, byte(i>>8), byte(i)), Mask: net.CIDRMask(32, 32)}})
			}
		}
		return err
	})
	addrs, cut, err := f.Addresses(many)
	if err != nil || len(addrs) != maxPerSpace || !cut {
		t.Errorf("got %d addresses, cut %v, %v", len(addrs), cut, err)
	}
	in(t, host, func() error { return netlink.LinkDel(veth("v1", nil, "")) })
	few := join(t, host, other)
	if addrs, cut, err = f.Addresses(few); err != nil || len(addrs) != 2 || cut {
		t.Errorf("got %v, cut %v, %v", addrs, cut, err)
	}
}

// TestWatchAddresses: an address that comes or goes in a namespace at the other end of a veth is told, and who floods is
// not listened to all the time.
func TestWatchAddresses(t *testing.T) {
	host, pod := newSpace(t), newSpace(t)
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	var ch <-chan int
	in(t, host, func() (err error) {
		ch, err = WatchAddresses(ctx)
		return err
	})
	i := join(t, host, pod)
	told := func() {
		t.Helper()
		select {
		case id := <-ch:
			if id != i.NSID {
				t.Errorf("got %d, want %d", id, i.NSID)
			}
		case <-time.After(patience):
			t.Fatal("nothing was told")
		}
	}
	told()
	a, err := netlink.ParseAddr("10.9.0.3/24")
	if err != nil {
		t.Fatal(err)
	}
	in(t, pod, func() error {
		l, err := netlink.LinkByName("eth0")
		for range 5000 {
			if err == nil {
				err = netlink.AddrAdd(l, a)
			}
			if err == nil {
				err = netlink.AddrDel(l, a)
			}
		}
		return err
	})
	for id := i.NSID; id != Everywhere; { // nobody read meanwhile: something is missed
		select {
		case id = <-ch:
		case <-time.After(patience):
			t.Fatal("that news were missed is not told")
		}
	}
	in(t, host, func() error { return netlink.LinkDel(veth("v1", nil, "")) })
	cancel()
	for range ch { // ends
	}
}

// join puts a veth between two namespaces, with addresses at the second, and returns the first's end.
func join(t *testing.T, host, pod *os.File) (i Interface) {
	t.Helper()
	in(t, host, func() error {
		if err := netlink.LinkAdd(veth("v1", pod, "eth0")); err != nil {
			return err
		}
		l, err := netlink.LinkByName("v1")
		if err == nil {
			i = fromLink(l)
		}
		return err
	})
	in(t, pod, func() error {
		l, err := netlink.LinkByName("eth0")
		if err != nil {
			return err
		}
		for _, s := range []string{"10.9.0.2/24", "fd00:9::2/64"} {
			a, err := netlink.ParseAddr(s)
			if err != nil {
				return err
			}
			if err := netlink.AddrAdd(l, a); err != nil {
				return err
			}
		}
		return netlink.LinkSetUp(l)
	})
	return i
}

// TestFindContainer finds a process in a namespace and in a cgroup, as container runtimes make them.
func TestFindContainer(t *testing.T) {
	host := newSpace(t)
	dir := cgroup(t, "weir-test-"+fmt.Sprint(os.Getpid())+"/pod"+testUID+"/"+testID)
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), blockEnv+"=1")
	cmd.SysProcAttr = &syscall.SysProcAttr{Cloneflags: syscall.CLONE_NEWNET, UseCgroupFD: true, CgroupFD: int(dir.Fd())}
	stdin, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Skipf("cannot start a process in a cgroup: %v", err)
	}
	defer cmd.Wait()
	defer stdin.Close()
	stdout.Read(make([]byte, 1)) // it runs
	pod, err := os.Open(fmt.Sprintf("/proc/%d/ns/net", cmd.Process.Pid))
	if err != nil {
		t.Fatal(err)
	}
	defer pod.Close()
	i := join(t, host, pod)
	in(t, host, func() error {
		f, err := NewFinder()
		if err != nil {
			return err
		}
		defer f.Close()
		got := f.Find(i)
		if got.ID != testID || got.Labels[LabelPodUID] != testUID || got.Name != "" {
			t.Errorf("got %+v", got)
		}
		addrs, _, err := f.Addresses(i)
		if err != nil || len(addrs) != 2 {
			t.Errorf("addresses: got %v, %v", addrs, err)
		}
		table := NewTable([]Entry{{Workload: &got, Addresses: addrs}})
		if w := table.Lookup(addrs[0].As16(), 0); w != &got {
			t.Errorf("table: got %v", w)
		}
		return nil
	})
}

// cgroup makes a cgroup and returns its directory.
func cgroup(t *testing.T, path string) *os.File {
	t.Helper()
	root := unified(t)
	t.Cleanup(func() {
		for p := path; p != "."; p = filepath.Dir(p) {
			os.Remove(root + "/" + p)
		}
	})
	if err := os.MkdirAll(root+"/"+path, 0o755); err != nil {
		t.Skipf("cannot make a cgroup: %v", err)
	}
	d, err := os.Open(root + "/" + path)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { d.Close() })
	return d
}

// unified returns where the unified cgroup hierarchy is mounted and may be written. A chroot or a container has none: it is mounted for the
// test then.
func unified(t *testing.T) string {
	t.Helper()
	for _, root := range []string{"/sys/fs/cgroup/unified", "/sys/fs/cgroup"} {
		if _, err := os.Stat(root + "/cgroup.procs"); err == nil && unix.Access(root, unix.W_OK) == nil {
			return root
		}
	}
	root := t.TempDir()
	if err := unix.Mount("cgroup2", root, "cgroup2", 0, ""); err != nil {
		t.Skipf("cannot mount the unified cgroup hierarchy: %v", err)
	}
	t.Cleanup(func() { unix.Unmount(root, unix.MNT_DETACH) })
	return root
}

func TestFindOldest(t *testing.T) {
	var s netSpace
	s.add(os.Getpid())
	s.add(os.Getppid())
	s.add(os.Getpid())
	if want := os.Getppid(); s.proc.pid != want && !s.proc.boxed() {
		t.Errorf("got process %d, want the parent, %d", s.proc.pid, want)
	}
}

func TestParseAddress(t *testing.T) {
	head := "\x02\x18\x80\x00\x02\x00\x00\x00"
	for _, c := range []struct {
		m, addr string
		nsid    int
	}{
		{head + "\x08\x00\x0a\x00\x07\x00\x00\x00\x08\x00\x01\x00\x0a\x09\x00\x02\x08\x00\x02\x00\x0a\x09\x00\x02", "10.9.0.2", 7},
		{head + "\x08\x00\x02\x00\x0a\x09\x00\x02\x08\x00\x01\x00\x0a\x09\x00\x63\x08\x00\x0a\x00\x07\x00\x00\x00", "10.9.0.2", 7}, // point to point
		{head + "\x08\x00\x01\x00\x0a\x09\x00\x02", "10.9.0.2", -1},
		{head + "\x07\x00\x01\x00\x0a\x09\x00\x02", "invalid IP", -1},
		{head + "\x00\x00", "invalid IP", -1},
		{head[:4], "invalid IP", -1},
	} {
		if a, nsid := parseAddress([]byte(c.m)); a.String() != c.addr || nsid != c.nsid {
			t.Errorf("%q: got %v, %d, want %s, %d", c.m, a, nsid, c.addr, c.nsid)
		}
	}
}
