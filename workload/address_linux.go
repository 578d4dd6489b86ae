package workload

import (
	"encoding/binary"
	"errors"
	"fmt"
	"net/netip"

	"github.com/vishvananda/netlink"
	"github.com/vishvananda/netlink/nl"
	"golang.org/x/sys/unix"
)

// Ours.
const (
	maxPerSpace = 1024      // addresses that are taken from one network namespace
	dumpTimeout = 2_000_000 // µs that the kernel may take for one message of its answer
)

// Addresses returns the addresses in the network namespace at the other end of a veth; cut tells that there are more than
// are taken. The kernel is asked by the namespace's id, which costs some 20 µs and takes CAP_NET_ADMIN. One before Linux 4.20
// does not answer that: there are none then.
func (f *Finder) Addresses(i Interface) (addrs []netip.Addr, cut bool, err error) {
	if i.NSID < 0 || f.strict == nil {
		return nil, false, nil
	}
	if addrs, cut, err = f.addressesOf(i.NSID); err != nil {
		return nil, false, fmt.Errorf("addresses behind %s: %w", i.Name, err)
	}
	return addrs, cut, nil
}

// strictSocket returns a socket on which the kernel takes requests at their word, or nil: an older one would answer any
// request for another namespace's addresses with its own.
func strictSocket() map[int]*nl.SocketHandle {
	s, err := nl.Subscribe(unix.NETLINK_ROUTE)
	if err != nil {
		return nil
	}
	s.SetSendTimeout(&unix.Timeval{Usec: dumpTimeout})
	s.SetReceiveTimeout(&unix.Timeval{Usec: dumpTimeout})
	if unix.SetsockoptInt(s.GetFd(), unix.SOL_NETLINK, unix.NETLINK_GET_STRICT_CHK, 1) != nil {
		s.Close()
		return nil
	}
	return map[int]*nl.SocketHandle{unix.NETLINK_ROUTE: {Socket: s}}
}

// addressesOf asks for the addresses in the namespace with an id.
func (f *Finder) addressesOf(nsid int) (addrs []netip.Addr, cut bool, err error) {
	req := nl.NewNetlinkRequest(unix.RTM_GETADDR, unix.NLM_F_DUMP)
	req.AddData(nl.NewIfAddrmsg(unix.AF_UNSPEC))
	req.AddData(nl.NewRtAttr(unix.IFA_TARGET_NETNSID, nl.Uint32Attr(uint32(nsid))))
	req.Sockets = f.strict
	err = req.ExecuteIter(unix.NETLINK_ROUTE, unix.RTM_NEWADDR, func(m []byte) bool {
		switch a, of := parseAddress(m); {
		case of != nsid || !tells(a):
		case len(addrs) == maxPerSpace:
			cut = true
		default:
			addrs = append(addrs, a)
		}
		return true // to the end, so that the next answer begins there
	})
	if errors.Is(err, netlink.ErrDumpInterrupted) { // they change, and that will be told
		err = nil
	}
	return addrs, cut, err
}

// parseAddress reads an answer to RTM_GETADDR, rtnetlink(7): an address, and the id of the namespace that it is in; -1 if
// none is named. It is this end's address of a point-to-point link.
func parseAddress(m []byte) (addr netip.Addr, nsid int) {
	nsid = -1
	local := false
	for m = m[min(len(m), unix.SizeofIfAddrmsg):]; len(m) >= unix.SizeofRtAttr; {
		n, typ := int(binary.NativeEndian.Uint16(m)), binary.NativeEndian.Uint16(m[2:])
		if n < unix.SizeofRtAttr || n > len(m) {
			break
		}
		switch v := m[unix.SizeofRtAttr:n]; {
		case typ == unix.IFA_LOCAL:
			addr, _ = netip.AddrFromSlice(v)
			local = true
		case typ == unix.IFA_ADDRESS && !local:
			addr, _ = netip.AddrFromSlice(v)
		case typ == unix.IFA_TARGET_NETNSID && len(v) == 4:
			nsid = int(int32(binary.NativeEndian.Uint32(v)))
		}
		m = m[min(len(m), (n+unix.RTA_ALIGNTO-1)&^(unix.RTA_ALIGNTO-1)):]
	}
	return addr.Unmap(), nsid
}
