package capture

import (
	"errors"
	"os"
	"sync/atomic"
	"syscall"
	"time"
	"unsafe"

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

// socket is a packet socket and its ring: memory that the kernel writes frames into, block by block, and that is mapped
// here.
type socket struct {
	file   *os.File
	raw    syscall.RawConn
	check  func(fd uintptr) bool // s.wake, made once
	kicked atomic.Bool           // waiting is over: something is asked of the reader
	mem    []byte
	block  int // bytes of a block

	// The reader's.
	cur   int           // index of the block that is read, or waited for
	taken bool          // the current block is ours
	left  uint32        // frames of the current block that are not returned yet
	off   int           // offset in the block of the next of them
	err   syscall.Errno // that ended waiting
}

// head is the header of a block, which the kernel changes under us.
func (s *socket) head(block int) *unix.TpacketHdrV1 {
	return (*unix.TpacketHdrV1)(unsafe.Pointer(&s.mem[block*s.block+blockHeaderOffset]))
}

// status says whose the current block is.
func (s *socket) status() uint32 { return atomic.LoadUint32(&s.head(s.cur).Block_status) }

// ready reports whether the kernel has given the current block to us. All it wrote to the block before is then visible.
func (s *socket) ready() bool { return s.status()&unix.TP_STATUS_USER != 0 }

// take begins to read the current block: one that is ready, or the one that the kernel has open but writes to no more.
func (s *socket) take() {
	h := s.head(s.cur)
	s.taken, s.left, s.off = true, atomic.LoadUint32(&h.Num_pkts), int(h.Offset_to_first_pkt)
}

// open reports whether the kernel has put frames into the current block, which is not ready yet. A block that was given
// back has none: see giveBack.
func (s *socket) open() bool { return atomic.LoadUint32(&s.head(s.cur).Num_pkts) > 0 }

// giveBack gives the current block back to the kernel and goes on to the next. The kernel sets the count of frames to
// zero when it opens the block; until then it would be an old one.
func (s *socket) giveBack() {
	h := s.head(s.cur)
	atomic.StoreUint32(&h.Num_pkts, 0)
	atomic.StoreUint32(&h.Block_status, unix.TP_STATUS_KERNEL)
	s.taken = false
	s.cur = (s.cur + 1) % s.blocks()
}

func (s *socket) blocks() int { return len(s.mem) / s.block }

// pending counts the blocks that hold a frame now, from the current one on: those that are ready, and the open one.
func (s *socket) pending() (n int) {
	for at := s.cur; n < s.blocks(); n++ {
		h := s.head(at)
		if atomic.LoadUint32(&h.Block_status)&unix.TP_STATUS_USER == 0 {
			if atomic.LoadUint32(&h.Num_pkts) > 0 {
				n++
			}
			return n
		}
		at = (at + 1) % s.blocks()
	}
	return n
}

var errRingFormat = errors.New("the kernel's ring makes no sense")

// read returns the next frame of the current block.
func (s *socket) read(f *wire.Frame, link wire.Link) error {
	b := s.mem[s.cur*s.block:][:s.block]
	if s.off > len(b)-frameHeaderSize {
		return errRingFormat
	}
	h := (*unix.Tpacket3Hdr)(unsafe.Pointer(&b[s.off]))
	start := s.off + int(h.Mac)
	end := start + int(h.Snaplen)
	if end > len(b) {
		return errRingFormat
	}
	*f = wire.Frame{
		Data: b[start:end:end],
		Time: int64(h.Sec)*nanosPerSecond + int64(h.Nsec),
		Len:  h.Len,
		Link: link,
		Flag: frameFlags[uint8(h.Status)],
	}
	if f.Flag&wire.FlagVLAN != 0 {
		f.VLAN = defaultTPID<<16 | h.Hv1.Vlan_tci&0xffff
		if h.Status&unix.TP_STATUS_VLAN_TPID_VALID != 0 {
			f.VLAN = uint32(h.Hv1.Vlan_tpid)<<16 | h.Hv1.Vlan_tci&0xffff
		}
	}
	if b[s.off+packetTypeOffset] == unix.PACKET_OUTGOING {
		f.Flag |= wire.FlagOutgoing
	}
	s.off += int(h.Next_offset)
	s.left--
	return nil
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

// wait returns when the current block is ready, when it is kicked, when the socket has an error, which is then in s.err,
// or when the time is over. Times end at their multiples: then all quiet rings of a process wake it at once, and not one by one.
func (s *socket) wait(most time.Duration) error {
	s.err = 0
	if err := s.file.SetReadDeadline(time.Now().Truncate(most).Add(most)); err != nil {
		return err
	}
	if err := s.raw.Read(s.check); err != nil && !errors.Is(err, os.ErrDeadlineExceeded) {
		return err
	}
	return nil
}

// wake decides whether a waiting Read is over.
func (s *socket) wake(fd uintptr) bool {
	if s.ready() || s.kicked.Load() {
		return true
	}
	v, err := unix.GetsockoptInt(int(fd), unix.SOL_SOCKET, unix.SO_ERROR)
	if err != nil || v == 0 {
		return false
	}
	s.err = syscall.Errno(v)
	return true
}

// kick ends the reader's waiting, now or before it begins. Any goroutine may call it.
func (s *socket) kick() {
	s.kicked.Store(true)
	s.file.SetReadDeadline(time.Unix(0, 1)) // fails only once the socket is closed: that ends waiting too
}

// removed reports whether the interface is gone or was moved to another namespace: the kernel then takes it off the
// socket, after the last frame. An interface that is merely down is not: capture goes on when it is up again.
func (s *socket) removed() (gone bool) {
	s.raw.Control(func(fd uintptr) {
		sa, err := unix.Getsockname(int(fd))
		ll, ok := sa.(*unix.SockaddrLinklayer)
		gone = err == nil && ok && ll.Ifindex <= 0
	})
	return gone
}

// unmap gives the memory back, once. Nobody may be reading frames.
func (s *socket) unmap() {
	if s.mem != nil {
		unix.Munmap(s.mem)
		s.mem = nil
	}
}

// The structures of the ring lie in memory as the kernel declares them; this fails to compile otherwise.
var (
	_ [packetTypeOffset - 10]struct{} = [unsafe.Sizeof(unix.Tpacket3Hdr{})]struct{}{}
	_ [blockHeaderOffset]struct{}     = [unsafe.Offsetof(unix.TpacketBlockDesc{}.Hdr)]struct{}{}
)
