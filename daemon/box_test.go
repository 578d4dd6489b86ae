package daemon

import (
	"archive/tar"
	"bytes"
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"
)

const (
	boxEnv     = "WEIR_TEST_BOX" // says that the test runs in its box
	boxTimeout = 5 * time.Minute
	boxImage   = "localhost/weir-test:1"
)

// box runs the test again as process 1 of a machine of its own, as far as it could leave something behind: processes, mounts,
// networks, files below /run, /var and /etc. Whatever happens in there ends with it. It reports true inside.
func box(t *testing.T, tools ...string) bool {
	t.Helper()
	if os.Getenv(boxEnv) != "" {
		furnish(t)
		return true
	}
	if os.Geteuid() != 0 {
		t.Skip("needs root: makes namespaces of every kind")
	}
	for _, tool := range tools {
		if _, err := exec.LookPath(tool); err != nil {
			t.Skipf("needs %s: %v", tool, err)
		}
	}
	runtime.LockOSThread() // the box dies with this thread
	defer runtime.UnlockOSThread()
	name := fmt.Sprintf("weir-box-%d", os.Getpid())
	cmd := exec.Command(os.Args[0], "-test.run=^"+t.Name()+"$", "-test.v", "-test.timeout="+boxTimeout.String())
	cmd.Env = append(os.Environ(), boxEnv+"="+name)
	cmd.SysProcAttr = &syscall.SysProcAttr{
		Cloneflags: syscall.CLONE_NEWNS | syscall.CLONE_NEWPID | syscall.CLONE_NEWNET | syscall.CLONE_NEWIPC, Pdeathsig: syscall.SIGKILL,
	}
	out, err := cmd.CombinedOutput()
	removeCgroups(name)
	if err != nil || bytes.Contains(out, []byte("--- SKIP")) {
		t.Fatalf("in the box: %v\n%s", err, out)
	}
	if testing.Verbose() {
		t.Logf("in the box:\n%s", out)
	}
	return false
}

// removeCgroups removes what the box has left of cgroups: there is one tree of them for all.
func removeCgroups(name string) {
	for _, pattern := range []string{"/sys/fs/cgroup/" + name, "/sys/fs/cgroup/*/" + name} {
		roots, _ := filepath.Glob(pattern)
		for _, root := range roots {
			var dirs []string
			filepath.WalkDir(root, func(path string, d os.DirEntry, err error) error {
				if err == nil && d.IsDir() {
					dirs = append(dirs, path)
				}
				return nil
			})
			for i := len(dirs) - 1; i >= 0; i-- {
				os.Remove(dirs[i])
			}
		}
	}
}

// furnish makes the box's own places.
func furnish(t *testing.T) {
	t.Helper()
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	must(unix.Mount("", "/", "", unix.MS_REC|unix.MS_PRIVATE, ""))
	must(unix.Mount("proc", "/proc", "proc", 0, ""))
	must(unix.Mount("tmpfs", "/run", "tmpfs", 0, "mode=755"))
	for _, dir := range []string{"/run/netns", "/run/lock", "/run/tmp"} {
		must(os.MkdirAll(dir, 0o755))
	}
	must(unix.Mount("/run/netns", "/run/netns", "", unix.MS_BIND, ""))
	must(unix.Mount("", "/run/netns", "", unix.MS_SHARED|unix.MS_REC, ""))
	for _, dir := range []string{"etc", "var"} {
		up, work := "/run/upper-"+dir, "/run/work-"+dir
		must(os.MkdirAll(up, 0o755))
		must(os.MkdirAll(work, 0o755))
		must(unix.Mount("overlay", "/"+dir, "overlay", 0, "lowerdir=/"+dir+",upperdir="+up+",workdir="+work))
	}
	t.Setenv("TMPDIR", "/run/tmp")
	lo, err := netlink.LinkByName("lo")
	must(err)
	must(netlink.LinkSetUp(lo))
}

// boxCgroup is where a test's containers have their cgroups.
func boxCgroup() string { return "/" + os.Getenv(boxEnv) }

// program starts a program in the box and returns what ends it. Its output is shown if the test fails.
func program(t *testing.T, name string, args ...string) (end func()) {
	t.Helper()
	log, err := os.CreateTemp(t.TempDir(), "log")
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(name, args...)
	cmd.Stdout, cmd.Stderr = log, log
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	ended := false
	end = func() {
		if !ended {
			ended = true
			cmd.Process.Signal(syscall.SIGTERM)
			cmd.Wait()
		}
	}
	t.Cleanup(func() {
		end()
		if t.Failed() {
			text, _ := os.ReadFile(log.Name())
			t.Logf("%s:\n%s", name, text[max(0, len(text)-10_000):])
		}
	})
	return end
}

// command runs a program to its end and returns what it says.
func command(t *testing.T, name string, args ...string) string {
	t.Helper()
	out, err := exec.Command(name, args...).CombinedOutput()
	if err != nil {
		t.Fatalf("%s %s: %v\n%s", name, strings.Join(args, " "), err, out)
	}
	return strings.TrimSpace(string(out))
}

// until waits for something to be so.
func until(t *testing.T, what string, ok func() bool) {
	t.Helper()
	for end := time.Now().Add(2 * time.Minute); !ok(); time.Sleep(10 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("waited in vain for %s", what)
		}
	}
}

// image writes an image with nothing but busybox, as `docker save` would.
func image(t *testing.T) string {
	t.Helper()
	busybox, err := exec.LookPath("busybox")
	if err != nil {
		t.Fatal(err)
	}
	binary, err := os.ReadFile(busybox)
	if err != nil {
		t.Fatal(err)
	}
	layer := archive(t, entry{"bin/", nil, ""}, entry{"bin/busybox", binary, ""}, entry{"bin/sh", nil, "busybox"}, entry{"tmp/", nil, ""}, entry{"etc/", nil, ""})
	config := text(t, map[string]any{
		"architecture": runtime.GOARCH, "os": "linux",
		"config":  map[string]any{"Env": []string{"PATH=/bin"}, "Cmd": []string{"/bin/busybox", "sleep", "100000"}},
		"rootfs":  map[string]any{"type": "layers", "diff_ids": []string{fmt.Sprintf("sha256:%x", sha256.Sum256(layer))}},
		"history": []map[string]string{{"created_by": "weir"}},
	})
	manifest := text(t, []map[string]any{{"Config": "config.json", "RepoTags": []string{boxImage}, "Layers": []string{"layer.tar"}}})
	path := filepath.Join(t.TempDir(), "image.tar")
	if err := os.WriteFile(path, archive(t, entry{"manifest.json", manifest, ""}, entry{"config.json", config, ""}, entry{"layer.tar", layer, ""}), 0o644); err != nil {
		t.Fatal(err)
	}
	return path
}

type entry struct {
	name string
	data []byte
	link string
}

func archive(t *testing.T, list ...entry) []byte {
	t.Helper()
	var b bytes.Buffer
	w := tar.NewWriter(&b)
	for _, e := range list {
		h := &tar.Header{Name: e.name, Mode: 0o755, Size: int64(len(e.data)), Typeflag: tar.TypeReg}
		switch {
		case strings.HasSuffix(e.name, "/"):
			h.Typeflag = tar.TypeDir
		case e.link != "":
			h.Typeflag, h.Linkname = tar.TypeSymlink, e.link
		}
		if err := w.WriteHeader(h); err != nil {
			t.Fatal(err)
		}
		w.Write(e.data)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func text(t *testing.T, v any) []byte {
	t.Helper()
	b, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func run(name string, args ...string) error { return exec.Command(name, args...).Run() }
