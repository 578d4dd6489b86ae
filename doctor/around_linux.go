package doctor

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"

	"weir/daemon"
	"weir/workload"
)

func exists(path string) bool {
	_, err := os.Stat(path)
	return err == nil
}

// runtimes asks each for a container that there is not; none is started by that.
func runtimes(ctx context.Context, list []workload.Runtime) []Finding {
	const check = "runtimes"
	var there []string
	var out []Finding
	for _, r := range list {
		if r.Starts() {
			if slices.ContainsFunc(r.Sockets, exists) {
				there = append(there, r.Name+" (not asked: that may start it)")
			}
			continue
		}
		switch _, err := r.Describe(ctx, strings.Repeat("0", 64)); {
		case err == nil:
			there = append(there, r.Name)
		case !errors.Is(err, workload.ErrAbsent):
			out = append(out, bad(check, Warning, err.Error()+": its containers have ids and no names", "see that the runtime answers, and that this user may connect to its socket"))
		}
	}
	switch {
	case len(there) > 0:
		out = append(out, ok(check, "%s", strings.Join(there, ", ")))
	case len(out) == 0:
		out = append(out, ok(check, "none is there: network namespaces go by their own names"))
	}
	return out
}

// synchronised asks the kernel whether anybody keeps its clock right: adjtimex(2).
func synchronised() (bool, error) {
	var t unix.Timex
	state, err := unix.Adjtimex(&t)
	return state != unix.TIME_ERROR && t.Status&unix.STA_UNSYNC == 0, err
}

func (h *host) clock() Finding {
	const check = "clock"
	right, err := h.now()
	switch {
	case err != nil:
		return bad(check, Warning, "adjtimex: "+err.Error(), "see that the clock is right: evidence is told by it")
	case !right:
		return bad(check, Warning, "not synchronised: times of events and packets may be wrong (PCI DSS 10.6)", "run chrony, or systemd-timesyncd")
	}
	return ok(check, "synchronised")
}

func (h *host) memory(budget int64) Finding {
	const check = "memory"
	total, available := int64(0), int64(0)
	for line := range strings.Lines(h.read("/proc/meminfo")) {
		var kib int64
		if n, _ := fmt.Sscanf(line, "MemTotal: %d kB", &kib); n == 1 {
			total = kib << 10
		} else if n, _ := fmt.Sscanf(line, "MemAvailable: %d kB", &kib); n == 1 {
			available = kib << 10
		}
	}
	limit, err := strconv.ParseInt(h.read("/sys/fs/cgroup/system.slice/weir.service/memory.max"), 10, 64)
	size := func(n int64) string { return daemon.Size(n >> 20 << 20).String() }
	switch {
	case total == 0:
		return bad(check, Warning, "/proc/meminfo does not tell how much there is", "mount /proc")
	case err == nil && limit < budget+budget/4:
		return bad(check, Warning, fmt.Sprintf("budget.memory is %s, and systemd ends the daemon at %s", size(budget), size(limit)), "raise MemoryMax of weir.service: systemctl edit weir")
	case budget > total/2:
		return bad(check, Warning, fmt.Sprintf("budget.memory is %s, more than half of the host's %s", size(budget), size(total)), "lower [budget] memory: the host comes first")
	}
	return ok(check, "budget.memory is %s; the host has %s, %s of it available", size(budget), size(total), size(available))
}

// volatile are file systems whose files are gone when the host starts again.
var volatile = map[int64]string{unix.TMPFS_MAGIC: "tmpfs", unix.RAMFS_MAGIC: "ramfs", unix.OVERLAYFS_SUPER_MAGIC: "an overlay"}

// disk looks at the file system of a folder, or where it would be made. quota is what is to have room there, bytes.
func disk(check, dir string, quota int64) Finding {
	there := dir
	for {
		if _, err := os.Stat(there); err == nil || there == filepath.Dir(there) {
			break
		}
		there = filepath.Dir(there)
	}
	var fs unix.Statfs_t
	if err := unix.Statfs(there, &fs); err != nil {
		return bad(check, Problem, fmt.Sprintf("%s: %v", there, err), "name another folder in [paths]")
	}
	free := int64(fs.Bavail) * fs.Bsize
	size := func(n int64) string { return daemon.Size(n >> 20 << 20).String() }
	switch name := volatile[int64(fs.Type)]; {
	case unix.Access(there, unix.W_OK) != nil:
		return bad(check, Warning, there+" may not be written by this user", "run this as root")
	case free < 64<<20:
		return bad(check, Problem, fmt.Sprintf("%s: %s free", there, size(free)), "make room, or name another folder in [paths]")
	case free < quota:
		return bad(check, Warning, fmt.Sprintf("%s: %s free, less than pcap.quota (%s)", there, size(free), size(quota)), "lower [pcap] quota, or make room: a full disk stops slices, not inspection")
	case name != "":
		return bad(check, Warning, fmt.Sprintf("%s is on %s: nothing there outlasts the host's or container's next start", there, name), "name another folder in [paths]")
	}
	return ok(check, "%s: %s free", there, size(free))
}
