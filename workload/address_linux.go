package workload

import (
	"fmt"
	"net/netip"
	"os"
	"runtime"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"
)

// maxPerSpace is how many addresses are taken from one network namespace; ours.
const maxPerSpace = 1024

// Addresses returns the addresses in the workload's network namespace. It has to enter that, which takes CAP_SYS_ADMIN,
// and for a process's namespace CAP_SYS_PTRACE too; without them it returns an error.
func Addresses(w *Workload) ([]netip.Addr, error) {
	if w.NetNS == "" {
		return nil, nil
	}
	var out []netip.Addr
	err := inSpace(w.NetNS, func() error {
		h, err := netlink.NewHandle(unix.NETLINK_ROUTE)
		if err != nil {
			return err
		}
		defer h.Close()
		list, err := h.AddrList(nil, netlink.FAMILY_ALL)
		if err != nil {
			return err
		}
		for _, a := range list[:min(len(list), maxPerSpace)] {
			if ip, ok := netip.AddrFromSlice(a.IP); ok && tells(ip) {
				out = append(out, ip.Unmap())
			}
		}
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("addresses of %s: %w", w.NetNS, err)
	}
	return out, nil
}

// inSpace runs fn in the network namespace that path opens, on an OS thread of its own. The thread ends with fn: even
// if fn fails or panics, no other goroutine ever runs in that namespace.
func inSpace(path string, fn func() error) error {
	f, err := os.Open(path)
	if err != nil {
		return err
	}
	defer f.Close()
	done := make(chan error, 1)
	go func() {
		runtime.LockOSThread() // never unlocked
		if err := unix.Setns(int(f.Fd()), unix.CLONE_NEWNET); err != nil {
			done <- fmt.Errorf("setns: %w", err)
			return
		}
		done <- fn()
	}()
	return <-done
}
