package weir_test

import (
	"encoding/json"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"
)

// TestProcesses: an alert names the processes that have the sockets at its ends, and of an end that is the host's own the container whose process it is: so it is with pods in
// the host's network namespace.
func TestProcesses(t *testing.T) {
	needs(t, "nc")
	const id = "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"
	w := newTown(t)
	web, shop := fmt.Sprintf("wweb-%d", os.Getpid()), fmt.Sprintf("wshop-%d", os.Getpid())
	w.workload(web, 2)
	w.workload(shop, 3)
	file := filepath.Join(t.TempDir(), "rules.toml")
	if err := os.WriteFile(file, []byte("[[rules]]\nid = \"test.token\"\nregex = '''WEIRTOKEN-[0-9a-f]{6}\\n'''\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	d := startDaemon(t, buildWeir(t), w.host, file)
	d.stop()
	d.replace("[metrics]", "[rules]\nbuiltin = false\n[metrics]")
	d.launch(w.host)

	root := t.TempDir()
	if err := unix.Mount("cgroup2", root, "cgroup2", 0, ""); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { unix.Unmount(root, unix.MNT_DETACH) })
	top := filepath.Join(root, fmt.Sprintf("weir-live-%d", os.Getpid()))
	pod := filepath.Join(top, "docker-"+id+".scope")
	if err := os.MkdirAll(pod, 0o755); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.Remove(pod); os.Remove(top) })
	cgroup, err := os.Open(pod)
	if err != nil {
		t.Fatal(err)
	}
	defer cgroup.Close()
	start := func(ns string, contained bool, args ...string) (pid int, in io.Writer) {
		t.Helper()
		cmd := exec.Command("nc", args...)
		cmd.SysProcAttr = &syscall.SysProcAttr{}
		if contained {
			cmd.SysProcAttr.UseCgroupFD, cmd.SysProcAttr.CgroupFD = true, int(cgroup.Fd())
		}
		pipe, err := cmd.StdinPipe()
		if err != nil {
			t.Fatal(err)
		}
		inNamespace(t, ns, cmd.Start)
		t.Cleanup(func() { cmd.Process.Kill(); cmd.Wait() })
		return cmd.Process.Pid, pipe
	}
	listens := func(ns, port string) {
		w.eventually("it listens", func() bool {
			return strings.Contains(command(t, "nsenter", "--net=/run/netns/"+ns, "ss", "-Hltn"), ":"+port)
		})
	}
	server, _ := start(web, false, "-l", "81")
	listens(web, "81")
	hosted, _ := start(w.host, true, "-l", "83")
	listens(w.host, "83")
	client, say := start(shop, false, "10.77.0.2", "81")
	fmt.Fprintf(say, "WEIRTOKEN-0a1b2c\n%s\n", strings.Repeat("x", 4096))
	second, say2 := start(shop, false, "10.77.0.1", "83")
	fmt.Fprintf(say2, "WEIRTOKEN-0a1b2d\n%s\n", strings.Repeat("x", 4096))

	type end struct {
		ID, Name string
		Process  struct {
			PID       int
			Comm, Exe string
		}
	}
	found := map[int]struct{ Src, Dst end }{}
	w.eventually("two alerts", func() bool {
		text, _ := os.ReadFile(d.dir + "/log/eve.json")
		clear(found)
		for line := range strings.Lines(string(text)) {
			var ev struct {
				Type string `json:"event_type"`
				Port int    `json:"dest_port"`
				Weir struct{ Src, Dst end }
			}
			if json.Unmarshal([]byte(line), &ev) == nil && ev.Type == "alert" {
				found[ev.Port] = ev.Weir
			}
		}
		return len(found) == 2
	})
	is := func(what string, got end, pid int) {
		t.Helper()
		if p := got.Process; p.PID != pid || p.Comm != "nc" || !strings.Contains(p.Exe, "nc") {
			t.Errorf("%s: got %+v, want process %d", what, got, pid)
		}
	}
	is("the client", found[81].Src, client)
	is("the server", found[81].Dst, server)
	is("the client of the host's", found[83].Src, second)
	is("the host's", found[83].Dst, hosted)
	if got := found[83].Dst.ID; got != id {
		t.Errorf("the host's is container %q", got)
	}
	d.stop()
}
