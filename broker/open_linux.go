package broker

import (
	"errors"
	"fmt"
	"os"
	"runtime"
	"strings"

	"golang.org/x/sys/unix"
)

// From the specification: linux/nsfs.h.
const nsGetNSType = 0xb703 // NS_GET_NSTYPE

// ErrOwn says that the namespace is the broker's own: the host's. What belongs there the daemon opens itself, and what is meant for a
// workload never gets there by mistake.
var ErrOwn = errors.New("it is the host's own network namespace")

// Permitted returns an error unless this process may enter network namespaces.
func Permitted() error {
	return onThread(func() error {
		own, err := os.Open("/proc/thread-self/ns/net")
		if err != nil {
			return err
		}
		defer own.Close()
		if err := unix.Setns(int(own.Fd()), unix.CLONE_NEWNET); err != nil {
			return fmt.Errorf("network namespaces may not be entered: %w (run as root, start weir-broker.socket, or give CAP_SYS_ADMIN)", err)
		}
		return nil
	})
}

// open opens a socket in the network namespace that path names.
func open(path string, kind Kind) (fd int, err error) {
	if !valid(path) {
		return -1, ErrPath
	}
	ns, err := openSpace(path)
	if err != nil {
		return -1, err
	}
	defer unix.Close(ns)
	err = onThread(func() error {
		if err := unix.Setns(ns, unix.CLONE_NEWNET); err != nil {
			return fmt.Errorf("setns: %w", err)
		}
		var err error
		if fd, err = newSocket(kind); err != nil {
			return fmt.Errorf("%v socket: %w", kind, err)
		}
		return nil
	})
	return fd, err
}

// openSpace opens a network namespace, and makes sure that it is one, and not the broker's own.
func openSpace(path string) (fd int, err error) {
	flags := unix.O_RDONLY | unix.O_CLOEXEC | unix.O_NONBLOCK
	if !strings.HasPrefix(path, "/proc/") { // there the last part is a link of the kernel's
		flags |= unix.O_NOFOLLOW
	}
	if fd, err = unix.Open(path, flags, 0); err != nil {
		return -1, err
	}
	if err = isSpace(fd); err != nil {
		unix.Close(fd)
		return -1, err
	}
	return fd, nil
}

func isSpace(fd int) error {
	var fs unix.Statfs_t
	if err := unix.Fstatfs(fd, &fs); err != nil {
		return err
	}
	if fs.Type != unix.NSFS_MAGIC {
		return ErrPath
	}
	if typ, err := unix.IoctlRetInt(fd, nsGetNSType); err != nil || typ != unix.CLONE_NEWNET {
		return ErrPath
	}
	var it, own unix.Stat_t
	if err := unix.Fstat(fd, &it); err != nil {
		return err
	}
	if err := unix.Stat("/proc/self/ns/net", &own); err != nil {
		return err
	}
	if it.Ino == own.Ino && it.Dev == own.Dev {
		return ErrOwn
	}
	return nil
}

func newSocket(kind Kind) (fd int, err error) {
	const flags = unix.SOCK_RAW | unix.SOCK_CLOEXEC | unix.SOCK_NONBLOCK
	switch kind {
	case Packet:
		return unix.Socket(unix.AF_PACKET, flags, 0)
	case Netfilter:
		return unix.Socket(unix.AF_NETLINK, flags, unix.NETLINK_NETFILTER)
	case SockDiag:
		return unix.Socket(unix.AF_NETLINK, flags, unix.NETLINK_SOCK_DIAG)
	case Route:
		return unix.Socket(unix.AF_NETLINK, flags, unix.NETLINK_ROUTE)
	}
	return -1, unix.EINVAL
}

// onThread runs fn on an OS thread that ends with it: even if fn fails, no other goroutine ever runs in the namespace it has entered.
func onThread(fn func() error) error {
	done := make(chan error, 1)
	go func() {
		runtime.LockOSThread()
		if unix.Gettid() == unix.Getpid() { // the first thread never ends: it would keep the namespace for good
			done <- onThread(fn)
			runtime.UnlockOSThread()
			return
		}
		done <- fn() // never unlocked
	}()
	return <-done
}
