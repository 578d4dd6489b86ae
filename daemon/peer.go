package daemon

import (
	"context"
	"net"
	"sync"

	"golang.org/x/sys/unix"
)

// peerListener accepts a bounded number of connections at once and notes who is at the other end of each. Its own type,
// since netutil.LimitListener hides the connection that the kernel could be asked about.
type peerListener struct {
	*net.UnixListener
	slots chan struct{}
}

// peerConn is a connection and who is at its other end, as the kernel knows it.
type peerConn struct {
	*net.UnixConn
	uid     uint32
	pid     int32
	err     error // why uid is not known
	release func()
}

// Accept waits for a free slot, then for a connection.
func (l *peerListener) Accept() (net.Conn, error) {
	l.slots <- struct{}{}
	c, err := l.AcceptUnix()
	if err != nil {
		<-l.slots
		return nil, err
	}
	p := &peerConn{UnixConn: c, release: sync.OnceFunc(func() { <-l.slots })}
	p.uid, p.pid, p.err = peerUser(c)
	return p, nil
}

// Close closes the connection and frees its slot.
func (p *peerConn) Close() error {
	defer p.release()
	return p.UnixConn.Close()
}

func peerUser(c *net.UnixConn) (uid uint32, pid int32, err error) {
	raw, err := c.SyscallConn()
	if err != nil {
		return 0, 0, err
	}
	var cred *unix.Ucred
	var credErr error
	err = raw.Control(func(fd uintptr) {
		cred, credErr = unix.GetsockoptUcred(int(fd), unix.SOL_SOCKET, unix.SO_PEERCRED)
	})
	if err == nil {
		err = credErr
	}
	if err != nil {
		return 0, 0, err
	}
	return cred.Uid, cred.Pid, nil
}

// peerKey finds a request's *peerConn in its context.
type peerKey struct{}

// peer returns who asks.
func peer(ctx context.Context) (uid uint32, pid int32) {
	if p, ok := ctx.Value(peerKey{}).(*peerConn); ok {
		return p.uid, p.pid
	}
	return 0, 0
}

func withPeer(ctx context.Context, c net.Conn) context.Context {
	return context.WithValue(ctx, peerKey{}, c)
}
