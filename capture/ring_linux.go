package capture

import (
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"sync"
	"sync/atomic"
	"syscall"
	"time"
	"unsafe"

	"github.com/mdlayher/packet"
	"golang.org/x/sys/unix"

	"weir/wire"
)

// From the specification: linux/if_packet.h.
const (
	blockHeaderOffset = 8       // struct tpacket_hdr_v1 in struct tpacket_block_desc
	packetTypeOffset  = 48 + 10 // sll_pkttype of the struct sockaddr_ll behind struct tpacket3_hdr
	frameHeaderSize   = 48 + 20 // bytes of the two
	defaultTPID       = 0x8100  // of a tag without TP_STATUS_VLAN_TPID_VALID
)

// Ring captures from one interface through a TPACKET_V3 ring, memory that the kernel writes frames into and that is
// mapped here. It is a Source. Frames point into the ring.
//
// Close may come from any goroutine. Because frames point into mapped memory, that memory is given back only once the
// reader cannot be reading it any more: the reader goes on calling Next until it returns an error, and then the ring is
// freed.
type Ring struct {
	conn  *packet.Conn
	raw   syscall.RawConn
	check func(fd uintptr) bool // r.wake, made once
	iface Interface
	tick  time.Duration
	grace time.Duration // by when the kernel has closed an open block

	mem   []byte
	block int // bytes of a block

	// The reader's.
	cur    int    // index of the block that is read, or waited for
	taken  bool   // the current block is ours
	left   uint32 // frames of the current block that are not returned yet
	off    int    // offset in the block of the next of them
	loss   bool   // the next frame comes after lost ones
	err    syscall.Errno
	down   bool // the interface was taken down
	gone   bool // the interface was taken off the socket
	frames []wire.Frame

	mu     sync.Mutex
	closed bool
	inside bool // Next is running
	lent   bool // frames of the last Next may be in use
	stats  Stats
}

// Stats counts a ring's frames since it was opened. Units are frames; Freezes counts times.
type Stats struct {
	Packets uint64 // that came to the ring, the lost ones included
	Drops   uint64 // lost because the ring was full
	Freezes uint64 // times the ring was found full
}

// Next returns frames of one block, at most 512; they are valid until the next call of Next, which gives the block back
// to the kernel once all of it was returned. It waits for a block no longer than the tick, then returns no frames and
// no error. io.EOF says that the interface is gone and everything captured from it was returned; net.ErrClosed comes
// after Close. Call it from one goroutine at a time.
func (r *Ring) Next() ([]wire.Frame, error) {
	r.mu.Lock()
	r.lent = false
	if r.closed {
		r.free()
		r.mu.Unlock()
		return nil, net.ErrClosed
	}
	r.inside = true
	r.mu.Unlock()

	frames, err := r.next()

	r.mu.Lock()
	defer r.mu.Unlock()
	r.inside = false
	if r.closed {
		r.free()
		return nil, net.ErrClosed
	}
	r.lent = len(frames) > 0
	return frames, err
}

func (r *Ring) next() ([]wire.Frame, error) {
	if r.taken && r.left == 0 {
		atomic.StoreUint32(r.status(), unix.TP_STATUS_KERNEL)
		r.taken = false
		if r.cur++; r.cur*r.block == len(r.mem) {
			r.cur = 0
		}
	}
	if !r.taken {
		if !r.ready() {
			if err := r.wait(); err != nil {
				return nil, err
			}
			if !r.ready() {
				return nil, nil
			}
		}
		r.take()
	}
	return r.read()
}

// current is the memory of the current block.
func (r *Ring) current() []byte { return r.mem[r.cur*r.block:][:r.block] }

// status points at the current block's owner word, which the kernel changes under us.
func (r *Ring) status() *uint32 {
	return (*uint32)(unsafe.Pointer(&r.current()[blockHeaderOffset]))
}

// ready reports whether the kernel has given the current block to us. All it wrote to the block before is then visible.
func (r *Ring) ready() bool { return atomic.LoadUint32(r.status())&unix.TP_STATUS_USER != 0 }

// take begins to read the current block, which is ready.
func (r *Ring) take() {
	h := (*unix.TpacketHdrV1)(unsafe.Pointer(&r.current()[blockHeaderOffset]))
	r.taken, r.left, r.off = true, h.Num_pkts, int(h.Offset_to_first_pkt)
	if atomic.LoadUint32(r.status())&unix.TP_STATUS_LOSING != 0 {
		r.loss = true
		r.readStats() // the kernel marks every block until its counters are read
	}
}

var errRingFormat = errors.New("the kernel's ring makes no sense")

// read returns the next frames of the current block.
func (r *Ring) read() ([]wire.Frame, error) {
	b := r.current()
	r.frames = r.frames[:0]
	for ; r.left > 0 && len(r.frames) < batchFrames; r.left-- {
		if r.off > len(b)-frameHeaderSize {
			return nil, fmt.Errorf("%s: %w", r.iface.Name, errRingFormat)
		}
		h := (*unix.Tpacket3Hdr)(unsafe.Pointer(&b[r.off]))
		start := r.off + int(h.Mac)
		end := start + int(h.Snaplen)
		if end > len(b) {
			return nil, fmt.Errorf("%s: %w", r.iface.Name, errRingFormat)
		}
		f := wire.Frame{
			Data: b[start:end:end],
			Time: int64(h.Sec)*nanosPerSecond + int64(h.Nsec),
			Len:  h.Len,
			Link: r.iface.Link,
			Flag: frameFlags[uint8(h.Status)],
		}
		if f.Flag&wire.FlagVLAN != 0 {
			f.VLAN = defaultTPID<<16 | h.Hv1.Vlan_tci&0xffff
			if h.Status&unix.TP_STATUS_VLAN_TPID_VALID != 0 {
				f.VLAN = uint32(h.Hv1.Vlan_tpid)<<16 | h.Hv1.Vlan_tci&0xffff
			}
		}
		if b[r.off+packetTypeOffset] == unix.PACKET_OUTGOING {
			f.Flag |= wire.FlagOutgoing
		}
		if r.loss {
			f.Flag |= wire.FlagLoss
			r.loss = false
		}
		r.frames = append(r.frames, f)
		r.off += int(h.Next_offset)
	}
	return r.frames, nil
}

// frameFlags turns the low bits of tp_status into what a Frame carries.
var frameFlags = func() (t [256]wire.Flag) {
	for s := range t {
		if s&unix.TP_STATUS_VLAN_VALID != 0 {
			t[s] |= wire.FlagVLAN
		}
		if s&unix.TP_STATUS_CSUMNOTREADY != 0 {
			t[s] |= wire.FlagCsumPartial
		}
		if s&unix.TP_STATUS_CSUM_VALID != 0 {
			t[s] |= wire.FlagCsumValid
		}
	}
	return t
}()

// wait returns when the current block is ready, when the tick is over (nil, and no block is ready), or with an error.
func (r *Ring) wait() error {
	if r.gone {
		return r.last()
	}
	tick := r.tick
	if r.down { // a removal comes in two steps, and only the first wakes us
		tick = min(tick, r.grace)
		r.down = false
	}
	r.err = 0
	if err := r.conn.SetReadDeadline(time.Now().Add(tick)); err != nil {
		return r.fail(err)
	}
	err := r.raw.Read(r.check)
	switch {
	case r.ready():
		return nil
	case err != nil && !errors.Is(err, os.ErrDeadlineExceeded):
		return r.fail(err)
	case r.err != 0 && r.err != unix.ENETDOWN && r.err != unix.ENODEV:
		return r.fail(r.err)
	}
	r.down = r.err != 0
	if r.gone = r.removed(); r.gone {
		return r.last()
	}
	return nil
}

// wake decides whether a waiting Read is over: a block is ready, or the socket has an error.
func (r *Ring) wake(fd uintptr) bool {
	if r.ready() {
		return true
	}
	v, err := unix.GetsockoptInt(int(fd), unix.SOL_SOCKET, unix.SO_ERROR)
	if err != nil || v == 0 {
		return false
	}
	r.err = syscall.Errno(v)
	return true
}

// removed reports whether the interface is gone or was moved to another namespace: the kernel then takes it off the
// socket. An interface that is merely down is not: capture goes on when it is up again.
func (r *Ring) removed() (gone bool) {
	r.raw.Control(func(fd uintptr) {
		sa, err := unix.Getsockname(int(fd))
		ll, ok := sa.(*unix.SockaddrLinklayer)
		gone = err == nil && ok && ll.Ifindex <= 0
	})
	return gone
}

// last waits for the block that the kernel had open when the interface went: a timer closes it.
func (r *Ring) last() error {
	if err := r.conn.SetReadDeadline(time.Now().Add(r.grace)); err != nil {
		return r.fail(err)
	}
	for {
		err := r.raw.Read(r.check)
		switch {
		case r.ready():
			return nil
		case errors.Is(err, os.ErrDeadlineExceeded):
			return io.EOF
		case err != nil:
			return r.fail(err)
		}
	}
}

func (r *Ring) fail(err error) error {
	if errors.Is(err, os.ErrClosed) || errors.Is(err, net.ErrClosed) {
		return net.ErrClosed
	}
	return fmt.Errorf("%s: %w", r.iface.Name, err)
}
