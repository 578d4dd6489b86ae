package daemon

import (
	"net"
	"os"
	"strings"
	"testing"
)

func TestFreeSocket(t *testing.T) {
	path := t.TempDir() + "/weir.sock"
	check := func(what, want string) {
		t.Helper()
		got := ""
		if err := freeSocket(path); err != nil {
			got = err.Error()
		}
		if want == "" && got != "" || !strings.Contains(got, want) {
			t.Errorf("%s: got %q, want %q", what, got, want)
		}
	}
	check("nothing", "")
	l, err := net.ListenUnix("unix", &net.UnixAddr{Name: path, Net: "unix"})
	if err != nil {
		t.Fatal(err)
	}
	check("a living one", "another weir answers there")
	l.SetUnlinkOnClose(false)
	l.Close()
	check("a dead one's", "")
	if err := os.Remove(path); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte("somebody's"), 0o600); err != nil {
		t.Fatal(err)
	}
	check("a file", "no socket")
	if _, err := ServeControl(path, ControlHandlers{}); err == nil {
		t.Error("a file is taken for a dead daemon's socket")
	}
	if b, err := os.ReadFile(path); err != nil || string(b) != "somebody's" {
		t.Errorf("the file is gone: %q, %v", b, err)
	}
}

// TestLockLog has two daemons write events into one folder.
func TestLockLog(t *testing.T) {
	dir := t.TempDir()
	daemon := func() *Daemon { return &Daemon{conf: &Config{Paths: PathsConfig{Log: dir}}} }
	first, second := daemon(), daemon()
	if err := first.lockLog(); err != nil {
		t.Fatal(err)
	}
	if err := second.lockLog(); err == nil || !strings.Contains(err.Error(), "another weir writes to "+dir) {
		t.Errorf("the second: %v", err)
	}
	first.unlockLog()
	if err := second.lockLog(); err != nil {
		t.Errorf("after the first has ended: %v", err)
	}
	second.unlockLog()
	if left, err := os.ReadDir(dir); err != nil || len(left) > 0 {
		t.Errorf("left behind: %v, %v", left, err)
	}
}
