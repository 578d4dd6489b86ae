package workload

import (
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/vishvananda/netlink"
	"github.com/vishvananda/netlink/nl"
	"golang.org/x/sys/unix"
)

// Ours.
const (
	namesDir     = "/run/netns"           // where `ip netns` keeps namespaces by name
	maxNames     = 1 << 14                // named namespaces that are looked at
	maxProcesses = 1 << 16                // processes that are looked at
	scanEvery    = 100 * time.Millisecond // how soon after one scan a miss may cause the next
	listEvery    = 5 * time.Millisecond   // likewise of looking at what is new
	youth        = time.Second            // of a process: in that time it may go into another namespace
	scanShare    = 20                     // and not before so many times what the last one took: a twentieth of one processor
)

// Finder finds the workload behind an interface. It keeps what it has found, and looks through /proc again, boundedly,
// when asked for a namespace it does not know or knows no container of. Methods may be called from any goroutine.
type Finder struct {
	own    uint64                   // inode of the namespace it was made in
	rt     *netlink.Handle          // asks for namespace ids as seen from there
	strict map[int]*nl.SocketHandle // asks for addresses by such an id; nil: the kernel is too old

	mu      sync.Mutex
	spaces  map[uint64]*netSpace // by inode
	byID    map[int]*netSpace    // by namespace id
	scanned time.Time
	took    time.Duration // the last scan
	listed  time.Time     // when what is new was looked at last, and how long that took
	listing time.Duration
	pids    map[int]time.Time // processes, and when each was met
	left    string            // what it did not look at
}

// netSpace is one network namespace as found.
type netSpace struct {
	inode uint64
	path  string // opens it
	name  string // in namesDir
	proc  process
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
	return &Finder{own: own, rt: rt, strict: strictSocket()}, nil
}

// Close frees the Finder's sockets.
func (f *Finder) Close() {
	f.rt.Close()
	for _, s := range f.strict {
		s.Close()
	}
}

// Find returns the workload in the network namespace at the other end of a veth; the zero Workload if it cannot be
// told. A namespace is there before its first process: an answer without an ID may get one when asked again later.
func (f *Finder) Find(i Interface) Workload {
	if i.NSID < 0 {
		return Workload{}
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	s := f.byID[i.NSID]
	if s == nil || !s.proc.boxed() || f.nsid(s) != i.NSID {
		f.list(i.NSID)
		s = f.byID[i.NSID]
	}
	if s == nil || !s.proc.boxed() || f.nsid(s) != i.NSID || !s.lives() {
		if time.Since(f.scanned) >= max(scanEvery, scanShare*f.took) {
			f.scan()
		}
		if s = f.byID[i.NSID]; s == nil || f.nsid(s) != i.NSID {
			return Workload{}
		}
	}
	return s.workload()
}

// Left says what the last look through /proc and the named namespaces left out for its limits; "" if nothing.
func (f *Finder) Left() string {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.left
}

// lives reports whether the namespace's process is still the one that was found, and still in it: process ids are used
// again.
func (s *netSpace) lives() bool {
	ino, err := inode(s.proc.netNS())
	return err == nil && ino == s.inode && startTime(s.proc.pid) == s.proc.start
}

func (s *netSpace) workload() Workload {
	w := Workload{NetNS: s.path, Space: s.inode, ID: s.proc.id, Mark: s.proc.mark}
	if !madeUp(s.name) {
		w.Name = s.name
	}
	if s.proc.podUID != "" {
		w.Labels = map[string]string{LabelPodUID: s.proc.podUID}
	}
	return w
}

// madeUp reports whether a container runtime made up a namespace's name, as cni-UUID (containerd), netns-UUID (Podman)
// or UUID (CRI-O).
func madeUp(name string) bool {
	for _, p := range []string{"cni-", "netns-", ""} {
		if uid, ok := strings.CutPrefix(name, p); ok && len(uid) == uidLen && isUID(uid) {
			return true
		}
	}
	return false
}

// nsid returns the id of a namespace, -1 if it has none or its path does not lead to it: names, inodes and ids are used again.
func (f *Finder) nsid(s *netSpace) int {
	file, err := os.Open(s.path)
	if err != nil {
		return -1
	}
	defer file.Close()
	var st unix.Stat_t
	if err := unix.Fstat(int(file.Fd()), &st); err != nil || st.Ino != s.inode {
		return -1
	}
	id, err := f.rt.GetNetNsIdByFd(int(file.Fd()))
	if err != nil {
		return -1
	}
	return id
}

// list finds namespaces that have got a name or a process since they were looked for last. It costs far less than a scan, so that a namespace that gets its interface before its first process
// does anything, as all runtimes have it, is known before anybody in it speaks. If nobody has the id want then, those that were known before are asked for theirs.
func (f *Finder) list(want int) {
	start := time.Now()
	if start.Sub(f.listed) < max(listEvery, scanShare*f.listing) {
		return
	}
	if f.spaces == nil {
		f.spaces, f.byID = map[uint64]*netSpace{}, map[int]*netSpace{}
	}
	fresh := map[uint64]*netSpace{}
	names, _ := entries(namesDir, maxNames) // a scan tells of what is left out
	for _, e := range names {
		path := filepath.Join(namesDir, e)
		ino, err := inode(path)
		if old := f.spaces[ino]; err == nil && ino != f.own && (old == nil || old.name != e && (old.name == "" || !old.lives())) {
			fresh[ino] = &netSpace{inode: ino, path: path, name: e}
		}
	}
	pids, _ := entries("/proc", maxProcesses)
	met := make(map[int]time.Time, len(pids))
	for _, e := range pids {
		pid, err := strconv.Atoi(e)
		if err != nil {
			continue
		}
		since, known := f.pids[pid]
		if !known {
			since = start
		}
		met[pid] = since
		if start.Sub(since) > youth {
			continue
		}
		ino, err := inode(process{pid: pid}.netNS())
		if err != nil || ino == f.own || f.spaces[ino] != nil && f.spaces[ino].proc.boxed() && f.spaces[ino].lives() {
			continue
		}
		if fresh[ino] == nil {
			fresh[ino] = &netSpace{inode: ino, path: process{pid: pid}.netNS()}
			if old := f.spaces[ino]; old != nil && old.name != "" {
				fresh[ino].name, fresh[ino].path = old.name, old.path
			}
		}
		fresh[ino].add(pid)
	}
	f.pids = met
	for ino, s := range fresh {
		if id := f.nsid(s); id >= 0 {
			f.spaces[ino], f.byID[id] = s, s
		}
	}
	if s := f.byID[want]; s == nil || f.nsid(s) != want {
		for _, s := range f.spaces {
			if id := f.nsid(s); id >= 0 {
				f.byID[id] = s
			}
		}
	}
	f.listed = time.Now()
	f.listing = f.listed.Sub(start)
}

// scan finds all network namespaces that have an id here and either a name or a process. Of one whose process is known
// and still there, no process is looked at: none is older.
func (f *Finder) scan() {
	start := time.Now()
	f.left = ""
	spaces, known := map[uint64]*netSpace{}, map[uint64]bool{}
	names, cut := entries(namesDir, maxNames)
	if cut {
		f.left = fmt.Sprintf("only %d namespaces in %s are looked at", maxNames, namesDir)
	}
	for _, e := range names {
		path := filepath.Join(namesDir, e)
		if ino, err := inode(path); err == nil && ino != f.own && spaces[ino] == nil {
			spaces[ino] = &netSpace{inode: ino, path: path, name: e}
		}
	}
	pids, cut := entries("/proc", maxProcesses)
	if cut {
		f.left = fmt.Sprintf("only %d processes are looked at", maxProcesses)
	}
	for _, e := range pids {
		pid, err := strconv.Atoi(e)
		if err != nil {
			continue
		}
		path := process{pid: pid}.netNS()
		ino, err := inode(path)
		if err != nil || ino == f.own || known[ino] {
			continue
		}
		s := spaces[ino]
		if s == nil {
			s = &netSpace{inode: ino, path: path}
			spaces[ino] = s
		}
		if old := f.spaces[ino]; old != nil && old.proc.boxed() && old.lives() {
			s.take(old.proc)
			known[ino] = true
			continue
		}
		s.add(pid)
	}
	f.spaces, f.byID = spaces, map[int]*netSpace{}
	for _, s := range spaces {
		if id := f.nsid(s); id >= 0 {
			f.byID[id] = s
		}
	}
	f.scanned = time.Now()
	f.took = f.scanned.Sub(start)
}

// add notes a process in the namespace, if it is the one to go by: the oldest one of a container, else the oldest one.
func (s *netSpace) add(pid int) {
	p, err := readProcess(pid)
	if err != nil {
		return
	}
	q := &s.proc
	if q.pid > 0 && (q.boxed() && !p.boxed() || q.boxed() == p.boxed() && p.start >= q.start) {
		return
	}
	s.take(p)
}

func (s *netSpace) take(p process) {
	s.proc = p
	if s.name == "" {
		s.path = p.netNS()
	}
}
