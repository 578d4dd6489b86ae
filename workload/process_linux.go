package workload

import (
	"bytes"
	"fmt"
	"io"
	"io/fs"
	"os"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

// maxProcFile is how many bytes are read of a file in /proc; ours.
const maxProcFile = 64 << 10

// process is what /proc says of a process.
type process struct {
	pid    int
	start  uint64 // in clock ticks since boot
	id     string // of its container
	podUID string
	mark   string // of its container's runtime
}

// boxed reports whether the process is a container's.
func (p process) boxed() bool { return p.id != "" }

// netNS is the path that opens its network namespace.
func (p process) netNS() string { return fmt.Sprintf("/proc/%d/ns/net", p.pid) }

func readProcess(pid int) (process, error) {
	text, err := readProc(pid, "cgroup")
	if err != nil {
		return process{}, err
	}
	p := fromCgroup(text)
	p.pid, p.start = pid, startTime(pid)
	return p, nil
}

// startTime returns when a process began, in clock ticks since boot; 0: there is none.
func startTime(pid int) uint64 {
	text, err := readProc(pid, "stat")
	if err != nil {
		return 0
	}
	return parseStart(text)
}

// parseStart returns field 22 of /proc/PID/stat, proc_pid_stat(5); 0: there is none.
func parseStart(stat []byte) uint64 {
	// The name in field 2 may hold blanks and parentheses.
	fields := strings.Fields(string(stat[bytes.LastIndexByte(stat, ')')+1:]))
	if len(fields) < 20 {
		return 0
	}
	t, _ := strconv.ParseUint(fields[22-3], 10, 64)
	return t
}

func readProc(pid int, name string) ([]byte, error) {
	f, err := os.Open(fmt.Sprintf("/proc/%d/%s", pid, name))
	if err != nil {
		return nil, err
	}
	defer f.Close()
	return io.ReadAll(io.LimitReader(f, maxProcFile))
}

// entries returns at most n names from a directory, none if it cannot be read; cut tells that there are more.
func entries(dir string, n int) (names []string, cut bool) {
	d, err := os.Open(dir)
	if err != nil {
		return nil, false
	}
	defer d.Close()
	names, _ = d.Readdirnames(n + 1)
	return names[:min(n, len(names))], len(names) > n
}

func inode(path string) (uint64, error) {
	var st unix.Stat_t
	if err := unix.Stat(path, &st); err != nil {
		return 0, &fs.PathError{Op: "stat", Path: path, Err: err}
	}
	return st.Ino, nil
}

// Lives reports whether the way into the workload's network namespace leads there still.
func (w *Workload) Lives() bool {
	ino, err := inode(w.NetNS)
	return err == nil && ino == w.Space
}
