package enforce

import (
	"errors"
	"fmt"

	"golang.org/x/sys/unix"
)

// From the specification: linux/netfilter/nfnetlink_conntrack.h.
const (
	conntrackNew = 0 // message types
	conntrackGet = 1

	conntrackOrig     = 1 // attributes
	conntrackMark     = 8
	conntrackZone     = 18
	conntrackMarkMask = 21
)

// forget takes our mark off all connections that have it.
func forget(conn *socket, mark uint32) error {
	m := &conn.out
	m.b = m.b[:0]
	m.netfilter(subsysConntrack, conntrackGet, unix.NLM_F_DUMP, unix.AF_UNSPEC, 0)
	m.u32(conntrackMark, mark)
	m.u32(conntrackMarkMask, markMask)
	m.end()
	var out messages
	var count int
	err := conn.dump(func(body []byte) {
		if len(body) < familyLen {
			return
		}
		family, list := body[0], body[familyLen:]
		was, orig := within(list, conntrackMark), within(list, conntrackOrig)
		if len(was) < 4 || orig == nil || network.Uint32(was)&markMask != mark {
			return
		}
		out.netfilter(subsysConntrack, conntrackNew, 0, family, 0)
		out.attr(conntrackOrig|unix.NLA_F_NESTED, orig...)
		if zone := within(list, conntrackZone); zone != nil {
			out.attr(conntrackZone, zone...)
		}
		out.u32(conntrackMark, 0)
		out.u32(conntrackMarkMask, markMask)
		out.end()
		count++
	})
	if err != nil || count == 0 {
		return err
	}
	return conn.sendEach(&out)
}

// forgetAll takes our marks off all connections. Without connection tracking there are none.
func forgetAll(conn *socket) error {
	for _, mark := range []uint32{markEpochA, markEpochB} {
		if err := forget(conn, mark); err != nil && !errors.Is(err, unix.EINVAL) && !errors.Is(err, unix.EOPNOTSUPP) {
			return fmt.Errorf("cleared connections cannot be forgotten: %w", err)
		}
	}
	return nil
}
