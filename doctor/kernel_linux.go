package doctor

import (
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"

	"golang.org/x/sys/cpu"
	"golang.org/x/sys/unix"

	"weir/broker"
	"weir/capture"
)

// Kernels, ours: on older ones than oldest something that Weir needs is not there (SOCK_DESTROY came with 4.9); it was tried on none older than tried.
var oldest, tried = [2]int{4, 9}, [2]int{5, 10}

func (h *host) file(path string) string { return filepath.Join(h.root, path) }

// read returns what a small file of the kernel's says, without the space around it; "" if it is not there.
func (h *host) read(path string) string {
	b, err := os.ReadFile(h.file(path))
	if err != nil {
		return ""
	}
	return strings.TrimSpace(string(b))
}

func (h *host) kernel() Finding {
	release := h.read("/proc/sys/kernel/osrelease")
	var v [2]int
	if _, err := fmt.Sscanf(release, "%d.%d", &v[0], &v[1]); err != nil {
		return bad("kernel", Warning, fmt.Sprintf("release %q is not understood", release), fmt.Sprintf("see that it is Linux %d.%d or newer", tried[0], tried[1]))
	}
	less := func(o [2]int) bool { return v[0] < o[0] || v[0] == o[0] && v[1] < o[1] }
	switch {
	case less(oldest):
		return bad("kernel", Problem, "Linux "+release, fmt.Sprintf("use Linux %d.%d or newer", tried[0], tried[1]))
	case less(tried):
		return bad("kernel", Warning, "Linux "+release, fmt.Sprintf("Weir was not tried on kernels before %d.%d", tried[0], tried[1]))
	}
	return ok("kernel", "Linux %s, %s", release, runtime.GOARCH)
}

// processor: Hyperscan needs SSSE3 and is built for AVX2.
func processor() Finding {
	const check = "processor"
	switch {
	case runtime.GOARCH != "amd64":
		return ok(check, "%d of %s", runtime.NumCPU(), runtime.GOARCH)
	case !cpu.X86.HasSSSE3:
		return bad(check, Problem, "without SSSE3", "Hyperscan does not run here: of a virtual machine, let the guest see the host's processor")
	case !cpu.X86.HasAVX2:
		return bad(check, Warning, fmt.Sprintf("%d, without AVX2", runtime.NumCPU()), "rules cost several times as much: of a virtual machine, let the guest see the host's processor")
	}
	return ok(check, "%d, with AVX2", runtime.NumCPU())
}

// needed are the capabilities of weir.service, and what is missing without each.
var needed = []struct {
	bit        uint
	name, lack string
	result     Result
}{
	{unix.CAP_NET_RAW, "CAP_NET_RAW", "nothing can be watched", Problem},
	{unix.CAP_NET_ADMIN, "CAP_NET_ADMIN", "nothing can be stopped, and news of interfaces may be missed", Warning},
	{unix.CAP_SYS_PTRACE, "CAP_SYS_PTRACE", "other users' containers have no names", Warning},
	{unix.CAP_DAC_READ_SEARCH, "CAP_DAC_READ_SEARCH", "namespaces and runtimes' sockets in closed folders are not found", Warning},
}

// capabilities looks at its own: a daemon that is started by systemd has what weir.service gives it.
func (h *host) capabilities() Finding {
	const check, next = "capabilities", "run this as root; the daemon has what weir.service gives it (CapabilityBoundingSet)"
	var have uint64
	found := false
	for line := range strings.Lines(h.read("/proc/self/status")) {
		if hex, is := strings.CutPrefix(line, "CapEff:"); is {
			n, err := strconv.ParseUint(strings.TrimSpace(hex), 16, 64)
			have, found = n, err == nil
		}
	}
	if !found {
		return bad(check, Warning, "/proc/self/status does not tell them", "mount /proc")
	}
	result, missing := OK, []string{}
	for _, c := range needed {
		if have>>c.bit&1 == 0 {
			missing = append(missing, c.name+" ("+c.lack+")")
			if result != Problem {
				result = c.result
			}
		}
	}
	if result == OK {
		return ok(check, "all that are needed")
	}
	return bad(check, result, "this process lacks "+strings.Join(missing, "; "), next)
}

func packets() Finding {
	if err := capture.Permitted(); err != nil {
		return bad("packet sockets", Problem, err.Error(), "run this as root; in a container, give it the host's network and CAP_NET_RAW")
	}
	return ok("packet sockets", "may be opened")
}

// namespaces: who enters them is the broker of systemd, or a daemon that is root without it.
func (h *host) namespaces() Finding {
	const check = "namespaces"
	if _, err := os.Stat(h.file(broker.Socket)); err == nil {
		return ok(check, "the broker listens on %s", broker.Socket)
	}
	return bad(check, Warning, "no broker listens on "+broker.Socket+": a daemon that systemd starts watches no workload's own interfaces, and stops nothing (weir run of root enters them itself)",
		"systemctl enable --now weir-broker.socket")
}

// holding: packets are held in queues of the workloads' namespaces.
func (h *host) holding() Finding {
	const check = "holding packets"
	if _, err := os.Stat(h.file("/proc/net/netfilter/nfnetlink_queue")); err != nil {
		return bad(check, Warning, "the kernel has no nfnetlink_queue, or has not loaded it: nothing can be stopped", "modprobe nfnetlink_queue")
	}
	return ok(check, "the kernel has nfnetlink_queue")
}

// translation: the pod behind a service's address is told by the connection table.
func (h *host) translation() Finding {
	const check = "services"
	switch h.read("/proc/sys/net/netfilter/nf_conntrack_events") {
	case "":
		return ok(check, "no connection is tracked here, so none is translated")
	case "0":
		return bad(check, Warning, "the connection table tells nobody of translated connections: pods behind services' addresses have no names",
			"sysctl -w net.netfilter.nf_conntrack_events=2")
	}
	return ok(check, "the connection table tells which pod is behind a service's address")
}
