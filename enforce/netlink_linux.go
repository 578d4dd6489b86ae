package enforce

import (
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"weir/broker"
)

var native = binary.NativeEndian
var network = binary.BigEndian

// From the specification: linux/netlink.h, linux/netfilter/nfnetlink.h.
const (
	headerLen    = 16 // struct nlmsghdr, bytes
	familyLen    = 4  // struct nfgenmsg, bytes
	attributeLen = 4  // struct nlattr, bytes

	subsysConntrack = 1
	subsysQueue     = 3
	subsysTables    = 10

	batchBegin = 16
	batchEnd   = 17
)

// answerTime bounds the wait for the kernel's answer, which it gives before the request returns.
const answerTime = 5 * time.Second

// messages is a buffer of netlink messages, one after the other, that are sent together. It allocates nothing once it is large enough.
type messages struct {
	b     []byte
	start int // of the last message
	seq   uint32
}

// begin starts a message.
func (m *messages) begin(typ, flags uint16) {
	m.start = len(m.b)
	m.seq++
	m.b = native.AppendUint32(m.b, 0) // length, by end
	m.b = native.AppendUint16(m.b, typ)
	m.b = native.AppendUint16(m.b, flags|unix.NLM_F_REQUEST)
	m.b = native.AppendUint32(m.b, m.seq)
	m.b = native.AppendUint32(m.b, 0)
}

// netfilter starts a message of a netfilter subsystem. id is the number of a queue, or what else a subsystem wants there.
func (m *messages) netfilter(subsys, typ uint8, flags uint16, family uint8, id uint16) {
	m.begin(uint16(subsys)<<8|uint16(typ), flags)
	m.b = append(m.b, family, 0)
	m.b = network.AppendUint16(m.b, id)
}

// end finishes the message that was started last.
func (m *messages) end() { native.PutUint32(m.b[m.start:], uint32(len(m.b)-m.start)) }

// ask makes the kernel acknowledge the last message.
func (m *messages) ask() {
	flags := m.b[m.start+6:]
	native.PutUint16(flags, native.Uint16(flags)|unix.NLM_F_ACK)
}

func (m *messages) attr(typ uint16, data ...byte) {
	at := m.open(typ)
	m.b = append(m.b, data...)
	m.close(at)
}

func (m *messages) text(typ uint16, s string) {
	at := m.open(typ)
	m.b = append(append(m.b, s...), 0)
	m.close(at)
}

// u32 adds a number in network order, as netfilter has them.
func (m *messages) u32(typ uint16, v uint32) {
	at := m.open(typ)
	m.b = network.AppendUint32(m.b, v)
	m.close(at)
}

func (m *messages) u16(typ uint16, v uint16) {
	at := m.open(typ)
	m.b = network.AppendUint16(m.b, v)
	m.close(at)
}

// nest opens an attribute that holds attributes; close ends it.
func (m *messages) nest(typ uint16) int { return m.open(typ | unix.NLA_F_NESTED) }

func (m *messages) open(typ uint16) (at int) {
	at = len(m.b)
	m.b = native.AppendUint16(m.b, 0)
	m.b = native.AppendUint16(m.b, typ)
	return at
}

func (m *messages) close(at int) {
	native.PutUint16(m.b[at:], uint16(len(m.b)-at))
	for len(m.b)%4 != 0 {
		m.b = append(m.b, 0)
	}
}

// attribute takes the first attribute off b. ok is false at the end, and where a length lies.
func attribute(b []byte) (typ uint16, data, rest []byte, ok bool) {
	if len(b) < attributeLen {
		return 0, nil, nil, false
	}
	n := int(native.Uint16(b))
	if n < attributeLen || n > len(b) {
		return 0, nil, nil, false
	}
	return native.Uint16(b[2:]) &^ (unix.NLA_F_NESTED | unix.NLA_F_NET_BYTEORDER), b[attributeLen:n], b[min((n+3)&^3, len(b)):], true
}

// message takes the first netlink message off b.
func message(b []byte) (typ uint16, seq uint32, body, rest []byte, ok bool) {
	if len(b) < headerLen {
		return 0, 0, nil, nil, false
	}
	n := int(native.Uint32(b))
	if n < headerLen || n > len(b) {
		return 0, 0, nil, nil, false
	}
	return native.Uint16(b[4:]), native.Uint32(b[8:]), b[headerLen:n], b[min((n+3)&^3, len(b)):], true
}

// errnoOf reads an NLMSG_ERROR; nil is an acknowledgement.
func errnoOf(body []byte) error {
	if len(body) < 4 {
		return errShort
	}
	if n := int32(native.Uint32(body)); n != 0 {
		return syscall.Errno(-n)
	}
	return nil
}

var errShort = errors.New("netlink: a message is shorter than it must be")

// socket is a netlink socket in some namespace. One goroutine at a time uses it; any may close it.
type socket struct {
	f   *os.File
	raw syscall.RawConn
	out messages
	in  []byte // made when it is needed

	n           int
	failed      error
	write, read func(fd uintptr) bool // stored once
	verdicts    func(fd uintptr) bool // as write, of what the kernel does at once
}

// connect makes a socket of f that hears of the kernel alone: whoever is privileged in the namespace could send to it else.
func connect(f *os.File) (*socket, error) {
	raw, err := f.SyscallConn()
	if err != nil {
		return nil, err
	}
	if err := f.SetReadDeadline(time.Time{}); err != nil {
		return nil, fmt.Errorf("netlink socket: %w (it must be non-blocking)", err)
	}
	var failed error
	err = raw.Control(func(fd uintptr) {
		failed = unix.Connect(int(fd), &unix.SockaddrNetlink{Family: unix.AF_NETLINK})
	})
	if err = errors.Join(err, failed); err != nil {
		return nil, fmt.Errorf("netlink socket: connect: %w", err)
	}
	s := &socket{f: f, raw: raw}
	s.write = func(fd uintptr) bool {
		_, s.failed = unix.Write(int(fd), s.out.b)
		return s.failed != unix.EAGAIN
	}
	s.verdicts = func(fd uintptr) bool {
		s.failed = send(fd, s.out.b)
		return s.failed != unix.EAGAIN
	}
	s.read = func(fd uintptr) bool {
		s.n, s.failed = unix.Read(int(fd), s.in)
		return s.failed != unix.EAGAIN
	}
	return s, nil
}

// socket opens and connects a socket.
func (open Opener) socket(kind broker.Kind) (*socket, error) {
	f, err := open(kind)
	if err != nil {
		return nil, fmt.Errorf("open a netlink socket in the namespace: %w", err)
	}
	s, err := connect(f)
	if err != nil {
		f.Close()
	}
	return s, err
}

func (s *socket) Close() error { return s.f.Close() }

// send sends what is in out, and empties it.
func (s *socket) send() error { return s.sendBy(s.write) }

func (s *socket) sendBy(write func(fd uintptr) bool) error {
	err := s.raw.Write(write)
	s.out.b = s.out.b[:0]
	if err == nil {
		err = s.failed
	}
	return err
}

// receive reads one datagram.
func (s *socket) receive() (b []byte, err error) {
	if s.in == nil {
		s.in = make([]byte, 64<<10)
	}
	if err = s.raw.Read(s.read); err == nil {
		err = s.failed
	}
	if err != nil {
		return nil, err
	}
	return s.in[:s.n], nil
}

// do sends what is in out, of which the last message asks for an acknowledgement, and waits for that. each sees every other message that comes; nil: nobody.
// The error is that of the first message that failed.
func (s *socket) do(each func(typ uint16, body []byte)) error {
	last := s.out.seq
	if err := s.send(); err != nil {
		return err
	}
	s.f.SetReadDeadline(time.Now().Add(answerTime))
	defer s.f.SetReadDeadline(time.Time{})
	var first error
	for {
		b, err := s.receive()
		if err != nil {
			return fmt.Errorf("netlink: no answer: %w", err)
		}
		for {
			typ, seq, body, rest, ok := message(b)
			if !ok {
				break
			}
			b = rest
			switch typ {
			case unix.NLMSG_ERROR:
				if err := errnoOf(body); err != nil && first == nil {
					first = err
				}
			case unix.NLMSG_DONE:
			default:
				if each != nil {
					each(typ, body)
				}
				continue
			}
			if seq == last {
				return first
			}
		}
	}
}

// dump sends the one request in out, and shows all that comes back.
func (s *socket) dump(each func(body []byte)) error {
	if err := s.send(); err != nil {
		return err
	}
	s.f.SetReadDeadline(time.Now().Add(answerTime))
	defer s.f.SetReadDeadline(time.Time{})
	for {
		b, err := s.receive()
		if err != nil {
			return fmt.Errorf("netlink: no answer: %w", err)
		}
		for {
			typ, _, body, rest, ok := message(b)
			if !ok {
				break
			}
			b = rest
			switch typ {
			case unix.NLMSG_ERROR:
				return errnoOf(body)
			case unix.NLMSG_DONE:
				return nil
			}
			each(body)
		}
	}
}

// piece is how much is sent at once, at the most, bytes.
const piece = 64 << 10

// sendEach sends many messages, of which none is acknowledged, in pieces. That something is not there any more is no error.
func (s *socket) sendEach(all *messages) error {
	s.out.seq = max(s.out.seq, all.seq)
	for b := all.b; len(b) > 0; {
		n := 0
		for n < len(b) && n < piece {
			n += int(native.Uint32(b[n:]))
			n = (n + 3) &^ 3
		}
		s.out.b = append(s.out.b[:0], b[:n]...)
		b = b[n:]
		s.out.begin(unix.NLMSG_NOOP, unix.NLM_F_ACK)
		s.out.end()
		if err := s.do(nil); err != nil && !errors.Is(err, unix.ENOENT) {
			return err
		}
	}
	return nil
}
