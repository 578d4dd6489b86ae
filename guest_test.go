package weir_test

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"
)

// guest is a machine with systemd: the root file system with `make install` over it, in a container that has nothing of the
// host but its kernel. It is gone with the test.
type guest struct {
	t      *testing.T
	dir    string
	name   string
	nspawn *exec.Cmd
	leader int // its PID 1
	ended  chan struct{}
}

// guestTarget is all that the guest boots: no more than what a unit with default dependencies needs.
const guestTarget = `[Unit]
Description=As little as weir.service needs
Requires=sysinit.target
After=sysinit.target
AllowIsolate=yes
`

// boot mounts in a mount namespace of its own, so that nothing is left of it, and runs in cgroups of its own.
const boot = `set -eu
for h in /sys/fs/cgroup /sys/fs/cgroup/systemd /sys/fs/cgroup/unified; do
	if [ -w $h/cgroup.procs ]; then mkdir $h/$NAME; echo $$ > $h/$NAME/cgroup.procs; fi
done
mount -t tmpfs none "$DIR/box"
mkdir "$DIR/box/upper" "$DIR/box/work" "$DIR/box/root"
mount -t tmpfs none /run
mount -t overlay overlay -o "lowerdir=/,upperdir=$DIR/box/upper,workdir=$DIR/box/work" "$DIR/box/root"
cp -a "$DIR/tree/." "$DIR/box/root/"
exec systemd-nspawn -q -b -D "$DIR/box/root" -M $NAME --register=no --keep-unit --private-network --capability=all \
	--system-call-filter='@keyring bpf perf_event_open' -- --unit=weir-test.target
`

// bootGuest starts a guest with the files of dir/tree over the root file system.
func bootGuest(t *testing.T, dir string) *guest {
	t.Helper()
	g := &guest{t: t, dir: dir, name: fmt.Sprintf("weir-test-%d", os.Getpid()), ended: make(chan struct{})}
	if err := os.Mkdir(dir+"/box", 0o700); err != nil {
		t.Fatal(err)
	}
	g.write("etc/systemd/system/weir-test.target", guestTarget)
	g.write("etc/machine-id", "") // makes one of its own
	log, err := os.Create(dir + "/boot.log")
	if err != nil {
		t.Fatal(err)
	}
	defer log.Close()
	g.nspawn = exec.Command("unshare", "--mount", "--propagation", "private", "bash", "-c", boot)
	g.nspawn.Env = append(os.Environ(), "DIR="+dir, "NAME="+g.name)
	g.nspawn.Stdout, g.nspawn.Stderr = log, log
	g.nspawn.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	if err := g.nspawn.Start(); err != nil {
		t.Fatal(err)
	}
	go func() {
		g.nspawn.Wait()
		close(g.ended)
	}()
	t.Cleanup(g.off)
	g.until("the guest to boot", func() bool {
		select {
		case <-g.ended:
			text, _ := os.ReadFile(log.Name())
			t.Fatalf("the guest did not boot:\n%s", text)
		default:
		}
		pid := g.nspawn.Process.Pid
		children, _ := os.ReadFile(fmt.Sprintf("/proc/%d/task/%d/children", pid, pid))
		if g.leader, _ = strconv.Atoi(strings.TrimSpace(string(children))); g.leader == 0 {
			return false
		}
		out, err := g.try("systemctl is-active weir-test.target")
		return err == nil && out == "active\n"
	})
	return g
}

// write puts a file into the guest before it boots.
func (g *guest) write(path, text string) { writeTree(g.t, g.dir+"/tree/"+path, text) }

func writeTree(t *testing.T, path, text string) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
}

// try runs a line of shell in the guest.
func (g *guest) try(line string) (string, error) {
	out, err := exec.Command("nsenter", "-t", strconv.Itoa(g.leader), "-a", "bash", "-c", line).CombinedOutput()
	return string(out), err
}

func (g *guest) run(line string) string {
	g.t.Helper()
	out, err := g.try(line)
	if err != nil {
		g.t.Fatalf("in the guest: %s: %v\n%s\n%s", line, err, out, g.journal())
	}
	return out
}

// show returns properties of the unit, NAME=VALUE lines.
func (g *guest) show(properties string) string {
	g.t.Helper()
	return g.run("systemctl show weir -p " + properties)
}

// status is the text that the daemon tells systemd.
func (g *guest) status() string {
	return strings.TrimSpace(strings.TrimPrefix(g.show("StatusText"), "StatusText="))
}

func (g *guest) pid() string {
	return strings.TrimSpace(strings.TrimPrefix(g.show("MainPID"), "MainPID="))
}

// journal is what the unit has logged, the end of it.
func (g *guest) journal() string {
	out, _ := g.try("systemctl status weir --no-pager | head -12; journalctl -u weir --no-pager -n 60")
	return out
}

func (g *guest) until(what string, ok func() bool) {
	g.t.Helper()
	end := time.Now().Add(60 * time.Second)
	for !ok() {
		if time.Now().After(end) {
			g.t.Fatalf("waited in vain for %s\n%s", what, g.journal())
		}
		time.Sleep(50 * time.Millisecond)
	}
}

// off ends the guest and removes what could be left of it: its cgroups.
func (g *guest) off() {
	if g.leader > 0 {
		syscall.Kill(g.leader, syscall.Signal(34+4)) // SIGRTMIN+4: power off
	}
	select {
	case <-g.ended:
	case <-time.After(30 * time.Second):
		g.t.Error("the guest did not end")
		g.nspawn.Process.Kill()
		<-g.ended
	}
	for _, h := range []string{"/sys/fs/cgroup/", "/sys/fs/cgroup/systemd/", "/sys/fs/cgroup/unified/"} {
		var dirs []string
		filepath.Walk(h+g.name, func(path string, info os.FileInfo, err error) error {
			if err == nil && info.IsDir() {
				dirs = append([]string{path}, dirs...)
			}
			return nil
		})
		for _, d := range dirs { // the innermost first
			os.Remove(d)
		}
		if len(dirs) > 0 {
			if _, err := os.Stat(h + g.name); err == nil {
				g.t.Errorf("%s is left", h+g.name)
			}
		}
	}
}
