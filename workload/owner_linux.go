package workload

import (
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// Process is who has a socket. What it was started with is not there: arguments may hold secrets.
type Process struct {
	PID  int
	Comm string // as the kernel calls it
	Exe  string // path of its program, in its own mount namespace; "": not known
	ID   string // of its container; "": it is in none
	Mark string // of its container's runtime
}

// Ours: what is looked through for one socket.
const (
	cgroupsMost = 1 << 14         // directories of cgroups
	cgroupsAge  = 2 * time.Second // that they are looked through again after, at the earliest
	pidsMost    = 1 << 14         // processes of a host
	pidsAge     = time.Second     // likewise
	ownersMost  = 256             // processes whose descriptors are looked at
	socketsMost = 4096            // descriptors of one of them
	commMost    = 16              // bytes, as the kernel has it
	exeMost     = 256
)

// Owners finds the processes that have sockets. One goroutine uses it.
type Owners struct {
	cgroup string // where the unified hierarchy is mounted

	paths   map[uint64]string // of cgroups, by inode
	pathsAt time.Time
	spaces  map[uint64][]int // processes by network namespace
	pidsAt  time.Time
}

// NewOwners returns Owners that know nothing yet.
func NewOwners() *Owners {
	o := &Owners{cgroup: "/sys/fs/cgroup"}
	if _, err := os.Stat(o.cgroup + "/unified/cgroup.procs"); err == nil {
		o.cgroup += "/unified"
	}
	return o
}

// Owner returns the process that has a socket of a network namespace, by its inode; false: nobody that can be seen.
func (o *Owners) Owner(s Socket, space uint64) (Process, bool) {
	link := fmt.Sprintf("socket:[%d]", s.Inode)
	looked := 0
	for _, list := range []func() []int{func() []int { return o.members(s.Cgroup) }, func() []int { return o.within(space) }} {
		for _, pid := range list() {
			if looked++; looked > ownersMost {
				return Process{}, false
			}
			if hasDescriptor(pid, link) {
				return readOwner(pid)
			}
		}
	}
	return Process{}, false
}

// hasDescriptor reports whether a process has a descriptor of a socket.
func hasDescriptor(pid int, link string) bool {
	dir := fmt.Sprintf("/proc/%d/fd", pid)
	names, _ := entries(dir, socketsMost)
	for _, name := range names {
		if to, err := os.Readlink(dir + "/" + name); err == nil && to == link {
			return true
		}
	}
	return false
}

func readOwner(pid int) (p Process, ok bool) {
	comm, err := readProc(pid, "comm")
	if err != nil {
		return p, false
	}
	p = Process{PID: pid, Comm: cut(strings.TrimSuffix(string(comm), "\n"), commMost)}
	if exe, err := os.Readlink(fmt.Sprintf("/proc/%d/exe", pid)); err == nil {
		p.Exe = cut(exe, exeMost)
	}
	if in, err := readProcess(pid); err == nil {
		p.ID, p.Mark = in.id, in.mark
	}
	return p, true
}

func cut(s string, most int) string { return s[:min(len(s), most)] }

// members returns the processes of a cgroup; none of the root, where all may be.
func (o *Owners) members(id uint64) (pids []int) {
	if id <= 1 {
		return nil
	}
	path, known := o.paths[id]
	if !known && time.Since(o.pathsAt) > cgroupsAge {
		o.readCgroups()
		path, known = o.paths[id]
	}
	if !known || path == o.cgroup {
		return nil
	}
	text, err := os.ReadFile(path + "/cgroup.procs")
	if err != nil {
		return nil
	}
	for word := range strings.FieldsSeq(string(text)) {
		if pid, err := strconv.Atoi(word); err == nil && pid > 0 {
			pids = append(pids, pid)
		}
	}
	return pids
}

func (o *Owners) readCgroups() {
	o.paths, o.pathsAt = map[uint64]string{}, time.Now()
	filepath.WalkDir(o.cgroup, func(path string, d fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return fs.SkipDir
		case !d.IsDir():
			return nil
		case len(o.paths) >= cgroupsMost:
			return fs.SkipAll
		}
		if info, err := d.Info(); err == nil {
			if st, ok := info.Sys().(*syscall.Stat_t); ok {
				o.paths[st.Ino] = path
			}
		}
		return nil
	})
}

// within returns the processes of a network namespace.
func (o *Owners) within(space uint64) []int {
	if time.Since(o.pidsAt) > pidsAge {
		o.spaces, o.pidsAt = map[uint64][]int{}, time.Now()
		names, _ := entries("/proc", pidsMost)
		for _, name := range names {
			pid, err := strconv.Atoi(name)
			if err != nil {
				continue
			}
			if ns, err := inode(process{pid: pid}.netNS()); err == nil {
				o.spaces[ns] = append(o.spaces[ns], pid)
			}
		}
	}
	return o.spaces[space]
}
