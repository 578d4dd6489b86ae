package capture

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"time"
	"unsafe"

	"github.com/mdlayher/packet"
	"golang.org/x/sys/unix"

	"weir/wire"
)

// Ours.
const (
	defaultRingBytes = 8 << 20               // bytes
	defaultBlock     = 1 << 20               // bytes; holds a super-packet of any size the kernel makes
	minBlock         = 256 << 10             // bytes; holds a BIG TCP super-packet of 200 KB
	minBlocks        = 2                     // one for the kernel, one for us
	ringFrameSize    = 2048                  // bytes; only divides a block in the kernel's sanity check
	defaultRetire    = 40 * time.Millisecond // by when a block that is not full comes
	defaultTick      = time.Second
)

// RingConfig says how to capture from an interface. Zero values take the defaults.
type RingConfig struct {
	Interface      int           // index in the network namespace of the calling thread
	Name           string        // for messages and Interfaces
	Bytes          int           // size of the ring in memory, rounded down to whole blocks, at least 2; 8 MiB
	Block          int           // bytes of a block; 1 MiB; longer frames than that are cut, so at least 256 KiB
	Retire         time.Duration // by when the kernel hands over a block that is not full; 40 ms
	Tick           time.Duration // how long Next waits at most; 1 s
	IgnoreOutgoing bool          // leave out frames that the host itself sends through the interface
	Promiscuous    bool          // ask a network card for frames to other addresses; a veth needs no asking
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
	r := &Ring{tick: c.Tick}
	if r.tick <= 0 {
		r.tick = defaultTick
	}
	if err := r.open(c); err != nil {
		r.free()
		if r.conn != nil {
			r.conn.Close()
		}
		return nil, err
	}
	r.check = r.wake
	r.frames = make([]wire.Frame, 0, batchFrames)
	return r, nil
}

func (r *Ring) open(c RingConfig) error {
	// Protocol 0 receives nothing: what came before the ring stands would wait in the socket's queue for good. setUp
	// binds once more.
	var err error
	r.conn, err = packet.Listen(&net.Interface{Index: c.Interface, Name: c.Name}, packet.Raw, 0, nil)
	if errors.Is(err, fs.ErrPermission) {
		return fmt.Errorf("%s: capture: %w (run as root, or give CAP_NET_RAW)", c.Name, err)
	} else if err != nil {
		return fmt.Errorf("%s: capture: %w", c.Name, err)
	}
	if r.raw, err = r.conn.SyscallConn(); err != nil {
		return err
	}
	if c.Promiscuous {
		if err := r.conn.SetPromiscuous(true); err != nil {
			return fmt.Errorf("%s: promiscuous: %w", c.Name, err)
		}
	}
	var inner error
	if err := r.raw.Control(func(fd uintptr) { inner = r.setUp(int(fd), c) }); err != nil {
		inner = err
	}
	if inner != nil {
		return fmt.Errorf("%s: %w", c.Name, inner)
	}
	return nil
}

// setUp makes the ring, maps it and lets frames in.
func (r *Ring) setUp(fd int, c RingConfig) error {
	link, err := linkOf(fd)
	if err != nil {
		return err
	}
	r.iface = Interface{Name: c.Name, Link: link}
	if err := unix.SetsockoptInt(fd, unix.SOL_PACKET, unix.PACKET_VERSION, unix.TPACKET_V3); err != nil {
		return fmt.Errorf("TPACKET_V3: %w", err)
	}
	if c.IgnoreOutgoing {
		if err := unix.SetsockoptInt(fd, unix.SOL_PACKET, unix.PACKET_IGNORE_OUTGOING, 1); err != nil {
			return fmt.Errorf("ignore outgoing: %w", err)
		}
	}
	req := ringRequest(c)
	r.block = int(req.Block_size)
	r.grace = 2 * time.Duration(req.Retire_blk_tov) * time.Millisecond
	size := r.block * int(req.Block_nr)
	if err := unix.SetsockoptTpacketReq3(fd, unix.SOL_PACKET, unix.PACKET_RX_RING, &req); err != nil {
		return fmt.Errorf("ring of %d bytes: %w", size, err)
	}
	if r.mem, err = unix.Mmap(fd, 0, size, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_SHARED); err != nil {
		return fmt.Errorf("map ring of %d bytes: %w", size, err)
	}
	all := binary.NativeEndian.Uint16([]byte{unix.ETH_P_ALL >> 8, unix.ETH_P_ALL & 0xff}) // network order, packet(7)
	if err := unix.Bind(fd, &unix.SockaddrLinklayer{Protocol: all, Ifindex: c.Interface}); err != nil {
		return fmt.Errorf("bind: %w", err)
	}
	return nil
}

// ringRequest turns a configuration into what the kernel takes: sizes in whole pages and blocks.
func ringRequest(c RingConfig) unix.TpacketReq3 {
	block := c.Block
	if block == 0 {
		block = defaultBlock
	}
	page := max(unix.Getpagesize(), ringFrameSize)
	block = (max(block, minBlock) + page - 1) / page * page
	if c.Bytes == 0 {
		c.Bytes = defaultRingBytes
	}
	blocks := max(c.Bytes/block, minBlocks)
	retire := c.Retire
	if retire <= 0 {
		retire = defaultRetire
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

// Interfaces returns the one interface.
func (r *Ring) Interfaces() []Interface { return []Interface{r.iface} }

// Stats returns the frames counted since OpenRing. It may be called from any goroutine, also after Close.
func (r *Ring) Stats() (Stats, error) {
	err := r.readStats()
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.stats, err
}

// readStats adds the kernel's counters, which it sets to zero when they are read.
func (r *Ring) readStats() error {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.closed {
		return nil
	}
	s, err := r.conn.Stats()
	if err != nil {
		return fmt.Errorf("%s: ring counters: %w", r.iface.Name, err)
	}
	r.stats.Packets += uint64(s.Packets)
	r.stats.Drops += uint64(s.Drops)
	r.stats.Freezes += uint64(s.FreezeQueueCount)
	return nil
}

// Close ends capture and makes Next return net.ErrClosed. The last frames stay readable until that next call of Next,
// which frees the ring; if there are none, Close itself frees it.
func (r *Ring) Close() error {
	r.readStats()
	r.mu.Lock()
	if r.closed {
		r.mu.Unlock()
		return net.ErrClosed
	}
	r.closed = true
	if !r.inside && !r.lent {
		r.free()
	}
	r.mu.Unlock()
	return r.conn.Close()
}

// free gives the mapped memory back, once. Nobody may be reading frames. The caller holds mu.
func (r *Ring) free() {
	if r.mem != nil {
		unix.Munmap(r.mem)
		r.mem = nil
	}
}

// The structures of the ring lie in memory as the kernel declares them; this fails to compile otherwise.
var (
	_ [packetTypeOffset - 10]struct{} = [unsafe.Sizeof(unix.Tpacket3Hdr{})]struct{}{}
	_ [blockHeaderOffset]struct{}     = [unsafe.Offsetof(unix.TpacketBlockDesc{}.Hdr)]struct{}{}
)
