package daemon

import (
	"fmt"
	"io"
	"log/slog"
	"os"
	"os/exec"
	"runtime"
	"syscall"
	"testing"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"
)

// ownNetwork runs the test once more, as a process with a network namespace of its own, and reports whether this is that
// process: a daemon in it sees the namespace's interfaces only. It is gone with the process.
func ownNetwork(t *testing.T) bool {
	t.Helper()
	const mark = "WEIR_TEST_OWN_NETWORK"
	if os.Getenv(mark) != "" {
		return true
	}
	if os.Geteuid() != 0 {
		t.Skip("needs root: makes network namespaces and captures in them")
	}
	args := []string{"-test.run", "^" + t.Name() + "$", "-test.v", "-test.timeout", "3m"}
	cmd := exec.Command(os.Args[0], args...)
	cmd.Env = append(os.Environ(), mark+"=1")
	runtime.LockOSThread() // the death of the thread is what the child hears of
	defer runtime.UnlockOSThread()
	cmd.SysProcAttr = &syscall.SysProcAttr{Cloneflags: unix.CLONE_NEWNET, Pdeathsig: syscall.SIGKILL}
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Errorf("%v\n%s", err, out)
	} else {
		t.Logf("%s", out)
	}
	return false
}

// connect joins the process's namespace to another by a veth: name with the address 10.9.0.1 here, eth0 with n addresses from 10.9.0.2
// on there.
func connect(t *testing.T, pod *os.File, name string, n int) {
	t.Helper()
	veth := &netlink.Veth{LinkAttrs: netlink.LinkAttrs{Name: name}, PeerName: "eth0", PeerNamespace: netlink.NsFd(int(pod.Fd()))}
	if err := netlink.LinkAdd(veth); err != nil {
		t.Fatal(err)
	}
	address := func(link string, n int) error {
		l, err := netlink.LinkByName(link)
		if err != nil {
			return err
		}
		a, err := netlink.ParseAddr(fmt.Sprintf("10.9.0.%d/24", n))
		if err != nil {
			return err
		}
		if err := netlink.AddrAdd(l, a); err != nil {
			return err
		}
		return netlink.LinkSetUp(l)
	}
	if err := address(name, 1); err != nil {
		t.Fatal(err)
	}
	in(t, pod, func() error {
		for i := range n {
			if err := address("eth0", 2+i); err != nil {
				return err
			}
		}
		return nil
	})
}

// testConfig is a configuration whose files are the test's own.
func testConfig(t *testing.T, rules string) *Config {
	t.Helper()
	dir := t.TempDir()
	c := DefaultConfig()
	c.Paths = PathsConfig{State: dir + "/state", Log: dir + "/log", Run: dir + "/run"}
	c.Rules.Builtin = false
	c.Metrics.Listen = ""
	c.Alerts = AlertsConfig{Burst: 1 << 20, PerSecond: 1 << 20}
	if rules != "" {
		file := dir + "/rules.toml"
		if err := os.WriteFile(file, []byte(rules), 0o600); err != nil {
			t.Fatal(err)
		}
		c.Paths.Rules = []string{file}
	}
	return c
}

func testLog(t *testing.T) *slog.Logger {
	if testing.Verbose() {
		return slog.New(slog.NewTextHandler(t.Output(), nil))
	}
	return slog.New(slog.NewTextHandler(io.Discard, nil))
}
