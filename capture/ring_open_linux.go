package capture

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"sync"
	"time"

	"golang.org/x/sys/unix"

	"weir/wire"
)

// Ours.
const (
	defaultRingBytes = 8 << 20                // bytes
	mostBlock        = 1 << 20                // bytes; holds a super-packet of any size the kernel makes
	leastBlock       = 256 << 10              // bytes; holds a BIG TCP super-packet of 200 KB
	usualBlocks      = 8                      // blocks of a ring, where its size allows
	leastBlocks      = 2                      // one for the kernel, one for us
	ringFrameSize    = 2048                   // bytes; only divides a block in the kernel's sanity check
	absence          = 320 * time.Millisecond // for so long the reader may be away while next to nothing comes: a block that is not full is taken up by its time, too
	removal          = 50 * time.Millisecond  // after an interface went down, when to look whether it is gone
	defaultTick      = time.Second
)

// RingConfig says how to capture from an interface. Zero values take the defaults.
type RingConfig struct {
	Interface      int           // index in the network namespace of the calling thread, or in the one that Open opens sockets of
	Name           string        // for messages and Interfaces
	Bytes          int           // size of the ring in memory, rounded down to whole blocks, at least two; 8 MiB
	Block          int           // bytes of a block, at least 256 KiB: longer frames are cut; an eighth of the ring, at most 1 MiB
	Retire         time.Duration // by when the kernel hands over a block that is not full; 40 ms where there are 8 blocks, more where there are fewer
	Tick           time.Duration // how long Next waits at most; 1 s
	IgnoreOutgoing bool          // leave out frames that the host itself sends through the interface; Linux 5.17
	Promiscuous    bool          // ask a network card for frames to other addresses; a veth needs no asking

	// Open opens a packet socket, non-blocking and without a protocol, in the interface's network namespace; nil: in that of the calling
	// thread. A ring that changes its size, or is split, opens further ones.
	Open func() (*os.File, error)
}

// OpenRing begins to capture from an interface. It needs CAP_NET_RAW in the interface's network namespace. No frame
// from before the ring stood is ever returned. An interface that is down may be opened: frames come once it is up.
func OpenRing(c RingConfig) (*Ring, error) {
	if c.Name == "" {
		c.Name = fmt.Sprintf("interface %d", c.Interface)
	}
	if c.Interface <= 0 {
		return nil, fmt.Errorf("%s: the index %d is no interface's", c.Name, c.Interface)
	}
	if c.Tick <= 0 {
		c.Tick = defaultTick
	}
	g := &group{}
	s, link, err := openSocket(c, g)
	if err != nil {
		return nil, err
	}
	r := newRing(c, link, g, s)
	g.rings = []*Ring{r}
	return r, nil
}

func newRing(c RingConfig, link wire.Link, g *group, s *socket) *Ring {
	r := &Ring{
		conf: c, iface: Interface{Name: c.Name, Link: link}, group: g, sock: s, togo: -1,
		frames: make([]wire.Frame, 0, batchFrames), done: make(chan struct{}),
	}
	r.parked = sync.NewCond(&r.mu)
	return r
}

// openSocket opens a socket with a ring and makes it a member of the group. The first member gets all frames at once; a later
// one none until the group's program sends it some.
func openSocket(c RingConfig, g *group) (*socket, wire.Link, error) {
	// Protocol 0 receives nothing: what came before the ring stands would wait in the socket's queue for good. setUp
	// binds once more.
	s := &socket{}
	var err error
	s.file, err = c.socket()
	if errors.Is(err, fs.ErrPermission) {
		return nil, 0, fmt.Errorf("%s: capture: %w (run as root, or give CAP_NET_RAW)", c.Name, err)
	} else if err != nil {
		return nil, 0, fmt.Errorf("%s: capture: %w", c.Name, err)
	}
	var link wire.Link
	fail := func(what string, err error) (*socket, wire.Link, error) {
		s.unmap()
		s.file.Close()
		return nil, 0, fmt.Errorf("%s: %s%w", c.Name, what, err)
	}
	if s.raw, err = s.file.SyscallConn(); err != nil {
		return fail("", err)
	}
	var inner error
	if err := s.raw.Control(func(fd uintptr) {
		if link, inner = join(int(fd), c); inner == nil {
			inner = s.setUp(int(fd), c)
		}
		if inner == nil {
			inner = g.admit(int(fd), c, link)
		}
	}); err != nil {
		inner = err
	}
	if inner != nil {
		return fail("", inner)
	}
	s.check = s.wake
	return s, link, nil
}

// socket opens a packet socket, of the thread's network namespace or of another one.
func (c *RingConfig) socket() (*os.File, error) {
	if c.Open != nil {
		return c.Open()
	}
	fd, err := unix.Socket(unix.AF_PACKET, unix.SOCK_RAW|unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK, 0)
	if err != nil {
		return nil, err
	}
	return os.NewFile(uintptr(fd), c.Name), nil
}

// join binds a socket to its interface, still without a protocol, and returns what links it has.
func join(fd int, c RingConfig) (wire.Link, error) {
	if err := unix.Bind(fd, &unix.SockaddrLinklayer{Ifindex: c.Interface}); err != nil {
		return 0, fmt.Errorf("bind: %w", err)
	}
	if c.Promiscuous {
		if err := unix.SetsockoptPacketMreq(fd, unix.SOL_PACKET, unix.PACKET_ADD_MEMBERSHIP, &unix.PacketMreq{Ifindex: int32(c.Interface), Type: unix.PACKET_MR_PROMISC}); err != nil {
			return 0, fmt.Errorf("promiscuous: %w", err)
		}
	}
	return linkOf(fd)
}

// setUp makes the ring and maps it, and binds the socket to the interface. A filter still keeps every frame out: those
// that come to the socket itself would come once more through its group.
func (s *socket) setUp(fd int, c RingConfig) error {
	if err := unix.SetsockoptInt(fd, unix.SOL_PACKET, unix.PACKET_VERSION, unix.TPACKET_V3); err != nil {
		return fmt.Errorf("TPACKET_V3: %w", err)
	}
	if c.IgnoreOutgoing {
		if err := unix.SetsockoptInt(fd, unix.SOL_PACKET, unix.PACKET_IGNORE_OUTGOING, 1); err != nil {
			return fmt.Errorf("ignore outgoing: %w", err)
		}
	}
	req := ringRequest(c)
	s.block = int(req.Block_size)
	size := s.block * int(req.Block_nr)
	if err := unix.SetsockoptTpacketReq3(fd, unix.SOL_PACKET, unix.PACKET_RX_RING, &req); err != nil {
		return fmt.Errorf("ring of %d bytes: %w", size, err)
	}
	var err error
	if s.mem, err = unix.Mmap(fd, 0, size, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_SHARED); err != nil {
		return fmt.Errorf("map ring of %d bytes: %w", size, err)
	}
	if err := setFilter(fd, always(0)); err != nil {
		return err
	}
	all := binary.NativeEndian.Uint16([]byte{unix.ETH_P_ALL >> 8, unix.ETH_P_ALL & 0xff}) // network order, packet(7)
	if err := unix.Bind(fd, &unix.SockaddrLinklayer{Protocol: all, Ifindex: c.Interface}); err != nil {
		return fmt.Errorf("bind: %w", err)
	}
	return nil
}

// ringRequest turns a configuration into what the kernel takes: sizes in whole pages and blocks.
func ringRequest(c RingConfig) unix.TpacketReq3 {
	if c.Bytes == 0 {
		c.Bytes = defaultRingBytes
	}
	block := c.Block
	if block == 0 {
		block = min(c.Bytes/usualBlocks, mostBlock)
	}
	page := max(unix.Getpagesize(), ringFrameSize)
	block = (max(block, leastBlock) + page - 1) / page * page
	blocks := max(c.Bytes/block, leastBlocks)
	retire := c.Retire
	if retire <= 0 {
		retire = absence / time.Duration(min(blocks, usualBlocks))
	}
	return unix.TpacketReq3{
		Block_size:     uint32(block),
		Block_nr:       uint32(blocks),
		Frame_size:     ringFrameSize,
		Frame_nr:       uint32(blocks * (block / ringFrameSize)),
		Retire_blk_tov: uint32(max(retire.Milliseconds(), 1)),
	}
}

// linkOf returns the link type of the interface that the socket is bound to, from its ARPHRD_ number.
func linkOf(fd int) (wire.Link, error) {
	sa, err := unix.Getsockname(fd)
	if err != nil {
		return 0, err
	}
	ll, ok := sa.(*unix.SockaddrLinklayer)
	if !ok {
		return 0, unix.EAFNOSUPPORT
	}
	switch ll.Hatype {
	case unix.ARPHRD_ETHER, unix.ARPHRD_LOOPBACK:
		return wire.LinkEthernet, nil
	case unix.ARPHRD_NONE, unix.ARPHRD_RAWIP, unix.ARPHRD_TUNNEL, unix.ARPHRD_TUNNEL6, unix.ARPHRD_SIT:
		return wire.LinkRaw, nil
	}
	return 0, fmt.Errorf("interfaces of hardware type %d cannot be captured from: Ethernet, loopback and tunnels of IP can", ll.Hatype)
}
