package enforce

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"golang.org/x/sys/unix"

	"weir/broker"
)

// From the specification: linux/if_link.h.
const (
	linkInfoLen    = 16 // struct ifinfomsg, bytes
	linkMTU        = 4
	linkGSOMax     = 41
	linkGSOMaxIPv4 = 63
)

// Ours.
const (
	// longestPacket is what an interface has for the length of packets, unless it does what is called BIG TCP: then they have up to half a megabyte. Headers are
	// counted in, so that the queue brings them whole. Bytes.
	longestPacket = 65536
	// loopbackMTU is what loopback gets, bytes. TCP makes packets of two segments at least (tcp_min_tso_segs), and two of 64 KiB are more than the queue brings whole.
	loopbackMTU = 32000
	// loopbackDefault is what it has else.
	loopbackDefault = 65536
)

// linkSize is how long packets an interface may have, bytes; 0: it is not for us to say.
type linkSize struct {
	index          int32
	mtu, max, max4 uint32
}

// limitSizes makes the interfaces of a namespace send packets that the queue brings whole, and returns those that it changed, as they were. That is written down in the table of
// rules before, for whoever comes after a process that was killed.
func limitSizes(open Opener, conn *socket) (was []linkSize, err error) {
	if was, err = longSizes(open, conn); err != nil || len(was) == 0 {
		return was, err
	}
	if err := noteSizes(conn, was); err != nil {
		return nil, fmt.Errorf("length of packets: %w", err)
	}
	s, err := open.socket(broker.Route)
	if err != nil {
		return nil, err
	}
	defer s.Close()
	for _, l := range was {
		if err := s.setSize(linkSize{l.index, min(l.mtu, loopbackMTU), min(l.max, longestPacket), min(l.max4, longestPacket)}); err != nil && err != unix.ENODEV {
			return was, fmt.Errorf("length of packets: %w", err)
		}
	}
	return was, nil
}

// longSizes returns the interfaces that send longer packets than the queue brings, or did before they were limited, as they were then.
func longSizes(open Opener, conn *socket) ([]linkSize, error) {
	was, err := notedSizes(conn)
	if err != nil {
		return nil, fmt.Errorf("length of packets: %w", err)
	}
	s, err := open.socket(broker.Route)
	if err != nil {
		return nil, err
	}
	defer s.Close()
	s.out.begin(unix.RTM_GETLINK, unix.NLM_F_DUMP)
	s.out.b = append(s.out.b, make([]byte, linkInfoLen)...)
	s.out.end()
	err = s.dump(func(body []byte) {
		if len(body) < linkInfoLen {
			return
		}
		l := sizeOf(body)
		known := slices.ContainsFunc(was, func(n linkSize) bool { return n.index == l.index })
		if !known && (l.mtu > 0 || l.max > longestPacket || l.max4 > longestPacket) {
			was = append(was, l)
		}
	})
	if err != nil {
		return nil, fmt.Errorf("length of packets: %w", err)
	}
	return was, nil
}

// noted is how a chain without rules is called that stands for what an interface had.
const noted = "had-"

// noteSizes writes down in the table of rules, which must be there, what interfaces have.
func noteSizes(conn *socket, was []linkSize) error {
	if len(was) == 0 {
		return nil
	}
	conn.out.b = conn.out.b[:0]
	r := beginRules(&conn.out, table)
	for _, l := range was {
		r.newBranch(fmt.Sprintf("%s%d-%d-%d-%d", noted, l.index, l.mtu, l.max, l.max4))
	}
	r.commit()
	return conn.do(nil)
}

// notedSizes returns what was written down.
func notedSizes(conn *socket) (was []linkSize, err error) {
	m := &conn.out
	m.b = m.b[:0]
	m.netfilter(subsysTables, tablesGetChain, unix.NLM_F_DUMP, familyInet, 0)
	m.end()
	err = conn.dump(func(body []byte) {
		if len(body) < familyLen {
			return
		}
		of := strings.TrimRight(string(within(body[familyLen:], 1)), "\x00")
		name, is := strings.CutPrefix(strings.TrimRight(string(within(body[familyLen:], 3)), "\x00"), noted)
		var l linkSize
		if of != table || !is {
			return
		}
		if n, _ := fmt.Sscanf(name, "%d-%d-%d-%d", &l.index, &l.mtu, &l.max, &l.max4); n == 4 && !slices.ContainsFunc(was, func(x linkSize) bool { return x.index == l.index }) {
			was = append(was, l)
		}
	})
	if errors.Is(err, unix.ENOENT) {
		return nil, nil
	}
	return was, err
}

// sizeOf reads an RTM_NEWLINK. The MTU is that of loopback alone, if it is too large, or was before somebody else made it ours and did not undo it.
func sizeOf(body []byte) linkSize {
	l := linkSize{index: int32(native.Uint32(body[4:]))}
	for list := body[linkInfoLen:]; ; {
		typ, data, rest, ok := attribute(list)
		if !ok {
			return l
		}
		list = rest
		if len(data) != 4 {
			continue
		}
		switch v := native.Uint32(data); {
		case typ == linkGSOMax:
			l.max = v
		case typ == linkGSOMaxIPv4:
			l.max4 = v
		case typ == linkMTU && native.Uint32(body[8:])&unix.IFF_LOOPBACK != 0 && v == loopbackMTU:
			l.mtu = loopbackDefault
		case typ == linkMTU && native.Uint32(body[8:])&unix.IFF_LOOPBACK != 0 && v > loopbackMTU:
			l.mtu = v
		}
	}
}

// restoreSizes undoes limitSizes.
func restoreSizes(open Opener, was []linkSize) error {
	if len(was) == 0 {
		return nil
	}
	s, err := open.socket(broker.Route)
	if err != nil {
		return err
	}
	defer s.Close()
	for _, l := range was {
		if e := s.setSize(l); e != nil && e != unix.ENODEV {
			err = fmt.Errorf("length of packets: %w", e)
		}
	}
	return err
}

func (s *socket) setSize(l linkSize) error {
	m := &s.out
	m.b = m.b[:0]
	m.begin(unix.RTM_NEWLINK, unix.NLM_F_ACK)
	m.b = append(m.b, 0, 0, 0, 0)
	m.b = native.AppendUint32(m.b, uint32(l.index))
	m.b = append(m.b, 0, 0, 0, 0, 0, 0, 0, 0)
	for _, a := range []struct {
		typ uint16
		v   uint32
	}{{linkMTU, l.mtu}, {linkGSOMax, l.max}, {linkGSOMaxIPv4, l.max4}} {
		if a.v != 0 {
			m.attr(a.typ, native32(a.v)...)
		}
	}
	m.end()
	return s.do(nil)
}
