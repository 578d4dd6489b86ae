package broker

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

const (
	siocGSKNS = 0x894c // SIOCGSKNS: the namespace of a socket
	askEnv    = "WEIR_TEST_ASK"
)

// TestMain makes this test binary a process that asks the broker at a socket, and says what it got.
func TestMain(m *testing.M) {
	if socket := os.Getenv(askEnv); socket != "" {
		c, err := Connect(socket)
		if err == nil {
			_, err = c.Open("/proc/1/ns/net", Route)
		}
		fmt.Println(err)
		return
	}
	os.Exit(m.Run())
}

// sleeper starts a process in a network namespace of its own, and returns its id.
func sleeper(t *testing.T) int {
	t.Helper()
	if os.Geteuid() != 0 {
		t.Skip("needs root: makes network namespaces")
	}
	cmd := exec.Command("sleep", "60")
	cmd.SysProcAttr = &syscall.SysProcAttr{Cloneflags: unix.CLONE_NEWNET}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		cmd.Process.Kill()
		cmd.Wait()
	})
	return cmd.Process.Pid
}

// named gives the namespace of a process a name, until the test ends.
func named(t *testing.T, pid int) (path string) {
	t.Helper()
	name := fmt.Sprintf("weir-broker-test-%d", pid)
	if out, err := exec.Command("ip", "netns", "attach", name, strconv.Itoa(pid)).CombinedOutput(); err != nil {
		t.Fatalf("ip netns attach: %v\n%s", err, out)
	}
	t.Cleanup(func() { exec.Command("ip", "netns", "delete", name).Run() })
	return "/run/netns/" + name
}

func inode(t *testing.T, path string) uint64 {
	t.Helper()
	var st unix.Stat_t
	if err := unix.Stat(path, &st); err != nil {
		t.Fatal(err)
	}
	return st.Ino
}

// spaceOf returns the inode of the namespace that a socket is in.
func spaceOf(t *testing.T, f *os.File) uint64 {
	t.Helper()
	ns, err := unix.IoctlRetInt(int(f.Fd()), siocGSKNS)
	if err != nil {
		t.Fatal(err)
	}
	defer unix.Close(ns)
	var st unix.Stat_t
	if err := unix.Fstat(ns, &st); err != nil {
		t.Fatal(err)
	}
	return st.Ino
}

func descriptors(t *testing.T) int {
	t.Helper()
	list, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		t.Fatal(err)
	}
	return len(list)
}

// server serves at a socket of the test's own, as the broker of systemd does; stop ends it, its connections too.
type server struct {
	path     string
	l        *net.UnixListener
	problems chan error
}

func serve(t *testing.T, path string) *server {
	t.Helper()
	l, err := net.ListenUnix("unixpacket", &net.UnixAddr{Name: path, Net: "unixpacket"})
	if err != nil {
		t.Fatal(err)
	}
	s := &server{path: path, l: l, problems: make(chan error, 16)}
	go Listen(l, func(err error) { s.problems <- err })
	t.Cleanup(func() { l.Close() })
	return s
}

func (s *server) problem(t *testing.T) string {
	t.Helper()
	select {
	case err := <-s.problems:
		return err.Error()
	case <-time.After(10 * time.Second):
		t.Fatal("no problem was told")
		return ""
	}
}

func (s *server) dial(t *testing.T) *net.UnixConn {
	t.Helper()
	c, err := net.DialUnix("unixpacket", nil, &net.UnixAddr{Name: s.path, Net: "unixpacket"})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	return c
}

// Every kind of socket is in the namespace that was named, whichever way; nothing is left open, and this process stays where it is.
func TestOpen(t *testing.T) {
	pid := sleeper(t)
	path := named(t, pid)
	own := inode(t, "/proc/self/ns/net")
	s := serve(t, filepath.Join(t.TempDir(), "s"))
	for _, socket := range []string{s.path, "/nonexistent"} {
		c, err := Connect(socket)
		if err != nil {
			t.Fatal(err)
		}
		if c.Here() != (socket != s.path) {
			t.Errorf("%s: in this process: %v", socket, c.Here())
		}
		if _, err := c.Open(path, Route); err != nil { // connects
			t.Fatal(err)
		}
		before := descriptors(t)
		for _, p := range []string{path, "/var" + path, fmt.Sprintf("/proc/%d/ns/net", pid)} {
			for kind := Packet; kind.valid(); kind++ {
				f, err := c.Open(p, kind)
				if err != nil {
					t.Fatal(err)
				}
				if got, want := spaceOf(t, f), inode(t, path); got != want {
					t.Errorf("%s, %v: the socket is in %d, want %d", p, kind, got, want)
				}
				f.Close()
			}
		}
		if after := descriptors(t); after > before {
			t.Errorf("%d descriptors, %d before", after, before)
		}
		c.Close()
	}
	deadline := time.Now().Add(5 * time.Second)
	for elsewhere := strays(t, own); len(elsewhere) > 0; elsewhere = strays(t, own) { // a thread that entered one ends with its goroutine, a little later
		if time.Now().After(deadline) {
			t.Fatalf("threads are left in other namespaces: %v", elsewhere)
		}
		runtime.Gosched()
	}
}

// strays returns the threads of this process that are in another network namespace than own.
func strays(t *testing.T, own uint64) (out []string) {
	t.Helper()
	threads, err := os.ReadDir("/proc/self/task")
	if err != nil {
		t.Fatal(err)
	}
	for _, th := range threads {
		var st unix.Stat_t
		if unix.Stat("/proc/self/task/"+th.Name()+"/ns/net", &st) == nil && st.Ino != own {
			out = append(out, fmt.Sprintf("%s in %d", th.Name(), st.Ino))
		}
	}
	return out
}

func TestPaths(t *testing.T) {
	for path, want := range map[string]bool{
		"/run/netns/shop": true, "/var/run/netns/cni-01234567-89ab-cdef-0123-456789abcdef": true, "/proc/1/ns/net": true, "/proc/4194304/ns/net": true,
		"/run/netns/...": true, "/run/netns/" + strings.Repeat("x", 255): true,
		"": false, "/": false, "/run/netns": false, "/run/netns/": false, "/run/netns/.": false, "/run/netns/..": false, "/run/netns/a/b": false,
		"/run/netns/../../etc/passwd": false, "/run/netns/x\x00": false, "/run/netns/" + strings.Repeat("x", 256): false, "run/netns/x": false,
		"/proc/self/ns/net": false, "/proc/0/ns/net": false, "/proc/01/ns/net": false, "/proc/-1/ns/net": false, "/proc/1/ns/mnt": false, "/proc/1/ns/net/": false,
		"/proc/1/task/1/ns/net": false, "/proc//ns/net": false, "/proc/ns/net": false, "/proc/12345678/ns/net": false, "/proc/1 /ns/net": false, "/tmp/x": false,
	} {
		if got := valid(path); got != want {
			t.Errorf("%q: got %v, want %v", path, got, want)
		}
	}
}

// What is named must be a network namespace, and not the host's.
func TestOpenRefuses(t *testing.T) {
	sleeper(t)
	c, err := Connect("/nonexistent")
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	file := fmt.Sprintf("/run/netns/weir-broker-file-%d", os.Getpid())
	if err := os.MkdirAll("/run/netns", 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	defer os.Remove(file)
	link := file + "-link"
	if err := os.Symlink("/proc/1/ns/net", link); err != nil {
		t.Fatal(err)
	}
	defer os.Remove(link)
	for _, test := range []struct {
		path string
		want error
	}{
		{"/tmp/x", ErrPath}, {"/proc/self/ns/net", ErrPath}, {file, unix.EINVAL}, {link, unix.ELOOP}, {"/run/netns/weir-none", fs.ErrNotExist},
		{fmt.Sprintf("/proc/%d/ns/net", os.Getpid()), ErrOwn}, {"/proc/4194304/ns/net", fs.ErrNotExist},
	} {
		if f, err := c.Open(test.path, Netfilter); !errors.Is(err, test.want) {
			t.Errorf("%s: got %v, %v, want %v", test.path, f, err, test.want)
		}
	}
	if _, err := c.Open("/run/netns/x", 9); !errors.Is(err, ErrPath) {
		t.Errorf("an unknown kind: got %v", err)
	}
}

// A peer that says what no client says is left, and gets nothing.
func TestServeRefuses(t *testing.T) {
	pid := sleeper(t)
	good := append([]byte{byte(Route)}, fmt.Sprintf("/proc/%d/ns/net", pid)...)
	s := serve(t, filepath.Join(t.TempDir(), "s"))
	fd, err := unix.Open("/dev/null", unix.O_RDONLY|unix.O_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer unix.Close(fd)
	for name, m := range map[string]struct {
		request []byte
		rights  []byte
	}{
		"kind 0": {append([]byte{0}, good[1:]...), nil}, "kind 5": {append([]byte{5}, good[1:]...), nil}, "no path": {good[:1], nil},
		"long": {append(good, make([]byte, 1000)...), nil}, "path": {[]byte("\x04/etc/passwd"), nil}, "descriptors": {good, unix.UnixRights(fd)},
	} {
		c := s.dial(t)
		if _, _, err := c.WriteMsgUnix(m.request, m.rights, nil); err != nil {
			t.Fatal(err)
		}
		c.SetDeadline(time.Now().Add(10 * time.Second))
		buf, oob := make([]byte, 64), make([]byte, 64)
		if n, on, _, _, err := c.ReadMsgUnix(buf, oob); !errors.Is(err, io.EOF) && !errors.Is(err, unix.ECONNRESET) {
			t.Errorf("%s: got %q and %d bytes of rights, %v", name, buf[:n], on, err)
		}
		if got := s.problem(t); !strings.Contains(got, "makes no sense") {
			t.Errorf("%s: %s", name, got)
		}
	}
}

// Another user is refused, whatever the file's mode lets through.
func TestServeRefusesUsers(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("needs root: becomes another user")
	}
	dir, err := os.MkdirTemp("", "weir-broker")
	if err != nil {
		t.Fatal(err)
	}
	defer os.RemoveAll(dir)
	if err := os.Chmod(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	s := serve(t, dir+"/s")
	if err := os.Chmod(s.path, 0o777); err != nil {
		t.Fatal(err)
	}
	self, err := os.ReadFile("/proc/self/exe")
	if err == nil {
		err = os.WriteFile(dir+"/ask", self, 0o755)
	}
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(dir + "/ask")
	cmd.Env, cmd.Dir = []string{askEnv + "=" + s.path}, "/"
	cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: 65534, Gid: 65534}}
	out, err := cmd.CombinedOutput()
	if err != nil || !strings.Contains(string(out), "the broker does not answer") {
		t.Errorf("got %v, %s", err, out)
	}
	if got := s.problem(t); !strings.Contains(got, "of user 65534 is refused") {
		t.Errorf("told: %s", got)
	}
}

// A broker that is restarted is found again, and one that is gone is told.
func TestRestart(t *testing.T) {
	pid := sleeper(t)
	path := fmt.Sprintf("/proc/%d/ns/net", pid)
	ends := make(chan *net.UnixConn, 4)
	c := &Client{dial: func() (*net.UnixConn, error) {
		conn, err := within()
		if err == nil {
			ends <- conn
		}
		return conn, err
	}}
	open := func() {
		t.Helper()
		f, err := c.Open(path, Packet)
		if err != nil {
			t.Fatal(err)
		}
		f.Close()
	}
	open()
	(<-ends).CloseRead() // nothing more comes of it
	open()
	open()
	if len(ends) != 1 {
		t.Errorf("%d connections, want 1", len(ends))
	}
	c.Close()
	c.dial = func() (*net.UnixConn, error) { return nil, unix.ECONNREFUSED }
	if _, err := c.Open(path, Packet); !errors.Is(err, unix.ECONNREFUSED) {
		t.Errorf("got %v", err)
	}
}

func FuzzPath(f *testing.F) {
	f.Add("/run/netns/x")
	f.Add("/proc/1/ns/net")
	f.Fuzz(func(t *testing.T, path string) {
		if valid(path) && filepath.Clean(path) != path {
			t.Errorf("%q leads elsewhere", path)
		}
	})
}
