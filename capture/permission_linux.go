package capture

import (
	"errors"
	"fmt"

	"golang.org/x/sys/unix"
)

// ErrNotPermitted says that this process may open no packet socket at all.
var ErrNotPermitted = errors.New("packet sockets may not be opened: nothing could be watched (run as root, or give CAP_NET_RAW)")

// Permitted returns ErrNotPermitted if this process may open no packet socket, whatever the interface. The one it tries receives nothing.
func Permitted() error {
	fd, err := unix.Socket(unix.AF_PACKET, unix.SOCK_RAW|unix.SOCK_CLOEXEC, 0)
	if errors.Is(err, unix.EPERM) || errors.Is(err, unix.EACCES) {
		return ErrNotPermitted
	} else if err != nil {
		return fmt.Errorf("packet socket: %w", err)
	}
	return unix.Close(fd)
}
