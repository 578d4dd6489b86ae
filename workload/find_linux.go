package workload

import (
	"bytes"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"
)

// Ours.
const (
	namesDir     = "/run/netns"           // where `ip netns` keeps namespaces by name
	maxNames     = 1 << 14                // named namespaces that are looked at
	maxProcesses = 1 << 16                // processes that are looked at
	maxProcFile  = 64 << 10               // bytes read of a file in /proc
	scanEvery    = 100 * time.Millisecond // how soon after one scan a miss may cause the next
	cniPrefix    = "cni-"                 // names of namespaces that container runtimes make up
)

// Finder finds the workload behind an interface. It keeps what it has found, and looks through /proc again, boundedly,
// when asked for a namespace it does not know. Methods may be called from any goroutine.
type Finder struct {
	own uint64          // inode of the namespace it was made in
	rt  *netlink.Handle // asks for namespace ids as seen from there

	mu      sync.Mutex
	spaces  map[int]netSpace // by namespace id
	scanned time.Time
}

// netSpace is one network namespace as found.
type netSpace struct {
	path  string // opens it
	name  string // in namesDir
	pid   int    // of the oldest process with a container's id, or of the oldest one
	start uint64 // of that process, in clock ticks since boot
	boxed bool   // that process has a container's id
}

// NewFinder returns a Finder for the interfaces of the calling thread's network namespace.
func NewFinder() (*Finder, error) {
	own, err := inode("/proc/thread-self/ns/net")
	if err != nil {
		return nil, fmt.Errorf("find workloads: %w", err)
	}
	rt, err := netlink.NewHandle(unix.NETLINK_ROUTE)
	if err != nil {
		return nil, fmt.Errorf("find workloads: %w", err)
	}
	return &Finder{own: own, rt: rt}, nil
}

// Close frees the Finder's socket.
func (f *Finder) Close() { f.rt.Close() }

// Find returns the workload in the network namespace at the other end of a veth; the zero Workload if it cannot be
// told. A namespace is there before its first process: an answer without an ID may get one when asked again later.
func (f *Finder) Find(i Interface) Workload {
	if i.NSID < 0 {
		return Workload{}
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	s, ok := f.spaces[i.NSID]
	if !ok || f.nsid(s.path) != i.NSID || !s.boxed {
		if time.Since(f.scanned) >= scanEvery {
			f.scan()
		}
		if s, ok = f.spaces[i.NSID]; !ok || f.nsid(s.path) != i.NSID {
			return Workload{}
		}
	}
	return s.workload()
}

// Find returns the workload behind one interface, without remembering anything. To ask often, use a Finder.
func Find(i Interface) Workload {
	f, err := NewFinder()
	if err != nil {
		return Workload{}
	}
	defer f.Close()
	return f.Find(i)
}

// workload reads the process's cgroup anew: process ids are used again.
func (s netSpace) workload() Workload {
	w := Workload{NetNS: s.path}
	if !strings.HasPrefix(s.name, cniPrefix) {
		w.Name = s.name
	}
	if s.pid > 0 {
		text, _ := readProc(s.pid, "cgroup")
		id, uid := fromCgroup(text)
		w.ID = id
		if uid != "" {
			w.Labels = map[string]string{LabelPodUID: uid}
		}
	}
	return w
}

// nsid returns the id of the namespace that path opens, -1 if it has none or cannot be opened.
func (f *Finder) nsid(path string) int {
	file, err := os.Open(path)
	if err != nil {
		return -1
	}
	defer file.Close()
	id, err := f.rt.GetNetNsIdByFd(int(file.Fd()))
	if err != nil {
		return -1
	}
	return id
}

// scan finds all network namespaces that have an id here and either a name or a process.
func (f *Finder) scan() {
	byInode := map[uint64]*netSpace{}
	for _, e := range entries(namesDir, maxNames) {
		path := filepath.Join(namesDir, e)
		if ino, err := inode(path); err == nil && ino != f.own && byInode[ino] == nil {
			byInode[ino] = &netSpace{path: path, name: e}
		}
	}
	for _, e := range entries("/proc", maxProcesses) {
		pid, err := strconv.Atoi(e)
		if err != nil {
			continue
		}
		path := "/proc/" + e + "/ns/net"
		ino, err := inode(path)
		if err != nil || ino == f.own {
			continue
		}
		s := byInode[ino]
		if s == nil {
			s = &netSpace{path: path}
			byInode[ino] = s
		}
		s.add(pid, path)
	}
	f.spaces = map[int]netSpace{}
	for _, s := range byInode {
		if id := f.nsid(s.path); id >= 0 {
			f.spaces[id] = *s
		}
	}
	f.scanned = time.Now()
}

// add notes a process in the namespace, if it is the one to go by.
func (s *netSpace) add(pid int, path string) {
	text, err := readProc(pid, "cgroup")
	if err != nil {
		return
	}
	id, _ := fromCgroup(text)
	start, boxed := startTime(pid), id != ""
	if s.pid > 0 && (s.boxed && !boxed || s.boxed == boxed && start >= s.start) {
		return
	}
	s.pid, s.start, s.boxed = pid, start, boxed
	if s.name == "" {
		s.path = path
	}
}

// startTime returns when a process began, in clock ticks since boot: field 22 of /proc/PID/stat, proc_pid_stat(5).
func startTime(pid int) uint64 {
	text, err := readProc(pid, "stat")
	if err != nil {
		return 0
	}
	// The name in field 2 may hold blanks and parentheses.
	fields := strings.Fields(string(text[bytes.LastIndexByte(text, ')')+1:]))
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

// entries returns at most n names from a directory, none if it cannot be read.
func entries(dir string, n int) []string {
	d, err := os.Open(dir)
	if err != nil {
		return nil
	}
	defer d.Close()
	names, _ := d.Readdirnames(n)
	return names
}

func inode(path string) (uint64, error) {
	var st unix.Stat_t
	if err := unix.Stat(path, &st); err != nil {
		return 0, &fs.PathError{Op: "stat", Path: path, Err: err}
	}
	return st.Ino, nil
}
