package enforce

import (
	"unsafe"

	"golang.org/x/sys/unix"
)

// System calls on a queue, which never wait. Go's scheduler is not told of them: it would take their processor away from those that take longer than 20 µs, as passing on a packet does, and
// wake another thread for it.

// send sends a datagram.
func send(fd uintptr, b []byte) error {
	if len(b) == 0 {
		return nil
	}
	_, _, err := unix.RawSyscall6(unix.SYS_SENDTO, fd, uintptr(unsafe.Pointer(&b[0])), uintptr(len(b)), unix.MSG_DONTWAIT, 0, 0)
	if err != 0 {
		return err
	}
	return nil
}

// receive reads a datagram into b, which is not empty, or with MSG_PEEK its beginning.
func receive(fd uintptr, b []byte, flags int) (int, error) {
	n, _, err := unix.RawSyscall6(unix.SYS_RECVFROM, fd, uintptr(unsafe.Pointer(&b[0])), uintptr(len(b)), uintptr(flags|unix.MSG_DONTWAIT), 0, 0)
	if err != 0 {
		return 0, err
	}
	return int(n), nil
}
