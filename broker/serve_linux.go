package broker

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"strconv"
	"sync"
	"time"

	"golang.org/x/sys/unix"
)

// Serve answers the requests that come over one connection, one after the other, until it ends. Peers are root or have the server's own
// user. An error says that the peer is neither, or has asked for what no client of this package asks for; the connection is closed then.
func Serve(conn *net.UnixConn) error {
	defer conn.Close()
	if err := admit(conn); err != nil {
		return err
	}
	buf := make([]byte, maxRequest)
	var oob [64]byte // nobody sends descriptors: those that come are closed
	for {
		n, on, flags, _, err := conn.ReadMsgUnix(buf, oob[:])
		if errors.Is(err, io.EOF) || errors.Is(err, net.ErrClosed) || errors.Is(err, unix.ECONNRESET) {
			return nil
		} else if err != nil {
			return fmt.Errorf("read a request: %w", err)
		}
		closeRights(oob[:on])
		if flags&unix.MSG_TRUNC != 0 || on > 0 || n < 2 || !Kind(buf[0]).valid() || !valid(string(buf[1:n])) {
			return fmt.Errorf("a request that makes no sense: %.64q", buf[:n])
		}
		fd, err := open(string(buf[1:n]), Kind(buf[0]))
		if err = answer(conn, fd, err); err != nil {
			return fmt.Errorf("write an answer: %w", err)
		}
	}
}

// admit checks who the peer is.
func admit(conn *net.UnixConn) error {
	raw, err := conn.SyscallConn()
	if err != nil {
		return err
	}
	var cred *unix.Ucred
	var inner error
	if err := raw.Control(func(fd uintptr) { cred, inner = unix.GetsockoptUcred(int(fd), unix.SOL_SOCKET, unix.SO_PEERCRED) }); err != nil {
		return err
	}
	if inner != nil {
		return fmt.Errorf("credentials of the peer: %w", inner)
	}
	if cred.Uid != 0 && int(cred.Uid) != os.Geteuid() {
		return fmt.Errorf("process %d of user %d is refused", cred.Pid, cred.Uid)
	}
	return nil
}

// answer sends a socket, which is closed here then, or why there is none.
func answer(conn *net.UnixConn, fd int, err error) error {
	conn.SetWriteDeadline(time.Now().Add(writeTime))
	if err != nil {
		var no unix.Errno
		if errors.Is(err, ErrOwn) {
			no = unix.EXDEV
		} else if !errors.As(err, &no) || no == 0 {
			no = unix.EINVAL
		}
		m := append(binary.LittleEndian.AppendUint32(nil, uint32(no)), err.Error()...)
		_, _, err = conn.WriteMsgUnix(m[:min(len(m), maxAnswer)], nil, nil)
		return err
	}
	defer unix.Close(fd)
	_, _, err = conn.WriteMsgUnix(make([]byte, 4), unix.UnixRights(fd), nil)
	return err
}

// closeRights closes the descriptors that came with a message.
func closeRights(oob []byte) {
	list, _ := unix.ParseSocketControlMessage(oob)
	for _, m := range list {
		fds, _ := unix.ParseUnixRights(&m)
		for _, fd := range fds {
			unix.Close(fd)
		}
	}
}

// Listen serves all who connect to a listening socket, until that is closed. problem is told of peers that are refused.
func Listen(l *net.UnixListener, problem func(error)) error {
	places := make(chan struct{}, maxConns)
	var all sync.WaitGroup
	defer all.Wait()
	for {
		places <- struct{}{}
		conn, err := l.AcceptUnix()
		if errors.Is(err, net.ErrClosed) {
			return nil
		} else if err != nil {
			return fmt.Errorf("accept: %w", err)
		}
		all.Go(func() {
			defer func() { <-places }()
			if err := Serve(conn); err != nil {
				problem(err)
			}
		})
	}
}

// Inherited returns the listening socket that systemd has made for this process, sd_listen_fds(3).
func Inherited() (*net.UnixListener, error) {
	if os.Getenv("LISTEN_PID") != strconv.Itoa(os.Getpid()) || os.Getenv("LISTEN_FDS") != "1" {
		return nil, errors.New("there is no socket from systemd (weir-broker.socket starts it: systemctl start weir-broker.socket)")
	}
	f := os.NewFile(3, "weir-broker.socket")
	defer f.Close() // l has its own
	l, err := net.FileListener(f)
	if err != nil {
		return nil, fmt.Errorf("the socket from systemd: %w", err)
	}
	u, ok := l.(*net.UnixListener)
	if !ok || u.Addr().Network() != "unixpacket" {
		l.Close()
		return nil, errors.New("the socket from systemd is of another kind (ListenSequentialPacket= is needed)")
	}
	return u, nil
}
