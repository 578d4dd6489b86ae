package workload

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"time"

	"golang.org/x/sys/unix"
)

// Ours.
const (
	newsBuffer = 1 << 20               // bytes of the socket's buffer
	newsBatch  = 256                   // messages that are read at once
	newsEvery  = 10 * time.Millisecond // between two batches: whoever changes addresses without end costs no more
	newsBytes  = 8 << 10               // bytes read of one message; only who sent it is looked at
)

// Everywhere is what WatchAddresses tells when it has missed something: addresses may have changed in any namespace.
const Everywhere = -1

// WatchAddresses tells in which network namespaces addresses come and go, until ctx ends; then it closes the channel. It
// sends the ids that the calling thread's namespace gave to them, hence all namespaces with the other end of a veth. It
// costs one socket, however many they are. It takes CAP_NET_BROADCAST.
func WatchAddresses(ctx context.Context) (<-chan int, error) {
	fd, err := unix.Socket(unix.AF_NETLINK, unix.SOCK_RAW|unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK, unix.NETLINK_ROUTE)
	if err != nil {
		return nil, fmt.Errorf("watch addresses: %w", err)
	}
	f := os.NewFile(uintptr(fd), "addresses")
	unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_RCVBUFFORCE, newsBuffer) // refused: then something is missed more often
	err = unix.SetsockoptInt(fd, unix.SOL_NETLINK, unix.NETLINK_LISTEN_ALL_NSID, 1)
	if err == nil {
		err = unix.Bind(fd, &unix.SockaddrNetlink{Family: unix.AF_NETLINK, Groups: 1<<(unix.RTNLGRP_IPV4_IFADDR-1) | 1<<(unix.RTNLGRP_IPV6_IFADDR-1)})
	}
	if err != nil {
		f.Close()
		return nil, fmt.Errorf("watch addresses: %w", err)
	}
	w := &addressWatcher{ctx: ctx, file: f, out: make(chan int), fresh: map[int]bool{}}
	go w.run()
	return w.out, nil
}

type addressWatcher struct {
	ctx   context.Context
	file  *os.File
	out   chan int
	fresh map[int]bool // what is not told yet
	lost  bool         // news were dropped, and what was kept is not read yet: until then the kernel drops everything, and says so once
	buf   [newsBytes]byte
	oob   [256]byte
}

func (w *addressWatcher) run() {
	defer close(w.out)
	stop := context.AfterFunc(w.ctx, func() { w.file.Close() })
	defer func() {
		if stop() {
			w.file.Close()
		}
	}()
	raw, err := w.file.SyscallConn()
	if err != nil {
		return
	}
	pause := time.NewTimer(0)
	defer pause.Stop()
	for {
		select {
		case <-pause.C:
		case <-w.ctx.Done():
			return
		}
		if raw.Read(w.read) != nil {
			return // closed
		}
		for id := range w.fresh {
			select {
			case w.out <- id:
			case <-w.ctx.Done():
				return
			}
		}
		clear(w.fresh)
		pause.Reset(newsEvery)
	}
}

// read takes what is there, and reports false if that is nothing.
func (w *addressWatcher) read(fd uintptr) bool {
	for range newsBatch {
		_, n, _, from, err := unix.Recvmsg(int(fd), w.buf[:], w.oob[:], 0)
		switch {
		case errors.Is(err, unix.EINTR):
			continue
		case errors.Is(err, unix.EAGAIN):
			if w.lost {
				w.lost = false
				w.fresh[Everywhere] = true
			}
			return len(w.fresh) > 0
		case err != nil: // ENOBUFS, above all
			w.lost = true
			w.fresh[Everywhere] = true
			return true
		}
		if k, ok := from.(*unix.SockaddrNetlink); ok && k.Pid == 0 {
			if id := nsidOf(w.oob[:n]); id >= 0 {
				w.fresh[id] = true
			}
		}
	}
	return true
}

// nsidOf reads which namespace a message came from; -1 if from the socket's own.
func nsidOf(oob []byte) int {
	list, err := unix.ParseSocketControlMessage(oob)
	if err != nil {
		return -1
	}
	for _, m := range list {
		if m.Header.Level == unix.SOL_NETLINK && m.Header.Type == unix.NETLINK_LISTEN_ALL_NSID && len(m.Data) >= 4 {
			return int(int32(binary.NativeEndian.Uint32(m.Data)))
		}
	}
	return -1
}
