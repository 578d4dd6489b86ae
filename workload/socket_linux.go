package workload

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net/netip"
	"time"

	"golang.org/x/sys/unix"
)

// From the specification: linux/inet_diag.h, linux/sock_diag.h.
const (
	diagByFamily  = 20
	diagRequest   = unix.NLMSG_HDRLEN + 56 // bytes, with struct inet_diag_req_v2
	diagAnswer    = 72                     // struct inet_diag_msg, bytes
	diagUID       = 64                     // in it
	diagInode     = 68
	diagCgroup    = 21 // attribute
	diagStates    = ^uint32(0)
	diagAnyCookie = ^uint64(0)
)

// socketTime is how long an answer of the kernel is waited for; ours.
const socketTime = time.Second

// Socket is what the kernel says of one: its number, and the cgroup of who made it.
type Socket struct {
	Inode  uint64
	Cgroup uint64 // inode of its directory in the unified hierarchy; 0: not known
	UID    uint32
}

// ErrNoSocket says that there is none (any more).
var ErrNoSocket = errors.New("there is no such socket")

// FindSocket asks for the socket of one end of a conversation of TCP (6) or UDP (17): the connection's, else the one that listens for it. diag is a socket of NETLINK_SOCK_DIAG in the network
// namespace of that end; no one else uses it meanwhile.
func FindSocket(diag interface {
	io.ReadWriter
	SetReadDeadline(time.Time) error
}, proto uint8, local, remote netip.AddrPort) (s Socket, err error) {
	ask := make([]byte, diagRequest)
	n := binary.NativeEndian
	n.PutUint32(ask, diagRequest)
	n.PutUint16(ask[4:], diagByFamily)
	n.PutUint16(ask[6:], unix.NLM_F_REQUEST)
	r := ask[unix.NLMSG_HDRLEN:]
	from, to := local, remote
	if proto == unix.IPPROTO_UDP { // for historical reasons, the kernel says
		from, to = remote, local
	}
	a, b := from.Addr().Unmap(), to.Addr().Unmap()
	r[0], r[1] = unix.AF_INET6, proto
	if a.Is4() && b.Is4() {
		r[0] = unix.AF_INET
	}
	n.PutUint32(r[4:], diagStates)
	binary.BigEndian.PutUint16(r[8:], from.Port())
	binary.BigEndian.PutUint16(r[10:], to.Port())
	putAddress(r[12:28], a, r[0])
	putAddress(r[28:44], b, r[0])
	n.PutUint64(r[48:], diagAnyCookie)
	if _, err := diag.Write(ask); err != nil {
		return s, fmt.Errorf("sock_diag: %w", err)
	}
	if err := diag.SetReadDeadline(time.Now().Add(socketTime)); err != nil {
		return s, fmt.Errorf("sock_diag: %w", err)
	}
	answer := make([]byte, 4096)
	got, err := diag.Read(answer)
	if err != nil {
		return s, fmt.Errorf("sock_diag: %w", err)
	}
	return parseSocket(answer[:got])
}

func putAddress(dst []byte, a netip.Addr, family byte) {
	if family == unix.AF_INET {
		v := a.As4()
		copy(dst, v[:])
		return
	}
	v := a.As16()
	copy(dst, v[:])
}

// parseSocket reads the kernel's answer.
func parseSocket(b []byte) (s Socket, err error) {
	n := binary.NativeEndian
	if len(b) < unix.NLMSG_HDRLEN+4 {
		return s, errors.New("sock_diag: a short answer")
	}
	typ, b := n.Uint16(b[4:]), b[unix.NLMSG_HDRLEN:]
	switch {
	case typ == unix.NLMSG_ERROR:
		if errno := unix.Errno(-int32(n.Uint32(b))); errno != unix.ENOENT {
			return s, fmt.Errorf("sock_diag: %w", errno)
		}
		return s, ErrNoSocket
	case typ != diagByFamily || len(b) < diagAnswer:
		return s, errors.New("sock_diag: an answer to something else")
	}
	s.UID, s.Inode = n.Uint32(b[diagUID:]), uint64(n.Uint32(b[diagInode:]))
	for b = b[diagAnswer:]; len(b) >= unix.NLA_HDRLEN; {
		size := int(n.Uint16(b))
		if size < unix.NLA_HDRLEN || size > len(b) {
			break
		}
		if n.Uint16(b[2:]) == diagCgroup && size >= unix.NLA_HDRLEN+8 {
			s.Cgroup = n.Uint64(b[unix.NLA_HDRLEN:])
		}
		b = b[min(len(b), (size+3)&^3):]
	}
	if s.Inode == 0 { // it is closing, and nobody's any more
		return s, ErrNoSocket
	}
	return s, nil
}
