package daemon

import (
	"errors"
	"fmt"
	"os"

	"golang.org/x/sys/unix"

	"weir/broker"
)

// enter finds the way into workloads' network namespaces, if there is one. What needs none works without.
func (d *Daemon) enter() {
	c, err := broker.Connect(broker.Socket)
	switch {
	case err != nil && d.conf.Capture.Attach != AttachHost:
		d.outside = err.Error()
		d.log.Warn("what workloads say inside their network namespaces is not seen", "problem", d.outside)
		d.tell("", "capture.not_inside", d.outside)
	case err != nil:
	case c.Here():
		d.log.Info("workloads' network namespaces are entered by this process")
	default:
		d.log.Info("workloads' network namespaces are entered by the broker", "socket", broker.Socket)
	}
	d.mu.Lock()
	d.spaces = c
	d.mu.Unlock()
	if c != nil {
		d.naming.lead(d.led)
	}
}

var errMoved = errors.New("it leads to another network namespace now")

// openIn opens a socket in the network namespace that a way leads to, and makes sure of that: paths, as ids of processes, are used again.
func (d *Daemon) openIn(w way, kind broker.Kind) (*os.File, error) {
	f, err := d.spaces.Open(w.path, kind)
	if err != nil {
		return nil, err
	}
	raw, err := f.SyscallConn()
	inode := uint64(0)
	if err == nil {
		if e := raw.Control(func(fd uintptr) { inode, err = spaceOf(int(fd)) }); e != nil {
			err = e
		}
	}
	if err == nil && inode != w.inode {
		err = errMoved
	}
	if err != nil {
		f.Close()
		return nil, fmt.Errorf("%s: %w", w.path, err)
	}
	return f, nil
}

// spaceOf returns the inode of the network namespace of a socket. It takes CAP_NET_ADMIN.
func spaceOf(fd int) (uint64, error) {
	const siocGSKNS = 0x894c // SIOCGSKNS, linux/sockios.h
	ns, err := unix.IoctlRetInt(fd, siocGSKNS)
	if err != nil {
		return 0, fmt.Errorf("namespace of a socket: %w", err)
	}
	defer unix.Close(ns)
	var st unix.Stat_t
	if err := unix.Fstat(ns, &st); err != nil {
		return 0, fmt.Errorf("namespace of a socket: %w", err)
	}
	return st.Ino, nil
}
